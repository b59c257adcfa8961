"""Strata against sums by hand and an ordinary regression."""

import numpy as np
import pytest

from domain_tokens.analysis.statistics.crossed import crossed_difference
from domain_tokens.analysis.statistics.simulation import simulate
from domain_tokens.analysis.statistics.strata import difference_in_differences, slope, strata

REFERENCE = np.array([[1, 0, 0, 1, 0, 0], [1, 0, 0, 0, 1, 0]], dtype=bool)
OTHER = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0]], dtype=bool)
MASK = np.array([True, True, True, False, False, False])


def test_difference_in_differences_by_hand():
    # marked: 2 of 6 right, then 5 of 6; the others: 2 of 6, then 1 of 6
    assert difference_in_differences(REFERENCE, OTHER, MASK).value == pytest.approx(3 / 6 + 1 / 6)
    assert difference_in_differences(REFERENCE, OTHER, ~MASK).value == pytest.approx(-3 / 6 - 1 / 6)


def test_strata_by_hand():
    rest, marked = strata(REFERENCE, OTHER, MASK)
    assert (rest.count, rest.num_items, rest.reference, rest.other) == (
        0,
        3,
        pytest.approx(2 / 6),
        pytest.approx(1 / 6),
    )
    assert (marked.count, marked.num_items, marked.reference, marked.other) == (
        (1, 3, pytest.approx(2 / 6), pytest.approx(5 / 6))
    )
    assert marked.difference == crossed_difference(REFERENCE[:, MASK], OTHER[:, MASK])


def test_counts_above_the_most_are_taken_as_the_most():
    counts = np.array([0, 1, 2, 3, 5, 8])
    table = strata(REFERENCE, OTHER, counts)
    assert [(row.count, row.num_items) for row in table] == [(0, 1), (1, 1), (2, 1), (3, 3)]
    assert table[0].difference is None
    assert slope(REFERENCE, OTHER, counts) == slope(REFERENCE, OTHER, np.array([0, 1, 2, 3, 3, 3]))


@pytest.mark.parametrize("num_seeds", [1, 3])
def test_the_slope_is_that_of_least_squares(num_seeds):
    rng = np.random.default_rng(0)
    reference, other = simulate(num_seeds, 200, 0.4, 0.05, 0.2, 1.0, rng)
    counts = rng.integers(0, 4, 200)
    differences = (other.astype(float) - reference).mean(axis=0)
    assert slope(reference, other, counts).value == pytest.approx(np.polyfit(counts, differences, 1)[0])


def test_an_effect_in_the_marked_items_alone_is_found_there():
    rng = np.random.default_rng(0)
    counts = np.arange(1319) % 4
    reference, other = simulate(3, 1319, 0.3, 0.1 * counts, 0.05, 1.0, rng)
    found = slope(reference, other, counts)
    assert found.value == pytest.approx(0.1, abs=0.03)
    assert found.interval()[0] > 0
    assert found.p_value() < 0.01
    assert difference_in_differences(reference, other, counts > 0).interval()[0] > 0


def test_one_seed_may_come_without_its_dimension():
    flat = difference_in_differences(REFERENCE[0], OTHER[0], MASK)
    assert flat == difference_in_differences(REFERENCE[:1], OTHER[:1], MASK)
    assert strata(REFERENCE[0], OTHER[0], MASK) == strata(REFERENCE[:1], OTHER[:1], MASK)


@pytest.mark.parametrize("function", [strata, difference_in_differences, slope])
@pytest.mark.parametrize(
    "counts", [np.zeros(5, dtype=int), np.full(6, -1), np.full(6, 0.5), np.zeros((6, 1), dtype=int)]
)
def test_counts_that_are_none_are_refused(function, counts):
    with pytest.raises(ValueError, match="each of the 6 items"):
        function(REFERENCE, OTHER, counts)


@pytest.mark.parametrize("function", [difference_in_differences, slope])
def test_items_of_one_kind_show_no_contrast(function):
    with pytest.raises(ValueError, match="every kind of item"):
        function(REFERENCE, OTHER, np.ones(6, dtype=bool))
