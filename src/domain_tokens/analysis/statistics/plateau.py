"""Does a training curve still improve at its end? A rule with three answers for the last quarter of a curve.

The size that matters is the larger of two: 5% of what the curve improves after its first tenth, and a quarter of the
smallest effect of interest, which four quarters more, twice the budget, would add up to. The curve

- still climbs, if its gain over the last quarter is significant (one-sided, with Holm's correction for all curves of a
  report) and larger than the size that matters;
- does not climb, if the 95% upper limit of the gain is at most that size;
- cannot be judged otherwise: it has too few points, or too much noise, to see a climb of that size.

The first tenth is left out because a loss falls there from the logarithm of the vocabulary's size to what word
frequencies give: a drop that is always large, and beside which any later gain is small. Of what comes after it, a
straight line brings 29% in the last quarter, a power law of the step 8% to 13% at exponents from 0.5 to 0.05, and an
exponential approach 5% if the curve lasts four of its time constants. The losses of language models follow power laws
of the amount of text with exponents of 0.095 (Kaplan et al. 2020, Scaling Laws for Neural Language Models, section
1.2) to 0.28 (Hoffmann et al. 2022, Training Compute-Optimal Large Language Models, equation 10).

A curve that does not climb is not shown to be at its limit: a learning rate that ends at 0 flattens every curve.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from domain_tokens.analysis.statistics.paired import ALPHA, holm

LAST = 0.25  # the part of the curve that is looked at
SPARSE = 0.5  # the part through which the line is fitted if the last quarter has too few points
WARM_UP = 0.1  # the part that is left out of the improvement
SHARE = 0.05  # of the improvement after the first tenth
DENSE = 8  # points in the last quarter from which a line and its noise can be fitted
_LARGEST_R = 0.9

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Steps in ascending order and the values there, larger ones being better."""


@dataclass(frozen=True)
class LateGain:
    """The improvement over the last quarter of a curve: a mean over seeds.

    Attributes:
        gain: in the curve's unit; positive is better.
        share: as a share of the improvement after the first tenth; `None` if there is none.
        matters: the size from which a gain matters, in the curve's unit.
        upper: the 95% upper limit of the gain; `None` if there are too few points.
        p_value: one-sided, of a gain above 0; `None` if there are too few points.
    """

    gain: float
    share: float | None
    matters: float
    upper: float | None
    p_value: float | None

    def climbs(self, corrected: float | None) -> bool | None:
        """Return whether the curve still climbs, given its corrected p-value; `None` if there is no telling."""
        if corrected is not None and corrected < ALPHA and self.gain > self.matters:
            return True
        return False if self.upper is not None and self.upper <= self.matters else None


class Rise(NamedTuple):
    """The improvement over a whole curve, a mean over seeds, and its 95% interval if there are points enough."""

    change: float
    interval: tuple[float, float] | None


def late_gain(curves: Sequence[Curve], smallest_effect: float = 0.0) -> LateGain | None:
    """Return how much curves of several seeds improve at their ends.

    One line with an intercept for each seed is fitted to the last quarter, or to the last half if a curve has fewer
    than eight points in its last quarter, as rewards of few steps and accuracies at checkpoints have. The noise around
    it, corrected for the correlation of neighbouring points, is the error.

    Args:
        curves: one for each seed, at least one; each with at least two different steps.
        smallest_effect (`float`, *optional*, defaults to 0): the smallest effect of interest, in the curve's unit.

    Returns:
        `None` if a curve has fewer than two points.
    """
    if any(len(steps) < 2 or steps[0] == steps[-1] for steps, _ in curves):
        return None
    is_dense = all(_late(steps, LAST).sum() >= DENSE for steps, _ in curves)
    gain, se, df = _line(curves, LAST if is_dense else SPARSE)
    whole = float(np.mean([_improvement(*curve) for curve in curves]))
    share = gain / whole if whole > 0 else None
    matters = max(SHARE * whole, LAST * smallest_effect)
    if df < 1:
        return LateGain(gain, share, matters, None, None)
    upper = gain + float(stats.t.ppf(1 - ALPHA, df)) * se
    return LateGain(gain, share, matters, upper, _one_sided(gain, se, df))


def rise(curves: Sequence[Curve]) -> Rise | None:
    """Return how much curves of several seeds improve from their first step to their last.

    One line with an intercept for each seed is fitted to the whole curve, so this is for curves that are about
    straight, such as the reward of a short stage.

    Returns:
        `None` if a curve has fewer than two points.
    """
    if any(len(steps) < 2 or steps[0] == steps[-1] for steps, _ in curves):
        return None
    of_last, se_of_last, df = _line(curves, 1.0)
    whole, se = of_last / LAST, se_of_last / LAST
    if df < 1:
        return Rise(whole, None)
    half = float(stats.t.ppf(1 - ALPHA / 2, df)) * se
    return Rise(whole, (whole - half, whole + half))


def still_climb(ends: Sequence[LateGain]) -> list[tuple[float | None, bool | None]]:
    """Return the corrected p-value of each curve of a report, and whether it climbs; `None` if there is no telling."""
    corrected = holm([end.p_value for end in ends])
    return [(p, end.climbs(p)) for end, p in zip(ends, corrected, strict=True)]


def _late(steps: NDArray[np.float64], part: float) -> NDArray[np.bool_]:
    late: NDArray[np.bool_] = steps >= steps[-1] - part * (steps[-1] - steps[0])
    return late


def _line(curves: Sequence[Curve], part: float) -> tuple[float, float, float]:
    """Return the gain over the last quarter by a common slope, its standard error, and the degrees of freedom."""
    ends = [(steps[late], values[late]) for steps, values in curves for late in [_late(steps, part)]]
    centred = [(x - x.mean(), y - y.mean()) for x, y in ends]
    length = LAST * float(np.mean([steps[-1] - steps[0] for steps, _ in curves]))
    spread = sum(float(x @ x) for x, _ in centred)
    if spread == 0:
        return _difference(curves), 0.0, 0.0
    slope = sum(float(x @ y) for x, y in centred) / spread
    rest = [y - slope * x for x, y in centred]
    num_points = sum(map(len, rest))
    df = num_points - len(curves) - 1
    squares = sum(float(one @ one) for one in rest)
    if df < 1 or squares == 0:
        return slope * length, 0.0, df
    r = sum(float(one[1:] @ one[:-1]) for one in rest) / squares
    r += (1 + 3 * r) * len(curves) / num_points  # what fitting a line hides of the correlation
    r = min(max(r, 0.0), _LARGEST_R)
    se = (squares / df / spread * (1 + r) / (1 - r)) ** 0.5
    return slope * length, se * length, df


def _difference(curves: Sequence[Curve]) -> float:
    """Return what curves gain over their last quarter where it has one point, by interpolation."""
    before = [np.interp(steps[-1] - LAST * (steps[-1] - steps[0]), steps, values) for steps, values in curves]
    return float(np.mean([values[-1] for _, values in curves]) - np.mean(before))


def _improvement(steps: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Return the improvement after the first tenth of a curve, from means of a twentieth of its points."""
    few = max(1, len(values) // 20)
    after = values[steps >= steps[0] + WARM_UP * (steps[-1] - steps[0])]
    return float(after[-few:].mean() - after[:few].mean())


def _one_sided(gain: float, se: float, df: float) -> float:
    if se == 0:
        return 0.0 if gain > 0 else 1.0
    return float(stats.t.sf(gain / se, df))
