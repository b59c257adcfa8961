"""Learning curves over the evaluated checkpoints, and the comparable losses at their ends."""

import math
from statistics import fmean

import numpy as np

from domain_tokens.analysis.results_model import BitsRow, CurveRow
from domain_tokens.analysis.statistics.paired import Interval, ratio_interval
from domain_tokens.runs.results import Condition, Pair

PER_TOKEN = "loss_nats"
"""How the names of the metrics begin that are means over tokens."""

CurveKey = tuple[str, int, str]
"""Stage, step and metric."""


def curve_rows(pair: Pair) -> tuple[CurveRow, ...]:
    """Return the learning curves in long form: one row for each stage, step and metric, with one value a seed.

    A checkpoint is left out unless all seeds of both conditions have it. So are losses per token where the base
    vocabularies differ: they are no common measure.
    """
    reference, other = _values(pair.reference), _values(pair.other)
    if pair.different_vocabularies:
        reference = {key: values for key, values in reference.items() if not key[2].startswith(PER_TOKEN)}
    return tuple(
        CurveRow(stage=key[0], step=key[1], metric=key[2], reference=tuple(values), other=tuple(other[key]))
        for key, values in reference.items()
        if len(values) == len(other.get(key, ())) == len(pair.seeds)
    )


def bits_rows(pair: Pair) -> tuple[BitsRow, ...]:
    """Return the comparable losses at each stage's last checkcheckpoint: means over seeds, and their difference.

    The interval of bits per byte comes from a bootstrap over documents, the same ones in both conditions.
    """
    rows: list[BitsRow] = []
    for curve in curve_rows(pair):
        if not curve.metric.startswith(("bits_per_byte", PER_TOKEN)):
            continue
        rows = [row for row in rows if (row.stage, row.metric) != (curve.stage, curve.metric)]
        reference, other = fmean(curve.reference), fmean(curve.other)
        interval = _interval(pair, curve.stage, curve.step) if curve.metric == "bits_per_byte" else None
        rows.append(
            BitsRow(
                stage=curve.stage,
                step=curve.step,
                metric=curve.metric,
                reference=reference,
                other=other,
                delta=other - reference,
                interval=interval,
            )
        )
    return tuple(rows)


def _interval(pair: Pair, stage: str, step: int) -> Interval | None:
    reference, other = (_documents(condition, stage, step) for condition in pair.sides)
    shared = [id for id in reference if id in other]
    if len(shared) < 2:
        return None
    return ratio_interval(np.array([reference[id] for id in shared]), np.array([other[id] for id in shared]))


def _documents(condition: Condition, stage: str, step: int) -> dict[str, tuple[float, float]]:
    """Return bits and bytes of each document at a checkcheckpoint, summed over seeds."""
    found: dict[str, tuple[float, float]] = {}
    for run in condition.seeds.values():
        for checkpoint in run.checkpoints:
            if (checkpoint.result.stage, checkpoint.result.step) == (stage, step):
                for row in checkpoint.documents:
                    bits, size = found.get(row.id, (0.0, 0.0))
                    found[row.id] = bits + row.model_bits + row.side_bits, size + row.bytes
    return found


def _values(condition: Condition) -> dict[CurveKey, list[float]]:
    """Return the finite values of all seeds; a metric that is not a number at a checkcheckpoint is left out there."""
    found: dict[CurveKey, list[float]] = {}
    for run in condition.seeds.values():
        for checkpoint in run.checkpoints:
            for metric, value in checkpoint.result.metrics.items():
                if value is not None and math.isfinite(value):
                    found.setdefault((checkpoint.result.stage, checkpoint.result.step, metric), []).append(value)
    return found
