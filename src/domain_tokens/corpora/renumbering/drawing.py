"""Which numbers may stand in the place of one, and how those of a whole problem are drawn."""

import random
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import prod

from domain_tokens.corpora.renumbering.reading.arithmetic import Value, decimals, simple
from domain_tokens.corpora.renumbering.reading.kinds import AGE, PERCENT, TIMES, are_comparable, kind_of
from domain_tokens.corpora.renumbering.reading.mentions import Mention
from domain_tokens.corpora.renumbering.template import Calculator, Template

_TRIES = 30_000
_MOST_TIMES = 10
# Of one number: larger ones are drawn rounder. GSM8K's have at most 724,000, with decimals 158,000.
_MOST_CHOICES, _MOST_DECIMALS = 1_000_000, 200_000
# The largest number of a thing, where the text names what holds it.
_CAPS = (
    (r"[- ]?days?\b", 7, r"week"),
    (r"[- ]?hours?\b", 24, r"\bdays?\b|daily|night|week"),
    (r"[- ]?months?\b", 12, r"year|annual"),
    (r"[- ]?minutes?\b", 60, r"hour"),
    (r"[- ]?seconds?\b", 60, r"minute"),
    (r"[- ]?weeks?\b", 4, r"month"),
    (r"[- ]?inch(?:es)?\b", 11, r"feet|foot"),
    (r"[- ]?ounces?\b", 15, r"pound"),
    (r"[- ]?cents?\b", 99, r"."),
    (r"[- ]?degrees\b", 100, r"."),
)


def choices(text: str, found: Sequence[Mention], width: int) -> tuple[Value, ...]:
    """Return the numbers that may stand in the place of some mentions of one value: of its kind and size."""
    possible: set[Value] | None = None
    for mention in found:
        own = set(_choices(mention.value, kind_of(text, mention), _cap(text, mention), mention, width))
        possible = own if possible is None else possible & own
    assert possible is not None
    return tuple(sorted(possible))


def _cap(text: str, mention: Mention) -> int | None:
    if kind_of(text, mention) == TIMES and mention.value <= _MOST_TIMES:
        return _MOST_TIMES
    behind = text[mention.end : mention.end + 24]
    for unit, most, holder in _CAPS:
        if re.match(unit, behind, re.IGNORECASE) and mention.value <= most and re.search(holder, text, re.IGNORECASE):
            return most
    return None


def _choices(value: Value, kind: str, cap: int | None, mention: Mention, width: int) -> Iterator[Value]:
    places = decimals(value)
    assert places is not None
    if "." in mention.written:
        places = len(mention.written.partition(".")[2])
    scaled = int(value * 10**places)
    step = _granularity(scaled, kind, places)
    low, high = (int(bound * 10**places) for bound in _bounds(value, kind, cap, width))
    while (high - low) // step >= (_MOST_DECIMALS if places else _MOST_CHOICES):
        step *= 10
    first = -(-low // step) * step
    for one in range(max(first, step), high + 1, step):
        new = simple(Fraction(one, 10**places)) if places else one
        # What is not whole does not become whole, but for `$3.00`, which may be `$3.50`, and the other way round.
        is_like = places == 0 or isinstance(value, int) or not isinstance(new, int)
        if is_like and (new > 1 or value < 1):
            yield new


def _bounds(value: Value, kind: str, cap: int | None, width: int) -> tuple[Value, Value]:
    low: Value
    high: Value
    if kind == AGE:
        low, high = max(2, int(value) // width), min(int(value) * width, max(95, int(value)))
    elif not isinstance(value, int):
        low, high = value / width, value * width
    else:
        low, high = max(2, value // width), max(value * width, value + 3)
    if kind == PERCENT:
        low, high = max(low, 1) if value > 4 else 1, min(max(high, 10), 95)
    if cap is not None:
        high = min(high, cap)
    return low, high


def _granularity(scaled: int, kind: str, places: int) -> int:
    if kind == PERCENT:
        return 5 if scaled % 5 == 0 else 1
    if places == 2:
        return next(step for step in (25, 10, 5, 1) if scaled % step == 0)
    if places or scaled < 100:
        return 1
    for step in (100_000, 10_000, 1000, 100, 50, 10, 5):
        if scaled % step == 0 and scaled >= 10 * step:
            return max(step // 10, 5)
    return 1


def draw(
    template: Template, generator: random.Random, tries: int = _TRIES
) -> Iterator[tuple[tuple[Value, ...], list[Value]]]:
    """Yield different numbers for a template, each with its results, until `tries` draws have been made.

    Numbers of one kind keep the order that they have in the original, so that what is more stays more.
    """
    original = tuple(variable.value for variable in template.variables)
    pairs = ordered_pairs(template)
    seen = {original}
    calculator = Calculator(template)
    for drawn in _draws(template, generator, tries):
        if drawn in seen or any(drawn[less] >= drawn[more] for less, more in pairs):
            continue
        seen.add(drawn)
        results = calculator.results(drawn)
        if results is not None:
            yield drawn, results


def _draws(template: Template, generator: random.Random, tries: int) -> Iterator[tuple[Value, ...]]:
    """Yield so many draws, or all that there are, once each, if these are fewer."""
    choices = [variable.choices for variable in template.variables]
    sizes = [len(own) for own in choices]
    if prod(sizes) > tries:
        for _ in range(tries):
            yield tuple(own[int(generator.random() * size)] for own, size in zip(choices, sizes, strict=True))
        return
    for place in generator.sample(range(prod(sizes)), prod(sizes)):
        drawn: list[Value] = []
        for own, size in zip(choices, sizes, strict=True):
            place, index = divmod(place, size)
            drawn.append(own[index])
        yield tuple(drawn)


def keeps_order(template: Template, drawn: Sequence[Value]) -> bool:
    """Return whether numbers of one kind keep the order that they have in the original."""
    return all(drawn[less] < drawn[more] for less, more in ordered_pairs(template))


def ordered_pairs(template: Template) -> list[tuple[int, int]]:
    """Return the pairs of numbers of one kind, each with the smaller one first."""
    return [
        (less, more)
        for less, one in enumerate(template.variables)
        for more, other in enumerate(template.variables)
        if one.value < other.value
        and any(are_comparable(first, second) for first in one.kinds for second in other.kinds)
    ]
