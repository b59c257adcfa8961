"""The family of tests: what is tested first, what waits for it, and what is in no family."""

import shutil

import numpy as np
import pytest

from domain_tokens.analysis.family import declared_family
from domain_tokens.analysis.overview import assemble_overview
from domain_tokens.analysis.preregistration import read_preregistration
from domain_tokens.analysis.statistics.paired import gatekeeping, holm
from domain_tokens.analysis.statistics.power import detectable
from domain_tokens.recipe.prereg import Prereg
from domain_tokens.runs.results import Pair

from .simulated import DECLARED, judge, judge_rows, write_experiment

CONTRASTS = {
    "whole": ["mul_tokens", "baseline"],
    "placebo": ["placebo", "baseline"],
    "symbol": ["mul_tokens", "placebo"],
}


def runs(*right: int, num_items: int = 400) -> np.ndarray:
    """Return outcomes of three seeds with so many right answers each."""
    return np.arange(num_items) < np.array(right)[:, None]


BASELINE, BETTER, MIDDLE = runs(80, 80, 80), runs(160, 162, 164), runs(120, 121, 122)
CLOSE = runs(82, 80, 84)


def experiment(root, mul_tokens, placebo=MIDDLE, **declared):
    outcomes = {"baseline": BASELINE, "mul_tokens": mul_tokens, "placebo": placebo}
    return write_experiment(root, outcomes, DECLARED | {"contrasts": CONTRASTS} | declared)


def pair_of(conditions, other, reference="baseline"):
    by_name = {condition.name: condition for condition in conditions}
    return Pair(by_name[reference], by_name[other])


def test_contrasts_are_tested_where_the_main_comparison_shows_a_difference(tmp_path):
    conditions = experiment(tmp_path, BETTER)
    main, verdict, family, _ = judge_rows(conditions)
    assert verdict.h0_rejected
    assert main.p_family == main.p_value < 0.05, "one main comparison is tested at the full alpha"
    rows = [judge_rows(conditions, pair_of(conditions, *pair)) for pair in (("placebo",), ("placebo", "mul_tokens"))]
    assert [found.h0_rejected for _, found, _, _ in rows] == [True, True]
    corrected = holm([row.p_value for row, *_ in rows])
    assert [row.p_family for row, *_ in rows] == [max(p, main.p_family) for p in corrected]
    assert (family.main_alpha, family.gated_alpha) == (0.05, 0.025)


def test_contrasts_wait_for_the_main_comparison(tmp_path):
    conditions = experiment(tmp_path, CLOSE)
    assert judge(conditions).h0_rejected is False
    row, verdict, _, _ = judge_rows(conditions, pair_of(conditions, "placebo"))
    assert row.p_value < 0.001, "the contrast by itself is clear"
    assert row.p_family > 0.05
    assert (verdict.outcome, verdict.h0_rejected) == ("undecided", False)
    assert "only where the main comparison shows a difference" in verdict.sentence


def test_a_contrast_without_the_main_comparison_in_the_report_is_not_tested(tmp_path):
    conditions = experiment(tmp_path, BETTER)
    row, verdict, _, _ = judge_rows([conditions[0], conditions[2]])
    assert (row.p_family, verdict.outcome) == (1.0, "undecided")


def test_a_pair_that_was_not_declared_decides_nothing(tmp_path):
    conditions = experiment(tmp_path, BETTER, contrasts={"whole": ["mul_tokens", "baseline"]})
    row, verdict, _, _ = judge_rows(conditions, pair_of(conditions, "placebo"))
    assert row.p_value < 0.001
    assert (row.p_family, verdict.outcome, verdict.h0_rejected) == (None, "exploratory", None)
    assert verdict.exploratory
    assert verdict.sentence.startswith("Exploratory, not a test of H0 (not a declared comparison): 3 seeds")
    assert "rejected" not in verdict.sentence


def test_several_main_comparisons_share_alpha(tmp_path):
    conditions = experiment(tmp_path, BETTER, placebo=CLOSE, main=["whole", "placebo"])
    family = declared_family(conditions, read_preregistration(Pair(*conditions[:2])))
    assert family.main_alpha == 0.025
    judged = [judge_rows(conditions, pair_of(conditions, name)) for name in ("mul_tokens", "placebo")]
    rows = [row for row, *_ in judged]
    for _, verdict, *_ in judged:
        assert (
            "of the 2 main comparisons, after Holm's correction for 2 comparisons, at the full alpha. Only if H0 is "
            "rejected in the 2 main comparisons are the"
        ) in verdict.rule
        assert "tests made (further endpoints and contrasts), with Holm's correction for their number." in verdict.rule
    assert [row.p_family for row in rows] == holm([row.p_value for row in rows])
    # what was not run counts as not significant, and weakens no correction
    alone, *_ = judge_rows(conditions[:2])
    assert alone.p_family == pytest.approx(min(1.0, 2 * alone.p_value))
    # a contrast of the second step waits for all main comparisons
    contrast, verdict, _, _ = judge_rows(conditions, pair_of(conditions, "placebo", "mul_tokens"))
    assert (contrast.p_value < 0.001, verdict.h0_rejected) == (True, False)


THREE = CONTRASTS | {"strict": ["mul_tokens_strict", "baseline"], "answers": ["mul_tokens_answers", "baseline"]}


def test_main_comparisons_that_were_never_planned_do_not_close_the_gate(tmp_path):
    # README's experiment: two conditions, under a declaration that names three main comparisons.
    declared = DECLARED | {"contrasts": THREE, "main": ["answers", "strict", "whole"]}
    conditions = write_experiment(tmp_path, {"baseline": BASELINE, "mul_tokens": BETTER}, declared)
    found = read_preregistration(Pair(*conditions))
    assert found.planned == {"baseline", "mul_tokens"}
    row, verdict, family, _ = judge_rows(conditions)
    assert (family.main_alpha, len(family.main), family.contrasts) == (0.05, 1, ())
    assert row.p_family == row.p_value < 0.05
    assert verdict.h0_rejected
    # nothing frozen: which conditions were planned is not known, and every comparison counts
    (conditions[0].folder.parent / "preregistration.json").unlink()
    row, _, family, _ = judge_rows(conditions)
    assert len(family.main) == 3
    assert row.p_family == pytest.approx(3 * row.p_value)


def test_a_main_comparison_that_was_planned_and_not_run_closes_the_gate(tmp_path):
    declared = {"contrasts": CONTRASTS, "main": ["whole", "placebo"]}
    conditions = experiment(tmp_path, BETTER, **declared)
    shutil.rmtree(conditions[2].folder)
    row, _, family, _ = judge_rows(conditions[:2])
    assert len(family.main) == 2
    assert row.p_family == pytest.approx(2 * row.p_value)
    symbol = read_preregistration(Pair(*conditions[:2]))
    assert symbol.planned == {"baseline", "mul_tokens", "placebo"}
    assert frozenset(CONTRASTS["symbol"]) in family.contrasts


def test_without_a_planned_main_comparison_nothing_else_is_tested(tmp_path):
    declared = {"contrasts": CONTRASTS | {"strict": ["mul_tokens_strict", "baseline"]}, "main": ["strict"]}
    row, verdict, family, _ = judge_rows(experiment(tmp_path, BETTER, **declared))
    assert [set(one) for one in family.main] == [{"mul_tokens_strict", "baseline"}]
    assert row.p_value < 0.001
    assert (row.p_family, verdict.h0_rejected) == (1.0, False)


def test_the_plan_divides_alpha_as_the_report_does():
    declared = Prereg(contrasts=THREE, main=["answers", "strict", "whole"])
    assert declared.deciding_alpha() == pytest.approx(0.05 / 3)
    assert declared.deciding_alpha(["baseline", "mul_tokens"]) == 0.05
    assert declared.deciding_alpha(["baseline", "mul_tokens", "mul_tokens_strict"]) == 0.025
    assert declared.deciding_alpha(["baseline"]) == pytest.approx(0.05 / 3)


def test_the_detectable_difference_is_that_of_the_deciding_level_and_the_declared_power(tmp_path):
    conditions = experiment(tmp_path, BETTER, placebo=CLOSE, main=["whole", "placebo"], power=0.9)
    row, *_ = judge_rows(conditions)
    ids = sorted(range(400), key=str)  # the order of the items' ids, which are texts
    sides = BASELINE[:, ids], BETTER[:, ids]
    assert row.smallest_detectable == pytest.approx(detectable(*sides, 0.025, 0.9).value)
    assert row.smallest_detectable > 1.2 * detectable(*sides).value
    assert row.detectable_range[0] <= row.smallest_detectable <= row.detectable_range[1]


def test_a_contrast_is_not_shown_to_be_no_difference(tmp_path):
    conditions = experiment(tmp_path, BETTER, placebo=runs(81, 80, 79), equivalence_margin=0.05)
    row, verdict, _, _ = judge_rows(conditions, pair_of(conditions, "placebo"))
    assert row.equivalence.p_value < 0.01, "as a main comparison it would be"
    assert verdict.outcome == "undecided"


def test_the_positive_control_is_no_member_of_the_family(tmp_path):
    conditions = experiment(tmp_path, BETTER, positive_control="placebo")
    family = declared_family(conditions, read_preregistration(Pair(*conditions[:2])))
    assert [sorted(pair) for pair in family.contrasts] == [["mul_tokens", "placebo"]]
    assert judge(conditions, pair_of(conditions, "placebo")).outcome == "exploratory"


def test_without_main_comparisons_every_condition_of_the_report_is_one(tmp_path):
    conditions = experiment(tmp_path, BETTER, placebo=CLOSE, main=[], contrasts={})
    rows = [judge_rows(conditions, pair_of(conditions, name))[0] for name in ("mul_tokens", "placebo")]
    assert [row.p_family for row in rows] == holm([row.p_value for row in rows])
    alone, *_ = judge_rows(conditions[:2])
    assert alone.p_family == alone.p_value


@pytest.mark.usefixtures("no_odds_ratio")
def test_the_overview_says_what_the_pairs_say(tmp_path, monkeypatch):
    conditions = experiment(tmp_path, BETTER)
    monkeypatch.setattr("domain_tokens.analysis.compare.match", lambda pair: ())
    from domain_tokens.analysis.compare import assemble

    pairs = {name: assemble(pair_of(conditions, name), None, conditions) for name in ("mul_tokens", "placebo")}
    overview = assemble_overview(pairs, conditions)
    assert [row.p_family for row in overview.rows] == [results.primary.p_family for results in pairs.values()]
    assert [row.outcome for row in overview.rows] == ["better", "better"]
    by_factor = {factor.factor: factor for factor in overview.factors}
    assert list(by_factor) == list(CONTRASTS)
    assert by_factor["whole"].p_family == pairs["mul_tokens"].primary.p_family
    assert by_factor["placebo"].p_family == pairs["placebo"].primary.p_family


def simulated_family(rng: np.random.Generator, gate: bool) -> bool:
    """Return whether any true null is rejected in a family of one main comparison and seven that wait."""
    p_values = rng.uniform(size=8)
    if gate:
        p_values[0] = 0.0  # the main comparison has an effect, so its rejection is no error
    first, second = gatekeeping([p_values[0]], list(p_values[1:]), 1, 7)
    return any(p < 0.05 for p in (second if gate else first + second))


def test_what_was_not_tested_counts_as_not_significant():
    assert gatekeeping([0.01], [0.001], 2, 3) == ([pytest.approx(0.02)], [1.0])
    assert gatekeeping([0.01, None], [0.001], 2, 1) == ([pytest.approx(0.02), 1.0], [1.0])
    assert gatekeeping([0.04], [0.001, 0.03], 1, 2) == ([0.04], [0.04, 0.04])
    assert gatekeeping([0.01], [0.02, 0.03, None], 1, 3) == ([0.01], [pytest.approx(0.06), pytest.approx(0.06), 1.0])


@pytest.mark.parametrize("gate", [False, True], ids=["no effect at all", "an effect in the main comparison"])
def test_the_family_errs_as_often_as_alpha(gate):
    rng = np.random.default_rng(0)
    errors = sum(simulated_family(rng, gate) for _ in range(2000))
    assert 70 <= errors <= 132  # 100 expected, sd 9.7
