"""What is read of a log, whoever wrote it: questions with their scores, and what the harness says of the whole."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

MEAN: Final = "mean"
_MOST_CHARACTERS: Final = 40
_LARGEST: Final = 10**300  # larger whole numbers are no floats

Score = float | str
"""A number; or, of a score that is none, what it is in words."""


@dataclass(frozen=True)
class Item:
    """One question of a log.

    Attributes:
        key: the hash of the rendered question and its target; the same in every log that asks it.
        name: how the log calls it.
        question, target: for a reader.
        scores: by metric; of several epochs, their mean.
        answer: what the model wrote or chose (of several epochs, the first); `None` if the log does not say.
        num_epochs: how many scores each is the mean of.
        num_answers: how many answers the log has of an epoch; the harness made one score of them.
    """

    key: str
    name: str
    question: str
    target: str
    scores: Mapping[str, Score]
    answer: str | None = None
    num_epochs: int = 1
    num_answers: int = 1


@dataclass(frozen=True)
class Aggregate:
    """The harness's own result of a metric.

    Attributes:
        value: the result.
        method: how the harness makes it of the scores, `MEAN` or another name; `None` if the log does not say.
    """

    value: float
    method: str | None


@dataclass(frozen=True)
class TaskLog:
    """One task of one run.

    Attributes:
        path: the file.
        harness: the library that wrote it.
        task: its name.
        items: the questions, in the log's order.
        version: of the library, if the log says.
        model: the model's name, if the log says.
        aggregates: the harness's own results by metric.
        settings: in words, what should be equal in all runs.
        lower_is_better: metrics of which the harness says so.
    """

    path: Path
    harness: str
    task: str
    items: Sequence[Item]
    version: str | None = None
    model: str | None = None
    aggregates: Mapping[str, Aggregate] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    lower_is_better: frozenset[str] = frozenset()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics with a number in at least one item, in the log's order."""
        names = dict.fromkeys(name for item in self.items for name in item.scores)
        return tuple(name for name in names if any(is_number(item.scores.get(name)) for item in self.items))


class Read(BaseModel):
    """The base of what is read of a log's JSON: keys that are not named are left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())


def is_number(score: object) -> bool:
    """Return whether a score is a finite number."""
    return isinstance(score, float) and math.isfinite(score)


def as_score(value: object) -> Score:
    """Return a number as one, true and false as 1 and 0, and anything else in a few words."""
    if isinstance(value, bool | float) or (isinstance(value, int) and abs(value) <= _LARGEST):
        return float(value)
    text = json.dumps(value, default=str)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."


def item_key(question: object, target: object) -> str:
    """Return the hash of a question and its target, each a text or lists of texts."""
    return hashlib.sha256(json.dumps([question, target]).encode()).hexdigest()


def what_is_wrong(error: ValidationError) -> str:
    """Return the first complaint of pydantic in one line: `scores.match.value: Field required`."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def setting(value: object) -> str:
    """Return a setting as text, the same for the same value."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
