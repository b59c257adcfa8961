"""Matches the questions of all runs of a task, and takes the scores of one metric out of them."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain_tokens.analysis.measures.outcomes import Clusters, Outcomes
from domain_tokens.analysis.report.formats import listed, printable
from domain_tokens.analysis.statistics.crossed import are_truth_values
from domain_tokens.logs.runs import Run
from domain_tokens.logs.table import Item, TaskLog, is_number
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.errors import suggest

_EXAMPLES: Final = 3
_HIGHEST: Final = 1e100  # the squares of much higher scores are no finite numbers
_SHOWN: Final = 60  # characters of a question in a message


@dataclass(frozen=True)
class Matched:
    """A task's questions in one order for all runs, with the scores of a metric.

    Attributes:
        task, metric: what is compared.
        items: each run's questions, in the order of the first run, by the run's condition and seed.
        scores: shape (num_items,), by condition and seed; right or wrong for all runs, or values for all.
        clusters: copies of a question are one; `None` if there are none.
    """

    task: str
    metric: str
    items: Mapping[tuple[str, str], Sequence[Item]]
    scores: Mapping[tuple[str, str], Outcomes]
    clusters: Clusters | None

    def of(self, condition: str) -> Outcomes:
        """Return a condition's scores, shape (num_seeds, num_items), in the order of the seeds' names."""
        keys = sorted((key for key in self.scores if key[0] == condition), key=lambda key: seed_order(key[1]))
        return np.array([self.scores[key] for key in keys])


def seed_order(seed: str) -> tuple[float, str]:
    """Return what seeds are sorted by: numbers as numbers, before other names."""
    return (float(seed) if seed.isdecimal() else math.inf, seed)


def choose_metric(runs: Sequence[Run], task: str, wanted: Sequence[str]) -> str:
    """Return the metric of a task: the only one, or the one among `wanted` that it has.

    A metric with a filter may be named without it where it has one filter only. A metric that is a number in no item
    does not count.

    Raises:
        RecipeError: if it has several and none was chosen, or not the chosen one, or several chosen ones.
    """
    there = runs[0].logs[task].metrics
    if not there:
        every = list(dict.fromkeys(name for item in runs[0].logs[task].items for name in item.scores))
        shown = f" ({listed(every)} are no numbers)" if every else ""
        raise RecipeError(f"{runs[0].logs[task].path}: has no score of single questions{shown}; nothing to compare")
    if not wanted:
        if len(there) == 1:
            return there[0]
        raise RecipeError(f"{task} has the metrics {listed(there)}; choose one with --metric")
    chosen = [name for name in there if name in wanted]
    chosen = chosen or [name for name in there if _base(name) in wanted]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        raise RecipeError(f"--metric {' --metric '.join(wanted)}: {task} has {listed(chosen)}; expected one of them")
    close = suggest(wanted[0], list(there))
    raise RecipeError(f"--metric {' --metric '.join(wanted)}: {task} has {listed(there)}{close}; expected one of them")


def choose_metrics(runs: Sequence[Run], tasks: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return the metric of each task, as `choose_metric` does; what is refused is said of all tasks at once."""
    chosen, refused = [], []
    for task in tasks:
        try:
            chosen.append(choose_metric(runs, task, wanted))
        except RecipeError as error:
            refused.append(str(error))
    if refused:
        raise RecipeError(". ".join(refused))
    return chosen


def metric_units(matched: Sequence[Matched]) -> list[str | None]:
    """Return the unit of each task's metric: `None`, for percentages, if no score in any task is above 1.

    It is decided for a metric over all tasks and filters, so that a task with low scores has the unit of the others.
    """
    largest: dict[str, float] = {}
    for one in matched:
        highest = max(float(scores.max()) for scores in one.scores.values())
        largest[_base(one.metric)] = max(highest, largest.get(_base(one.metric), 0.0))
    return [None if largest[_base(one.metric)] <= 1 else one.metric for one in matched]


def _base(metric: str) -> str:
    """Return a metric without its filter."""
    return metric.partition(",")[0]


def match(runs: Sequence[Run], task: str, metric: str) -> Matched:
    """Return the questions of all runs in one order, with their scores.

    Raises:
        RecipeError: if a question is in one run and not in another, if copies of a question have different scores, or
            if a score is no number. Nothing is left out.
    """
    by_key = {(run.named.condition, run.named.seed): _by_key(run, task, metric) for run in runs}
    first = next(iter(by_key.values()))
    _check_matched(runs, task, by_key)
    items = {key: [found[name] for name in first] for key, found in by_key.items()}
    values = {
        (run.named.condition, run.named.seed): _scores(
            run, run.logs[task], metric, items[run.named.condition, run.named.seed]
        )
        for run in runs
    }
    if min(found.min() for found in values.values()) < 0:
        raise RecipeError(f"{task}: {metric} has scores below 0; expected scores from 0 up, such as right and wrong")
    if (highest := max(found.max() for found in values.values())) > _HIGHEST:
        raise RecipeError(f"{task}: {metric} has a score of {highest:g}; expected scores of at most {_HIGHEST:g}")
    are_right_or_wrong = are_truth_values(*values.values())
    scores: dict[tuple[str, str], Outcomes] = {
        key: found.astype(bool) if are_right_or_wrong else found for key, found in values.items()
    }
    return Matched(task, metric, items, scores, _clusters([name for name, _ in first]))


def _clusters(keys: Sequence[str]) -> Clusters | None:
    if len(set(keys)) == len(keys):
        return None
    groups: NDArray[np.int64] = np.unique(keys, return_inverse=True)[1]
    return groups


def _by_key(run: Run, task: str, metric: str) -> dict[tuple[str, int], Item]:
    """Return a run's questions by their hash and, of copies, a number."""
    found: dict[tuple[str, int], Item] = {}
    copies: Counter[str] = Counter()
    for item in run.logs[task].items:
        first = found.get((item.key, 0))
        if first is not None and first.scores.get(metric) != item.scores.get(metric):
            raise RecipeError(
                f"{run.logs[task].path}: the questions {first.name} and {item.name} are the same "
                f"({_words(item)}), with the target {printable(item.target)!r}, and their {metric} differs: "
                f"{first.scores.get(metric)} and {item.scores.get(metric)}. Which of them belongs to which copy in "
                "another log cannot be told; keep one copy in every log"
            )
        found[item.key, copies[item.key]] = item
        copies[item.key] += 1
    return found


def _check_matched(
    runs: Sequence[Run], task: str, by_key: Mapping[tuple[str, str], Mapping[tuple[str, int], Item]]
) -> None:
    every = set().union(*by_key.values())
    shared = set(every).intersection(*by_key.values())
    if len(shared) == len(every):
        return
    counts = []
    for run in runs:
        found = by_key[run.named.condition, run.named.seed]
        counts.append(f"{run.named.words} {len(found.keys() - shared)} of {len(found)}")
    examples = [
        f"{run.named.words}, {item.name}: {_words(item)} -> {printable(item.target)[:_SHOWN]!r}"
        for run in runs
        for key, item in by_key[run.named.condition, run.named.seed].items()
        if key not in shared
    ]
    raise RecipeError(
        f"{task}: questions that are not in every run: {', '.join(counts)}. Such as "
        f"{'; '.join(examples[:_EXAMPLES])}. "
        "A question is matched by the hash of its text, as it was asked, and its target; expected none without a "
        "partner: evaluate all runs with the same items, examples in the prompt, template and version of the task"
    )


def _words(item: Item) -> str:
    """Return the end of a question, which tells more than the examples before it."""
    text = printable(" ".join(item.question.split()))
    return repr(text if len(text) <= _SHOWN else f"...{text[-_SHOWN:]}")


def _scores(run: Run, log: TaskLog, metric: str, items: Sequence[Item]) -> NDArray[np.float64]:
    for item in items:
        score = item.scores.get(metric, "no score")
        if not is_number(score):
            raise RecipeError(
                f"{log.path}: {printable(item.name)}: {printable(metric)} is {score}; expected a number for every "
                f"question of {run.named.words}. Score it, or choose another of {listed(log.metrics)} with --metric"
            )
    return np.array([item.scores[metric] for item in items], dtype=float)
