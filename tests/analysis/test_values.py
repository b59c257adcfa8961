"""Endpoints in values: bits per byte, of which lower is better, and means over the last checkpoints of a stage."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from domain_tokens.analysis.compare import assemble, compare
from domain_tokens.analysis.measures.outcomes import outcomes_at
from domain_tokens.analysis.report.figures.drawn import draw
from domain_tokens.analysis.report.tables.results import exploratory_table, result_table
from domain_tokens.analysis.results_model import Endpoint, Results
from domain_tokens.analysis.statistics.crossed import crossed_bootstrap, crossed_difference, crossed_regression
from domain_tokens.analysis.statistics.power import detectable
from domain_tokens.analysis.verdict import success_criteria
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.results import Pair, load_condition

from .conftest import edit, freeze_tree, write_evaluation, written_items

KEYS = ("bits_per_byte", "model_bits_per_byte")
BITS = {"model": "grpo_final", "task": "gold_bits", "metric": "bits_per_byte", "group": None}
NUMBERS = ("model_bits", "side_bits", "site_model_bits", "site_side_bits", "sites_bits_per_byte",
           "sites_model_bits_per_byte", "others_bits_per_byte")  # fmt: skip


def write_bits(folder: Path, seed: int, values: list[float]) -> None:
    """Write the bits of solutions: the model's alone are 0.1 less than those with the record."""
    place = folder / f"seed_{seed}" / "eval" / "grpo_final"
    fields = json.loads((place / "gsm8k_results.json").read_text())
    items: list[dict[str, Any]] = []
    for index, value in enumerate(values):
        items.append({"id": f"p{index:03}", "group": ("with sites", "without sites")[index % 2], "question": "?"})
        items[-1] |= {"gold": "#### 1", "num_bytes": 10, "num_tokens": 4, "num_sites": 1 - index % 2, "correct": True}
        items[-1] |= dict.fromkeys(NUMBERS, 1.0) | {"bits_per_byte": value, "model_bits_per_byte": value - 0.1}
    kept = {key: fields[key] for key in ("condition", "seed", "model", "weights_sha256")}
    write_evaluation(place, "gold_bits", items, **kept)
    units = dict.fromkeys(KEYS, "bits per byte")
    metrics = {key: float(np.mean([item[key] for item in items])) for key in KEYS}
    changed = {"outcomes": dict(zip(KEYS, KEYS, strict=True)), "units": units, "metrics": metrics}
    path = place / "gold_bits_results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed | {"lower_is_better": list(KEYS)}))


@pytest.fixture
def bits(tree) -> Callable[..., tuple[tuple[Path, Path], np.ndarray, np.ndarray]]:
    """Return a function that writes both conditions with solutions, the other needing `gain` bits a byte fewer."""

    def write(gain: float, seeds: tuple[int, ...], run_sd: float = 0.01, item_sd: float = 0.02):
        folders = tree(num_items=12, seeds=seeds)
        rng = np.random.default_rng(len(seeds))
        hard = rng.uniform(0.5, 3, 40)
        reference = hard + rng.normal(0, item_sd, (len(seeds), 40))
        other = hard - gain + rng.normal(0, item_sd, (len(seeds), 40)) + rng.normal(0, run_sd, (len(seeds), 1))
        for folder, values in zip(folders, (reference, other), strict=True):
            for seed, row in zip(seeds, values, strict=True):
                write_bits(folder, seed, row.tolist())
        return folders, reference, other

    return write


def declare(folders: tuple[Path, Path], endpoints: list[dict[str, Any]], seeds: list[int], **more: Any) -> None:
    declared = {"endpoints": endpoints, "alpha": 0.05, "power": 0.8, "equivalence_margin": 0.01, "seeds": seeds}
    freeze_tree(folders, declared | {"exclusions": [], "contrasts": {}} | more)


def results_of(folders: tuple[Path, Path]) -> Results:
    return assemble(Pair(*map(load_condition, folders)))


def test_fewer_bits_are_better(bits) -> None:
    folders, reference, other = bits(0.2, (0, 1, 2))
    declare(folders, [BITS], [0, 1, 2])
    results = results_of(folders)
    row = results.primary
    assert (row.task, row.unit, row.lower_is_better) == ("gold_bits", "bits per byte", True)
    assert row.reference.accuracy == pytest.approx(reference.mean())
    assert row.reference.accuracy > 1
    assert row.delta == pytest.approx((other - reference).mean())
    estimate = crossed_regression(other - reference, np.ones((40, 1)))
    assert row.p_value == pytest.approx(estimate.p_value())
    assert row.interval == pytest.approx(estimate.interval())
    assert [seed.delta for seed in row.by_seed] == pytest.approx((other - reference).mean(axis=1).tolist())
    assert all(seed.counts is None for seed in row.by_seed)
    assert (results.verdict.outcome, results.verdict.h0_rejected) == ("better", True)
    assert "mul_tokens is better than baseline" in results.verdict.sentence
    assert f"{row.delta:+.4f} bits per byte (lower is better; 95% interval" in results.verdict.sentence
    assert "points" not in results.verdict.sentence.replace("too few points", "")
    assert "%" not in results.verdict.sentence.replace("95%", "").replace("80%", "")


def test_more_bits_are_worse(bits) -> None:
    folders, *_ = bits(-0.2, (0, 1, 2))
    declare(folders, [BITS], [0, 1, 2])
    results = results_of(folders)
    assert results.primary.delta > 0 > results.primary.gain
    assert results.verdict.outcome == "worse"


def test_the_criteria_follow_the_direction(bits) -> None:
    for gain, met in ((0.2, True), (-0.2, False)):
        folders, *_ = bits(gain, (0, 1))
        declare(folders, [BITS], [0, 1])
        results = results_of(folders)
        criterion = success_criteria(results.rows, results.token_use, "mul_tokens")[0]
        assert criterion.met is met
        assert criterion.evidence.startswith("differences by seed, in bits per byte: ")


def test_equal_bits_are_equivalent_within_the_margin_in_their_unit(bits) -> None:
    folders, *_ = bits(0.0, (0, 1, 2), run_sd=0.0, item_sd=0.001)
    declare(folders, [BITS], [0, 1, 2], equivalence_margin=0.005)
    results = results_of(folders)
    assert results.primary.equivalence is not None
    assert results.primary.equivalence.margin == 0.005
    assert results.verdict.outcome == "equivalent"
    assert "It lies within 0.0050 bits per byte of 0" in results.verdict.sentence


def test_a_relative_smallest_effect_follows_the_value(bits) -> None:
    folders, reference, _ = bits(0.0, (0, 1, 2))
    declare(folders, [BITS], [0, 1, 2], equivalence_margin=None, smallest_effect={"scale": "relative", "value": 0.8})
    results = results_of(folders)
    assert results.assay is not None
    assert results.assay.smallest_effect == pytest.approx(0.8 * reference.mean())
    assert results.assay.smallest_effect > 1
    assert (results.assay.failures, results.assay.power) == ((), pytest.approx(1.0))
    assert results.verdict.outcome == "equivalent"


def test_an_endpoint_may_have_a_smallest_effect_of_its_own(bits) -> None:
    folders, reference, _ = bits(0.0, (0, 1, 2))
    own = {**BITS, "smallest_effect": {"scale": "relative", "value": 0.2}}
    accuracy = BITS | {"task": "gsm8k", "metric": "accuracy"}
    logit = {"scale": "logit", "value": 0.3}
    declare(folders, [own, accuracy], [0, 1, 2], equivalence_margin=None, smallest_effect=logit)
    results = results_of(folders)
    margin = 0.2 * reference.mean()
    rows = {row.task: row for row in results.rows if row.role != "exploratory"}
    assert rows["gold_bits"].equivalence.margin == pytest.approx(margin)
    assert 0 < rows["gsm8k"].equivalence.margin < 0.08  # the declaration's, at its accuracy
    assert (results.assay.scale, results.assay.value, results.assay.smallest_effect) == ("relative", 0.2, margin)
    assert results.assay.power > 0.99
    assert results.verdict.outcome == "equivalent"
    assert "within the smallest effect (0.2 on the relative scale) of 0" in results.verdict.rule


def test_odds_have_no_meaning_for_bits(bits) -> None:
    folders, *_ = bits(0.0, (0, 1, 2))
    declare(folders, [BITS], [0, 1, 2], equivalence_margin=None, smallest_effect={"scale": "logit", "value": 0.3})
    results = results_of(folders)
    assert results.primary.equivalence is None
    assert results.verdict.outcome == "insensitive"
    assert "where no smaller effect can show" in results.verdict.sentence


def test_one_seed_is_a_t_test_over_items(bits) -> None:
    folders, reference, other = bits(0.05, (0,))
    declare(folders, [BITS], [0])
    results = results_of(folders)
    expected = stats.ttest_rel(other[0], reference[0])
    row = results.primary
    assert row.test == "t-test over items"
    assert row.p_value == pytest.approx(expected.pvalue, rel=1e-6)
    assert row.interval == pytest.approx(tuple(expected.confidence_interval()))
    assert row.by_seed[0].p_value == row.p_value
    assert results.verdict.outcome == "pilot"


def test_tables_show_values_in_their_unit(bits) -> None:
    folders, reference, other = bits(0.2, (0, 1))
    declare(folders, [BITS, {"model": "grpo_final", "task": "gsm8k", "metric": "accuracy", "group": None}], [0, 1])
    results = results_of(folders)
    first, second = result_table(results).rows
    assert first[1] == "gold_bits bits_per_byte, lower is better (primary)"
    assert first[4].startswith(f"{reference.mean():.4f} ± ")
    assert first[6].startswith(f"{(other - reference).mean():+.4f} ± ")
    assert "%" not in "".join(first)
    assert second[4].endswith(tuple("0123456789"))
    assert "%" in second[4]
    explored = [row for row in exploratory_table(results).rows if row[1].startswith("gold_bits")]
    assert {row[2] for row in explored} == {"all", "with sites", "without sites"}
    assert any("model_bits_per_byte" in row[1] for row in explored)


def test_plots_keep_units_apart(bits) -> None:
    folders, *_ = bits(0.2, (0, 1))
    declare(folders, [BITS], [0, 1])
    pair = Pair(*map(load_condition, folders))
    figures = draw(pair, assemble(pair))
    axes = figures["effects"].axes
    assert [one.get_xlabel().split(",\n")[1] for one in axes] == [
        "points (95% intervals)",
        "bits per byte (95% intervals)",
    ]
    assert axes[1].texts
    assert all("lower is better" in label.get_text() for label in axes[1].texts)
    assert max(abs(x) for line in axes[1].lines for x in line.get_xdata()) < 1  # not times 100
    titles = [one.get_title(loc="left") or one.get_xlabel() for one in figures["accuracy"].axes]
    assert "gold_bits bits_per_byte,\nbits per byte, lower is better (95% intervals)" in titles


def test_the_files_are_written(bits, tmp_path: Path) -> None:
    folders, *_ = bits(0.2, (0, 1))
    declare(folders, [BITS], [0, 1])
    compare(*folders, tmp_path / "out", plots=False)
    assert "bits per byte" in (tmp_path / "out" / "results.md").read_text()
    Results.model_validate_json((tmp_path / "out" / "results.json").read_text())


def test_a_mean_that_its_items_do_not_give_is_refused(bits) -> None:
    folders, *_ = bits(0.2, (0,))
    path = folders[0] / "seed_0" / "eval" / "grpo_final" / "gold_bits_results.json"
    edit(path, lambda value: value["metrics"].update(bits_per_byte=0.5))
    with pytest.raises(RecipeError, match="bits_per_byte is 0.5000, but its items give"):
        load_condition(folders[0])


def test_the_statistics_of_values() -> None:
    rng = np.random.default_rng(0)
    reference = rng.normal(2, 1, (3, 30))
    other = reference + rng.normal(0.1, 0.3, (3, 30))
    rescaled = crossed_difference(10 * reference, 10 * other)
    assert rescaled.interval() == pytest.approx(
        tuple(10 * end for end in crossed_difference(reference, other).interval())
    )
    found, large = detectable(reference, other), detectable(10 * reference, 10 * other)
    assert large.value == pytest.approx(10 * found.value, rel=1e-5)
    one = detectable(reference[:1], other[:1])
    se = (other - reference)[0].std(ddof=1) / np.sqrt(30)
    t = stats.t.ppf(0.975, 29)
    assert stats.nct.sf(t, 29, one.value / se) == pytest.approx(0.8, abs=1e-3)
    few = detectable(reference[:1, :8], other[:1, :8], 0.025)
    errors = few.value / ((other - reference)[0, :8].std(ddof=1) / np.sqrt(8))
    assert stats.nct.sf(stats.t.ppf(0.9875, 7), 7, errors) == pytest.approx(0.8, abs=2e-3)
    bootstrap = crossed_bootstrap(reference, other)
    deltas = other - reference
    # Of the pigeonhole bootstrap: seeds, items and twice the rest (Owen 2007), each with its n - 1 over n.
    assert bootstrap.interval[0] < deltas.mean() < bootstrap.interval[1]
    parts = deltas.mean(axis=1).var() / 3 + deltas.mean(axis=0).var() / 30
    centered = deltas - deltas.mean(axis=1, keepdims=True) - deltas.mean(axis=0) + deltas.mean()
    assert bootstrap.se**2 == pytest.approx(parts + centered.var() / 90, rel=0.1)
    with pytest.raises(ValueError, match="not a finite number"):
        crossed_difference([[1.0, float("nan")]], [[1.0, 2.0]])


# --- Means over checkpoints ------------------------------------------------------------------------------------------

LAST = {"model": "grpo_final", "task": "gsm8k", "metric": "accuracy", "group": None, "last_checkpoints": 3}


def write_checkpoints(folder: Path, seed: int, rights: dict[int, list[bool]]) -> None:
    """Write what the checkpoints of GRPO at some steps answered to GSM8K; the last one is the final model."""
    run = folder / f"seed_{seed}" / "eval"
    fields = json.loads((run / "grpo_final" / "gsm8k_results.json").read_text())
    kept = {key: fields[key] for key in ("condition", "seed", "model", "weights_sha256")}
    point = json.loads((run / "checkpoints" / "sft-60.json").read_text())
    for step, right in rights.items():
        items = written_items("gsm8k", seed, 0, 0.5, len(right))
        for item, correct in zip(items, right, strict=True):
            item["correct"] = correct
        write_evaluation(run / "checkpoints" / f"grpo-{step:07d}", "gsm8k", items, **kept)
        task = {"metrics": {"accuracy": sum(right) / len(right)}, "num_items": len(right), "data_sha256": "0" * 64}
        task |= {"max_samples": None, "generation": None}
        written = point | {"stage": "grpo", "stage_number": 2, "step": step, "tasks": {"gsm8k": task}}
        (run / "checkpoints" / f"grpo-{step:07d}.json").write_text(json.dumps(written))
        if step == max(rights):
            write_evaluation(run / "grpo_final", "gsm8k", items, **kept)


@pytest.fixture
def averaged(tree) -> tuple[tuple[Path, Path], dict[tuple[int, int], dict[int, list[bool]]]]:
    """Both conditions with four evaluated checkpoints of GRPO on 20 questions, two seeds."""
    folders = tree(num_items=20, seeds=(0, 1))
    draw, found = random.Random(0), {}
    for side, folder in enumerate(folders):
        for seed in (0, 1):
            rights = {step: [draw.random() < 0.3 + 0.4 * side for _ in range(20)] for step in (5, 10, 15, 20)}
            write_checkpoints(folder, seed, rights)
            found[side, seed] = rights
    return folders, found


def test_each_item_counts_by_its_mean_over_the_last_checkpoints(averaged) -> None:
    folders, rights = averaged
    pair = Pair(*map(load_condition, folders))
    found = outcomes_at(pair, Endpoint(**LAST | {"group": "all"}))
    ids = sorted(f"gsm8k-{index}" for index in range(20))
    order = [int(id.removeprefix("gsm8k-")) for id in ids]
    for side, values in enumerate((found.reference, found.other)):
        for row, seed in enumerate((0, 1)):
            expected = np.mean([rights[side, seed][step] for step in (10, 15, 20)], axis=0)[order]
            assert values[row] == pytest.approx(expected)
    assert found.are_values
    single = outcomes_at(pair, Endpoint(**LAST | {"group": "all", "last_checkpoints": 1}))
    assert not single.are_values
    assert single.reference[0].tolist() == [rights[0, 0][20][index] for index in order]


def test_it_can_be_the_declared_endpoint(averaged) -> None:
    folders, rights = averaged
    declare(folders, [LAST, {**LAST, "last_checkpoints": 1}], [0, 1])
    results = results_of(folders)
    assert results.preregistration.departures == ()
    row = results.primary
    assert (row.last_checkpoints, row.role, row.unit) == (3, "primary", None)
    mean = np.mean([[rights[0, seed][step] for step in (10, 15, 20)] for seed in (0, 1)])
    assert row.reference.accuracy == pytest.approx(mean)
    others = [one for one in results.rows if (one.task, one.role) == ("gsm8k", "declared")]
    assert [one.last_checkpoints for one in others] == [1]
    assert "(mean over the last 3 checkpoints)" in results.verdict.sentence
    assert result_table(results).rows[0][1] == "gsm8k accuracy, last 3 checkpoints (primary)"
    assert row.endpoint == results.primary_endpoint


def test_checkpoints_that_are_missing_are_a_departure(averaged) -> None:
    folders, _ = averaged
    declare(folders, [{**LAST, "last_checkpoints": 5}, {**LAST, "last_checkpoints": 1}], [0, 1])
    results = results_of(folders)
    assert results.preregistration.departures == (
        "the declared endpoint gsm8k accuracy (all) of grpo_final, over its last 5 checkpoints, was not evaluated",
    )
    with pytest.raises(
        RecipeError, match="5 checkpoints of grpo_final with the same items of gsm8k are needed, found 4"
    ):
        outcomes_at(Pair(*map(load_condition, folders)), Endpoint(**LAST | {"group": "all", "last_checkpoints": 5}))


def test_checkpoints_on_other_items_are_refused(averaged) -> None:
    folders, rights = averaged
    write_checkpoints(folders[1], 1, {10: rights[1, 1][10][:15]} | {20: rights[1, 1][20]})
    with pytest.raises(RecipeError, match="with the same items"):
        outcomes_at(Pair(*map(load_condition, folders)), Endpoint(**LAST | {"group": "all"}))
