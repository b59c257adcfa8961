"""What a model scored by itself: one row for each task and group, for the card and for its metadata."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from huggingface_hub import EvalResult

from domain_tokens.analysis.measures.outcomes import clusters_of
from domain_tokens.analysis.report.formats import printable
from domain_tokens.analysis.report.words.names import GENERATED, first_mention
from domain_tokens.analysis.results_model import BOUNDS, REWRITTEN_SHARE
from domain_tokens.analysis.statistics.crossed import crossed_difference, crossed_mean
from domain_tokens.publishing.cards.run import DeclaredSource, TrainedModel
from domain_tokens.runs.results import ALL_ITEMS, EvaluatedTask


@dataclass(frozen=True)
class Score:
    """One metric of a model on a task's items, or on one group of them.

    Attributes:
        task, metric, group: as in `results.json`.
        source: the recorded name of the task's data.
        value: a fraction of 1, or a value in `unit`.
        interval: for other questions: of 95%, with the items of one template as a cluster; `None` if nothing varies.
        num_items: how many items.
        unit: of the value; `None` for an accuracy.
        lower_is_better: whether a lower value is better.
        with_tokenizer: whether the tokenizer rewrites more than 1% of the prompts; `None` if that was not recorded.
    """

    task: str
    metric: str
    group: str
    source: str | None
    value: float
    interval: tuple[float, float] | None
    num_items: int
    unit: str | None
    lower_is_better: bool
    with_tokenizer: bool | None

    @property
    def data(self) -> str:
        """What was asked, for a reader: never a benchmark's name for questions that were generated in its place."""
        return printable(first_mention(self.task, self.source))


def scores_of(model: TrainedModel) -> list[Score]:
    """Return the scores of a model: of each task the main metric by group, and of bits both bounds."""
    return [score for evaluation in model.evaluations for score in _scores(evaluation)]


def _scores(evaluation: EvaluatedTask) -> Iterator[Score]:
    main = evaluation.main_metric
    for group in evaluation.groups():
        yield _score(evaluation, main, group)
    if BOUNDS.get(main) in evaluation.outcome_keys:
        yield _score(evaluation, BOUNDS[main], ALL_ITEMS)


def _score(evaluation: EvaluatedTask, metric: str, group: str) -> Score:
    result, items = evaluation.result, evaluation.of_group(group)
    key = evaluation.outcome_keys[metric]
    values = np.array([[item.value(key) for item in items]])
    clusters, unit = clusters_of(items), evaluation.unit(metric)
    interval: tuple[float, float] | None = None
    if unit is None:
        interval = crossed_mean(values, clusters)[1]
    elif len(set(clusters)) > 1:
        interval = crossed_difference(
            np.zeros_like(values), values, np.unique(clusters, return_inverse=True)[1]
        ).interval()
    rewritten = [item.rewritten for item in items]
    return Score(
        task=result.task,
        metric=metric,
        group=group,
        source=result.source,
        value=float(values.mean()),
        interval=interval,
        num_items=len(items),
        unit=unit,
        lower_is_better=metric in result.lower_is_better,
        with_tokenizer=None if None in rewritten else sum(map(bool, rewritten)) > REWRITTEN_SHARE * len(items),
    )


def evaluation_results(
    scores: Sequence[Score], data: Mapping[str, DeclaredSource], commits: Mapping[str, str]
) -> list[EvalResult]:
    """Return scores as the Hub's metadata has them.

    Data that was generated is called so. Only a data set that was read from the Hub has its id there.

    Args:
        scores: of one model.
        data: the recipe's evaluation data, by source name.
        commits: the commit that was read of each source on the Hub, by source name.
    """
    return [_result(score, data.get(score.source or ""), commits) for score in scores]


def _result(score: Score, source: DeclaredSource | None, commits: Mapping[str, str]) -> EvalResult:
    named = printable(score.source or score.task)
    on_hub = source is not None and source.kind == "hub"
    group = "" if score.group == ALL_ITEMS else f", {printable(score.group)}"
    name = f"{printable(score.metric)} on {score.data}{group}"
    return EvalResult(
        task_type="text-generation",
        dataset_type=printable(str(source.path)) if source is not None and on_hub else named.replace(" ", "-"),
        dataset_name=printable(str(source.path)) if source is not None and on_hub else named,
        dataset_config=source.config if source is not None and on_hub else None,
        dataset_split=source.split if source is not None and on_hub else None,
        dataset_revision=(commits.get(source.name) or source.revision) if source is not None and on_hub else None,
        metric_type=printable(score.metric),
        metric_value=score.value,
        metric_name=name + (", lower is better" if score.lower_is_better else ""),
        metric_args={"num_items": score.num_items},
    )


def is_generated(source: str | None) -> bool:
    """Return whether questions were made by the project, by the recorded name of their data."""
    return source is not None and source.split(" ")[0] == GENERATED
