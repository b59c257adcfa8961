"""pass@n, maj@n and verify@1 of n: against means over all subsets, in cases counted by hand, and with ties."""

import itertools
import random
from collections.abc import Sequence
from fractions import Fraction
from statistics import fmean

import pytest

from domain_tokens.verifier.estimators import (
    Judged,
    best_of,
    majority_at,
    pass_at,
    ranked_pairs,
    sizes,
    verify_at,
)

GOLD = Fraction(54)


def judged(numbers: Sequence[int | None], scores: Sequence[float] | None = None) -> Judged:
    read = tuple(None if number is None else Fraction(number) for number in numbers)
    return Judged(read, tuple(number == GOLD for number in read), tuple(scores or [0.0] * len(read)))


def drawn(seed: int, num_samples: int = 7) -> Judged:
    rng = random.Random(seed)
    numbers = rng.choices([54, 54, 15, 45, None], k=num_samples)
    return judged(numbers, [rng.random() for _ in numbers])


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("seed", range(5))
def test_pass_and_verify_are_the_means_over_all_subsets(seed: int, n: int) -> None:
    one = drawn(seed)
    assert 0 < sum(one.right) < 7
    subsets = list(itertools.combinations(range(7), n))
    assert pass_at(one, n) == pytest.approx(fmean(any(one.right[i] for i in subset) for subset in subsets))
    best = [max(subset, key=lambda i: one.scores[i]) for subset in subsets]
    assert verify_at(one, n) == pytest.approx(fmean(one.right[i] for i in best))


def test_of_many_questions_each_estimate_is_that_of_so_few_samples() -> None:
    """Unbiased: estimated from eight samples, each value is on average what three samples alone come to."""
    rng = random.Random(1)

    def three_of(one: Judged) -> Judged:
        return Judged(one.numbers[:3], one.right[:3], one.scores[:3])

    questions = []
    for _ in range(4000):
        numbers = rng.choices([54, 15, 45], weights=[4, 5, 1], k=8)
        questions.append(judged(numbers, [rng.gauss(number == 54, 1) for number in numbers]))
    for estimate in (pass_at, majority_at, verify_at):
        from_eight = fmean(estimate(one, 3) for one in questions)
        from_three = fmean(estimate(three_of(one), 3) for one in questions)
        assert 0.2 < from_three < 0.95
        assert from_eight == pytest.approx(from_three, abs=0.025)  # five standard errors


def test_of_one_sample_all_three_are_its_accuracy() -> None:
    one = drawn(3)
    assert pass_at(one, 1) == pytest.approx(fmean(one.right))
    assert majority_at(one, 1) == pytest.approx(fmean(one.right))
    assert verify_at(one, 1) == pytest.approx(fmean(one.right))


@pytest.mark.parametrize(
    ("numbers", "n", "expected"),
    [
        ([54, 15, 15], 3, 0.0),
        ([54, 54, 15], 3, 1.0),
        ([54, 15], 2, 1.0),  # a tie: the one that was drawn first
        ([15, 54], 2, 0.0),
        ([15, 54, 54, 15], 4, 0.0),
        ([None, None, 54], 3, 1.0),  # no number is no vote
        ([None, None], 2, 0.0),
        ([54, 54, 15, 15], 2, 0.5),  # two blocks
        ([54, 54, 15, 15, 54], 2, 0.5),  # what is left over is not used
    ],
)
def test_the_majority(numbers: list[int | None], n: int, expected: float) -> None:
    assert majority_at(judged(numbers), n) == expected


def test_equal_scores_are_taken_equally_often() -> None:
    assert verify_at(judged([54, 15, 15, 15], [1, 1, 0, 0]), 4) == pytest.approx(0.5)
    assert verify_at(judged([54, 15, 15, 54], [0, 0, 0, 0]), 3) == pytest.approx(0.5)
    # Of two: both of the tied pair 1/6, one of them 4/6, none 1/6; half of the pair is right.
    assert verify_at(judged([54, 15, 15, 15], [1, 1, 0, 0]), 2) == pytest.approx((1 + 4) / 6 / 2)


def test_of_equal_scores_the_first_is_chosen() -> None:
    assert [best_of(scores) for scores in ([0.1, 0.5, 0.5], [0.5, 0.5], [0.1, 0.2])] == [1, 0, 1]


def test_verify_lies_between_nothing_and_pass() -> None:
    """A verifier that knows reaches pass@n; one that is always wrong takes a right sample only if all are right."""
    numbers = [54, 15, 15, 54, 15]
    assert verify_at(judged(numbers, [number == 54 for number in numbers]), 3) == pass_at(judged(numbers), 3)
    assert verify_at(judged(numbers, [number != 54 for number in numbers]), 3) == 0


def test_pairs_are_counted_within_questions() -> None:
    good, bad = judged([54, 15], [0.9, 0.1]), judged([54, 15, 15], [0.2, 0.3, 0.2])
    assert ranked_pairs([good]) == 1
    assert ranked_pairs([bad]) == pytest.approx(0.25)
    assert ranked_pairs([good, bad, judged([54, 54], [5, 6])]) == pytest.approx(0.625)
    assert ranked_pairs([judged([15, 15], [1, 2])]) is None


def test_sizes() -> None:
    assert sizes(8) == [1, 2, 4, 8]
    assert sizes(12) == [1, 2, 4, 8, 12]
