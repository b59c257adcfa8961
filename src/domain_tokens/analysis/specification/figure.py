"""The figure of a specification curve: differences with intervals above, and below them which setting each had."""

import re
from statistics import median

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from domain_tokens.analysis.report.formats import Scale, printable
from domain_tokens.analysis.report.plots import STYLE
from domain_tokens.analysis.specification.curve import SpecificationCurve

NAME = "robustness"

_HEADLINE, _OTHERS, _SAME = "#D55E00", "#333333", "#bbbbbb"
_REACH = 3
_WIDTH_INCHES, _CURVE_INCHES, _ROW_INCHES = 7.2, 2.6, 0.17


def draw_curve(curve: SpecificationCurve) -> dict[str, Figure]:
    """Return the figure by its name. A column is a variation; the headline's is coloured and has a square."""
    rows = setting_rows(curve)
    height = _CURVE_INCHES + _ROW_INCHES * (len(rows) + 2)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained", facecolor="white")
        ratios = [_CURVE_INCHES, _ROW_INCHES * max(len(rows), 1)]
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=ratios)
        _effects(above, curve)
        _dots(below, curve, rows)
    return {NAME: figure}


def setting_rows(curve: SpecificationCurve) -> list[tuple[str, str]]:
    """Return the rows of the matrix: of every setting that varies its values, by the numbers in them.

    Values without a number come as they are met, the headline's first.
    """
    rows = []
    for setting in curve.main.settings:
        found = dict.fromkeys(one.settings[setting] for one in (curve.main, *curve.specifications))
        if len(found) > 1:
            rows += [(setting, value) for value in sorted(found, key=_number)]
    return rows


def _number(value: str) -> float:
    found = re.search(r"\d+(\.\d+)?", value)
    return float(found[0]) if found else 0.0


def _effects(axes: Axes, curve: SpecificationCurve) -> None:
    unit = curve.main.row.unit
    factor = 100.0 if unit is None else 1.0
    bottom, top = _reach(curve, factor)
    for column, one in enumerate(curve.specifications):
        is_main = one.name == curve.headline
        color = _HEADLINE if is_main else _OTHERS
        ends = [factor * end for end in one.row.interval or (one.row.delta, one.row.delta)]
        inside = [max(ends[0], bottom), min(ends[1], top)]
        axes.plot([column, column], inside, color=color, linewidth=2.2 if is_main else 1.2)
        for end, cut, marker in zip(ends, inside, "v^", strict=True):
            if end != cut:
                axes.plot([column], [cut], marker=marker, color=color, markersize=6)
        axes.plot([column], [factor * one.row.delta], marker="s" if is_main else "o", color=color, markersize=5)
    axes.axhline(0, color="#333333", linewidth=0.8)
    axes.axhline(factor * curve.main.row.delta, color=_HEADLINE, linewidth=0.8, linestyle=":")
    lower = ", lower is better" if curve.main.row.lower_is_better else ""
    axes.set_ylabel(f"difference, {Scale(unit).word}{lower}", fontsize=9)
    axes.grid(axis="x", visible=False)


def _reach(curve: SpecificationCurve, factor: float) -> tuple[float, float]:
    """Return where intervals are cut: a few usual half-widths beyond the points, so that a wide one hides no other."""
    deltas = [0.0, *(factor * one.row.delta for one in curve.specifications)]
    widths = [
        factor * (one.row.interval[1] - one.row.interval[0]) / 2
        for one in curve.specifications
        if one.row.interval is not None
    ]
    usual = _REACH * median(widths) if widths else 0.0
    return min(deltas) - usual, max(deltas) + usual


def _dots(axes: Axes, curve: SpecificationCurve, rows: list[tuple[str, str]]) -> None:
    """Draw a dot for every setting of every variation; one that differs from the headline's is dark."""
    for column, one in enumerate(curve.specifications):
        is_main = one.name == curve.headline
        for position, (setting, value) in enumerate(rows):
            if one.settings[setting] != value:
                continue
            differs = value != curve.main.settings[setting]
            color = _HEADLINE if is_main else _OTHERS if differs else _SAME
            axes.plot([column], [position], marker="s" if is_main else "o", color=color, markersize=4, linestyle="")
    axes.set_yticks(range(len(rows)), [printable(f"{setting}: {value}") for setting, value in rows])
    axes.tick_params(axis="y", labelsize=7)
    names = [printable(one.name) for one in curve.specifications]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    for label, name in zip(axes.get_xticklabels(), names, strict=True):
        if name == printable(curve.headline):
            label.set_color(_HEADLINE)
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axes.set_xlim(-0.5, len(names) - 0.5)
