"""How equations are written: the signs that the interventions know, in styles that a whole lesson keeps."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from domain_tokens.corpora.lessons.draw import Weighted
from domain_tokens.corpora.lessons.lesson import Step
from domain_tokens.tokenization.intervention import OPERATORS
from domain_tokens.tokenization.numerals import english as spell


class Style(NamedTuple):
    """The signs of a lesson's equations, with the spaces around them.

    Attributes:
        times, over, plus, minus, equals: the signs.
        mark: what stands around a formula: `$` in LaTeX.
    """

    times: str
    over: str
    plus: str = " + "
    minus: str = " - "
    equals: str = " = "
    mark: str = ""

    def expression(self, sign: str, operands: Sequence[int]) -> str:
        """Return an expression without its result: `6 × 9`."""
        return f"{self.mark}{self._joined(sign, operands)}{self.mark}"

    def equation(self, step: Step) -> str:
        """Return an equation: `6 × 9 = 54`."""
        return f"{self.mark}{self._joined(step.sign, step.operands)}{self.equals}{step.result}{self.mark}"

    def reversed_equation(self, step: Step) -> str:
        """Return an equation with its result first: `54 = 6 × 9`."""
        return f"{self.mark}{step.result}{self.equals}{self._joined(step.sign, step.operands)}{self.mark}"

    def chain(self, sign: str, operands: Sequence[int], steps: Sequence[Step]) -> str:
        """Return an expression and what it equals step by step: `2 × 3 × 4 = 6 × 4 = 24`."""
        middle = self.equals.join(self._joined(step.sign, step.operands) for step in steps[1:])
        return (
            f"{self.mark}{self._joined(sign, operands)}{self.equals}{middle}{self.equals}{steps[-1].result}{self.mark}"
        )

    def _joined(self, sign: str, operands: Sequence[int]) -> str:
        return self.sign(sign).join(map(str, operands))

    def sign(self, sign: str) -> str:
        """Return how the style writes `+`, `-`, `*` or `/`."""
        if sign == "*":
            return self.times
        if sign == "+":
            return self.plus
        return self.minus if sign == "-" else self.over


COMPACT = Style("*", "/", "+", "-", "=")
SPACED = Style(" * ", " / ")
SCHOOL = Style(" × ", " ÷ ")
LETTER = Style(" x ", " / ")
DOT = Style(" · ", " / ")
LATEX = Style(r" \times ", r" \div ", mark="$")
LATEX_DOT = Style(r" \cdot ", r" \div ", mark="$")

STYLES: Weighted[Style] = Weighted(
    (COMPACT, 6), (SPACED, 4), (SCHOOL, 4), (LETTER, 2), (DOT, 1), (LATEX, 1), (LATEX_DOT, 1)
)
"""Of worked solutions."""

PLAIN_STYLES: Weighted[Style] = Weighted((COMPACT, 6), (SPACED, 4), (SCHOOL, 4), (LETTER, 2))
"""Of word problems, which stand in prose."""

_COMMON, _TIMES_AS_OFTEN = ("*", "×", "x", "+"), 3
_VERBS = (" is ", " is ", " equals ", " is equal to ", " makes ", " gives ")


@cache
def statement_styles(operation: str) -> tuple[Style, ...]:
    """Return every way to write an equation with a sign that the interventions know, common signs several times.

    Args:
        operation (`str`): `*` or `+`, one of `OPERATORS`.
    """
    styles = []
    for sign in OPERATORS[operation]:
        mark = "$" if sign.startswith("\\") else ""
        for gap in ("", " "):
            behind = " " if mark else gap  # a command of LaTeX ends at a space
            spelled = f"{gap}{sign}{behind}"
            times, plus = (spelled, f"{gap}+{gap}") if operation == "*" else (f"{gap}*{gap}", spelled)
            style = Style(times, f"{gap}/{gap}", plus, f"{gap}-{gap}", f"{gap}={gap}", mark)
            styles += [style] * (_TIMES_AS_OFTEN if sign in _COMMON else 1)
    return tuple(styles)


class Spoken(NamedTuple):
    """A way to say an equation in words.

    Attributes:
        times, plus: between the operands.
        verb: between expression and result.
        in_words: whether numbers are words.
    """

    times: str
    plus: str
    verb: str
    in_words: bool

    def equation(self, step: Step) -> str:
        """Return a product or sum in words: `six times nine is fifty-four`."""
        write = spell if self.in_words else str
        between = self.times if step.sign == "*" else self.plus
        return f"{between.join(map(write, step.operands))}{self.verb}{write(step.result)}"


SPOKEN = tuple(
    Spoken(times, " plus ", verb, in_words)
    for times in (" times ", " times ", " multiplied by ")
    for verb in _VERBS
    for in_words in (False, True)
)


def sentence(text: str) -> str:
    """Return a text as a sentence: with a capital and a full stop."""
    return f"{text[0].upper()}{text[1:]}."
