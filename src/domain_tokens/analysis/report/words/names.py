"""What a reader is told that a task measures: a benchmark by its name, generated data never by a benchmark's.

A task's name says how a question is asked and scored; the data may be generated in place of the benchmark's. The name
of the data source, which every result records, tells the two apart. Results without it, written before 0.4.0, keep the
task's name, and so do the keys of the files.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from domain_tokens.analysis.results_model import INSENSITIVE, Outcome, ResultRow

GENERATED: Final = "generated"
"""The recorded source of a task that makes its own items, and the first word of that of other generated data."""


@dataclass(frozen=True)
class _StandIn:
    """What generated data is called, and the benchmark in whose place it stands."""

    name: str
    benchmark: str


_STAND_INS: Final = {
    "gsm8k": _StandIn("generated word problems", "GSM8K"),
    "gsm8k_direct": _StandIn("generated word problems with the answer begun", "GSM8K"),
    "gold_bits": _StandIn("worked solutions of generated word problems", "GSM8K"),
    "hellaswag": _StandIn("generated scenes", "HellaSwag"),
}


def task_name(task: str, source: str | None) -> str:
    """Return what tables and figures call a task.

    Args:
        task (`str`): the task's name.
        source (`str`, *optional*): the recorded name of its data source.
    """
    if not is_stand_in(source):
        return task
    return _STAND_INS[task].name if task in _STAND_INS else f"{task} ({source})"


def first_mention(task: str, source: str | None) -> str:
    """Return what a text calls a task when it first speaks of it: `generated word problems (in place of GSM8K)`."""
    name = task_name(task, source)
    return f"{name} (in place of {_STAND_INS[task].benchmark})" if is_stand_in(source) and task in _STAND_INS else name


def metric_of(task: str, metric: str, source: str | None, *, first: bool = False) -> str:
    """Return a task's metric: `gsm8k accuracy`, `accuracy on generated word problems`.

    Args:
        task, metric (`str`): the names of both.
        source (`str`, *optional*): as for `task_name`.
        first (`bool`, *optional*): whether the text has not spoken of the task before.
    """
    name = (first_mention if first else task_name)(task, source)
    return f"{task} {metric}" if name == task else f"{metric} on {name}"


class TaskNames(dict[str, str]):
    """By task, what tables and figures call it; a task that is not among them keeps its name."""

    def __missing__(self, task: str) -> str:
        return task


def task_names(sources: Mapping[str, str | None]) -> TaskNames:
    """Return what tables and figures call each task, by the recorded names of their data sources."""
    return TaskNames({task: task_name(task, source) for task, source in sources.items()})


def names_in(rows: Iterable[ResultRow]) -> TaskNames:
    """Return what tables and figures call the tasks of a comparison."""
    return task_names({row.task: row.source for row in rows})


def outcome_name(outcome: Outcome) -> str:
    """Return what a reader is told of a verdict's outcome; `insensitive`, as files have it, reads `not sensitive`."""
    return "not sensitive" if outcome == INSENSITIVE else outcome


def curve_name(metric: str, names: TaskNames) -> str:
    """Return the name of a curve's metric, `gsm8k/accuracy`, with the task called as in `names`."""
    task, slash, rest = metric.partition("/")
    shown = names[task] if slash else task
    return f"{rest} on {shown}".replace("_", " ") if shown != task else metric.replace("_", " ")


def is_stand_in(source: str | None) -> bool:
    """Return whether a data source, by its recorded name, is generated data in place of a benchmark."""
    return source is not None and source.startswith(f"{GENERATED} ")
