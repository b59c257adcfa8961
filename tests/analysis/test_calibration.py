"""Tests and intervals err as often as they say, in simulations small enough for a test; wrong ones are caught.

Each count is judged by `too_many`: more than a rate of 5% explains, with a chance of 1 in 1,000 of a false alarm. The
seeds are fixed, so that a test that passes goes on passing.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tiny import run_inside

from domain_tokens.analysis.statistics import calibration, calibration_cases
from domain_tokens.analysis.statistics.calibration import (
    Rates,
    Setting,
    by_facts,
    equivalence_claim,
    equivalence_on_the_logit_scale,
    items_of_one_seed,
    marked_items,
    measure,
    measure_family,
    percentile_bootstrap,
    problems_of_one_seed,
    runs_and_items,
    runs_and_problems,
    runs_and_templates,
    t_over_seeds,
    too_many,
)
from domain_tokens.analysis.statistics.calibration_cases import Measured
from domain_tokens.analysis.statistics.simulation import Shared, simulate
from domain_tokens.analysis.statistics.smallest_effect import in_points

SIMULATIONS = 250
RUNS_VARY = {"between_run_sd": 0.3}
BOTH_VARY = {"between_run_sd": 0.15, "response_sd": 0.5}
SIZES = [(2, 400), (3, 40), (3, 400), (10, 200)]


def rates(method, setting: Setting, *truth, simulations: int = SIMULATIONS) -> Rates:
    return measure(method, setting, simulations, np.random.default_rng(0), *truth)


# Every size with what is hardest there: few seeds whose runs vary, many seeds of items that vary, rare right answers.
@pytest.mark.parametrize(
    ("num_seeds", "num_items", "accuracy", "variances"),
    [
        *((*size, 0.3, BOTH_VARY) for size in SIZES),
        *((*size, 0.02, RUNS_VARY) for size in SIZES),
        *((*size, 0.02, {}) for size in SIZES[:2]),
    ],
)
def test_the_verdicts_test_errs_as_often_as_it_says(num_seeds, num_items, accuracy, variances):
    null = Setting(num_seeds, num_items, accuracy, **variances)
    found = rates(runs_and_items, null)
    assert not too_many(found.rejected, found.total)
    found = rates(runs_and_items, replace(null, effect=0.05))
    assert not too_many(found.missed, found.total)


@pytest.mark.parametrize("variances", [{}, RUNS_VARY], ids=["none", "runs"])
def test_the_verdicts_test_is_not_merely_cautious(variances):
    # At 5 seeds of 200 items it should reject in about 5%; in less than 2% it would waste runs.
    found = rates(runs_and_items, Setting(5, 200, 0.3, **variances), simulations=1000)
    assert found.rejected > stats.binom.ppf(0.001, 1000, 0.04)


@pytest.mark.parametrize("accuracy", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("num_items", [40, 400])
def test_one_seed_errs_as_often_as_it_says_of_other_questions(num_items, accuracy):
    null = Setting(1, num_items, accuracy)
    found = rates(items_of_one_seed, null)
    assert not too_many(found.rejected, found.total)
    found = rates(items_of_one_seed, replace(null, effect=0.05))
    assert not too_many(found.missed, found.total)


@pytest.mark.parametrize("num_seeds", [2, 3, 10])
def test_the_t_over_seeds_errs_as_often_as_it_says_of_other_runs(num_seeds):
    found = rates(t_over_seeds, Setting(num_seeds, 400, 0.1, **RUNS_VARY))
    assert not too_many(found.rejected, found.total)
    assert not too_many(found.missed, found.total)


@pytest.mark.parametrize("num_seeds", [1, 3, 5])
def test_equivalence_at_the_margin_is_claimed_in_one_of_twenty(num_seeds):
    variances = {} if num_seeds == 1 else RUNS_VARY
    found = rates(equivalence_claim, Setting(num_seeds, 1000, 0.05, effect=calibration.MARGIN, **variances))
    assert not too_many(found.rejected, found.total)
    assert not too_many(found.missed, found.total, 0.1)
    assert rates(equivalence_claim, Setting(num_seeds, 1000, 0.05)).rejected > 0.5 * SIMULATIONS


def test_equivalence_with_a_margin_that_follows_the_base_rate_is_claimed_in_one_of_twenty():
    edge = in_points("logit", calibration.LOGIT_MARGIN, 0.05)
    found = rates(equivalence_on_the_logit_scale, Setting(3, 1000, 0.05, 0.15, effect=edge))
    assert not too_many(found.rejected, found.total)
    assert rates(equivalence_on_the_logit_scale, Setting(3, 4000, 0.3)).rejected > 0.5 * SIMULATIONS


@pytest.mark.parametrize("num_seeds", [1, 3, 5])
@pytest.mark.parametrize(
    ("method", "truth"), [(marked_items, calibration.true_excess), (by_facts, calibration.true_slope)]
)
def test_contrasts_of_items_err_as_often_as_they_say(method, truth, num_seeds):
    null = Setting(num_seeds, 400, 0.2, **({} if num_seeds == 1 else RUNS_VARY))
    found = rates(method, null, truth)
    assert not too_many(found.rejected, found.total)
    found = rates(method, replace(null, gain=0.1), truth)
    assert not too_many(found.missed, found.total)
    assert found.rejected > 0.1 * found.total, "an effect of 10 points for each fact has to be seen at times"


@pytest.mark.parametrize("effect", [0.0, 0.5], ids=["no effect", "an effect in the main test"])
def test_the_family_keeps_its_error(effect):
    found = measure_family(Setting(3, 100, 0.3, **RUNS_VARY, effect=effect), 60, np.random.default_rng(0))
    assert not too_many(found.rejected, found.total)


def unpaired_proportions(setting, reference, other):
    """Wrong: every answer of every run taken as independent."""
    n, rates = reference.size, (reference.mean(), other.mean())
    pooled = sum(rates) / 2
    z = (rates[1] - rates[0]) / max(np.sqrt(2 * pooled * (1 - pooled) / n), 1e-9)
    return 2 * stats.norm.sf(abs(z)), None


def smallest_p(setting, reference, other):
    """Wrong: the best of several seeds."""
    return min(items_of_one_seed(setting, reference[s : s + 1], other[s : s + 1])[0] for s in range(3)), None


@pytest.mark.parametrize("method", [percentile_bootstrap, unpaired_proportions, smallest_p, items_of_one_seed])
def test_wrong_methods_are_caught(method):
    found = rates(method, Setting(3, 400, 0.3, between_run_sd=0.5))
    assert too_many(found.rejected, found.total)


def test_a_t_over_seeds_that_is_taken_for_other_questions_is_caught():
    setting = Setting(10, 100, 0.3, response_sd=1.5)
    found = rates(t_over_seeds, setting)
    assert too_many(found.rejected, found.total)
    found = rates(runs_and_items, setting)
    assert not too_many(found.rejected, found.total)


def test_many_looks_without_holm_are_caught(monkeypatch):
    monkeypatch.setattr(calibration.paired, "holm", lambda p_values: p_values)
    found = measure_family(Setting(3, 100, 0.3, **RUNS_VARY, effect=0.5), 100, np.random.default_rng(0))
    assert too_many(found.rejected, found.total)


def test_looks_that_do_not_wait_for_the_main_test_are_caught(monkeypatch):
    def apart(first, second, *_):
        return calibration.paired.holm(first), calibration.paired.holm(second)

    setting = Setting(10, 100, 0.3)
    kept = measure_family(setting, 200, np.random.default_rng(0))
    monkeypatch.setattr(calibration.paired, "gatekeeping", apart)
    found = measure_family(setting, 200, np.random.default_rng(0))
    assert kept.rejected < 0.8 * found.rejected


CLUSTERED = [(1.0, 0.0), (2.0, 0.0), (1.0, 1.0), (0.0, 2.0)]


@pytest.mark.parametrize(("problem_sd", "template_sd"), CLUSTERED)
@pytest.mark.parametrize("num_seeds", [3, 10])
def test_clusters_of_one_template_err_as_often_as_they_say(num_seeds, problem_sd, template_sd):
    null = Setting(num_seeds, 100, 0.36, 0.15, problem_sd=problem_sd, template_sd=template_sd)
    found = rates(runs_and_templates, null)
    assert not too_many(found.rejected, found.total)
    assert not too_many(found.missed, found.total)


@pytest.mark.parametrize("method", [runs_and_problems, problems_of_one_seed])
@pytest.mark.parametrize("problem_sd", [1.0, 2.0])
def test_clusters_of_equal_numbers_err_as_often_as_they_say(method, problem_sd):
    num_seeds = 1 if method is problems_of_one_seed else 10
    null = Setting(num_seeds, 100, 0.36, 0.15 if num_seeds > 1 else 0.0, problem_sd=problem_sd)
    found = rates(method, null)
    assert not too_many(found.rejected, found.total)
    assert not too_many(found.missed, found.total)


@pytest.mark.parametrize(
    ("method", "problem_sd", "template_sd"),
    [(runs_and_items, 2.0, 0.0), (runs_and_items, 0.0, 2.0), (runs_and_problems, 0.0, 2.0)],
)
def test_clusters_that_are_overlooked_are_caught(method, problem_sd, template_sd):
    found = rates(method, Setting(10, 100, 0.36, 0.15, problem_sd=problem_sd, template_sd=template_sd))
    assert too_many(found.rejected, found.total)


def test_the_simulated_problems_are_those_of_generated_questions():
    setting = Setting(3, 100, 0.36)
    assert len(np.unique(setting.problems())) == 65
    assert len(np.unique(setting.templates())) == 8
    pairs = set(zip(setting.problems(), setting.templates(), strict=True))
    assert len(pairs) == 65, "a problem has one template"
    gained = np.array([Shared(setting.problems(), 2.0).draw(np.random.default_rng(seed)) for seed in range(300)])
    assert gained.std() == pytest.approx(2.0, rel=0.1)
    assert all(len(set(gained[0][setting.problems() == problem])) == 1 for problem in range(65))


def test_too_many_is_a_tail_of_the_binomial_distribution():
    assert not too_many(20, 400)
    assert too_many(40, 400)
    assert not too_many(0, 400)
    # the chance of 35 or more of 400 at 5% is 0.0011, of 36 or more 0.0006
    assert (too_many(35, 400), too_many(36, 400)) == (False, True)


@pytest.mark.parametrize(("accuracy", "effect"), [(0.02, 0.03), (0.3, 0.1), (0.9, -0.2)])
def test_simulated_accuracies_are_those_asked_for(accuracy, effect):
    reference, other = simulate(400, 1000, accuracy, effect, 0.3, 1.5, np.random.default_rng(0), 0.5)
    # means over 1,000 items of a chance that varies with an sd of at most 0.3 have a standard error below 0.01
    assert reference.mean() == pytest.approx(accuracy, abs=0.03)
    assert other.mean() - reference.mean() == pytest.approx(effect, abs=0.03)
    # and without what varies, within the error of a proportion
    exact = simulate(400, 1000, accuracy, effect, 0.0, 0.0, np.random.default_rng(0))
    assert exact[0].mean() == pytest.approx(accuracy, abs=0.004)
    assert exact[1].mean() == pytest.approx(accuracy + effect, abs=0.004)


def test_simulated_items_are_the_same_questions_for_all():
    reference, other = simulate(200, 300, 0.3, 0.0, 0.0, 2.0, np.random.default_rng(0))
    assert np.corrcoef(reference.mean(axis=0), other.mean(axis=0))[0, 1] > 0.95


def test_simulated_runs_differ_by_the_sd_asked_for():
    reference, _ = simulate(400, 20_000, 0.5, 0.0, 0.2, 0.0, np.random.default_rng(0))
    logits = np.log(reference.mean(axis=1) / (1 - reference.mean(axis=1)))
    assert logits.std() == pytest.approx(0.2, rel=0.12)


def test_effects_may_differ_between_items():
    effect = np.array([0.0, 0.4] * 100)
    reference, other = simulate(500, 200, 0.2, effect, 0.0, 0.0, np.random.default_rng(0))
    gain = other.mean(axis=0) - reference.mean(axis=0)
    assert gain[::2].mean() == pytest.approx(0.0, abs=0.01)
    assert gain[1::2].mean() == pytest.approx(0.4, abs=0.01)


def test_impossible_accuracies_are_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        simulate(1, 10, 0.9, 0.1, 0.0, 1.0, np.random.default_rng(0))


def test_the_shares_of_facts_are_gsm8ks():
    counts = Setting(1, 1319, 0.02).counts()
    assert abs(int((counts > 0).sum()) - 312) <= 1
    assert set(counts) == {0, 1, 2, 3}


def test_the_rates_do_not_depend_on_the_number_of_processes(monkeypatch):
    few = [case for case in calibration_cases.cases() if case.null.num_items <= 81][:6]
    monkeypatch.setattr(calibration_cases, "cases", lambda: iter(few))
    one, two = (calibration_cases.measure_all(20, seed=1, processes=count) for count in (1, 2))
    rates = [[(row.null, row.effect) for row in measured] for measured in (one, two)]
    assert rates[0] == rates[1]
    assert [row.case.title for row in one] == [case.title for case in few]
    assert any(row.null.rejected or row.null.missed for row in one)


def test_what_errs_is_marked_and_what_is_not_used_says_so():
    case = next(case for case in calibration_cases.cases() if not case.used)
    assert case.title.startswith("not used: ")
    fine, wrong = Rates(20, 20, 0, 400), Rates(80, 80, 0, 400)
    assert not Measured(case, fine, fine).is_high
    assert Measured(case, wrong, fine).is_high
    assert Measured(case, fine, wrong).is_high


def test_the_table_has_a_row_for_each_case(monkeypatch):
    few = [case for case in calibration_cases.cases() if case.null.num_items <= 81][:3]
    monkeypatch.setattr(calibration_cases, "cases", lambda: iter(few))
    done = run_inside("scripts/calibrate.py", "--part", "answers", "--simulations", "20", "--processes", "1")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("│")]
    assert [row.split("│")[1].strip() for row in rows] == [case.title for case in few]
    assert "False positives are simulated without an effect" in done.stdout


def test_the_command_refuses_no_simulations():
    done = run_inside("scripts/calibrate.py", "--simulations", "0")
    assert done.returncode == 2
    assert "--simulations: expected a whole number of at least 1, got '0'" in done.stderr
