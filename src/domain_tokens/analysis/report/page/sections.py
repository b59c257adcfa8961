"""The folded sections of a page: a question as the title, figures before the table, rows that say nothing apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from domain_tokens.analysis.report.formats import DASH
from domain_tokens.analysis.report.tables.table import Table

_NOTHING: Final = {DASH, "", "0", "0.00", "+0.0000", "-0.0000", "1.0000", "0.00 to 0.00", "+0.0000 to +0.0000"}


@dataclass(frozen=True)
class Figure:
    """An embedded image.

    Attributes:
        caption: what it shows, in words.
        source: a data URL.
    """

    caption: str
    source: str


@dataclass(frozen=True)
class Block:
    """Rows that share their first labels, which become their heading."""

    heading: str
    rows: list[list[str]]


@dataclass(frozen=True)
class Section:
    """One folded section.

    Attributes:
        id: what links lead to.
        title: a question.
        figures: shown before the table.
        table: the table; `None` for figures alone.
    """

    id: str
    title: str
    figures: Sequence[Figure] = ()
    table: Table | None = None


def blocks(table: Table, rows: list[list[str]]) -> list[Block]:
    """Return rows under the headings that their first labels make."""
    made: dict[str, list[list[str]]] = {}
    for row in rows:
        made.setdefault(" · ".join(filter(None, row[: table.grouped])), []).append(row[table.grouped :])
    return [Block(heading, group) for heading, group in made.items()]


def telling(table: Table) -> list[list[str]]:
    """Return the rows that say something."""
    return [row for row in table.rows if not is_quiet(table, row)]


def quiet(table: Table) -> list[list[str]]:
    """Return the rows that say nothing."""
    return [row for row in table.rows if is_quiet(table, row)]


def is_quiet(table: Table, row: list[str]) -> bool:
    """Return whether both conditions have the same value and `Table.telling` shows no difference of them."""
    if not table.telling:
        return False
    names = table.header[::-1]  # from the right: a condition may be called as one of these columns
    at = [len(names) - 1 - names.index(name) for name in table.telling]
    values = [_value(row[index]) for index in (at[0] - 2, at[0] - 1)]
    return values[0] == values[1] and all(_value(row[index]) in _NOTHING for index in at)


def _value(cell: str) -> str:
    """Return a value without its standard deviation and without the number of what was counted."""
    return cell.partition(" ± ")[0].partition(" of ")[0]
