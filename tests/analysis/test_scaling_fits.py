"""Fits of one condition: known parameters come back, intervals hold, and runs are the unit."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.tables_of_runs import ALPHA, REANALYSIS, E, bits_per_byte, published, width_study
from domain_tokens.analysis.scaling.calibration import Setting, log_loss
from domain_tokens.analysis.scaling.fitting import TUNING, Fitted, Noise, Problem, numerical
from domain_tokens.analysis.scaling.forms import Form, frontier
from domain_tokens.analysis.scaling.points import Point, read_points
from domain_tokens.analysis.scaling.single import (
    Single,
    component,
    describe,
    fit_condition,
    lack_of_fit,
    noise_of_mean,
    outliers,
    predict,
    values_of,
)


def runs_of(sizes: list[float], seeds: int, noise: float, seed: int = 0) -> list[Point]:
    rng = np.random.default_rng(seed)
    return [
        Point(0, "", f"{size}", f"{i}", f"{size}/{i}", False, {"N": size}, {"l": bits_per_byte(size) * float(e)})
        for size in sizes
        for i, e in enumerate(np.exp(rng.normal(0, noise, seeds)))
    ]


SIZES = [5e4, 1e5, 2e5, 5e5, 1e6]


def test_the_derivatives_are_those_of_the_form() -> None:
    form = Form(("N", "D"), True, (11.0, 14.0))
    parameters, place = np.array([0.9, -0.5, 0.3, -1.0, 0.4]), np.array([[0.7, -0.3]])
    value, slopes = form.evaluate(parameters, place)
    by_differences = numerical(lambda at: float(form.evaluate(at, place)[0][0]))(parameters)
    assert by_differences[0] == value[0]
    np.testing.assert_allclose(slopes[0], by_differences[1], rtol=1e-6)


def test_the_frontier_is_the_lowest_loss_of_a_budget() -> None:
    form = Form(("N", "D"), True, (0.0, 0.0))
    parameters = np.array([1.8, np.log(400.0), 0.35, np.log(2000.0), 0.37])
    budget = 1e20
    sizes = np.geomspace(1e7, 1e11, 100_001)
    losses = np.exp(form.evaluate(parameters, np.log(np.stack([sizes, budget / 6 / sizes], axis=1)))[0])
    log_k, exponent = frontier(form, parameters)
    assert 0 < losses.argmin() < 100_000
    assert losses.min() == pytest.approx(1.8 + np.exp(log_k) * budget**-exponent, rel=1e-8)


def test_points_without_noise_give_the_parameters_back() -> None:
    values = values_of(fit_condition(runs_of(SIZES, 1, 0.0), "l", ["N"]))
    assert values["E"] == pytest.approx(E, rel=1e-5)
    assert values["alpha"] == pytest.approx(ALPHA, rel=1e-4)
    assert values["A"] == pytest.approx(0.45 * 2e5**ALPHA, rel=1e-3)


@pytest.fixture(scope="module")
def joint(tmp_path_factory: pytest.TempPathFactory) -> Single:
    points = read_points(published(tmp_path_factory.mktemp("joint") / "runs.csv"))
    return fit_condition(points.points, points.losses[0], ("N", "D"))


def test_a_published_design_gives_its_parameters_back_and_names_its_outliers(joint: Single) -> None:
    for index, name in ((0, "E"), (2, "alpha"), (4, "beta")):
        assert joint.form.names[index] == name
        assert joint.fitted.test(component(index), REANALYSIS[name])[0] > 0.05, name
    values = values_of(joint)
    assert values["E"] == pytest.approx(REANALYSIS["E"], abs=0.02)
    assert values["alpha"] == pytest.approx(REANALYSIS["alpha"], abs=0.02)
    assert values["beta"] == pytest.approx(REANALYSIS["beta"], abs=0.02)
    assert [point.line for point, _ in outliers(joint)] == [5, 52, 102, 152, 202]
    assert joint.fitted.noise.scales[0] == pytest.approx(0.0025, rel=0.15)


def test_the_estimates_do_not_depend_on_the_first_start(joint: Single) -> None:
    assert len(joint.fitted.problem.starts) == 100
    dispersions = {round(joint.fitted.held(component(0), 1.8, start).dispersion, 3)
                   for start in (joint.fitted.parameters, joint.fitted.parameters * 0.8)}  # fmt: skip
    assert len(dispersions) == 1


def test_least_squares_has_the_t_interval_where_the_model_is_linear() -> None:
    """With the exponent in log-log and no floor, the interval is that of a straight line."""
    rng = np.random.default_rng(1)
    sizes = np.geomspace(1e5, 5e5, 3).repeat(4)
    losses = np.exp(0.5 - 0.3 * np.log(sizes) + rng.normal(0, 0.01, 12))
    pairs = enumerate(zip(sizes, losses, strict=True))
    points = [Point(0, "", "", "", str(index), False, {"N": n}, {"l": loss}) for index, (n, loss) in pairs]
    single = fit_condition(points, "l", ["N"], least_squares=True)
    assert not single.form.with_floor
    line = stats.linregress(np.log(sizes), np.log(losses))
    half = stats.t.ppf(0.975, 10) * line.stderr
    low, high = single.fitted.interval(component(1))
    assert (low, high) == pytest.approx((-line.slope - half, -line.slope + half), rel=1e-3)


def test_intervals_hold_at_small_scale() -> None:
    missed = np.zeros(2)
    for seed in range(120):
        single = fit_condition(runs_of(SIZES, 2, 0.01, seed), "l", ["N"])
        for index, truth in ((0, E), (1, ALPHA)):
            missed[index] += single.fitted.test(component(2 * index), truth)[0] < 0.05
    assert (missed >= 1).all()  # of 120, 6 are expected
    assert (missed <= 14).all(), missed


def test_points_of_one_run_do_not_count_as_runs() -> None:
    rng = np.random.default_rng(0)
    points, _ = Setting(5, 2, 0.005, points_per_run=4, within=0.9).draw(rng)
    single = fit_condition(points, "loss", ("N", "D"))
    apart = [Point(**{**vars(point), "run": str(index)}) for index, point in enumerate(points)]
    free = fit_condition(apart, "loss", ("N", "D"))
    assert (single.fitted.problem.degrees, free.fitted.problem.degrees) == ((5,), (35,))
    assert single.fitted.noise.within[0] > 0.5
    assert free.fitted.noise.within[0] == 0
    level = component(1)  # of the sizes, which the noise of a run moves as a whole
    assert single.fitted.standard_error(level) > 1.3 * free.fitted.standard_error(level)


def test_held_out_sizes_are_predicted_and_never_fitted(tmp_path: Path) -> None:
    points = read_points(width_study(tmp_path / "runs.csv"))
    held = points.of("baseline", True)
    single = fit_condition(points.of("baseline"), "bits_per_byte", ["N"])
    (found,) = predict(single, held)
    assert len(found.by_run) == 3
    assert found.inside
    assert found.predicted.value == pytest.approx(bits_per_byte(48 * 192**2), rel=0.01)
    worse = [Point(**{**vars(point), "losses": {"bits_per_byte": 2.0}}) for point in held]
    (other,) = predict(single, worse)
    assert (other.predicted, other.inside) == (found.predicted, False)
    assert other.error == pytest.approx(2 / found.predicted.value - 1)


def test_a_floor_that_the_data_do_not_tell_is_said() -> None:
    noisy = describe(fit_condition(runs_of(SIZES, 3, 0.03), "l", ["N"]), None)
    assert noisy.parameters[0].estimate.low == 0
    assert noisy.floor == "E is not identified: its interval reaches 0"
    few = describe(fit_condition(runs_of(SIZES[:3], 2, 0.002), "l", ["N"]), None)
    assert [one.name for one in few.parameters] == ["A", "alpha"]
    assert few.advice.startswith("add 1 more values of N, and ")
    exact = describe(fit_condition(runs_of(SIZES[1:4], 1, 0.002)[:2], "l", ["N"]), None)
    assert (exact.degrees_of_freedom, exact.residual_sd, exact.parameters[0].estimate.low) == (0, None, None)


def test_sizes_off_the_form_show_in_the_lack_of_fit() -> None:
    points = runs_of(SIZES, 3, 0.002)
    assert (lack_of_fit(fit_condition(points, "l", ["N"])) or 0) > 0.05
    bent = [
        Point(**{**vars(point), "losses": {"l": point.losses["l"] * (1.02 if point.values["N"] == 2e5 else 1)}})
        for point in points
    ]
    assert (lack_of_fit(fit_condition(bent, "l", ["N"])) or 1) < 0.001


def test_the_simulated_truth_is_the_forms() -> None:
    assert np.exp(log_loss(2e5)) == pytest.approx(0.9 + 0.45)


def fitted_line(runs: list[int], tuning: float, within: float = 0.0) -> tuple[Fitted, np.ndarray]:
    """Return a fit of a straight line with noise of a standard deviation of 0.2, and its design."""
    design = np.stack([np.ones(len(runs)), np.linspace(-1, 1, len(runs))], axis=1)
    groups = np.zeros(len(runs), dtype=int)
    problem = Problem(lambda at: (design @ -at, -design), ("free",) * 2, (np.zeros(2),), groups, np.array(runs), (2,))
    return Fitted(problem, Noise((0.2,), (tuning,), (within,)), np.zeros(2), 0.0, np.zeros(2)), design


def test_points_of_one_run_are_weighed_as_generalized_least_squares_weighs_them() -> None:
    runs = [0, 0, 0, 1, 1, 2]
    fitted, design = fitted_line(runs, math.inf, within=0.6)
    same = np.equal.outer(runs, runs)
    covariance = 0.2**2 * np.where(np.eye(6) == 1, 1.0, np.where(same, 0.6, 0.0))
    expected = np.linalg.inv(design.T @ np.linalg.inv(covariance) @ design)
    np.testing.assert_allclose(fitted.covariance, expected, rtol=1e-9)


def test_a_drop_in_dispersion_is_corrected_for_the_number_of_parameters() -> None:
    """By Huber (1981, section 7.6), with the moments of normal noise integrated numerically."""
    z = np.linspace(-10, 10, 200_001)
    density = stats.norm.pdf(z) * (z[1] - z[0])
    inside = float(density[np.abs(z) <= TUNING].sum())
    square = float((np.clip(z, -TUNING, TUNING) ** 2 * density).sum())
    fitted, _ = fitted_line(list(range(8)), TUNING)
    assert fitted.unit(0) == pytest.approx(square / inside * (1 + 2 / 8 * (1 - inside) / inside), rel=1e-4)
    assert fitted.unit(0) > 1.04 * square / inside
    assert fitted_line(list(range(8)), math.inf)[0].unit(0) == 1


def test_the_mean_of_four_runs_varies_half_as_much_as_one() -> None:
    fitted, _ = fitted_line(list(range(8)), math.inf)
    assert (noise_of_mean(fitted, 1), noise_of_mean(fitted, 4)) == (0.2, 0.1)
