"""The chance of one lesson: a stream of draws that its seed, split and index decide, and no other lesson."""

import random
from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from typing import Generic, TypeVar

T = TypeVar("T")

TRIES = 300
"""After so many choices of numbers another template is drawn: one with few may have none in a small split."""


class Weighted(Generic[T]):
    """Things to draw, each with a weight."""

    def __init__(self, *pairs: tuple[T, float]) -> None:
        self.things = [thing for thing, weight in pairs if weight > 0]
        self.cumulated = list(accumulate(weight for _, weight in pairs if weight > 0))


class Draw:
    """Draws of one lesson.

    Args:
        seed (`int` or `str`): of the source.
        split (`str`): one of `STORY_SPLITS`.
        index (`int`): the number of the lesson; no other lesson has to be drawn before it.
    """

    def __init__(self, seed: int | str, split: str, index: int) -> None:
        self.split = split
        self.random = random.Random(f"lesson {seed} {split} {index}").random

    def pick(self, things: Sequence[T]) -> T:
        """Return one of several things."""
        return things[int(self.random() * len(things))]

    def weighted(self, weighted: Weighted[T]) -> T:
        """Return one of several things by their weights."""
        return weighted.things[bisect(weighted.cumulated, self.random() * weighted.cumulated[-1])]

    def between(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return low + int(self.random() * (high - low + 1))

    def chance(self, share: float) -> bool:
        """Return whether something happens that happens in this share of cases."""
        return self.random() < share

    def several(self, things: Sequence[T], number: int) -> list[T]:
        """Return several different things in a random order."""
        left = list(things)
        return [left.pop(int(self.random() * len(left))) for _ in range(number)]
