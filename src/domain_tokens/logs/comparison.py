"""The comparison of conditions by their logs: read, match, test, put into words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from domain_tokens.analysis.measures.accuracy import Compared, compare_outcomes
from domain_tokens.analysis.measures.outcomes import Outcomes, PairedOutcomes, difference, within_one
from domain_tokens.analysis.report.formats import Scale
from domain_tokens.analysis.statistics.paired import ALPHA, POWER, Interval, holm
from domain_tokens.analysis.statistics.power import detectable
from domain_tokens.logs.matching import Matched, choose_metrics, match, metric_units, seed_order
from domain_tokens.logs.notes import check_copies, check_own, notes
from domain_tokens.logs.records import (
    DIFFER,
    EQUIVALENT,
    UNDECIDED,
    LogComparison,
    Outcome,
    ReadLog,
    SeedDifference,
    SplitQuestion,
    TaskDifference,
)
from domain_tokens.logs.runs import Named, Run, check_named, read_runs
from domain_tokens.logs.words import headline, sentence
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import sha256_file

_MOST_QUESTIONS: Final = 10


@dataclass(frozen=True)
class Options:
    """What is compared and how.

    Attributes:
        reference: the condition that is subtracted; the first named one if not given.
        tasks: the tasks; all of the logs if empty.
        metrics: the metrics among which each task has one; may be empty if each task has one metric only.
        margin: a smaller difference does not matter: percentage points for scores from 0 to 1, otherwise in the unit
            of the metric; `None` tests no equivalence.
    """

    reference: str | None = None
    tasks: Sequence[str] = ()
    metrics: Sequence[str] = ()
    margin: float | None = None


def compare_logs(named: Sequence[Named], options: Options) -> LogComparison:
    """Compare conditions by the logs of their runs.

    Args:
        named (`Sequence[Named]`): the runs.
        options (`Options`): what is compared and how.

    Returns:
        `LogComparison`: what `comparison.json` holds.

    Raises:
        RecipeError: if a log cannot be read or is not whole, or if runs and questions cannot be paired.
    """
    reference = check_named(named, options.reference)
    runs = read_runs(named, options.tasks)
    tasks = list(dict.fromkeys(options.tasks)) or list(runs[0].logs)
    metrics = choose_metrics(runs, tasks, options.metrics)
    matched = [match(runs, task, metric) for task, metric in zip(tasks, metrics, strict=True)]
    logs = [_read_log(run, one) for one in matched for run in runs]
    check_own(logs)
    check_copies(logs)
    others = [name for name in dict.fromkeys(one.condition for one in named) if name != reference]
    num_tests = len(matched) * len(others)
    units = metric_units(matched)
    pairs = [
        _Pair(one, reference, other, _lower_is_better(runs, one), unit)
        for one, unit in zip(matched, units, strict=True)
        for other in others
    ]
    differences = _tested(pairs, options.margin, num_tests)
    return LogComparison(
        reference=reference,
        conditions=tuple(others),
        num_runs=len(differences[0].by_seed),
        headline=headline(differences, reference),
        margin=options.margin,
        num_tests=num_tests,
        differences=tuple(differences),
        notes=tuple(notes(runs, matched, logs, _margins(pairs, options.margin))),
        logs=tuple(logs),
        questions=tuple(question for pair in pairs for question in _split(pair)),
    )


@dataclass(frozen=True)
class _Pair:
    """A condition and the reference in one task; the unit is `None` for scores that are shown as percentages."""

    matched: Matched
    reference: str
    other: str
    lower_is_better: bool
    unit: str | None

    @property
    def outcomes(self) -> PairedOutcomes:
        sides = self.matched.of(self.reference), self.matched.of(self.other)
        if self.unit is not None:  # 0 and 1 of a metric that goes beyond are values, not right and wrong
            sides = sides[0].astype(float), sides[1].astype(float)
        return PairedOutcomes(*sides, self.matched.clusters)

    @property
    def seeds(self) -> list[tuple[str, str]]:
        """The names of each pair of runs."""
        by_side = [
            sorted((seed for name, seed in self.matched.scores if name == side), key=seed_order)
            for side in (self.reference, self.other)
        ]
        return list(zip(*by_side, strict=True))


def _lower_is_better(runs: Sequence[Run], matched: Matched) -> bool:
    names = {matched.metric, matched.metric.partition(",")[0]}
    return any(names & run.logs[matched.task].lower_is_better for run in runs)


def _tested(pairs: Sequence[_Pair], margin: float | None, num_tests: int) -> list[TaskDifference]:
    """Return the result of each pair, with Holm's correction over all of them."""
    found = [compare_outcomes(pair.outcomes, _margin(pair, margin)) for pair in pairs]
    corrected = holm([1.0 if one.p_value is None else one.p_value for one in found])
    return [
        _difference(pair, one, None if one.p_value is None else p_holm, num_tests)
        for pair, one, p_holm in zip(pairs, found, corrected, strict=True)
    ]


def _margin(pair: _Pair, margin: float | None) -> float:
    """Return the margin in the unit of the scores; 0 if there is none."""
    if margin is None:
        return 0.0
    if pair.unit is None and margin >= 100:
        raise RecipeError(f"--margin {margin:g}: expected percentage points below 100 for {pair.matched.metric}")
    return margin / 100 if pair.unit is None else margin


def _margins(pairs: Sequence[_Pair], margin: float | None) -> dict[str, str]:
    """Return the margin of each metric in words; none without a margin."""
    scales = {pair.matched.metric: (Scale(pair.unit), pair) for pair in pairs if margin is not None}
    return {metric: f"{scale.size(_margin(pair, margin))} {scale.word}" for metric, (scale, pair) in scales.items()}


def _difference(pair: _Pair, found: Compared, p_holm: float | None, num_tests: int) -> TaskDifference:
    outcomes = pair.outcomes
    smallest = None
    if outcomes.num_clusters > 1:
        smallest = detectable(outcomes.reference, outcomes.other, ALPHA / num_tests, POWER, outcomes.clusters)
    result = TaskDifference(
        task=pair.matched.task,
        metric=pair.matched.metric,
        condition=pair.other,
        num_items=outcomes.reference.shape[1],
        num_clusters=outcomes.num_clusters,
        unit=pair.unit,
        lower_is_better=pair.lower_is_better,
        reference=found.reference,
        other=found.other,
        delta=found.delta,
        interval=_cut(pair, found.interval),
        test=found.test,
        p_value=found.p_value,
        p_holm=p_holm,
        smallest_detectable=None if smallest is None else smallest.value,
        detectable_range=None if smallest is None or outcomes.num_seeds == 1 else (smallest.low, smallest.high),
        equivalence=found.equivalence,
        by_seed=_by_seed(pair, outcomes),
        outcome=_outcome(found, p_holm, num_tests),
        sentence="",
    )
    return result.model_copy(update={"sentence": sentence(result, pair.reference, num_tests)})


def _cut(pair: _Pair, interval: Interval | None) -> Interval | None:
    """Cut the interval of a difference to what scores from 0 to 1 can differ by."""
    return within_one(interval) if pair.unit is None else interval


def _outcome(found: Compared, p_holm: float | None, num_tests: int) -> Outcome:
    """Return the decision: a difference stands, whatever the margin."""
    if p_holm is not None and p_holm < ALPHA:
        return DIFFER
    within = None if found.equivalence is None else found.equivalence.p_value
    return EQUIVALENT if within is not None and within < ALPHA / num_tests else UNDECIDED


def _by_seed(pair: _Pair, outcomes: PairedOutcomes) -> tuple[SeedDifference, ...]:
    rows = []
    for seeds, first, second in zip(pair.seeds, outcomes.reference, outcomes.other, strict=True):
        one = difference(first[None], second[None], outcomes.clusters)
        rows.append(
            SeedDifference(
                seeds=seeds,
                reference=float(first.mean()),
                other=float(second.mean()),
                delta=one.delta,
                interval=_cut(pair, one.interval),
                p_value=one.p_value,
            )
        )
    return tuple(rows)


def _read_log(run: Run, matched: Matched) -> ReadLog:
    log, metric = run.logs[matched.task], matched.metric
    scores: Outcomes = matched.scores[run.named.condition, run.named.seed]
    own = log.aggregates.get(metric)
    return ReadLog(
        condition=run.named.condition,
        seed=run.named.seed,
        task=matched.task,
        path=str(log.path),
        sha256=sha256_file(log.path),
        harness=log.harness,
        version=log.version,
        model=log.model,
        metric=metric,
        num_items=len(log.items),
        mean=float(scores.mean()),
        own=None if own is None else own.value,
        own_method=None if own is None else own.method,
    )


def _split(pair: _Pair) -> list[SplitQuestion]:
    """Return the first questions of the first pair of runs of which one is answered better than the other.

    They are taken in turn from both directions, in the order of the logs, so that neither condition chooses them.
    """
    first, second = pair.seeds[0]
    sides = (pair.reference, first), (pair.other, second)
    values = [pair.matched.scores[side].astype(float) for side in sides]
    items = [pair.matched.items[side] for side in sides]
    better = [np.flatnonzero(values[0] > values[1]), np.flatnonzero(values[1] > values[0])]
    most = _MOST_QUESTIONS // 2
    shown = sorted(int(index) for found in better for index in found[:most])
    return [
        SplitQuestion(
            task=pair.matched.task,
            condition=pair.other,
            seed=first,
            question=items[0][index].question,
            target=items[0][index].target,
            reference=items[0][index].answer,
            other=items[1][index].answer,
            scores=(float(values[0][index]), float(values[1][index])),
        )
        for index in shown
        if items[0][index].answer is not None or items[1][index].answer is not None
    ]
