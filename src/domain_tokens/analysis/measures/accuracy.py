"""The result rows: one for each model, task, metric and group of items."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from domain_tokens.analysis.family import Family
from domain_tokens.analysis.measures.outcomes import (
    Clusters,
    Outcomes,
    PairedOutcomes,
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
    return _corrected(rows)


def result_row(pair: Pair, endpoint: Endpoint, declared: Preregistration, family: Family) -> ResultRow:
    """Return both accuracies at one endpoint, their difference, its interval and its tests, without `p_holm`."""
    found = outcomes_at(pair, endpoint)
    counts = [PairedCounts.of_arrays(*runs) for runs in zip(found.reference, found.other, strict=True)]
    margin = declared.margin_at(float(found.reference.mean()))
    comparison = _one_seed(found, counts[0], margin) if len(counts) == 1 else _several_seeds(found, counts, margin)
    role = declared.role(endpoint)
    smallest = None
    if found.num_clusters > 1:
        smallest = detectable(found.reference, found.other, family.level(pair, role), declared.power, found.clusters)
    return ResultRow(
        **endpoint.model_dump(),
        role=role,
        num_items=found.reference.shape[1],
        num_clusters=found.num_clusters,
        **vars(comparison),
        smallest_detectable=None if smallest is None else smallest.value,
        detectable_range=None if smallest is None or len(counts) == 1 else (smallest.low, smallest.high),
        p_holm=None,
        p_family=family.p_value(pair, endpoint),
        by_seed=tuple(
            _seed_row(seed, pair_of_runs, first, second, found.clusters)
            for seed, pair_of_runs, first, second in zip(pair.seeds, counts, found.reference, found.other, strict=True)
        ),
        source=pair.first_run.evaluations[endpoint.model, endpoint.task].result.source,
        prompts=prompt_counts(pair, endpoint.model, endpoint.task, endpoint.group),
    )


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


def _seed_row(
    seed: int, counts: PairedCounts, reference: Outcomes, other: Outcomes, clusters: Clusters | None
) -> SeedRow:
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


def _one_seed(found: PairedOutcomes, counts: PairedCounts, margin: float) -> _Comparison:
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
    return _Comparison(
        reference=reference,
        other=other,
        delta=counts.delta,
        delta_sd=None,
        interval=_one_seed_interval(counts, *sides, found.clusters),
        p_value=tested(found),
        test=MCNEMAR if found.clusters is None else SIGN,
        equivalence=equivalence,
    )


def _several_seeds(found: PairedOutcomes, counts: list[PairedCounts], margin: float) -> _Comparison:
    accuracies = [_over_seeds([seed.accuracies[side] for seed in counts]) for side in (0, 1)]
    deltas = [seed.delta for seed in counts]
    delta_sd = paired.mean_sd(deltas)[1]
    test = CROSSED if found.clusters is None else CROSSED_CLUSTERS
    if found.num_clusters < 2:  # one item says nothing about other questions
        return _Comparison(accuracies[0], accuracies[1], float(np.mean(deltas)), delta_sd, None, None, test, None)
    estimate = crossed_difference(found.reference, found.other, found.clusters)
    return _Comparison(
        reference=accuracies[0],
        other=accuracies[1],
        delta=min(max(estimate.value, -1.0), 1.0),  # rounding can exceed them
        delta_sd=delta_sd,
        interval=within_one(estimate.interval()),
        p_value=tested(found),
        test=test,
        equivalence=_equivalence(equivalent_runs(estimate, margin)) if margin > 0 else None,
    )


def _equivalence(found: Equivalence) -> EquivalenceTest:
    return EquivalenceTest(**asdict(found))


def _over_seeds(accuracies: list[float]) -> Accuracy:
    mean, sd = paired.mean_sd(accuracies)
    low, high = paired.t_interval(accuracies)
    return Accuracy(accuracy=mean, interval=(max(low, 0.0), min(high, 1.0)), sd=sd)
