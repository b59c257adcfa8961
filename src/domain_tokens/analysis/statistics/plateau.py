"""Does a training curve still improve at its end? A rule for the last quarter of a curve.

A curve still climbs if both hold:

1. It improves over its last quarter by more than its noise: one-sided p below 5%.
2. The last quarter brings more than 5% of what the whole curve brings. A straight line brings 25% there, an
   exponential approach 3% if the stage lasts four of its time constants.

The second part is needed because with thousands of steps the first finds any trace of a slope. A curve that does not
climb by this rule is not shown to be at its limit: a learning rate that ends at 0 flattens every curve.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from domain_tokens.analysis.statistics.paired import ALPHA

LAST = 0.25  # the part of the curve that is looked at
SHARE = 0.05  # of the whole improvement
DENSE = 8  # points in the last part from which a line and its noise can be fitted

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Steps in ascending order and the values there, larger ones being better."""


@dataclass(frozen=True)
class LateGain:
    """The improvement over the last quarter of a curve: a mean over seeds.

    Attributes:
        gain: in the curve's unit; positive is better.
        share: as a share of the improvement of the whole curve; `None` if the whole does not improve.
        p_value: one-sided, of a gain above 0; `None` if there are too few points.
        climbs: whether the curve still climbs, by the rule above; `None` as for the p-value.
    """

    gain: float
    share: float | None
    p_value: float | None
    climbs: bool | None


def late_gain(curves: Sequence[Curve]) -> LateGain | None:
    """Return how much curves of several seeds improve at their ends.

    A curve with at least eight points in its last quarter is judged by a line through them, and the noise around the
    line is the error. Sparser curves, such as accuracies at checkpoints, are judged by the difference between their
    end and a quarter before it, and the error is the variance between seeds.

    Args:
        curves: one for each seed, at least one; each with at least two different steps.

    Returns:
        `None` if a curve has fewer than two points.
    """
    p_value: float | None
    if any(len(steps) < 2 or steps[0] == steps[-1] for steps, _ in curves):
        return None
    lines = [_line(*curve) for curve in curves]
    dense = [line for line in lines if line is not None]
    if len(dense) == len(curves):
        gain = float(np.mean([line.gain for line in dense]))
        se = float(np.sqrt(sum(line.se**2 for line in dense))) / len(dense)
        p_value = _one_sided(gain, se, sum(line.df for line in dense))
    else:
        gains = [_difference(*curve) for curve in curves]
        gain = float(np.mean(gains))
        se = float(np.std(gains, ddof=1)) / len(gains) ** 0.5 if len(gains) > 1 else 0.0
        p_value = _one_sided(gain, se, len(gains) - 1) if len(gains) > 1 else None
    whole = float(np.mean([_whole(*curve) for curve in curves]))
    share = gain / whole if whole > 0 else None
    climbs = None if p_value is None else p_value < ALPHA and (share is None or share > SHARE)
    return LateGain(gain, share, p_value, climbs)


@dataclass(frozen=True)
class _Line:
    gain: float
    se: float
    df: int


def _line(steps: NDArray[np.float64], values: NDArray[np.float64]) -> _Line | None:
    late = steps > steps[-1] - LAST * (steps[-1] - steps[0])
    if late.sum() < DENSE:
        return None
    x, y = steps[late], values[late]
    fit = stats.linregress(x, y)
    length = LAST * float(steps[-1] - steps[0])
    return _Line(float(fit.slope) * length, float(fit.stderr) * length, len(x) - 2)


def _difference(steps: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    before = np.interp(steps[-1] - LAST * (steps[-1] - steps[0]), steps, values)
    return float(values[-1] - before)


def _whole(steps: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Return the improvement of the whole curve, from means of its first and last twentieth."""
    few = max(1, len(values) // 20)
    return float(values[-few:].mean() - values[:few].mean())


def _one_sided(gain: float, se: float, df: int) -> float:
    if se == 0:
        return 0.0 if gain > 0 else 1.0
    return float(stats.t.sf(gain / se, df))
