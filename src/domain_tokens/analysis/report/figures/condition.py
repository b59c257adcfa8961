"""The plots of one condition: its losses, learning rates, throughput and learning curves, without a partner.

They are drawn whenever a run of the condition has been evaluated, from the runs that are there, into `plots/` of the
condition's folder.
"""

from pathlib import Path
from statistics import fmean
from typing import Final

import matplotlib
from matplotlib.figure import Figure

from domain_tokens.analysis.report.figures.checkpoints import main_metrics, mark_stages, start_at_zero
from domain_tokens.analysis.report.formats import printable
from domain_tokens.analysis.report.plots import (
    LOSS,
    PANEL_INCHES,
    STYLE,
    curves_figure,
    draw_band,
    draw_legend,
    draw_mean,
    new_figure,
    render,
    stage_panels,
    styles,
)
from domain_tokens.runs.files import exclusive
from domain_tokens.runs.layout import LOCK, PLOTS
from domain_tokens.runs.results import Condition, load_training

_LOGGED: Final = {
    "loss": ("loss", LOSS),
    "validation_loss": ("eval_loss", LOSS),
    "reward": ("reward", "mean reward"),
    "learning_rate": ("learning_rate", "learning rate"),
    "throughput": ("tokens_per_s", "tokens per second"),
}
"""The name of each plot over steps, the value that it shows, and what that is."""


def write_condition_plots(folder: Path) -> list[Path]:
    """Draw a condition's plots as PNG files. The same runs give the same bytes.

    Args:
        folder (`Path`): `outputs/<experiment>/exp_<condition>`. A lock keeps runs that end together from overwriting
            the plots of both with those of one.

    Returns:
        The files written.

    Raises:
        RecipeError: if a file is damaged, or no stage has ended.
    """
    with exclusive(folder / PLOTS / LOCK):
        images = render(draw_condition(load_training(folder)), kinds=("png",))
        for name, image in images.items():
            (folder / PLOTS / name).write_bytes(image)
    return [folder / PLOTS / name for name in images]


def draw_condition(condition: Condition) -> dict[str, Figure]:
    """Return the figures by name; those for which nothing was logged are left out."""
    names = [printable(condition.name)]
    stages = list(condition.first_run.stages)
    with matplotlib.rc_context(STYLE):
        figures = {
            name: curves_figure(list(stage_panels([condition], stages, key)), label, names)
            for name, (key, label) in _LOGGED.items()
        }
        figures["learning_curves"] = _learning_curves(condition)
    return {name: figure for name, figure in figures.items() if figure is not None}


def _learning_curves(condition: Condition) -> Figure | None:
    """Draw the evaluated checkpoints in the order of training; a point is shown once every run has it."""
    found: dict[str, dict[tuple[str, int], list[float]]] = {}
    for run in condition.seeds.values():
        for checkpoint in run.checkpoints:
            point = checkpoint.result.stage, checkpoint.result.step
            for metric, value in checkpoint.result.metrics.items():
                if value is not None:
                    found.setdefault(metric, {}).setdefault(point, []).append(value)
    points = [(one.result.stage, one.result.step) for one in condition.first_run.checkpoints]
    metrics = main_metrics(found)
    if not metrics or len(points) < 2:
        return None
    figure, all_axes = new_figure([1.0] * len(metrics), PANEL_INCHES)
    (style,) = styles(1)
    for axes, metric in zip(all_axes, metrics, strict=True):
        values = found[metric]
        at = [i for i, point in enumerate(points) if len(values.get(point, ())) == len(condition.seeds)]
        draw_band(axes, style, at, [values[points[i]] for i in at])
        draw_mean(axes, style, at, [fmean(values[points[i]]) for i in at], "o", markersize=4)
        axes.set_title(printable(metric.replace("_", " ")))
        start_at_zero(axes, metric)
        mark_stages(axes, points)
    draw_legend(figure, [], [])
    return figure
