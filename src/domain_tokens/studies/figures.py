"""The plots of a study: the loss of every point, and of every run while it was trained."""

import math
from collections.abc import Sequence
from itertools import groupby

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from domain_tokens.analysis.report.formats import printable
from domain_tokens.analysis.report.plots import BAND, STYLE, draw_legend, new_figure, styles
from domain_tokens.studies.table import Row

_LOSS = "bits_per_byte"
_LOSS_LABEL = "bits per byte of the validation text"
_INCHES, _INCHES_A_POINT = 3.0, 0.22


def draw_study(rows: Sequence[Row], axis: str) -> dict[str, Figure]:
    """Return the figures by name: `losses`, of the finished runs, and `checkpoints`, of all evaluated models.

    Args:
        rows (`Sequence[Row]`): the rows of the study's table.
        axis (`str`): the varied key that losses are drawn over; where its values are no numbers, or several points
            have one value, each point has a line of its own.
    """
    with matplotlib.rc_context(STYLE):
        final = [row for row in rows if row["final"]]
        figures = {"losses": _over_axis(final, axis) if _is_numeric(final, axis) else _by_point(final)}
        if len({row["step"] for row in rows}) > 1:
            figures["checkpoints"] = _over_tokens(rows)
        return figures


def _is_numeric(rows: Sequence[Row], axis: str) -> bool:
    values = {row["point"]: row.get(axis) for row in rows}
    numbers = [value for value in values.values() if isinstance(value, int | float) and not isinstance(value, bool)]
    return len(numbers) == len(values) == len(set(numbers)) and all(number > 0 for number in numbers)


def _over_axis(rows: Sequence[Row], axis: str) -> Figure:
    figure, (axes,) = new_figure([1.0], _INCHES)
    conditions = _conditions(rows)
    for condition, style in zip(conditions, styles(len(conditions)), strict=True):
        own = sorted((row for row in rows if row["condition"] == condition), key=lambda row: row[axis])
        places = [value for value, _ in groupby(own, key=lambda row: row[axis])]
        losses = [[row[_LOSS] for row in own if row[axis] == place] for place in places]
        axes.plot(places, [sum(group) / len(group) for group in losses], color=style.color, linestyle=style.linestyle)
        axes.fill_between(places, list(map(min, losses)), list(map(max, losses)), color=style.color, alpha=0.15)
        for held_out, face in ((False, style.color), (True, "white")):
            group = [row for row in own if row["held_out"] is held_out]
            axes.plot(
                [row[axis] for row in group], [row[_LOSS] for row in group], linestyle="", marker="o", markersize=3.5,
                color=style.color, markerfacecolor=face,
            )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks(
        sorted({row[axis] for row in rows}), [f"{value:g}" for value in sorted({row[axis] for row in rows})]
    )
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    axes.set_xlabel(axis)
    axes.set_ylabel(_LOSS_LABEL)
    _legend(figure, conditions, BAND if len({row["seed"] for row in rows}) > 1 else "")
    return figure


def _by_point(rows: Sequence[Row]) -> Figure:
    points = list(dict.fromkeys(row["point"] for row in rows))
    conditions = _conditions(rows)
    figure, (axes,) = new_figure([1.0], max(1.2, _INCHES_A_POINT * len(points) + 0.6))
    offsets = [0.24 * (index - (len(conditions) - 1) / 2) for index in range(len(conditions))]
    for condition, style, offset in zip(conditions, styles(len(conditions)), offsets, strict=True):
        own = [row for row in rows if row["condition"] == condition]
        axes.plot(
            [row[_LOSS] for row in own], [points.index(row["point"]) + offset for row in own], linestyle="",
            marker="o", markersize=3.5, color=style.color,
        )  # fmt: skip
    axes.set_yticks(range(len(points)), [printable(point) for point in points])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(_LOSS_LABEL)
    _legend(figure, conditions, "")
    return figure


def _over_tokens(rows: Sequence[Row]) -> Figure:
    figure, (axes,) = new_figure([1.0], _INCHES)
    conditions = _conditions(rows)
    for condition, style in zip(conditions, styles(len(conditions)), strict=True):
        own = [row for row in rows if row["condition"] == condition]
        for _, group in groupby(own, key=lambda row: (row["point"], row["seed"])):
            run = sorted(group, key=lambda row: row["tokens"])
            axes.plot(
                [row["tokens"] for row in run], [row[_LOSS] for row in run], color=style.color, linewidth=0.8,
                linestyle=style.linestyle, marker=".", markersize=3,
            )  # fmt: skip
    tokens = [row["tokens"] for row in rows]
    if max(tokens) > 8 * min(tokens):
        axes.set_xscale("log")
    elif (thousands := math.floor(math.log10(max(tokens)) / 3)) > 0:
        axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000**thousands:g}{' kMB'[thousands]}")
    axes.set_xlabel("tokens read")
    axes.set_ylabel(_LOSS_LABEL)
    axes.set_title("every run while it was trained")
    _legend(figure, conditions, "")
    return figure


def _conditions(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["condition"] for row in rows))


def _legend(figure: Figure, conditions: Sequence[str], band: str) -> None:
    handles = [
        Line2D([], [], color=style.color, linestyle=style.linestyle, marker="o", markersize=3.5)
        for style in styles(len(conditions))
    ]
    names = [printable(condition) for condition in conditions]
    if band:
        handles.append(Line2D([], [], color="#888888", linewidth=5, alpha=0.3))
        names.append(band)
    draw_legend(figure, handles, names)
