"""What the models compute: every equation in their answers, and what their wrong answers have wrong.

An accuracy of 3% over 1,319 items is forty events; the equations of the same answers are thousands. All shares here
are ratios of sums over items; their differences have intervals by a bootstrap that draws whole items, so that the
equations of one answer stay together. They are exploratory.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from domain_tokens.analysis.statistics.paired import ratio_interval
from domain_tokens.runs.records import EquationRecord, GenerativeItem
from domain_tokens.runs.results import Condition, EvaluatedTask

MISTAKES = ("right", "arithmetic", "reasoning", "format", "unfinished")


def _right(equation: EquationRecord) -> bool:
    return equation.right


def _share(
    part: Callable[[EquationRecord], bool], whole: Callable[[EquationRecord], bool]
) -> Callable[..., tuple[int, int]]:
    def count(equations: Sequence[EquationRecord], needed: Sequence[tuple[int, int]]) -> tuple[int, int]:
        among = [equation for equation in equations if whole(equation)]
        return sum(map(part, among)), len(among)

    return count


def _precision(equations: Sequence[EquationRecord], needed: Sequence[tuple[int, int]]) -> tuple[int, int]:
    facts = [equation.pair for equation in equations if equation.form == "fact"]
    return sum(pair in needed for pair in facts), len(facts)


def _recall(equations: Sequence[EquationRecord], needed: Sequence[tuple[int, int]]) -> tuple[int, int]:
    stated = [equation.pair for equation in equations]
    return sum(pair in stated for pair in needed), len(needed)


# For each share what it counts, and of how many.
SHARES: dict[str, Callable[..., tuple[int, int]]] = {
    "equations that are right": _share(_right, lambda equation: True),
    "computed equations that are right": _share(_right, lambda equation: equation.origin == "computed"),
    "products of the table that are right": _share(_right, lambda equation: equation.in_table),
    "other products that are right": _share(
        _right, lambda equation: equation.kind == "product" and not equation.in_table
    ),
    "sums and differences that are right": _share(_right, lambda equation: equation.kind in ("sum", "difference")),
    "products of the table written as facts": _share(
        lambda equation: equation.form == "fact", lambda equation: equation.in_table
    ),
    "facts written that the solution needs (precision)": _precision,
    "products that the solution needs and the answer states (recall)": _recall,
}
_NEED = ("facts written that the solution needs (precision)",
         "products that the solution needs and the answer states (recall)")  # fmt: skip


def equation_rows(reference: Condition, other: Condition) -> list[dict[str, Any]]:
    """Return, for every model, task and share of `SHARES` that has anything to count, both sides and their difference.

    Each row has `model`, `task`, `share`, `reference` and `other` (each `count`, `total` and `value`, over all seeds),
    `delta` and its 95% `interval`; values are fractions of 1.
    """
    rows = []
    for place, evaluation in next(iter(reference.seeds.values())).plain().items():
        items = _written(evaluation)
        if len(items) < len(evaluation.items) or any(item.equations is None for item in items):
            continue
        for name, count in SHARES.items():
            if name in _NEED and any(item.facts_needed is None for item in items):
                continue
            sides = [_counts(side, place, count) for side in (reference, other)]
            totals = [side.sum(axis=0) for side in sides]
            if not any(total for _, total in totals):
                continue
            values = [float(part / total) if total else None for part, total in totals]
            shown = [
                {"count": int(part), "total": int(total), "value": value}
                for (part, total), value in zip(totals, values, strict=True)
            ]
            rows.append(
                {
                    "model": place[0], "task": place[1], "share": name, "reference": shown[0], "other": shown[1],
                    "delta": None if values[0] is None or values[1] is None else values[1] - values[0],
                    "interval": None if None in values else ratio_interval(*sides),
                }
            )  # fmt: skip
    return rows


def mistake_rows(reference: Condition, other: Condition) -> list[dict[str, Any]]:
    """Return, for every model and task, what share of each side's answers has what wrong, over all seeds."""
    rows = []
    for place, evaluation in next(iter(reference.seeds.values())).plain().items():
        if all(getattr(item, "error_type", None) is not None for item in evaluation.items.values()):
            sides = {"reference": _mistakes(reference, place), "other": _mistakes(other, place)}
            rows.append({"model": place[0], "task": place[1]} | sides)
    return rows


def _mistakes(condition: Condition, place: tuple[str, str]) -> dict[str, float]:
    found = Counter(item.error_type for evaluation in _all(condition, place) for item in _written(evaluation))
    return {name: found[name] / found.total() for name in MISTAKES}


def _counts(condition: Condition, place: tuple[str, str], count: Callable[..., tuple[int, int]]) -> np.ndarray:
    """Return parts and totals of shape (num_items, 2), summed over seeds."""
    return np.sum(
        [
            [count(item.equations or (), item.facts_needed or ()) for item in _written(evaluation)]
            for evaluation in _all(condition, place)
        ],
        axis=0,
    )


def _written(evaluation: EvaluatedTask) -> list[GenerativeItem]:
    return [item for item in evaluation.items.values() if isinstance(item, GenerativeItem)]


def _all(condition: Condition, place: tuple[str, str]) -> list[EvaluatedTask]:
    return [run.evaluations[place] for run in condition.seeds.values()]
