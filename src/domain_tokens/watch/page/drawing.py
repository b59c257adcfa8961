"""Draws curves as SVG that fits any width: lines stretch with the page, and text keeps its size.

There are no style attributes, which the page's content security policy forbids, and no scripts.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from domain_tokens.watch.files.metrics import Points
from domain_tokens.watch.view import Chart, Line

_WIDE: Final = 1000  # units of the drawing, in both directions
_TOP, _BOTTOM = 0.05, 0.88  # of the height, between which values lie
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_MAX_TICKS: Final = 5
_MOST_POINTS: Final = 400  # of a line, more than pixels can show
_LOG_FROM: Final = 8.0  # of the largest value to the smallest, from which the scale is logarithmic
COLOURS: Final = 6
"""As many conditions have colours of their own; the style sheet names them."""


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, in percent, and what it says."""

    at: float
    text: str


@dataclass(frozen=True)
class DrawnLine:
    """A line: its points in units of the drawing, the number of its colour, and whether it is dashed."""

    points: str
    colour: int
    is_dashed: bool
    is_single: bool


@dataclass(frozen=True)
class Drawing:
    """A chart ready to be written: lines, ticks of both axes, and whether the values are on a logarithmic scale."""

    chart: Chart
    lines: tuple[DrawnLine, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    is_logarithmic: bool

    @property
    def label(self) -> str:
        """What a reader hears who does not see the lines."""
        ends = ", ".join(
            f"{line.condition} seed {line.seed}: {line.points[-1][1]:.4g}" for line in self.chart.lines if line.points
        )
        return f"{self.chart.title}, in {self.chart.unit}. Last values: {ends}"


def draw(chart: Chart, conditions: Sequence[str]) -> Drawing:
    """Lay out a chart.

    Args:
        chart (`Chart`): at least one line of it has two points.
        conditions (`Sequence[str]`): all of the experiment, so that one has the same colour in every chart.
    """
    lines = [(line, line.points) for line in chart.lines if line.points]
    values = [value for _, points in lines for _, value in points]
    low, high = min(values, default=0.0), max(values, default=1.0)
    is_logarithmic = low > 0 and high / low > _LOG_FROM
    scale = math.log if is_logarithmic else float
    bottom, top = scale(low), scale(high)
    most = max((step for _, points in lines for step, _ in points), default=1.0) or 1.0
    span = top - bottom or 1.0

    def height(value: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * (scale(value) - bottom) / span

    drawn = [
        DrawnLine(
            " ".join(f"{_WIDE * step / most:.1f},{_WIDE * height(value):.1f}" for step, value in thin(points)),
            conditions.index(line.condition) % COLOURS,
            line.is_validation and _has_both(chart.lines),
            len(points) == 1,
        )
        for line, points in lines
    ]
    up = tuple(Tick(100 * height(value), f"{value:.4g}") for value in _ticks(low, high, is_logarithmic))
    across = tuple(Tick(100 * step / most, f"{step:,.0f}") for step in _round_values(0.0, most) if step < 0.97 * most)
    return Drawing(chart, tuple(drawn), across, up, is_logarithmic)


def thin(points: Points) -> Points:
    """Return as many points as a line can show: of each stretch one, and the last."""
    every = max(1, math.ceil(len(points) / _MOST_POINTS))
    return points[:-1:every] + points[-1:]


def _has_both(lines: Sequence[Line]) -> bool:
    return any(line.is_validation for line in lines) and not all(line.is_validation for line in lines)


def _ticks(low: float, high: float, is_logarithmic: bool) -> list[float]:
    if not is_logarithmic:
        return list(_round_values(low, high))
    tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [factor * 10.0**ten for ten in tens for factor in (1, 2, 5) if low <= factor * 10.0**ten <= high]
    every = math.ceil(len(found) / _MAX_TICKS)
    return found[::every] if every else []


def _round_values(low: float, high: float) -> Iterator[float]:
    """Yield at most five round values from low to high."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        yield low
        return
    unit = 10.0 ** math.floor(math.log10(span / _MAX_TICKS))
    step = next(unit * factor for factor in (*_STEPS, 20.0) if span / (unit * factor) <= _MAX_TICKS)
    for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1):
        yield number * step
