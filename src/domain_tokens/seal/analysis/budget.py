"""Gain against budget, and gain against forgetting, by the setting of the inner loop.

The policy chose which passage got which setting, so settings are compared as they were used, not as in an experiment
that draws them evenly.
"""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import TypeVar

from domain_tokens.seal.analysis.averages import pooled
from domain_tokens.seal.analysis.edits import Edit, Measure, by_passage, scored_drop, validation_rise
from domain_tokens.seal.analysis.results import Average, BudgetPoint, Setting

LEAST_PASSAGES = 5
"""Passages that a setting must have had to be on the front: the best of many noisy means is one of few passages."""

K = TypeVar("K", tuple[str, int], tuple[str, float, int])

Runs = Sequence[Sequence[Edit]]
"""Of each run of a condition, the edits of its rounds that could be read."""


def budget_points(runs: Runs) -> list[BudgetPoint]:
    """Return the mean gain by weights and inner steps."""
    found = []
    for weights, steps in _keys(runs, lambda edit: (edit.weights, edit.first.steps or 0)):
        own = [[edit for edit in edits if (edit.weights, edit.first.steps or 0) == (weights, steps)] for edits in runs]
        found.append(
            BudgetPoint(
                weights=weights,
                steps=steps,
                tokens=fmean(edit.first.tokens or 0 for edits in own for edit in edits),
                edits=sum(map(len, own)),
                gain=_mean(own, scored_drop),
            )
        )
    return found


def settings(runs: Runs) -> list[Setting]:
    """Return gain and forgetting by weights, learning rate and inner steps; nothing if forgetting was not measured."""
    if not any(runs) or any(row.validation is None for edits in runs for edit in edits for row in edit.rows):
        return []
    found = []
    for weights, rate, steps in _keys(runs, _setting):
        own = [[edit for edit in edits if _setting(edit) == (weights, rate, steps)] for edits in runs]
        gain = _mean(own, scored_drop)
        found.append((weights, rate, steps, sum(map(len, own)), gain, _mean(own, validation_rise)))
    counted = [one[4].passages >= LEAST_PASSAGES for one in found]
    points = [(one[5].mean, one[4].mean) for one, is_counted in zip(found, counted, strict=True) if is_counted]
    best = front(points)
    return [
        Setting(
            weights=weights,
            learning_rate=rate,
            steps=steps,
            edits=edits,
            gain=gain,
            forgetting=forgetting,
            is_counted=is_counted,
            on_front=is_counted and (forgetting.mean, gain.mean) in best,
        )
        for (weights, rate, steps, edits, gain, forgetting), is_counted in zip(found, counted, strict=True)
    ]


def front(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points, cost and gain, that no other dominates, by ascending cost.

    A point dominates another if its cost is no higher and its gain no lower, and one of the two is better.
    """
    found: list[tuple[float, float]] = []
    for cost, gain in sorted(set(points), key=lambda one: (one[0], -one[1])):
        if not found or gain > found[-1][1]:
            found.append((cost, gain))
    return found


def _setting(edit: Edit) -> tuple[str, float, int]:
    return edit.weights, float(edit.first.learning_rate or 0), edit.first.steps or 0


def _keys(runs: Runs, key: Callable[[Edit], K]) -> list[K]:
    return sorted({key(edit) for edits in runs for edit in edits}, key=lambda one: (_rank(one[0]), one[1:]))


def _rank(weights: str) -> tuple[bool, int]:
    """Return the last layer first, then adapters by rank."""
    number = weights.rpartition(" ")[2]
    return number.isdigit(), int(number) if number.isdigit() else 0


def _mean(runs: Runs, measure: Measure) -> Average:
    found = pooled([by_passage((edit.first.passage, edit.mean(measure)) for edit in edits) for edits in runs])
    assert found is not None
    return found
