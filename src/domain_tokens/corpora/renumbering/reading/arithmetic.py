"""The expressions of a worked solution: read from text, with a slot for each operand, and computed exactly."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from domain_tokens.corpora.programs.numbers import decimals_of

Value = int | Fraction

HUNDREDTH = Fraction(1, 100)

_TOKEN = re.compile(r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+|[-+*/()%xX×÷–−]")
_SIGNS = {"x": "*", "X": "*", "×": "*", "÷": "/", "–": "-", "−": "-"}


class Term(NamedTuple):
    """An operation on two expressions."""

    sign: str
    left: "Expression"
    right: "Expression"


Expression = int | Term
"""An operand, by its index among the operands of its text, or an operation."""


class Operand(NamedTuple):
    """A number in the text of an expression: its span, its value, and whether a percent sign follows it."""

    start: int
    end: int
    value: Value
    percent: bool


@dataclass(frozen=True)
class Read:
    """An expression with its operands in the order of the text."""

    expression: Expression
    operands: tuple[Operand, ...]


def read(text: str, start: int, end: int) -> Read | None:
    """Return the expression that a span of a text is; `None` if it is none.

    `5(3)` is a product, and `20%` an operand whose value is a fifth.
    """
    operands: list[Operand] = []
    tokens: list[int | str] = []
    position = start
    for match in _TOKEN.finditer(text, start, end):
        between = text[position : match.start()]
        if between.strip(" $"):
            return None
        position = match.end()
        token = match.group()
        if token == "%":
            if not tokens or not isinstance(tokens[-1], int):
                return None
            operands[-1] = operands[-1]._replace(value=simple(Fraction(operands[-1].value, 100)), percent=True)
        elif token[0].isdigit() or token[0] == ".":
            tokens.append(len(operands))
            operands.append(Operand(match.start(), match.end(), number(token), False))
        else:
            tokens.append(_SIGNS.get(token, token))
    if text[position:end].strip(" $"):
        return None
    expression = _Parser(tokens).parse()
    return None if expression is None else Read(expression, tuple(operands))


def number(text: str) -> Value:
    """Return the value of a number as it is written: `1,200`, `.5`."""
    return simple(Fraction(text.replace(",", "")))


def simple(value: Fraction) -> Value:
    """Return a whole number as an `int`, with which arithmetic is faster."""
    return value.numerator if value.denominator == 1 else value


class _Parser:
    """Parses tokens by precedence; `None` stands for what is no expression."""

    def __init__(self, tokens: Sequence[int | str]) -> None:
        self._tokens = list(tokens)

    def parse(self) -> Expression | None:
        expression = self._sum()
        return None if self._tokens else expression

    def _chain(self, signs: str, part: Callable[[], Expression | None]) -> Expression | None:
        left = part()
        while left is not None and self._tokens and self._next_is(signs):
            sign = "*"
            if isinstance(self._tokens[0], str) and self._tokens[0] != "(":
                sign = str(self._tokens.pop(0))
            right = part()
            left = None if right is None else Term(sign, left, right)
        return left

    def _next_is(self, signs: str) -> bool:
        token = self._tokens[0]
        if isinstance(token, int):
            return False
        return token in signs

    def _sum(self) -> Expression | None:
        return self._chain("+-", self._product)

    def _product(self) -> Expression | None:
        return self._chain("*/(", self._atom)

    def _atom(self) -> Expression | None:
        if not self._tokens:
            return None
        token = self._tokens.pop(0)
        if isinstance(token, int):
            return token
        if token != "(":
            return None
        inner = self._sum()
        if inner is None or not self._tokens or self._tokens.pop(0) != ")":
            return None
        return inner


def divide(left: Value, right: Value) -> Value:
    """Return an exact quotient. Raises `ZeroDivisionError`."""
    if isinstance(left, int) and isinstance(right, int) and right and not left % right:
        return left // right
    return simple(Fraction(left) / right)


def compute(sign: str, left: Value, right: Value) -> Value:
    """Return the result of one operation, exactly. Raises `ZeroDivisionError`."""
    if sign == "+":
        result = left + right
    elif sign == "-":
        result = left - right
    elif sign == "*":
        result = left * right
    else:
        return divide(left, right)
    return result if isinstance(result, int) else simple(result)


def evaluate(expression: Expression, operands: Sequence[Value]) -> Value:
    """Return the value of an expression. Raises `ZeroDivisionError`."""
    if isinstance(expression, int):
        return operands[expression]
    return compute(expression.sign, evaluate(expression.left, operands), evaluate(expression.right, operands))


def is_whole(value: Value) -> bool:
    """Return whether a value has no fraction."""
    return isinstance(value, int)


def is_like(new: Value, old: Value) -> bool:
    """Return whether a value is of the kind of another: its sign, whole if that is whole, 0 and 1 only if that is.

    A value that ends after a few decimals is one with at most two, or as many as the other has.
    """
    if isinstance(old, int):
        if not isinstance(new, int):
            return False
        return new == old if -1 <= old <= 1 else (new > 1 if old > 1 else new < -1)
    if (new > 0) != (old > 0) or (-1 < new < 1) != (-1 < old < 1) or new in (1, -1):
        return False
    places = decimals(old)
    return places is None or (found := decimals(new)) is not None and found <= max(places, 2)


def decimals(value: Value) -> int | None:
    """Return how many decimals a value has; `None` if they do not end."""
    return decimals_of(Fraction(value))
