"""The verdict's kinds and sentences, the assay's sensitivity, and both outcomes of every success criterion."""

import shutil

import numpy as np
import pytest

from domain_tokens.analysis.report.formats import Scale
from domain_tokens.analysis.results_model import Means, ResultRow, TokenUse
from domain_tokens.analysis.verdict import decide, success_criteria
from domain_tokens.runs.results import load_condition

from .conftest import write_evaluation
from .simulated import DECLARED, judge, judge_rows, write_experiment
from .test_family import BASELINE, BETTER, CLOSE, runs

EFFECT = {"smallest_effect": {"scale": "logit", "value": 0.3}}
ALIKE = runs(81, 80, 79)  # hardly a difference, and runs that hardly vary
NOISY = runs(60, 85, 110)


def two(root, other, baseline=BASELINE, **declared):
    return write_experiment(root, {"baseline": baseline, "mul_tokens": other}, DECLARED | EFFECT | declared)


def control(root, other, control_runs, **declared):
    contrasts = {"whole": ["mul_tokens", "baseline"], "less data": ["half", "baseline"]}
    outcomes = {"baseline": BASELINE, "mul_tokens": other} | ({} if control_runs is None else {"half": control_runs})
    fields = DECLARED | EFFECT | {"contrasts": contrasts, "positive_control": "less data"} | declared
    return write_experiment(root, outcomes, fields)


def test_an_assay_with_too_little_power_is_not_sensitive(tmp_path):
    _, verdict, _, evidence = judge_rows(two(tmp_path, NOISY))
    assert evidence.assay.power < 0.8
    assert (verdict.outcome, verdict.h0_rejected) == ("insensitive", False)
    assert verdict.sentence.startswith("The assay is not sensitive, 3 seeds: gsm8k accuracy of grpo_final is 20.00%")
    low, high = evidence.assay.power_range
    for part in (
        f"with a power of {evidence.assay.power:.0%} ({low:.0%} to {high:.0%}",
        "(0.3 on the logit scale)",
        "under the declared 80%",
        "says nothing about the tokenizer",
        "To add a positive control",
    ):
        assert part in verdict.sentence
    assert "No difference" not in verdict.sentence


def test_an_assay_with_power_may_show_that_there_is_no_difference(tmp_path):
    row, verdict, _, evidence = judge_rows(two(tmp_path, ALIKE))
    assert evidence.assay.power > 0.8
    assert evidence.assay.failures == ()
    assert (verdict.outcome, verdict.h0_rejected) == ("equivalent", False)
    # the margin is the smallest effect at the reference's 20%: odds of 1/4, times e^-0.3 for the smaller step
    odds = 0.25 * np.exp(-0.3)
    assert row.equivalence.margin == pytest.approx(0.2 - odds / (1 + odds))
    assert evidence.assay.smallest_effect == pytest.approx(row.equivalence.margin)


@pytest.mark.parametrize(("wanted", "outcome"), [(0.5, "undecided"), (0.999, "insensitive")])
def test_the_declared_power_decides(tmp_path, wanted, outcome):
    row, verdict, _, evidence = judge_rows(two(tmp_path, runs(90, 100, 85), power=wanted))
    assert row.p_family > 0.05
    assert 0.5 < evidence.assay.power < 0.999
    assert verdict.outcome == outcome


def test_each_limit_is_its_own_side(tmp_path):
    """A p of exactly alpha does not reject, and a power of exactly the declared one is enough."""
    row, verdict, _, evidence = judge_rows(two(tmp_path / "first", runs(90, 100, 85), power=0.5))
    assert verdict.outcome == "undecided"
    assert " points). It cannot be told whether this is a plateau" in verdict.sentence, "no closed gate is named"
    _, _, _, just = judge_rows(two(tmp_path / "second", runs(90, 100, 85), power=evidence.assay.power))
    assert just.assay.power == just.assay.wanted_power
    assert just.assay.failures == ()
    at_alpha = row.model_copy(update={"p_family": evidence.family.alpha})
    assert decide(at_alpha, evidence) == ("undecided", False)
    assert decide(row.model_copy(update={"p_family": evidence.family.alpha - 1e-9}), evidence) == ("better", True)


def test_a_positive_control_that_does_not_move_makes_it_insensitive(tmp_path):
    _, verdict, _, evidence = judge_rows(control(tmp_path, ALIKE, CLOSE))
    assert evidence.assay.power > 0.8, "only the control fails"
    assert evidence.assay.positive_control.moved is False
    assert verdict.outcome == "insensitive"
    assert "the positive control 'less data' (half minus baseline) does not move the endpoint" in verdict.sentence
    interval = Scale(None).interval(evidence.assay.positive_control.interval)
    assert f"points, {interval}, p = " in verdict.sentence
    assert "with a power of" not in verdict.sentence


def test_a_positive_control_that_moves_lets_the_verdict_stand(tmp_path):
    _, verdict, _, evidence = judge_rows(control(tmp_path, ALIKE, runs(40, 42, 41)))
    found = evidence.assay.positive_control
    assert found.moved
    assert found.p_value < 0.05
    assert found.delta == pytest.approx(-39 / 400)
    assert (found.condition, found.partner) == tuple(found.contrast.split(" minus "))
    assert verdict.outcome == "equivalent"
    assert "More seeds raise the power" in evidence.assay.advice
    assert "To add a positive control" not in evidence.assay.advice


def test_a_positive_control_that_was_planned_and_not_run_shows_nothing(tmp_path):
    conditions = control(tmp_path, ALIKE, ALIKE)
    shutil.rmtree(conditions[2].folder)
    _, verdict, _, evidence = judge_rows(conditions[:2])
    assert evidence.assay.positive_control.moved is None
    assert verdict.outcome == "insensitive"
    assert "the positive control 'less data' was not run" in verdict.sentence


def test_a_positive_control_that_was_never_planned_is_none(tmp_path):
    contrasts = {"whole": ["mul_tokens", "baseline"], "less data": ["half", "baseline"]}
    conditions = two(tmp_path, ALIKE, contrasts=contrasts, main=["whole"], positive_control="less data")
    _, verdict, _, evidence = judge_rows(conditions)
    assert evidence.assay.power > 0.8
    assert (evidence.assay.positive_control, verdict.outcome) == (None, "equivalent")
    # nothing frozen: whether it was planned is not known
    (conditions[0].folder.parent / "preregistration.json").unlink()
    _, verdict, _, evidence = judge_rows(conditions)
    assert evidence.assay.positive_control.moved is None
    assert "was not run" in "".join(evidence.assay.failures)


@pytest.mark.parametrize(("lost", "outcome"), [(40, "equivalent"), (0, "insensitive")])
def test_a_mode_may_be_the_positive_control(tmp_path, lost, outcome):
    conditions = two(tmp_path, ALIKE, positive_control="facts_forbidden")
    assert judge(conditions).outcome == "insensitive", "the mode was not run"
    for condition in conditions:
        for seed, run in condition.seeds.items():
            evaluation = run.evaluations["grpo_final", "gsm8k"]
            items = [item.as_json() for item in evaluation.items.values()]
            taken = lost + seed if condition.name == "mul_tokens" and lost else 0
            for item in [item for item in items if item["correct"]][:taken]:
                item["correct"] = False
            fields = {
                name: getattr(evaluation.result, name) for name in ("condition", "seed", "model", "weights_sha256")
            }
            write_evaluation(evaluation.path.parent, "gsm8k.facts_forbidden", items, **fields)
    _, verdict, _, evidence = judge_rows([load_condition(condition.folder) for condition in conditions])
    assert evidence.assay.positive_control.moved is (lost > 0)
    assert evidence.assay.positive_control.contrast in (
        "mul_tokens, facts_forbidden minus plain", "baseline, facts_forbidden minus plain",
    )  # fmt: skip
    assert verdict.outcome == outcome


def test_a_rejection_stays_one_whatever_the_control_does(tmp_path):
    _, verdict, _, evidence = judge_rows(control(tmp_path, BETTER, CLOSE))
    assert evidence.assay.failures
    assert (verdict.outcome, verdict.h0_rejected) == ("better", True)


def test_a_reference_that_answers_nothing_is_not_sensitive(tmp_path):
    _, verdict, _, evidence = judge_rows(two(tmp_path, runs(0, 1, 0), baseline=runs(0, 0, 0)))
    assert evidence.assay.smallest_effect == 0
    assert verdict.outcome == "insensitive"
    assert "the reference's accuracy is 0.00%, where no smaller effect can show" in verdict.sentence


@pytest.mark.parametrize(
    ("right", "said"),
    [(80, "power cannot be estimated: the two conditions' outcomes hardly differ, or not at all."),
     (90, "power is ")],
)  # fmt: skip
def test_where_nothing_differs_no_smallest_difference_is_named(tmp_path, right, said):
    _, verdict, _, _ = judge_rows(two(tmp_path, runs(right), baseline=runs(80)))
    assert verdict.outcome == "pilot"
    assert f"The smallest true difference that would be found with 80% {said}" in verdict.sentence


def test_without_a_smallest_effect_sensitivity_is_not_judged(tmp_path):
    conditions = write_experiment(
        tmp_path, {"baseline": BASELINE, "mul_tokens": NOISY}, DECLARED | {"equivalence_margin": 0.02}
    )
    row, verdict, _, evidence = judge_rows(conditions)
    assert evidence.assay is None
    assert (verdict.outcome, row.equivalence.margin) == ("undecided", 0.02)


def test_the_sentence_says_where_the_questions_come_from(tmp_path):
    outcomes = {"baseline": BASELINE, "mul_tokens": BETTER}
    clusters = [f"boxes:{index // 2}" for index in range(400)]
    verdict = judge(write_experiment(tmp_path, outcomes, DECLARED, clusters, source="problems"))
    assert "gsm8k accuracy of grpo_final (data: problems; 400 questions in 200 clusters) is 20.00%" in verdict.sentence


def use(model: str, task: str, facts: tuple[float | None, float | None], tokens: tuple[float, float]) -> TokenUse:
    return TokenUse(
        model=model,
        task=task,
        facts_per_response=Means(reference=facts[0], other=facts[1]),
        tokens_per_response=Means(reference=tokens[0], other=tokens[1]),
        finished=Means(reference=1.0, other=1.0),
    )


@pytest.fixture(scope="module")
def row(tmp_path_factory) -> ResultRow:
    """The primary row of an experiment in which every seed gains."""
    return judge_rows(two(tmp_path_factory.mktemp("criteria"), BETTER))[0]


def with_gains(row: ResultRow, *gains: float) -> ResultRow:
    seeds = [row.by_seed[0].model_copy(update={"seed": number, "delta": gain}) for number, gain in enumerate(gains)]
    return row.model_copy(update={"by_seed": tuple(seeds), "delta": float(np.mean(gains))})


def met(rows, used=()):
    return [criterion.met for criterion in success_criteria(rows, used, "mul_tokens")]


@pytest.mark.parametrize(
    ("gains", "expected"), [((0.1, 0.2), True), ((0.1, 0.0), False), ((0.3, -0.1), False), ((0.1,), None)]
)
def test_criterion_of_gains_in_every_seed(row, gains, expected):
    assert met([with_gains(row, *gains)])[0] is expected


@pytest.mark.parametrize(
    ("interval", "expected"), [((0.01, 0.2), True), ((0.0, 0.2), False), ((-0.1, 0.2), False), (None, None)]
)
def test_criterion_of_the_arithmetic_probe(row, interval, expected):
    change = {"task": "arithmetic", "role": "exploratory", "interval": interval}
    earlier = row.model_copy(update=change | {"model": "sft_final", "interval": (-0.5, -0.4)})
    last = row.model_copy(update=change | {"model": "grpo_final"})
    of_group = last.model_copy(update={"group": "sums", "interval": (0.5, 0.6)})
    assert met([row, earlier, last, of_group])[1] is expected
    assert met([row])[1] is None


@pytest.mark.parametrize(
    ("before", "after", "expected"), [(1.0, 2.0, True), (2.0, 2.0, False), (2.0, 1.0, False), (None, 1.0, None)]
)
def test_criterion_of_more_facts_after_grpo(row, before, after, expected):
    used = [use("sft_final", "gsm8k", (9.0, before), (5, 5)), use("grpo_final", "gsm8k", (0.0, after), (5, 5))]
    assert met([row], used)[2] is expected
    assert met([row], used[:1])[2] is None


@pytest.mark.parametrize(
    ("tokens", "gain", "expected"),
    [((9, 8), 0.0, True), ((9, 8), 0.1, True), ((9, 8), -0.1, False), ((8, 8), 0.1, False), ((8, 9), 0.1, False)],
)
def test_criterion_of_fewer_tokens_without_loss(row, tokens, gain, expected):
    primary = with_gains(row, gain, gain)
    other_task = use("grpo_final", "arithmetic", (0, 0), (1, 0))
    assert met([primary], [other_task, use("grpo_final", "gsm8k", (0, 0), tokens)])[3] is expected
    assert met([primary], [other_task])[3] is None
