"""The result rows: one for each model, task, metric and group of items."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from domain_tokens.analysis.preregistration import Preregistration
from domain_tokens.analysis.results_model import (
    EXPLORATORY,
    Accuracy,
    BootstrapEstimate,
    Endpoint,
    EquivalenceTest,
    OddsRatio,
    OutcomeCounts,
    PromptCounts,
    ResultRow,
    SeedRow,
    SeedTTest,
    Sensitivity,
)
from domain_tokens.analysis.statistics import paired
from domain_tokens.analysis.statistics.crossed import crossed_bootstrap, crossed_difference
from domain_tokens.analysis.statistics.equivalence import Equivalence, equivalent_items, equivalent_runs
from domain_tokens.analysis.statistics.mixed_logit import mixed_logit
from domain_tokens.analysis.statistics.paired import Interval, PairedCounts
from domain_tokens.analysis.statistics.power import detectable
from domain_tokens.runs.results import ALL_ITEMS, Pair

CROSSED = "crossed test over seeds and items"
MCNEMAR = "exact McNemar"

Outcomes = NDArray[np.bool_]


@dataclass(frozen=True)
class _Comparison:
    """What a test says about one endpoint: the fields of `ResultRow` that depend on the number of seeds."""

    reference: Accuracy
    other: Accuracy
    delta: float
    delta_sd: float | None
    interval: Interval | None
    p_value: float | None
    test: str
    smallest_detectable: float | None
    equivalence: EquivalenceTest | None


def result_rows(pair: Pair, declared: Preregistration) -> tuple[ResultRow, ...]:
    """Return a row for every model, task, metric and group; accuracies and differences are fractions of 1.

    `p_holm` corrects the p-values of the declared rows, the primary one among them, for their number; that of an
    exploratory row is `None`.
    """
    rows = []
    for (model, task), evaluation in pair.first_run.plain().items():
        for metric in evaluation.outcome_keys:
            # The further metrics of a task are details of the first and are shown for all items together only.
            groups = evaluation.groups() if metric == evaluation.main_metric else [ALL_ITEMS]
            for group in groups:
                endpoint = Endpoint(model=model, task=task, metric=metric, group=group)
                rows.append(result_row(pair, endpoint, declared))
    return _corrected(rows)


def result_row(pair: Pair, endpoint: Endpoint, declared: Preregistration) -> ResultRow:
    """Return both accuracies at one endpoint, their difference, its interval and its tests, without `p_holm`."""
    evaluation = pair.first_run.evaluations[endpoint.model, endpoint.task]
    sides = outcomes(pair, endpoint.model, endpoint.task, evaluation.outcome_keys[endpoint.metric], endpoint.group)
    counts = [PairedCounts.of_arrays(*runs) for runs in zip(*sides, strict=True)]
    found = (
        _one_seed(counts[0], declared.margin) if len(counts) == 1 else _several_seeds(*sides, counts, declared.margin)
    )
    return ResultRow(
        **endpoint.model_dump(),
        role=declared.role(endpoint),
        num_items=sides[0].shape[1],
        **vars(found),
        p_holm=None,
        by_seed=tuple(_seed_row(*row) for row in zip(pair.seeds, counts, strict=True)),
        source=evaluation.result.source,
        prompts=prompt_counts(pair, endpoint.model, endpoint.task, endpoint.group),
    )


def outcomes(pair: Pair, model: str, name: str, key: str, group: str = ALL_ITEMS) -> tuple[Outcomes, Outcomes]:
    """Return both conditions' outcomes of an evaluation, right or wrong of shape (num_seeds, num_items).

    The rows are the seeds in ascending order, the columns the items in order of their ids.

    Args:
        pair (`Pair`): the two conditions.
        model, name (`str`): the evaluation's key in `SeedRun.evaluations`.
        key (`str`): the item's key that says whether it is right.
        group (`str`, *optional*): a group of items.
    """
    first, second = (
        np.array([list(run.evaluations[model, name].outcomes(key, group).values()) for run in side.seeds.values()])
        for side in pair.sides
    )
    return first, second


@dataclass(frozen=True)
class Difference:
    """A difference of two accuracies on the same items, as a fraction of 1, with its 95% interval and p-value."""

    delta: float
    interval: Interval | None
    p_value: float | None


def difference(first: Outcomes, second: Outcomes) -> Difference:
    """Return the accuracy of the second outcomes less that of the first: by items for one seed, else over both.

    Args:
        first, second (`Outcomes`): of the same seeds and items, shape (num_seeds, num_items).
    """
    interval: Interval | None
    p_value: float | None
    if len(first) == 1:
        counts = PairedCounts.of_arrays(first[0], second[0])
        interval, p_value = paired.paired_interval(counts), paired.mcnemar_exact(counts)
    elif first.shape[1] == 1:  # one item says nothing about other questions
        interval = p_value = None
    else:
        estimate = crossed_difference(first, second)
        same = not (first != second).any()
        interval, p_value = _within_one(estimate.interval()), 1.0 if same else estimate.p_value()
    return Difference(float(second.mean() - first.mean()), interval, p_value)


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


def sensitivity(pair: Pair, primary: ResultRow) -> Sensitivity | None:
    """Return the primary endpoint by other methods, `None` for one seed or item; the verdict rests on none of them."""
    if len(pair.seeds) == 1 or primary.num_items == 1:
        return None
    evaluation = pair.first_run.evaluations[primary.model, primary.task]
    sides = outcomes(pair, primary.model, primary.task, evaluation.outcome_keys[primary.metric], primary.group)
    return Sensitivity(
        paired_t=SeedTTest(**asdict(paired.paired_t([seed.delta for seed in primary.by_seed]))),
        bootstrap=BootstrapEstimate(**asdict(crossed_bootstrap(*sides))),
        mixed_logit=OddsRatio(**asdict(mixed_logit(*sides))),
    )


def _corrected(rows: Sequence[ResultRow]) -> tuple[ResultRow, ...]:
    tested = [row.p_value for row in rows if row.role != EXPLORATORY]
    p_holm = iter(paired.holm(tested))
    return tuple(row if row.role == EXPLORATORY else row.model_copy(update={"p_holm": next(p_holm)}) for row in rows)


def _seed_row(seed: int, counts: PairedCounts) -> SeedRow:
    return SeedRow(
        seed=seed,
        reference=counts.accuracies[0],
        other=counts.accuracies[1],
        delta=counts.delta,
        interval=paired.paired_interval(counts),
        p_value=paired.mcnemar_exact(counts),
        counts=OutcomeCounts(**asdict(counts)),
    )


def _one_seed(counts: PairedCounts, margin: float) -> _Comparison:
    n, right = counts.num_items, (counts.both + counts.reference_only, counts.both + counts.other_only)
    reference, other = (
        Accuracy(accuracy=num_right / n, interval=paired.wilson_interval(num_right, n), sd=None) for num_right in right
    )
    return _Comparison(
        reference=reference,
        other=other,
        delta=counts.delta,
        delta_sd=None,
        interval=paired.paired_interval(counts),
        p_value=paired.mcnemar_exact(counts),
        test=MCNEMAR,
        smallest_detectable=paired.smallest_detectable(counts),
        equivalence=_equivalence(equivalent_items(counts, margin)),
    )


def _several_seeds(reference: Outcomes, other: Outcomes, counts: list[PairedCounts], margin: float) -> _Comparison:
    accuracies = [_over_seeds([seed.accuracies[side] for seed in counts]) for side in (0, 1)]
    deltas = [seed.delta for seed in counts]
    delta_sd = paired.mean_sd(deltas)[1]
    if reference.shape[1] < 2:  # one item says nothing about other questions
        return _Comparison(
            accuracies[0], accuracies[1], float(np.mean(deltas)), delta_sd, None, None, CROSSED, None, None
        )
    estimate = crossed_difference(reference, other)
    agree = not (reference != other).any()
    return _Comparison(
        reference=accuracies[0],
        other=accuracies[1],
        delta=min(max(estimate.value, -1.0), 1.0),  # rounding can exceed them
        delta_sd=delta_sd,
        interval=_within_one(estimate.interval()),
        p_value=1.0 if agree else estimate.p_value(),
        test=CROSSED,
        smallest_detectable=detectable(reference, other),
        equivalence=_equivalence(equivalent_runs(estimate, margin)),
    )


def _within_one(interval: Interval | None) -> Interval | None:
    """Cut an interval to what a difference of accuracies can be; a t interval of two seeds reaches far beyond."""
    return None if interval is None else (max(interval[0], -1.0), min(interval[1], 1.0))


def _equivalence(found: Equivalence) -> EquivalenceTest:
    return EquivalenceTest(**asdict(found))


def _over_seeds(accuracies: list[float]) -> Accuracy:
    mean, sd = paired.mean_sd(accuracies)
    low, high = paired.t_interval(accuracies)
    return Accuracy(accuracy=mean, interval=(max(low, 0.0), min(high, 1.0)), sd=sd)
