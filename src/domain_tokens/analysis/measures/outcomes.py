"""The outcomes of an evaluation as arrays, the clusters of its items, and the test of their difference."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from domain_tokens.analysis.results_model import Endpoint, PromptCounts
from domain_tokens.analysis.statistics import paired
from domain_tokens.analysis.statistics.crossed import crossed_difference, paired_outcomes
from domain_tokens.analysis.statistics.paired import Interval, PairedCounts
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.layout import Mode
from domain_tokens.runs.records import template_of
from domain_tokens.runs.results import ALL_ITEMS, Condition, EvaluatedTask, Pair, SeedRun

MIN_TEMPLATES = 5  # from which the test over clusters of one template keeps its rate; see docs/STATISTICS.md

Outcomes = NDArray[np.bool_] | NDArray[np.float64]
"""Right or wrong; or values, of bits per byte or of right answers over several checkpoints."""

Clusters = NDArray[np.int64]


@dataclass(frozen=True)
class PairedOutcomes:
    """Both conditions' outcomes at one endpoint.

    Attributes:
        reference, other: right or wrong, or values, shape (num_seeds, num_items).
        clusters: the cluster of each item, shape (num_items,); `None` if every item is its own. See `item_clusters`.
    """

    reference: Outcomes
    other: Outcomes
    clusters: Clusters | None

    @property
    def num_seeds(self) -> int:
        """How many runs each condition has."""
        return len(self.reference)

    @property
    def num_clusters(self) -> int:
        """How many items are independent of each other."""
        return self.reference.shape[1] if self.clusters is None else len(np.unique(self.clusters))

    @property
    def are_values(self) -> bool:
        """Whether the outcomes are values and not right or wrong."""
        return self.reference.dtype != bool


def outcomes(pair: Pair, model: str, name: str, key: str, group: str = ALL_ITEMS) -> tuple[Outcomes, Outcomes]:
    """Return both conditions' outcomes of an evaluation, right or wrong or values of shape (num_seeds, num_items).

    The rows are the seeds in ascending order, the columns the items in order of their ids.

    Args:
        pair (`Pair`): the two conditions.
        model, name (`str`): the evaluation's key in `SeedRun.evaluations`.
        key (`str`): the item's key that says whether it is right, or holds its value.
        group (`str`, *optional*): a group of items.
    """
    first, second = (
        np.array([_of_items(run.evaluations[model, name], key, group) for run in side.seeds.values()])
        for side in pair.sides
    )
    return first, second


def _of_items(evaluation: EvaluatedTask, key: str, group: str) -> list[float] | list[bool]:
    if evaluation.has_values(key):
        return list(evaluation.values(key, group).values())
    return list(evaluation.outcomes(key, group).values())


def averaged_outcomes(pair: Pair, endpoint: Endpoint, key: str) -> tuple[Outcomes, Outcomes]:
    """Return the means of each item over the last checkpoints that an endpoint names, as `outcomes` returns them.

    Raises:
        RecipeError: if a run has too few evaluated checkpoints, or they did not answer the same items.
    """
    first, second = (np.array([_averaged(run, endpoint, key) for run in side.seeds.values()]) for side in pair.sides)
    if first.shape != second.shape:
        raise RecipeError(
            f"{endpoint.task} of the last checkpoints: the conditions answered {first.shape[1]} and {second.shape[1]} "
            "items; evaluate the checkpoints of both on the same data"
        )
    return first, second


def _averaged(run: SeedRun, endpoint: Endpoint, key: str) -> NDArray[np.float64]:
    points = run.last_checkpoints(endpoint.model)[-endpoint.last_checkpoints :]
    found = [point.task(endpoint.task).values(key, endpoint.group) for point in points]
    if len(found) < endpoint.last_checkpoints or any(one.keys() != found[0].keys() for one in found):
        raise RecipeError(
            f"{run.folder}: {endpoint.last_checkpoints} checkpoints of {endpoint.model} with the same items of "
            f"{endpoint.task} are needed, found {len(found)}; run scripts/eval_checkpoints.py"
        )
    return np.array([list(one.values()) for one in found], dtype=float).mean(axis=0)


def has_checkpoints(condition: Condition, endpoint: Endpoint) -> bool:
    """Return whether every run of a condition has the checkpoints over which an endpoint is averaged."""
    return all(
        len(points := run.last_checkpoints(endpoint.model)[-endpoint.last_checkpoints :]) == endpoint.last_checkpoints
        and all(endpoint.task in point.result.tasks for point in points)
        for run in condition.seeds.values()
    )


class Clustered(Protocol):
    """A question that may share a template and its numbers with others."""

    @property
    def id(self) -> str:
        """Its own name."""

    @property
    def cluster(self) -> str | None:
        """Template and numbers of a generated question."""


def clusters_of(items: Sequence[Clustered]) -> list[str]:
    """Return the name of the cluster of each item; an item without one is its own.

    Items of one template are a cluster if there are at least `MIN_TEMPLATES` templates: the result then holds for
    other templates too. With fewer, items with one template and the same numbers are one, and the result holds for
    other numbers in these templates.
    """
    problems = [f"item {item.id}" if item.cluster is None else item.cluster for item in items]
    templates = [
        problem if item.cluster is None else template_of(item.cluster)
        for item, problem in zip(items, problems, strict=True)
    ]
    return problems if len(set(templates)) < MIN_TEMPLATES else templates


def item_clusters(pair: Pair, model: str, name: str, group: str = ALL_ITEMS) -> Clusters | None:
    """Return the cluster of each item, as whole numbers in the order of `outcomes`; `None` if each is its own.

    Args: as `outcomes`. Clusters are those of `clusters_of`.
    """
    found = clusters_of(pair.first_run.evaluations[model, name].of_group(group))
    if len(set(found)) == len(found):
        return None
    return np.unique(found, return_inverse=True)[1]


def outcomes_at(pair: Pair, endpoint: Endpoint, mode: Mode = Mode.PLAIN) -> PairedOutcomes:
    """Return both conditions' outcomes at an endpoint, in one of the modes, with the clusters of the items."""
    where = endpoint.model, endpoint.task if mode is Mode.PLAIN else f"{endpoint.task}.{mode}"
    key = pair.first_run.evaluations[where].outcome_keys[endpoint.metric]
    clusters = item_clusters(pair, *where, endpoint.group)
    if endpoint.last_checkpoints > 1:
        return PairedOutcomes(*averaged_outcomes(pair, endpoint, key), clusters)
    return PairedOutcomes(*outcomes(pair, *where, key, endpoint.group), clusters)


def p_value(found: PairedOutcomes) -> float | None:
    """Return the p-value of the rule's test of a difference: over seeds and items, or for one seed over items alone.

    It is `None` if nothing varies, or if there are too few independent items to say anything about others.
    """
    if found.num_seeds == 1:
        return one_seed_p_value(found.reference[0], found.other[0], found.clusters)
    if found.num_clusters < 2:
        return None
    if not (found.reference != found.other).any():
        return 1.0
    return crossed_difference(found.reference, found.other, found.clusters).p_value()


def one_seed_p_value(reference: Outcomes, other: Outcomes, clusters: Clusters | None) -> float | None:
    """Return the exact p-value of one pair of runs: McNemar's test, or the sign test over clusters of items.

    Of values, the p-value of a t-test over items or clusters; `None` if there is one, or all differ alike.
    """
    if reference.dtype != bool:
        found = PairedOutcomes(reference[None], other[None], clusters)
        if found.num_clusters < 2:
            return None
        return 1.0 if (reference == other).all() else crossed_difference(reference, other, clusters).p_value()
    if clusters is None:
        return paired.mcnemar_exact(PairedCounts.of_arrays(reference, other))
    return paired.sign_test(paired_outcomes(reference, other)[0], clusters)


@dataclass(frozen=True)
class Difference:
    """A difference of two accuracies on the same items, as a fraction of 1, with its 95% interval and p-value."""

    delta: float
    interval: Interval | None
    p_value: float | None


def difference(first: Outcomes, second: Outcomes, clusters: Clusters | None = None) -> Difference:
    """Return the accuracy of the second outcomes less that of the first: by items for one seed, else over both.

    Args:
        first, second (`Outcomes`): of the same seeds and items, shape (num_seeds, num_items).
        clusters (*optional*): the cluster of each item, as in `PairedOutcomes`.
    """
    found = PairedOutcomes(first, second, clusters)
    interval: Interval | None = None
    if found.num_seeds == 1 and clusters is None and not found.are_values:
        interval = paired.paired_interval(PairedCounts.of_arrays(first[0], second[0]))
    elif found.num_clusters > 1:  # one item says nothing about other questions
        interval = crossed_difference(first, second, clusters).interval()
        interval = interval if found.are_values else within_one(interval)
    return Difference(float(second.mean() - first.mean()), interval, p_value(found))


def within_one(interval: Interval | None) -> Interval | None:
    """Cut an interval to what a difference of accuracies can be; a t interval of two seeds reaches far beyond."""
    return None if interval is None else (max(interval[0], -1.0), min(interval[1], 1.0))


def prompt_counts(pair: Pair, model: str, name: str, group: str = ALL_ITEMS) -> PromptCounts | None:
    """Return how many prompts of an evaluation each condition rewrites and makes the same; `None` before 0.4.0.

    Args: as for `outcomes`, without the key.
    """
    rewritten, identical = [], []
    for side in pair.sides:
        evaluation = side.first_run.evaluations[model, name]  # the tokenizer is the same for every seed
        items = [item for item in evaluation.items.values() if group in (ALL_ITEMS, item.group)]
        if any(item.rewritten is None or item.encoding is None for item in items):
            return None
        keys = Counter(item.encoding for item in items)
        rewritten.append(sum(bool(item.rewritten) for item in items))
        identical.append(sum(keys[item.encoding] > 1 for item in items))
    return PromptCounts(rewritten=(rewritten[0], rewritten[1]), identical=(identical[0], identical[1]))
