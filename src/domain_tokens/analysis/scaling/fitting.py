"""Fits a model of log losses under Huber's loss, with the run as the unit, and profiles what follows from it.

Residuals are standardized by the scale of their group (one group for a condition by itself; for pairs, the means and
the differences have a scale each). The scale is Huber's Proposal 2 with a correction for the parameters that were
fitted, and the loss turns linear at 1.345 scales (95% efficiency where noise is normal). Sums of Huber's loss are
compared by the drop in dispersion, with F in place of chi-square, whose degrees of freedom count runs. With normal
noise and no outlier this is the profile F interval of nonlinear least squares.

Several points of one run share its noise. They are decorrelated by the correlation within runs, which restricted
maximum likelihood estimates, as in a model with a random intercept for each run.

Sources: Huber (1964), Annals of Mathematical Statistics 35:73 (loss, Proposal 2); Hampel et al. (1986), Robust
Statistics, section 7.2 (the test by the drop in dispersion); Bates and Watts (1988), Nonlinear Regression Analysis,
chapter 6 (profiles); Fuller and Battese (1973), JASA 68:626 (decorrelation); Patterson and Thompson (1971),
Biometrika 58:545; Huber (1981), Robust Statistics, section 7.6 (correction for the number of parameters).
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from domain_tokens.analysis.statistics.paired import ALPHA

Array = NDArray[Any]
Quantity = Callable[[Array], tuple[float, Array]]
"""A function of the parameters, and its gradient."""

TUNING: Final = 1.345
NUM_REFINED: Final = 3  # starting points that are refined, the best by the loss
_ROUNDS: Final = 8  # of scale and fit in turn
_SETTLED: Final = 3e-3  # share by which scales may still change
SMALLEST_SCALE: Final = 1e-9  # of log losses: points without noise are fitted too
_PENALTY: Final = 300.0  # of a quantity that is held fixed, in standardized residuals for one standard error
_TOLERANCE, _MOST_EVALUATIONS = 1e-9, 150  # of the solver; a usual fit takes 10 evaluations
_DOUBLINGS: Final = 6  # of a first-order interval, beyond which the data do not bound a quantity
_STEP: Final = 1e-6  # of numerical derivatives, as a share
_WITHIN_RUN: Final = np.linspace(0.0, 0.98, 50)
FLOOR, FREE, POSITIVE = "floor", "free", "positive"  # how a parameter is bounded


def numerical(function: Callable[[Array], float]) -> Quantity:
    """Return a function of the parameters with its gradient by central differences."""

    def quantity(parameters: Array) -> tuple[float, Array]:
        steps = _STEP * np.maximum(np.abs(parameters), 1e-3)
        gradient = np.empty(len(parameters))
        for index, step in enumerate(steps):
            high, low = parameters.copy(), parameters.copy()
            high[index] += step
            low[index] -= step
            gradient[index] = (function(high) - function(low)) / (2 * step)
        return function(parameters), gradient

    return quantity


@dataclass(frozen=True)
class Problem:
    """What is fitted.

    Attributes:
        residuals: of the parameters: the residuals of log losses, shape (num_points,), and their derivatives, shape
            (num_points, num_parameters).
        kinds: of each parameter: `floor` (at least 0), `free` or `positive`.
        starts: starting points.
        groups: of each point, the group whose scale it has.
        runs: of each point, its run.
        absorbed: of each group, the number of parameters that its points determine.
    """

    residuals: Callable[[Array], tuple[Array, Array]]
    kinds: tuple[str, ...]
    starts: tuple[Array, ...]
    groups: Array
    runs: Array
    absorbed: tuple[int, ...]

    @cached_property
    def num_runs(self) -> tuple[int, ...]:
        """Runs, by group."""
        return tuple(len(set(self.runs[self.groups == one])) for one in range(len(self.absorbed)))

    @cached_property
    def degrees(self) -> tuple[int, ...]:
        """Runs less parameters, by group."""
        return tuple(number - taken for number, taken in zip(self.num_runs, self.absorbed, strict=True))


@dataclass(frozen=True)
class Noise:
    """How residuals are weighed.

    Attributes:
        scales: by group.
        tuning: by group, the number of scales at which the loss turns linear; infinite for least squares.
        within: by group, the correlation of points of one run.
    """

    scales: tuple[float, ...]
    tuning: tuple[float, ...]
    within: tuple[float, ...]


@dataclass(frozen=True)
class Fitted:
    """A fit.

    Attributes:
        parameters: the estimates.
        dispersion: twice the sum of Huber's loss of the standardized residuals.
        start: the starting point that led to it.
    """

    problem: Problem
    noise: Noise
    parameters: Array
    dispersion: float
    start: Array

    @cached_property
    def residuals(self) -> Array:
        """Of log losses, as observed less fitted, in the order of the points."""
        return self.problem.residuals(self.parameters)[0]

    @cached_property
    def covariance(self) -> Array:
        """Of the parameters, from the Jacobian of the decorrelated residuals."""
        slopes = _Weighing(self.problem, self.noise).linear(self.problem.residuals(self.parameters)[1])
        scatter = np.array([_variance_ratio(one, slope=2) for one in self.noise.tuning])[self.problem.groups]
        return np.linalg.pinv(slopes.T @ (slopes / scatter[:, None]))

    def unit(self, group: int) -> float:
        """Return what a drop in dispersion is divided by: its mean for one parameter without effect.

        For least squares it is 1. The correction for the number of parameters is Huber's (1981, section 7.6).
        """
        tuning, problem = self.noise.tuning[group], self.problem
        share = problem.absorbed[group] / int(np.sum(problem.groups == group))
        inside = 1.0 if math.isinf(tuning) else _inside(tuning)
        return _variance_ratio(tuning) * (1 + share * (1 - inside) / inside)

    def has_intervals(self, group: int = 0) -> bool:
        """Whether there are more runs than parameters."""
        return self.problem.degrees[group] >= 1

    def test(
        self, quantity: Quantity, value: float, group: int = 0, noise: float | None = None
    ) -> tuple[float, "Fitted"]:
        """Return the p-value of a quantity's value, and the fit that has it.

        Args:
            group: whose degrees of freedom count.
            noise (*optional*): standard deviation of a new observation of the quantity, whose value is tested then.
        """
        held = self.held(quantity, value, noise=noise)
        drop = max(held.dispersion - self.dispersion, 0.0) / self.unit(group)
        return float(stats.f.sf(drop, 1, self.problem.degrees[group])), held

    def held(
        self, quantity: Quantity, value: float, near: Array | None = None, noise: float | None = None
    ) -> "Fitted":
        """Return the fit in which a quantity has a value, or to which a new observation of it is added.

        Args:
            near (*optional*): parameters to start from, by default these.
            noise (*optional*): standard deviation of the new observation, which adds to the dispersion.
        """
        unit = max(self.standard_error(quantity), 1e-12) / _PENALTY if noise is None else noise

        def penalty(parameters: Array) -> tuple[float, Array]:
            found, gradient = quantity(parameters)
            return (found - value) / unit, gradient / unit

        found = _solve(self.problem, self.noise, self.parameters if near is None else near, penalty)
        if noise is None:
            return found
        return replace(found, dispersion=found.dispersion + penalty(found.parameters)[0] ** 2)

    def standard_error(self, quantity: Quantity) -> float:
        """Return a quantity's standard error, to first order."""
        gradient = quantity(self.parameters)[1]
        return math.sqrt(max(float(gradient @ self.covariance @ gradient), 0.0))

    def interval(
        self,
        quantity: Quantity,
        group: int = 0,
        within: tuple[float, float] = (-math.inf, math.inf),
        noise: float | None = None,
    ) -> tuple[float | None, float | None]:
        """Return the 95% profile interval of a quantity; an end that the data do not bound is `None`.

        Args:
            group: whose degrees of freedom count.
            within: the values that it can have; an interval that reaches one of them ends there.
            noise (*optional*): standard deviation of a new observation of the quantity, of which the interval is then.
        """
        if not self.has_intervals(group):
            return None, None
        low, high = within
        return self._end(quantity, group, -1, low, noise), self._end(quantity, group, 1, high, noise)

    def _end(self, quantity: Quantity, group: int, direction: int, limit: float, noise: float | None) -> float | None:
        center, error = quantity(self.parameters)[0], math.hypot(self.standard_error(quantity), noise or 0.0)
        if not error > 0:
            return center
        at = float(stats.t.ppf(1 - ALPHA / 2, self.problem.degrees[group]))
        unit, found = self.unit(group), {0.0: self.parameters}

        @cache  # a second search from elsewhere may end a little apart, and the ends must keep their signs
        def excess(steps: float) -> float:
            if steps == 0:
                return -at
            near = min(found, key=lambda one: abs(one - steps))
            held = self.held(quantity, center + direction * steps * error, found[near], noise)
            found[steps] = held.parameters
            return math.sqrt(max(held.dispersion - self.dispersion, 0.0) / unit) - at

        most = abs(limit - center) / error
        inside, outside = 0.0, min(at, most)
        if direction * (limit - center) <= 0:
            return limit
        for _ in range(_DOUBLINGS):
            if excess(outside) >= 0:
                return center + direction * error * float(optimize.brentq(excess, inside, outside, xtol=0.01))
            if outside == most:
                return limit
            inside, outside = outside, min(2 * outside, most)
        return None


def fit(problem: Problem, delta: float | None = None, least_squares: bool = False) -> Fitted:
    """Return the best fit from all starting points.

    Args:
        delta (`float`, *optional*): the residual of log L at which the loss turns linear; by default 1.345 scales.
        least_squares (`bool`, *optional*, defaults to `False`): use no robust loss.
    """
    groups = range(len(problem.absorbed))
    noise = Noise(tuple(1.0 for _ in groups), tuple(math.inf for _ in groups), tuple(0.0 for _ in groups))
    found = _best(problem, noise, problem.starts)
    for turn in range(_ROUNDS):
        noise = _noise(found, delta, least_squares)
        starts = problem.starts if turn == 0 and not least_squares else (found.parameters,)
        start = found.start
        before, found = found, _best(problem, noise, (found.parameters, *starts))
        if len(starts) == 1:
            found = replace(found, start=start)
        if np.allclose(before.noise.scales, noise.scales, rtol=_SETTLED) and before.noise.within == noise.within:
            break
    return found


def refit(problem: Problem, noise: Noise) -> Fitted:
    """Return the best fit with noise that is known, such as that of a larger model."""
    return _best(problem, noise, problem.starts)


def nested_p_value(smaller: Problem, larger: Fitted, group: int) -> float:
    """Return the p-value of a smaller model within a larger one, by the drop in dispersion."""
    dropped = larger.problem.absorbed[group] - smaller.absorbed[group]
    drop = max(refit(smaller, larger.noise).dispersion - larger.dispersion, 0.0)
    return float(stats.f.sf(drop / larger.unit(group) / dropped, dropped, larger.problem.degrees[group]))


def _best(problem: Problem, noise: Noise, starts: Sequence[Array]) -> Fitted:
    weighing = _Weighing(problem, noise)
    ordered = sorted(starts, key=lambda one: weighing.dispersion(problem.residuals(one)[0]))
    return min((_solve(problem, noise, one) for one in ordered[:NUM_REFINED]), key=lambda fit: fit.dispersion)


def _solve(problem: Problem, noise: Noise, start: Array, penalty: Quantity | None = None) -> Fitted:
    """Minimize the dispersion, by Levenberg and Marquardt's method, from one starting point.

    Residuals beyond the tuning are replaced by the root of their loss, so that their squares add up to it; the floor
    is a square and exponents are exponentials, so that no bound is needed.
    """
    weighing, change = _Weighing(problem, noise), _Change(problem.kinds)

    seen: dict[bytes, tuple[Array, Array]] = {}

    def both(inner: Array) -> tuple[Array, Array]:
        """Return residuals and slopes; the solver asks for the slopes where it has just seen the residuals."""
        key = inner.tobytes()
        if key not in seen:
            parameters = change.outer(inner)
            raw, jacobian = problem.residuals(parameters)
            root, bend = weighing.rooted(raw)
            slopes = bend[:, None] * weighing.linear(jacobian)
            if penalty is not None:
                off, gradient = penalty(parameters)
                root, slopes = np.append(root, off), np.vstack([slopes, gradient])
            seen.clear()
            seen[key] = root, slopes * change.slopes(inner)
        return seen[key]

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no progress from here: another start may do better
        solved, _ = optimize.leastsq(
            lambda inner: both(inner)[0],
            change.inner(start),
            Dfun=lambda inner: both(inner)[1],
            ftol=_TOLERANCE,
            xtol=_TOLERANCE,
            maxfev=_MOST_EVALUATIONS,
        )
    parameters = change.outer(solved)
    return Fitted(problem, noise, parameters, weighing.dispersion(problem.residuals(parameters)[0]), start)


class _Change:
    """Free variables in place of bounded parameters: a floor is a square, a positive parameter an exponential."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self._floor = [index for index, kind in enumerate(kinds) if kind == FLOOR]
        self._positive = [index for index, kind in enumerate(kinds) if kind == POSITIVE]

    def outer(self, inner: Array) -> Array:
        found = inner.copy()
        found[self._positive] = np.exp(np.minimum(np.maximum(inner[self._positive], -12.0), 4.0))
        found[self._floor] **= 2
        return found

    def inner(self, parameters: Array) -> Array:
        found = np.array(parameters, dtype=float)
        found[self._positive] = np.log(np.maximum(found[self._positive], 1e-5))
        found[self._floor] = np.sqrt(np.maximum(found[self._floor], 1e-4))  # at 0 a square has no slope
        return found

    def slopes(self, inner: Array) -> Array:
        found = np.ones(len(inner))
        found[self._floor] = 2 * inner[self._floor]
        found[self._positive] = np.exp(inner[self._positive])
        return found


class _Weighing:
    """Standardizes residuals by their scale, and decorrelates those of one run."""

    def __init__(self, problem: Problem, noise: Noise) -> None:
        self._tuning = np.array(noise.tuning)[problem.groups]
        self._over = 1 / np.array(noise.scales)[problem.groups]
        self._mixing = _mixing(problem, noise.within)

    def linear(self, values: Array) -> Array:
        """Return residuals, or rows of derivatives, standardized and decorrelated."""
        scaled = (values.T * self._over).T
        return scaled if self._mixing is None else self._mixing @ scaled

    def rooted(self, residuals: Array) -> tuple[Array, Array]:
        """Return the signed roots of twice Huber's loss, and their derivatives."""
        u = self.linear(residuals)
        size, beyond = np.abs(u), np.abs(u) > self._tuning
        if not beyond.any():
            return u, np.ones_like(u)
        c = np.where(beyond, self._tuning, 1.0)
        root = np.sqrt(np.where(beyond, 2 * c * size - c**2, 1.0))
        return np.where(beyond, np.sign(u) * root, u), np.where(beyond, c / root, 1.0)

    def dispersion(self, residuals: Array) -> float:
        """Return twice the sum of Huber's loss; infinite where a residual is not finite."""
        found = float(np.sum(self.rooted(residuals)[0] ** 2))
        return found if math.isfinite(found) else math.inf


def _mixing(problem: Problem, within: Sequence[float]) -> Array | None:
    """Return the matrix that decorrelates points of one run, their variances as before; `None` without correlation."""
    if not any(within):
        return None
    mixing = np.eye(len(problem.groups))
    for group, share in enumerate(within):
        for run in set(problem.runs[problem.groups == group]):
            members = np.flatnonzero((problem.groups == group) & (problem.runs == run))
            if share and len(members) > 1:
                number = len(members)
                theta = 1 - math.sqrt((1 - share) / (1 - share + number * share))
                own = (np.eye(number) - theta / number) / math.sqrt(1 - share)
                mixing[np.ix_(members, members)] = own
    return mixing


def _noise(found: Fitted, delta: float | None, least_squares: bool) -> Noise:
    """Return the noise that a fit leaves."""
    problem = found.problem
    raw, slopes = problem.residuals(found.parameters)
    scales, within = [], []
    for group, taken in enumerate(problem.absorbed):
        members = problem.groups == group
        share = _within_runs(raw[members], slopes[members], problem.runs[members], taken)
        mixing = _mixing(problem, [share if one == group else 0.0 for one in range(len(problem.absorbed))])
        residuals = raw[members] if mixing is None else (mixing @ np.where(members, raw, 0.0))[members]
        scales.append(_scale(residuals, len(residuals) - taken, math.inf if least_squares else TUNING))
        within.append(share)
    tuning = [math.inf if least_squares else TUNING if delta is None else delta / one for one in scales]
    for group, number in enumerate(problem.degrees):
        tuning[group] = tuning[group] if number >= 1 or delta is not None else math.inf
    return Noise(tuple(scales), tuple(tuning), tuple(within))


def _scale(residuals: Array, degrees: int, tuning: float) -> float:
    """Return the scale at which bounded squares of residuals add up to what normal noise gives."""
    size = np.abs(residuals)
    largest = float(size.max(initial=0.0))
    if degrees < 1 or largest < SMALLEST_SCALE:
        return max(float(np.sqrt(np.mean(size**2))), SMALLEST_SCALE)
    if math.isinf(tuning):
        return max(float(np.sqrt(np.sum(size**2) / degrees)), SMALLEST_SCALE)
    wanted = degrees * _mean_square(tuning)

    def excess(log_scale: float) -> float:
        return float(np.sum(np.minimum(size / math.exp(log_scale), tuning) ** 2)) - wanted

    low, high = math.log(SMALLEST_SCALE), math.log(largest * math.sqrt(len(size) / wanted) * 1.01)
    if excess(low) <= 0:
        return max(float(np.sqrt(np.sum(size**2) / degrees)), SMALLEST_SCALE)
    return math.exp(float(optimize.brentq(excess, low, high, xtol=1e-6)))


@lru_cache
def _mean_square(tuning: float) -> float:
    """Return the mean of Huber's bounded squares of standard normal noise."""
    if math.isinf(tuning):
        return 1.0
    density = math.exp(-(tuning**2) / 2) / math.sqrt(2 * math.pi)
    return _inside(tuning) - 2 * tuning * density + tuning**2 * (1 - _inside(tuning))


@lru_cache
def _variance_ratio(tuning: float, slope: int = 1) -> float:
    """Return the mean bounded square over a power of the share of standard normal noise within the tuning."""
    if math.isinf(tuning):
        return 1.0
    return _mean_square(tuning) / _inside(tuning) ** slope


def _inside(tuning: float) -> float:
    """Return the share of standard normal noise within the tuning."""
    return math.erf(tuning / math.sqrt(2))


def _within_runs(residuals: Array, slopes: Array, runs: Array, taken: int) -> float:
    """Return the correlation of points of one run by restricted maximum likelihood; 0 where runs have one point."""
    same = runs[:, None] == runs[None, :]
    if same.sum() == len(runs) or len(runs) - taken < 1:
        return 0.0
    basis = np.linalg.svd(slopes / np.maximum(np.linalg.norm(slopes, axis=0), 1e-300), full_matrices=False)[0]
    basis = basis[:, :taken]

    def negative(share: float) -> float:
        covariance = np.where(same, share, 0.0) + (1 - share) * np.eye(len(runs))
        inverse = np.linalg.inv(covariance)
        inner = basis.T @ inverse @ basis
        left = residuals - basis @ np.linalg.solve(inner, basis.T @ inverse @ residuals)
        squares = max(float(left @ inverse @ left), 1e-300)
        logs = np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(inner)[1]
        return float(logs + (len(runs) - taken) * math.log(squares))

    return float(min(_WITHIN_RUN, key=negative))
