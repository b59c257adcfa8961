"""Two conditions fitted together: what they share, and how much compute one is worth in terms of the other.

Runs of one point and seed share initial weights and documents, so their residuals are correlated. The mean `m` and the
difference `d` of the two log losses of a pair are not, if both conditions have the same variance: each is a group of
residuals with a scale of its own. Three levels are nested:

- shared: one floor and one set of exponents; only the amplitudes are each condition's own. Then
  `L_other(C) = L_reference(k C)` at every scale, and the multiplier `k` is one number.
- own exponents: a shared floor.
- own: nothing is shared. The multiplier depends on the scale.

On the compute-optimal frontier of the joint form, log k is `log(A_r / A_o) / alpha + log(B_r / B_o) / beta`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from domain_tokens.analysis.scaling.designs import Floor, floor_of
from domain_tokens.analysis.scaling.fitting import Fitted, Problem, Quantity, fit, nested_p_value, numerical
from domain_tokens.analysis.scaling.forms import Array, Axis, Form, frontier, new_form
from domain_tokens.analysis.scaling.points import Point, axis_values, log_losses
from domain_tokens.analysis.scaling.single import component, kinds, log_loss_at, places, run_indices, scale_range
from domain_tokens.analysis.statistics.paired import ALPHA

SHARED, OWN_EXPONENTS, OWN = "shared", "own exponents", "own"
MEAN, DIFFERENCE = 0, 1  # the groups of residuals of pairs
NOT_TOLD: Final = "E is not fitted: the runs of both conditions together do not tell it from 0"
ADVICE: Final = "add a size beyond the largest, or more seeds of every size"
LARGEST_LOG: Final = math.log(1e6)  # of a multiplier: beyond it, the reference does not reach the loss


@dataclass(frozen=True)
class Sides:
    """Where the parameters of each condition are among those of both.

    Attributes:
        reference, other: of each parameter of the form, its index.
    """

    reference: Array
    other: Array

    @cached_property
    def number(self) -> int:
        """The number of parameters of both conditions together."""
        return int(max(self.reference.max(), self.other.max())) + 1

    @property
    def num_own(self) -> int:
        """The number of parameters that the conditions do not share."""
        return int(np.sum(self.reference != self.other))


@dataclass(frozen=True)
class Matched:
    """The points of two conditions that are fitted together.

    Attributes:
        reference, other: in the same order if they are paired.
        unpaired: points without a partner, which are left out.
    """

    reference: tuple[Point, ...]
    other: tuple[Point, ...]
    paired: bool
    unpaired: int


@dataclass(frozen=True)
class Joint:
    """Two conditions fitted together, at every level.

    Attributes:
        scale: what is multiplied.
        fits: by level.
        p_values: by level, of what it shares within the level of least sharing.
    """

    matched: Matched
    loss: str
    form: Form
    floor: Floor
    scale: Axis
    sides: dict[str, Sides]
    fits: dict[str, Fitted]
    p_values: dict[str, float | None]

    @property
    def group(self) -> int:
        """The group of residuals that tells the difference."""
        return DIFFERENCE if self.matched.paired else MEAN

    def parameters(self, level: str) -> tuple[Array, Array]:
        """Return the parameters of both conditions at a level."""
        found, sides = self.fits[level].parameters, self.sides[level]
        return found[sides.reference], found[sides.other]

    @property
    def log_multiplier(self) -> Quantity:
        """The log of the multiplier, as a function of the parameters that share floor and exponents."""
        form, sides = self.form, self.sides[SHARED]
        return shared_multiplier(form, sides)

    def log_multiplier_at(self, level: str, scale: float) -> Quantity:
        """Return the log of the multiplier at a scale, as a function of a level's parameters."""
        sides, form = self.sides[level], self.form

        def value(parameters: Array) -> float:
            return multiplier_at(form, parameters[sides.reference], parameters[sides.other], scale)

        return numerical(value)

    def log_ratio(self, level: str, values: dict[Axis, float]) -> Quantity:
        """Return the log of the ratio of the losses at a size, other over reference."""
        sides, at = self.sides[level], log_loss_at(self.form, values)

        def quantity(parameters: Array) -> tuple[float, Array]:
            low, low_slope = at(parameters[sides.reference])
            high, high_slope = at(parameters[sides.other])
            gradient = np.zeros(len(parameters))
            np.add.at(gradient, sides.other, high_slope)
            np.add.at(gradient, sides.reference, -low_slope)
            return high - low, gradient

        return quantity


def shared_multiplier(form: Form, sides: Sides) -> Quantity:
    """Return the log of the multiplier of conditions that share floor and exponents."""

    def quantity(parameters: Array) -> tuple[float, Array]:
        total, gradient = 0.0, np.zeros(len(parameters))
        for index in range(len(form.axes)):
            at = form.amplitude(index)
            first, second, exponent = sides.reference[at], sides.other[at], sides.reference[at + 1]
            share = (parameters[first] - parameters[second]) / parameters[exponent]
            total += float(share)
            gradient[first] += 1 / parameters[exponent]
            gradient[second] -= 1 / parameters[exponent]
            gradient[exponent] -= share / parameters[exponent]
        return total, gradient

    return quantity


def multiplier_at(form: Form, reference: Array, other: Array, scale: float) -> float:
    """Return log k with L_other(x) = L_reference(k x), at a value of the axis or, in the joint form, of compute."""
    (log_a, a), (log_b, b) = (_curve(form, one) for one in (reference, other))
    at = math.log(scale)
    gap = math.exp(min(log_b - b * at, 700.0))
    if form.with_floor:
        gap += float(other[0] - reference[0])
    reached = math.log(max(gap, 1e-300))
    return float(np.clip((log_a - reached) / a - at, -LARGEST_LOG, LARGEST_LOG))


def _curve(form: Form, parameters: Array) -> tuple[float, float]:
    """Return the log of the amplitude and the exponent of the path to be compared along."""
    if len(form.axes) > 1:
        return frontier(form, parameters)
    return form.uncentered(parameters, 0), float(parameters[form.amplitude(0) + 1])


def match(reference: Sequence[Point], other: Sequence[Point]) -> Matched:
    """Pair the points of two conditions by point, seed and order within the run.

    If no point has a partner, the conditions are fitted together without pairs.
    """
    sides = [_keyed(reference), _keyed(other)]
    shared = [key for key in sides[0] if key in sides[1]]
    if not shared:
        return Matched(tuple(reference), tuple(other), False, 0)
    left = len(reference) + len(other) - 2 * len(shared)
    first, second = (tuple(side[key] for key in shared) for side in sides)
    return Matched(first, second, True, left)


def _keyed(points: Sequence[Point]) -> dict[tuple[str, str, int], Point]:
    found: dict[tuple[str, str, int], Point] = {}
    for point in sorted(points, key=lambda one: (one.values.get("D", 0.0), one.line)):
        index = 0
        while (point.point, point.seed, index) in found:
            index += 1
        found[point.point, point.seed, index] = point
    return found


def sides_of(form: Form, level: str) -> Sides:
    """Return which parameters of a form two conditions share at a level."""
    own = {
        SHARED: [form.amplitude(index) for index in range(len(form.axes))],
        OWN_EXPONENTS: list(range(form.with_floor, form.num_parameters)),
        OWN: list(range(form.num_parameters)),
    }[level]
    reference = np.arange(form.num_parameters)
    other = reference.copy()
    for number, index in enumerate(own):
        other[index] = form.num_parameters + number
    return Sides(reference, other)


def levels_of(form: Form) -> tuple[str, ...]:
    """Return the levels, from the most that is shared to nothing; without a floor there are two."""
    return (SHARED, OWN_EXPONENTS, OWN) if form.with_floor else (SHARED, OWN)


def pair_problem(form: Form, level: str, matched: Matched, loss: str) -> Problem:
    """Return what is fitted for two conditions at a level."""
    sides = sides_of(form, level)
    x = [places(form, side) for side in (matched.reference, matched.other)]
    y = [log_losses(side, loss) for side in (matched.reference, matched.other)]
    starts = form.starts(np.vstack(x), np.concatenate(y))

    def side(parameters: Array, which: int) -> tuple[Array, Array]:
        index = (sides.reference, sides.other)[which]
        fitted, slopes = form.evaluate(parameters[index], x[which])
        wide = np.zeros((len(fitted), sides.number))
        wide[:, index] = -slopes
        return y[which] - fitted, wide

    def residuals(parameters: Array) -> tuple[Array, Array]:
        (first, first_slopes), (second, second_slopes) = side(parameters, 0), side(parameters, 1)
        if not matched.paired:
            return np.concatenate([first, second]), np.vstack([first_slopes, second_slopes])
        means, differences = (first + second) / 2, second - first
        slopes = (first_slopes + second_slopes) / 2, second_slopes - first_slopes
        return np.concatenate([means, differences]), np.vstack(slopes)

    names = np.array(kinds(form))
    all_kinds = np.empty(sides.number, dtype=object)
    all_kinds[sides.reference], all_kinds[sides.other] = names, names
    groups, runs, absorbed = _grouping(form, sides, matched)
    return Problem(residuals, tuple(all_kinds), tuple(_both(sides, one) for one in starts), groups, runs, absorbed)


def _both(sides: Sides, start: Array) -> Array:
    """Return a starting point of both conditions, which differ in nothing."""
    found = np.empty(sides.number)
    found[sides.reference], found[sides.other] = start, start
    return found


def _grouping(form: Form, sides: Sides, matched: Matched) -> tuple[Array, Array, tuple[int, ...]]:
    """Return the group and the run of each residual, and how many parameters each group determines."""
    number = len(matched.reference)
    if not matched.paired:
        runs = run_indices(matched.reference), run_indices(matched.other)
        both = np.concatenate([runs[0], runs[1] + runs[0].max() + 1])
        return np.zeros(len(both), dtype=int), both, (sides.number,)
    groups = np.repeat([MEAN, DIFFERENCE], number)
    return groups, np.tile(run_indices(matched.reference), 2), (form.num_parameters, sides.num_own)


def fit_pair(
    matched: Matched,
    loss: str,
    axes: Sequence[Axis],
    delta: float | None = None,
    least_squares: bool = False,
    levels: Sequence[str] | None = None,
) -> Joint:
    """Fit two conditions together at every level. The floor is left out where sizes or runs cannot tell it.

    Args:
        loss (`str`): the column.
        delta, least_squares: as in `fitting.fit`.
        levels (*optional*): only these.
    """
    floor = min(
        (floor_of(side, axes) for side in (matched.reference, matched.other)), key=lambda one: one.is_identified
    )
    values = {axis: axis_values([*matched.reference, *matched.other], axis) for axis in axes}
    form = new_form(axes, floor.is_identified, values)
    first = None
    if form.with_floor:
        first = fit(pair_problem(form, SHARED, matched, loss), delta, least_squares)
        if not _tells_floor(first):
            floor, first = Floor(NOT_TOLD, ADVICE), None
            form = new_form(axes, False, values)
    wanted = levels_of(form) if levels is None else tuple(levels)
    problems = {level: pair_problem(form, level, matched, loss) for level in wanted}
    fits = {
        level: first if level == SHARED and first is not None else fit(problem, delta, least_squares)
        for level, problem in problems.items()
    }
    group = DIFFERENCE if matched.paired else MEAN
    p_values: dict[str, float | None] = {}
    for level, problem in problems.items():
        larger = fits.get(OWN)
        is_tested = level != OWN and larger is not None and larger.has_intervals(group)
        p_values[level] = nested_p_value(problem, larger, group) if is_tested and larger is not None else None
    scale = axes[0] if len(axes) == 1 else "C"
    sides = {level: sides_of(form, level) for level in wanted}
    return Joint(matched, loss, form, floor, scale, sides, fits, p_values)


def _tells_floor(fitted: Fitted) -> bool:
    """Return whether the fit rejects that E is 0.

    Where it does not, E and the exponents can follow the differences of pairs, and verdicts err: of simulated tables
    of four sizes, one seed and 2% of noise without a difference, 13% got one, and 4% without E.
    """
    return fitted.has_intervals(MEAN) and fitted.test(component(0), 0.0, MEAN)[0] < ALPHA


def measured_range(joint: Joint) -> tuple[float, float]:
    """Return the smallest and largest measured value of what is multiplied."""
    return scale_range([*joint.matched.reference, *joint.matched.other], joint.form.axes)


def is_shared(joint: Joint) -> bool | None:
    """Return whether one multiplier describes all scales, by the test at 5%; `None` without a test."""
    p = joint.p_values[SHARED]
    return None if p is None else p >= ALPHA
