"""The verifier's intervals hold for other templates where questions share them."""

from fractions import Fraction

import pytest

from domain_tokens.analysis.statistics.paired import wilson_interval
from domain_tokens.verifier.comparison import _side
from domain_tokens.verifier.estimators import Judged
from domain_tokens.verifier.evaluating import _at_size
from domain_tokens.verifier.records import ChosenItem

TEMPLATES = [f"story_{number // 8}" for number in range(80)]


def judged(right: bool) -> Judged:
    return Judged((Fraction(54), Fraction(1)), (right, False), (1.0, 0.0))


def test_a_run_counts_templates_that_answer_alike_once() -> None:
    asked = [judged(right=number // 8 % 2 == 0) for number in range(80)]
    found = _at_size(asked, TEMPLATES, 2)
    assert found.verify == found.passed == 0.5
    low, high = found.verify_interval
    by_item = wilson_interval(40, 80)
    assert high - low > 2.5 * (by_item[1] - by_item[0])
    assert found.passed_interval == (low, high)


def test_the_conditions_are_compared_over_templates() -> None:
    items = [
        ChosenItem(
            id=str(number),
            question=f"question {number}",
            gold="54",
            cluster=f"{template}:{number},3",
            answers=("54", "1"),
            numbers=("54", "1"),
            right=(number // 8 % 2 == 0, False),
            scores=(1.0, 0.0),
            chosen=0,
            majority="54",
        )
        for number, template in enumerate(TEMPLATES)
    ]
    side = _side("baseline", {0: (None, items)})
    assert side.clusters == tuple(TEMPLATES)
    mean, (low, high) = side.mean("verify", 2)
    assert mean == pytest.approx(0.5)
    assert high - low > 0.5  # of ten templates; of 80 questions it is 0.21
