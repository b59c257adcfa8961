"""How often the whole pipeline finds a difference that is not there: two conditions that differ in nothing but names.

Both conditions go through every stage with the same seeds, data and initial weights; the second has the same tokens
under other ids. Any "H0 is rejected" is a false positive of everything together: stages, evaluation, test. Simulations
(`statistics.calibration`) check the test alone, on outcomes of their own making.
"""

import itertools
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from scipy import stats

from domain_tokens.analysis.measures.outcomes import outcomes_at, p_value
from domain_tokens.analysis.preregistration import Preregistration, read_preregistration
from domain_tokens.analysis.results_model import Endpoint
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.results import Condition, Pair

MAX_REGROUPINGS = 1000


@dataclass(frozen=True)
class GroupResult:
    """The primary endpoint of one group of seeds.

    Attributes:
        seeds: the group.
        delta: the second condition less the first, a fraction of 1.
        p_value: of the test that decides; `None` if no outcome varied, which rejects nothing.
    """

    seeds: tuple[int, ...]
    delta: float
    p_value: float | None

    def rejects(self, alpha: float) -> bool:
        """Return whether the group's verdict would be a difference."""
        return self.p_value is not None and self.p_value <= alpha


@dataclass(frozen=True)
class ErrorRate:
    """False positives among verdicts.

    Attributes:
        rejected: verdicts of a difference.
        total: all verdicts.
        interval: the exact 95% interval (Clopper and Pearson 1934); `None` for groups that share seeds, whose verdicts
            depend on each other.
    """

    rejected: int
    total: int
    interval: tuple[float, float] | None

    @property
    def value(self) -> float:
        """The rate, a fraction of 1."""
        return self.rejected / self.total


@dataclass(frozen=True)
class PipelineErrors:
    """The pipeline's error rates.

    Attributes:
        endpoint: the primary endpoint.
        alpha: the level of each verdict.
        groups: the disjoint groups.
        disjoint: the rate over them.
        regrouped: the rate over other groups of the same size, each seed in many of them; `None` if there is only one.
        single_seeds: the rate of each seed alone.
        source: the recorded name of the endpoint's data source.
    """

    endpoint: Endpoint
    alpha: float
    groups: tuple[GroupResult, ...]
    disjoint: ErrorRate
    regrouped: ErrorRate | None
    single_seeds: ErrorRate
    source: str | None = None


def pipeline_errors(pair: Pair, group_size: int) -> PipelineErrors:
    """Test the primary endpoint in groups of seeds.

    Args:
        pair (`Pair`): two conditions without a true difference; all of their seeds are used.
        group_size (`int`): seeds of one verdict, as the declaration has it. Seeds that fill no group are left out of
            the disjoint groups.

    Raises:
        RecipeError: if there are fewer seeds than one group needs.
    """
    if len(pair.seeds) < group_size:
        raise RecipeError(
            f"{pair.other.folder}: has {len(pair.seeds)} seeds; expected at least the {group_size} of one verdict"
        )
    declared = read_preregistration(pair)
    tests = _Tests(pair, declared)
    starts = range(0, len(pair.seeds) - group_size + 1, group_size)
    groups = tuple(tests.of_seeds(pair.seeds[start : start + group_size]) for start in starts)
    singles = [tests.of_seeds([seed]) for seed in pair.seeds]
    others = [tests.of_seeds(seeds) for seeds in _regroupings(pair.seeds, group_size)]
    endpoint = declared.endpoints[0]
    return PipelineErrors(
        endpoint=endpoint,
        alpha=declared.alpha,
        groups=groups,
        disjoint=_rate(groups, declared.alpha, independent=True),
        regrouped=_rate(others, declared.alpha, independent=False) if len(groups) > 1 and group_size > 1 else None,
        single_seeds=_rate(singles, declared.alpha, independent=True),
        source=pair.first_run.evaluations[endpoint.model, endpoint.task].result.source,
    )


class _Tests:
    """Tests the primary endpoint on some of a pair's seeds."""

    def __init__(self, pair: Pair, declared: Preregistration) -> None:
        self._pair = pair
        self._declared = declared

    def of_seeds(self, seeds: Sequence[int]) -> GroupResult:
        """Return the result of these seeds, as the verdict of an experiment of theirs alone has it."""
        reference, other = (_only(side, seeds) for side in self._pair.sides)
        found = outcomes_at(Pair(reference, other), self._declared.endpoints[0])
        return GroupResult(tuple(seeds), float(found.other.mean() - found.reference.mean()), p_value(found))


def _only(condition: Condition, seeds: Sequence[int]) -> Condition:
    return replace(condition, seeds={seed: condition.seeds[seed] for seed in seeds})


def _regroupings(seeds: Sequence[int], group_size: int) -> Iterable[tuple[int, ...]]:
    """Return all groups of seeds, or a seeded sample of `MAX_REGROUPINGS` of them."""
    if math.comb(len(seeds), group_size) <= MAX_REGROUPINGS:
        return itertools.combinations(seeds, group_size)
    draw = random.Random(0)
    return [tuple(sorted(draw.sample(seeds, group_size))) for _ in range(MAX_REGROUPINGS)]


def _rate(results: Sequence[GroupResult], alpha: float, independent: bool) -> ErrorRate:
    rejected = sum(result.rejects(alpha) for result in results)
    interval = None
    if independent:
        bounds = stats.binomtest(rejected, len(results)).proportion_ci(method="exact")
        interval = (float(bounds.low), float(bounds.high))
    return ErrorRate(rejected, len(results), interval)
