"""Helpers shared by the commands: parsers, consoles and tables."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

    from domain_tokens.analysis.report.tables.table import Table


def new_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that shows a script's docstring verbatim.

    Args:
        description (`str`): the script's docstring.
    """
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def wide_console(width: int) -> "Console":
    """Return a console of at least `width` columns, so that tables are not cut in a file or a narrow terminal."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, width)
    return console


def to_rich(table: "Table") -> "RichTable":
    """Convert a table for display in a terminal."""
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(title=table.title, caption=Text(table.note), caption_justify="left")
    for index, name in enumerate(table.header):
        shown.add_column(Text(name), justify="left" if index < table.labels else "right")
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))
    return shown
