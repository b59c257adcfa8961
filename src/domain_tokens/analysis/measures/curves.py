"""What changed while the models were trained: the points of the learning curves, and bits per byte at their ends."""

from statistics import fmean
from typing import Any

import numpy as np

from domain_tokens.analysis.statistics.paired import ratio_interval
from domain_tokens.runs.results import Condition, SeedRun

_SIDES = ("reference", "other")


def curve_rows(reference: Condition, other: Condition) -> list[dict[str, Any]]:
    """Return the learning curves in long form: rows of `stage`, `step`, `metric`, and for each side its seeds' values.

    A point is left out unless all seeds of both conditions have it.
    """
    points = [_points(condition) for condition in (reference, other)]
    shared = [key for key in points[0] if key in points[1]]
    return [
        {"stage": stage, "step": step, "metric": metric}
        | {side: found[stage, step, metric] for side, found in zip(_SIDES, points, strict=True)}
        for stage, step, metric in shared
        if all(len(found[stage, step, metric]) == len(reference.seeds) for found in points)
    ]


def bits_rows(reference: Condition, other: Condition) -> list[dict[str, Any]]:
    """Return the comparable losses of each stage's last point: means over seeds, their `delta` and its `interval`.

    The interval of bits per byte comes from a bootstrap over documents, the same ones in both conditions; it is `None`
    for the other measures.
    """
    rows: list[dict[str, Any]] = []
    for row in curve_rows(reference, other):
        if row["metric"].startswith(("bits_per_byte", "loss_nats")):
            rows = [kept for kept in rows if (kept["stage"], kept["metric"]) != (row["stage"], row["metric"])]
            sides = {side: fmean(row[side]) for side in _SIDES}
            found = None
            if row["metric"] == "bits_per_byte":
                found = _interval(reference, other, row["stage"], row["step"])
            rows.append(row | sides | {"delta": sides["other"] - sides["reference"], "interval": found})
    return rows


def _interval(reference: Condition, other: Condition, stage: str, step: int) -> tuple[float, float] | None:
    sides = [_documents(condition, stage, step) for condition in (reference, other)]
    shared = [id for id in sides[0] if id in sides[1]]
    if len(shared) < 2:
        return None
    first, second = (np.array([side[id] for id in shared]) for side in sides)
    return ratio_interval(first, second)


def _documents(condition: Condition, stage: str, step: int) -> dict[str, tuple[float, float]]:
    """Return bits and bytes of each document at a point, summed over seeds."""
    found: dict[str, tuple[float, float]] = {}
    for run in condition.seeds.values():
        for point in run.checkpoints:
            if (point.result.stage, point.result.step) == (stage, step):
                for row in point.documents:
                    bits, size = found.get(row.id, (0.0, 0.0))
                    found[row.id] = bits + row.model_bits + row.side_bits, size + row.bytes
    return found


def _points(condition: Condition) -> dict[tuple[str, int, str], list[float]]:
    found: dict[tuple[str, int, str], list[float]] = {}
    for run in condition.seeds.values():
        for stage, step, metric, value in _values(run):
            found.setdefault((stage, step, metric), []).append(value)
    return found


def _values(run: SeedRun) -> list[tuple[str, int, str, float]]:
    return [
        (point.result.stage, point.result.step, metric, value)
        for point in run.checkpoints
        for metric, value in point.result.metrics.items()
        if value is not None
    ]
