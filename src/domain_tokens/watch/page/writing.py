"""The live view as one HTML file: all text escaped, no scripts, nothing from the network."""

from pathlib import Path

from domain_tokens.page import render
from domain_tokens.watch import words
from domain_tokens.watch.files.health import CHECK
from domain_tokens.watch.page.drawing import COLOURS, draw
from domain_tokens.watch.view import View, running_stages

_SAID = (
    "cell",
    "column",
    "counts",
    "at_work",
    "seconds",
    "loss",
    "speed",
    "checkpoint",
    "older",
    "whole",
    "path",
    "when",
)


def to_html(view: View, every_s: float | None) -> str:
    """Return the page of a view.

    Args:
        view (`View`): what is shown.
        every_s (`float`, *optional*): after how many seconds a browser loads it again; `None` for a page that is not
            written again.
    """
    drawings = {one.name: [draw(chart, one.conditions) for chart in one.charts] for one in view.experiments}
    return render(
        Path(__file__).parent,
        "page.html",
        "style.css",
        {name: getattr(words, name) for name in _SAID},
        view=view,
        refresh=None if every_s is None or view.is_over else max(1, round(every_s)),
        headline=words.headline(view),
        alive=words.alive(view),
        running=running_stages(view.experiments),
        drawings=drawings,
        signs=words.SIGNS,
        check=CHECK,
        num_colours=COLOURS,
    )  # fmt: skip
