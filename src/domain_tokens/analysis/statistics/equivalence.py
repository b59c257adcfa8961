"""Equivalence: whether a difference is shown to be smaller than one that would matter.

"Not significant" is not evidence of no difference; two one-sided tests (TOST; Schuirmann 1987) can give it. The
difference lies within the margin if its 90% interval does, which errs in at most 5% of the cases in which the truth
lies at the edge of the margin. The margin must be declared before the results are known.
"""

import math
from dataclasses import dataclass

from scipy import optimize

from domain_tokens.analysis.statistics.crossed import Estimate
from domain_tokens.analysis.statistics.paired import ALPHA, Interval, PairedCounts, paired_interval


@dataclass(frozen=True)
class Equivalence:
    """Whether a difference lies within plus or minus a margin.

    Attributes:
        margin: the smallest difference that would matter, as a fraction of 1.
        interval: the 90% interval; `None` if nothing varies.
        p_value: the larger of the two one-sided p-values; `None` as above.
        equivalent: whether the interval lies within the margin; `None` as above.
    """

    margin: float
    interval: Interval | None
    p_value: float | None
    equivalent: bool | None


def equivalent_runs(estimate: Estimate, margin: float) -> Equivalence:
    """Test a difference over several seeds, as `crossed.crossed_difference` gives it.

    Raises:
        ValueError: if the margin, in the unit of the difference, is not above 0.
    """
    if not 0 < margin < math.inf:
        raise ValueError(f"margin: expected a number above 0 in the unit of the difference, got {margin}")
    interval, two_sided = (
        estimate.interval(1 - 2 * ALPHA),
        estimate.p_value(margin if estimate.value >= 0 else -margin),
    )
    if interval is None or two_sided is None:
        return Equivalence(margin, None, None, None)
    p_value = two_sided / 2 if abs(estimate.value) < margin else 1 - two_sided / 2
    return Equivalence(margin, interval, p_value, p_value <= ALPHA)


def equivalent_items(counts: PairedCounts, margin: float) -> Equivalence:
    """Test the difference of one pair of runs, by Newcombe's interval of paired proportions; for other questions only.

    The p-value is the level at which the edge of the interval reaches the margin.

    Raises:
        ValueError: if the margin is not between 0 and 1.
    """
    _check(margin)

    def excess(alpha: float) -> float:
        low, high = paired_interval(counts, level=1 - 2 * alpha)
        return max(-low, high) - margin

    interval = paired_interval(counts, level=1 - 2 * ALPHA)
    smallest = 1e-12
    if excess(smallest) <= 0:
        p_value = smallest
    elif excess(0.5 - smallest) >= 0:
        p_value = 0.5 if abs(counts.delta) <= margin else 1.0  # the interval says nothing more
    else:
        p_value = float(optimize.brentq(excess, smallest, 0.5 - smallest, xtol=1e-12))
    return Equivalence(margin, interval, p_value, p_value <= ALPHA)


def _check(margin: float) -> None:
    if not 0 < margin < 1:
        raise ValueError(f"margin: expected a fraction of 1 above 0, for example 0.01 for one point, got {margin}")
