"""The result rows: one for each model, task, metric and group of items."""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain_tokens.analysis.preregistration import Declaration, Endpoint
from domain_tokens.analysis.statistics import paired
from domain_tokens.analysis.statistics.crossed import crossed_bootstrap, crossed_difference
from domain_tokens.analysis.statistics.equivalence import Equivalence, equivalent_items, equivalent_runs
from domain_tokens.analysis.statistics.mixed_logit import mixed_logit
from domain_tokens.analysis.statistics.paired import Interval, PairedCounts
from domain_tokens.analysis.statistics.power import detectable
from domain_tokens.runs.results import ALL_ITEMS, Condition

PRIMARY, DECLARED, EXPLORATORY = "primary", "declared", "exploratory"
CROSSED = "crossed test over seeds and items"
MCNEMAR = "exact McNemar"

Outcomes = NDArray[np.bool_]


def result_rows(reference: Condition, other: Condition, declared: Declaration) -> list[dict[str, Any]]:
    """Return a row for every model, task, metric and group; accuracies and differences are fractions of 1.

    A row's `role` is `primary`, `declared` or `exploratory`. `p_holm` corrects the p-values of the declared rows, the
    primary one among them, for their number; that of an exploratory row is `None`.
    """
    rows = []
    for (model, task), evaluation in next(iter(reference.seeds.values())).plain().items():
        for metric in evaluation.outcome_keys:
            # The further metrics of a task are details of the first and are shown for all items together only.
            groups = evaluation.groups() if metric == evaluation.main_metric else [ALL_ITEMS]
            for group in groups:
                place = Endpoint(model, task, metric, group)
                role = EXPLORATORY
                if place in declared.endpoints:
                    role = PRIMARY if place == declared.endpoints[0] else DECLARED
                rows.append({**asdict(place), "role": role, **endpoint_row(reference, other, place, declared)})
    tested = [row for row in rows if row["role"] != EXPLORATORY]
    for row, corrected in zip(tested, paired.holm([row["p_value"] for row in tested]), strict=True):
        row["p_holm"] = corrected
    return rows


def outcomes(
    reference: Condition, other: Condition, model: str, name: str, key: str, group: str = ALL_ITEMS
) -> tuple[Outcomes, Outcomes]:
    """Return both conditions' outcomes of an evaluation, right or wrong of shape (num_seeds, num_items).

    The rows are the seeds in ascending order, the columns the items in order of their ids.

    Args:
        reference, other (`Condition`): conditions of which `results.Pair` was made.
        model, name (`str`): the evaluation's key in `SeedRun.evaluations`.
        key (`str`): the item's key that says whether it is right.
        group (`str`, *optional*): a group of items.
    """
    first, second = (
        np.array([list(run.evaluations[model, name].outcomes(key, group).values()) for run in side.seeds.values()])
        for side in (reference, other)
    )
    return first, second


def further_looks(reference: Condition, other: Condition, primary: dict[str, Any]) -> dict[str, Any] | None:
    """Return the primary endpoint as other methods see it, `None` for one seed; the verdict rests on none of them.

    `paired_t` takes the questions as fixed, `bootstrap` is the crossed percentile bootstrap, `mixed_logit` an odds
    ratio; each has an `interval`, the last one a `reason` where it could not be fitted.
    """
    if len(reference.seeds) == 1:
        return None
    evaluation = next(iter(reference.seeds.values())).evaluations[primary["model"], primary["task"]]
    key = evaluation.outcome_keys[primary["metric"]]
    sides = outcomes(reference, other, primary["model"], primary["task"], key, primary["group"])
    return {
        "paired_t": asdict(paired.paired_t([seed["delta"] for seed in primary["by_seed"]])),
        "bootstrap": asdict(crossed_bootstrap(*sides)),
        "mixed_logit": asdict(mixed_logit(*sides)),
    }


def endpoint_row(reference: Condition, other: Condition, place: Endpoint, declared: Declaration) -> dict[str, Any]:
    """Return the accuracies of both conditions at one endpoint, their difference, its interval and its tests."""
    evaluation = next(iter(reference.seeds.values())).evaluations[place.model, place.task]
    sides = outcomes(reference, other, place.model, place.task, evaluation.outcome_keys[place.metric], place.group)
    return _row(*sides, list(reference.seeds), declared)


def _row(reference: Outcomes, other: Outcomes, seeds: list[int], declared: Declaration) -> dict[str, Any]:
    pairs = [PairedCounts.of_arrays(*pair) for pair in zip(reference, other, strict=True)]
    by_seed = [
        {
            "seed": seed,
            "reference": counts.accuracies[0],
            "other": counts.accuracies[1],
            "delta": counts.delta,
            "interval": paired.paired_interval(counts),
            "p_value": paired.mcnemar_exact(counts),
            "counts": asdict(counts),
        }
        for seed, counts in zip(seeds, pairs, strict=True)
    ]
    row = _one_seed(pairs[0], declared) if len(pairs) == 1 else _several_seeds(reference, other, pairs, declared)
    return {"num_items": reference.shape[1]} | row | {"p_holm": None, "by_seed": by_seed}


def _one_seed(counts: PairedCounts, declared: Declaration) -> dict[str, Any]:
    n, right = counts.num_items, (counts.both + counts.reference_only, counts.both + counts.other_only)
    reference, other = (
        {"accuracy": num_right / n, "interval": paired.wilson_interval(num_right, n), "sd": None}
        for num_right in right
    )
    return {
        "reference": reference,
        "other": other,
        "delta": counts.delta,
        "delta_sd": None,
        "interval": paired.paired_interval(counts),
        "p_value": paired.mcnemar_exact(counts),
        "test": MCNEMAR,
        "smallest_detectable": paired.smallest_detectable(counts),
        "equivalence": _equivalence(equivalent_items(counts, declared.margin)),
    }


def _several_seeds(
    reference: Outcomes, other: Outcomes, pairs: list[PairedCounts], declared: Declaration
) -> dict[str, Any]:
    accuracies = [[counts.accuracies[side] for counts in pairs] for side in (0, 1)]
    row: dict[str, Any] = {
        "reference": _over_seeds(accuracies[0]),
        "other": _over_seeds(accuracies[1]),
        "delta_sd": paired.mean_sd([counts.delta for counts in pairs])[1],
        "test": CROSSED,
    }
    if reference.shape[1] < 2:  # nothing can be said of other questions
        return row | {
            "delta": float(np.mean([counts.delta for counts in pairs])),
            "interval": None, "p_value": None, "smallest_detectable": None, "equivalence": None,
        }  # fmt: skip
    estimate = crossed_difference(reference, other)
    agree = not (reference != other).any()
    return row | {
        "delta": estimate.value,
        "interval": _within_one(estimate.interval()),
        "p_value": 1.0 if agree else estimate.p_value(),
        "smallest_detectable": detectable(reference, other),
        "equivalence": _equivalence(equivalent_runs(estimate, declared.margin)),
    }


def _within_one(interval: Interval | None) -> Interval | None:
    """Return the interval without what no difference of accuracies can be; a t interval of two seeds goes far."""
    return None if interval is None else (max(interval[0], -1.0), min(interval[1], 1.0))


def _equivalence(found: Equivalence) -> dict[str, Any]:
    return asdict(found)


def _over_seeds(accuracies: list[float]) -> dict[str, Any]:
    mean, sd = paired.mean_sd(accuracies)
    low, high = paired.t_interval(accuracies)
    return {"accuracy": mean, "interval": (max(low, 0.0), min(high, 1.0)), "sd": sd}
