"""Which split a lesson belongs to, and what a lesson that trains may not state.

What is asked decides, by its hash: a product, a sum, or a template with its numbers. A quotient belongs with the
product that it undoes, and a difference with its sum. Sums and products have the splits of `corpora.synthetic`, so
that the two generators can stand in one recipe.

The steps of a solution state sums and products too. A lesson that trains states none that is asked in the validation
or test split, and none that the probes of the task `arithmetic` ask.
"""

import random
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import NamedTuple

from domain_tokens.corpora.lessons.lesson import Asked, Step
from domain_tokens.corpora.synthetic import PROMPTS, split_of, split_of_product, split_of_sum
from domain_tokens.tokenization.facts import MAX_FACTOR


class Probes(NamedTuple):
    """Pairs that the task `arithmetic` asks, which are a sample of more."""

    sums: list[tuple[int, int]]
    products: list[tuple[int, int]]
    differences: list[tuple[int, int]]


PROBED = "probed"
"""What the probes ask beyond the splits: no lesson asks it."""
TAUGHT = "taught"
"""The products of the table and their quotients, which are in every split."""

NUM_PROBES = 60
_PROBE_SEED = 0
_HELD_OUT = ("validation", "test", PROBED)
_TRAINS = ("train", PROMPTS)


def product_asked(a: int, b: int) -> Asked:
    """Return a product as what is asked; both orders ask the same."""
    return Asked("product", (a, b) if a <= b else (b, a))


def sum_asked(a: int, b: int) -> Asked:
    """Return a sum as what is asked; both orders ask the same."""
    return Asked("sum", (a, b) if a <= b else (b, a))


def difference_asked(a: int, b: int) -> Asked:
    """Return a difference as what is asked."""
    return Asked("difference", (a, b))


def quotient_asked(a: int, b: int) -> Asked:
    """Return an exact quotient as what is asked."""
    return Asked("quotient", (a, b))


@lru_cache(maxsize=1 << 16)
def split_of_asked(asked: Asked) -> str:
    """Return the split of what is asked: one of `STORY_SPLITS`, `PROBED` or `TAUGHT`."""
    template, numbers = asked
    if template == "quotient":
        return split_of_asked(product_asked(numbers[0] // numbers[1], numbers[1]))
    if template == "difference":
        if numbers in _probed_differences():
            return PROBED
        return split_of_asked(sum_asked(numbers[1], numbers[0] - numbers[1]))
    if template == "product":
        if max(numbers) <= MAX_FACTOR:
            return TAUGHT
        if numbers in _probed_products():
            return PROBED
    split = _split_of_pair(template, *numbers) if template in ("product", "sum") else split_of("lesson", *asked)
    # Of what would train, 8 in 100 are for the prompts of GRPO; the other generator has these as training text.
    return PROMPTS if split == "train" and split_of("prompts", *asked) == "test" else split


def belongs(split: str, asked: Iterable[Asked], steps: Iterable[Step]) -> bool:
    """Return whether a lesson can be in a split: by what it asks and, if it trains, by all that it states."""
    if any(split_of_asked(one) not in (split, TAUGHT) for one in asked):
        return False
    return split not in _TRAINS or not any(map(is_held_out, steps))


def is_held_out(step: Step) -> bool:
    """Return whether a step states a product or sum that is held out from what trains.

    The table of products is not, nor is a sum with a single digit, in whichever place: 30*70 states 3*7, and 300*37
    states 3*37.
    """
    sign, operands, result = step
    if len(operands) != 2:
        return False
    a, b = operands
    if sign == "-":
        return (a, b) in _probed_differences() or _is_held_out_sum(b, result)
    if sign == "+":
        return _is_held_out_sum(a, b)
    if sign == "/":
        a = result
    return _is_held_out_product(a, b) or _is_held_out_product(_without_zeros(a), _without_zeros(b))


@cache
def probes() -> Probes:
    """Return what the task `arithmetic` samples: sums of the test split, products of two digits each, differences."""
    rng = random.Random(_PROBE_SEED)
    tens = range(10, 100)
    return Probes(
        rng.sample([(a, b) for a in tens for b in tens if split_of_sum(a, b) == "test"], NUM_PROBES),
        rng.sample([(a, b) for a in range(21, 100) for b in range(21, 100)], NUM_PROBES),
        rng.sample([(a, b) for a in tens for b in range(10, a)], NUM_PROBES),
    )


@cache
def _probed_products() -> frozenset[tuple[int, int]]:
    return frozenset((min(pair), max(pair)) for pair in probes().products)


@cache
def _probed_differences() -> frozenset[tuple[int, int]]:
    return frozenset(probes().differences)


@lru_cache(maxsize=1 << 16)
def _split_of_pair(template: str, a: int, b: int) -> str:
    return split_of_product(a, b) if template == "product" else split_of_sum(a, b)


def _is_held_out_sum(a: int, b: int) -> bool:
    return min(a, b) >= 10 and _split_of_pair("sum", min(a, b), max(a, b)) in _HELD_OUT


def _is_held_out_product(a: int, b: int) -> bool:
    low, high = min(a, b), max(a, b)
    if low < 2 or high <= MAX_FACTOR:
        return False
    return _split_of_pair("product", low, high) in _HELD_OUT or (low, high) in _probed_products()


def _without_zeros(number: int) -> int:
    while number and number % 10 == 0:
        number //= 10
    return number
