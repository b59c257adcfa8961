"""Does a model use its tokens? Accuracy lost when they are forbidden or exchanged; and sampled answers.

An ablated model works off the distribution that it was trained on. What it loses is how much it depends on its tokens
as it is, not how much the tokens have taught it.
"""

from statistics import fmean

from domain_tokens.analysis.measures.outcomes import Clusters, Outcomes, difference, item_clusters, outcomes
from domain_tokens.analysis.results_model import Ablation, AblationRow, SampleRow
from domain_tokens.runs.layout import Mode
from domain_tokens.runs.results import Condition, Pair


def ablation_rows(pair: Pair) -> tuple[AblationRow, ...]:
    """Return what each condition loses in every task that was also run with its fact tokens forbidden or exchanged.

    Ids that no text of a condition produces are forbidden and exchanged there as well, which must change nothing.
    """
    rows = []
    for (model, name), evaluation in pair.first_run.evaluations.items():
        if evaluation.mode not in (Mode.FORBIDDEN, Mode.EXCHANGED):
            continue
        key = next(iter(evaluation.outcome_keys.values()))
        plain, ablated = (outcomes(pair, model, one, key) for one in (evaluation.task, name))
        clusters = item_clusters(pair, model, name)
        reference, other = (_ablation(*side, clusters) for side in zip(plain, ablated, strict=True))
        row = AblationRow(model=model, task=evaluation.task, mode=evaluation.mode, reference=reference, other=other)
        rows.append(row)
    return tuple(rows)


def sample_rows(pair: Pair) -> tuple[SampleRow, ...]:
    """Return pass@k and maj@k of every task that was answered several times: means over seeds, as fractions of 1."""
    return tuple(
        SampleRow(
            model=key[0],
            task=evaluation.task,
            metric=metric,
            reference=_mean(pair.reference, key, metric),
            other=_mean(pair.other, key, metric),
        )
        for key, evaluation in pair.first_run.evaluations.items()
        if evaluation.mode == Mode.SAMPLED
        for metric in evaluation.result.metrics
        if "@" in metric
    )


def _ablation(plain: Outcomes, ablated: Outcomes, clusters: Clusters | None) -> Ablation:
    found = difference(plain, ablated, clusters)
    return Ablation(plain=float(plain.mean()), ablated=float(ablated.mean()), **vars(found))


def _mean(condition: Condition, key: tuple[str, str], metric: str) -> float:
    return fmean(run.evaluations[key].result.metrics[metric] for run in condition.seeds.values())
