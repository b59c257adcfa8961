"""The difference by how many products of the table an item's gold solution needs."""

import numpy as np

from domain_tokens.analysis.measures.accuracy import Outcomes, outcomes
from domain_tokens.analysis.measures.strata import Stratum, difference_in_differences, slope, strata
from domain_tokens.analysis.results_model import Contrast, FactsNeededRow, StratumRow
from domain_tokens.analysis.statistics.crossed import Estimate
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
        row = FactsNeededRow(
            model=model,
            task=task,
            strata=tuple(map(_stratum, strata(*sides, counts))),
            excess=_contrast(difference_in_differences(*sides, counts > 0)),
            slope=_contrast(_slope(*sides, counts)),
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


def _slope(reference: Outcomes, other: Outcomes, counts: np.ndarray) -> Estimate | None:
    try:
        return slope(reference, other, counts)
    except ValueError:  # some count occurs once: a line through it would have no error
        return None


def _contrast(estimate: Estimate | None) -> Contrast | None:
    if estimate is None:
        return None
    return Contrast(value=estimate.value, interval=estimate.interval(), p_value=estimate.p_value())
