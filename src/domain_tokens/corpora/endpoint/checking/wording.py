"""Arithmetic that prose states in words, written with signs, so that the one reader of equations judges it.

`half of 30 is 14` is read as `1 ÷ 2 × 30 = 14`, and `16.8 dollars (84 × 0.2)` as `84 × 0.2 = 16.8 dollars`. Only what
is checked is rewritten: the text that is kept stays as the model wrote it.
"""

import re
from collections.abc import Callable
from functools import partial

_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_ONES = "one|two|three|four|five|six|seven|eight|nine"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_IN_LETTERS = rf"(?:(?:{_TENS})(?:[ -](?:{_ONES}))?|{_TEENS}|{_ONES})(?: hundred| thousand)?"
_DIGITS = r"[$€£]?\d+(?:,\d{3})*(?:\.\d+)?(?!\d|[.,]\d)"
_NUMBER = rf"(?:(?<![\d.,]){_DIGITS}|\b{_IN_LETTERS}\b)"
# Words that are no part of a unit: they change the number before or behind them.
_NO_UNIT = (
    r"(?:and|or|than|of|out|is|are|times|by|from|to|plus|minus|per ?cent|more|less|fewer|makes?|gives?|equals|divided"
    r"|multiplied|halves|thirds?|quarters?|\w+ths?|so|because|since|as)\b"
)
_UNIT = rf"(?: (?!{_NO_UNIT})[a-z]+){{0,3}}"
_IS = r"(?:is|are|equals|makes?|gives?)"
# A number that is `5 more than` another, or `20% of` it, is not the result.
_RESULT = (
    rf"(?={_NUMBER}(?!%)(?! (?:percent|of|out|times)\b)"
    r"(?!(?: [a-z]+)? (?:more|less|fewer|greater|larger|smaller)\b))"
)
_PARTS = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
          "eighth": 8, "ninth": 9, "tenth": 10, "hundredth": 100}  # fmt: skip
_TIMES = {"twice": 2, "double": 2, "thrice": 3, "triple": 3}
_SIGNS = {"divided by": "÷", "multiplied by": "×", "plus": "+", "minus": "-",
          "sum": "+", "total": "+", "difference": "-", "product": "×", "quotient": "÷"}  # fmt: skip
_GOES_ON = re.compile(  # what is behind this is a part of something longer
    r"(?:\b(?:than|of|times|plus|minus|by|between)(?: the)?|[=≈×÷·+*/−(-]|\d)\s*\Z", re.IGNORECASE
)
_LIST = re.compile(r"\d(?: [a-z]+){0,4},\s*\Z", re.IGNORECASE)  # 3 apples, 4 pears and 5 plums
_BRACKETED = re.compile(
    rf"(?P<result>{_NUMBER}{_UNIT}) \((?P<terms>[$€£]?\d[\d.,]*%?{_UNIT}(?: [×÷·+*/−-] [$€£]?\d[\d.,]*%?{_UNIT})+)\)"
)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def _part(found: re.Match[str]) -> str:
    whole = {word: number for number, word in enumerate(_ONES.split("|"), 1)}
    upper = whole.get((found["upper"] or "one").lower(), 1)  # or an article
    name = found["part"].lower()
    return f"{upper} ÷ {_PARTS.get(name) or _PARTS[name.removesuffix('s')]} × {found['number']} = "


def _multiple(found: re.Match[str]) -> str:
    return f"{_TIMES[found['times'].lower()]} × {found['number']} = "


def _two(found: re.Match[str], sign: str = "") -> str:
    return f"{found['first']} {sign or _SIGNS[found['sign'].lower()]} {found['second']} = "


def _both(found: re.Match[str]) -> str:
    return found[0] if _LIST.search(found.string, 0, found.start()) else _two(found, "+")


_TWO = rf"(?P<first>{_NUMBER}{_UNIT}) and (?P<second>{_NUMBER}{_UNIT})"
_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (
        _pattern(
            rf"(?:\b(?P<upper>an?|{_ONES})[ -])?"
            rf"(?P<part>\b(?:half|halves|(?:{'|'.join(list(_PARTS)[2:])})s?)) of (?:the )?"
            rf"(?P<number>{_NUMBER}{_UNIT}) {_IS} {_RESULT}"
        ),
        _part,
    ),
    (_pattern(rf"\b(?P<times>{'|'.join(_TIMES)}) (?P<number>{_NUMBER}{_UNIT}) {_IS} {_RESULT}"), _multiple),
    (
        _pattern(
            rf"(?:\bthe )?\b(?P<sign>sum|total|difference|product|quotient) (?:of|between) {_TWO} {_IS} {_RESULT}"
        ),
        _two,
    ),
    (
        _pattern(rf"{_TWO} (?:(?:add|sum) up to|sum to|total|together {_IS}) {_RESULT}"),
        _both,
    ),
    (  # not with units: 5 apples and 5 pears make $3
        _pattern(rf"(?P<first>{_NUMBER}) and (?P<second>{_NUMBER}) (?:makes?|gives?) {_RESULT}"),
        _both,
    ),
    (
        _pattern(
            rf"(?P<first>{_NUMBER}(?: (?!{_NO_UNIT})[a-z]+)) of (?P<second>{_NUMBER}(?P<unit>{_UNIT})) "
            rf"(?:makes?|gives?) {_RESULT}(?={_NUMBER}(?:(?P=unit)\b)?(?:[.,;:!?)]|\Z| in (?:all|total)| altogether))"
        ),
        partial(_two, sign="×"),
    ),
    (
        _pattern(
            rf"(?P<first>{_NUMBER}{_UNIT}) (?P<sign>divided by|multiplied by|plus|minus) (?P<second>{_NUMBER}{_UNIT}) "
            rf"{_IS} {_RESULT}"
        ),
        _two,
    ),
)
_SUM_IS = _pattern(rf"(?<= )(?P<sign>[+−-]) (?P<second>{_NUMBER}{_UNIT}) (?:is|are) {_RESULT}")


def in_signs(step: str, holds: Callable[[str], bool]) -> str:
    """Return a step in which what is stated in words is an equation with signs, true or not.

    An operation without a result, or within a longer expression, stays as it is. So does a number with an expression
    in brackets behind it that has another value: it may say something else.

    Args:
        step (`str`): a sentence.
        holds (`Callable[[str], bool]`): whether an equation is true.

    Example:
    ```python
    >>> in_signs("Half of 30 pens is 14 pens.", always)
    '1 ÷ 2 × 30 pens = 14 pens.'
    ```
    """
    for pattern, replacement in _RULES:
        step = pattern.sub(partial(_unless_part, replacement), step)
    step = _SUM_IS.sub(lambda found: f"{found['sign']} {found['second']} = ", step)
    return _BRACKETED.sub(partial(_before_result, holds), step)


def _unless_part(replacement: Callable[[re.Match[str]], str], found: re.Match[str]) -> str:
    return found[0] if _GOES_ON.search(found.string, 0, found.start()) else replacement(found)


def _before_result(holds: Callable[[str], bool], found: re.Match[str]) -> str:
    equation = f"{found['terms']} = {found['result']}"
    return equation if not _GOES_ON.search(found.string, 0, found.start()) and holds(equation) else found[0]
