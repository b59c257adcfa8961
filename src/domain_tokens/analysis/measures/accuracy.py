"""The result rows: one for each model, task, metric and group of items."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from domain_tokens.analysis.family import Family
from domain_tokens.analysis.measures.outcomes import (
    Clusters,
    Outcomes,
    PairedOutcomes,
    difference,
    one_seed_p_value,
    outcomes_at,
    prompt_counts,
    within_one,
)
from domain_tokens.analysis.measures.outcomes import p_value as tested
from domain_tokens.analysis.preregistration import Preregistration
from domain_tokens.analysis.results_model import (
    EXPLORATORY,
    Accuracy,
    BootstrapEstimate,
    Endpoint,
    EquivalenceTest,
    OddsRatio,
    OutcomeCounts,
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
CROSSED_CLUSTERS = "crossed test over seeds and clusters of items"
MCNEMAR = "exact McNemar"
SIGN = "exact sign test over clusters of items"
T_TEST = "t-test over items"
T_TEST_CLUSTERS = "t-test over clusters of items"


@dataclass(frozen=True)
class Compared:
    """What a test says about one endpoint: the fields of `ResultRow` that depend on the number of seeds."""

    reference: Accuracy
    other: Accuracy
    delta: float
    delta_sd: float | None
    interval: Interval | None
    p_value: float | None
    test: str
    equivalence: EquivalenceTest | None


def result_rows(pair: Pair, declared: Preregistration, family: Family) -> tuple[ResultRow, ...]:
    """Return a row for every model, task, metric and group; accuracies and differences are fractions of 1.

    `p_holm` corrects the p-values of the declared rows, the primary one among them, for their number; that of an
    exploratory row is `None`. No sentence rests on it: those come from `p_family`.
    """
    rows = []
    for (model, task), evaluation in pair.first_run.plain().items():
        for metric in evaluation.outcome_keys:
            # The further metrics of a task are details of the first and are shown for all items together only.
            groups = evaluation.groups() if metric == evaluation.main_metric else [ALL_ITEMS]
            for group in groups:
                endpoint = Endpoint(model=model, task=task, metric=metric, group=group)
                rows.append(result_row(pair, endpoint, declared, family))
    averaged = [endpoint for endpoint in declared.endpoints if endpoint.last_checkpoints > 1]
    rows += [result_row(pair, endpoint, declared, family) for endpoint in averaged]
    return _corrected(rows)


def result_row(pair: Pair, endpoint: Endpoint, declared: Preregistration, family: Family) -> ResultRow:
    """Return both accuracies at one endpoint, their difference, its interval and its tests, without `p_holm`.

    Values, such as bits per byte, take the place of accuracies and are tested in the same way.
    """
    found = outcomes_at(pair, endpoint)
    evaluation = pair.first_run.evaluations[endpoint.model, endpoint.task]
    margin = declared.margin_at(float(found.reference.mean()), evaluation.unit(endpoint.metric), endpoint)
    role = declared.role(endpoint)
    smallest = None
    if found.num_clusters > 1:
        smallest = detectable(found.reference, found.other, family.level(pair, role), declared.power, found.clusters)
    return ResultRow(
        **endpoint.model_dump(),
        role=role,
        num_items=found.reference.shape[1],
        num_clusters=found.num_clusters,
        unit=evaluation.unit(endpoint.metric),
        lower_is_better=endpoint.metric in evaluation.result.lower_is_better,
        **vars(compare_outcomes(found, margin)),
        smallest_detectable=None if smallest is None else smallest.value,
        detectable_range=None if smallest is None or found.num_seeds == 1 else (smallest.low, smallest.high),
        p_holm=None,
        p_family=family.p_value(pair, endpoint),
        by_seed=tuple(
            _seed_row(seed, first, second, found.clusters)
            for seed, first, second in zip(pair.seeds, found.reference, found.other, strict=True)
        ),
        source=evaluation.result.source,
        prompts=prompt_counts(pair, endpoint.model, endpoint.task, endpoint.group),
    )


def compare_outcomes(found: PairedOutcomes, margin: float) -> Compared:
    """Return both means, their difference, its interval and its tests, by the rule for one seed or for several.

    Args:
        found (`PairedOutcomes`): right or wrong, or values from 0 up.
        margin (`float`): a smaller difference does not matter, in the unit of the outcomes; 0 if none was declared.
    """
    if found.num_seeds > 1:
        return _several_seeds(found, margin)
    return _one_seed_values(found, margin) if found.are_values else _one_seed(found, margin)


def sensitivity(pair: Pair, primary: ResultRow) -> Sensitivity | None:
    """Return the primary endpoint by other methods, `None` for one seed or item; the verdict rests on none of them."""
    if len(pair.seeds) == 1 or primary.num_items == 1:
        return None
    found = outcomes_at(pair, primary.endpoint)
    sides = found.reference, found.other
    return Sensitivity(
        paired_t=SeedTTest(**asdict(paired.paired_t([seed.delta for seed in primary.by_seed]))),
        bootstrap=BootstrapEstimate(**asdict(crossed_bootstrap(*sides))),
        mixed_logit=OddsRatio(**asdict(mixed_logit(*sides))),
    )


def _corrected(rows: Sequence[ResultRow]) -> tuple[ResultRow, ...]:
    tested = [row.p_value for row in rows if row.role != EXPLORATORY]
    p_holm = iter(paired.holm(tested))
    return tuple(row if row.role == EXPLORATORY else row.model_copy(update={"p_holm": next(p_holm)}) for row in rows)


def _seed_row(seed: int, reference: Outcomes, other: Outcomes, clusters: Clusters | None) -> SeedRow:
    if reference.dtype != bool:
        found = difference(reference[None], other[None], clusters)
        return SeedRow(
            seed=seed,
            reference=float(reference.mean()),
            other=float(other.mean()),
            delta=found.delta,
            interval=found.interval,
            p_value=found.p_value,
            counts=None,
        )
    counts = PairedCounts.of_arrays(reference, other)
    return SeedRow(
        seed=seed,
        reference=counts.accuracies[0],
        other=counts.accuracies[1],
        delta=counts.delta,
        interval=_one_seed_interval(counts, reference, other, clusters),
        p_value=one_seed_p_value(reference, other, clusters),
        counts=OutcomeCounts(**asdict(counts)),
    )


def _one_seed_interval(
    counts: PairedCounts, reference: Outcomes, other: Outcomes, clusters: Clusters | None
) -> Interval:
    """Return Newcombe's interval; with clusters, as far as that or the cluster-robust one reaches on each side."""
    low, high = paired.paired_interval(counts)
    if clusters is None or len(np.unique(clusters)) < 2:
        return low, high
    robust = crossed_difference(reference, other, clusters).interval()
    return (low, high) if robust is None else (max(min(low, robust[0]), -1.0), min(max(high, robust[1]), 1.0))


def _one_seed_values(found: PairedOutcomes, margin: float) -> Compared:
    sides = found.reference[0], found.other[0]
    means = [Accuracy(accuracy=float(side.mean()), interval=_over_items(side), sd=None) for side in sides]
    compared = difference(found.reference, found.other, found.clusters)
    equivalence = None
    if margin > 0 and found.num_clusters > 1:
        equivalence = _equivalence(equivalent_runs(crossed_difference(*sides, found.clusters), margin))
    return Compared(
        reference=means[0],
        other=means[1],
        delta=compared.delta,
        delta_sd=None,
        interval=compared.interval,
        p_value=compared.p_value,
        test=T_TEST if found.clusters is None else T_TEST_CLUSTERS,
        equivalence=equivalence,
    )


def _over_items(values: Outcomes) -> Interval:
    if len(values) < 2:  # one item says nothing about others
        return float(values[0]), float(values[0])
    low, high = paired.t_interval(values.tolist())
    return max(low, 0.0), high


def _one_seed(found: PairedOutcomes, margin: float) -> Compared:
    counts = PairedCounts.of_arrays(found.reference[0], found.other[0])
    n, right = counts.num_items, (counts.both + counts.reference_only, counts.both + counts.other_only)
    reference, other = (
        Accuracy(accuracy=num_right / n, interval=paired.wilson_interval(num_right, n), sd=None) for num_right in right
    )
    sides = found.reference[0], found.other[0]
    equivalence = None
    if margin > 0 and found.clusters is None:
        equivalence = _equivalence(equivalent_items(counts, margin))
    elif margin > 0 and found.num_clusters > 1:
        equivalence = _equivalence(equivalent_runs(crossed_difference(*sides, found.clusters), margin))
    return Compared(
        reference=reference,
        other=other,
        delta=counts.delta,
        delta_sd=None,
        interval=_one_seed_interval(counts, *sides, found.clusters),
        p_value=tested(found),
        test=MCNEMAR if found.clusters is None else SIGN,
        equivalence=equivalence,
    )


def _several_seeds(found: PairedOutcomes, margin: float) -> Compared:
    largest = math.inf if found.are_values else 1.0
    accuracies = [_over_seeds(side.mean(axis=1).tolist(), largest) for side in (found.reference, found.other)]
    deltas = (found.other.mean(axis=1) - found.reference.mean(axis=1)).tolist()
    delta_sd = paired.mean_sd(deltas)[1]
    test = CROSSED if found.clusters is None else CROSSED_CLUSTERS
    if found.num_clusters < 2:  # one item says nothing about other questions
        return Compared(accuracies[0], accuracies[1], float(np.mean(deltas)), delta_sd, None, None, test, None)
    estimate = crossed_difference(found.reference, found.other, found.clusters)
    return Compared(
        reference=accuracies[0],
        other=accuracies[1],
        delta=min(max(estimate.value, -largest), largest),  # rounding can exceed them
        delta_sd=delta_sd,
        interval=estimate.interval() if found.are_values else within_one(estimate.interval()),
        p_value=tested(found),
        test=test,
        equivalence=_equivalence(equivalent_runs(estimate, margin)) if margin > 0 else None,
    )


def _equivalence(found: Equivalence) -> EquivalenceTest:
    return EquivalenceTest(**asdict(found))


def _over_seeds(accuracies: list[float], largest: float) -> Accuracy:
    mean, sd = paired.mean_sd(accuracies)
    low, high = paired.t_interval(accuracies)
    return Accuracy(accuracy=mean, interval=(max(low, 0.0), min(high, largest)), sd=sd)
