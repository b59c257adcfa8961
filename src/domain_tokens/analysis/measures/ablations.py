"""Does a model use its tokens? What accuracy is lost when they are taken away or exchanged; and drawn answers."""

from statistics import fmean
from typing import Any

from domain_tokens.analysis.measures.accuracy import outcomes
from domain_tokens.analysis.statistics.crossed import crossed_difference
from domain_tokens.analysis.statistics.paired import PairedCounts, mcnemar_exact, paired_interval
from domain_tokens.runs.layout import Mode
from domain_tokens.runs.results import Condition


def ablation_rows(reference: Condition, other: Condition) -> list[dict[str, Any]]:
    """Return, for every task that was run without its tokens too, the accuracy and what was lost, in each condition.

    Each row has `model`, `task`, `way`, and for `reference` and `other`: `plain` and `ablated` accuracy, `delta`
    (ablated less plain), `interval` and `p_value`, as fractions of 1. Ids that no text of a condition produces are
    forbidden and exchanged there as well, which has to change nothing.
    """
    rows = []
    for (model, name), evaluation in next(iter(reference.seeds.values())).evaluations.items():
        if evaluation.mode in (Mode.PLAIN, Mode.SAMPLED):
            continue
        key = next(iter(evaluation.outcome_keys.values()))
        ours = outcomes(reference, other, model, evaluation.task, key), outcomes(reference, other, model, name, key)
        sides = {side: _lost(ours[0][place], ours[1][place]) for place, side in enumerate(("reference", "other"))}
        rows.append({"model": model, "task": evaluation.task, "way": evaluation.mode.value} | sides)
    return rows


def sample_rows(reference: Condition, other: Condition) -> list[dict[str, Any]]:
    """Return pass@k and maj@k of every task that was answered several times: means over seeds, as fractions of 1."""
    rows = []
    for place, evaluation in next(iter(reference.seeds.values())).evaluations.items():
        if evaluation.mode == Mode.SAMPLED:
            rows += [
                {
                    "model": place[0],
                    "task": evaluation.task,
                    "metric": metric,
                    "reference": _mean(reference, place, metric),
                    "other": _mean(other, place, metric),
                }
                for metric in evaluation.result.metrics
                if "@" in metric
            ]
    return rows


def _lost(plain: Any, ablated: Any) -> dict[str, Any]:
    if len(plain) == 1:
        counts = PairedCounts.of_arrays(plain[0], ablated[0])
        found = {"interval": paired_interval(counts), "p_value": mcnemar_exact(counts)}
    else:
        estimate = crossed_difference(plain, ablated)
        same = not (plain != ablated).any()
        found = {"interval": estimate.interval(), "p_value": 1.0 if same else estimate.p_value()}
    return {
        "plain": float(plain.mean()),
        "ablated": float(ablated.mean()),
        "delta": float(ablated.mean() - plain.mean()),
    } | found


def _mean(condition: Condition, place: tuple[str, str], metric: str) -> float:
    return fmean(run.evaluations[place].result.metrics[metric] for run in condition.seeds.values())
