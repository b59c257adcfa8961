"""Markdown that shows untrusted text as it is: names of conditions, sources and files, and sentences of a report.

A template escapes every value that is not `Markdown` already, so nothing that a recipe or a result file says can begin
a heading, a link, HTML or another block, or end the table or the code in which it stands.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from huggingface_hub import constants
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from domain_tokens.analysis.report.formats import DASH, printable
from domain_tokens.analysis.report.tables.table import escape_markdown

# Emphasis at the edge of a word, and what GitHub's Markdown makes links of: addresses of pages and of people.
_MORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])|:(?=//)|@|(?<=www)\.", re.IGNORECASE)
_BLOCK = re.compile(
    r"^(?:[#+=:-]|\d+(?=[.)](?:\s|$)))"
)  # what begins a heading, a list, a rule or a table's second line
_NO_CODE = re.compile(r"[`|\\]")


class Markdown(str):
    """Text that is Markdown already, and is not escaped again."""

    __slots__ = ()


def prose(text: str) -> Markdown:
    """Return text that Markdown shows as it is, on one line, wherever it stands."""
    found = _MORE.sub(lambda match: f"\\{match.group()}", escape_markdown(text.strip()))
    return Markdown(_BLOCK.sub(_escaped_block, found))


def _escaped_block(match: re.Match[str]) -> str:
    begun = match.group()
    return f"{begun}\\" if begun[0].isdigit() else f"\\{begun}"


def code(text: str | None) -> Markdown:
    """Return a name as code; one with a character that code cannot show in a table is shown as prose."""
    if text is None or not text.strip():
        return Markdown(DASH)
    return prose(text) if _NO_CODE.search(text) else Markdown(f"`{printable(text).strip()}`")


def fenced(lines: Iterable[str], language: str) -> Markdown:
    """Return a block of code; its fence is longer than any run of backticks inside."""
    body = "\n".join(printable(line) for line in lines)
    longest = max((len(run) for run in re.findall("`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markdown(f"{fence}{language}\n{body}\n{fence}")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], labels: int = 1) -> Markdown:
    """Return a table. Cells that are not `Markdown` are escaped.

    Args:
        header: the columns' names.
        rows: the cells.
        labels (`int`, *optional*, defaults to 1): how many columns, from the left, hold text; the others hold numbers.
    """
    align = ["---"] * labels + ["---:"] * (len(header) - labels)
    lines = [[str(_as_markdown(cell)) for cell in row] for row in (header, *rows)]
    return Markdown("\n".join(f"| {' | '.join(cells)} |" for cells in (lines[0], align, *lines[1:])))


def render(template: str, **values: object) -> str:
    """Render a template of this folder; a missing value is an error, and one that is not `Markdown` is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        finalize=lambda value: _as_markdown(str(value)) if not isinstance(value, Markdown) else value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"code": code, "model_link": model_link, "data_link": data_link}
    return environment.get_template(template).render(**values)


def model_link(repo_id: str) -> Markdown:
    """Return the address of a model's repository on the Hub to which things are pushed."""
    return Markdown(f"{constants.ENDPOINT}/{repo_id}")


def data_link(repo_id: str) -> Markdown:
    """Return the address of a data set there."""
    return Markdown(f"{constants.ENDPOINT}/datasets/{repo_id}")


def _as_markdown(text: str) -> Markdown:
    return text if isinstance(text, Markdown) else prose(text)
