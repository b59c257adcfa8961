"""What to know before one reads the numbers of a comparison of logs: settings, copies, epochs, the harness's own."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from domain_tokens.analysis.report.formats import listed, printable
from domain_tokens.logs.matching import Matched
from domain_tokens.logs.records import Note, ReadLog
from domain_tokens.logs.runs import Run
from domain_tokens.logs.table import MEAN
from domain_tokens.recipe import RecipeError

_TOLERANCE: Final = 1e-6  # harnesses and this project add floats in different orders
_MOST_CHARACTERS: Final = 200
_FEW: Final = 20


def check_own(logs: Sequence[ReadLog]) -> None:
    """Check that the mean of a log's questions is what its harness reports, where that is a mean.

    Raises:
        RecipeError: if it is not: the log is incomplete, was edited, or is of another evaluation.
    """
    for log in logs:
        if log.own_method == MEAN and log.own is not None and not _agree(log):
            raise RecipeError(
                f"{log.path}: the mean of {log.metric} over its {log.num_items} questions is {log.mean:.6g}, and "
                f"{log.harness} itself reports {log.own:.6g}: the log is not whole, was edited, or has the results of "
                "another evaluation beside it; expected logs as they were written"
            )


def check_copies(logs: Sequence[ReadLog]) -> None:
    """Check that no log stands for two conditions.

    Raises:
        RecipeError: if the logs of two conditions are equal byte for byte.
    """
    by_hash: dict[str, ReadLog] = {}
    for log in logs:
        first = by_hash.setdefault(log.sha256, log)
        if first.condition != log.condition:
            raise RecipeError(
                f"{first.path} of {first.condition} and {log.path} of {log.condition} are equal byte for byte: one "
                "evaluation under two names, or two models whose answers are the same to the letter. There is nothing "
                "to compare; expected a log of its own for each condition (--task chooses the tasks to compare)"
            )


def _agree(log: ReadLog) -> bool:
    return log.own is not None and math.isclose(log.mean, log.own, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)


def notes(
    runs: Sequence[Run], matched: Sequence[Matched], logs: Sequence[ReadLog], margins: Mapping[str, str]
) -> list[Note]:
    """Return the notes of a comparison, the most important first.

    Args:
        runs (`Sequence[Run]`): all of them.
        matched (`Sequence[Matched]`): each task.
        logs (`Sequence[ReadLog]`): what was read.
        margins (`Mapping[str, str]`): of each metric, in words; none if none was given.
    """
    tasks = [one.task for one in matched]
    found = [*_settings(runs, tasks), *_unknown_settings(runs, tasks), *_copied_logs(logs)]
    for one in matched:
        found += _items(one)
    found.append(_own(logs))
    if margins:
        sizes = "; ".join(f"{size} for {metric}" for metric, size in margins.items())
        text = f"{sizes}: the command's. It shows something only if it was chosen before the results were known."
        found.append(Note(about="Margin", text=text, care=False))
    found.sort(key=lambda note: not note.care)
    return [note.model_copy(update={"text": printable(note.text)}) for note in found]


def _settings(runs: Sequence[Run], tasks: Sequence[str]) -> list[Note]:
    """Return which settings of the evaluation differ: then they are compared together with the models."""
    found = []
    for task in tasks:
        values: dict[str, dict[str, list[str]]] = {}
        for run in runs:
            log = run.logs[task]
            versions = {} if log.version is None else {f"version of {log.harness}": log.version}
            for name, value in (versions | dict(log.settings)).items():
                values.setdefault(name, {}).setdefault(value, []).append(run.named.words)
        for name, by_value in values.items():
            if len(by_value) > 1:
                shown = "; ".join(f"{value[:_MOST_CHARACTERS]} for {listed(who)}" for value, who in by_value.items())
                text = f"{task}: {name} is not the same in all runs: {shown}. The difference may come from it."
                found.append(Note(about="Evaluated differently", text=text))
    return found


def _unknown_settings(runs: Sequence[Run], tasks: Sequence[str]) -> list[Note]:
    """Return of which runs the settings are unknown, where those of others are known."""
    found = []
    for task in tasks:
        unknown = [run.named.words for run in runs if not run.logs[task].settings]
        if 0 < len(unknown) < len(runs):
            text = (
                f"{task}: the settings of {listed(unknown)} are unknown, as no results lie beside the log; they may "
                "differ from those of the other runs."
            )
            found.append(Note(about="Unknown settings", text=text))
    return found


def _copied_logs(logs: Sequence[ReadLog]) -> list[Note]:
    """Return which logs of a condition are equal byte for byte."""
    by_hash: dict[str, list[str]] = {}
    for log in logs:
        by_hash.setdefault(log.sha256, []).append(f"{log.condition}:{log.seed}" if log.seed else log.condition)
    return [
        Note(
            about="Equal logs",
            text=f"The logs of {listed(names)} are equal byte for byte. If they are copies of one evaluation, they "
            "count as runs that they are not.",
        )
        for names in by_hash.values()
        if len(names) > 1
    ]


def _items(one: Matched) -> list[Note]:
    found = []
    items = [item for of_run in one.items.values() for item in of_run]
    epochs = sorted({item.num_epochs for item in items})
    if epochs != [1]:
        text = f"{one.task}: the scores of {listed(list(map(str, epochs)))} epochs are averaged within each question."
        found.append(Note(about="Epochs", text=text))
    answers = max(item.num_answers for item in items)
    if answers > 1:
        text = f"{one.task}: the log has up to {answers} answers to a question, of which the harness made one score."
        found.append(Note(about="Several answers", text=text))
    if one.clusters is not None:
        copies = len(one.clusters) - len(set(one.clusters.tolist()))
        text = (
            f"{one.task}: {copies} of {len(one.clusters)} questions are copies of others, target included. Copies "
            "count as one cluster."
        )
        found.append(Note(about="Copies", text=text))
    num_clusters = len(items) // len(one.items) if one.clusters is None else len(set(one.clusters.tolist()))
    if num_clusters < _FEW and not all(scores.dtype == bool for scores in one.scores.values()):
        text = (
            f"{one.task}: the t-test takes the mean of {num_clusters} differences as normal. With so few, of a few "
            "values, its p may be several times too small."
        )
        found.append(Note(about="Few questions", text=text))
    return found


def _own(logs: Sequence[ReadLog]) -> Note:
    there = [log for log in logs if log.own is not None]
    differing = [log for log in there if not _agree(log)]
    about = "The harness's own results"
    if not there:
        return Note(about=about, text="They are not beside the logs, so nothing was compared with them.")
    text = f"In {len(there) - len(differing)} of {len(there)} logs they are the means of the questions' scores."
    if len(there) < len(logs):
        text += f" {len(logs) - len(there)} more logs are without them."
    for method, number in Counter(log.own_method for log in differing).items():
        words = "the log does not say how they are made" if method is None else f"they are made by {method}"
        text += f" In {number} they are not: {words}, and the means are compared here."
    return Note(about=about, text=text, care=bool(differing) or len(there) < len(logs))
