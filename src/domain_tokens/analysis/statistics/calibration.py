"""Do the tests and intervals have their nominal error rates? Counts errors in simulated comparisons of known truth.

A test at 5% should reject a true null in 5% of the comparisons, and a 95% interval should contain the truth in 95%.
Fewer errors are safe but cost power. Every method here is the function that the report calls, with its defaults.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from domain_tokens.analysis.statistics import crossed, equivalence, paired, strata
from domain_tokens.analysis.statistics.crossed import Estimate
from domain_tokens.analysis.statistics.paired import ALPHA, Interval, PairedCounts
from domain_tokens.analysis.statistics.simulation import Outcomes, Shared, simulate
from domain_tokens.analysis.statistics.smallest_effect import in_points

MARGIN = 0.03  # of equivalence
LOGIT_MARGIN = 0.3  # of equivalence, where it follows the base rate
NUM_WAITING = 7  # tests of a family that wait for its main comparison
NUM_RESAMPLES = 1000  # of the bootstrap, which is tried and not used
ITEM_SD = 1.5  # of difficulty, on the logit scale: at 30% accuracy one question in ten is solved four times in five
_POOLS = (2, 4, 6, 15, 50, 50, 50, 50)
"""How many different numbers each of eight templates has. With 100 items about 64 problems are distinct, as in the
generated word problems of version 0.3, where one template had two."""
_NEEDS = (0.763, 0.160, 0.055, 0.022)  # shares of items that need 0, 1, 2, 3 facts; 23.7% of GSM8K's need one or more


@dataclass(frozen=True)
class Setting:
    """What is simulated; `simulation.simulate` says what each number means.

    Attributes:
        gain: what each fact that an item needs adds to `effect`.
        problem_sd, template_sd: what items with one template and the same numbers gain together, and what items of one
            template do; on the logit scale.
    """

    num_seeds: int
    num_items: int
    accuracy: float
    between_run_sd: float = 0.0
    response_sd: float = 0.0
    effect: float = 0.0
    gain: float = 0.0
    problem_sd: float = 0.0
    template_sd: float = 0.0

    def templates(self) -> NDArray[np.int64]:
        """Return the template of each item: eight templates in turn."""
        return np.arange(self.num_items) % len(_POOLS)

    def problems(self) -> NDArray[np.int64]:
        """Return the problem of each item: its template and numbers, drawn with a fixed seed."""
        return _problems(self.num_items)

    def counts(self) -> NDArray[np.int64]:
        """Return how many facts each item needs: the same shares at every size."""
        edges = np.round(np.cumsum(_NEEDS) * self.num_items)
        return np.searchsorted(edges, np.arange(self.num_items), side="right")

    def draw(self, rng: np.random.Generator) -> tuple[Outcomes, Outcomes]:
        """Return simulated outcomes of both conditions, shape (num_seeds, num_items) each."""
        effect = self.effect + self.gain * self.counts() if self.gain else self.effect
        return simulate(
            self.num_seeds,
            self.num_items,
            self.accuracy,
            effect,
            self.between_run_sd,
            ITEM_SD,
            rng,
            self.response_sd,
            self._shared(),
        )

    def _shared(self) -> list[Shared]:
        kinds = ((self.problem_sd, self.problems), (self.template_sd, self.templates))
        return [Shared(groups(), sd) for sd, groups in kinds if sd > 0]


@cache
def _problems(num_items: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(0)
    pools = [_POOLS[number % len(_POOLS)] for number in range(num_items)]
    drawn = [number % len(_POOLS) * max(_POOLS) + int(rng.integers(pool)) for number, pool in enumerate(pools)]
    return np.unique(drawn, return_inverse=True)[1]


Result = tuple[float | None, Interval | None]
"""A p-value and a 95% interval; `None` if nothing varied, so that the method gives none."""

Method = Callable[[Setting, Outcomes, Outcomes], Result]


def items_of_one_seed(setting: Setting, reference: Outcomes, other: Outcomes) -> Result:
    """Try McNemar's exact test and Newcombe's interval."""
    counts = PairedCounts.of_arrays(reference[0], other[0])
    return paired.mcnemar_exact(counts), paired.paired_interval(counts)


def t_over_seeds(setting: Setting, reference: Outcomes, other: Outcomes) -> Result:
    """Try the paired t-test over seeds."""
    test = paired.paired_t(list(other.mean(axis=1) - reference.mean(axis=1)))
    return test.p_value, test.interval


def runs_and_items(setting: Setting, reference: Outcomes, other: Outcomes) -> Result:
    """Try the verdict's test over runs and items."""
    return _result(crossed.crossed_difference(reference, other))


def runs_and_problems(setting: Setting, reference: Outcomes, other: Outcomes) -> Result:
    """Try the verdict's test with clusters: items with one template and the same numbers."""
    return _result(crossed.crossed_difference(reference, other, setting.problems()))


def runs_and_templates(setting: Setting, reference: Outcomes, other: Outcomes) -> Result:
    """Try the verdict's test with the items of a template as one cluster."""
    return _result(crossed.crossed_difference(reference, other, setting.templates()))


def problems_of_one_seed(setting: Setting, reference: Outcomes, other: Outcomes) -> Result:
    """Try the sign test over clusters of one pair of runs, and the cluster-robust interval."""
    estimate = crossed.crossed_difference(reference[0], other[0], setting.problems())
    differences = crossed.paired_outcomes(reference[0], other[0])[0]
    return paired.sign_test(differences, setting.problems()), estimate.interval()


def percentile_bootstrap(setting: Setting, reference: Outcomes, other: Outcomes) -> Result:
    """Try the crossed bootstrap; its test is whether the interval contains 0, and the p-value here is 0 or 1."""
    low, high = crossed.crossed_bootstrap(reference, other, NUM_RESAMPLES).interval
    return float(low <= 0 <= high), (low, high)


def marked_items(setting: Setting, reference: Outcomes, other: Outcomes) -> Result:
    """Try the difference in differences of items that need facts."""
    return _result(strata.difference_in_differences(reference, other, setting.counts() > 0))


def by_facts(setting: Setting, reference: Outcomes, other: Outcomes) -> Result:
    """Try the slope by the number of facts."""
    return _result(strata.slope(reference, other, setting.counts()))


def equivalence_claim(setting: Setting, reference: Outcomes, other: Outcomes) -> Result:
    """Try two one-sided tests and their 90% interval."""
    if setting.num_seeds == 1:
        test = equivalence.equivalent_items(PairedCounts.of_arrays(reference[0], other[0]), MARGIN)
    else:
        test = equivalence.equivalent_runs(crossed.crossed_difference(reference, other), MARGIN)
    return test.p_value, test.interval


def equivalence_on_the_logit_scale(setting: Setting, reference: Outcomes, other: Outcomes) -> Result:
    """Try two one-sided tests whose margin is a shift of the log odds, at the base rate that was observed."""
    margin = in_points("logit", LOGIT_MARGIN, float(reference.mean()))
    if margin == 0:
        return None, None
    test = equivalence.equivalent_runs(crossed.crossed_difference(reference, other), margin)
    return test.p_value, test.interval


def _result(estimate: Estimate) -> Result:
    return estimate.p_value(), estimate.interval()


def true_difference(setting: Setting) -> float:
    """Return the mean difference over all items."""
    return setting.effect + setting.gain * float(setting.counts().mean())


def true_excess(setting: Setting) -> float:
    """Return the difference in differences of the marked items."""
    counts = setting.counts()
    return setting.gain * float(counts[counts > 0].mean())


def true_slope(setting: Setting) -> float:
    """Return what each fact adds."""
    return setting.gain


@dataclass(frozen=True)
class Rates:
    """How often a method rejected the null, and how often its interval missed the truth.

    Attributes:
        rejected: comparisons with p at most 5%.
        missed: comparisons whose interval does not contain the truth.
        silent: comparisons without an interval, because nothing varied; they count as neither.
        total: all comparisons.
    """

    rejected: int
    missed: int
    silent: int
    total: int

    def se(self, count: int) -> float:
        """Return the Monte Carlo standard error of a rate."""
        share = count / self.total
        return math.sqrt(share * (1 - share) / self.total)


def too_many(count: int, total: int, rate: float = ALPHA) -> bool:
    """Return whether a count exceeds what a rate explains, at 1 in 1,000 by the binomial distribution."""
    return bool(stats.binom.sf(count - 1, total, rate) < 0.001)


def measure(
    method: Method,
    setting: Setting,
    simulations: int,
    rng: np.random.Generator,
    truth: Callable[[Setting], float] = true_difference,
) -> Rates:
    """Return a method's rates over simulated comparisons.

    Args:
        truth: what the interval should contain, as a function of the setting.
    """
    expected = truth(setting)
    rejected = missed = silent = 0
    for _ in range(simulations):
        p_value, interval = method(setting, *setting.draw(rng))
        rejected += p_value is not None and p_value <= ALPHA
        missed += interval is not None and not interval[0] <= expected <= interval[1]
        silent += interval is None
    return Rates(rejected, missed, silent, simulations)


def measure_family(setting: Setting, simulations: int, rng: np.random.Generator) -> Rates:
    """Return how often a family rejects a true null: one main comparison, and `NUM_WAITING` tests that wait for it.

    If the setting has an effect it is the main comparison's, whose rejection is then no error.
    """
    null = replace(setting, effect=0.0)
    rejected = 0
    for _ in range(simulations):
        main = runs_and_items(setting, *setting.draw(rng))[0]
        others = [runs_and_items(null, *null.draw(rng))[0] for _ in range(NUM_WAITING)]
        first, second = paired.gatekeeping([main], others, 1, NUM_WAITING)
        rejected += any(p <= ALPHA for p in (second if setting.effect else first + second))
    return Rates(rejected, 0, 0, simulations)
