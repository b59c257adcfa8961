"""Lessons by their number: which kinds there are, and how one is drawn and checked."""

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from domain_tokens.corpora.lessons.draw import Draw, Weighted
from domain_tokens.corpora.lessons.kinds.chinese import chinese
from domain_tokens.corpora.lessons.kinds.columns import addition, subtraction
from domain_tokens.corpora.lessons.kinds.division import division
from domain_tokens.corpora.lessons.kinds.drills import drills
from domain_tokens.corpora.lessons.kinds.explanations import explanations
from domain_tokens.corpora.lessons.kinds.multiplication import multiplication
from domain_tokens.corpora.lessons.kinds.statements import statements
from domain_tokens.corpora.lessons.lesson import Lesson, defects
from domain_tokens.corpora.lessons.problems.filling import problems
from domain_tokens.corpora.synthetic import Example
from domain_tokens.recipe import LESSON_KINDS

Make = Callable[[Draw], Lesson]

KINDS: dict[str, Make] = {
    "statements": statements,
    "multiplication": multiplication,
    "addition": addition,
    "subtraction": subtraction,
    "division": division,
    "drills": drills,
    "problems": problems,
    "explanations": explanations,
    "chinese": chinese,
}
ASKING = ("multiplication", "addition", "subtraction", "division", "drills", "problems")
"""The kinds that ask a question, so that examples can be made of them."""
_PATIENCE = 2000


def lesson(seed: int | str, split: str, index: int, shares: Mapping[str, float] | None = None) -> Lesson:
    """Return one lesson. It depends on its arguments alone: no lesson has to be made before another.

    Args:
        seed (`int` or `str`): of the source.
        split (`str`): one of `STORY_SPLITS`.
        index (`int`): its number.
        shares (`Mapping[str, float]`, *optional*): of each kind, of any sum; by default those of `LESSON_KINDS`.
    """
    draw = Draw(seed, split, index)
    made = draw.weighted(_weighted(tuple((shares or LESSON_KINDS).items())))(draw)
    assert not (wrong := list(defects(made))), (made, wrong)
    return made


def documents(
    num_items: int,
    seed: int,
    split: str,
    shares: Mapping[str, float] | None = None,
    rank: int = 0,
    world_size: int = 1,
) -> Iterator[tuple[int, str]]:
    """Yield the numbers and texts of one worker's share of the documents; no worker makes those of another."""
    for index in range(rank, num_items, world_size):
        yield index, lesson(seed, split, index, shares).text


def examples(
    num_items: int, seed: int, split: str, stream: str = "", shares: Mapping[str, float] | None = None
) -> Iterator[Example]:
    """Yield questions with worked answers. They may repeat.

    Args:
        num_items (`int`): how many.
        seed (`int`): seeds the draws.
        split (`str`): one of `STORY_SPLITS`.
        stream (`str`, *optional*): names the use, so that two uses of one seed draw independently.
        shares (`Mapping[str, float]`, *optional*): of the kinds; those that ask nothing are left out.
    """
    asking = {kind: share for kind, share in (shares or LESSON_KINDS).items() if kind in ASKING}
    indices, found = itertools.count(), 0
    while found < num_items:
        made = lesson(f"{seed} {stream}", split, next(indices), asking)
        if made.question:  # not a sheet of drills
            found += 1
            yield example_of(made)


def distinct_examples(
    num_items: int, seed: int, split: str, stream: str = "", shares: Mapping[str, float] | None = None
) -> list[Example]:
    """Return examples that all ask something else, fewer if `_PATIENCE` draws bring nothing new."""
    found: dict[str | None, Example] = {}
    patience = _PATIENCE
    for example in examples(sys.maxsize, seed, split, stream, shares):
        if len(found) == num_items or not patience:
            break
        patience = patience - 1 if example.cluster in found else _PATIENCE
        found.setdefault(example.cluster, example)
    return list(found.values())


def example_of(made: Lesson) -> Example:
    """Return the example of a lesson that asks a question: its answer ends with `#### <number>`."""
    (asked,) = made.asked
    return Example(made.question, f"{made.solution}\n#### {made.answer}", asked.cluster, made.group)


@lru_cache(maxsize=64)
def _weighted(shares: tuple[tuple[str, float], ...]) -> Weighted[Make]:
    return Weighted(*((KINDS[kind], share) for kind, share in shares))
