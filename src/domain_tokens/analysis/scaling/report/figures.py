"""The figures of a scaling analysis: runs with fits, residuals, curves of equal compute, the multiplier by scale."""

import math
from collections.abc import Sequence
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from scipy.interpolate import PchipInterpolator

from domain_tokens.analysis.report.formats import printable
from domain_tokens.analysis.report.plots import INK, PANEL_INCHES, STYLE, draw_legend, new_figure, styles
from domain_tokens.analysis.scaling.designs import IDENTIFIED
from domain_tokens.analysis.scaling.forms import AXES
from domain_tokens.analysis.scaling.points import Point, Points
from domain_tokens.analysis.scaling.records import Analysis, Estimate, Fit, PairFit

_MARKERS: Final = ("o", "s", "^", "D")
_FIT_INCHES: Final = 3.2
_NUM_BUDGETS: Final = 5
_NEAR_BUDGET: Final = 0.15  # of log compute: points this near are drawn with a curve of equal compute
_LEAST_REACH: Final = 1.6  # by which a curve of equal compute reaches to both sides
_COLUMNS: Final = {
    "N": ("parameters", "non_embedding_parameters"),
    "D": ("tokens", "tokens"),
    "C": ("flops", "flops"),
    "T": ("context", "model.n_positions"),
}
_OVERALL, _BY_SCALE = "#2f7d4f", "#7a4fa3"  # of no condition: a multiplier is of two
_MOST_DRAWN: Final = 5.0  # what is further from the estimate, or from 1, leaves the axes


def draw(analysis: Analysis, points: Points) -> dict[str, Figure]:
    """Return the figures by name."""
    figures = {}
    with matplotlib.rc_context(STYLE):
        for axes in dict.fromkeys(fit.axes for fit in analysis.fits):
            name = "_".join(axes)
            fits = [fit for fit in analysis.fits if fit.axes == axes]
            figures[f"fits_{name}"] = _fits(fits, points)
            figures[f"residuals_{name}"] = _residuals(fits, points)
            if len(axes) > 1:
                figures["equal_compute"] = _equal_compute(fits, points)
        for pair in analysis.pairs:
            several = f"_{pair.other}" if len(analysis.conditions) > 2 else ""
            figures[f"multiplier_{'_'.join(pair.axes)}{several}"] = _multiplier(pair, points)
    return figures


def _scale(point: Point, axis: str) -> float:
    return point.values[axis]  # type: ignore[index]


def _fits(fits: Sequence[Fit], points: Points) -> Figure:
    figure, (axes,) = new_figure([1.0], _FIT_INCHES)
    chosen = styles(len(fits))
    for fit, style, marker in zip(fits, chosen, _markers(len(fits)), strict=True):
        inside = sum(not one.extrapolated for one in fit.curve)
        _draw_curve(axes, style.color, [one.scale for one in fit.curve], [one.loss for one in fit.curve], inside)
        for held_out in (False, True):
            members = points.of(fit.condition, held_out)
            axes.plot(
                [_compute(one) if len(fit.axes) > 1 else _scale(one, fit.scale) for one in members],
                [one.losses[fit.loss] for one in members],
                linestyle="",
                marker=marker,
                markersize=4,
                color=style.color,
                markerfacecolor="white" if held_out else style.color,
                markeredgewidth=0.9,
            )
    _log_axis(axes, fits[0].scale, points)
    _limit_to_values(axes, fits, points)
    axes.set_ylabel(_loss_label(fits[0].loss))
    what = "best division of compute" if len(fits[0].axes) > 1 else f"L({fits[0].axes[0]})"
    axes.set_title(f"{what}: fits and runs")
    handles, names = _condition_handles(fits)
    handles += [Patch(facecolor=INK, alpha=0.2), Line2D([], [], color=INK, linestyle=(0, (2, 2)))]
    names += ["band: 95% interval of the mean", "beyond the fitted range"]
    if any(point.held_out for point in points.points):
        handles.append(Line2D([], [], color=INK, marker="o", linestyle="", markerfacecolor="white", markersize=4))
        names.append("held out: not fitted")
    draw_legend(figure, handles, names)
    return figure


def _limit_to_values(axes: Axes, fits: Sequence[Fit], points: Points) -> None:
    """Choose limits from losses and curves, so that a band without an end does not flatten them."""
    known = [one.loss.value for fit in fits for one in fit.curve]
    known += [point.losses[fits[0].loss] for point in points.points]
    margin = (max(known) / min(known)) ** 0.08
    axes.set_yscale("log")
    axes.set_ylim(min(known) / margin, max(known) * margin)
    _log_values(axes)


def _ends(estimates: Sequence[Estimate], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return lower and upper ends: far outside where the data do not bound one, and no band without intervals."""
    has_none = all(one.low is None and one.high is None for one in estimates)
    pairs = list(zip(estimates, values, strict=True))
    low = [value if has_none else value * 1e-3 if one.low is None else one.low for one, value in pairs]
    high = [value if has_none else value * 1e3 if one.high is None else one.high for one, value in pairs]
    return low, high


def _markers(number: int) -> list[str]:
    return [_MARKERS[index % len(_MARKERS)] for index in range(number)]


def _condition_handles(fits: Sequence[Fit], with_line: bool = True) -> tuple[list[Any], list[str]]:
    handles: list[Any] = [
        Line2D([], [], color=style.color, marker=marker, markersize=4, linestyle="-" if with_line else "")
        for style, marker in zip(styles(len(fits)), _markers(len(fits)), strict=True)
    ]
    return handles, [printable(fit.condition) for fit in fits]


def _log_axis(axes: Axes, axis: str, points: Points) -> None:
    axes.set_xscale("log")
    axes.set_xlabel(_axis_label(axis, points))
    low, high = axes.get_xlim()
    decades = math.log10(high / low)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2.2 else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: size_words(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(low, high)


def size_words(value: float) -> str:
    """Write a size briefly: `200k`, `1.5M`, `1e18`."""
    for unit, letter in ((1e12, ""), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{letter}" if letter else f"{value:.0e}".replace("e+", "e")
    return f"{value:.3g}"


def _log_values(axes: Axes) -> None:
    """Give a logarithmic axis of values ticks that are round numbers, also where it spans less than a decade."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high / low < 10:
        axes.yaxis.set_major_locator(MaxNLocator(7))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_curve(axes: Axes, color: str, scales: Sequence[float], estimates: Sequence[Estimate], inside: int) -> None:
    """Draw values with the band of their intervals, on from the first `inside` scales in fainter and dashed lines."""
    values = [one.value for one in estimates]
    low, high = _ends(estimates, values)
    x = np.log(scales)
    for part, alpha, width, dashes in (
        (x[:inside], 0.22, 1.4, "-"),
        (x[max(inside - 1, 0) :], 0.1, 1.1, (0, (2, 2))),
    ):
        if len(part) < 2:
            continue
        fine = np.linspace(part[0], part[-1], 60)
        bottom, line, top = (np.exp(PchipInterpolator(x, np.log(one))(fine)) for one in (low, values, high))
        axes.fill_between(np.exp(fine), bottom, top, color=color, alpha=alpha, linewidth=0)
        axes.plot(np.exp(fine), line, color=color, linewidth=width, linestyle=dashes)


def _axis_label(axis: str, points: Points) -> str:
    """Return what an axis is, with the name that the table has for it if that is not the project's."""
    role, own = _COLUMNS[axis]
    column = points.columns.get(role, own)
    return AXES[axis] if column == own else printable(f"{role} ({column})")  # type: ignore[index]


def _loss_label(loss: str) -> str:
    return printable(loss.replace("_", " "))


def _residuals(fits: Sequence[Fit], points: Points) -> Figure:
    figure, panels = new_figure([1.0] * len(fits[0].axes), PANEL_INCHES)
    for axes, axis in zip(panels, fits[0].axes, strict=True):
        for index, (fit, style, marker) in enumerate(zip(fits, styles(len(fits)), _markers(len(fits)), strict=True)):
            members = points.of(fit.condition)
            apart = 1 + 0.03 * (index - (len(fits) - 1) / 2)  # conditions of one size stand side by side
            axes.plot(
                [apart * _scale(one, axis) for one in members],
                [100 * fit.residuals[str(one.line)] for one in members],
                linestyle="",
                marker=marker,
                markersize=4,
                color=style.color,
                alpha=0.8,
            )
        axes.axhline(0, color=INK, linewidth=0.8)
        _log_axis(axes, axis, points)
        axes.set_ylabel("observed less fitted, %")
    panels[0].set_title("Residuals of the fits")
    draw_legend(figure, *_condition_handles(fits, with_line=False))
    return figure


def _equal_compute(fits: Sequence[Fit], points: Points) -> Figure:
    """Draw for each condition the fitted loss over parameters at several budgets of compute, with runs near them."""
    figure, panels = new_figure([1.0] * len(fits), _FIT_INCHES)
    colors = matplotlib.colormaps["viridis"](np.linspace(0.05, 0.85, _NUM_BUDGETS))
    handles, names = [], []
    for axes, fit in zip(panels, fits, strict=True):
        members = points.of(fit.condition)
        budgets = _budgets(members)
        values = {one.name: one.estimate.value for one in fit.parameters}
        for budget, color in zip(budgets, colors, strict=True):
            near = [one for one in members if abs(math.log(_compute(one) / budget)) < _NEAR_BUDGET]
            n = np.geomspace(*_reach(members, budget), 100)
            loss = values.get("E", 0.0) + values["A"] / n ** values["alpha"]
            loss = loss + values["B"] / (budget / 6 / n) ** values["beta"]
            axes.plot(n, loss, color=color, linewidth=1.3)
            best = int(np.argmin(loss))
            if 0 < best < len(n) - 1:
                axes.plot(n[best], loss[best], marker="*", markersize=9, color=color, markeredgecolor=INK)
            axes.plot(
                [one.values["N"] for one in near],
                [one.losses[fit.loss] for one in near],
                linestyle="",
                marker="o",
                markersize=3.5,
                color=color,
            )
        _log_axis(axes, "N", points)
        axes.set_ylabel(_loss_label(fit.loss))
        axes.set_title(printable(f"Equal compute: {fit.condition}"))
        handles = [Line2D([], [], color=color) for color in colors]
        names = [f"{budget:.2g} FLOPs".replace("e+", "e") for budget in budgets]
    handles.append(Line2D([], [], color="white", marker="*", markersize=9, markeredgecolor=INK, linestyle=""))
    draw_legend(figure, handles, [*names, "lowest loss of a budget"])
    return figure


def _compute(point: Point) -> float:
    return 6 * point.values["N"] * point.values["D"]


def _budgets(points: Sequence[Point]) -> list[float]:
    """Return budgets over the measured range, each moved to the median of the runs near it."""
    compute = np.array([_compute(point) for point in points])
    spaced = np.geomspace(np.quantile(compute, 0.1), np.quantile(compute, 0.9), _NUM_BUDGETS)
    nearest = [compute[np.argsort(np.abs(np.log(compute / budget)))[:3]] for budget in spaced]
    return [float(np.median(near)) for near in nearest]


def _reach(points: Sequence[Point], budget: float) -> tuple[float, float]:
    """Return from which to which N a curve of equal compute is drawn: where both N and D are among those measured."""
    n = [point.values["N"] for point in points]
    d = [point.values["D"] for point in points]
    low, high = max(min(n), budget / 6 / max(d)), min(max(n), budget / 6 / min(d))
    middle = math.sqrt(low * high)  # near the ends of the table, hardly any N has a measured D
    return min(low, middle / _LEAST_REACH), max(high, middle * _LEAST_REACH)


def _multiplier(pair: PairFit, points: Points) -> Figure:
    figure, (axes,) = new_figure([1.0], _FIT_INCHES)
    main = pair.multiplier.estimate
    told = pair.floor == IDENTIFIED  # without a floor, a trend over scales would be the form's own
    shown = [one for one in pair.by_scale if one.own is not None] if told else []
    estimates = [one.own for one in shown if one.own is not None]
    inside = sum(not one.extrapolated for one in shown)
    if shown:
        _draw_curve(axes, _BY_SCALE, [one.scale for one in shown], estimates, inside)
    measured = [one.scale for one in pair.by_scale if not one.extrapolated]
    ends = [measured[0], measured[-1]]
    if main.low is not None and main.high is not None:
        axes.fill_between(ends, main.low, main.high, color=_OVERALL, alpha=0.25, linewidth=0)
    axes.plot(ends, [main.value] * 2, color=_OVERALL, linewidth=1.6)
    axes.axhline(1, color=INK, linewidth=0.8)
    for one in pair.measured:
        axes.plot(
            [one.scale],
            [one.value],
            marker="o",
            markersize=3.5,
            color="#555555",
            markerfacecolor="white" if one.held_out else "#555555",
            linestyle="",
        )
    _log_axis(axes, pair.scale, points)
    _multiplier_axis(axes, pair, estimates[:inside])
    thing = {"N": "parameters", "D": "tokens", "C": "compute", "T": "context"}[pair.scale]
    axes.set_ylabel(f"multiplier of {thing}")
    axes.set_title(printable(f"How much more {pair.reference} needs than {pair.other}"))
    handles = [
        Line2D([], [], color=_OVERALL, linewidth=1.6),
        Line2D([], [], color=_BY_SCALE),
        Patch(facecolor=INK, alpha=0.2),
        Line2D([], [], color=INK, linestyle=(0, (2, 2))),
    ]
    names = ["one for all scales", "by scale", "bands: 95% intervals", "extrapolated"]
    if not told:
        handles, names = handles[::2], names[::2]
    for held_out, name in ((False, "a pair of runs"), (True, "a held-out pair")):
        if any(one.held_out == held_out for one in pair.measured):
            face = "white" if held_out else "#555555"
            handles.append(
                Line2D([], [], color="#555555", marker="o", linestyle="", markersize=3.5, markerfacecolor=face)
            )
            names.append(name)
    draw_legend(figure, handles, names)
    return figure


def _multiplier_axis(axes: Axes, pair: PairFit, inside: Sequence[Estimate]) -> None:
    """Choose limits that hold the estimate, and as much of the rest as does not flatten it."""
    main = pair.multiplier.estimate
    known = [main.low, main.high, *(one.value for one in pair.measured)]
    known += [end for one in inside for end in (one.value, one.low, one.high)]
    held = [0.0, math.log(main.value)]
    far = math.log(_MOST_DRAWN)
    logs = held + [math.log(one) for one in known if one and min(held) - far < math.log(one) < max(held) + far]
    margin = max(0.15 * (max(logs) - min(logs)), 0.02)
    axes.set_yscale("log")
    axes.set_ylim(math.exp(min(logs) - margin), math.exp(max(logs) + margin))
    _log_values(axes)
