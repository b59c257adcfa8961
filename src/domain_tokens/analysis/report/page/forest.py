"""The figure of the first screen: differences with their intervals, and both values written at the points.

It is drawn in percent of its width, with text of the page's own size, so it can be read on a phone and on a wide
screen, in dark and in light, and needs neither scripts nor style attributes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Protocol

from domain_tokens.analysis.report.findings import measured
from domain_tokens.analysis.report.formats import Scale, printable
from domain_tokens.analysis.results_model import DECLARED, PRIMARY, EndpointContrast, Overview, OverviewRow, Results
from domain_tokens.analysis.statistics.paired import Interval

_EDGE: Final = 4.0  # percent of the width that stays free on both sides
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_MAX_TICKS: Final = 5


@dataclass(frozen=True)
class Bar:
    """One row: a difference with its interval. Positions are in percent of the width.

    Attributes:
        label: what is compared.
        role: `primary`, `declared` or `exploratory`.
        decides: whether the verdict rests on it and not on the others.
        values: both values, as text.
        difference: the difference and its interval, as text.
        at, low, high: where the difference and the ends of its interval lie; the ends are `None` without an interval.
        margin: the ends of what was declared not to matter, if anything was.
        side: the side of the point on which its text has room, `start`, `middle` or `end`.
    """

    label: str
    role: str
    decides: bool
    values: str
    difference: str
    at: float
    low: float | None
    high: float | None
    margin: tuple[float, float] | None
    side: str


@dataclass(frozen=True)
class Axis:
    """The rows of one unit, with their common axis.

    Attributes:
        title: the unit and the direction that is better.
        bars: the rows.
        ticks: position and text of each tick.
        zero: where no difference lies.
    """

    title: str
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    zero: float


class Mean(Protocol):
    """One side of a difference."""

    @property
    def accuracy(self) -> float:
        """The mean."""


class Difference(Protocol):
    """A difference of two means, such as `EndpointContrast`."""

    @property
    def unit(self) -> str | None:
        """The unit of the values; `None` for fractions of 1."""

    @property
    def lower_is_better(self) -> bool:
        """Whether a lower value is better."""

    @property
    def reference(self) -> Mean:
        """The side that is subtracted."""

    @property
    def other(self) -> Mean:
        """The other side."""

    @property
    def delta(self) -> float:
        """Other less reference."""

    @property
    def interval(self) -> Interval | None:
        """The 95% interval of `delta`."""


@dataclass(frozen=True)
class Drawn:
    """What a row shows.

    Attributes:
        contrast: the difference.
        label, role, decides: as in `Bar`.
        margin: a smaller difference does not matter; `None` if nothing was declared.
    """

    contrast: Difference
    label: str
    role: str
    margin: float | None = None
    decides: bool = False


def declared_forest(results: Results) -> list[Axis]:
    """Return the declared endpoints of two conditions."""
    rows = [row for role in (PRIMARY, DECLARED) for row in results.rows if row.role == role]
    drawn = []
    for row in rows:
        averaged = f", last {row.last_checkpoints} checkpoints" if row.last_checkpoints > 1 else ""
        contrast = EndpointContrast(
            **{name: getattr(row, name) for name in EndpointContrast.model_fields if name != "with_tokenizer"},
            with_tokenizer=row.with_tokenizer,
        )
        margin = None if row.equivalence is None else row.equivalence.margin
        drawn.append(
            Drawn(
                contrast,
                f"{measured(row)}, {_stage(row.model)}{averaged}",
                row.role,
                margin,
                row.role == PRIMARY and len(rows) > 1,
            )
        )
    return axes(drawn)


def overview_forest(overview: Overview) -> list[Axis]:
    """Return the primary endpoint of every condition against the reference."""
    rows: Sequence[OverviewRow] = [row for row in overview.rows if row.role == PRIMARY]
    return axes([Drawn(row, printable(row.condition), row.role, row.margin) for row in rows])


def factor_forest(overview: Overview) -> list[Axis]:
    """Return the declared contrasts between conditions at the primary endpoint."""
    rows = overview.factors
    return axes(
        [Drawn(row, printable(f"{row.factor}: {row.with_factor} minus {row.without}"), DECLARED) for row in rows]
    )


def _stage(model: str) -> str:
    return printable(f"after {model.removesuffix('_final')}")


def axes(drawn: Sequence[Drawn]) -> list[Axis]:
    """Return the rows of each unit, with their axis."""

    def unit(one: Drawn) -> tuple[str, bool]:
        return one.contrast.unit or "", one.contrast.lower_is_better

    order = list(dict.fromkeys(map(unit, drawn)))
    return [
        _axis(list(group)) for _, group in groupby(sorted(drawn, key=lambda one: order.index(unit(one))), key=unit)
    ]


def _axis(drawn: list[Drawn]) -> Axis:
    first = drawn[0].contrast
    scale, factor = Scale(first.unit), 100.0 if first.unit is None else 1.0
    ends = [0.0]
    for one in drawn:
        ends += [one.contrast.delta, *(one.contrast.interval or ())]
        ends += [] if one.margin is None else [-one.margin, one.margin]
    low, high = factor * min(ends), factor * max(ends)
    if high - low == 0:
        low, high = -1.0, 1.0

    def place(value: float) -> float:
        share = (factor * value - low) / (high - low)
        return round(_EDGE + (100 - 2 * _EDGE) * share, 2)

    better = "left" if first.lower_is_better else "right"
    return Axis(
        title=f"difference in {scale.word}; better is to the {better}",
        bars=tuple(_bar(one, scale, place(one.contrast.delta), place) for one in drawn),
        ticks=tuple((place(tick / factor), f"{tick:+g}" if tick else "0") for tick in _ticks(low, high)),
        zero=place(0.0),
    )


def _bar(one: Drawn, scale: Scale, at: float, place: Callable[[float], float]) -> Bar:
    contrast = one.contrast
    low, high = (None, None) if contrast.interval is None else map(place, contrast.interval)
    shown = f"{scale.difference(contrast.delta)}"
    if contrast.interval is not None:
        shown += f" ({scale.interval(contrast.interval)})"
    return Bar(
        label=one.label,
        role=one.role,
        decides=one.decides,
        values=f"{scale.value(contrast.reference.accuracy)} → {scale.value(contrast.other.accuracy)}",
        difference=shown,
        at=at,
        low=low,
        high=high,
        margin=None if one.margin is None else (place(-one.margin), place(one.margin)),
        side="start" if at < 30 else "end" if at > 70 else "middle",
    )


def _ticks(low: float, high: float) -> list[float]:
    """Return at most five round numbers between two ends, 0 among them if it lies there."""
    power = 10.0 ** math.floor(math.log10((high - low) / _MAX_TICKS))
    step = next(step * power for step in (*_STEPS, 100.0) if (high - low) / (step * power) <= _MAX_TICKS)
    return [step * index for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
