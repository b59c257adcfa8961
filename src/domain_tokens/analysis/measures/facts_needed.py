"""Where the difference lies: items whose gold solution needs products of the table against the rest."""

from typing import Any

import numpy as np

from domain_tokens.analysis.measures.accuracy import outcomes
from domain_tokens.analysis.measures.strata import difference_in_differences, slope, strata
from domain_tokens.analysis.statistics.crossed import Estimate
from domain_tokens.runs.records import GenerativeItem
from domain_tokens.runs.results import Condition


def need_rows(reference: Condition, other: Condition) -> list[dict[str, Any]]:
    """Return, for every model and task whose items say which facts they need, the strata and their contrasts.

    Each row has `model`, `task`, `strata` (one a number of facts needed: `count`, `num_items`, both accuracies,
    `delta`, `interval`), `excess` (by how much the difference of the items that need facts exceeds that of the others)
    and `slope` (by how much it grows a fact), the last two with `value`, `interval` and `p_value`, as fractions of 1.
    Tasks of which fewer than two items need a fact, or fewer than two need none, are left out.
    """
    rows = []
    for (model, task), evaluation in next(iter(reference.seeds.values())).plain().items():
        needed = [item.facts_needed for item in evaluation.items.values() if isinstance(item, GenerativeItem)]
        counts = np.array([len(pairs) for pairs in needed if pairs is not None])
        if len(counts) < len(evaluation.items):
            continue
        if min((counts > 0).sum(), (counts == 0).sum()) < 2:
            continue
        sides = outcomes(reference, other, model, task, next(iter(evaluation.outcome_keys.values())))
        rows.append(
            {
                "model": model,
                "task": task,
                "strata": [
                    {
                        "count": stratum.count,
                        "num_items": stratum.num_items,
                        "reference": stratum.reference,
                        "other": stratum.other,
                        "delta": stratum.other - stratum.reference,
                        "interval": None if stratum.difference is None else stratum.difference.interval(),
                    }
                    for stratum in strata(*sides, counts)
                ],
                "excess": _contrast(difference_in_differences(*sides, counts > 0)),
                "slope": _contrast(_slope(*sides, counts)),
            }
        )
    return rows


def _slope(reference: np.ndarray, other: np.ndarray, counts: np.ndarray) -> Estimate | None:
    try:
        return slope(reference, other, counts)
    except ValueError:  # some count occurs once: a line through it would have no error
        return None


def _contrast(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    return {"value": estimate.value, "interval": estimate.interval(), "p_value": estimate.p_value()}
