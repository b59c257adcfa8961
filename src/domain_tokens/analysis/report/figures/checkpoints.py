"""Curves over the evaluated checkpoints: one plot for all conditions, with a band over the seeds."""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from domain_tokens.analysis.report.formats import printable
from domain_tokens.analysis.report.plots import (
    INK,
    PANEL_INCHES,
    draw_band,
    draw_legend,
    draw_mean,
    line_handles,
    new_figure,
    styles,
)
from domain_tokens.analysis.report.words.names import curve_name, names_in
from domain_tokens.analysis.results_model import CurveRow, Results
from domain_tokens.runs.records import Number

FACTS = "/facts_per_response"

Point = tuple[str, int]
"""The stage and the step of a checkpoint."""
Values = dict[Point, Sequence[Number]]
"""The seeds' values at each checkpoint."""


def learning_curves(found: Sequence[Results]) -> Figure | None:
    """Draw bits per byte and the main metric of each task, over all checkpoints in the order of training."""
    return _checkpoints(found, main_metrics(row.metric for row in found[0].curves))


def fact_use(found: Sequence[Results]) -> Figure | None:
    """Draw how many facts an answer holds, through training."""
    return _checkpoints(found, _metrics(found, lambda metric: metric.endswith(FACTS)))


def rows_of_facts(found: Sequence[Results]) -> Figure | None:
    """Draw the norms of the added embedding rows and the probability that the model gives them."""
    return _checkpoints(found, _metrics(found, lambda metric: metric.startswith(("norm_", "probability_"))))


def main_metrics(metrics: Iterable[str]) -> list[str]:
    """Return the metrics that say how good a model is, one of each task: the first, which is its main one."""
    main: dict[str, str] = {}
    for metric in metrics:
        if not _is_detail(metric):
            main.setdefault(metric.partition("/")[0], metric)
    return list(main.values())


def _is_detail(metric: str) -> bool:
    """Return whether a metric does not say how good the model is, or says it of a part of the text only."""
    return metric.startswith(("norm_", "probability_", "model_", "loss_nats")) or metric.endswith(
        (FACTS, "with_sites", "without_sites")
    )


def _metrics(found: Sequence[Results], wanted: Callable[[str], bool]) -> list[str]:
    return list(dict.fromkeys(row.metric for row in found[0].curves if wanted(row.metric)))


def _checkpoints(found: Sequence[Results], metrics: Sequence[str]) -> Figure | None:
    """Draw one panel for each metric over all checkpoints of the run."""
    points = list(dict.fromkeys((row.stage, row.step) for row in found[0].curves))
    if not metrics or len(points) < 2:
        return None
    names = [printable(name) for name in (found[0].reference, *(results.other for results in found))]
    tasks = names_in(found[0].rows)
    figure, all_axes = new_figure([1.0] * len(metrics), PANEL_INCHES)
    for axes, metric in zip(all_axes, metrics, strict=True):
        sides = [_values(found[0].curves, metric, lambda row: row.reference)]
        sides += [_values(results.curves, metric, lambda row: row.other) for results in found]
        for style, values in zip(styles(len(names)), sides, strict=True):
            at = [index for index, point in enumerate(points) if point in values]
            seeds = [[float(value) for value in values[points[index]]] for index in at]
            draw_band(axes, style, at, seeds)
            draw_mean(axes, style, at, [fmean(one) for one in seeds], "o", markersize=4)
        axes.set_title(printable(curve_name(metric, tasks)))
        start_at_zero(axes, metric)
        mark_stages(axes, points)
    draw_legend(figure, line_handles(len(names)), names)
    return figure


def start_at_zero(axes: Axes, metric: str) -> None:
    """Let an axis of accuracies begin at 0; other metrics, such as bits per byte, have no such beginning."""
    if metric.partition("/")[2].startswith("acc"):
        axes.set_ylim(bottom=0)


def _values(rows: Sequence[CurveRow], metric: str, side: Callable[[CurveRow], Sequence[Number]]) -> Values:
    return {(row.stage, row.step): side(row) for row in rows if row.metric == metric}


def mark_stages(axes: Axes, points: Sequence[Point]) -> None:
    """Name the checkpoints on the axis and draw a line between two stages."""
    for position, ((before, _), (stage, _)) in enumerate(zip(points, points[1:], strict=False)):
        if before != stage:
            axes.axvline(position + 0.5, color=INK, linewidth=0.6)
    axes.set_xticks(range(len(points)), [printable(f"{stage} {step}") for stage, step in points])
    for label in axes.get_xticklabels():
        label.set(rotation=40, horizontalalignment="right", rotation_mode="anchor", fontsize=7)
