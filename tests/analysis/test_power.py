"""The planner against closed forms, against simulated comparisons, and as a command."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower
from tiny import ROOT, run_inside

from domain_tokens.analysis.statistics.crossed import Components, crossed_difference, variance_components
from domain_tokens.analysis.statistics.paired import PairedCounts, smallest_detectable
from domain_tokens.analysis.statistics.power import (
    Cost,
    between_run_limit,
    components_range,
    detectable,
    needed_items,
    needed_seeds,
    pilot_components,
    power,
    recorded_hours,
    rule_power,
    smallest_effect,
    typed_components,
)
from domain_tokens.analysis.statistics.simulation import simulate
from domain_tokens.analysis.statistics.smallest_effect import in_points
from domain_tokens.recipe.loading import load_prereg
from domain_tokens.runs.results import load_condition

from .conftest import edit

Z_ALPHA, Z_POWER = stats.norm.ppf(0.975), stats.norm.ppf(0.8)


@pytest.mark.parametrize("num_seeds", [2, 3, 5, 10])
def test_without_item_variance_it_is_the_power_of_a_paired_t_test(num_seeds):
    components = Components(seed_sd=0.01, item_sd=0.0, residual_sd=0.5)
    sd = math.sqrt(0.01**2 + 0.5**2 / 1319)
    expected = TTestPower().solve_power(nobs=num_seeds, alpha=0.05, power=0.8) * sd
    assert smallest_effect(components, num_seeds, 1319) == pytest.approx(float(expected), rel=1e-4)
    assert power(0.03, components, num_seeds, 1319) == pytest.approx(
        TTestPower().power(0.03 / sd, num_seeds, 0.05), abs=1e-4
    )


@pytest.mark.parametrize("components", [Components(0.01, 0.05, 0.5), Components(0.0, 0.2, 0.3)])
def test_with_many_seeds_it_is_the_normal_theory(components):
    se = math.sqrt((components.seed_sd**2 + components.residual_sd**2 / 500) / 900 + components.item_sd**2 / 500)
    assert smallest_effect(components, 900, 500) == pytest.approx((Z_ALPHA + Z_POWER) * se, rel=0.02)
    assert smallest_effect(components, 900, 500, wanted=0.5) == pytest.approx(Z_ALPHA * se, rel=0.02)


@pytest.mark.parametrize(("discordance", "effect"), [(0.04, 0.01), (0.12, 0.03), (0.4, 0.05)])
def test_with_one_seed_it_is_connors_number_of_items(discordance, effect):
    # Connor 1987: n = (z_alpha sqrt(q) + z_power sqrt(q - delta^2))^2 / delta^2
    expected = ((Z_ALPHA * math.sqrt(discordance) + Z_POWER * math.sqrt(discordance - effect**2)) / effect) ** 2
    components = typed_components(discordance, between_run_sd=0.01)
    assert needed_items(components, effect, num_seeds=1) == math.ceil(expected)
    assert power(effect, components, 1, math.ceil(expected)) == pytest.approx(0.8, abs=2e-3)


def test_with_one_seed_it_agrees_with_the_difference_shown_beside_a_result():
    counts = PairedCounts(both=30, reference_only=20, other_only=25, neither=1244)
    components = typed_components(45 / 1319, between_run_sd=0.0)
    assert smallest_effect(components, 1, 1319) == pytest.approx(smallest_detectable(counts), rel=0.04)


@pytest.mark.parametrize(("num_seeds", "response_sd"), [(3, 0.0), (5, 0.0), (5, 0.7)])
def test_simulated_comparisons_are_found_as_often_as_planned(num_seeds, response_sd):
    rng = np.random.default_rng(0)
    setting = {"accuracy": 0.3, "between_run_sd": 0.1, "item_sd": 1.5, "rng": rng, "response_sd": response_sd}
    components = variance_components(*simulate(40, 20_000, effect=0.04, **setting))
    planned = power(0.04, components, num_seeds, 1000)
    found = sum(
        crossed_difference(*simulate(num_seeds, 1000, effect=0.04, **setting)).p_value() <= 0.05 for _ in range(400)
    )
    assert 0.2 < planned < 0.9, "a power near 0 or 1 would show nothing"
    low, high = stats.binom.ppf([1e-4, 1 - 1e-4], 400, planned)
    # The test errs to the safe side where items do not respond: what they do by chance is counted if it is too much.
    assert low - 0.05 * 400 <= found <= high


def test_seeds_and_items_needed_are_the_fewest():
    components = Components(0.004, 0.05, 0.2)
    seeds = needed_seeds(components, 0.01, 1319)
    assert power(0.01, components, seeds, 1319) >= 0.8 > power(0.01, components, seeds - 1, 1319)
    items = needed_items(components, 0.01, 10)
    assert power(0.01, components, 10, items) >= 0.8 > power(0.01, components, 10, items - 1)


def test_where_more_of_the_same_does_not_help_there_is_no_number():
    runs_vary, items_respond = Components(0.01, 0.0, 0.2), Components(0.0, 0.5, 0.2)
    assert needed_items(runs_vary, 0.01, num_seeds=3) is None
    assert needed_seeds(items_respond, 0.01, num_items=1319) is None


def test_components_of_a_pilot():
    reference, other = simulate(6, 500, 0.3, 0.05, 0.3, 1.0, np.random.default_rng(0), 1.0)
    observed = pilot_components(reference, other)
    assert observed == variance_components(reference, other)
    replaced = pilot_components(reference, other, between_run_sd=0.02)
    assert (replaced.seed_sd, replaced.item_sd) == (0.02, observed.item_sd)
    discordance = float((reference != other).mean())
    total = replaced.seed_sd**2 + replaced.item_sd**2 + replaced.residual_sd**2
    assert total == pytest.approx(discordance)
    alone = pilot_components(reference[:1], other[:1], between_run_sd=0.02)
    assert alone.item_sd == 0
    assert alone.residual_sd**2 + 0.02**2 == pytest.approx(float((reference[0] != other[0]).mean()))


def test_a_typed_sd_replaces_that_of_a_pilot_whose_items_form_clusters():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(60), 10)
    lost = rng.random((4, 600)) < np.where(np.arange(60) < 4, 0.9, 0.02)[clusters]
    observed = pilot_components(np.ones((4, 600)), ~lost, clusters=clusters)
    assert observed.item_sd**2 > lost.mean()  # so it is no part of the discordance
    replaced = pilot_components(np.ones((4, 600)), ~lost, between_run_sd=0.02, clusters=clusters)
    assert replaced == replace(observed, seed_sd=0.02)


def test_one_seed_says_nothing_of_other_runs():
    reference, other = simulate(1, 500, 0.3, 0.05, 0.3, 1.0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="give the between-run sd"):
        pilot_components(reference, other)
    with pytest.raises(ValueError, match="agree on every item"):
        pilot_components(reference, reference, between_run_sd=0.01)


@pytest.mark.parametrize("numbers", [(0.04, 0.3, 0.0), (0.04, -0.1, 0.0), (1.5, 0.1, 0.0), (0.0, 0.0, 0.0)])
def test_typed_numbers_have_to_fit_together(numbers):
    with pytest.raises(ValueError, match="expected fractions"):
        typed_components(*numbers)


def test_the_limit_of_the_between_run_sd_holds_as_often_as_it_says():
    # Without items that differ the seeds' differences are normal with a known sd; 80% of the limits lie above it.
    rng = np.random.default_rng(0)
    truth = variance_components(*simulate(60, 20_000, 0.3, 0.0, 0.3, 0.5, rng)).seed_sd
    pairs = (simulate(3, 400, 0.3, 0.0, 0.3, 0.5, rng) for _ in range(400))
    above = sum(between_run_limit(*pair) >= truth for pair in pairs)
    low, high = stats.binom.ppf([1e-4, 1 - 1e-4], 400, 0.8)
    assert low <= above <= high


def test_what_a_comparison_can_show_stands_beside_it():
    reference, other = simulate(3, 500, 0.3, 0.05, 0.1, 1.0, np.random.default_rng(0))
    components = variance_components(reference, other)
    for alpha, wanted in ((0.05, 0.8), (0.05 / 3, 0.9)):
        found = detectable(reference, other, alpha, wanted)
        assert found.value == smallest_effect(components, 3, 500, wanted, alpha)
        assert power(found.value, components, 3, 500, alpha) == pytest.approx(wanted, abs=1e-6)
        least, most = components_range(components, 3, 500)
        assert (found.low, found.high) == tuple(smallest_effect(one, 3, 500, wanted, alpha) for one in (least, most))
    counts = PairedCounts.of_arrays(reference[0], other[0])
    alone = detectable(reference[:1], other[:1], 0.01, 0.9)
    assert alone.value == alone.low == alone.high == smallest_detectable(counts, 0.01, 0.9)
    assert detectable(reference, reference) is None
    assert detectable(reference[:1], reference[:1]) is None


def test_the_range_is_the_chi_squared_interval_of_the_seeds_variance():
    components = Components(seed_sd=0.02, item_sd=0.1, residual_sd=0.5)
    least, most = components_range(components, 3, 1000)
    total = 0.02**2 + 0.5**2 / 1000
    assert most.seed_sd**2 + 0.5**2 / 1000 == pytest.approx(total * 2 / stats.chi2.ppf(0.1, 2))
    assert least.seed_sd**2 + 0.5**2 / 1000 == pytest.approx(max(total * 2 / stats.chi2.ppf(0.9, 2), 0.5**2 / 1000))
    assert (least.item_sd, most.residual_sd) == (0.1, 0.5)


def test_the_level_of_the_rule_decides_the_power():
    # Holm's first step over three endpoints finds what was solved for at 5% in far fewer than 80% of the comparisons.
    components = Components(seed_sd=0.01, item_sd=0.0, residual_sd=0.3)
    printed = smallest_effect(components, 3, 1319, 0.8, 0.05)
    assert power(printed, components, 3, 1319, 0.05) == pytest.approx(0.8)
    assert power(printed, components, 3, 1319, 0.05 / 3) < 0.45
    rule = rule_power(0.05, *simulate(3, 500, 0.3, 0.05, 0.1, 1.0, np.random.default_rng(0)), 0.05)
    assert 0 < rule.low < rule.value <= rule.high < 1


@pytest.mark.parametrize(
    ("scale", "value", "base_rate", "expected"),
    [
        ("points", 0.02, 0.5, 0.02),
        ("relative", 0.25, 0.02, 0.005),
        ("relative", 0.25, 0.0, 0.0),
        ("logit", math.log(2), 0.5, 1 / 6),  # odds of 1 become 2 or 1/2: 2/3 or 1/3
        ("logit", math.log(2), 0.2, 0.2 - 1 / 9),  # odds of 1/4 become 1/2 or 1/8; downwards is the smaller step
        ("logit", math.log(2), 0.0, 0.0),
        ("logit", math.log(2), 1.0, 0.0),
    ],
)
def test_the_smallest_effect_follows_the_base_rate(scale, value, base_rate, expected):
    assert in_points(scale, value, base_rate) == pytest.approx(expected)


def test_cost():
    assert Cost(48.0).hours(3) == 144
    assert Cost(48.0).money(3) is None
    assert Cost(48.0, price=2.5).money(3) == 360


def test_hours_are_those_of_stages_and_evaluations(tree):
    folders = tree(num_items=12, seeds=(0, 1))
    expected = 0.0
    for folder in folders:
        for manifest in folder.glob("seed_*/*_final/manifest.json"):
            expected += json.loads(manifest.read_text())["wall_time_s"] / 2 / 3600
        for result in folder.glob("seed_*/eval/*/*_results.json"):
            expected += json.loads(result.read_text())["wall_time_s"] / 2 / 3600
    conditions = [load_condition(folder) for folder in folders]
    assert recorded_hours(*conditions) == pytest.approx(expected)
    for manifest in folders[0].glob("seed_*/pretrain_final/manifest.json"):
        edit(manifest, lambda value: value["matched"].update(num_processes=8))
    more = recorded_hours(*(load_condition(folder) for folder in folders))
    assert more - expected == pytest.approx(7 * 321.5 / 3600)


def run_script(*arguments: object):
    return run_inside("scripts/plan.py", *map(str, arguments))


def test_the_command_plans_from_typed_numbers():
    done = run_script(
        *("--discordance", 4, "--between-run-sd", 0.3, "--hours-per-run", 24, "--price", 2.5, "--seeds", 1, 5)
    )
    assert done.returncode == 0, done.stderr
    components = typed_components(0.04, 0.003)
    declared = load_prereg(ROOT / "recipes" / "prereg.yaml")
    level = declared.alpha / len(declared.main)
    seeds = needed_seeds(components, 0.01, 1319, declared.power, level)
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]
    assert ["1", f"{100 * smallest_effect(components, 1, 1319, declared.power, level):.2f}", "48", "120"] in cells
    assert ["5", f"{100 * smallest_effect(components, 5, 1319, declared.power, level):.2f}", "240", "600"] in cells
    assert ["1,319", str(seeds), f"{48 * seeds}", f"{120 * seeds}"] in cells
    assert ["5", f"{needed_items(components, 0.01, 5, declared.power, level):,}", "240", "600"] in cells


def test_the_command_plans_from_a_pilot(tree):
    folders = tree(num_items=30, seeds=(0, 1, 2))
    done = run_script(*folders, "--effect", 5, "--items", 30, 300)
    assert done.returncode == 0, done.stderr
    assert "Based on 3 seeds and 30 items of gsm8k, grpo_final." in done.stdout
    assert "80% limit" in done.stdout
    assert "device-hours" in done.stdout
    assert "Target: 5 points." in done.stdout
    cell = re.search(r"│ +10 │ +([\d.]+) \(([\d.]+) to ([\d.]+)\)", done.stdout)
    assert cell is not None, done.stdout
    low, high = sorted((float(cell[2]), float(cell[3])))
    assert low <= float(cell[1]) < high


def test_the_command_plans_for_the_declared_rule(tmp_path, tree):
    declared = tmp_path / "prereg.yaml"
    declared.write_text(
        "endpoints: [{model: grpo_final, task: gsm8k}]\nseeds: [0]\nalpha: 0.04\npower: 0.9\n"
        "smallest_effect: {scale: relative, value: 0.5}\ncontrasts: {one: [b, a], two: [c, a]}\nmain: [one, two]\n"
    )
    done = run_script("--discordance", 4, "--between-run-sd", 0.3, "--prereg", declared, "--base-rate", 2)
    assert done.returncode == 0, done.stderr
    assert "with 90% power at 2%" in done.stdout
    assert "the declared smallest effect, 0.5 on the relative scale at an accuracy of 2.0%: 1.00 points" in done.stdout
    shown = f"{100 * smallest_effect(typed_components(0.04, 0.003), 5, 1319, 0.9, 0.02):.2f}"
    assert shown in done.stdout
    assert shown != f"{100 * smallest_effect(typed_components(0.04, 0.003), 5, 1319, 0.8, 0.05):.2f}"
    folders = tree(num_items=30, seeds=(0, 1, 2))
    items = [json.loads(line) for line in (folders[0] / "seed_0/eval/grpo_final/arithmetic_items.jsonl").open()]
    group = str(items[0]["group"])
    number = sum(item["group"] == group for item in items)
    assert 0 < number < len(items)
    grouped = declared.with_name("grouped.yaml")
    grouped.write_text(declared.read_text().replace("task: gsm8k", f"task: arithmetic, group: {json.dumps(group)}"))
    done = run_script(*folders, "--prereg", grouped)
    assert f"Based on 3 seeds and {number} items of" in done.stdout, done.stderr
    assert f"({group})" in done.stdout
    done = run_script(*folders, "--prereg", declared)
    assert "Target: the declared smallest effect, 0.5 on the relative scale at an accuracy of" in done.stdout
    done = run_script("--discordance", 4, "--between-run-sd", 0.3, "--prereg", tmp_path / "none.yaml")
    assert "with 80% power at 5%" in done.stdout
    assert "Target: 1 point" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected the folders of two conditions, or --discordance"),
        (("--discordance", 4), "--between-run-sd: required with --discordance"),
        (("--discordance", 0.0001, "--between-run-sd", 5), "expected fractions of 1"),
        (("nowhere",), "expected the folders of two conditions"),
        (("nowhere", "nor_here"), "no such folder"),
        (("--discordance", 4, "--between-run-sd", 0.1, "--power", 1), "--power: expected a fraction"),
        (("--discordance", "many"), "expected a number of at least 0, got 'many'"),
        (("--effect", 0), "expected a number above 0"),
        (("--seeds", "2.5"), "expected a whole number of at least 1, got '2.5'"),
    ],
)
def test_the_command_says_what_is_wrong(arguments, message):
    done = run_script(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_needs_more_than_one_seed_or_a_number(tree):
    folders = tree(num_items=30)
    done = run_script(*folders)
    assert (done.returncode, "one seed shows no variance between runs" in done.stderr) == (2, True)
    assert run_script(*folders, "--between-run-sd", 0.5).returncode == 0
    assert "no results for chess" in run_script(*folders, "--task", "chess").stderr


def test_values_of_one_seed_that_are_all_zero_show_nothing_and_are_no_right_answers() -> None:
    """As the bits of sites where no worked solution has one."""
    nothing, one_item = np.zeros((1, 8)), np.eye(1, 8)
    assert detectable(nothing, nothing) is None
    assert detectable(nothing, one_item).value > 0
