"""The ends of the training curves: is a comparison made where both conditions have stopped improving?"""

import math
from collections.abc import Mapping

import numpy as np

from domain_tokens.analysis.results_model import Plateau
from domain_tokens.analysis.statistics.plateau import Curve, late_gain
from domain_tokens.runs.layout import MODELS
from domain_tokens.runs.results import Condition, Pair, SeedRun

_SIGNS = {"loss": -1.0, "reward": 1.0}
"""The logged metrics that are looked at, and the sign that makes larger values better."""

_ACCURACIES = ("/accuracy", "/acc_norm")
"""The ends of the names of the accuracies at checkpoints."""


def plateau_rows(pair: Pair, model: str) -> tuple[Plateau, ...]:
    """Return the end of every training curve that leads to a model, for each condition.

    The curves are the training loss of pretraining and of each fine-tuning stage, the reward of GRPO, and the
    accuracies at evaluated checkpoints.

    Args:
        pair (`Pair`): the two conditions.
        model (`str`): the model of the primary endpoint; later stages do not matter to it.
    """
    return tuple(row for condition in pair.sides for row in _rows(condition, model))


def _rows(condition: Condition, model: str) -> list[Plateau]:
    by_seed = [_curves(run, model) for run in condition.seeds.values()]
    rows = []
    for stage, metric in by_seed[0]:
        curves = [found[stage, metric] for found in by_seed if (stage, metric) in found]
        end = late_gain(curves) if len(curves) == len(by_seed) else None
        if end is not None:
            rows.append(
                Plateau(
                    stage=stage,
                    condition=condition.name,
                    metric=metric,
                    gain=end.gain,
                    share=end.share,
                    p_value=end.p_value,
                    climbs=end.climbs,
                )
            )
    return rows


def _curves(run: SeedRun, model: str) -> Mapping[tuple[str, str], Curve]:
    """Return the curves of a run by stage and metric, up to a model."""
    points: dict[tuple[str, str], dict[int, float]] = {}
    wanted = MODELS[: MODELS.index(model) + 1]
    for name, stage in run.stages.items():
        if name not in wanted:
            continue
        for row in stage.log:
            label = stage.manifest.stage if row.stage is None else f"{stage.manifest.stage}/{row.stage}"
            metric = "reward" if stage.manifest.stage == "grpo" else "loss"
            value = row.value(metric)
            if value is not None and math.isfinite(value):
                points.setdefault((label, metric), {})[row.step] = _SIGNS[metric] * value
    for checkpoint in run.checkpoints:
        stage_name = checkpoint.result.stage
        if f"{stage_name.partition('_')[0]}_final" not in wanted:
            continue
        for metric, value in checkpoint.result.metrics.items():
            if metric.endswith(_ACCURACIES) and value is not None and math.isfinite(value):
                label = stage_name.replace("_", "/", 1)
                points.setdefault((label, metric), {})[checkpoint.result.step] = float(value)
    return {
        key: (np.array(sorted(found), dtype=float), np.array([found[step] for step in sorted(found)]))
        for key, found in points.items()
    }
