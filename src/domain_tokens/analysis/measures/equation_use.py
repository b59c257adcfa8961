"""What the models compute: the equations in their answers, and the error types of wrong answers.

An accuracy of 3% over 1,319 items is forty events; the equations of the same answers are thousands. All shares here
are ratios of sums over items. The intervals of their differences come from a bootstrap that draws whole items, so that
the equations of one answer stay together. They are exploratory.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from domain_tokens.analysis.results_model import EquationRow, ErrorRow, ErrorShares, Share
from domain_tokens.analysis.statistics.paired import ratio_interval
from domain_tokens.runs.records import EquationRecord, GenerativeItem
from domain_tokens.runs.results import Condition, EvaluatedTask, Pair

Pairs = Sequence[tuple[int, int]]
Count = Callable[[Sequence[EquationRecord], Pairs], tuple[int, int]]
"""Counts a part and the whole of an answer's equations, given the facts that the solution needs."""


def _share(part: Callable[[EquationRecord], bool], whole: Callable[[EquationRecord], bool]) -> Count:
    def count(equations: Sequence[EquationRecord], needed: Pairs) -> tuple[int, int]:
        among = [equation for equation in equations if whole(equation)]
        return sum(map(part, among)), len(among)

    return count


def _right(equation: EquationRecord) -> bool:
    return equation.right


def _precision(equations: Sequence[EquationRecord], needed: Pairs) -> tuple[int, int]:
    facts = [equation.pair for equation in equations if equation.form == "fact"]
    return sum(pair in needed for pair in facts), len(facts)


def _recall(equations: Sequence[EquationRecord], needed: Pairs) -> tuple[int, int]:
    stated = [equation.pair for equation in equations]
    return sum(pair in stated for pair in needed), len(needed)


PRECISION = "facts written that the solution needs (precision)"
RECALL = "products that the solution needs and the answer states (recall)"
SHARES: dict[str, Count] = {
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
    PRECISION: _precision,
    RECALL: _recall,
}
"""What each share counts."""


def equation_rows(pair: Pair) -> tuple[EquationRow, ...]:
    """Return, for every model, task and share of `SHARES` with anything to count, both sides and their difference."""
    rows = []
    for key, evaluation in pair.first_run.plain().items():
        items = _written(evaluation)
        if len(items) < len(evaluation.items) or any(item.equations is None for item in items):
            continue
        for name, count in SHARES.items():
            if name in (PRECISION, RECALL) and any(item.facts_needed is None for item in items):
                continue
            sides = [_counts(side, key, count) for side in pair.sides]
            reference, other = map(_total, sides)
            if not (reference.total or other.total):
                continue
            delta = interval = None
            if reference.value is not None and other.value is not None:
                delta, interval = other.value - reference.value, ratio_interval(*sides)
            row = EquationRow(
                model=key[0],
                task=key[1],
                share=name,
                reference=reference,
                other=other,
                delta=delta,
                interval=interval,
            )
            rows.append(row)
    return tuple(rows)


def error_rows(pair: Pair) -> tuple[ErrorRow, ...]:
    """Return the shares of the error types among each side's answers, over all seeds, for every model and task."""
    return tuple(
        ErrorRow(
            model=key[0],
            task=key[1],
            reference=_error_shares(pair.reference, key),
            other=_error_shares(pair.other, key),
        )
        for key, evaluation in pair.first_run.plain().items()
        if all(getattr(item, "error_type", None) is not None for item in evaluation.items.values())
    )


def _error_shares(condition: Condition, key: tuple[str, str]) -> ErrorShares:
    found = Counter(item.error_type for evaluation in _all(condition, key) for item in _written(evaluation))
    return ErrorShares(**{name: found[name] / found.total() for name in ErrorShares.model_fields})


def _total(counts: np.ndarray) -> Share:
    part, total = counts.sum(axis=0)
    return Share(count=int(part), total=int(total), value=float(part / total) if total else None)


def _counts(condition: Condition, key: tuple[str, str], count: Count) -> np.ndarray:
    """Return parts and totals of shape (num_items, 2), summed over seeds."""
    return np.sum(
        [
            [count(item.equations or (), item.facts_needed or ()) for item in _written(evaluation)]
            for evaluation in _all(condition, key)
        ],
        axis=0,
    )


def _all(condition: Condition, key: tuple[str, str]) -> list[EvaluatedTask]:
    return [run.evaluations[key] for run in condition.seeds.values()]


def _written(evaluation: EvaluatedTask) -> list[GenerativeItem]:
    return [item for item in evaluation.items.values() if isinstance(item, GenerativeItem)]
