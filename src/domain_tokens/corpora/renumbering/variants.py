"""The variants of one problem: distinct, checked, and the same for the same seed."""

import random
import re
from collections.abc import Callable, Iterator
from math import prod
from typing import NamedTuple

from domain_tokens.corpora.renumbering.building import build
from domain_tokens.corpora.renumbering.drawing import draw
from domain_tokens.corpora.renumbering.reading.arithmetic import Value
from domain_tokens.corpora.renumbering.reading.solution import Unfaithful
from domain_tokens.corpora.renumbering.template import Template

WIDTHS = (2, 3, 5, 8)
"""How many times as large or as small a number may become: the next one where the one before gives too few."""
_TRIES = 12_000
# What a whole has at most of its parts.
_MOST = [
    (re.compile(rf"\b(\d+)[- ]{part}s?(?:/| (?:per|a|each|every|in a|of the) ){whole}\b", re.IGNORECASE), most)
    for part, whole, most in (
        ("hour", "day", 24), ("day", "week", 7), ("month", "year", 12), ("minute", "hour", 60),
        ("second", "minute", 60), ("week", "month", 5), ("day", "month", 31), ("week", "year", 52),
        ("day", "year", 366),
    )
]  # fmt: skip

Check = Callable[[str, str], bool]
"""Whether every equation of a solution is true and its final number is this one."""


class Problem(NamedTuple):
    """A problem of the data: its number there, its question, and its worked solution."""

    id: str
    question: str
    answer: str


class Variant(NamedTuple):
    """A problem with other numbers."""

    question: str
    answer: str


def variants(problem: Problem, seed: int, number: int, check: Check, *, more: int = 0) -> list[Variant]:
    """Return so many variants of a problem, and a few more behind them where the template has as many.

    Args:
        problem (`Problem`): the problem, with GSM8K's annotations.
        seed (`int`): of the draws.
        number (`int`): how many.
        check (`Check`): the reader of equations that has the last word.
        more (`int`, *optional*): at most so many more, which change nothing of the others.

    Raises:
        Unfaithful: with the reason why there are none, or fewer than `number`.
    """
    most = 0
    for width in WIDTHS:
        template = build(problem.id, problem.question, problem.answer, width)
        possible = prod(len(variable.choices) for variable in template.variables)
        if possible < number:
            most = max(most, possible)
            continue
        found: dict[str, Variant] = {}
        for one in _checked(template, problem.question + problem.answer, seed, width, check):
            found.setdefault(one.question, one)
            if len(found) == number + more:
                break
        if len(found) >= number:
            return list(found.values())
        most = max(most, len(found))
    raise Unfaithful(f"fewer than {number} variants", f"at most {most}")


def is_possible(text: str, original: str) -> bool:
    """Return whether a text fills no day with 25 hours and no week with 8 days, unless the original does."""
    return not _overfull(text) or _overfull(original)


def _overfull(text: str) -> bool:
    return any(int(number) > most for units, most in _MOST for number in units.findall(text))


def _checked(template: Template, problem_text: str, seed: int, width: int, check: Check) -> Iterator[Variant]:
    generator = random.Random(f"{seed} {template.id} {width}")
    for drawn, results in draw(template, generator, _TRIES * width):
        try:
            question, answer = template.fill(drawn, results)
        except ValueError:
            continue  # a number without a last decimal
        if is_possible(f"{question}\n{answer}", problem_text) and check(
            answer, written(template.final.value(drawn, results))
        ):
            yield Variant(question, answer)


def written(value: Value) -> str:
    """Return a number as the reader of equations reads it: `27`, `13.5`."""
    return str(value) if isinstance(value, int) else str(float(value))
