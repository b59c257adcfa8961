"""Equivalence against statsmodels' two one-sided tests, and at the interval's edge."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from domain_tokens.analysis.statistics.crossed import Estimate
from domain_tokens.analysis.statistics.equivalence import equivalent_items, equivalent_runs
from domain_tokens.analysis.statistics.paired import PairedCounts, paired_interval


@pytest.mark.parametrize(
    "deltas", [(0.01, -0.02, 0.004, 0.0), (0.04, 0.05, 0.041, 0.06), (-0.03, -0.01, -0.05, -0.02)]
)
@pytest.mark.parametrize("margin", [0.01, 0.03, 0.3])
def test_over_seeds_it_is_two_one_sided_t_tests(deltas, margin):
    # without items that respond, the interval is the t interval over seeds
    estimate = Estimate(float(np.mean(deltas)), float(np.var(deltas, ddof=1)) / 4, 3, 0.0, 10.0)
    expected, _, _ = DescrStatsW(deltas).ttost_mean(-margin, margin)
    found = equivalent_runs(estimate, margin)
    assert found.p_value == pytest.approx(expected, rel=1e-6)
    assert found.equivalent == (expected <= 0.05)
    assert found.equivalent == (-margin <= found.interval[0] and found.interval[1] <= margin)
    assert found.interval == pytest.approx(DescrStatsW(deltas).tconfint_mean(alpha=0.1))


@pytest.mark.parametrize("counts", [(300, 20, 25, 655), (10, 3, 3, 1303), (5, 0, 9, 300)])
def test_over_items_it_claims_nothing_that_the_90_percent_interval_does_not_show(counts):
    counts = PairedCounts(*counts)
    low, high = paired_interval(counts, level=0.9)
    edge = max(-low, high)
    assert 0.05 - 1e-6 < equivalent_items(counts, edge).p_value < 0.08
    assert equivalent_items(counts, edge * 1.15).equivalent is True
    assert equivalent_items(counts, edge * 0.99).equivalent is False
    assert equivalent_items(counts, 0.99).p_value < 1e-6
    assert equivalent_items(counts, edge).interval == (low, high)


def at_the_edge(num_items: int, margin: float, rarer: float) -> tuple[float, float]:
    """Return how often equivalence is claimed, at 5% and at 2.5%, if the truth lies at the edge of the margin.

    All tables of two models that answer half of what they agree on right are counted, but for the rarest.

    Args:
        rarer: the share of items that only the worse model has right.
    """
    agreed = 1 - 2 * rarer - margin
    chances = [agreed / 2, rarer, rarer + margin, agreed / 2]
    claimed = np.zeros(2)
    for more in range(num_items + 1):
        for fewer in range(max(0, math.ceil(more - num_items * margin)), min(more, num_items - more) + 1):
            both = np.arange(num_items - more - fewer + 1)
            tables = np.column_stack([both, np.full_like(both, fewer), np.full_like(both, more), both[::-1]])
            chance = stats.multinomial.pmf(tables, num_items, chances)
            for table, weight in zip(tables[chance > 3e-6].tolist(), chance[chance > 3e-6], strict=True):
                p_value = equivalent_items(PairedCounts(*table), margin).p_value
                claimed += weight * (p_value <= np.array([0.05, 0.025]))
    return claimed[0], claimed[1]


@pytest.mark.parametrize(
    ("num_items", "margin", "rarer"),
    [(50, 0.1, 0), (50, 0.1, 0.01), (100, 0.05, 0), (100, 0.05, 0.01), (100, 0.1, 0), (200, 0.05, 0)],
)
def test_over_few_items_it_errs_as_seldom_as_it_says(num_items, margin, rarer):
    """Newcombe's interval alone claims equivalence in 11.2%, 11.8% and 6.5% without the rarer answers."""
    at_5, at_2_and_a_half = at_the_edge(num_items, margin, rarer)
    assert 0.005 < at_2_and_a_half <= 0.025
    assert 0.02 < at_5 <= 0.05


def test_no_disagreement_is_as_rare_as_it_is():
    """With a true difference of 5 points, 100 items without a disagreement have a chance of 0.95^100."""
    assert equivalent_items(PairedCounts(50, 0, 0, 50), 0.05).p_value >= 0.95**100
    assert equivalent_items(PairedCounts(50, 0, 0, 50), 0.05).equivalent is True


def test_a_difference_beyond_the_margin_is_never_equivalent():
    found = equivalent_items(PairedCounts(0, 0, 50, 50), 0.1)
    assert (found.p_value, found.equivalent) == (1.0, False)
    assert equivalent_runs(Estimate(0.5, 1e-4, 2, 0.0, 9.0), 0.1).p_value > 0.99


def test_where_nothing_varies_there_is_no_telling():
    found = equivalent_runs(Estimate(0.0, 0.0, 2, 0.0, 9.0), 0.1)
    assert (found.interval, found.p_value, found.equivalent) == (None, None, None)


@pytest.mark.parametrize("margin", [0.0, -0.01, 1.0, 5.0, float("nan")])
def test_a_margin_is_a_fraction(margin):
    with pytest.raises(ValueError, match="margin"):
        equivalent_items(PairedCounts(5, 5, 5, 5), margin)


@pytest.mark.parametrize("margin", [0.0, -0.01, float("inf"), float("nan")])
def test_a_margin_of_values_is_above_zero(margin):
    with pytest.raises(ValueError, match="margin"):
        equivalent_runs(Estimate(0.0, 1e-4, 2, 0.0, 9.0), margin)


def test_a_margin_in_another_unit_may_be_above_one():
    assert equivalent_runs(Estimate(0.5, 1e-4, 2, 0.0, 9.0), 5.0).equivalent
