"""The figure of the curves: one answer by temperature, and for each temperature several answers by their number."""

from collections.abc import Sequence
from itertools import chain

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from domain_tokens.analysis.report.formats import printable
from domain_tokens.analysis.report.plots import PANEL_INCHES, STYLE, draw_accuracies, draw_legend, line_handles, styles
from domain_tokens.sampling_curves.comparison import MAJORITY, PASSED, Curves, Point

_WIDTH_INCHES, _TITLE_INCHES = 6.6, 0.4
_GREY = "#777777"
_APART = 0.06  # the conditions' intervals do not cover each other
_RIGHT = "right, % (95% intervals)"


def draw_curves(curves: Curves) -> Figure:
    """Draw each condition's accuracies with their 95% intervals; pass@n is on the left and maj@n on the right."""
    with matplotlib.rc_context(STYLE):
        rows = [[f"{estimate} {at:g}" for estimate in (PASSED, MAJORITY)] for at in curves.drawn_at]
        height = (1 + len(rows)) * (PANEL_INCHES + _TITLE_INCHES) + _TITLE_INCHES
        figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained", facecolor="white")
        panels: dict[str, Axes] = figure.subplot_mosaic([["one answer"] * 2, *rows])
        _by_temperature(panels["one answer"], curves)
        for (passed, voted), temperature in zip(rows, curves.drawn_at, strict=True):
            _by_size(panels[passed], curves, temperature, PASSED)
            panels[passed].plot(
                curves.sizes, [100 * curves.floor(n) for n in curves.sizes], color=_GREY, linestyle=":"
            )
            _by_size(panels[voted], curves, temperature, MAJORITY)
        for column in zip(*rows, strict=True):  # one scale, so that temperatures can be compared
            ends = sorted(chain.from_iterable(panels[name].get_ylim() for name in column))
            for name in column:
                panels[name].set_ylim(max(ends[0], 0), min(ends[-1], 101))
        names = [side.name for side in curves.sides]
        floor = Line2D([], [], color=_GREY, linestyle=":")
        draw_legend(figure, [*line_handles(len(names)), floor], [*names, "floor of pass@n"])
    return figure


def _by_temperature(axes: Axes, curves: Curves) -> None:
    at = range(len(curves.temperatures))
    found = [[curves.points[side.name, PASSED, one, 1] for one in curves.temperatures] for side in curves.sides]
    _draw(axes, [[one + apart / 2 for one in at] for apart in _apart(len(found))], found)
    axes.set_xticks(list(at), ["0, greedy", *(f"{one:g}" for one in curves.drawn_at)])
    axes.set_title(f"One answer: {printable(curves.source)}, {curves.model}")
    axes.set_xlabel("temperature")
    axes.set_ylabel(_RIGHT)


def _by_size(axes: Axes, curves: Curves, temperature: float, estimate: str) -> None:
    found = [[curves.points[side.name, estimate, temperature, n] for n in curves.sizes] for side in curves.sides]
    _draw(axes, [[n * 2**apart for n in curves.sizes] for apart in _apart(len(found))], found)
    axes.set_xscale("log", base=2)
    axes.set_xticks(curves.sizes, [str(n) for n in curves.sizes])
    axes.minorticks_off()
    axes.set_title(f"{estimate} at temperature {temperature:g}")
    axes.set_xlabel("answers to a question, n")
    axes.set_ylabel(_RIGHT)


def _apart(number: int) -> list[float]:
    return [_APART * (2 * index - number + 1) for index in range(number)]


def _draw(axes: Axes, x: Sequence[Sequence[float]], found: Sequence[Sequence[Point]]) -> None:
    for places, points, style in zip(x, found, styles(len(found)), strict=True):
        draw_accuracies(axes, style, places, points)
