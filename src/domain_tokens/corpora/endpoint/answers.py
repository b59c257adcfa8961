"""Reads what an endpoint answered, strictly: nothing is repaired, and what is wrong has one of a few names."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain_tokens.corpora.endpoint.prompts import WorkedSolution

# What endpoints add to a name when they say which model answered: a date, a revision, a tag.
_VERSION = re.compile(r"[@:].+|-(?:\d{4}-\d{2}-\d{2}|\d{8}|\d{6}|\d{4}|\d{3}|latest)", re.DOTALL)


class _Message(BaseModel):
    model_config = ConfigDict(strict=True)

    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    model_config = ConfigDict(strict=True)

    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    model_config = ConfigDict(strict=True)

    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)
    total_tokens: int = Field(default=0, ge=0)


class _Completion(BaseModel):
    model_config = ConfigDict(strict=True)

    choices: list[_Choice]
    model: str | None = None


class _Used(BaseModel):
    usage: _Usage


@dataclass(frozen=True)
class Unusable:
    """An answer that holds no worked solution, and why, in words that are counted."""

    reason: str


def usage_of(raw: str) -> list[int] | None:
    """Return the prompt and completion tokens that a response reports, or `None` if it reports none.

    Tokens that are only in the total, such as those of hidden reasoning, count as completion.
    """
    try:
        usage = _Used.model_validate_json(raw).usage
    except ValidationError:
        return None
    return [usage.prompt_tokens, max(usage.completion_tokens, usage.total_tokens - usage.prompt_tokens)]


def read_answer(raw: str, model: str) -> WorkedSolution | Unusable:
    """Return the worked solution that a response holds, or why it holds none. Never raises.

    Args:
        raw (`str`): the response of `/chat/completions`.
        model (`str`): the model that was asked. A name that differs by organization, date or revision is its own.
    """
    try:
        completion = _Completion.model_validate_json(raw)
    except ValidationError:
        return Unusable("not a chat completion")
    if completion.model is not None and not same_model(completion.model, model):
        return Unusable("answered by another model")
    if not completion.choices:
        return Unusable("empty choices")
    choice = completion.choices[0]
    if choice.finish_reason == "length":
        return Unusable("cut by length")
    if choice.finish_reason == "content_filter":
        return Unusable("content filter")
    if choice.message.refusal:
        return Unusable("refusal")
    if choice.message.content is None:
        return Unusable("null content")
    return _solution(choice.message.content)


def _solution(content: str) -> WorkedSolution | Unusable:
    try:
        value = json.loads(
            content, parse_int=Decimal, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_unique
        )
    except (ValueError, ArithmeticError, RecursionError):
        return Unusable("not one JSON object")
    if not isinstance(value, dict):
        return Unusable("not one JSON object")
    try:
        return WorkedSolution.model_validate(value)
    except ValidationError:
        return Unusable("not of the schema")


def same_model(answered: str, asked: str) -> bool:
    """Return whether an endpoint means the same model by two names.

    Example:
    ```python
    >>> same_model("gpt-4.1-mini-2025-04-14", "openai/gpt-4.1-mini"), same_model("gpt-4.1", "gpt-4.1-mini")
    (True, False)
    ```
    """
    short, long = sorted((answered.casefold(), asked.casefold()), key=len)
    if short == long:
        return True
    names = {long, long.rpartition("/")[2]}
    shorter = {short, short.rpartition("/")[2]}
    return any(
        name.startswith(one) and (name == one or _VERSION.fullmatch(name[len(one) :]))
        for name in names
        for one in shorter
    )


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key twice")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def tally(reasons: Iterable[str]) -> list[tuple[str, int]]:
    """Return how often each reason occurs, the most frequent first, equal ones by name."""
    return sorted(Counter(reasons).items(), key=lambda item: (-item[1], item[0]))
