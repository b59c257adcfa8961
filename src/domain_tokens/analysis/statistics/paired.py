"""Paired statistics of right and wrong answers: one seed over its items, and several seeds over their accuracies.

With one seed the items are the sample: two models answer the same questions, and the result generalizes to other
questions but not to other runs. The t-test over seeds takes the seeds as the sample, with one accuracy for each seed
and condition, and the items as fixed: it generalizes to other runs but not to other questions. `crossed.py` does both.

Sources: McNemar (1947), exact form; Wilson (1927); Newcombe (1998), Statistics in Medicine 17:2635, method 10 (paired
differences); Holm (1979).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

ALPHA = 0.05
POWER = 0.8
_RESAMPLES = 2000

Interval = tuple[float, float]


@dataclass(frozen=True)
class PairedCounts:
    """How two models answered the same items.

    Attributes:
        both: items that both answered right.
        reference_only: items that only the reference answered right.
        other_only: items that only the other model answered right.
        neither: items that both answered wrong.
    """

    both: int
    reference_only: int
    other_only: int
    neither: int

    @classmethod
    def of(cls, reference: dict[str, bool], other: dict[str, bool]) -> "PairedCounts":
        """Count two models' outcomes by item id. Raises `ValueError` if the ids differ or there are none."""
        if reference.keys() != other.keys() or not reference:
            raise ValueError("paired counts need the same items, at least one, on both sides")
        pairs = [(reference[id], other[id]) for id in reference]
        return cls(*(pairs.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))))

    @classmethod
    def of_arrays(cls, reference: NDArray[Any], other: NDArray[Any]) -> "PairedCounts":
        """Count two models' outcomes, right or wrong of shape (num_items,), in the same order of the same items."""
        if reference.shape != other.shape or reference.ndim != 1 or not len(reference):
            raise ValueError(f"paired counts need the same items on both sides, got {reference.shape}, {other.shape}")
        both, right, other_right = (int(side.sum()) for side in (reference & other, reference, other))
        return cls(both, right - both, other_right - both, len(reference) - right - other_right + both)

    @property
    def num_items(self) -> int:
        """All items."""
        return self.both + self.reference_only + self.other_only + self.neither

    @property
    def accuracies(self) -> tuple[float, float]:
        """The accuracies of the reference and of the other model, as fractions of 1."""
        n = self.num_items
        return (self.both + self.reference_only) / n, (self.both + self.other_only) / n

    @property
    def delta(self) -> float:
        """The other model's accuracy less the reference's, as a fraction of 1."""
        return (self.other_only - self.reference_only) / self.num_items


def mcnemar_exact(counts: PairedCounts) -> float:
    """Return the two-sided p-value of the exact McNemar test; 1 if the models agree on every item."""
    discordant = counts.reference_only + counts.other_only
    return float(stats.binomtest(counts.other_only, discordant).pvalue) if discordant else 1.0


def sign_test(differences: NDArray[np.int8], clusters: NDArray[np.int64]) -> float:
    """Return the two-sided p-value of the exact sign test over clusters of items; 1 if the models agree everywhere.

    If the condition does not matter, the two models may be exchanged in each cluster, which changes the sign of the
    sum of its differences. The p-value is the share of all such exchanges whose total is as far from 0 as the observed
    one. Items of one cluster stay together. With clusters of one item it is the exact McNemar test.

    Args:
        differences: other less reference, in {-1, 0, 1}, shape (num_items,).
        clusters: the cluster of each item, shape (num_items,).
    """
    groups = np.unique(clusters, return_inverse=True)[1]
    sums = np.rint(np.bincount(groups, differences)).astype(int)
    chances = np.ones(1)  # of a total of -reach to +reach in steps of 2
    for size in np.abs(sums[sums != 0]):
        wider = np.zeros(len(chances) + size)
        wider[: len(chances)] += chances / 2
        wider[size:] += chances / 2
        chances = wider
    totals = np.abs(2 * np.arange(len(chances)) - (len(chances) - 1))
    return min(1.0, float(chances[totals >= abs(int(sums.sum()))].sum()))


def wilson_interval(num_right: float, num_items: float, level: float = 1 - ALPHA) -> Interval:
    """Return Wilson's interval of an accuracy, in fractions of 1, at a confidence of `level`.

    Numbers need not be whole: of items that belong together they are those of as many independent ones.
    """
    z = float(special.ndtri((1 + level) / 2))
    share, shrink = num_right / num_items, 1 + z * z / num_items
    center = (share + z * z / (2 * num_items)) / shrink
    half = z * math.sqrt(share * (1 - share) / num_items + (z / (2 * num_items)) ** 2) / shrink
    return max(center - half, 0.0), min(center + half, 1.0)  # only rounding can exceed them


def paired_interval(counts: PairedCounts, level: float = 1 - ALPHA) -> Interval:
    """Return Newcombe's interval (method 10) of a difference of paired proportions, as fractions of 1.

    It combines the two Wilson intervals and allows for the correlation of the pairs. Unlike the textbook interval, it
    keeps its coverage near 0 and 1, where the accuracies of small models lie.
    """
    a, b, c, d, n = counts.both, counts.reference_only, counts.other_only, counts.neither, counts.num_items
    reference, other = counts.accuracies
    (low_1, high_1), (low_2, high_2) = wilson_interval(a + c, n, level), wilson_interval(a + b, n, level)
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    numerator: float = a * d - b * c
    if numerator > 0:
        numerator = max(numerator - n / 2, 0)  # the continuity correction of the method
    phi = numerator / math.sqrt(margins) if margins else 0.0

    def margin(x: float, y: float) -> float:
        return math.sqrt(max(x * x - 2 * phi * x * y + y * y, 0.0))

    low = counts.delta - margin(other - low_1, high_2 - reference)
    high = counts.delta + margin(high_1 - other, reference - low_2)
    return max(low, -1.0), min(high, 1.0)  # only rounding can exceed them


def smallest_detectable(counts: PairedCounts, alpha: float = ALPHA, wanted: float = POWER) -> float | None:
    """Return the smallest difference that the exact McNemar test finds with the wanted power.

    The models disagree on the observed share of the items; for a larger difference than that, on as many items as it
    takes, all in one direction. `None` if they never disagree, or if no difference is found by so few items.
    """
    n, share = counts.num_items, (counts.reference_only + counts.other_only) / counts.num_items
    if share == 0 or mcnemar_power(1.0, 1.0, n, alpha) < wanted:
        return None
    return float(optimize.brentq(lambda x: mcnemar_power(x, max(share, x), n, alpha) - wanted, 0.0, 1.0, xtol=1e-9))


def mcnemar_power(effect: float, discordance: float, num_items: int, alpha: float = ALPHA) -> float:
    """Return the chance that the exact McNemar test finds a difference, without an approximation.

    Args:
        effect (`float`): the true difference of accuracies, a fraction of 1 of at most `discordance`.
        discordance (`float`): the share of items on which the models disagree.
        num_items (`int`): all items.
        alpha (`float`, *optional*, defaults to 0.05): the level of the test.
    """
    # Numbers of discordant items beyond these have a chance below 1e-9.
    low, high = (int(stats.binom.ppf(level, num_items, discordance)) for level in (1e-9, 1 - 1e-9))
    discordant = np.arange(max(low, 0), high + 1)
    rarer = np.asarray(stats.binom.ppf(alpha / 2, discordant, 0.5))  # at most so many of one kind are significant
    rarer -= special.bdtr(rarer, discordant, 0.5) > alpha / 2
    share = (1 + effect / discordance) / 2
    found = sum(special.bdtr(np.maximum(rarer, 0), discordant, one) for one in (share, 1 - share))
    found = np.where(rarer >= 0, found, 0.0)
    return float((stats.binom.pmf(discordant, num_items, discordance) * found).sum())


@dataclass(frozen=True)
class SeedTest:
    """A paired t-test over seeds; a field is `None` if all seeds agree to the last digit, so that nothing varies.

    Attributes:
        mean: the mean difference, as a fraction of 1.
        sd: the standard deviation of the seeds' differences (n - 1 in the denominator).
        interval: the 95% t interval of the mean difference.
        p_value: two-sided.
        smallest_detectable: the smallest mean difference with 80% power at 5%, given `sd`.
    """

    mean: float
    sd: float
    interval: Interval | None
    p_value: float | None
    smallest_detectable: float | None


def paired_t(deltas: list[float]) -> SeedTest:
    """Test whether the mean of at least two seeds' differences is 0."""
    mean, sd = mean_sd(deltas)
    if sd < 1e-12:
        return SeedTest(mean, 0.0, None, None, None)
    p_value = float(stats.ttest_1samp(deltas, 0.0).pvalue)
    return SeedTest(mean, sd, t_interval(deltas), p_value, _detectable_sds(len(deltas)) * sd)


@lru_cache  # solving takes longer than everything else here, and few numbers of seeds occur
def _detectable_sds(num_seeds: int) -> float:
    from statsmodels.stats.power import TTestPower  # with pandas, half a second of imports

    effect = TTestPower().solve_power(nobs=num_seeds, alpha=ALPHA, power=POWER, alternative="two-sided")
    return float(np.squeeze(effect))


def mean_sd(values: list[float]) -> tuple[float, float]:
    """Return the mean and the sample standard deviation of at least two values."""
    return float(np.mean(values)), float(np.std(values, ddof=1))


def t_interval(values: list[float]) -> Interval:
    """Return the 95% t interval of the mean of at least two values; a point if they are all equal."""
    mean, sd = mean_sd(values)
    half = float(stats.t.ppf(1 - ALPHA / 2, len(values) - 1)) * sd / math.sqrt(len(values))
    return mean - half, mean + half


def ratio_interval(reference: NDArray[Any], other: NDArray[Any]) -> Interval | None:
    """Return the 95% bootstrap interval of a difference of two ratios of sums, other less reference.

    Whole units are resampled in pairs (Davison and Hinkley 1997, Bootstrap Methods, section 2.4), so that the parts of
    one unit, such as the equations of an answer, stay together. It generalizes to other units, not to other runs.

    Args:
        reference, other: numerator and denominator of each unit, shape (num_units, 2), the same units in both.

    Returns:
        The percentile interval; `None` if more than 1% of the resamples have a denominator of 0.
    """
    return ratio_intervals([(reference, other)])[0]


def ratio_intervals(pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> list[Interval | None]:
    """Return the interval of each of several differences over the same units, with the same resamples."""
    num_units = len(pairs[0][0])
    weights = np.random.default_rng(0).multinomial(num_units, np.full(num_units, 1 / num_units), size=_RESAMPLES)
    found: list[Interval | None] = []
    for reference, other in pairs:
        (first, first_total), (second, second_total) = ((weights @ side).T for side in (reference, other))
        usable = (first_total > 0) & (second_total > 0)
        if usable.mean() < 0.99:
            found.append(None)
            continue
        deltas = second[usable] / second_total[usable] - first[usable] / first_total[usable]
        low, high = np.quantile(deltas, (ALPHA / 2, 1 - ALPHA / 2))
        found.append((float(low), float(high)))
    return found


def holm(p_values: list[float | None]) -> list[float | None]:
    """Return p-values corrected by Holm's method for how many they are; `None` stays `None`.

    The k-th smallest of n is multiplied by n - k + 1, and none is less than one before it. It is written out here
    because statsmodels' `multipletests` collects all garbage on every call, which takes 60 ms in a report.
    """
    known = np.array([p for p in p_values if p is not None])
    order = np.argsort(known, kind="stable")
    corrected = np.empty(len(known))
    factors = np.arange(len(known), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(known[order] * factors), 1.0)
    found = iter(corrected)
    return [None if p is None else float(next(found)) for p in p_values]


def gatekeeping(
    first: list[float | None], second: list[float | None], num_first: int, num_second: int
) -> tuple[list[float], list[float]]:
    """Return the corrected p-values of tests in two steps: Holm's method in each, and the second waits for the first.

    A test of the second step is never more significant than the least significant one of the first, so all of the
    first have to be rejected before one of the second can be. The chance of any false rejection is at most the level
    (serial gatekeeping: Dmitrienko and Tamhane 2007, Pharmaceutical Statistics 6:171).

    Args:
        first, second: the p-values; `None`, for a test that could not be made, counts as 1.
        num_first, num_second: how many tests each step has; those that are not given count as 1, too.

    Raises:
        ValueError: if a p-value is no number from 0 to 1. NaN would pass for 0, the most significant one.
    """
    if wrong := [p for p in (*first, *second) if p is not None and not 0 <= p <= 1]:
        raise ValueError(f"expected p-values from 0 to 1, got {wrong}")
    gate = 0.0
    corrected: list[list[float]] = []
    for p_values, number in ((first, num_first), (second, num_second)):
        known: list[float | None] = [1.0 if p is None else p for p in p_values]
        padded = holm([*known, *[1.0] * (number - len(known))])
        corrected.append([max(gate, 1.0 if p is None else p) for p in padded[: len(known)]])
        gate = max(gate, max((p for p in padded if p is not None), default=gate))
    return corrected[0], corrected[1]
