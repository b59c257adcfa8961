"""Use against scale: accuracy and facts per answer of every condition, by number of rows of fine-tuning.

Above, how well each condition answers. Below, how many facts its answers state: as tokens, and those that the solution
needs, in digits or as tokens, which is the count that a condition without tokens can reach too.
"""

from collections.abc import Sequence
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
    draw_accuracies,
    draw_band,
    draw_legend,
    draw_mean,
    line_handles,
    new_figure,
    styles,
)
from domain_tokens.analysis.report.tables.table import Table
from domain_tokens.analysis.report.words.names import metric_of
from domain_tokens.analysis.specification.curve import EQUAL_STEPS, RowsRead, Specification, SpecificationCurve

_APART: Final = 1.03
"""The ratio of neighbouring conditions' numbers of rows in the figure: their intervals do not cover each other."""
_MARGIN: Final = 1.2
_THIN: Final = 1.0
_TOKENS: Final = "s"
_EQUAL_STEPS = (
    "Every size takes as many steps, so a small set is read many times: what differs is how many different rows there "
    "are, and with it how often each is seen. The last step of a pass is smaller where the rows do not divide into "
    "whole steps. Equal epochs would give a hundredth of the rows a "
    "hundredth of the updates, and the size of the set could not be told from the amount of training."
)
_EQUAL_EPOCHS = (
    "Every row is read equally often, so a hundredth of the rows takes a hundredth of the updates: the size of the "
    "set cannot be told from the amount of training. Equal steps would hold the updates equal."
)
_COUNTS = (
    "Facts as tokens: every fact token in an answer. In any form: every true equation of the table with its result, "
    "in digits or as tokens, copied from the question or not; a false one is not counted, and a token is true by "
    "construction. Needed: products of the table in the worked solution; stated, those of them that the answer states "
    "right, in digits or as tokens. "
    "Means over answers and seeds. Exploratory."
)


def use_points(curve: SpecificationCurve) -> list[tuple[RowsRead, Specification]]:
    """Return the sizes in ascending order; empty if no number of rows varies.

    A variation counts if nothing but the number of rows differs from the headline, and if it has all of the headline's
    conditions.
    """
    if curve.rows_axis is None:
        return []
    found = []
    for one in curve.specifications:
        differs = {name for name, value in one.settings.items() if value != curve.main.settings[name]}
        if differs <= {curve.rows_axis.setting} and one.accuracies.keys() >= curve.main.accuracies.keys():
            assert one.rows_read is not None
            found.append((one.rows_read, one))
    return sorted(found, key=lambda point: point[0].rows)


def use_table(curve: SpecificationCurve) -> Table | None:
    """Return accuracy and facts per answer of each size and condition, or `None` if no number of rows varies."""
    points = use_points(curve)
    if curve.rows_axis is None or not points:
        return None
    row = curve.main.row
    scale, rows = Scale(row.unit), []
    for read, one in points:
        for name in curve.main.accuracies:
            accuracy, facts = one.accuracies[name], one.facts.get(name)
            counts = (
                (None,) * 4
                if facts is None
                else (facts.as_tokens, facts.in_any_form, facts.needed_stated, facts.needed)
            )
            ends = " to ".join(map(scale.value, accuracy.interval))
            cells = [f"{read.steps:,}", f"{read.examples / read.rows:.3g}", scale.value(accuracy.accuracy), ends]
            rows.append([f"{read.rows:,}", name, *cells, *map(_mean, counts)])
    group = "" if row.group == "all" else f", {row.group}"
    note = (
        f"{metric_of(row.task, row.metric, row.source, first=True)} of {row.model}{group}, seeds "
        f"{', '.join(map(str, curve.seeds))}, by the number of rows of the stage {curve.rows_axis.stage}; intervals "
        f"over seeds and items. {_EQUAL_STEPS if curve.rows_axis.equal == EQUAL_STEPS else _EQUAL_EPOCHS} {_COUNTS}"
    )
    header = [
        "rows", "condition", "steps", "times each row is read", "value", "95% interval", "facts as tokens",
        "in any form", "needed, stated", "needed",
    ]  # fmt: skip
    return Table("Use against scale", header, rows, note)


def _mean(values: Sequence[float] | None) -> str:
    return DASH if values is None else f"{fmean(values):.2f}"


def draw_use(curve: SpecificationCurve) -> Figure | None:
    """Draw accuracy above and facts per answer below, over the number of rows; `None` if no number of rows varies."""
    points = use_points(curve)
    if curve.rows_axis is None or not points:
        return None
    names = list(curve.main.accuracies)
    with matplotlib.rc_context(STYLE):
        has_facts = all(_needed_stated(one, name) for _, one in points for name in names)
        figure, panels = new_figure([1.0] * (1 + has_facts), PANEL_INCHES)
        _draw_accuracy(panels[0], curve, points, names)
        handles, labels = line_handles(len(names)), list(names)
        if has_facts:
            _draw_facts(panels[1], points, names)
            handles += [
                Line2D([], [], color=INK, linestyle="", marker="o", markersize=4),
                Line2D([], [], color=INK, linestyle="", marker=_TOKENS, markersize=8, markerfacecolor="none"),
                Line2D([], [], color=INK, linestyle=":", linewidth=_THIN),
            ]
            labels += ["needed facts, stated right", "facts as tokens", "facts needed"]
        panels[-1].set_xlabel(
            printable(f"rows of the stage {curve.rows_axis.stage}, equal {curve.rows_axis.equal} at every size")
        )
        draw_legend(figure, handles, labels)
    return figure


def _draw_accuracy(
    axes: Axes, curve: SpecificationCurve, points: list[tuple[RowsRead, Specification]], names: list[str]
) -> None:
    row = curve.main.row
    for index, (name, style) in enumerate(zip(names, styles(len(names)), strict=True)):
        x = [read.rows * _APART ** (2 * index - len(names) + 1) for read, _ in points]
        found = [one.accuracies[name] for _, one in points]
        draw_accuracies(axes, style, x, [(one.accuracy, one.interval) for one in found], row.unit)
    _label(axes, points)
    axes.set_title(printable(f"{metric_of(row.task, row.metric, row.source)}, {row.model}"))
    axes.set_ylabel(f"{'%' if row.unit is None else row.unit} (95% intervals)")


def _draw_facts(axes: Axes, points: list[tuple[RowsRead, Specification]], names: list[str]) -> None:
    x = [read.rows for read, _ in points]
    for name, style in zip(names, styles(len(names)), strict=True):
        found = [one.facts[name] for _, one in points]
        stated = [_needed_stated(one, name) for _, one in points]
        draw_band(axes, style, x, stated)
        draw_mean(axes, style, x, [fmean(seeds) for seeds in stated], marker="o", markersize=4)
        if any(max(one.as_tokens) for one in found):  # a condition without tokens has a line at 0 otherwise
            (line,) = axes.plot(x, [fmean(one.as_tokens) for one in found], color=style.color, linestyle=":")
            line.set(linewidth=_THIN, marker=_TOKENS, markersize=8, markerfacecolor="none")
    needed = [one.facts[names[0]].needed or () for _, one in points]
    axes.plot(x, [fmean(seeds) for seeds in needed], ":", color=INK, linewidth=_THIN)
    _label(axes, points)
    axes.set_title("Facts per answer")
    axes.set_ylabel("facts")


def _needed_stated(one: Specification, name: str) -> tuple[float, ...]:
    """Return the needed facts that a condition states, by seed; empty if its answers or solutions do not say."""
    facts = one.facts.get(name)
    return () if facts is None else facts.needed_stated or ()


def _label(axes: Axes, points: list[tuple[RowsRead, Specification]]) -> None:
    axes.set_xscale("log")
    axes.set_xticks([read.rows for read, _ in points], [f"{read.rows:,}" for read, _ in points])
    axes.minorticks_off()
    axes.set_xlim(points[0][0].rows / _MARGIN, points[-1][0].rows * _MARGIN)
    axes.set_ylim(bottom=0)
