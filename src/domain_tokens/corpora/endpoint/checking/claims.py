"""What the prose of a worked solution claims beside its equations: another answer, comparisons, ways of rounding."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction

from domain_tokens.corpora.endpoint.checking.reaching import (
    CHOSEN,
    NUMERAL,
    PLACE,
    ROUNDED,
    SCALED,
    SCALES,
    Statement,
    value_of,
)

_NUMBER = r"-?\d[\d,]*(?:\.\d+)?"
_ANSWER = re.compile(rf"\banswer\b(?: is|:| =)?[^\d.;:=]{{0,20}}({_NUMBER})(?!\S*\d| *[×÷·+*/−-])", re.IGNORECASE)
_ENDS = r"(?![\d/%]|[.,]\d|(?: [a-z]+){0,2} ?[×÷·+*/−-])"  # the number is whole, and nothing is computed with it
_SAYS = rf"(?: is| are| was|:| =| comes to| equals) ?[$€£]?({_NUMBER}){_ENDS}"
# What says that a number is the result, at the beginning of a clause; the number has to be one that is computed.
_RESULT = re.compile(rf"(?:^|[.,;:!?] |\b(?:the|a) )(?:total|sum|result){_SAYS}", re.IGNORECASE)
_FINAL = re.compile(
    rf"\b(?:(?:grand|final|overall) (?:total|sum|result|number|amount|count|cost|price)){_SAYS}", re.IGNORECASE
)
_NEXT_CLAUSE = re.compile(r"[,;:!?\n(]|\.(?!\d)|\b(?:so|then|therefore|thus|hence|which|but|and(?! \$?\d))\b")
_COMPARES = re.compile(
    rf"({_NUMBER})(?: [a-z]+){{0,3}},? (?:which )?(?:is|are) (?P<is_more>more|greater|larger|higher|bigger)?"
    rf"(?(is_more)|(?:less|fewer|smaller|lower)) than [$€£]?({_NUMBER}){_ENDS}",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(r"(?:^|[ (])[-−]\d")
_ROUNDS = re.compile(r"\bround(?:ed|ing|s)?(?: (?:it|this|that))? (?P<way>up|down|to the nearest)\b", re.IGNORECASE)


def claims_another(steps: Sequence[str], stated: Sequence[Statement], final: Fraction) -> bool:
    """Return whether the prose names another number as the result than the final one.

    What is called a total or result on the way has to be what an equation reaches.

    Args:
        steps (`Sequence[str]`): the sentences, which joined by line breaks are the text.
        stated (`Sequence[Statement]`): their equations, all true.
        final (`Fraction`): the final number.
    """
    text = "\n".join(steps)
    named = [*_ANSWER.findall(text), *(number for step in steps for number in _FINAL.findall(step))]
    if any(Fraction(Decimal(number.replace(",", ""))) != final for number in named):
        return True
    reached = {abs(final), *(abs(value) for one in stated for value in one.reached)}
    totals = (number.lstrip("-") for step in steps for number in _RESULT.findall(step))
    return any(value_of(number) not in reached for number in totals)


def ends_otherwise(behind: str, last_step: str, final: Fraction) -> bool:
    """Return whether what stands behind the last equation ends with another number than the final one.

    It may do so in the clause of that equation, where the number belongs to what is counted (`= 50 pens in 5 bags`),
    and where the final number is chosen among others or rounded, and stands there too.

    Args:
        behind (`str`): what stands there.
        last_step (`str`): the last sentence.
        final (`Fraction`): the final number.
    """
    clause = _NEXT_CLAUSE.search(behind)
    if clause is None:
        return False
    numbers = [value_of(numeral) for numeral in NUMERAL.findall(PLACE.sub("", behind[clause.start() :]))]
    if not numbers or numbers[-1] == abs(final):
        return False
    if abs(final) in numbers and (CHOSEN.search(last_step) or ROUNDED.search(last_step)):
        return False
    return not (SCALED.search(last_step) and any(numbers[-1] * scale == abs(final) for scale in SCALES))


def rounds_wrongly(steps: Iterable[str], stated: Sequence[Statement]) -> bool:
    """Return whether a step says a way of rounding that none of its numbers took: 4 as 3.4 rounded down.

    Args:
        steps (`Iterable[str]`): the sentences.
        stated (`Sequence[Statement]`): the equations of all sentences.
    """
    reached = {abs(value) for one in stated for value in one.reached}
    return any(_is_wrong(found["way"].lower(), step, reached) for step in steps for found in _ROUNDS.finditer(step))


def compares_wrongly(text: str) -> bool:
    """Return whether a number is said to be more than a larger one, or less than a smaller one."""
    for found in _COMPARES.finditer(text):
        left, right = (Fraction(Decimal(number.replace(",", ""))) for number in found.group(1, 3))
        if not (left > right if found["is_more"] else left < right):
            return True
    return False


def _is_wrong(way: str, step: str, reached: Collection[Fraction]) -> bool:
    if _NEGATIVE.search(step):  # whose numerals are read without the sign
        return False
    numbers = {value_of(numeral) for numeral in NUMERAL.findall(step)}
    changes = [
        rounded - exact
        for rounded in numbers
        for exact in {*numbers, *reached}
        if exact.denominator > rounded.denominator and abs(rounded - exact) < 1
    ]
    right: dict[str, Callable[[Fraction], bool]] = {
        "up": lambda change: change > 0,
        "down": lambda change: change < 0,
        "to the nearest": lambda change: abs(change) <= Fraction(1, 2),
    }
    return bool(changes) and not any(map(right[way], changes))
