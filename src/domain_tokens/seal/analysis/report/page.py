"""Writes an analysis of self-adaptation: all numbers, a page with tables and figures, and the figures."""

from pathlib import Path
from typing import Final

from domain_tokens.analysis.report.plots import render
from domain_tokens.analysis.report.tables.table import escape_markdown, to_markdown
from domain_tokens.runs.files import write_json, write_text
from domain_tokens.seal.analysis.report.figures import CAPTIONS, draw
from domain_tokens.seal.analysis.report.tables import tables
from domain_tokens.seal.analysis.results import Adaptation

NUMBERS: Final = "adaptation.json"
PAGE: Final = "adaptation.md"


def write(found: Adaptation, folder: Path) -> Path:
    """Write an analysis and return the path of its page. The same runs give the same bytes."""
    images = render(draw(found))
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        (folder / name).write_bytes(image)
    write_json(folder / NUMBERS, found.as_json())
    write_text(folder / PAGE, to_page(found))
    return folder / PAGE


def lines(found: Adaptation) -> list[str]:
    """Return what a reader should know first, and a sentence on each comparison with a control."""
    several = len(found.conditions) > 1
    own = [
        f"{condition.condition}: {text}" if several else text
        for condition in found.conditions
        for text in (*condition.notes, *(one.sentence for one in condition.contrasts))
    ]
    return [*found.notes, *own]


def to_page(found: Adaptation) -> str:
    """Return the page as Markdown."""
    names = ", ".join(
        f"{one.condition} (seed{'s' * (len(one.seeds) > 1)} {', '.join(map(str, one.seeds))})"
        for one in found.conditions
    )
    sentences = "\n".join(f"- {escape_markdown(line)}" for line in lines(found))
    figures = [
        f"![{escape_markdown(name.replace('_', ' '))}]({name}.png)\n\n{escape_markdown(caption)}"
        for name, caption in CAPTIONS.items()
    ]
    parts = ["# Self-adaptation", escape_markdown(names), sentences, *figures, *map(to_markdown, tables(found))]
    return "\n\n".join([*parts, f"All numbers: `{NUMBERS}`."]) + "\n"
