"""Whether the equations of a worked solution lead to its final number, and its prose states no number from nowhere."""

import math
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

NUMERAL = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+")
# Numbers that need no source: of a list or a day, of a percentage, of a unit of money, time or length, halves.
_COMMON = frozenset(
    map(Fraction, (*range(13), 14, 15, 16, 20, 24, 25, 28, 29, 30, 31, 36, 52, 60, 90, 100, 365, 1000, 2000, 3600))
) | {Fraction(1, 2), Fraction(1, 4), Fraction(3, 4)}
_UNITS = tuple(map(Fraction, (3, 7, 12, 16, 24, 60, 100, 1000)))
_MAX_LOOSE = 1  # equations from which nothing goes on; 98% of GSM8K's solutions have no more
_FRACTION = re.compile(r"(?<![\d.])(\d+)/([1-9]\d*)(?![\d.])")  # 5/12, which the reader takes as two operands
PLACE = re.compile(r"\d+(?:st|nd|rd|th)\b|\d+(?::\d\d)?(?= ?[AaPp]\.?[Mm]\b)")  # the 3rd day, 5 a.m.
ROUNDED = re.compile(
    r"\b(?:round\w*|nearest|whole|full|complete|at most|at least|fits?|cannot|can't|only|needs?|another|extra)\b",
    re.IGNORECASE,
)
CHOSEN = re.compile(
    r"\b(?:most|least|fewest|more|less|fewer|larger|largest|smaller|smallest|higher|highest|lower|lowest|greater|greatest"
    r"|bigger|biggest|cheaper|cheapest|better|best|longer|longest|shorter|shortest|older|oldest|younger|youngest|faster"
    r"|fastest|maximum|minimum|limit\w*|enough|root|common|divisor|multiple|same|earlier|later|first|last)\b",
    re.IGNORECASE,
)
SCALED = re.compile(r"\b(?:cents?|pennies|percent|percentage|dollars?|hours?|minutes?|seconds?)\b|[%$]", re.IGNORECASE)
SCALES = (Fraction(100), Fraction(1, 100), Fraction(60), Fraction(1, 60))


class Statement(Protocol):
    """An equation as `evaluation.equations` reads it."""

    @property
    def start(self) -> int:
        """Where it begins in the text."""

    @property
    def end(self) -> int:
        """Where it ends."""

    @property
    def text(self) -> str:
        """The text from `start` to `end`."""

    @property
    def right(self) -> bool:
        """Whether it holds."""

    @property
    def has_result(self) -> bool:
        """Whether the text gives its result."""

    @property
    def used(self) -> bool:
        """Whether a later equation, or the number behind `####`, goes on from its result."""

    @property
    def operands(self) -> tuple[tuple[Fraction, ...], ...]:
        """The numbers that it computes with, each in all its readings."""

    @property
    def reached(self) -> tuple[Fraction, ...]:
        """What it arrives at, in all readings."""


@dataclass(frozen=True)
class Reader:
    """The project's one reader of equations and numbers, which lies in a higher layer.

    Attributes:
        equations: returns what a text states.
        numbers: returns the numbers that a text gives, in digits, words and units.
        is_conversion: returns whether so many of one unit are so many of another.
    """

    equations: Callable[[str], Sequence[Statement]]
    numbers: Callable[[str], Collection[Fraction]]
    is_conversion: Callable[[Fraction, str, Fraction, str], bool]


def why_unreached(
    steps: Sequence[str],
    stated: Sequence[Statement],
    final: Fraction,
    given: Collection[Fraction],
    computed: Collection[Fraction],
) -> str | None:
    """Return why the equations of a solution do not lead to its final number, or `None` if they do.

    Args:
        steps (`Sequence[str]`): the sentences, which joined by line breaks are the text.
        stated (`Sequence[Statement]`): their equations, all true, as read with the final number behind the text.
        final (`Fraction`): the final number.
        given (`Collection[Fraction]`): the numbers of the question and of the program.
        computed (`Collection[Fraction]`): the numbers of the program's own worked solution; empty if it has none.
    """
    arriving = [index for index, equation in enumerate(stated) if _is_in(final, equation.reached)]
    if not arriving and not _follows(final, steps[-1], stated, given):
        return "no equation reaches the final number"
    if arriving and not CHOSEN.search(steps[-1]) and _goes_astray(stated[arriving[-1] + 1 :], final):
        return "a step behind the final number"
    if arriving and computed and not any(_is_of_program(stated[index], final, given, computed) for index in arriving):
        return "another way than the program's"
    text, is_rounded = "\n".join(steps), not arriving and ROUNDED.search(steps[-1]) is not None
    loose, sources, parts = 0, set(given), _with_parts(given) | _COMMON
    fractions = [(found.start(), Fraction(int(found[1]), int(found[2]))) for found in _FRACTION.finditer(text)]
    for equation in stated:
        if not all(_has_source(readings, sources, parts) for readings in equation.operands):
            return "a number from nowhere"
        written = [one for one in equation.reached if any(one == value for _, value in fractions)]
        is_used = equation.used or any(place >= equation.end and value in written for place, value in fractions)
        is_used |= is_rounded and any(abs(abs(value) - abs(final)) < 1 for value in equation.reached)
        loose += not is_used and not any(_is_in(value, given) for value in equation.reached)
        sources.update(map(abs, equation.reached))
        sources.update(Fraction(part) for one in written for part in (abs(one.numerator), one.denominator))
    if loose > _MAX_LOOSE and not CHOSEN.search(steps[-1]):
        return "steps that lead nowhere"
    return _unfounded(text, stated, {*sources, *_COMMON, *_in_units(given), abs(final)})


def _is_of_program(
    equation: Statement, final: Fraction, given: Collection[Fraction], computed: Collection[Fraction]
) -> bool:
    """Return whether an equation that reaches the final number may do so as the program does.

    One of its operands is what the program computes before, also rounded to a whole number or in another unit, or all
    are numbers of the question or the program. So 157 + 0.2 is no way to 157.2 where the program computes no 157.
    """
    before = {abs(value) for value in computed} - {abs(final), *map(abs, given)}
    before |= {
        Fraction(whole(value)) for value in before if value.denominator > 1 for whole in (math.floor, math.ceil)
    }
    before |= {value * scale for value in before for scale in SCALES}
    known = {*before, *map(abs, given)}
    known |= {value * scale for value in given for scale in (Fraction(1, 100), 100)}
    return any(abs(value) in before for readings in equation.operands for value in readings) or all(
        any(abs(value) in known for value in readings) for readings in equation.operands
    )


def _with_parts(numbers: Collection[Fraction]) -> set[Fraction]:
    """Return numbers with what a percentage or a unit makes of them: 20% less is 80%, 3.5 hours are 210 minutes."""
    near = {abs(whole + sign * number) for number in numbers for whole in (1, 100) for sign in (1, -1)}
    return {*numbers, *near, *(number / 100 for number in near), *_in_units(numbers)}


def _in_units(numbers: Collection[Fraction]) -> set[Fraction]:
    return {value for number in numbers for unit in _UNITS for value in (number * unit, number / unit)}


def _has_source(readings: Sequence[Fraction], sources: Collection[Fraction], parts: Collection[Fraction]) -> bool:
    """Return whether an operand is known, one away from it, or a whole quotient or root, as in `17 × 8 = 136`, of 140.

    Args:
        readings: the readings of the operand.
        sources: the numbers that are given or computed before.
        parts: other numbers that it may be.
    """
    values = set(map(abs, readings))
    near = values | {value + 1 for value in values} | {value - 1 for value in values if value > 1}
    if not (values.isdisjoint(parts) and near.isdisjoint(sources)):
        return True
    if any(value * value in sources for value in values):
        return True
    return any(
        quotient * divisor <= dividend < (quotient + 1) * divisor
        for quotient in values
        if quotient.denominator == 1
        for divisor in sources
        if divisor > 1
        for dividend in sources
    )


def _unfounded(text: str, stated: Sequence[Statement], known: Collection[Fraction]) -> str | None:
    """Return what is wrong with a number of the prose that no equation, question or program has, if one is there."""
    prose, end = [], 0
    for equation in sorted(stated, key=lambda one: one.start):
        prose.append(text[end : equation.start])
        end = max(end, equation.end)
    prose.append(text[end:])
    computed = {*known, *(abs(value) for one in stated for readings in one.operands for value in readings)}
    computed |= {value_of(numeral) for one in stated for numeral in NUMERAL.findall(one.text)}
    if any(value_of(numeral) not in computed for numeral in NUMERAL.findall(PLACE.sub("", " ".join(prose)))):
        return "a number from nowhere"
    return None


def _follows(final: Fraction, step: str, stated: Sequence[Statement], given: Collection[Fraction]) -> bool:
    """Return whether the last step says how the final number follows from an equation, though it is not its result.

    It may be a result after rounding, in another unit, or one of several numbers that are compared.
    """
    if abs(final) not in {value_of(numeral) for numeral in NUMERAL.findall(step)}:
        return False
    reached = {abs(value) for one in stated for value in one.reached}
    operands = {abs(value) for one in stated for readings in one.operands for value in readings}
    if ROUNDED.search(step) and any(abs(value - abs(final)) < 1 for value in reached):
        return True
    if SCALED.search(step) and any(value * scale == abs(final) for value in reached for scale in SCALES):
        return True
    if any(_is_quotient(final, one, stated[index + 1 :]) for index, one in enumerate(stated)):
        return True
    return bool((ROUNDED.search(step) or CHOSEN.search(step)) and (abs(final) in operands or _is_in(final, given)))


def _is_quotient(final: Fraction, product: Statement, later: Sequence[Statement]) -> bool:
    """Return whether a product states how often a number fits: the rest, which is stated behind it, is smaller."""
    values = [abs(value) for readings in product.operands for value in readings]
    if abs(final) not in values:
        return False
    rests = [
        one.reached for one in later if any(_is_in(value, product.reached) for pair in one.operands for value in pair)
    ]
    divisor = max((value for value in values if value != abs(final)), default=abs(final))
    return any(0 <= rest < divisor for reached in rests for rest in reached)


def _goes_astray(later: Sequence[Statement], final: Fraction) -> bool:
    """Return whether an equation behind the final number does not check it: it does not compute with it."""
    checked = {abs(final)}
    for equation in later:
        if not any(abs(value) in checked for readings in equation.operands for value in readings):
            return True
        checked.update(map(abs, equation.reached))
    return False


def _is_in(value: Fraction, values: Collection[Fraction]) -> bool:
    return any(abs(value) == abs(other) for other in values)


def value_of(numeral: str) -> Fraction:
    """Return the value of digits, without a sign."""
    return Fraction(numeral.replace(",", ""))
