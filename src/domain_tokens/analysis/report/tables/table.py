"""A table as text, its Markdown, and the cells that several tables share."""

import re
from dataclasses import dataclass

from domain_tokens.analysis.report.formats import printable
from domain_tokens.analysis.results_model import EndpointContrast, ResultRow, Results

WITH_TOKENIZER = "tokenizer and model together"
DIFFERENCE = ("difference", "95% interval", "p")
"""The columns of a difference."""
_MARKDOWN = re.compile(r"([\\`*\[\]<>|&$~])")


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: the heading.
        header: the columns' names.
        rows: the cells.
        note: how to read the table; may be empty.
        labels: how many columns, from the left, hold labels; the others hold numbers.
        grouped: how many of them, from the left, are shown on the page as the heading of the rows that share them.
        telling: the columns that would show a difference, the first of them to the right of the two conditions; a row
            without one is folded away on the page.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    note: str
    labels: int = 2
    grouped: int = 0
    telling: tuple[str, ...] = ()


def to_markdown(table: Table) -> str:
    """Return the table as Markdown, with its title as a heading; names and texts cannot break out of their cells."""
    align = ["---"] * table.labels + ["---:"] * (len(table.header) - table.labels)
    lines = [[escape_markdown(cell) for cell in row] for row in (table.header, *table.rows)]
    body = [f"| {' | '.join(cells)} |" for cells in (lines[0], align, *lines[1:])]
    return "\n".join([f"## {table.title}", "", *body, "", escape_markdown(table.note)])


def escape_markdown(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", printable(text))


def condition_names(results: Results) -> list[str]:
    """Return the names of both conditions, for a table's header."""
    return [printable(results.reference), printable(results.other)]


def printable_rows(rows: list[list[str]]) -> list[list[str]]:
    """Replace what a terminal cannot show in all cells."""
    return [[printable(cell) for cell in row] for row in rows]


def together_mark(row: ResultRow | EndpointContrast) -> str:
    """Return the mark of an endpoint that is not the model's alone; nothing for any other."""
    return f" ({WITH_TOKENIZER})" if row.with_tokenizer else ""
