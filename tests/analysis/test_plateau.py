"""The ends of training curves: what still climbs, what does not, and what the verdict says then."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from domain_tokens.analysis.measures.plateau import plateau_rows
from domain_tokens.analysis.preregistration import read_preregistration
from domain_tokens.analysis.results_model import Plateau
from domain_tokens.analysis.statistics.plateau import late_gain, rise, still_climb
from domain_tokens.analysis.verdict import Evidence
from domain_tokens.runs.results import Pair, load_condition

from .conftest import checkpoint, write_json, write_rows
from .simulated import DECLARED, judge_rows, write_experiment
from .test_family import BASELINE, BETTER
from .test_verdict import ALIKE, EFFECT, NOISY

STEPS = np.arange(1, 201, dtype=float)


def curve(values, noise: float = 0.02, seed: int = 0, steps=STEPS):
    return steps, values + np.random.default_rng(seed).normal(0, noise, len(steps))


def climbs(curves, smallest_effect: float = 0.0, others: int = 0):
    """Judge curves in a report with further flat ones."""
    flat = [late_gain([curve(np.zeros(200), seed=seed)]) for seed in range(100, 100 + others)]
    return still_climb([late_gain(curves, smallest_effect), *flat])[0][1]


def test_a_straight_line_climbs():
    end = late_gain([curve(STEPS / 200)])
    assert end.gain == pytest.approx(0.25, abs=0.02)
    assert end.share == pytest.approx(0.29, abs=0.03)
    assert end.matters == pytest.approx(0.05 * 0.86, abs=0.003)
    assert climbs([curve(STEPS / 200)])


def test_a_curve_that_has_levelled_off_does_not():
    level = [curve(1 - np.exp(-STEPS / 10), seed=seed) for seed in range(3)]
    assert late_gain(level).gain == pytest.approx(0.0, abs=0.02)
    assert climbs(level, smallest_effect=0.2) is False


def test_what_climbs_by_little_of_the_whole_is_at_its_end():
    # Without noise any slope is significant; five time constants leave 3% for the last quarter.
    slow = [curve(1 - np.exp(-STEPS / 40), noise=1e-6)]
    end = late_gain(slow)
    assert end.p_value < 1e-6
    assert 0.02 < end.share < 0.05
    assert climbs(slow) is False
    assert climbs([curve(1 - np.exp(-STEPS / 80), noise=1e-6)])


@pytest.mark.parametrize("exponent", [0.08, 0.15, 0.3])
@pytest.mark.parametrize("vocabulary", [1780, 50349])
def test_a_power_law_with_budget_to_gain_climbs(exponent, vocabulary):
    # Its first steps fall so far that the last quarter is 2% to 4% of the whole.
    steps = np.arange(10, 19074, 10.0)
    drop = np.log(vocabulary) - 1.7
    losses = 1.7 + drop * (1 + steps / 50) ** -exponent
    assert losses[-1] - (1.7 + drop * (1 + 4 * 19073 / 50) ** -exponent) > 0.2  # what four times the budget brings
    curves = [curve(-losses, 0.03, seed, steps) for seed in range(3)]
    assert climbs(curves, 0.01 * losses[-1], others=35)


def test_a_steep_beginning_does_not_hide_a_late_climb():
    steep = 10 * np.minimum(STEPS / 15, 1.0)
    late = [curve(steep + STEPS / 200)]
    assert late_gain(late).gain / (late[0][1][-1] - late[0][1][0]) < 0.03  # of the whole
    assert climbs(late)


def test_what_is_within_its_noise_is_no_climb_and_no_plateau():
    values = STEPS / 200
    assert climbs([curve(values, noise=1e-6)])
    assert climbs([curve(values, noise=2.0)]) is None


def test_the_smallest_effect_says_what_matters():
    flat = [curve(np.zeros(200), 0.02, seed) for seed in range(3)]
    end = late_gain(flat)
    assert end.upper > 0.001
    assert climbs(flat, smallest_effect=0.001) is None
    assert climbs(flat, smallest_effect=0.2) is False
    small = [curve(STEPS / 20_000, 1e-6)]
    assert climbs(small)
    assert climbs(small, smallest_effect=0.2) is False


def test_a_curve_that_falls_at_its_end_does_not_climb():
    assert climbs([curve(-STEPS / 200)]) is False
    late = np.where(STEPS > 150, (STEPS - 150) / 100, -STEPS / 150)  # falls, then rises to less than its start
    assert late_gain([curve(late)]).gain > 0
    assert climbs([curve(late)])


def test_p_values_are_corrected_for_all_curves_of_a_report():
    slope = [curve(STEPS / 2000)]
    p = late_gain(slope).p_value
    assert 0.05 / 36 < p < 0.05
    assert climbs(slope)
    assert climbs(slope, others=35) is None


def test_a_report_of_flat_curves_is_rarely_off_a_plateau():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(40):
        lengths = (2, 4, 6, 10, 40, 100) * 6
        flat = [[(np.arange(size, dtype=float), rng.normal(0, 1, size)) for _ in range(3)] for size in lengths]
        ends = [late_gain(curves) for curves in flat]
        assert len(ends) == 36
        found.append(any(one for _, one in still_climb(ends)))
    assert sum(found) <= 6  # 2 expected at most


def test_noise_that_wanders_is_no_climb():
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        noise = rng.normal(0, 1, 200)
        for step in range(1, 200):
            noise[step] += 0.8 * noise[step - 1]
        found += late_gain([(STEPS, noise)]).p_value < 0.05
    assert found <= 25  # 10 expected; 48 if neighbouring points counted as independent


def test_seeds_are_averaged():
    rising, level = curve(STEPS / 200), curve(np.zeros(200), seed=1)
    both = late_gain([rising, level])
    assert both.gain == pytest.approx((late_gain([rising]).gain + late_gain([level]).gain) / 2)


def test_few_points_are_judged_by_a_line_through_the_last_half():
    steps = np.arange(1, 11, dtype=float)
    noise = np.random.default_rng(0).normal(0, 1, (3, 10))
    rise = steps / 9
    assert climbs([(steps, 20 * rise + one) for one in noise], others=35)
    assert climbs([(steps, 4 * rise + one) for one in noise], others=35) is None  # too few points for so small a rise
    assert climbs([(steps, one) for one in 0.01 * noise], smallest_effect=0.2) is False
    assert climbs([(steps, 10 * np.minimum(rise, 0.4) + one) for one in 0.01 * noise]) is False  # level since step 4


def test_the_rise_of_a_reward_has_an_interval_that_covers_it():
    steps, rng, covered, told = np.arange(1, 11, dtype=float), np.random.default_rng(3), 0, 0
    for _ in range(400):
        found = rise([(steps, 0.5 * (steps - 1) / 9 + rng.normal(0, 0.3, 10)) for _ in range(4)])
        covered += found.interval[0] < 0.5 < found.interval[1]
        told += found.interval[0] > 0
    assert 370 <= covered <= 390  # 380 of 400 expected, 360 with an interval of 90%
    assert told > 200
    flat = rise([(steps, np.zeros(10))])
    assert (flat.change, flat.interval) == (0, (0, 0))
    assert rise([(steps[:2], np.array([0.1, 0.3]))]) == (pytest.approx(0.2), None)
    assert rise([(steps[:1], np.array([0.1]))]) is None


def test_two_points_cannot_tell():
    pairs = [(np.array([50.0, 100.0]), np.array([0.1, 0.2 + 0.01 * seed])) for seed in range(3)]
    end = late_gain(pairs)
    assert (end.p_value, end.upper) == (None, None)
    assert end.gain == pytest.approx(0.11 / 4)
    assert climbs(pairs) is None
    assert late_gain([(one[0][:1], one[1][:1]) for one in pairs]) is None


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
    assert row.share == pytest.approx(0.29, abs=0.03)
    assert f"Not at a plateau (loss of {condition} in sft/drills, {row.share:.0%} of its improvement" in found.sentence
    assert found.sentence.endswith(
        " in the last quarter). This describes one budget; it is no claim about what the tokenizer causes."
    )


def levelled(root, noise):
    """Write a declared experiment whose losses and rewards have levelled off, with noise around them."""
    conditions = write_experiment(root, {"baseline": BASELINE, "mul_tokens": BETTER}, DECLARED)
    for index, log in enumerate(sorted(root.rglob("metrics.jsonl"))):
        drawn = np.random.default_rng(index).normal(0, noise, 200)
        rows = [
            {"step": step + 1, "loss": 3 + 2 * math.exp(-step / 20) + one, "reward": 0.5 - math.exp(-step / 20) + one}
            for step, one in enumerate(drawn)
        ]
        write_rows(log, rows)
    return [load_condition(condition.folder) for condition in conditions]


def test_at_a_plateau_the_sentence_has_no_reservation(tmp_path):
    _, found, _, evidence = judge_rows(levelled(tmp_path, 0.001))
    assert evidence.plateaus
    assert {row.climbs for row in evidence.plateaus} == {False}
    assert found.at_plateau is True
    assert "budget" not in found.sentence
    assert "plateau" not in found.sentence


def test_curves_that_cannot_tell_are_no_plateau(tmp_path):
    _, found, _, evidence = judge_rows(levelled(tmp_path, 1.0))
    assert {row.climbs for row in evidence.plateaus} == {None}
    assert found.at_plateau is None
    more = len(evidence.plateaus) - 1
    assert f"It cannot be told whether this is a plateau (reward of baseline in grpo and {more} more" in found.sentence
    assert found.h0_rejected is True
    assert "budget" not in found.sentence


def test_curves_of_all_conditions_of_a_report_are_corrected_together(tmp_path):
    conditions = climbing(tmp_path)
    pair = Pair(*conditions[:2])
    declared = read_preregistration(pair)
    own = plateau_rows(pair, "sft_final", declared)
    both = plateau_rows(pair, "sft_final", declared, [*conditions, replace(conditions[1], name="again")])
    assert {row.condition for row in both} == {"baseline", "mul_tokens"}
    added = sum(row.condition == "mul_tokens" for row in own)
    assert both[0].num_curves == own[0].num_curves + added > len(both)
    assert [row.p_value for row in both] == [row.p_value for row in own]
    for found in (own, both):
        assert min(row.p_holm for row in found) == pytest.approx(
            min(row.p_value for row in found) * found[0].num_curves
        )


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

    declared = read_preregistration(pair)

    def found(model):
        return {(row.stage, row.metric) for row in plateau_rows(pair, model, declared)}

    sft = {("sft/drills", "loss"), ("sft/gsm8k", "loss"), ("sft", "arithmetic/accuracy")}
    assert found("pretrain_final") == {("pretrain", "loss")}
    assert found("sft_final") == {("pretrain", "loss")} | sft
    assert found("grpo_final") == {("pretrain", "loss"), ("grpo", "reward")} | sft
    rows = {(row.condition, row.metric): row for row in plateau_rows(pair, "grpo_final", declared)}
    assert rows["baseline", "arithmetic/accuracy"].climbs
    assert rows["baseline", "reward"].gain == pytest.approx(0, abs=0.02)
    assert rows["baseline", "reward"].matters == pytest.approx(0.25 * declared.margin_at(0.44), abs=0.001)
    assert rows["baseline", "reward"].num_curves == 10
    assert {metric for (_, metric), row in rows.items() if row.rise is not None} == {"reward"}
    curves = []
    for log in sorted(folders[0].glob("seed_*/grpo_final/metrics.jsonl")):
        logged = [json.loads(line) for line in log.read_text().splitlines()]
        kept = [(row["step"], row["reward"]) for row in logged if "reward" in row]
        curves.append((np.array([step for step, _ in kept], dtype=float), np.array([value for _, value in kept])))
    expected = rise(curves)
    assert len(curves) == 3
    assert rows["baseline", "reward"].rise == pytest.approx(expected.change)
    assert rows["baseline", "reward"].rise_interval == pytest.approx(expected.interval)


def test_a_loss_that_rises_does_not_climb(tree):
    folders = tree(num_items=12)
    for log in folders[1].glob("seed_0/pretrain_final/metrics.jsonl"):
        write_rows(log, [{"step": step, "loss": 3 + step / 100} for step in range(60)])
    pair = Pair(*map(load_condition, folders))
    found = plateau_rows(pair, "pretrain_final", read_preregistration(pair))
    rows = {(row.condition, row.stage): row for row in found}
    assert rows["mul_tokens", "pretrain"].gain < 0
    assert rows["mul_tokens", "pretrain"].climbs is False


def test_a_curve_of_one_seed_alone_is_left_out(tree):
    folders = tree(num_items=12, seeds=(0, 1))
    (folders[0] / "seed_1/pretrain_final/metrics.jsonl").unlink()
    pair = Pair(*map(load_condition, folders))
    rows = plateau_rows(pair, "pretrain_final", read_preregistration(pair))
    assert [row.condition for row in rows] == ["mul_tokens"]


def test_one_curve_that_climbs_is_enough():
    level, rising, unknown = (
        Plateau(stage="sft", condition="a", metric="loss", gain=0.0, share=None, p_value=None, climbs=climbs)
        for climbs in (False, True, None)
    )
    for curves, expected in (
        ((level, rising), False), ((rising, unknown), False), ((level,), True), ((level, unknown), None), ((), None),
    ):  # fmt: skip
        assert Evidence(None, None, None, None, curves).at_plateau is expected
