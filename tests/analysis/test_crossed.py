"""Differences over runs and questions at once: the formulas by other routes, the edges, and what is refused."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS

from domain_tokens.analysis.statistics.crossed import (
    Estimate,
    crossed_bootstrap,
    crossed_difference,
    crossed_ratio,
    crossed_regression,
    paired_outcomes,
    variance_components,
)
from domain_tokens.analysis.statistics.paired import paired_t
from domain_tokens.analysis.statistics.simulation import simulate


def outcomes(num_seeds: int = 3, num_items: int = 60, seed: int = 0, response_sd: float = 1.0):
    return simulate(num_seeds, num_items, 0.3, 0.1, 0.3, 1.0, np.random.default_rng(seed), response_sd)


def mean_squares(d: np.ndarray) -> tuple[float, float, float]:
    """Those of seeds, items and the rest, written out as in a textbook's two-way analysis of variance."""
    (r, n), mean = d.shape, d.mean()
    seeds = n * sum((d[s].mean() - mean) ** 2 for s in range(r)) / (r - 1)
    items = r * sum((d[:, i].mean() - mean) ** 2 for i in range(n)) / (n - 1)
    rest = sum((d[s, i] - d[s].mean() - d[:, i].mean() + mean) ** 2 for s in range(r) for i in range(n))
    return seeds, items, rest / ((r - 1) * (n - 1))


def test_the_parts_are_the_mean_squares_of_a_two_way_analysis_of_variance():
    reference, other = outcomes()
    d = other.astype(float) - reference
    seeds, items, rest = mean_squares(d)
    found = crossed_difference(reference, other)
    assert items > rest, "the case is meant to have items that respond"
    assert found.value == pytest.approx(other.mean() - reference.mean())
    assert found.seed_variance == pytest.approx(seeds / d.size)
    assert found.item_variance == pytest.approx((items - rest) / d.size)
    assert (found.seed_df, found.item_df) == (2, pytest.approx(59))
    parts = variance_components(reference, other)
    expected = [max((seeds - rest) / 60, 0), (items - rest) / 3, rest]
    assert [parts.seed_sd**2, parts.item_sd**2, parts.residual_sd**2] == pytest.approx(expected)


def test_the_interval_joins_the_two_parts_by_square_and_add():
    estimate = Estimate(value=0.05, seed_variance=4e-4, seed_df=2, item_variance=9e-4, item_df=100)
    half = np.hypot(stats.t.ppf(0.975, 2) * 0.02, stats.t.ppf(0.975, 100) * 0.03)
    assert estimate.interval() == pytest.approx((0.05 - half, 0.05 + half))
    assert estimate.se == pytest.approx(np.sqrt(13e-4))


@pytest.mark.parametrize("parts", [(4e-4, 9e-4), (4e-4, 0.0), (0.0, 9e-4)])
def test_the_p_value_is_the_level_at_which_the_interval_ends_at_the_null(parts):
    estimate = Estimate(0.05, parts[0], 2, parts[1], 100)
    for null in (0.0, 0.02, 0.15):
        p_value = estimate.p_value(null)
        edges = estimate.interval(1 - p_value)
        assert min(abs(edge - null) for edge in edges) < 1e-6
    assert estimate.p_value(0.05) == 1.0
    assert 0 < Estimate(0.5, 1e-9, 9, 1e-9, 100).p_value() < 1e-20


def test_where_items_do_not_respond_it_is_the_paired_t_over_seeds():
    # Each item is right for the other condition in one seed only: items agree better than chance would have it.
    reference = np.zeros((3, 30), dtype=bool)
    other = np.zeros((3, 30), dtype=bool)
    other[0, :8] = other[1, 8:15] = other[2, 15:26] = True
    test = paired_t(list(other.mean(axis=1)))
    found = crossed_difference(reference, other)
    assert found.item_variance == 0
    assert found.interval() == pytest.approx(test.interval)
    assert found.p_value() == pytest.approx(test.p_value)


def test_swapping_the_sides_mirrors_the_result():
    reference, other = outcomes(seed=4)
    forward, back = crossed_difference(reference, other), crossed_difference(other, reference)
    assert back.value == pytest.approx(-forward.value)
    assert back.interval() == pytest.approx(tuple(-edge for edge in reversed(forward.interval())))
    assert back.p_value() == pytest.approx(forward.p_value())


def test_the_order_of_seeds_and_items_does_not_matter():
    reference, other = outcomes(seed=5)
    rng = np.random.default_rng(0)
    seeds, items = rng.permutation(3)[:, None], rng.permutation(60)
    shuffled = crossed_difference(reference[seeds, items], other[seeds, items])
    assert shuffled.interval() == pytest.approx(crossed_difference(reference, other).interval())


def test_seeds_that_tie_to_the_last_digit_are_not_taken_for_certain():
    reference, other = np.zeros((2, 20), dtype=bool), np.zeros((2, 20), dtype=bool)
    other[0, :4] = other[1, 2:6] = True  # both seeds gain 4 of 20, on other items
    found = crossed_difference(reference, other)
    *_, rest = mean_squares(other.astype(float))
    assert found.seed_variance == pytest.approx(rest / 40)
    assert found.interval()[0] < 0, "t of one degree of freedom is 12.7"


def test_copies_of_one_run_are_no_sample_of_runs():
    reference, other = outcomes(num_seeds=1)
    copies = crossed_difference(np.repeat(reference, 3, axis=0), np.repeat(other, 3, axis=0))
    assert (copies.interval(), copies.p_value()) == (None, None)


def test_where_nothing_varies_there_is_no_telling():
    zeros, ones = np.zeros((3, 9), dtype=bool), np.ones((3, 9), dtype=bool)
    for pair in ((zeros, zeros), (zeros, ones)):
        found = crossed_difference(*pair)
        assert found.value == float(pair[1].mean())
        assert (found.interval(), found.p_value()) == (None, None)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.zeros((3, 9)), np.zeros((2, 9)), "not paired"),
        (np.zeros((3, 9)), np.zeros((3, 8)), "not paired"),
        (np.zeros((2, 3, 9)), np.zeros((2, 3, 9)), "expected"),
        (np.zeros((3, 1)), np.zeros((3, 1)), "at least 2 items"),
        (np.full((3, 9), np.nan), np.zeros((3, 9)), "not a finite number"),
    ],
)
def test_what_is_not_paired_is_refused(first, second, message):
    for function in (paired_outcomes, crossed_difference, variance_components, crossed_bootstrap):
        with pytest.raises(ValueError, match=message):
            function(first, second)


def test_one_seed_cannot_show_variance_between_runs():
    reference, other = outcomes(num_seeds=1)
    with pytest.raises(ValueError, match="at least two seeds"):
        variance_components(reference, other)


@pytest.mark.parametrize(
    ("marked", "larger"), [(slice(0, 20), "HC2"), (slice(20, 200), "HC2"), (slice(20, 40), "nonrobust")]
)
def test_one_seed_is_a_regression_with_the_larger_of_two_variances(marked, larger):
    # The first 20 items differ at random and the rest hardly ever, so that it matters which items are marked.
    rng = np.random.default_rng(0)
    d = np.where(np.arange(200) < 20, rng.integers(-1, 2, 200), rng.integers(0, 40, 200) == 0)
    design = np.column_stack([np.ones(200), np.zeros(200)])
    design[marked, 1] = 1
    found = crossed_regression(d[None], design)
    fits = {kind: OLS(d, design).fit(cov_type=kind) for kind in ("HC2", "nonrobust")}
    assert found.value == pytest.approx(fits["HC2"].params[-1])
    assert found.item_variance == pytest.approx(max(fit.bse[-1] ** 2 for fit in fits.values()))
    assert found.item_variance == pytest.approx(fits[larger].bse[-1] ** 2)
    assert (found.seed_variance, found.seed_df) == (0, 0)


def test_degrees_of_freedom_are_welchs_for_two_kinds_of_equal_spread():
    # Welch: (1/a + 1/b)^2 / (1 / (a^2 (a - 1)) + 1 / (b^2 (b - 1))) where the variances are equal
    a, b = 50, 150
    found = crossed_regression(np.ones((1, a + b)), np.column_stack([np.ones(a + b), np.arange(a + b) < a]))
    welch = (1 / a + 1 / b) ** 2 / (1 / (a**2 * (a - 1)) + 1 / (b**2 * (b - 1)))
    assert found.item_df == pytest.approx(welch)


def test_a_contrast_over_seeds_has_the_spread_of_the_seeds_contrasts():
    reference, other = outcomes(num_seeds=4)
    d, marked = paired_outcomes(reference, other), np.arange(60) < 20
    found = crossed_regression(d, np.column_stack([np.ones(60), marked]))
    by_seed = d[:, marked].mean(axis=1) - d[:, ~marked].mean(axis=1)
    assert found.value == pytest.approx(by_seed.mean())
    assert found.seed_variance == pytest.approx(by_seed.var(ddof=1) / 4)


def test_a_single_item_of_its_kind_has_no_variance():
    with pytest.raises(ValueError, match="at least twice"):
        crossed_regression(np.ones((3, 9)), np.column_stack([np.ones(9), np.arange(9) == 0]))
    with pytest.raises(ValueError, match="every kind"):
        crossed_regression(np.ones((3, 9)), np.ones((9, 2)))


def test_the_bootstraps_variance_is_the_one_that_theory_gives():
    reference, other = outcomes(num_seeds=3, num_items=50)
    seeds, items, rest = mean_squares(other.astype(float) - reference)
    r, n = 3, 50
    expected = ((r - 1) / r * seeds + (n - 1) / n * items + (r - 1) * (n - 1) / (r * n) * rest) / (r * n)
    found = crossed_bootstrap(reference, other, num_resamples=40_000)
    # the standard error of a standard deviation from 40,000 draws is 0.35%
    assert found.se == pytest.approx(np.sqrt(expected), rel=0.02)


def test_the_bootstrap_draws_as_if_seeds_and_items_were_drawn_one_by_one():
    reference, other = outcomes(num_seeds=3, num_items=12)
    d = other.astype(float) - reference
    rng = np.random.default_rng(1)
    drawn = [d[rng.integers(3, size=3)][:, rng.integers(12, size=12)].mean() for _ in range(20_000)]
    found = crossed_bootstrap(reference, other, num_resamples=20_000)
    assert found.interval == pytest.approx(np.quantile(drawn, (0.025, 0.975)), abs=0.02)
    assert found.se == pytest.approx(np.std(drawn), rel=0.03)


def test_the_bootstrap_is_seeded():
    reference, other = outcomes()
    assert crossed_bootstrap(reference, other, 2500, seed=3) == crossed_bootstrap(reference, other, 2500, seed=3)
    assert crossed_bootstrap(reference, other, 2500, seed=3) != crossed_bootstrap(reference, other, 2500, seed=4)


def test_a_ratio_with_one_count_an_item_is_a_difference_of_accuracies() -> None:
    rng = np.random.default_rng(0)
    right = rng.random((2, 3, 40)) < 0.5
    counts = np.stack([right, np.ones_like(right)], axis=-1)
    expected = crossed_difference(*right)
    found = crossed_ratio(*counts)
    assert found is not None
    assert found.interval() == pytest.approx(expected.interval())
    assert found.value == pytest.approx(expected.value) != 0


def test_a_ratio_covers_the_truth_where_runs_differ() -> None:
    """Runs and items both vary, and an item has none to five equations; a bootstrap of items alone covers 66%."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        total = rng.integers(0, 6, (2, 3, 60))
        chance = np.clip(0.5 + rng.normal(0, 0.08, (2, 3, 1)) + rng.normal(0, 0.1, (2, 1, 60)), 0, 1)
        estimate = crossed_ratio(*np.stack([rng.binomial(total, chance), total], axis=-1))
        assert estimate is not None
        low, high = estimate.interval()
        hits += low <= 0 <= high
    assert 0.93 <= hits / 200 <= 1.0


def test_a_ratio_of_nothing_is_not_estimated() -> None:
    some, none = np.ones((2, 5, 2)), np.zeros((2, 5, 2))
    assert crossed_ratio(some, none) is None
    assert crossed_ratio(some[:, :1], some[:, :1]) is None
    with pytest.raises(ValueError, match="not paired"):
        crossed_ratio(some, some[:1])
