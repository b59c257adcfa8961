"""The ends of training curves: what still climbs, what does not, and what the verdict says then."""

import numpy as np
import pytest

from domain_tokens.analysis.measures.plateau import plateau_rows
from domain_tokens.analysis.results_model import Plateau
from domain_tokens.analysis.statistics.plateau import late_gain
from domain_tokens.analysis.verdict import Evidence
from domain_tokens.runs.results import Pair, load_condition

from .conftest import checkpoint, write_json, write_rows
from .simulated import DECLARED, judge_rows, write_experiment
from .test_family import BASELINE, BETTER
from .test_verdict import ALIKE, EFFECT, NOISY

STEPS = np.arange(1, 201, dtype=float)


def curve(values, noise: float = 0.02, seed: int = 0, steps=STEPS):
    return steps, values + np.random.default_rng(seed).normal(0, noise, len(steps))


def test_a_straight_line_climbs():
    end = late_gain([curve(STEPS / 200)])
    assert end.climbs
    assert end.gain == pytest.approx(0.25, abs=0.02)
    assert end.share == pytest.approx(0.25, abs=0.03)


def test_a_curve_that_has_levelled_off_does_not():
    end = late_gain([curve(1 - np.exp(-STEPS / 10))])
    assert end.climbs is False
    assert end.gain == pytest.approx(0.0, abs=0.02)


def test_what_climbs_by_little_of_the_whole_is_at_its_end():
    # Without noise any slope is significant; four time constants leave 3% for the last quarter.
    end = late_gain([curve(1 - np.exp(-STEPS / 50), noise=1e-6)])
    assert end.p_value < 1e-6
    assert 0.02 < end.share < 0.05
    assert end.climbs is False
    assert late_gain([curve(1 - np.exp(-STEPS / 80), noise=1e-6)]).climbs


def test_what_is_within_its_noise_does_not_climb():
    values = 0.02 * STEPS / 200
    assert late_gain([curve(values, noise=1e-6)]).climbs
    assert late_gain([curve(values, noise=0.5)]).climbs is False


def test_a_curve_that_falls_at_its_end_does_not_climb():
    assert late_gain([curve(-STEPS / 200)]).climbs is False
    late = np.where(STEPS > 150, (STEPS - 150) / 100, -STEPS / 150)  # falls, then rises to less than its start
    end = late_gain([curve(late)])
    assert end.share is None or end.share > 0.05
    assert end.climbs


def test_flat_curves_are_taken_for_climbing_as_often_as_the_rule_says():
    # Where the whole does not improve the share says nothing, and the level of the test is all there is.
    found = [late_gain([curve(np.zeros(200), 1.0, seed)]) for seed in range(400)]
    assert 8 <= sum(end.p_value < 0.05 for end in found) <= 34  # 20 expected, sd 4.4
    assert sum(end.climbs for end in found) <= 34


def test_seeds_are_averaged():
    rising, level = curve(STEPS / 200), curve(np.zeros(200), seed=1)
    both = late_gain([rising, level])
    assert both.gain == pytest.approx((late_gain([rising]).gain + late_gain([level]).gain) / 2)


def test_few_points_are_judged_by_the_variance_between_seeds():
    steps = np.array([50.0, 100.0, 150.0, 200.0])
    rising = [(steps, np.array([0.1, 0.2, 0.3, 0.4 + 0.01 * seed])) for seed in range(3)]
    end = late_gain(rising)
    assert end.gain == pytest.approx(0.11 * 37.5 / 50, rel=0.02)  # the last quarter begins at step 162.5
    assert end.climbs
    scattered = [(steps, np.array([0.1, 0.2, 0.3, 0.3 + step])) for step in (-0.1, 0.0, 0.12)]
    assert late_gain(scattered).climbs is False
    assert late_gain(rising[:1]).climbs is None
    assert late_gain([(steps[:1], np.array([0.1]))]) is None


def climbing(root, other=BETTER, declared=DECLARED, condition="mul_tokens"):
    conditions = write_experiment(root, {"baseline": BASELINE, "mul_tokens": other}, declared, None, ("sft", "grpo"))
    for folder in [one.folder for one in conditions if one.name == condition]:
        for log in folder.glob("seed_*/sft_final/metrics.jsonl"):
            seed = int(log.parents[1].name.removeprefix("seed_"))
            noise = np.random.default_rng(seed).normal(0, 0.01, 100)
            rows = [{"step": step, "stage": "drills", "loss": 3 - step / 100 + noise[step]} for step in range(100)]
            write_rows(log, rows)
    return [load_condition(condition.folder) for condition in conditions]


@pytest.mark.parametrize("condition", ["baseline", "mul_tokens"])
def test_a_rejection_off_a_plateau_is_no_causal_claim(tmp_path, condition):
    conditions = climbing(tmp_path, condition=condition)
    _, found, _, evidence = judge_rows(conditions)
    assert [(row.condition, row.stage) for row in evidence.climbing] == [(condition, "sft/drills")]
    assert (found.outcome, found.h0_rejected, found.at_plateau) == ("better", True, False)
    assert found.sentence.startswith("H0 is rejected, mul_tokens is better than baseline at this budget, 3 seeds: ")
    (row,) = evidence.climbing
    assert row.share == pytest.approx(0.25, abs=0.02)
    assert f"Not at a plateau (loss of {condition} in sft/drills, {row.share:.0%} of its improvement" in found.sentence
    assert "no claim about what the tokenizer causes" in found.sentence


def test_at_a_plateau_the_sentence_has_no_reservation(tmp_path):
    conditions = write_experiment(tmp_path, {"baseline": BASELINE, "mul_tokens": BETTER}, DECLARED)
    _, found, _, evidence = judge_rows(conditions)
    assert {row.climbs for row in evidence.plateaus} == {False}
    assert found.at_plateau is True
    assert "budget" not in found.sentence
    assert "plateau" not in found.sentence


@pytest.mark.parametrize(("other", "outcome"), [(ALIKE, "equivalent"), (NOISY, "insensitive")])
def test_other_verdicts_carry_the_reservation_too(tmp_path, other, outcome):
    _, found, _, _ = judge_rows(climbing(tmp_path, other, DECLARED | EFFECT))
    assert found.outcome == outcome
    assert "Not at a plateau" in found.sentence


def test_without_curves_there_is_no_telling(tmp_path):
    conditions = write_experiment(tmp_path, {"baseline": BASELINE, "mul_tokens": BETTER}, DECLARED)
    for log in tmp_path.rglob("metrics.jsonl"):
        log.unlink()
    _, found, _, _ = judge_rows([load_condition(condition.folder) for condition in conditions])
    assert found.at_plateau is None


def test_the_curves_are_those_of_the_stages_before_the_endpoint(tree):
    folders = tree(num_items=12, seeds=(0, 1, 2))
    for folder in folders:
        for seed in range(3):
            for step in (15, 30, 45, 60):
                point = checkpoint("sft", step, folder.name, seed, 0)
                point["metrics"]["arithmetic/accuracy"] = 0.1 * step + 0.001 * seed * step
                write_json(folder / f"seed_{seed}/eval/checkpoints/sft-{step}.json", point)
    pair = Pair(*map(load_condition, folders))

    def found(model):
        return {(row.stage, row.metric) for row in plateau_rows(pair, model)}

    sft = {("sft/drills", "loss"), ("sft/gsm8k", "loss"), ("sft", "arithmetic/accuracy")}
    assert found("pretrain_final") == {("pretrain", "loss")}
    assert found("sft_final") == {("pretrain", "loss")} | sft
    assert found("grpo_final") == {("pretrain", "loss"), ("grpo", "reward")} | sft
    rows = {(row.condition, row.metric): row for row in plateau_rows(pair, "grpo_final")}
    assert rows["baseline", "arithmetic/accuracy"].climbs
    assert rows["baseline", "reward"].climbs is False
    assert rows["baseline", "reward"].gain == pytest.approx(0, abs=0.02)


def test_a_loss_that_rises_does_not_climb(tree):
    folders = tree(num_items=12)
    for log in folders[1].glob("seed_0/pretrain_final/metrics.jsonl"):
        write_rows(log, [{"step": step, "loss": 3 + step / 100} for step in range(60)])
    rows = {
        (row.condition, row.stage): row for row in plateau_rows(Pair(*map(load_condition, folders)), "pretrain_final")
    }
    assert rows["mul_tokens", "pretrain"].gain < 0
    assert rows["mul_tokens", "pretrain"].climbs is False


def test_a_curve_of_one_seed_alone_is_left_out(tree):
    folders = tree(num_items=12, seeds=(0, 1))
    (folders[0] / "seed_1/pretrain_final/metrics.jsonl").unlink()
    rows = plateau_rows(Pair(*map(load_condition, folders)), "pretrain_final")
    assert [row.condition for row in rows] == ["mul_tokens"]


def test_one_curve_that_climbs_is_enough():
    level, rising, unknown = (
        Plateau(stage="sft", condition="a", metric="loss", gain=0.0, share=None, p_value=None, climbs=climbs)
        for climbs in (False, True, None)
    )
    for curves, expected in (
        ((level, rising), False), ((level, unknown), True), ((unknown,), None), ((), None),
    ):  # fmt: skip
        assert Evidence(None, None, None, None, curves).at_plateau is expected
