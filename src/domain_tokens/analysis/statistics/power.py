"""How many seeds and items are needed to find a difference, and what they cost.

The power is that of the verdict's test at the level at which it decides: for several seeds the interval of
`crossed.Estimate`, for one seed McNemar's test. With several seeds, and items that do not respond differently, it is
the power of a paired t-test; with very many seeds it is the textbook's `delta = (z(0.975) + z(0.8)) * SE`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy import optimize, special, stats

from domain_tokens.analysis.statistics.crossed import (
    Components,
    Estimate,
    crossed_difference,
    paired_outcomes,
    paired_values,
    variance_components,
)
from domain_tokens.analysis.statistics.paired import ALPHA, POWER, PairedCounts, smallest_detectable
from domain_tokens.runs.records import Manifest
from domain_tokens.runs.results import Condition

MOST_SEEDS, MOST_ITEMS = 1000, 10_000_000
RANGE = 0.8  # the confidence of the ranges that are shown beside a power or a smallest difference
_POINTS = (np.arange(500) + 0.5) / 500  # of the distribution of an observed variance between seeds


def typed_components(discordance: float, between_run_sd: float, item_sd: float = 0.0) -> Components:
    """Return the components of a comparison from a few known numbers.

    Args:
        discordance (`float`): the share of items that one of a pair of runs answers right and the other wrong.
        between_run_sd (`float`): the standard deviation over seeds of the true difference of accuracies, beyond what a
            finite number of items adds; a fraction of 1.
        item_sd (`float`, *optional*, defaults to 0): the standard deviation over items of the difference in chance.

    Raises:
        ValueError: if the parts exceed the whole: every part is a part of the discordance.
    """
    rest = discordance - between_run_sd**2 - item_sd**2
    if min(discordance, between_run_sd, item_sd) < 0 or discordance > 1 or rest <= 0:
        raise ValueError(
            f"discordance {discordance:g}, between-run sd {between_run_sd:g}, item sd {item_sd:g}: expected fractions "
            "of 1, not negative, with the squares of the last two together below the first"
        )
    return Components(between_run_sd, item_sd, math.sqrt(rest))


def pilot_components(
    reference: np.ndarray,
    other: np.ndarray,
    between_run_sd: float | None = None,
    item_sd: float | None = None,
    clusters: np.ndarray | None = None,
) -> Components:
    """Return the components that a pilot's outcomes show; given values replace the observed ones.

    Args:
        reference, other: right or wrong, shape (num_seeds, num_items).
        clusters (*optional*): as in `crossed.crossed_regression`; used where the components are observed.
        between_run_sd, item_sd (`float`, *optional*): as in `typed_components`; needed with a single seed, which shows
            neither (`item_sd` is then 0 unless given).

    Raises:
        ValueError: if there is one seed and no `between_run_sd`, or the models never disagree.
    """
    differences = paired_outcomes(reference, other).astype(float)
    discordance = float((differences**2).mean())
    if discordance == 0:
        raise ValueError(
            "the two conditions agree on every item, so nothing can be planned from them: use a larger pilot"
        )
    if len(differences) > 1:
        observed = variance_components(reference, other, clusters)
    elif between_run_sd is None:
        raise ValueError("one seed shows no variance between runs: run two or more, or give the between-run sd")
    else:
        observed = Components(between_run_sd, 0.0, math.sqrt(discordance))
    if between_run_sd is None and item_sd is None:
        return observed
    seeds = observed.seed_sd if between_run_sd is None else between_run_sd
    items = observed.item_sd if item_sd is None else item_sd
    if observed.items_per_cluster > 1:  # the variance between clusters is no part of the items' discordance
        return replace(observed, seed_sd=seeds, item_sd=items)
    return typed_components(discordance, seeds, items)


def between_run_limit(reference: np.ndarray, other: np.ndarray, level: float = 0.8) -> float:
    """Return the upper confidence limit of the between-run sd, given a pilot of two or more seeds.

    It is the variance of the seeds' mean differences, divided by its chi-squared quantile, minus the noise of a finite
    number of items. Few seeds say little: with three, the 80% limit of the variance is 4.5 times what was observed.
    """
    differences = paired_outcomes(reference, other).astype(float)
    observed = variance_components(reference, other)
    df = len(differences) - 1
    limit = differences.mean(axis=1).var(ddof=1) * df / stats.chi2.ppf(1 - level, df)
    return math.sqrt(max(float(limit) - observed.residual_sd**2 / differences.shape[1], 0.0))


def power(effect: float, components: Components, num_seeds: int, num_items: int, alpha: float = ALPHA) -> float:
    """Return the chance that a true difference is found significant.

    Args:
        effect (`float`): the true difference of accuracies, a fraction of 1.
        components: of the paired differences.
        num_seeds (`int`): with 1, the power of McNemar's test for this pair of runs (Connor 1987, a normal
            approximation: at 1,319 items its smallest effect is 3% below that of the exact test), in which the
            between-run variance does not count, because it does not generalize to other runs.
    """
    effect = abs(effect)
    discordance = components.seed_sd**2 + components.item_sd**2 + components.residual_sd**2
    if num_seeds == 1:
        z = stats.norm.ppf(1 - alpha / 2)
        spread = math.sqrt(max(discordance - effect**2, 1e-12))
        return float(stats.norm.cdf((effect * math.sqrt(num_items) - z * math.sqrt(discordance)) / spread))
    seed_variance = (components.seed_sd**2 + components.residual_sd**2 / num_items) / num_seeds
    item_variance = components.item_sd**2 / num_items
    df = num_seeds - 1
    item_df = max(num_items / components.items_per_cluster - 1, 1.0)
    t_seeds, t_items = (_t_quantile(1 - alpha / 2, value) for value in (df, item_df))
    observed = seed_variance * _chi2_quantiles(df) / df
    half = np.sqrt(t_seeds**2 * observed + t_items**2 * item_variance)
    se = math.sqrt(seed_variance + item_variance)
    return float(np.mean(special.ndtr((effect - half) / se) + special.ndtr((-effect - half) / se)))


@cache  # a search for the smallest effect asks about forty times for the same
def _t_quantile(level: float, df: float) -> float:
    return float(stats.t.ppf(level, df))


@cache
def _chi2_quantiles(df: float) -> np.ndarray:
    """Return the chi-squared quantiles at `_POINTS`, shape (500,). Nobody may change them."""
    return np.asarray(stats.chi2.ppf(_POINTS, df))


def smallest_effect(
    components: Components, num_seeds: int, num_items: int, wanted: float = POWER, alpha: float = ALPHA
) -> float:
    """Return the smallest true difference that is found with the wanted power; above 1 if none can be."""
    return float(
        optimize.brentq(lambda x: power(x, components, num_seeds, num_items, alpha) - wanted, 0.0, 1e3, xtol=1e-9)
    )


def components_range(components: Components, num_seeds: int, num_items: int) -> tuple[Components, Components]:
    """Return components with the least and the most variance between seeds that the observed one is compatible with.

    The seeds' variance is known from `num_seeds - 1` degrees of freedom only: its 80% interval, by the chi-squared
    distribution, reaches with 3 seeds from 0.43 to 9.5 times what was observed. The other components are known from
    many more numbers and are kept.
    """
    noise = components.residual_sd**2 / num_items
    df = num_seeds - 1
    observed = components.seed_sd**2 + noise
    low, high = (observed * df / stats.chi2.ppf((1 + side * RANGE) / 2, df) for side in (1, -1))
    least, most = (math.sqrt(max(float(value) - noise, 0.0)) for value in (low, high))
    return replace(components, seed_sd=least), replace(components, seed_sd=most)


@dataclass(frozen=True)
class Detectable:
    """The smallest true difference that a comparison finds with the wanted power, as a fraction of 1.

    Attributes:
        value: given the observed variances.
        low, high: given the ends of the 80% interval of the variance between seeds; `value` for one seed.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class RulePower:
    """The chance that a comparison finds a certain difference, and its range as in `Detectable`."""

    value: float
    low: float
    high: float


def detectable(
    reference: np.ndarray,
    other: np.ndarray,
    alpha: float = ALPHA,
    wanted: float = POWER,
    clusters: np.ndarray | None = None,
) -> Detectable | None:
    """Return the smallest true difference that this comparison finds, given its own components.

    It is shown beside the observed difference; `None` if nothing varies.

    Args:
        reference, other: right or wrong, shape (num_seeds, num_items); one seed is judged by the exact McNemar test;
            of clusters, at least by a t-test over them. Or the items' values, of which one seed is judged by the
            t-test over items.
        alpha (`float`, *optional*, defaults to 0.05): the level at which the rule tests.
        wanted (`float`, *optional*, defaults to 0.8): the power.
        clusters (*optional*): as in `crossed.crossed_regression`.
    """
    num_seeds, num_items = paired_values(reference, other).shape
    # Bits per byte of sites are 0 in every item if no solution has one; that does not make them right or wrong.
    if num_seeds == 1 and any(np.asarray(side).dtype.kind == "f" for side in (reference, other)):
        effect = _by_t_test(crossed_difference(reference, other, clusters), alpha, wanted)
        return Detectable(effect, effect, effect) if effect else None
    if num_seeds == 1:
        value = smallest_detectable(PairedCounts.of_arrays(reference[0], other[0]), alpha, wanted)
        if value is not None and clusters is not None:
            value = max(value, _by_t_test(crossed_difference(reference, other, clusters), alpha, wanted))
        return None if value is None else Detectable(value, value, value)
    components = variance_components(reference, other, clusters)
    if components.seed_sd + components.residual_sd == 0:
        return None
    least, most = components_range(components, num_seeds, num_items)
    return Detectable(
        *(smallest_effect(one, num_seeds, num_items, wanted, alpha) for one in (components, least, most))
    )


def _by_t_test(found: Estimate, alpha: float, wanted: float) -> float:
    """Return the smallest difference that the t-test of a single seed finds; the standard error is estimated, too."""
    half = _t_quantile(1 - alpha / 2, found.item_df) * np.sqrt(_chi2_quantiles(found.item_df) / found.item_df)

    def excess(errors: float) -> float:
        return float(np.mean(special.ndtr(errors - half) + special.ndtr(-errors - half))) - wanted

    return float(optimize.brentq(excess, 0.0, 2 * half.max() + 10)) * found.se


def rule_power(
    effect: float, reference: np.ndarray, other: np.ndarray, alpha: float, clusters: np.ndarray | None = None
) -> RulePower | None:
    """Return the chance that this comparison finds a true difference, given its own components.

    Args:
        effect (`float`): the true difference, a fraction of 1.
        reference, other, alpha, clusters: as in `detectable`; at least two seeds.

    Returns:
        `None` if nothing varies.
    """
    num_seeds, num_items = paired_values(reference, other).shape
    components = variance_components(reference, other, clusters)
    if components.seed_sd + components.residual_sd == 0:
        return None
    least, most = components_range(components, num_seeds, num_items)
    value, high, low = (power(effect, one, num_seeds, num_items, alpha) for one in (components, least, most))
    return RulePower(value, low, high)


def needed_seeds(
    components: Components, effect: float, num_items: int, wanted: float = POWER, alpha: float = ALPHA
) -> int | None:
    """Return the fewest seeds, from two up, that find an effect with the wanted power; `None` above 1,000."""

    def enough(seeds: int) -> bool:
        return power(effect, components, seeds, num_items, alpha) >= wanted

    return _fewest(enough, 2, MOST_SEEDS)


def needed_items(
    components: Components, effect: float, num_seeds: int, wanted: float = POWER, alpha: float = ALPHA
) -> int | None:
    """Return the fewest items that find an effect with the wanted power; `None` if only more seeds would help."""

    def enough(items: int) -> bool:
        return power(effect, components, num_seeds, items, alpha) >= wanted

    return _fewest(enough, 2, MOST_ITEMS)


def _fewest(enough: Callable[[int], bool], low: int, high: int) -> int | None:
    if not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


@dataclass(frozen=True)
class Cost:
    """What runs cost.

    Attributes:
        hours_per_seed: device-hours of one seed, that is one run of each of the two conditions.
        price: of a device-hour, in any currency; `None` if it was not given.
    """

    hours_per_seed: float
    price: float | None = None

    def hours(self, num_seeds: int) -> float:
        """Return the device-hours of a number of seeds."""
        return num_seeds * self.hours_per_seed

    def money(self, num_seeds: int) -> float | None:
        """Return the price of a number of seeds, `None` if there is none."""
        return None if self.price is None else self.price * self.hours(num_seeds)


def recorded_hours(*conditions: Condition) -> float:
    """Return the device-hours of one seed of all given conditions together, as a mean over the recorded seeds.

    They are the wall time of each stage times its number of processes, plus the wall time of each evaluation.
    """
    total = 0.0
    for condition in conditions:
        for run in condition.seeds.values():
            seconds = sum(stage.manifest.wall_time_s * _num_processes(stage.manifest) for stage in run.stages.values())
            seconds += sum(evaluation.result.wall_time_s for evaluation in run.evaluations.values())
            total += seconds / 3600 / len(condition.seeds)
    return total


def _num_processes(manifest: Manifest) -> int:
    found = manifest.matched.get("num_processes")
    return found if isinstance(found, int) else 1
