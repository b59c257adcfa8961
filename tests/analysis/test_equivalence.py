"""Equivalence against statsmodels' two one-sided tests, and at the interval's edge."""

import numpy as np
import pytest
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
def test_over_items_it_ends_where_the_90_percent_interval_does(counts):
    counts = PairedCounts(*counts)
    low, high = paired_interval(counts, level=0.9)
    edge = max(-low, high)
    assert equivalent_items(counts, edge).p_value == pytest.approx(0.05, abs=1e-6)
    assert equivalent_items(counts, edge * 1.01).equivalent is True
    assert equivalent_items(counts, edge * 0.99).equivalent is False
    assert equivalent_items(counts, 0.99).p_value < 1e-6
    assert equivalent_items(counts, edge).interval == (low, high)


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
