"""Items that belong together: the cluster-robust formulas by other routes, the edges, and where clusters come from."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from statsmodels.regression.linear_model import OLS

from domain_tokens.analysis.measures.outcomes import clusters_of, item_clusters, outcomes_at, p_value
from domain_tokens.analysis.results_model import Endpoint
from domain_tokens.analysis.statistics.crossed import (
    crossed_difference,
    crossed_mean,
    crossed_regression,
    variance_components,
)
from domain_tokens.analysis.statistics.paired import PairedCounts, mcnemar_exact, sign_test, wilson_interval
from domain_tokens.analysis.statistics.power import detectable, power, smallest_effect
from domain_tokens.analysis.statistics.simulation import Shared, simulate
from domain_tokens.runs.results import Pair

from .simulated import judge_rows, write_experiment

SIZES = (1, 1, 2, 3, 5, 8, 4, 2)
CLUSTERS = np.repeat(np.arange(len(SIZES)), SIZES)


def outcomes(num_seeds: int = 3, sd: float = 2.0, seed: int = 0):
    rng = np.random.default_rng(seed)
    return simulate(num_seeds, len(CLUSTERS), 0.4, 0.1, 0.1, 1.0, rng, 0.0, [Shared(CLUSTERS, sd)])


def cr2(values: np.ndarray, x: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    """Variance and degrees of freedom of the last coefficient, written out with whole matrices."""
    inverse = np.linalg.inv(x.T @ x)
    hat = x @ inverse @ x.T
    weights = (inverse @ x.T)[-1]
    residuals = values - hat @ values
    variance, rows = 0.0, []
    for cluster in np.unique(clusters):
        own = np.flatnonzero(clusters == cluster)
        eigenvalues, vectors = np.linalg.eigh(np.eye(len(own)) - hat[np.ix_(own, own)])
        adjusted = weights[own] @ vectors @ np.diag(eigenvalues**-0.5) @ vectors.T
        variance += float(adjusted @ residuals[own]) ** 2
        rows.append(adjusted @ (np.eye(len(x)) - hat)[own])
    products = np.array(rows) @ np.array(rows).T
    return variance, float(np.trace(products) ** 2 / (products**2).sum())


@pytest.mark.parametrize("design", ["mean", "mask", "slope"])
def test_one_seed_is_cr2_with_its_degrees_of_freedom(design):
    rng = np.random.default_rng(0)
    d = rng.normal(0, 1, len(SIZES))[CLUSTERS][None] + rng.normal(0, 0.1, len(CLUSTERS))
    second = {"mean": [], "mask": [CLUSTERS % 2], "slope": [CLUSTERS % 4]}[design]
    x = np.column_stack([np.ones(len(CLUSTERS)), *second])
    variance, df = cr2(d[0], x, CLUSTERS)
    found = crossed_regression(d, x, CLUSTERS)
    assert variance > crossed_regression(d, x).item_variance, "the clusters are meant to matter"
    assert found.item_variance == pytest.approx(variance)
    assert found.item_df == pytest.approx(df)
    assert found.value == pytest.approx(np.linalg.lstsq(x, d[0], rcond=None)[0][-1])


def test_the_uncorrected_variance_is_statsmodels_cluster_variance():
    reference, other = outcomes(num_seeds=1)
    d = (other.astype(float) - reference)[0]
    fit = OLS(d, np.ones(len(d))).fit(cov_type="cluster", cov_kwds={"groups": CLUSTERS, "use_correction": False})
    # CR2 differs from it by the leverage of each cluster alone
    sums = np.bincount(CLUSTERS, d - d.mean())
    assert float(fit.cov_params()[0, 0]) == pytest.approx(float((sums**2).sum()) / len(d) ** 2)
    corrected = sums**2 / (1 - np.array(SIZES) / len(d))
    assert crossed_difference(reference, other, CLUSTERS).item_variance == pytest.approx(
        float(corrected.sum()) / len(d) ** 2
    )


def test_items_alone_are_clusters_of_one():
    reference, other = outcomes()
    alone = crossed_difference(reference, other)
    found = crossed_difference(reference, other, np.arange(len(CLUSTERS))[::-1])
    for name in ("value", "seed_variance", "seed_df", "item_variance", "item_df"):
        assert getattr(found, name) == pytest.approx(getattr(alone, name))
    assert variance_components(reference, other, np.arange(len(CLUSTERS))) == variance_components(reference, other)


def test_items_asked_twice_count_once():
    reference, other = simulate(3, 30, 0.4, 0.1, 0.2, 1.0, np.random.default_rng(1), 2.0)
    doubled = [np.repeat(side, 2, axis=1) for side in (reference, other)]
    clusters = np.repeat(np.arange(30), 2)
    once, twice = crossed_difference(reference, other), crossed_difference(*doubled, clusters)
    assert once.item_variance > 0
    for name in ("value", "seed_variance", "item_variance", "item_df"):
        assert getattr(twice, name) == pytest.approx(getattr(once, name))
    assert crossed_difference(*doubled).item_variance < 0.6 * once.item_variance, "as if they were new questions"
    assert sign_test((other.astype(int) - reference)[0], np.arange(30)) == pytest.approx(
        sign_test((doubled[1].astype(int) - doubled[0])[0], clusters)
    )


def test_a_single_cluster_says_nothing():
    reference, other = outcomes()
    with pytest.raises(ValueError, match="cannot separate the effects"):
        crossed_difference(reference, other, np.zeros(len(CLUSTERS), int))
    with pytest.raises(ValueError, match="all items are one cluster"):
        variance_components(reference, other, np.zeros(len(CLUSTERS), int))


def test_without_clusters_the_sign_test_is_mcnemars():
    for seed in range(5):
        reference, other = outcomes(num_seeds=1, seed=seed)
        counts = PairedCounts.of_arrays(reference[0], other[0])
        d = (other.astype(int) - reference)[0]
        assert sign_test(d, np.arange(len(d))) == pytest.approx(mcnemar_exact(counts))


def test_the_sign_test_counts_all_exchanges():
    d = np.array([1, 1, 1, -1, 0, 1, 1, -1])
    clusters = np.array([0, 0, 0, 1, 1, 2, 2, 3])
    sums = np.array([3, -1, 2, -1])
    totals = [abs(float(np.dot(signs, sums))) for signs in itertools.product((-1, 1), repeat=4)]
    expected = np.mean([total >= abs(sums.sum()) for total in totals])
    assert sign_test(d, clusters) == pytest.approx(expected)
    assert 0 < expected < 1
    assert sign_test(-d, clusters) == sign_test(d, clusters)
    assert sign_test(np.zeros(8, int), clusters) == 1.0


def test_power_counts_clusters():
    rng = np.random.default_rng(2)
    clusters = np.repeat(np.arange(60), 5)
    reference, other = simulate(10, 300, 0.4, 0.05, 0.05, 1.0, rng, 0.0, [Shared(clusters, 1.5)])
    components = variance_components(reference, other, clusters)
    assert components.items_per_cluster == 5
    assert components.item_sd > 1.5 * variance_components(reference, other).item_sd
    # the components give the variances of the test itself
    found = crossed_difference(reference, other, clusters)
    assert components.item_sd**2 / 300 == pytest.approx(found.item_variance, rel=0.02)
    assert (components.seed_sd**2 + components.residual_sd**2 / 300) / 10 == pytest.approx(found.seed_variance)
    with_clusters, without = (detectable(reference, other, clusters=one) for one in (clusters, None))
    assert with_clusters.value > 1.2 * without.value
    assert with_clusters.value == smallest_effect(components, 10, 300)
    # with few clusters the quantile is that of few degrees of freedom
    few = variance_components(reference, other, np.repeat(np.arange(5), 60))
    as_many = type(few)(few.seed_sd, few.item_sd, few.residual_sd)
    assert power(0.1, few, 10, 300) < power(0.1, as_many, 10, 300)


ENDPOINT = Endpoint(model="grpo_final", task="gsm8k", metric="accuracy", group="all")


def written(root, clusters, num_seeds=3):
    rng = np.random.default_rng(3)
    sides = simulate(num_seeds, len(clusters), 0.4, 0.1, 0.1, 1.0, rng, 1.0)
    conditions = write_experiment(root, dict(zip(("baseline", "mul_tokens"), sides, strict=True)), None, clusters)
    return conditions, Pair(*conditions), sides


def test_from_five_templates_up_a_template_is_a_cluster(tmp_path):
    clusters = [f"story_{index % 5}:{index % 7},3" for index in range(100)]
    conditions, pair, sides = written(tmp_path, clusters)
    found = item_clusters(pair, "grpo_final", "gsm8k")
    ids = sorted(range(100), key=str)  # items are in the order of their ids, which are texts
    assert len(set(found)) == 5
    assert len({(found[place], clusters[id].partition(":")[0]) for place, id in enumerate(ids)}) == 5
    row, *_ = judge_rows(conditions)
    assert (row.num_items, row.num_clusters) == (100, 5)
    assert row.test == "crossed test over seeds and clusters of items"
    ordered = [side[:, ids] for side in sides]
    expected = crossed_difference(*ordered, found)
    assert row.p_value == pytest.approx(expected.p_value())
    assert row.p_value == p_value(outcomes_at(pair, ENDPOINT))
    assert row.p_value != crossed_difference(*ordered).p_value()
    assert row.smallest_detectable == pytest.approx(detectable(*ordered, clusters=found).value)


def test_with_fewer_templates_equal_numbers_are_a_cluster(tmp_path):
    clusters = [f"product:{index % 30},3" for index in range(60)] + [f"sum:{index},3" for index in range(40)]
    _, pair, _ = written(tmp_path, clusters)
    assert len(set(item_clusters(pair, "grpo_final", "gsm8k"))) == 70


@pytest.mark.parametrize("clusters", [None, [f"story_{index}:6,9" for index in range(60)]])
def test_where_every_item_is_its_own_there_are_no_clusters(tmp_path, clusters):
    conditions, pair, _ = written(tmp_path, [None] * 60 if clusters is None else clusters)
    assert item_clusters(pair, "grpo_final", "gsm8k") is None
    row, *_ = judge_rows(conditions)
    assert (row.num_clusters, row.test) == (60, "crossed test over seeds and items")


def test_one_seed_is_tested_over_clusters(tmp_path):
    clusters = [f"story_{index % 12}:6,9" for index in range(96)]
    conditions, pair, sides = written(tmp_path, clusters, num_seeds=1)
    row, verdict, _, _ = judge_rows(conditions)
    found = item_clusters(pair, "grpo_final", "gsm8k")
    ids = sorted(range(96), key=str)
    d = (sides[1].astype(int) - sides[0])[0][ids]
    assert row.test == "exact sign test over clusters of items"
    assert row.p_value == row.by_seed[0].p_value == sign_test(d, found)
    low, high = crossed_difference(sides[0][:, ids], sides[1][:, ids], found).interval()
    assert row.interval[0] <= low < high <= row.interval[1]
    assert verdict.outcome == "pilot"


def test_five_templates_are_clusters_and_fewer_are_not():
    def items(*clusters: str | None) -> list[SimpleNamespace]:
        return [SimpleNamespace(id=f"q:{number}", cluster=one) for number, one in enumerate(clusters)]

    few = ["boxes:6,9", "boxes:6,9", "rows:2,3", "bags:2,3", "boxes:7,9"]
    assert clusters_of(items(*few)) == few
    assert clusters_of(items(*few, None)) == [*few, "item q:5"]  # an item alone counts as a template, the fourth
    assert clusters_of(items(*few, "pens:1", "cups:1")) == ["boxes", "boxes", "rows", "bags", "boxes", "pens", "cups"]
    assert clusters_of(items(None, None)) == ["item q:0", "item q:1"]


def test_one_runs_mean_holds_for_other_clusters():
    """At 2 logits between 24 templates Wilson's interval of the items holds the truth two times in three."""
    rng, clusters = np.random.default_rng(0), np.repeat(np.arange(24), 10)

    def share_right(size: int) -> np.ndarray:
        return 1 / (1 + np.exp(-1 - 2 * rng.standard_normal(size)))

    truth, num_trials = share_right(1_000_000).mean(), 400
    held = wilson = 0
    for _ in range(num_trials):
        values = (rng.random(240) < share_right(24)[clusters]).astype(float)[None]
        mean, (low, high) = crossed_mean(values, clusters)
        assert 0 <= low < mean < high <= 1
        held += low <= truth <= high
        low, high = wilson_interval(values.sum(), 240)
        wilson += low <= truth <= high
    assert wilson < 0.75 * num_trials
    assert 0.92 * num_trials < held < 0.98 * num_trials


def test_one_runs_mean_counts_clusters_that_answer_alike_once():
    num, clusters = 30, np.repeat([f"template {one}" for one in range(30)], 4)
    values = np.repeat(np.arange(num) % 3 == 0, 4).astype(float)[None]
    mean, (low, high) = crossed_mean(values, clusters)
    assert mean == pytest.approx(1 / 3)
    assert (low, high) == pytest.approx(wilson_interval(10, 30), abs=0.015)  # t with 29 degrees is wider than z
    assert high - low > 1.7 * np.subtract(*wilson_interval(40, 120)[::-1])


def test_one_runs_mean_at_its_edges():
    clusters = np.repeat(np.arange(10), 4)
    right = np.ones((1, 40))
    low, high = crossed_mean(right, clusters)[1]
    assert low < wilson_interval(10, 10)[0] < wilson_interval(40, 40)[0]
    assert high == 1
    assert crossed_mean(np.array([[1.0, 0.0, 1.0]]), ["a", "a", "a"])[1] == (0, 1)
    assert crossed_mean(np.array([[1.0, 0.0, 0.5]]), ["c", "b", "a"])[1] == wilson_interval(1.5, 3)
    # independent of their clusters, items tell as much as without them
    values = (np.random.default_rng(1).random((1, 2000)) < 0.4).astype(float)
    by_item, by_cluster = crossed_mean(values, np.arange(2000))[1], crossed_mean(values, np.arange(2000) % 200)[1]
    assert by_cluster == pytest.approx(by_item, abs=0.006)
