"""Arithmetic expressions, evaluated exactly: numbers are fractions and never floats."""

from dataclasses import dataclass
from fractions import Fraction

from domain_tokens.evaluation.equations.lexemes import CLOSE, MINUS, NUMBER, OPEN, SIGNS, TIMES, Lexeme

_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2, "~": 3}  # `~` is the sign of a number
_MAX_LEXEMES = 100


@dataclass(frozen=True)
class Expression:
    """An expression that can be read.

    Attributes:
        operands: its numbers in order.
        signs: its binary signs `+-*/` in order.
        values: what it can be worth. A percentage is hundredths or a unit: `20%*50 = 10`, `20/50*100 = 40%`.
        partial: what the operations in it give, in the order of evaluation, percentages as hundredths: 5 and 15 of
            `(2+3)*3`.
    """

    operands: tuple[Lexeme, ...]
    signs: str
    values: tuple[Fraction, ...]
    partial: tuple[Fraction, ...]


def read_expression(lexemes: list[Lexeme]) -> Expression | None:
    """Return how lexemes read by the precedence of their signs; `None` if they are no expression or divide by 0."""
    if not 0 < len(lexemes) <= _MAX_LEXEMES:
        return None
    explicit: list[Lexeme] = []
    for lexeme in lexemes:
        if explicit and explicit[-1].kind in (NUMBER, CLOSE) and lexeme.kind is OPEN:
            explicit.append(Lexeme(TIMES, lexeme.start, lexeme.start))  # 2(3+4)
        explicit.append(lexeme)
    operands = tuple(one for one in explicit if one.kind is NUMBER)
    found = _evaluate(explicit, hundredths=True)
    if found is None:
        return None
    value, signs, partial = found
    values = [value]
    if any(one.percent for one in operands):
        as_units = _evaluate(explicit, hundredths=False)
        values += [] if as_units is None else [as_units[0]]
    return Expression(operands, signs, tuple(dict.fromkeys(values)), partial)


def is_rounding(value: Fraction, stated: Lexeme) -> bool:
    """Return whether a number is a value rounded to the decimals that it is written with: 10/3 as 3.33.

    A half may go up or down. Nothing is rounded to 0.
    """
    readings = [(stated.value, Fraction(1, 2 * 10**stated.decimals))]
    if stated.percent:
        readings.append((stated.value / 100, readings[0][1] / 100))
    return stated.value != 0 and any(0 < abs(value - number) <= half for number, half in readings)


def _evaluate(lexemes: list[Lexeme], hundredths: bool) -> tuple[Fraction, str, tuple[Fraction, ...]] | None:
    """Return the value of an expression, its binary signs, and what each of them gives (Dijkstra's shunting yard)."""
    values: list[Fraction] = []
    partial: list[Fraction] = []
    waiting: list[str] = []  # signs and brackets
    signs = ""
    expects_number = True
    for lexeme in lexemes:
        if lexeme.kind is NUMBER and expects_number:
            values.append(lexeme.value / 100 if lexeme.percent and hundredths else lexeme.value)
            expects_number = False
        elif lexeme.kind in (OPEN, MINUS) and expects_number:
            waiting.append("(" if lexeme.kind is OPEN else "~")
        elif lexeme.kind in (*SIGNS, CLOSE) and not expects_number:
            sign = SIGNS.get(lexeme.kind, ")")
            while waiting and waiting[-1] != "(" and (sign == ")" or _BINDS[waiting[-1]] >= _BINDS[sign]):
                if not _apply(waiting.pop(), values):
                    return None
                partial.append(values[-1])
            if sign == ")":
                if not waiting:
                    return None
                waiting.pop()
            else:
                waiting.append(sign)
                signs += sign
                expects_number = True
        else:
            return None
    if expects_number or "(" in waiting:
        return None
    while waiting:
        if not _apply(waiting.pop(), values):
            return None
        partial.append(values[-1])
    return values[0], signs, tuple(partial)


def _apply(sign: str, values: list[Fraction]) -> bool:
    """Replace the last values by what a sign makes of them; return whether there is such a value."""
    right = values.pop()
    if sign == "~":
        values.append(-right)
        return True
    left = values.pop()
    if sign == "+":
        values.append(left + right)
    elif sign == "-":
        values.append(left - right)
    elif sign == "*":
        values.append(left * right)
    elif right == 0:
        return False
    else:
        values.append(left / right)
    return True
