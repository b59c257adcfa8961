"""One form, fitted to one condition: estimates, intervals, what they depend on, and predictions of held-out sizes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from domain_tokens.analysis.scaling.designs import Floor, floor_of
from domain_tokens.analysis.scaling.fitting import (
    FLOOR,
    FREE,
    POSITIVE,
    SMALLEST_SCALE,
    Fitted,
    Problem,
    Quantity,
    fit,
    numerical,
)
from domain_tokens.analysis.scaling.forms import Array, Axis, Form, frontier, new_form, scales_of
from domain_tokens.analysis.scaling.points import Point, axis_values, log_losses
from domain_tokens.analysis.scaling.records import (
    CurvePoint,
    Derived,
    Estimate,
    Fit,
    Outlier,
    Parameter,
    Prediction,
    Start,
    Variant,
)

FIELD_DELTA: Final = 1e-3
"""The delta of Hoffmann et al. (2022), which others use too."""
_FAR: Final = 4.0  # scales beyond which a run is an outlier
_MIN_FOR_OUTLIERS: Final = 10  # points: with fewer, the fit follows any single one
_INSIDE, _OUTSIDE, _BEYOND = 9, 4, 10.0  # scales of a curve within and beyond the measured range, and how far beyond
_REACHES_ZERO: Final = "E is not identified: its interval reaches 0"
_UNBOUNDED: Final = "E is not identified: its interval has no upper end"


@dataclass(frozen=True)
class Single:
    """A fit of one condition, for figures and predictions.

    Attributes:
        points: those that were fitted.
        loss: the column.
    """

    condition: str
    loss: str
    points: tuple[Point, ...]
    form: Form
    floor: Floor
    fitted: Fitted

    @property
    def scale(self) -> Axis:
        """What the curve runs along."""
        return self.form.axes[0] if len(self.form.axes) == 1 else "C"

    def log_loss(self, scale: float) -> Quantity:
        """Return the log loss at a scale; of the joint form, at the best division of compute."""
        form = self.form
        if len(form.axes) == 1:
            return log_loss_at(form, {self.scale: scale})

        def value(parameters: Array) -> float:
            log_k, exponent = frontier(form, parameters)
            floor = float(parameters[0]) if form.with_floor else 0.0
            return math.log(floor + math.exp(log_k - exponent * math.log(scale)))

        return numerical(value)


def log_loss_at(form: Form, values: dict[Axis, float]) -> Quantity:
    """Return the log loss at a size, as a function of the parameters of a form."""
    place = form.place(values)

    def quantity(parameters: Array) -> tuple[float, Array]:
        value, slopes = form.evaluate(parameters, place)
        return float(value[0]), slopes[0]

    return quantity


def places(form: Form, points: Sequence[Point]) -> Array:
    """Return what a form is evaluated at, shape (num_points, num_axes)."""
    logs = [np.log(axis_values(points, axis)) - at for axis, at in zip(form.axes, form.centers, strict=True)]
    return np.stack(logs, axis=1)


def run_indices(points: Sequence[Point]) -> NDArray[Any]:
    """Return the run of each point as a number."""
    names = {run: index for index, run in enumerate(dict.fromkeys(point.run for point in points))}
    return np.array([names[point.run] for point in points])


def kinds(form: Form) -> tuple[str, ...]:
    """Return how each parameter of a form is bounded."""
    return (FLOOR,) * form.with_floor + (FREE, POSITIVE) * len(form.axes)


def problem_of(form: Form, x: Array, log_loss: Array, runs: Array) -> Problem:
    """Return what is fitted for one condition."""

    def residuals(parameters: Array) -> tuple[Array, Array]:
        fitted, slopes = form.evaluate(parameters, x)
        return log_loss - fitted, -slopes

    return Problem(
        residuals=residuals,
        kinds=kinds(form),
        starts=tuple(form.starts(x, log_loss)),
        groups=np.zeros(len(log_loss), dtype=int),
        runs=runs,
        absorbed=(form.num_parameters,),
    )


def fit_condition(
    points: Sequence[Point],
    loss: str,
    axes: Sequence[Axis],
    delta: float | None = None,
    least_squares: bool = False,
) -> Single:
    """Fit a form to the points of one condition. The floor is left out where the sizes cannot tell it.

    Args:
        loss (`str`): the column.
        delta, least_squares: as in `fitting.fit`.
    """
    floor = floor_of(points, axes)
    form = new_form(axes, floor.is_identified, {axis: axis_values(points, axis) for axis in axes})
    problem = problem_of(form, places(form, points), log_losses(points, loss), run_indices(points))
    fitted = fit(problem, delta, least_squares)
    return Single(points[0].condition, loss, tuple(points), form, floor, fitted)


def describe(single: Single, delta: float | None) -> Fit:
    """Return the record of a fit, with intervals and with other choices beside it."""
    fitted, form, problem = single.fitted, single.form, single.fitted.problem
    parameters = _parameters(single)
    observed = log_losses(single.points, single.loss)
    spread = float(np.sum((observed - observed.mean()) ** 2))
    floor, advice = single.floor.reason, single.floor.advice
    if form.with_floor and fitted.has_intervals():
        estimate = parameters[0].estimate
        if estimate.low is not None and estimate.low <= 0:
            floor, advice = _REACHES_ZERO, _more(form)
        elif estimate.high is None:
            floor, advice = _UNBOUNDED, _more(form)
    scale, tuning = fitted.noise.scales[0], fitted.noise.tuning[0]
    return Fit(
        condition=single.condition,
        loss=single.loss,
        axes=form.axes,
        formula=form.words,
        floor=floor,
        advice=advice,
        parameters=parameters,
        derived=_derived(single),
        covariance_names=form.names,
        covariance=tuple(tuple(map(float, row)) for row in fitted.covariance),
        num_points=len(single.points),
        num_runs=problem.num_runs[0],
        degrees_of_freedom=problem.degrees[0],
        residual_sd=scale if fitted.has_intervals() else None,
        correlation_within_runs=fitted.noise.within[0],
        huber_delta=None if math.isinf(tuning) else tuning * scale,
        r_squared=1 - float(np.sum(fitted.residuals**2)) / spread if spread > 0 else 0.0,
        lack_of_fit_p=lack_of_fit(single),
        residuals={str(point.line): float(one) for point, one in zip(single.points, fitted.residuals, strict=True)},
        scale=single.scale,
        curve=curve(single),
        start=Start(
            num_starts=len(problem.starts), chosen=dict(zip(form.names, map(float, fitted.start), strict=True))
        ),
        variants=_variants(single, delta),
        outliers=tuple(
            Outlier(line=point.line, run=point.run, residual=float(residual)) for point, residual in outliers(single)
        ),
    )


def curve(single: Single) -> tuple[CurvePoint, ...]:
    """Return the fitted curve with its intervals, over the measured range and beyond."""
    low, high = scale_range(single.points, single.form.axes)
    points = []
    for scale in grid(low, high):
        quantity = single.log_loss(scale)
        ends = [_exp(end) for end in single.fitted.interval(quantity)]
        value = math.exp(quantity(single.fitted.parameters)[0])
        estimate = Estimate(value=value, low=ends[0], high=ends[1])
        points.append(CurvePoint(scale=scale, extrapolated=not low <= scale <= high, loss=estimate))
    return tuple(points)


def grid(low: float, high: float) -> list[float]:
    """Return the scales at which curves are computed: within the measured range, and a decade beyond its end."""
    inside = np.geomspace(low, high, _INSIDE)
    inside[0], inside[-1] = low, high  # rounding must not put the ends outside
    return [*map(float, inside), *map(float, np.geomspace(high, _BEYOND * high, _OUTSIDE + 1)[1:])]


def scale_range(points: Sequence[Point], axes: Sequence[Axis]) -> tuple[float, float]:
    """Return the smallest and largest value of what a curve runs along."""
    values = scales_of({axis: axis_values(points, axis) for axis in axes})
    return float(values.min()), float(values.max())


def _more(form: Form) -> str:
    return f"add a size beyond the largest {' and '.join(form.axes)}, or more seeds of every size"


def _parameters(single: Single) -> tuple[Parameter, ...]:
    """Return E, A, alpha, ... as the formula has them, each with its profile interval."""
    form, fitted = single.form, single.fitted
    found = []
    if form.with_floor:
        found.append(("E", component(0), (0.0, math.inf), False))
    for index, axis in enumerate(form.axes):
        at = form.amplitude(index)
        found.append((form.names[at].removeprefix("log_"), _amplitude(form, index), (-math.inf, math.inf), True))
        found.append((form.names[at + 1], component(at + 1), (0.0, math.inf), False))
        assert axis in form.axes
    parameters = []
    for name, quantity, within, is_log in found:
        value, (low, high) = quantity(fitted.parameters)[0], fitted.interval(quantity, within=within)
        if is_log:
            value, low, high = _exp(value), _exp(low), _exp(high)
        parameters.append(Parameter(name=name, estimate=Estimate(value=value, low=low, high=high)))
    return tuple(parameters)


def _derived(single: Single) -> tuple[Derived, ...]:
    """Return the exponent with which the best number of parameters grows with compute, beta / (alpha + beta)."""
    form, fitted = single.form, single.fitted
    if len(form.axes) < 2:
        return ()
    a, b = form.amplitude(0) + 1, form.amplitude(1) + 1
    share = numerical(lambda parameters: float(parameters[b] / (parameters[a] + parameters[b])))
    low, high = fitted.interval(share, within=(0.0, 1.0))
    words = "exponent a of the best number of parameters, N = G C^a"
    return (Derived(words=words, estimate=Estimate(value=share(fitted.parameters)[0], low=low, high=high)),)


def _exp(value: float | None) -> Any:
    return None if value is None else math.exp(min(value, 700.0))


def component(index: int) -> Quantity:
    """Return a parameter as it is fitted, as a function of all of them."""

    def quantity(parameters: Array) -> tuple[float, Array]:
        return float(parameters[index]), np.eye(len(parameters))[index]

    return quantity


def _amplitude(form: Form, index: int) -> Quantity:
    at = form.amplitude(index)
    gradient = np.zeros(form.num_parameters)
    gradient[at], gradient[at + 1] = 1.0, form.centers[index]
    return lambda parameters: (form.uncentered(parameters, index), gradient)


def values_of(single: Single) -> dict[str, float]:
    """Return the estimates as the formula has them."""
    form, parameters = single.form, single.fitted.parameters
    values = {"E": float(parameters[0])} if form.with_floor else {}
    for index in range(len(form.axes)):
        at = form.amplitude(index)
        values[form.names[at].removeprefix("log_")] = _exp(form.uncentered(parameters, index))
        values[form.names[at + 1]] = float(parameters[at + 1])
    return values


def outliers(single: Single) -> list[tuple[Point, float]]:
    """Return the points whose residual is beyond four robust standard deviations; none of fewer than ten points."""
    if len(single.points) < _MIN_FOR_OUTLIERS:
        return []
    far = _FAR * single.fitted.noise.scales[0]
    pairs = zip(single.points, map(float, single.fitted.residuals), strict=True)
    return [(point, residual) for point, residual in pairs if abs(residual) > far]


def _variants(single: Single, delta: float | None) -> tuple[Variant, ...]:
    """Return the estimates by other loss functions, and without outliers."""
    points, loss, axes = single.points, single.loss, single.form.axes
    chosen = f"Huber, delta {delta:g}" if delta is not None else "Huber, delta from the residuals"
    found = [(chosen, single)]
    if delta != FIELD_DELTA:
        found.append((f"Huber, delta {FIELD_DELTA:g}", fit_condition(points, loss, axes, FIELD_DELTA)))
    if delta is not None:
        found.append(("Huber, delta from the residuals", fit_condition(points, loss, axes)))
    found.append(("least squares", fit_condition(points, loss, axes, least_squares=True)))
    far = {point.line for point, _ in outliers(single)}
    if far:
        kept = [point for point in points if point.line not in far]
        found.append((f"without {len(far)} outliers", fit_condition(kept, loss, axes, delta)))
    return tuple(Variant(words=words, values=values_of(one)) for words, one in found)


def lack_of_fit(single: Single) -> float | None:
    """Return the p-value of the form against a mean of its own for each size; `None` without repetition.

    Source: Draper and Smith (1998), Applied Regression Analysis, section 2.1.
    """
    points, form = single.points, single.form
    if len({point.run for point in points}) < len(points):
        return None  # points of one run do not tell how far runs differ
    where = np.round(places(form, points), 6)
    sizes = np.unique(where, axis=0, return_inverse=True)[1].ravel()
    number = int(sizes.max()) + 1
    pure, lack = len(points) - number, number - form.num_parameters
    if pure < 1 or lack < 1:
        return None
    observed = log_losses(points, single.loss)
    means = np.bincount(sizes, observed) / np.bincount(sizes)
    within = float(np.sum((observed - means[sizes]) ** 2))
    whole = float(np.sum(single.fitted.residuals**2))
    if within <= pure * SMALLEST_SCALE**2:
        return None  # runs of a size that differ by rounding alone say nothing of noise
    return float(stats.f.sf(max(whole - within, 0.0) / lack / (within / pure), lack, pure))


def predicted(
    fitted: Fitted, quantity: Quantity, num_runs: int, group: int = 0
) -> tuple[float, float | None, float | None]:
    """Return a predicted log loss and the interval of the mean of new runs: the fit's uncertainty and theirs together.

    Args:
        num_runs (`int`): how many new runs are averaged.
    """
    low, high = fitted.interval(quantity, group, noise=noise_of_mean(fitted, num_runs, group))
    return quantity(fitted.parameters)[0], low, high


def noise_of_mean(fitted: Fitted, num_runs: int, group: int = 0) -> float:
    """Return the standard deviation of the mean of new runs."""
    return fitted.noise.scales[group] / math.sqrt(num_runs)


def predict(single: Single, held_out: Sequence[Point]) -> list[Prediction]:
    """Return the prediction of each held-out size of a condition, beside what was measured."""
    found = []
    for values in _sizes(single.form, held_out):
        members = [point for point in held_out if _at(single.form, point) == values]
        quantity = log_loss_at(single.form, dict(zip(single.form.axes, values, strict=True)))
        runs = {point.run: point.losses[single.loss] for point in members}
        found.append(
            prediction(
                single.condition,
                members[0],
                single.form,
                predicted(single.fitted, quantity, len(runs)),
                {point.run: math.log(point.losses[single.loss]) for point in members},
            )
        )
    return found


def prediction(
    condition: str,
    member: Point,
    form: Form,
    logs: tuple[float, float | None, float | None],
    measured: dict[str, float],
) -> Prediction:
    """Return the record of a prediction, from logs."""
    center, low, high = logs
    mean = float(np.mean(list(measured.values())))
    return Prediction(
        condition=condition,
        point=member.point,
        axes={axis: member.values[axis] for axis in form.axes},
        predicted=Estimate(value=math.exp(center), low=_exp(low), high=_exp(high)),
        measured=math.exp(mean),
        by_run={run: math.exp(value) for run, value in measured.items()},
        error=math.expm1(mean - center),
        inside=None if low is None or high is None else low <= mean <= high,
    )


def _at(form: Form, point: Point) -> tuple[float, ...]:
    return tuple(point.values[axis] for axis in form.axes)


def _sizes(form: Form, points: Sequence[Point]) -> list[tuple[float, ...]]:
    return list(dict.fromkeys(_at(form, point) for point in points))
