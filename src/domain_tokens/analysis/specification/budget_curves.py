"""Budget curves: the primary endpoint of every condition at multiples of one setting, all else as in the headline.

They show whether a condition is at its plateau: whether another multiple of the budget would move what is measured.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from domain_tokens.analysis.report.formats import DASH, Scale, printable
from domain_tokens.analysis.report.plots import (
    INK,
    PANEL_INCHES,
    STYLE,
    draw_band,
    draw_legend,
    draw_mean,
    line_handles,
    new_figure,
    styles,
)
from domain_tokens.analysis.report.tables.table import Table
from domain_tokens.analysis.report.words.names import metric_of
from domain_tokens.analysis.specification.curve import Specification, SpecificationCurve
from domain_tokens.analysis.statistics.paired import Interval, t_interval

FLOOR: Final = "floor"
_FLOOR_WIDTH: Final = 1.0  # of its dotted line
_MULTIPLE = re.compile(r"x (\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class BudgetCurve:
    """One setting's curve.

    Attributes:
        setting: for example `fine-tuning`.
        multiples: of the headline's value, ascending.
        values: of each condition, the primary endpoint by seed at each multiple.
        floors: the same of the floor that exchanged answers reach; empty unless every point has one.
    """

    setting: str
    multiples: tuple[float, ...]
    values: dict[str, list[tuple[float, ...]]]
    floors: dict[str, list[tuple[float, ...]]]


def budget_curves(curve: SpecificationCurve) -> list[BudgetCurve]:
    """Return a curve for each setting of which the headline and a variation have a multiple, such as `x 0.5`.

    A variation counts if nothing but that setting differs from the headline, and if it has all of the headline's
    conditions.
    """
    found = []
    for setting in curve.main.settings:
        points = {
            multiple: one
            for one in curve.specifications
            if _differs_in(one, curve.main) <= {setting}
            and one.values.keys() >= curve.main.values.keys()
            and (multiple := _multiple(one.settings[setting])) is not None
        }
        multiples = tuple(sorted(points))
        if len(multiples) > 1:
            ordered = [points[multiple] for multiple in multiples]
            values = {name: [one.values[name] for one in ordered] for name in curve.main.values}
            has_floors = all(one.floors.keys() >= values.keys() for one in ordered)
            floors = {name: [one.floors[name] for one in ordered] for name in values} if has_floors else {}
            found.append(BudgetCurve(setting, multiples, values, floors))
    return found


def _multiple(value: str) -> float | None:
    match = _MULTIPLE.fullmatch(value)
    return float(match[1]) if match else None


def _differs_in(one: Specification, main: Specification) -> set[str]:
    return {setting for setting, value in one.settings.items() if value != main.settings[setting]}


def budget_table(curve: SpecificationCurve) -> Table | None:
    """Return the means over seeds at each multiple, or `None` without a curve."""
    curves = budget_curves(curve)
    if not curves:
        return None
    scale, row = Scale(curve.main.row.unit), curve.main.row
    multiples = sorted({multiple for one in curves for multiple in one.multiples})
    rows = []
    for one in curves:
        named = [(name, values) for name, values in one.values.items()]
        named += [(f"{name}, {FLOOR}", values) for name, values in one.floors.items()]
        for name, values in named:
            points = dict(zip(one.multiples, map(fmean, values), strict=True))
            change = scale.difference(fmean(values[-1]) - fmean(values[0]))
            cells = [scale.value(points[m]) if m in points else DASH for m in multiples]
            rows.append([one.setting, name, *cells, change, scale.interval(_change_interval(values))])
    group = "" if row.group == "all" else f", {row.group}"
    floor = " Floor: what a run's answers reach when they are exchanged among the questions of a problem."
    note = (
        f"{metric_of(row.task, row.metric, row.source, first=True)} of {row.model}{group}, means over seeds "
        f"{', '.join(map(str, curve.seeds))}; x 1 is the headline. The change is from the first multiple to the last, "
        "its interval a paired t over the seeds." + floor * any(one.floors for one in curves) + " Exploratory."
    )
    return Table(
        "One setting multiplied, the others as in the headline",
        ["setting", "condition", *(f"x {m:g}" for m in multiples), "change", "95% interval"],
        rows,
        note,
    )


def _change_interval(values: Sequence[tuple[float, ...]]) -> Interval | None:
    """Return the interval of the change from the first multiple to the last; `None` with one seed."""
    changes = [last - first for first, last in zip(values[0], values[-1], strict=True)]
    return t_interval(changes) if len(changes) > 1 else None


def draw_budgets(curve: SpecificationCurve) -> Figure | None:
    """Draw a panel for each setting: means of the conditions, with a band over the seeds. `None` without a curve.

    A thin dotted line is the floor of each condition, where it is known.
    """
    curves = budget_curves(curve)
    if not curves:
        return None
    names = list(curve.main.values)
    with matplotlib.rc_context(STYLE):
        figure, panels = new_figure([1.0] * len(curves), PANEL_INCHES)
        for axes, one in zip(panels, curves, strict=True):
            _draw_curve(axes, one, curve.main.row.unit)
        handles = line_handles(len(names))
        if any(one.floors for one in curves):
            handles.append(Line2D([], [], color=INK, linestyle=":", linewidth=_FLOOR_WIDTH))
            names.append(f"{FLOOR}: answers exchanged")
        draw_legend(figure, handles, names)
    return figure


def _draw_curve(axes: Axes, one: BudgetCurve, unit: str | None) -> None:
    factor = 100.0 if unit is None else 1.0
    for name, style in zip(one.values, styles(len(one.values)), strict=True):
        values = [[factor * value for value in seeds] for seeds in one.values[name]]
        draw_band(axes, style, one.multiples, values)
        draw_mean(axes, style, one.multiples, [fmean(seeds) for seeds in values], marker="o", markersize=4)
        if name in one.floors:
            floor = [factor * fmean(seeds) for seeds in one.floors[name]]
            axes.plot(one.multiples, floor, color=style.color, linestyle=":", linewidth=_FLOOR_WIDTH)
    axes.set_xscale("log", base=2)
    axes.set_xticks(one.multiples, [f"x {multiple:g}" for multiple in one.multiples])
    axes.minorticks_off()
    if unit is None:
        axes.set_ylim(bottom=0)
    axes.set_title(printable(f"{one.setting}, multiples of the headline's"))
    axes.set_ylabel("accuracy, %" if unit is None else unit)
