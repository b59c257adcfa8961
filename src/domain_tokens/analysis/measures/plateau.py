"""The ends of the training curves: is a comparison made where both conditions have stopped improving?"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from domain_tokens.analysis.preregistration import Preregistration
from domain_tokens.analysis.results_model import Plateau
from domain_tokens.analysis.statistics.plateau import Curve, LateGain, Rise, late_gain, rise, still_climb
from domain_tokens.runs.layout import MODELS
from domain_tokens.runs.results import Condition, Pair, SeedRun

_SIGNS = {"loss": -1.0, "reward": 1.0}
"""The logged metrics that are looked at, and the sign that makes larger values better."""

_ACCURACIES = ("/accuracy", "/acc_norm")
"""The ends of the names of the accuracies at checkpoints."""

_OF_LOSS = 0.01
"""The share of a training loss that counts as its smallest effect; what is declared is of answers."""


def plateau_rows(
    pair: Pair, model: str, declared: Preregistration, conditions: Sequence[Condition] = ()
) -> tuple[Plateau, ...]:
    """Return the end of every training curve that leads to a model, for each condition of a pair.

    The curves are the training loss of pretraining and of each fine-tuning stage, the reward of GRPO, and the
    accuracies at evaluated checkpoints.

    Args:
        pair (`Pair`): the two conditions.
        model (`str`): the model of the primary endpoint; later stages do not matter to it.
        declared (`Preregistration`): has the smallest effect of interest.
        conditions (*optional*): all conditions of the report, if there are more: p-values are corrected for the number
            of all their curves.
    """
    found = [
        (condition.name, key, end, risen)
        for condition in conditions or pair.sides
        for key, end, risen in _ends(condition, model, declared)
    ]
    judged = still_climb([end for _, _, end, _ in found])
    return tuple(
        Plateau(
            stage=stage,
            condition=name,
            metric=metric,
            gain=end.gain,
            share=end.share,
            matters=end.matters,
            p_value=end.p_value,
            p_holm=corrected,
            num_curves=len(found),
            climbs=climbs,
            rise=None if risen is None else risen.change,
            rise_interval=None if risen is None else risen.interval,
        )
        for (name, (stage, metric), end, risen), (corrected, climbs) in zip(found, judged, strict=True)
        if name in {side.name for side in pair.sides}
    )


def _ends(
    condition: Condition, model: str, declared: Preregistration
) -> list[tuple[tuple[str, str], LateGain, Rise | None]]:
    by_seed = [_curves(run, model) for run in condition.seeds.values()]
    ends = []
    for key in by_seed[0]:
        curves = [found[key] for found in by_seed if key in found]
        if len(curves) < len(by_seed):
            continue
        level = abs(float(np.mean([values[-1] for _, values in curves])))
        smallest = _OF_LOSS * level if key[1] == "loss" else declared.margin_at(level)
        end = late_gain(curves, smallest)
        if end is not None:
            ends.append((key, end, rise(curves) if key[1] == "reward" else None))
    return ends


def _curves(run: SeedRun, model: str) -> Mapping[tuple[str, str], Curve]:
    """Return the curves of a run by stage and metric, up to a model."""
    points: dict[tuple[str, str], dict[int, float]] = {}
    kinds = [name.partition("_")[0] for name in MODELS]
    wanted = MODELS[: kinds.index(model.partition("_")[0]) + 1]
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
