"""Two conditions fitted together: the multiplier, what they share, the verdict, and the files of an analysis."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny import run_inside

from analysis.tables_of_runs import MULTIPLIER, edited, width_study, write
from domain_tokens.analysis.results_model import BETTER, UNDECIDED, WORSE
from domain_tokens.analysis.scaling.analyze import Options, analyze, fit_table
from domain_tokens.analysis.scaling.calibration import Setting, claims
from domain_tokens.analysis.scaling.comparison import _measured, compare, decide, limits, multiplier
from domain_tokens.analysis.scaling.fitting import numerical
from domain_tokens.analysis.scaling.forms import Form
from domain_tokens.analysis.scaling.pairs import (
    DIFFERENCE,
    MEAN,
    NOT_TOLD,
    OWN,
    SHARED,
    fit_pair,
    is_shared,
    match,
    multiplier_at,
    pair_problem,
    shared_multiplier,
    sides_of,
)
from domain_tokens.analysis.scaling.points import Points, read_points
from domain_tokens.analysis.scaling.records import Analysis, Estimate, MultiplierAt
from domain_tokens.analysis.scaling.report.figures import draw
from domain_tokens.recipe import RecipeError

BITS = "bits_per_byte"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Points:
    return read_points(width_study(tmp_path_factory.mktemp("study") / "runs.csv"))


@pytest.fixture(scope="module")
def found(study: Points) -> Analysis:
    return fit_table(study, Options(forms=("N",)))


def test_the_multiplier_of_the_joint_form_is_that_of_its_frontiers() -> None:
    form = Form(("N", "D"), True, (11.0, 14.0))
    sides = sides_of(form, SHARED)
    both = np.empty(sides.number)
    reference, other = np.array([0.9, -0.5, 0.3, -1.0, 0.4]), np.array([0.9, -0.55, 0.3, -1.1, 0.4])
    both[sides.reference], both[sides.other] = reference, other
    quantity = shared_multiplier(form, sides)
    value, gradient = quantity(both)
    assert value == pytest.approx(0.05 / 0.3 + 0.1 / 0.4)
    for scale in (1e10, 1e14):
        assert multiplier_at(form, reference, other, scale) == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(gradient, numerical(lambda at: quantity(at)[0])(both)[1], atol=1e-6)


def test_a_loss_that_the_reference_never_reaches_has_no_multiplier() -> None:
    form = Form(("N",), True, (0.0,))
    reference, other = np.array([1.0, 0.0, 0.3]), np.array([0.5, 0.0, 0.3])
    assert multiplier_at(form, reference, other, 1e12) == pytest.approx(math.log(1e6))
    assert math.exp(multiplier_at(form, other, other, 1e3)) == pytest.approx(1)


def test_a_pair_of_runs_far_from_the_curve_has_the_largest_multiplier(study: Points) -> None:
    sides = [[one for one in study.of(name) if one.values["N"] < 3e5] for name in study.conditions]
    joint = fit_pair(match(*sides), BITS, ["N"], levels=[SHARED])
    assert not joint.form.with_floor
    far = match(sides[0][:1], [_with(sides[1][0], losses={BITS: 1e-200})])
    (measured,) = _measured(joint, far)
    assert measured.value == pytest.approx(1e6)


def test_a_known_multiplier_comes_back_with_its_verdict(found: Analysis) -> None:
    (pair,) = found.pairs
    estimate = pair.multiplier.estimate
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low < MULTIPLIER < estimate.high
    assert estimate.high - estimate.low < 0.05
    assert (pair.outcome, pair.num_pairs, pair.degrees_of_freedom, pair.shared) == (BETTER, 15, 14, True)
    assert pair.residual_sd_difference is not None
    assert pair.residual_sd_mean is not None
    assert pair.residual_sd_difference < pair.residual_sd_mean
    assert pair.sentence.startswith(
        "mul_tokens is better than baseline: for the same bits_per_byte, baseline needs 1.1"
    )
    assert "(+9.0%)" in pair.notes[0]


def test_exchanged_conditions_have_the_inverse_multiplier(study: Points, found: Analysis) -> None:
    joint = fit_pair(match(study.of("mul_tokens"), study.of("baseline")), BITS, ["N"], levels=[SHARED])
    estimate = multiplier(joint, "").estimate
    assert decide(estimate, None, []) == WORSE
    assert estimate.value == pytest.approx(1 / found.pairs[0].multiplier.estimate.value, rel=1e-3)


def test_pairing_narrows_the_interval_by_what_pairs_share(study: Points) -> None:
    reference, other = study.of("baseline"), study.of("mul_tokens")
    matched = match(reference, other)
    paired = fit_pair(matched, BITS, ["N"], levels=[SHARED])
    apart = fit_pair(match(reference, [_with(one, seed="x") for one in other]), BITS, ["N"], levels=[SHARED])
    assert (matched.paired, apart.matched.paired) == (True, False)
    assert (paired.group, apart.group) == (DIFFERENCE, MEAN)
    widths = [np.ptp(one.fits[SHARED].interval(one.log_multiplier, one.group)) for one in (paired, apart)]
    assert widths[0] < 0.6 * widths[1]
    left = match(reference, other[:-2])
    assert (len(left.reference), left.unpaired) == (13, 2)


def _with(point, **changes):
    return type(point)(**{**vars(point), **changes})


def test_verdicts_hold_at_small_scale() -> None:
    rng = np.random.default_rng(0)
    setting = Setting(4, 2, 0.005)
    claimed = own = 0
    for _ in range(60):
        joint = fit_pair(match(*setting.draw(rng)), "loss", ["N"], levels=(SHARED, OWN))
        claimed += claims(joint) != 0
        own += is_shared(joint) is False
    assert 0 < claimed <= 9  # 3 are expected
    assert own <= 9
    joint = fit_pair(match(*Setting(4, 2, 0.005, multiplier=1.2).draw(rng)), "loss", ["N"], levels=(SHARED, OWN))
    assert claims(joint) == 1


def test_a_floor_that_the_runs_do_not_tell_is_not_in_the_multiplier(study: Points) -> None:
    rng = np.random.default_rng(0)
    noisy = [fit_pair(match(*Setting(4, 1, 0.02).draw(rng)), "loss", ["N"], levels=[SHARED]) for _ in range(10)]
    assert sum(one.floor.reason == NOT_TOLD for one in noisy) >= 5
    assert all(one.form.with_floor == one.floor.is_identified for one in noisy)
    quiet = fit_pair(match(study.of("baseline"), study.of("mul_tokens")), BITS, ["N"], levels=[SHARED])
    assert quiet.floor.is_identified


def test_exponents_that_differ_are_found(study: Points) -> None:
    other = [
        _with(one, losses={BITS: one.losses[BITS] * (one.values["N"] / 3e5) ** -0.03})
        for one in study.of("mul_tokens")
    ]
    joint = fit_pair(match(study.of("baseline"), other), BITS, ["N"])
    assert is_shared(joint) is False
    low, high = (joint.log_multiplier_at(OWN, scale)(joint.fits[OWN].parameters)[0] for scale in (5e4, 8e5))
    assert high > low + 0.2


def test_where_exponents_differ_a_held_out_ratio_is_predicted_by_each_conditions_own(study: Points) -> None:
    steeper = [
        _with(one, losses={BITS: one.losses[BITS] * (one.values["N"] / 3e5) ** -0.03})
        if one.condition == "mul_tokens"
        else one
        for one in study.points
    ]
    compared, (ratio,) = compare(_with(study, points=tuple(steeper), losses=(BITS,)), *study.conditions, ["N"], None)
    joint = compared.joint
    assert is_shared(joint) is False
    by_level = {
        level: math.exp(joint.log_ratio(level, {"N": ratio.axes["N"]})(joint.fits[level].parameters)[0])
        for level in (SHARED, OWN)
    }
    assert by_level[SHARED] > 1.01 * by_level[OWN]
    assert ratio.predicted.value == pytest.approx(by_level[OWN])


def test_pairs_of_points_of_one_run_count_as_one_pair(study: Points) -> None:
    sides = [
        [_with(one, run=f"{name}/{one.seed}") for one in study.of(name) if one.seed != "2"]
        for name in study.conditions
    ]
    matched = match(*sides)
    assert (matched.paired, len(matched.reference)) == (True, 10)
    assert pair_problem(Form(("N",), True, (12.0,)), SHARED, matched, BITS).num_runs == (2, 2)


def test_the_verdict_is_the_interval_against_one() -> None:
    def at(low: float | None, high: float | None, extrapolated: bool = False) -> MultiplierAt:
        return MultiplierAt(scale=1, extrapolated=extrapolated, own=Estimate(value=1.1, low=low, high=high))

    assert decide(Estimate(value=1.1, low=1.01, high=1.2), True, []) == BETTER
    assert decide(Estimate(value=0.9, low=None, high=0.99), None, []) == WORSE
    assert decide(Estimate(value=1.1, low=0.99, high=1.2), True, []) == UNDECIDED
    assert decide(Estimate(value=1.1, low=None, high=None), None, []) == UNDECIDED
    main = Estimate(value=1.1, low=1.01, high=1.2)
    assert decide(main, False, [at(1.02, 1.3), at(0.9, 1.1), at(1.01, None), at(0.5, 2, True)]) == BETTER
    assert decide(main, False, [at(1.02, 1.3), at(0.9, 1.1), at(2, 3, True)]) == UNDECIDED


def test_a_held_out_loss_changes_no_fit(study: Points, found: Analysis, tmp_path: Path) -> None:
    def worse(row: dict[str, str]) -> None:
        if row["held_out"] == "true":
            row[BITS] = "3.0"

    path = edited(width_study(tmp_path / "runs.csv"), worse)
    other = fit_table(read_points(path), Options(forms=("N",)))
    assert other.fits == found.fits
    assert other.pairs[0].multiplier == found.pairs[0].multiplier
    assert [one.predicted for one in other.predictions] == [one.predicted for one in found.predictions]
    assert [one.inside for one in found.predictions] == [True, True, True]
    assert [one.condition for one in found.predictions] == ["baseline", "mul_tokens", "mul_tokens / baseline"]
    assert not other.predictions[0].inside


def test_the_figures_show_the_table_and_the_fits(study: Points, found: Analysis) -> None:
    figures = draw(found, study)
    assert set(figures) == {"fits_N", "residuals_N", "multiplier_N"}
    (axes,) = figures["fits_N"].axes
    marked = [line for line in axes.lines if line.get_marker() in ("o", "s")]
    assert [len(line.get_xdata()) for line in marked] == [15, 3, 15, 3]
    assert list(marked[0].get_ydata()) == [one.losses[BITS] for one in study.of("baseline")]
    (axes,) = figures["multiplier_N"].axes
    pairs = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(pairs) == 18
    assert np.mean([line.get_ydata()[0] for line in pairs]) == pytest.approx(MULTIPLIER, abs=0.01)
    level = next(line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 1.6)
    assert list(level.get_xdata()) == [48 * 32**2, 48 * 128**2]
    assert level.get_ydata()[0] == found.pairs[0].multiplier.estimate.value


def test_the_command_writes_every_file_and_says_the_verdict(tmp_path: Path) -> None:
    table = width_study(tmp_path / "evaluation_results.csv", seeds=2, widths=(32, 64, 128, 192))
    *_, last = table.read_text(encoding="utf-8").splitlines()
    copy, lonely = last, last.replace(",mul_tokens,1,", ",mul_tokens,7,").replace("seed_1", "seed_7")
    lonely = lonely.replace("w192", "w128").replace(",true,true,", ",true,false,").replace(",1769472,", ",786432,")
    with table.open("a", encoding="utf-8") as file:
        file.write(f"{copy}\n{lonely}\n")
    done = run_inside("scripts/fit_scaling.py", str(table), "--form", "N")
    assert done.returncode == 0, done.stderr
    assert (
        "13 runs fitted, 4 held out, rows left out because their model is unfinished: 16, rows left out because they "
        "repeat another: 1." in done.stdout
    )
    assert "Columns: parameters from non_embedding_parameters" in done.stdout
    assert "6 pairs of runs; points left out for want of a partner: 1" in done.stdout
    assert "not fitted: baseline, L(D): training tokens have one value" in done.stdout
    assert "E is not fitted: 3 values of N, expected at least 4" in done.stdout.replace("\n", " ")
    output = tmp_path / "fits"
    values = json.loads((output / "fits.json").read_text())
    assert yaml.safe_load((output / "fits.yaml").read_text()) == values
    assert Analysis.model_validate(values).source.num_held_out == 4
    page = (output / "fits.md").read_text()
    assert all((output / name).is_file() for name in ("plots/fits_N.png", "plots/multiplier_N.svg"))
    assert "(plots/fits_N.png)" in page
    assert values["pairs"][0]["sentence"] in done.stdout
    stale = output / "plots/multiplier_D.png"  # of a form that the table allowed before
    stale.touch()
    assert run_inside("scripts/fit_scaling.py", str(table), "--form", "N").returncode == 0  # its own fits are replaced
    assert not stale.exists()
    other = table.rename(tmp_path / "other.csv")
    refused = run_inside("scripts/fit_scaling.py", str(other), "--form", "N")
    assert (refused.returncode, "evaluation_results.csv; name another folder with --output" in refused.stderr) == (
        2,
        True,
    )


def test_what_the_command_cannot_fit_it_refuses(tmp_path: Path) -> None:
    table = write(tmp_path / "runs.csv", ("N", "loss"), [(1e6, 3.0), (2e6, 2.9)])
    with pytest.raises(
        RecipeError, match=r"allows none of the forms: .* L\(N\): 2 runs, expected at least 3; add sizes"
    ):
        analyze(table, tmp_path / "fits")
    rising = [(size, 1e7, 2 + 0.1 * index) for index, size in enumerate((1e6, 2e6, 5e6, 1e7))]
    with pytest.raises(
        RecipeError, match=r"L\(N\): the loss does not fall with N .* L\(C\): compute is 6 N D"
    ) as error:
        analyze(write(tmp_path / "runs.csv", ("N", "D", "loss"), rising), tmp_path / "fits")
    assert "it is the same curve" in str(error.value)
    with pytest.raises(RecipeError, match=r"--form: .* does not allow L\(N, D\)"):
        analyze(width_study(tmp_path / "runs.csv"), tmp_path / "fits", Options(forms=("joint",)))
    with pytest.raises(RecipeError, match="--reference: .* no condition 'base'.* it has baseline, mul_tokens"):
        analyze(tmp_path / "runs.csv", tmp_path / "fits", Options(reference="base"))
    assert not (tmp_path / "fits").exists()
    done = run_inside("scripts/fit_scaling.py", str(tmp_path / "nowhere.csv"))
    assert (done.returncode, "no such file" in done.stderr) == (2, True)


def test_the_verdict_says_that_no_loss_is_shared_and_that_another_loss_disagrees(
    study: Points, found: Analysis, tmp_path: Path
) -> None:
    (pair,) = found.pairs
    assert "No loss was reached by both" not in pair.sentence
    assert "By bits_per_byte" not in pair.sentence  # all of them agree
    far = read_points(width_study(tmp_path / "far.csv", multiplier=1000.0))
    analysis = fit_table(far, Options(forms=("N",)))
    (pair,) = analysis.pairs
    assert "No loss was reached by both conditions, so that its size is extrapolated" in pair.sentence
    (image,) = [figure for name, figure in draw(analysis, far).items() if name == "multiplier_N"]
    low, high = image.axes[0].get_ylim()
    assert low < pair.multiplier.estimate.value < high  # however large, it is in the picture

    joint = fit_pair(match(study.of("baseline"), study.of("mul_tokens")), BITS, ["N"])
    main = multiplier(joint, "the main fit")
    undecided = main.model_copy(
        update={"loss": "bits_per_byte_without_sites", "estimate": Estimate(value=1.2, low=0.9, high=1.6)}
    )
    said = limits(joint, BETTER, [undecided, main])
    assert said == " By bits_per_byte_without_sites it is undecided: 1.200 (95% interval 0.900 to 1.600)."
