"""The style of the plots, and those of losses, GRPO, accuracies and differences, as PNG and SVG.

Figures are narrow, so that their labels can still be read on a phone. The two conditions differ in colour (Okabe and
Ito's palette, distinct to colour-blind readers), in line style and in hatching. Names are drawn literally: `$`
does not start a formula.
"""

import io
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from statistics import fmean
from typing import Final, Literal, NamedTuple

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from domain_tokens.analysis.report.formats import printable
from domain_tokens.analysis.report.words.names import metric_of
from domain_tokens.analysis.results_model import (
    DECLARED,
    EXPLORATORY,
    PRIMARY,
    EndpointContrast,
    ResultRow,
)
from domain_tokens.analysis.statistics.paired import Interval
from domain_tokens.runs.records import MetricsRow
from domain_tokens.runs.results import ALL_ITEMS, Condition, Pair


class _Style(NamedTuple):
    color: str
    linestyle: Literal["-", "--", "-.", ":"]
    hatch: str


_STYLES = (_Style("#0072B2", "-", ""), _Style("#D55E00", "--", "////"))
_MORE = (
    _Style("#009E73", "-.", "...."),
    _Style("#CC79A7", ":", "xxxx"),
    _Style("#E69F00", "-", "\\\\\\\\"),
    _Style("#9467BD", "--", "oooo"),
    _Style("#8C6D31", "-.", "++++"),
    _Style("#888888", ":", "----"),
)
INK = "#1b1f24"
STYLE: Final = {
    "text.parse_math": False,
    "svg.hashsalt": "comparison",  # the same figure gives the same bytes
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "hatch.linewidth": 0.6,
}
_DPI: Final = 150
_WIDTH_INCHES, PANEL_INCHES = 4.6, 2.3
COLORS = {PRIMARY: _STYLES[1].color, DECLARED: INK, EXPLORATORY: "#888888"}
LOSS = "loss per token, nats"
BAND: Final = "band: lowest to highest seed"
"""What the legend of every figure with a band calls it: it is no interval."""
_GRPO = {
    "reward": "mean reward",
    "facts_per_completion": "facts per completion",
    "completion_tokens": "tokens per completion",
    "kl": "KL to the SFT model, nats",
}

# A curve is one condition's and seed's {step: value}; a panel is its title and, per condition, its seeds' curves.
Curve = dict[int, float]
Panel = tuple[str, Sequence[list[Curve]]]


def render(figures: dict[str, Figure], kinds: Sequence[str] = ("png", "svg")) -> dict[str, bytes]:
    """Return each figure as `<name>.png` (150 dots per inch) and `<name>.svg`, by file name.

    Args:
        figures (`dict[str, Figure]`): by name.
        kinds (`Sequence[str]`, *optional*): which of the two.
    """
    metadata: dict[str, dict[str, None]] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
    images = {}
    with matplotlib.rc_context(STYLE):
        for name, figure in figures.items():
            figure.set_dpi(_DPI)  # widths of text are rounded to dots: a layout for fewer cuts the longest label
            if (engine := figure.get_layout_engine()) is not None:
                engine.execute(figure)
            figure.set_layout_engine("none")  # computing the layout once for both files halves the time
            for kind in kinds:
                drawn = io.BytesIO()
                figure.savefig(drawn, format=kind, dpi=_DPI, metadata=metadata[kind])
                images[f"{name}.{kind}"] = drawn.getvalue()
    return images


def stage_panels(conditions: Sequence[Condition], stages: Sequence[str], key: str) -> Iterator[Panel]:
    """Yield a panel for each stage, and each part of a stage, in which a value was logged."""
    several = len(conditions) > 1 and key == "eval_loss"
    for stage in stages:
        log = conditions[0].first_run.stages[stage].log
        for part in dict.fromkeys(row.stage for row in log if _finite(row, key) is not None):

            def wanted(row: MetricsRow, part: str | None = part) -> bool:
                return row.stage == part

            title = stage if part in (None, stage) else f"{stage}: {part}"
            title += " (not comparable between tokenizers)" if several else ""
            yield title, [_curves_of(condition, stage, key, wanted) for condition in conditions]


def grpo_panels(pair: Pair) -> Iterator[Panel]:
    """Yield a panel for each value of GRPO that was logged."""
    for key, title in _GRPO.items():
        curves = [_curves_of(condition, "grpo_final", key) for condition in pair.sides]
        if any(curve for side in curves for curve in side):
            yield title, curves


def _curves_of(
    condition: Condition, stage: str, key: str, wanted: Callable[[MetricsRow], bool] = lambda row: True
) -> list[Curve]:
    runs = [run.stages[stage].log for run in condition.seeds.values() if stage in run.stages]
    return [
        {row.step: value for row in log if wanted(row) and (value := _finite(row, key)) is not None} for log in runs
    ]


def _finite(row: MetricsRow, key: str) -> float | None:
    """Return a logged number, or `None` if there is none to draw: one NaN would hide the mean of all seeds."""
    value = row.value(key)
    return value if value is not None and math.isfinite(value) else None


def curves_figure(panels: list[Panel], label: str | None, names: Sequence[str]) -> Figure | None:
    """Draw panels over steps: the mean of the seeds, and a band from the lowest to the highest."""
    if not panels:
        return None
    figure, all_axes = new_figure([1.0] * len(panels), PANEL_INCHES)
    for axes, (title, sides) in zip(all_axes, panels, strict=True):
        for style, curves in zip(styles(len(sides)), sides, strict=True):
            mean = _mean_curve(curves)
            steps = list(mean)
            draw_band(axes, style, steps, [[curve[step] for curve in curves] for step in steps])
            # A line through a single point, as of one evaluation, would be invisible without a marker.
            draw_mean(axes, style, steps, list(mean.values()), "o" if len(mean) < 8 else None)
        axes.set_title(printable(title))
        axes.set_ylabel(label or "")
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    shown = names if len(names) > 1 else []
    draw_legend(figure, line_handles(len(shown)), shown)
    return figure


def draw_band(axes: Axes, style: _Style, x: Sequence[float], values: Sequence[Sequence[float]]) -> None:
    """Draw from the lowest to the highest seed at each point; nothing for one seed. The legend will name it."""
    if values and len(values[0]) > 1:
        low, high = [min(seeds) for seeds in values], [max(seeds) for seeds in values]
        axes.fill_between(x, low, high, color=style.color, alpha=0.2, linewidth=0, label=BAND)


def draw_mean(
    axes: Axes, style: _Style, x: Sequence[float], y: Sequence[float], marker: str | None, markersize: float = 6
) -> None:
    """Draw a condition's means. A marker on the edge of the axes is drawn whole."""
    (line,) = axes.plot(x, y, linewidth=1.6, marker=marker, markersize=markersize, clip_on=False)
    line.set(color=style.color, linestyle=style.linestyle)


def draw_accuracies(
    axes: Axes, style: _Style, x: Sequence[float], points: Sequence[tuple[float, Interval]], unit: str | None = None
) -> None:
    """Draw a condition's accuracies, fractions of 1, in percent with their intervals; values in a unit as they are."""
    factor = _factor(unit)
    axes.errorbar(
        x,
        [factor * mean for mean, _ in points],
        # A mean may lie outside its interval by a rounding error.
        yerr=[
            [max(factor * (mean - low), 0) for mean, (low, _) in points],
            [max(factor * (high - mean), 0) for mean, (_, high) in points],
        ],
        color=style.color,
        linestyle=style.linestyle,
        marker="o",
        markersize=4,
        capsize=2,
        linewidth=1.4,
    )


def _mean_curve(curves: list[Curve]) -> Curve:
    shared = set.intersection(*(set(curve) for curve in curves)) if curves else set()
    return {step: fmean(curve[step] for curve in curves) for step in sorted(shared)}


def accuracy_figure(rows: Sequence[ResultRow], names: tuple[str, str]) -> Figure:
    """Draw the value of every task, model and group with its interval."""
    first = {row.task: row.metric for row in reversed(rows)}  # a task's first row has its main metric
    shown = [row for row in rows if row.metric == first[row.task] and row.last_checkpoints == 1]
    tasks = {task: [row for row in shown if row.task == task] for task in reversed(first)}
    figure, all_axes = new_figure([float(len(rows) + 1) for rows in tasks.values()], 0.0, inches_per_unit=0.5)
    for axes, (task, task_rows) in zip(all_axes, tasks.items(), strict=True):
        labels = [f"{row.model.removesuffix('_final')}: {printable(row.group)}" for row in task_rows]
        for index, sides in enumerate(([row.reference for row in task_rows], [row.other for row in task_rows])):
            for position, side in enumerate(sides):
                factor = _factor(task_rows[0].unit)
                value, (low, high) = factor * side.accuracy, side.interval
                errors = [[max(value - factor * low, 0)], [max(factor * high - value, 0)]]
                draw_bar(axes, index, position, value, errors)
        unit = "%" if task_rows[0].unit is None else task_rows[0].unit
        lower = ", lower is better" if task_rows[0].lower_is_better else ""
        what = metric_of(task, task_rows[0].metric, task_rows[0].source)
        label_bars(axes, labels, f"{what},\n{unit}{lower} (95% intervals)")
    draw_legend(figure, patch_handles(), names)
    return figure


def effects_figure(rows: Sequence[ResultRow], names: tuple[str, str]) -> Figure:
    """Draw the difference of every task and model with its interval; the declared endpoints are highlighted."""
    main = {row.task: row.metric for row in reversed(rows)}  # a task's first row has its main metric
    shown = [
        row for row in rows if row.role != EXPLORATORY or (row.group == ALL_ITEMS and row.metric == main[row.task])
    ]
    labels = [
        f"{metric_of(row.task, row.metric, row.source)}, {row.model.removesuffix('_final')}"
        + (f", last {row.last_checkpoints} checkpoints" if row.last_checkpoints > 1 else "")
        + ("" if row.group == ALL_ITEMS else f": {row.group}")
        + ("" if row.role == EXPLORATORY else f" ({row.role})")
        for row in shown
    ]
    return forest_figure(shown, labels, [COLORS[row.role] for row in shown], f"{names[1]} minus {names[0]}")


def forest_figure(
    rows: Sequence[ResultRow | EndpointContrast], labels: list[str], colors: list[str], what: str
) -> Figure:
    """Draw the difference of each row with its interval, and a line at 0; rows of one unit share an axis.

    A label stands above its line, so that long labels leave the whole width to the axis.
    """
    drawn = list(zip(rows, labels, colors, strict=True))
    units = [[one for one in drawn if one[0].unit == unit] for unit in dict.fromkeys(row.unit for row in rows)]
    figure, all_axes = new_figure([float(len(unit) + 1) for unit in units], 0.0, inches_per_unit=0.36)
    for axes, unit in zip(all_axes, units, strict=True):
        name = unit[0][0].unit
        for position, (row, label, color) in enumerate(unit):
            ends = [_factor(name) * end for end in row.interval or (row.delta, row.delta)]
            axes.plot(ends, [position, position], color=color, linewidth=1.6)
            axes.plot([_factor(name) * row.delta], [position], marker="o", color=color)
            text = printable(label) + ", lower is better" * row.lower_is_better
            axes.text(0, position - 0.28, text, transform=axes.get_yaxis_transform(), fontsize=8)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_ylim(len(unit) - 0.5, -0.8)
        axes.set_xlabel(f"{what},\n{'points' if name is None else name} (95% intervals)", fontsize=9)
    return figure


def _factor(unit: str | None) -> float:
    """Return by what values are multiplied to be drawn: accuracies, which have no unit, are drawn in percent."""
    return 100.0 if unit is None else 1.0


def new_figure(heights: list[float], base_inches: float, inches_per_unit: float = 0.0) -> tuple[Figure, list[Axes]]:
    """Return an empty figure and its axes, one above the other."""
    total = sum(base_inches + inches_per_unit * height + 0.4 for height in heights) + 0.4
    figure = Figure(figsize=(_WIDTH_INCHES, total), layout="constrained", facecolor="white")
    return figure, list(figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])


def styles(number: int) -> list[_Style]:
    """Return as many styles as there are conditions, the reference's first."""
    return list(islice(cycle((*_STYLES, *_MORE)), number))


def bar_offset(index: int, position: int, number: int = 2) -> float:
    """Return where a condition's bar lies beside those of the other conditions."""
    return position + 0.8 * ((index + 0.5) / number - 0.5)


def draw_bar(
    axes: Axes, index: int, position: int, value: float, errors: list[list[float]] | None = None, number: int = 2
) -> None:
    """Draw one condition's bar, with an error bar if there is one."""
    style = styles(number)[index]
    axes.barh(
        bar_offset(index, position, number),
        value,
        height=0.76 / number,
        color=style.color,
        hatch=style.hatch,
        edgecolor="white",
        xerr=errors,
        error_kw={"elinewidth": 1, "capsize": 2, "ecolor": INK},
    )


def label_bars(axes: Axes, labels: list[str], title: str) -> None:
    """Name the groups of bars and their axis."""
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlim(left=0)
    axes.set_xlabel(title)


def patch_handles(number: int = 2) -> list[Patch]:
    """Return the legend's handles for bars."""
    return [Patch(facecolor=style.color, hatch=style.hatch, edgecolor="white") for style in styles(number)]


def line_handles(number: int = 2) -> list[Line2D]:
    """Return the legend's handles for lines."""
    return [Line2D([], [], color=style.color, linestyle=style.linestyle) for style in styles(number)]


def draw_legend(figure: Figure, handles: Sequence[Artist], names: Sequence[str]) -> None:
    """Draw a legend above all panels; names are shown literally. A band over seeds is named too.

    Without names and without a band, there is no legend.
    """
    if any(BAND in axes.get_legend_handles_labels()[1] for axes in figure.axes):
        handles, names = [*handles, Patch(facecolor=INK, alpha=0.2)], [*names, BAND]
    if not names:
        return
    plain = [f"side {index}" for index in range(len(names))]
    legend = figure.legend(handles, plain, loc="outside upper center", ncols=2, frameon=False)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)  # set afterwards: a label that begins with "_" would be left out
