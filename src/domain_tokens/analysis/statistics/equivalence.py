"""Equivalence: whether a difference is shown to be smaller than one that would matter.

"Not significant" is not evidence of no difference; two one-sided tests (TOST; Schuirmann 1987) can give it. The
difference lies within the margin if its 90% interval does, which errs in at most 5% of the cases in which the truth
lies at the edge of the margin. The margin must be declared before the results are known.

Of one pair of runs, Newcombe's interval alone errs in up to 12% at the edge of the margin, where few answers differ
and all in one direction. Two more tests have to agree with it: see `equivalent_items`.

Sources: Schuirmann (1987), J. Pharmacokinetics and Biopharmaceutics 15:657; Tango (1998), Statistics in Medicine
17:891 (score test of a difference of paired proportions).
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import optimize, special, stats

from domain_tokens.analysis.statistics.crossed import Estimate
from domain_tokens.analysis.statistics.paired import ALPHA, Interval, PairedCounts, paired_interval

_RARELY: Final = 1e-5  # the smallest chance above 0 that is tried for answers that only the reference has right
_CHANCES: Final = 60


@dataclass(frozen=True)
class Equivalence:
    """Whether a difference lies within plus or minus a margin.

    Attributes:
        margin: the smallest difference that would matter, as a fraction of 1.
        interval: the 90% interval; `None` if nothing varies.
        p_value: the larger of the two one-sided p-values; `None` as above.
        equivalent: whether `p_value` is at most 5%; the interval then lies within the margin. `None` as above.
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
    """Test the difference of one pair of runs; for other questions only.

    The p-value is the largest of three: the level at which the edge of Newcombe's interval reaches the margin, Tango's
    score test, and the largest chance of so few answers on the side of the difference and so many on the other, if the
    truth lies at the edge of the margin. No test that is right can have a smaller p-value than the last. Together they
    err in at most 5.4% of the cases at 5%, and in at most 2.4% at 2.5% (50 to 400 items, margins of 2 to 20 points).

    Raises:
        ValueError: if the margin is not between 0 and 1.
    """
    _check(margin)
    # Of the two edges of the margin, the one on the side of the difference is nearer and has the larger p-value.
    more, fewer = sorted((counts.reference_only, counts.other_only), reverse=True)
    p_value = max(
        _p_of_interval(counts, margin),
        _score_test(more, fewer, counts.num_items, margin),
        _largest_chance(more, fewer, counts.num_items, margin),
    )
    return Equivalence(margin, paired_interval(counts, level=1 - 2 * ALPHA), p_value, p_value <= ALPHA)


def _p_of_interval(counts: PairedCounts, margin: float) -> float:
    """Return the level at which the edge of Newcombe's interval reaches the margin."""

    def excess(alpha: float) -> float:
        low, high = paired_interval(counts, level=1 - 2 * alpha)
        return max(-low, high) - margin

    smallest = 1e-12
    if excess(smallest) <= 0:
        return smallest
    if excess(0.5 - smallest) >= 0:
        return 0.5 if abs(counts.delta) <= margin else 1.0  # the interval says nothing more
    return float(optimize.brentq(excess, smallest, 0.5 - smallest, xtol=1e-12))


def _score_test(more: int, fewer: int, num_items: int, margin: float) -> float:
    """Return the p-value of Tango's test that one model is right alone on a share `margin` more items than the other.

    Args:
        more, fewer (`int`): the items that one model and the other answered right alone.
        num_items (`int`): all items.
        margin (`float`): a fraction of 1.
    """
    linear = (2 * num_items + fewer - more) * margin - (more + fewer)
    constant = -fewer * margin * (1 - margin)
    share = (-linear + math.sqrt(linear * linear - 8 * num_items * constant)) / (4 * num_items)
    sd = math.sqrt(num_items * (2 * share + margin * (1 - margin)))  # of `more - fewer`, at the likeliest share
    return float(special.ndtr((more - fewer - num_items * margin) / sd))


def _largest_chance(more: int, fewer: int, num_items: int, margin: float) -> float:
    """Return the largest chance of at most `more` and at least `fewer` items, if the shares differ by the margin.

    Args: as for `_score_test`.
    """
    rare = np.geomspace(_RARELY, (1 - margin) / 2, _CHANCES)
    shares = np.concatenate([[0.0], rare])[:, None]  # of the items that the second model answers right alone
    counts = np.arange(more + 1)
    first = stats.binom.pmf(counts, num_items, shares + margin)
    second = special.bdtrc(fewer - 1, num_items - counts, np.minimum(shares / (1 - shares - margin), 1.0))
    return min(float((first * second).sum(axis=1).max()), 1.0)  # only rounding can exceed it


def _check(margin: float) -> None:
    if not 0 < margin < 1:
        raise ValueError(f"margin: expected a fraction of 1 above 0, for example 0.01 for one point, got {margin}")
