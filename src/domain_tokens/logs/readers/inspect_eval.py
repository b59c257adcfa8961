"""Reads the `.eval` logs of Inspect: a zip with `header.json` and one `samples/<id>_epoch_<n>.json` for each answer.

The rendered question is the sample's input with its choices, before a solver adds to it. Epochs of a sample are
averaged; letters are scores as Inspect's own `value_to_float` has them. A scorer of several values gives a metric for
each, `scorer/value`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from pydantic import Field, ValidationError

from domain_tokens.analysis.report.formats import listed
from domain_tokens.logs.readers.zip_members import Archive, open_archive
from domain_tokens.logs.table import (
    MEAN,
    Aggregate,
    Item,
    Read,
    Score,
    TaskLog,
    as_score,
    item_key,
    setting,
    what_is_wrong,
)
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.values.types import Values

NAME: Final = "Inspect"
PATTERN: Final = "*.eval"
_HEADER: Final = "header.json"
_SAMPLE = re.compile(r"samples/.+\.json", re.DOTALL)
_ATTACHMENT: Final = "attachment://"
_LETTERS: Final = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_WORDS: Final = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_MEANS: Final = ("accuracy", "mean")  # Inspect's metrics that are the mean of the scores


class _Message(Read):
    role: str
    content: Any


class _Value(Read):
    value: Any
    answer: str | None = None


class _Error(Read):
    message: str = ""


class _Output(Read):
    completion: str = ""


class _Sample(Read):
    """An answer to a question."""

    id: int | str
    epoch: int
    input: str | list[_Message]
    target: str | list[str]
    choices: list[str] | None = None
    scores: dict[str, _Value] | None = None
    output: _Output = Field(default_factory=_Output)
    error: _Error | None = None
    attachments: dict[str, str] = Field(default_factory=dict)


class _EvalMetric(Read):
    value: float


class _EvalScore(Read):
    name: str
    scorer: str
    reducer: str | None = None
    metrics: dict[str, _EvalMetric] = Field(default_factory=dict)


class _Results(Read):
    total_samples: int = 0
    scores: list[_EvalScore] = Field(default_factory=list)


class _Config(Read):
    epochs: int | None = None
    epochs_reducer: list[str] | None = None
    limit: Any = None
    message_limit: int | None = None
    token_limit: int | None = None


class _Eval(Read):
    task: str
    task_version: Any = None
    task_args: Values = Field(default_factory=dict)
    model: str | None = None
    model_generate_config: Values = Field(default_factory=dict)
    config: _Config = Field(default_factory=_Config)
    packages: dict[str, str] = Field(default_factory=dict)


class _Plan(Read):
    steps: list[Values] = Field(default_factory=list)
    config: Values = Field(default_factory=dict)


class _Header(Read):
    """What `header.json` says of the whole evaluation."""

    status: str
    eval: _Eval
    plan: _Plan = Field(default_factory=_Plan)
    results: _Results | None = None


def read(path: Path) -> TaskLog:
    """Read a task of a run.

    Raises:
        RecipeError: if the file is cut off, the evaluation did not finish, or an answer ended with an error.
    """
    with open_archive(path) as archive:
        header = _header(path, archive)
        samples = [_sample(path, archive, name) for name in archive.names if _SAMPLE.fullmatch(name)]
    expected = header.results.total_samples if header.results else 0
    if len(samples) < expected:
        raise RecipeError(
            f"{path}: has {len(samples)} of {expected} answers; expected all of them. Were samples logged "
            "(--no-log-samples leaves them out)?"
        )
    config = header.eval.config
    by_id = _by_id(path, samples, config.epochs or 1)
    return TaskLog(
        path=path,
        harness=NAME,
        task=header.eval.task,
        items=[_item(path, epochs) for epochs in by_id.values()],
        version=header.eval.packages.get("inspect_ai"),
        model=header.eval.model,
        aggregates=_aggregates(header.results.scores if header.results else []),
        settings={
            "task version": setting(header.eval.task_version),
            "task arguments": setting(header.eval.task_args),
            "solver": setting(header.plan.steps),
            "generation": setting(header.plan.config | header.eval.model_generate_config),
            "epochs": setting(config.epochs or 1),
            "limits": setting([config.limit, config.message_limit, config.token_limit]),
        },
    )


def _by_id(path: Path, samples: Sequence[_Sample], num_epochs: int) -> dict[int | str, list[_Sample]]:
    """Return the answers to each question by epoch. Raises `RecipeError` unless each epoch has one."""
    by_id: dict[int | str, list[_Sample]] = {}
    for sample in sorted(samples, key=lambda one: one.epoch):
        by_id.setdefault(sample.id, []).append(sample)
    for name, found in by_id.items():
        epochs = [one.epoch for one in found]
        if epochs != list(range(1, num_epochs + 1)):
            raise RecipeError(
                f"{path}: sample {name} has answers of the epochs {listed(list(map(str, epochs)))}; expected one of "
                f"each from 1 to {num_epochs}, as the log's own settings say"
            )
    return by_id


def _header(path: Path, archive: Archive) -> _Header:
    if _HEADER not in archive.names:
        raise RecipeError(f"{path}: has no {_HEADER}: the evaluation did not finish; expected a finished log")
    try:
        header = _Header.model_validate_json(archive.read(_HEADER))
    except ValidationError as error:
        raise RecipeError(f"{path}: {_HEADER}: is no log of {NAME} ({what_is_wrong(error)})") from error
    if header.status != "success":
        raise RecipeError(
            f"{path}: the evaluation ended with the status {header.status!r}; expected 'success'. "
            "Finish it with `inspect eval-retry`"
        )
    return header


def _sample(path: Path, archive: Archive, name: str) -> _Sample:
    try:
        sample = _Sample.model_validate_json(archive.read(name))
    except ValidationError as error:
        raise RecipeError(f"{path}: {name}: is no sample of {NAME} ({what_is_wrong(error)})") from error
    if sample.error is not None:
        raise RecipeError(
            f"{path}: {name}: the answer ended with an error ({sample.error.message[:100]}); expected a score for "
            "every answer. Finish it with `inspect eval-retry`"
        )
    return sample


def _item(path: Path, epochs: Sequence[_Sample]) -> Item:
    first = epochs[0]
    question, text = _rendered(first)
    rest = [first.choices, first.target]
    if any([_rendered(one)[0], one.choices, one.target] != [question, *rest] for one in epochs):
        raise RecipeError(f"{path}: sample {first.id} asks another question in another epoch; expected one question")
    scores = [_scores(one) for one in epochs]
    answer = next((one.answer for one in (first.scores or {}).values() if one.answer), None)
    return Item(
        key=item_key([question, first.choices or []], first.target),
        name=str(first.id),
        question=text,
        target=first.target if isinstance(first.target, str) else " | ".join(first.target),
        scores={name: _mean([one.get(name, "no score") for one in scores]) for name in scores[0]},
        answer=first.output.completion or answer,
        num_epochs=len(epochs),
    )


def _rendered(sample: _Sample) -> tuple[list[list[str]], str]:
    """Return what was asked, as roles and texts, and the last text of it."""
    if isinstance(sample.input, str):
        turns = [["user", _whole(sample.input, sample.attachments)]]
    else:
        turns = [
            [message.role, part] for message in sample.input for part in _parts(message.content, sample.attachments)
        ]
    last = sample.input if isinstance(sample.input, str) else sample.input[-1].content if sample.input else ""
    return turns, _whole(_text(last) or "", sample.attachments)


def _text(content: object) -> str | None:
    """Return the last text of a message, for a reader."""
    if isinstance(content, list):
        return next(filter(None, map(_text, reversed(content))), None)
    text = content.get("text") if isinstance(content, Mapping) else content
    return text if isinstance(text, str) else None


def _parts(content: object, attachments: Mapping[str, str]) -> list[str]:
    """Return a message's texts, and its images and other parts as the log has them."""
    if isinstance(content, str):
        return [_whole(content, attachments)]
    if isinstance(content, list):
        return [part for one in content for part in _parts(one, attachments)]
    if isinstance(content, Mapping):
        return [_whole(value, attachments) for key, value in sorted(content.items()) if isinstance(value, str)]
    return []


def _whole(text: str, attachments: Mapping[str, str]) -> str:
    """Return a text that the log may keep apart."""
    return attachments.get(text.removeprefix(_ATTACHMENT), text) if text.startswith(_ATTACHMENT) else text


def _scores(sample: _Sample) -> dict[str, Score]:
    found: dict[str, Score] = {}
    for scorer, score in (sample.scores or {}).items():
        if isinstance(score.value, Mapping):
            found |= {f"{scorer}/{name}": _as_score(value) for name, value in score.value.items()}
        else:
            found[scorer] = _as_score(score.value)
    return found


def _as_score(value: object) -> Score:
    if isinstance(value, str):
        if value in _LETTERS:
            return _LETTERS[value]
        if value.lower() in _WORDS:
            return _WORDS[value.lower()]
        try:
            return float(value)
        except ValueError:
            pass
    return as_score(value)


def _mean(scores: Sequence[Score]) -> Score:
    """Return the mean over epochs; of scores that are no numbers, the first of them."""
    numbers = [score for score in scores if isinstance(score, float)]
    return fmean(numbers) if len(numbers) == len(scores) else next(one for one in scores if isinstance(one, str))


def _aggregates(scores: Sequence[_EvalScore]) -> dict[str, Aggregate]:
    """Return the mean of each metric as Inspect has it, or what another reducer of epochs makes of the scores."""
    found: dict[str, Aggregate] = {}
    for score in scores:
        name = score.name if score.name == score.scorer else f"{score.scorer}/{score.name}"
        for kind in _MEANS:
            if kind in score.metrics:
                method = MEAN if score.reducer in (None, MEAN) else f"{kind} of {score.reducer} over epochs"
                if name not in found or method == MEAN:
                    found[name] = Aggregate(score.metrics[kind].value, method)
                break
    return found
