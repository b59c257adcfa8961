"""What the models compute: the equations in their answers, and the error types of wrong answers.

An accuracy of 3% over 1,319 items is forty events; the equations of the same answers are thousands. All shares here
are ratios of sums over items and seeds; the intervals of their differences are for other runs and other questions.
They are exploratory.

Equations in digits and fact tokens are counted apart and never added up to one rate: a token is right by construction,
so a sum of both measures how often a model writes tokens. Only equations that state a result and are not copied count.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from domain_tokens.analysis.results_model import EquationRow, ErrorRow, ErrorShares, Share
from domain_tokens.analysis.statistics.crossed import crossed_ratio
from domain_tokens.runs.records import EquationRecord, GenerativeItem
from domain_tokens.runs.results import Condition, EvaluatedTask, Pair

Pairs = Sequence[tuple[int, int]]
Count = Callable[[Sequence[EquationRecord], Pairs], tuple[int, int]]
"""Counts a part and the whole of an answer's equations, given the facts that the solution needs."""
Test = Callable[[EquationRecord], bool]


def _share(part: Test, whole: Test) -> Count:
    def count(equations: Sequence[EquationRecord], needed: Pairs) -> tuple[int, int]:
        among = [equation for equation in equations if whole(equation)]
        return sum(map(part, among)), len(among)

    return count


def _right_for_item(form: str, of_kind: Test = lambda _: True) -> Count:
    def counts(equation: EquationRecord) -> bool:
        return _is_step(equation) and equation.form == form and of_kind(equation)

    return _share(lambda equation: equation.right_for_item, counts)


def _is_step(equation: EquationRecord) -> bool:
    return bool(equation.has_result) and equation.origin == "computed"


def _precision(equations: Sequence[EquationRecord], needed: Pairs) -> tuple[int, int]:
    facts = [equation.pair for equation in equations if equation.form == "fact"]
    return sum(pair in needed for pair in facts), len(facts)


def needed_facts(equations: Sequence[EquationRecord], needed: Pairs) -> tuple[int, int]:
    """Return how many of the facts that a solution needs an answer states right, and how many it needs."""
    stated = [equation.pair for equation in equations if equation.right and equation.form != "named"]
    return sum(pair in stated for pair in needed), len(needed)


SUMS = "sums and differences in digits that are right for the item"
WRITTEN_AS_FACTS = "products of the table written as facts"

FOR_THE_ITEM: dict[str, Count] = {
    "equations in digits that are right for the item": _right_for_item("digits"),
    "fact tokens that are right for the item": _right_for_item("fact"),
    "fact tokens with a result in digits that are right for the item": _right_for_item("mixed"),
    "equations in digits with operands of the item": _share(
        lambda equation: bool(equation.of_item), lambda equation: _is_step(equation) and equation.form == "digits"
    ),
    "equations in digits with operands of the item that are right": _share(
        lambda equation: equation.right,
        lambda equation: _is_step(equation) and equation.form == "digits" and bool(equation.of_item),
    ),
    "products of the table in digits that are right for the item": _right_for_item(
        "digits", lambda equation: equation.in_table
    ),
    "other products in digits that are right for the item": _right_for_item(
        "digits", lambda equation: equation.kind == "product" and not equation.in_table
    ),
    SUMS: _right_for_item("digits", lambda equation: equation.kind in ("sum", "difference")),
}
"""Counts that need to know where operands come from; files before 0.4.0 do not say it."""

PRECISION = "fact tokens that the solution needs (precision)"
RECALL = "products that the solution needs and the answer states right (recall)"
NEEDED: dict[str, Count] = {PRECISION: _precision, RECALL: needed_facts}
"""Counts that need a worked solution. Recall is over what the solution needs, in tokens or in digits alike."""

SHARES: dict[str, Count] = {
    **FOR_THE_ITEM,
    WRITTEN_AS_FACTS: _share(lambda equation: equation.form in ("fact", "mixed"), lambda equation: equation.in_table),
    **NEEDED,
}
"""What each share counts."""


def equation_rows(pair: Pair) -> tuple[EquationRow, ...]:
    """Return, for every model, task and share of `SHARES` with anything to count, both sides and their difference."""
    rows = []
    for key, evaluation in pair.first_run.plain().items():
        items = [item for side in pair.sides for evaluated in _all(side, key) for item in _written(evaluated)]
        if not _written(evaluation) or any(item.equations is None for item in items):
            continue
        left_out = NEEDED.keys() if any(item.facts_needed is None for item in items) else set()
        if any(equation.of_item is None for item in items for equation in item.equations or ()):
            left_out = left_out | FOR_THE_ITEM.keys()
        rows += [row for name in SHARES if name not in left_out and (row := _row(pair, key, name)) is not None]
    return tuple(rows)


def _row(pair: Pair, key: tuple[str, str], name: str) -> EquationRow | None:
    """Return one share of both conditions; `None` if neither has anything to count."""
    counts = [_counts(side, key, SHARES[name]) for side in pair.sides]
    reference, other = map(_total, counts)
    if not (reference.total or other.total):
        return None
    estimate = crossed_ratio(*counts)
    interval = None if estimate is None else estimate.interval()
    return EquationRow(
        model=key[0],
        task=key[1],
        share=name,
        reference=reference,
        other=other,
        delta=None if reference.value is None or other.value is None else other.value - reference.value,
        interval=None if interval is None else (max(interval[0], -1.0), min(interval[1], 1.0)),
    )


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
    part, total = counts.sum(axis=(0, 1))
    return Share(count=int(part), total=int(total), value=float(part / total) if total else None)


def _counts(condition: Condition, key: tuple[str, str], count: Count) -> np.ndarray:
    """Return parts and totals, shape (num_seeds, num_items, 2)."""
    return np.array(
        [
            [count(item.equations or (), item.facts_needed or ()) for item in _written(evaluation)]
            for evaluation in _all(condition, key)
        ]
    )


def _all(condition: Condition, key: tuple[str, str]) -> list[EvaluatedTask]:
    return [run.evaluations[key] for run in condition.seeds.values()]


def _written(evaluation: EvaluatedTask) -> list[GenerativeItem]:
    return [item for item in evaluation.items.values() if isinstance(item, GenerativeItem)]
