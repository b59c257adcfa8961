"""What changed while the models were trained: the points of the learning curves, and bits per byte at their ends."""

from statistics import fmean
from typing import Any

from domain_tokens.analysis.results import Condition, SeedRun

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
    """Return bits per source byte of each stage's last point: means over seeds, `None` where it was not measured."""
    rows: list[dict[str, Any]] = []
    for row in curve_rows(reference, other):
        if row["metric"].startswith(("bits_per_byte", "loss_nats")):
            rows = [kept for kept in rows if (kept["stage"], kept["metric"]) != (row["stage"], row["metric"])]
            rows.append(row | {side: fmean(row[side]) for side in _SIDES})
    return rows


def _points(condition: Condition) -> dict[tuple[str, int, str], list[float]]:
    found: dict[tuple[str, int, str], list[float]] = {}
    for run in condition.seeds.values():
        for stage, step, metric, value in _values(run):
            found.setdefault((stage, step, metric), []).append(value)
    return found


def _values(run: SeedRun) -> list[tuple[str, int, str, float]]:
    return [
        (point["stage"], point["step"], metric, value)
        for point in run.checkpoints
        for metric, value in point["metrics"].items()
        if isinstance(value, int | float)
    ]
