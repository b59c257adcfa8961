"""The difference by how many products of the table an item's gold solution needs."""

from collections.abc import Callable
from functools import partial

import numpy as np

from domain_tokens.analysis.measures.outcomes import item_clusters, outcomes
from domain_tokens.analysis.results_model import Contrast, FactsNeededRow, StratumRow
from domain_tokens.analysis.statistics.crossed import Estimate
from domain_tokens.analysis.statistics.strata import Stratum, difference_in_differences, slope, strata
from domain_tokens.runs.records import GenerativeItem
from domain_tokens.runs.results import EvaluatedTask, Pair


def facts_needed_rows(pair: Pair) -> tuple[FactsNeededRow, ...]:
    """Return the strata and their contrasts for every model and task whose items say which facts they need.

    Tasks of which fewer than two items need a fact, or fewer than two need none, are left out.
    """
    rows = []
    for (model, task), evaluation in pair.first_run.plain().items():
        counts = _counts(evaluation)
        if counts is None or min((counts > 0).sum(), (counts == 0).sum()) < 2:
            continue
        sides = outcomes(pair, model, task, next(iter(evaluation.outcome_keys.values())))
        clusters = item_clusters(pair, model, task)
        row = FactsNeededRow(
            model=model,
            task=task,
            strata=tuple(map(_stratum, strata(*sides, counts, clusters=clusters))),
            excess=_contrast(_fitted(partial(difference_in_differences, *sides, counts > 0, clusters))),
            slope=_contrast(_fitted(partial(slope, *sides, counts, clusters=clusters))),
        )
        rows.append(row)
    return tuple(rows)


def _counts(evaluation: EvaluatedTask) -> np.ndarray | None:
    """Return how many facts each item needs, or `None` if an item does not say."""
    counts = []
    for item in evaluation.items.values():
        if not isinstance(item, GenerativeItem) or item.facts_needed is None:
            return None
        counts.append(len(item.facts_needed))
    return np.array(counts)


def _stratum(stratum: Stratum) -> StratumRow:
    return StratumRow(
        count=stratum.count,
        num_items=stratum.num_items,
        reference=stratum.reference,
        other=stratum.other,
        delta=stratum.other - stratum.reference,
        interval=None if stratum.difference is None else stratum.difference.interval(),
    )


def _fitted(fit: Callable[[], Estimate]) -> Estimate | None:
    try:
        return fit()
    except ValueError:  # some count occurs in one cluster alone: a line through it would have no error
        return None


def _contrast(estimate: Estimate | None) -> Contrast | None:
    if estimate is None:
        return None
    return Contrast(value=estimate.value, interval=estimate.interval(), p_value=estimate.p_value())
