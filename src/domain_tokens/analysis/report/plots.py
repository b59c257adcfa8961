"""The plots: training and validation loss, accuracies, GRPO and fact use, as PNG and SVG.

Figures are narrow, so that their labels can still be read on a phone. The two conditions differ in colour (Okabe and
Ito's palette, distinct to colour-blind readers), in line style and in hatching. Names are drawn literally: `$`
does not start a formula.
"""

import io
from collections.abc import Callable, Iterator, Sequence
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
from domain_tokens.analysis.results_model import (
    DECLARED,
    EXPLORATORY,
    PRIMARY,
    CurveRow,
    EndpointContrast,
    Overview,
    ResultRow,
    Results,
    TokenUse,
)
from domain_tokens.runs.records import MetricsRow
from domain_tokens.runs.results import ALL_ITEMS, Condition, Pair


class _Style(NamedTuple):
    color: str
    linestyle: Literal["-", "--"]
    hatch: str


_STYLES = (_Style("#0072B2", "-", ""), _Style("#D55E00", "--", "////"))
STYLE: Final = {
    "text.parse_math": False,
    "svg.hashsalt": "comparison",  # the same figure gives the same bytes
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "hatch.linewidth": 0.6,
}
_WIDTH_INCHES, _PANEL_INCHES = 5.4, 2.5
_COLORS = {PRIMARY: _STYLES[1].color, DECLARED: "#333333", EXPLORATORY: "#888888"}
_LOSS = "loss per token, nats"
_GRPO = {
    "reward": "mean reward",
    "facts_per_completion": "facts per completion",
    "completion_tokens": "tokens per completion",
    "kl": "KL to the SFT model, nats",
}

# A curve is one condition's and seed's {step: value}; a panel is its title and, per condition, its seeds' curves.
Curve = dict[int, float]
Panel = tuple[str, tuple[list[Curve], list[Curve]]]


def draw(pair: Pair, results: Results) -> dict[str, Figure]:
    """Return the figures by name; those for which nothing was logged are left out."""
    names = printable(pair.reference.name), printable(pair.other.name)
    stages = [name for name in pair.first_run.stages if name != "grpo_final"]
    with matplotlib.rc_context(STYLE):
        figures = {
            "training_loss": _curves(list(_stage_panels(pair, stages, "loss")), _LOSS, names),
            "validation_loss": _curves(list(_stage_panels(pair, stages, "eval_loss")), _LOSS, names),
            "accuracy": _accuracy(results.rows, names),
            "effects": _effects(results.rows, names),
            "learning_curves": _checkpoints(results.curves, names, _is_of_the_model),
            "fact_rows": _checkpoints(results.curves, names, _is_of_the_rows),
            "grpo": _curves(list(_grpo_panels(pair)), None, names),
            "fact_use": _fact_use(results.token_use, names),
        }
    return {name: figure for name, figure in figures.items() if figure is not None}


def draw_overview(overview: Overview) -> dict[str, Figure]:
    """Return the figure of several conditions: the primary endpoint of each against the reference, and the factors."""
    pairs = [row for row in overview.rows if row.role == PRIMARY]
    factors = overview.factors
    labels = [f"{row.condition} minus {overview.reference}" for row in pairs]
    labels += [f"{row.factor}: {row.with_factor} minus {row.without}" for row in factors]
    colors = [_COLORS[PRIMARY]] * len(pairs) + [_COLORS[DECLARED]] * len(factors)
    with matplotlib.rc_context(STYLE):
        return {"conditions": _forest([*pairs, *factors], labels, colors, "difference")}


def render(figures: dict[str, Figure]) -> dict[str, bytes]:
    """Return each figure as `<name>.png` (150 dots per inch) and `<name>.svg`, by file name."""
    images = {}
    with matplotlib.rc_context(STYLE):
        for name, figure in figures.items():
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # computing the layout once for both files halves the time
            for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
                drawn = io.BytesIO()
                figure.savefig(drawn, format=kind, dpi=150, metadata=metadata)
                images[f"{name}.{kind}"] = drawn.getvalue()
    return images


def _stage_panels(pair: Pair, stages: list[str], key: str) -> Iterator[Panel]:
    for stage in stages:
        log = pair.first_run.stages[stage].log
        for part in dict.fromkeys(row.stage for row in log if row.value(key) is not None):

            def wanted(row: MetricsRow, part: str | None = part) -> bool:
                return row.stage == part

            curves = _curves_of(pair.reference, stage, key, wanted), _curves_of(pair.other, stage, key, wanted)
            title = stage if part in (None, stage) else f"{stage}: {part}"
            yield (title if key == "loss" else f"{title} (not comparable between tokenizers)"), curves


def _grpo_panels(pair: Pair) -> Iterator[Panel]:
    for key, title in _GRPO.items():
        curves = _curves_of(pair.reference, "grpo_final", key), _curves_of(pair.other, "grpo_final", key)
        if any(curve for side in curves for curve in side):
            yield title, curves


def _curves_of(
    condition: Condition, stage: str, key: str, wanted: Callable[[MetricsRow], bool] = lambda row: True
) -> list[Curve]:
    runs = [run.stages[stage].log for run in condition.seeds.values() if stage in run.stages]
    return [{row.step: value for row in log if wanted(row) and (value := row.value(key)) is not None} for log in runs]


def _curves(panels: list[Panel], label: str | None, names: tuple[str, str]) -> Figure | None:
    if not panels:
        return None
    figure, all_axes = _figure([1.0] * len(panels), _PANEL_INCHES)
    for axes, (title, sides) in zip(all_axes, panels, strict=True):
        for style, curves in zip(_STYLES, sides, strict=True):
            if len(curves) > 1:
                for curve in curves:
                    _seed_line(axes, style, list(curve), list(curve.values()))
            mean = _mean_curve(curves)
            # A line through a single point, as of one evaluation, would be invisible without a marker.
            _mean_line(axes, style, list(mean), list(mean.values()), "o" if len(mean) < 8 else None)
        axes.set_title(printable(title), fontsize=10)
        axes.set_ylabel(label or "")
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    lines = [Line2D([], [], color=style.color, linestyle=style.linestyle) for style in _STYLES]
    _legend(figure, lines, names)
    return figure


def _seed_line(axes: Axes, style: _Style, x: Sequence[float], y: Sequence[float]) -> None:
    axes.plot(x, y, linewidth=0.7, alpha=0.4, color=style.color, linestyle=style.linestyle)


def _mean_line(
    axes: Axes, style: _Style, x: Sequence[float], y: Sequence[float], marker: str | None, markersize: float = 6
) -> None:
    axes.plot(x, y, linewidth=1.6, marker=marker, markersize=markersize, color=style.color, linestyle=style.linestyle)


def _mean_curve(curves: list[Curve]) -> Curve:
    shared = set.intersection(*(set(curve) for curve in curves)) if curves else set()
    return {step: fmean(curve[step] for curve in curves) for step in sorted(shared)}


def _accuracy(rows: Sequence[ResultRow], names: tuple[str, str]) -> Figure:
    first = {row.task: row.metric for row in reversed(rows)}  # a task's first row has its main metric
    shown = [row for row in rows if row.metric == first[row.task] and row.last_checkpoints == 1]
    tasks = {task: [row for row in shown if row.task == task] for task in reversed(first)}
    figure, all_axes = _figure([float(len(rows) + 1) for rows in tasks.values()], 0.0, inches_per_unit=0.5)
    for axes, (task, task_rows) in zip(all_axes, tasks.items(), strict=True):
        labels = [f"{row.model.removesuffix('_final')}: {printable(row.group)}" for row in task_rows]
        for index, sides in enumerate(([row.reference for row in task_rows], [row.other for row in task_rows])):
            for position, side in enumerate(sides):
                factor = _factor(task_rows[0].unit)
                value, (low, high) = factor * side.accuracy, side.interval
                errors = [[max(value - factor * low, 0)], [max(factor * high - value, 0)]]
                _bar(axes, index, position, value, errors)
        unit = "%" if task_rows[0].unit is None else task_rows[0].unit
        lower = ", lower is better" if task_rows[0].lower_is_better else ""
        _bar_axes(axes, labels, f"{task} {task_rows[0].metric}, {unit}{lower} (95% intervals)")
    _legend(figure, _patches(), names)
    return figure


def _is_of_the_rows(metric: str) -> bool:
    return metric.startswith(("norm_", "probability_")) or metric.endswith("/facts_per_response")


def _is_of_the_model(metric: str) -> bool:
    return not _is_of_the_rows(metric) and not metric.endswith(("with_sites", "without_sites"))


def _effects(rows: Sequence[ResultRow], names: tuple[str, str]) -> Figure:
    """Draw the difference of every task and model with its interval; the declared endpoints are highlighted."""
    main = {row.task: row.metric for row in reversed(rows)}  # a task's first row has its main metric
    shown = [
        row for row in rows if row.role != EXPLORATORY or (row.group == ALL_ITEMS and row.metric == main[row.task])
    ]
    labels = [
        f"{row.task} {row.metric}, {row.model.removesuffix('_final')}"
        + (f", last {row.last_checkpoints} checkpoints" if row.last_checkpoints > 1 else "")
        + ("" if row.group == ALL_ITEMS else f": {row.group}")
        + ("" if row.role == EXPLORATORY else f" ({row.role})")
        for row in shown
    ]
    return _forest(shown, labels, [_COLORS[row.role] for row in shown], f"{names[1]} minus {names[0]}")


def _forest(rows: Sequence[ResultRow | EndpointContrast], labels: list[str], colors: list[str], what: str) -> Figure:
    """Draw the difference of each row with its interval, and a line at 0; rows of one unit share an axis."""
    drawn = list(zip(rows, labels, colors, strict=True))
    units = [[one for one in drawn if one[0].unit == unit] for unit in dict.fromkeys(row.unit for row in rows)]
    figure, all_axes = _figure([float(len(unit) + 1) for unit in units], 0.0, inches_per_unit=0.34)
    for axes, unit in zip(all_axes, units, strict=True):
        name = unit[0][0].unit
        for position, (row, _, color) in enumerate(unit):
            ends = [_factor(name) * end for end in row.interval or (row.delta, row.delta)]
            axes.plot(ends, [position, position], color=color, linewidth=1.6)
            axes.plot([_factor(name) * row.delta], [position], marker="o", color=color)
        axes.axvline(0, color="#333333", linewidth=0.8)
        named = [printable(label) + ", lower is better" * row.lower_is_better for row, label, _ in unit]
        axes.set_yticks(range(len(unit)), named)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", labelsize=8)
        axes.set_xlabel(f"{what}, {'points' if name is None else name} (95% intervals)", fontsize=9)
    return figure


def _factor(unit: str | None) -> float:
    """Return by what values are multiplied to be drawn: accuracies, which have no unit, are drawn in percent."""
    return 100.0 if unit is None else 1.0


def _checkpoints(rows: Sequence[CurveRow], names: tuple[str, str], wanted: Callable[[str], bool]) -> Figure | None:
    """Draw one panel for each metric over all checkpoints of the run, in the order of training."""
    metrics = list(dict.fromkeys(row.metric for row in rows if wanted(row.metric)))
    points = list(dict.fromkeys((row.stage, row.step) for row in rows))
    if not metrics or len(points) < 2:
        return None
    position = {point: index for index, point in enumerate(points)}
    figure, all_axes = _figure([1.0] * len(metrics), _PANEL_INCHES)
    for axes, metric in zip(all_axes, metrics, strict=True):
        shown = [row for row in rows if row.metric == metric]
        for style, values in zip(
            _STYLES, ([row.reference for row in shown], [row.other for row in shown]), strict=True
        ):
            at = [position[row.stage, row.step] for row in shown]
            for of_seed in zip(*values, strict=True) if len(values[0]) > 1 else ():
                _seed_line(axes, style, at, of_seed)
            _mean_line(axes, style, at, [fmean(seeds) for seeds in values], "o", markersize=4)
        for (before, _), (stage, step) in zip(points, points[1:], strict=False):
            if before != stage:
                axes.axvline(position[stage, step] - 0.5, color="#333333", linewidth=0.6)
        axes.set_title(printable(metric.replace("_", " ")), fontsize=10)
        axes.set_xticks(range(len(points)), [printable(f"{stage} {step}") for stage, step in points])
        axes.tick_params(axis="x", labelsize=7, rotation=45)
    _legend(figure, [Line2D([], [], color=style.color, linestyle=style.linestyle) for style in _STYLES], names)
    return figure


def _fact_use(rows: Sequence[TokenUse], names: tuple[str, str]) -> Figure | None:
    shown = [(row, known) for row in rows if (known := row.facts_per_response.known) is not None]
    if not shown:
        return None
    figure, (axes,) = _figure([float(len(shown) + 1)], 0.0, inches_per_unit=0.5)
    for index in (0, 1):
        for position, (_, known) in enumerate(shown):
            value = known[index]
            _bar(axes, index, position, value)
            axes.annotate(
                f"{value:.2f}",
                (value, _offset(index, position)),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
            )
    _bar_axes(axes, [f"{row.model.removesuffix('_final')}: {row.task}" for row, _ in shown], "facts per response")
    axes.margins(x=0.12)
    _legend(figure, _patches(), names)
    return figure


def _figure(heights: list[float], base_inches: float, inches_per_unit: float = 0.0) -> tuple[Figure, list[Axes]]:
    total = sum(base_inches + inches_per_unit * height + 0.4 for height in heights) + 0.4
    figure = Figure(figsize=(_WIDTH_INCHES, total), layout="constrained", facecolor="white")
    return figure, list(figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])


def _offset(index: int, position: int) -> float:
    return position + (0.2 if index else -0.2)


def _bar(axes: Axes, index: int, position: int, value: float, errors: list[list[float]] | None = None) -> None:
    style = _STYLES[index]
    axes.barh(
        _offset(index, position),
        value,
        height=0.38,
        color=style.color,
        hatch=style.hatch,
        edgecolor="white",
        xerr=errors,
        error_kw={"elinewidth": 1, "capsize": 2},
    )


def _bar_axes(axes: Axes, labels: list[str], title: str) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlim(left=0)
    axes.set_xlabel(title)


def _patches() -> list[Patch]:
    return [Patch(facecolor=style.color, hatch=style.hatch, edgecolor="white") for style in _STYLES]


def _legend(figure: Figure, handles: Sequence[Artist], names: tuple[str, str]) -> None:
    legend = figure.legend(handles, ["reference", "other"], loc="outside upper center", ncols=2, frameon=False)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)  # set afterwards: a label that begins with "_" would be left out
