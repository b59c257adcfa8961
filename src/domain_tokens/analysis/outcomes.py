"""The result rows: one for each model, task, metric and group of items."""

from dataclasses import asdict
from typing import Any

from domain_tokens.analysis import statistics
from domain_tokens.analysis.results import ALL_ITEMS, METRICS, MODELS, Condition
from domain_tokens.analysis.statistics import PairedCounts


def result_rows(reference: Condition, other: Condition) -> list[dict[str, Any]]:
    """Return a row for every model, task, metric and group; accuracies and differences are fractions of 1.

    `p_holm` corrects a row's p-value for the number of rows other than the primary one. The primary row was declared
    before the results were seen and needs no correction: its `p_holm` is `None`.
    """
    first = next(iter(reference.seeds.values()))
    primary = primary_endpoint(reference)
    rows = []
    for (model, task), evaluation in first.evaluations.items():
        for metric, key in METRICS[task].items():
            # The second metric of a task is a detail of the first and is shown for all items together only.
            groups = evaluation.groups() if metric == next(iter(METRICS[task])) else [ALL_ITEMS]
            for group in groups:
                pairs = {
                    seed: PairedCounts.of(
                        run.evaluations[model, task].outcomes(key, group),
                        other.seeds[seed].evaluations[model, task].outcomes(key, group),
                    )
                    for seed, run in reference.seeds.items()
                }
                place = {"model": model, "task": task, "metric": metric, "group": group}
                rows.append(place | {"primary": place == primary} | _row(pairs))
    looks = [row for row in rows if not row["primary"]]
    for row, corrected in zip(looks, statistics.holm([row["p_value"] for row in looks]), strict=True):
        row["p_holm"] = corrected
    return rows


def primary_endpoint(reference: Condition) -> dict[str, str]:
    """Return the one comparison that the verdict rests on.

    It is GSM8K accuracy of the last model in training order that was evaluated; if that model has no GSM8K results,
    arithmetic accuracy, then HellaSwag's `acc_norm`. The rule reads which files exist, never what they say.
    """
    evaluations = next(iter(reference.seeds.values())).evaluations
    model = max((model for model, _ in evaluations), key=MODELS.index)
    task = next(task for task in METRICS if (model, task) in evaluations)
    return {"model": model, "task": task, "metric": next(iter(METRICS[task])), "group": ALL_ITEMS}


def _row(pairs: dict[int, PairedCounts]) -> dict[str, Any]:
    by_seed = [
        {
            "seed": seed,
            "reference": counts.accuracies[0],
            "other": counts.accuracies[1],
            "delta": counts.delta,
            "interval": statistics.paired_interval(counts),
            "p_value": statistics.mcnemar_exact(counts),
            "counts": asdict(counts),
        }
        for seed, counts in pairs.items()
    ]
    if len(pairs) == 1:
        return _pilot(next(iter(pairs.values()))) | {"p_holm": None, "by_seed": by_seed}
    test = statistics.paired_t([counts.delta for counts in pairs.values()])
    return {
        "num_items": next(iter(pairs.values())).num_items,
        "reference": _over_seeds([counts.accuracies[0] for counts in pairs.values()]),
        "other": _over_seeds([counts.accuracies[1] for counts in pairs.values()]),
        "delta": test.mean,
        "delta_sd": test.sd,
        "interval": test.interval,
        "p_value": test.p_value,
        "test": "paired t over seeds",
        "smallest_detectable": test.smallest_detectable,
        "p_holm": None,
        "by_seed": by_seed,
    }


def _pilot(counts: PairedCounts) -> dict[str, Any]:
    n, right = counts.num_items, (counts.both + counts.reference_only, counts.both + counts.other_only)
    reference, other = (
        {"accuracy": num_right / n, "interval": statistics.wilson_interval(num_right, n), "sd": None}
        for num_right in right
    )
    return {
        "num_items": n,
        "reference": reference,
        "other": other,
        "delta": counts.delta,
        "delta_sd": None,
        "interval": statistics.paired_interval(counts),
        "p_value": statistics.mcnemar_exact(counts),
        "test": "exact McNemar",
        "smallest_detectable": statistics.smallest_detectable(counts),
    }


def _over_seeds(accuracies: list[float]) -> dict[str, Any]:
    mean, sd = statistics.mean_sd(accuracies)
    low, high = statistics.t_interval(accuracies)
    return {"accuracy": mean, "interval": (max(low, 0.0), min(high, 1.0)), "sd": sd}
