"""Paired statistics against published examples and numbers computed by hand."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from domain_tokens.analysis.statistics.paired import (
    PairedCounts,
    gatekeeping,
    holm,
    mcnemar_exact,
    paired_interval,
    paired_t,
    smallest_detectable,
    wilson_interval,
)


@pytest.mark.parametrize(("only_reference", "only_other"), [(0, 1), (2, 12), (7, 7), (30, 11), (0, 20)])
def test_mcnemar_is_the_binomial_test_of_the_discordant_pairs(only_reference, only_other):
    counts = PairedCounts(both=5, reference_only=only_reference, other_only=only_other, neither=9)
    expected = stats.binomtest(only_reference, only_reference + only_other, 0.5).pvalue
    assert mcnemar_exact(counts) == pytest.approx(expected)


def test_mcnemar_by_hand():
    # 6 pairs speak for one side and none for the other: 2 * (1/2)^6
    assert mcnemar_exact(PairedCounts(0, 0, 6, 0)) == pytest.approx(2 / 64)
    assert mcnemar_exact(PairedCounts(3, 0, 0, 4)) == 1.0


def test_newcombes_published_example():
    # Newcombe 1998, Statistics in Medicine 17:2635, table III: 36, 12, 2, 0; method 10 gives 0.0569 to 0.3404.
    low, high = paired_interval(PairedCounts(both=36, reference_only=2, other_only=12, neither=0))
    assert (round(low, 4), round(high, 4)) == (0.0569, 0.3404)


def test_paired_interval_by_hand_with_agreeing_pairs():
    # ad - bc = 20 * 16 - 2 * 12 = 296, less n / 2 = 25 for continuity; phi = 271 / sqrt(32 * 18 * 22 * 28)
    phi = 271 / math.sqrt(32 * 18 * 22 * 28)
    (low_1, high_1), (low_2, high_2) = wilson_interval(32, 50), wilson_interval(22, 50)
    below, above = (0.64 - low_1, high_2 - 0.44), (high_1 - 0.64, 0.44 - low_2)
    low, high = (math.sqrt(x * x + y * y - 2 * phi * x * y) for x, y in (below, above))
    counts = PairedCounts(both=20, reference_only=2, other_only=12, neither=16)
    assert paired_interval(counts) == pytest.approx((0.2 - low, 0.2 + high))


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_paired_interval_mirrors_when_the_sides_are_swapped(level):
    low, high = paired_interval(PairedCounts(40, 3, 9, 48), level)
    swapped = paired_interval(PairedCounts(40, 9, 3, 48), level)
    assert swapped == pytest.approx((-high, -low))


@pytest.mark.parametrize("counts", [(0, 0, 0, 9), (9, 0, 0, 0), (0, 9, 0, 0), (1, 0, 0, 0)])
def test_paired_interval_stays_finite_at_the_edges(counts):
    low, high = paired_interval(PairedCounts(*counts))
    assert -1 <= low <= PairedCounts(*counts).delta <= high <= 1


def test_wilson_by_hand():
    # 3 of 10: (p + z^2/2n +- z sqrt(pq/n + z^2/4n^2)) / (1 + z^2/n)
    z, p, n = 1.959964, 0.3, 10
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    expected = [(p + z * z / (2 * n) + sign * half) / (1 + z * z / n) for sign in (-1, 1)]
    assert wilson_interval(3, 10) == pytest.approx(expected, abs=1e-6)


def test_wilson_stays_within_0_and_1():
    for num_items in range(1, 200):
        (low, _), (_, high) = wilson_interval(0, num_items), wilson_interval(num_items, num_items)
        assert low == pytest.approx(0, abs=1e-15)
        assert high == pytest.approx(1, abs=1e-15)
        assert low >= 0.0
        assert high <= 1.0


def test_smallest_detectable_at_the_size_of_gsm8k():
    # 1,319 items, 3% right on both sides, no item in common: 1.95 points.
    found = smallest_detectable(PairedCounts(both=0, reference_only=40, other_only=40, neither=1239))
    assert found == pytest.approx(0.0195, abs=1e-4)


@pytest.mark.parametrize("alpha", [0.05, 0.025])
@pytest.mark.parametrize("counts", [(1, 0, 3, 4), (5, 2, 4, 9), (50, 2, 4, 44), (60, 20, 30, 90)])
def test_smallest_detectable_has_the_power_it_promises(counts: tuple[int, int, int, int], alpha: float):
    """Every table that can occur is tested; in a small one the normal approximation promised 80% and had 7%."""
    counts = PairedCounts(*counts)
    n, delta = counts.num_items, smallest_detectable(counts, alpha)
    share = max(delta, (counts.reference_only + counts.other_only) / n)
    tables = [(worse, better) for worse in range(n + 1) for better in range(n - worse + 1)]
    chances = stats.multinomial.pmf(
        [(worse, better, n - worse - better) for worse, better in tables],
        n,
        [(share - delta) / 2, (share + delta) / 2, 1 - share],
    )
    power = sum(
        chance
        for (worse, better), chance in zip(tables, chances, strict=True)
        if chance > 1e-7 and mcnemar_exact(PairedCounts(0, worse, better, n - worse - better)) < alpha
    )
    assert power == pytest.approx(0.8, abs=1e-3)


def test_too_few_items_detect_nothing():
    assert smallest_detectable(PairedCounts(1, 1, 2, 1)) is None
    assert smallest_detectable(PairedCounts(1, 1, 2, 2)) == pytest.approx(0.8 ** (1 / 6))  # all six have to differ


def test_smallest_detectable_needs_disagreement():
    assert smallest_detectable(PairedCounts(10, 0, 0, 10)) is None
    assert smallest_detectable(PairedCounts(1, 0, 1, 1)) is None


def test_paired_t_by_hand():
    # mean 0.02, sd 0.01, t = 0.02 / (0.01 / sqrt 3) = 3.4641 on 2 degrees of freedom; t(0.975, 2) = 4.302653
    test = paired_t([0.01, 0.02, 0.03])
    assert (test.mean, test.sd) == pytest.approx((0.02, 0.01))
    assert test.p_value == pytest.approx(0.0741799, abs=1e-6)
    half = 4.302653 * 0.01 / math.sqrt(3)
    assert test.interval == pytest.approx((0.02 - half, 0.02 + half), abs=1e-7)
    assert test.smallest_detectable > half  # 80% power asks for more than the 50% at the interval's edge


def test_paired_t_without_variation_has_no_p_value():
    test = paired_t([0.02, 0.02])
    assert (test.p_value, test.interval, test.smallest_detectable) == (None, None, None)


def test_holm_by_hand():
    # Sorted 0.01 * 3, 0.02 * 2 and 0.5 * 1, each at least the one before; None is no look.
    assert holm([0.02, None, 0.01, 0.5]) == [pytest.approx(0.04), None, pytest.approx(0.03), pytest.approx(0.5)]
    assert holm([None]) == [None]
    assert holm([]) == []
    for seed in range(5):
        p_values = list(np.random.default_rng(seed).uniform(0, 0.3, 6))
        assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]))


def test_counts_refuse_other_items():
    with pytest.raises(ValueError, match="same items"):
        PairedCounts.of({"a": True}, {"b": True})


def test_counts_of_arrays_are_those_by_id():
    reference = np.array([True, True, True, False, False, False, False])
    other = np.array([True, False, False, True, False, False, False])
    counts = PairedCounts.of_arrays(reference, other)
    assert counts == PairedCounts(both=1, reference_only=2, other_only=1, neither=3)
    assert counts == PairedCounts.of(*(dict(zip("abcdefg", side, strict=True)) for side in (reference, other)))
    for wrong in (np.zeros(6, dtype=bool), np.zeros((1, 7), dtype=bool)):
        with pytest.raises(ValueError, match="same items"):
            PairedCounts.of_arrays(reference, wrong)


def test_intervals_of_other_levels():
    # Wilson at 90%: z = 1.644854
    z, p, n = 1.644854, 0.3, 10
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    expected = [(p + z * z / (2 * n) + sign * half) / (1 + z * z / n) for sign in (-1, 1)]
    assert wilson_interval(3, 10, level=0.9) == pytest.approx(expected, abs=1e-6)
    counts = PairedCounts(40, 3, 9, 48)
    assert paired_interval(counts, level=0.95) == paired_interval(counts)
    (low, high), (wide_low, wide_high) = paired_interval(counts, level=0.9), paired_interval(counts)
    assert wide_low < low < counts.delta < high < wide_high


def test_the_smallest_detectable_mean_is_in_sds_of_the_seeds():
    few, many = paired_t([0.01, 0.02, 0.03]), paired_t([0.01, 0.02, 0.03, 0.02, 0.02])
    assert few.smallest_detectable / few.sd == pytest.approx(3.264, abs=1e-3)  # t-test power tables, n = 3
    assert many.smallest_detectable / many.sd == pytest.approx(1.682, abs=1e-3)


@pytest.mark.parametrize("p", [float("nan"), -0.1, 1.1])
def test_a_p_value_that_is_none_is_refused(p: float) -> None:
    assert gatekeeping([None, 0.01], [0.01], 2, 1) == ([1.0, 0.02], [1.0])
    for first, second in (([p], [0.01]), ([0.01], [p])):
        with pytest.raises(ValueError, match="expected p-values from 0 to 1"):
            gatekeeping(first, second, 1, 1)
