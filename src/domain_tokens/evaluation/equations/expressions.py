"""Arithmetic expressions, evaluated exactly: numbers are fractions and never floats."""

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import permutations

from domain_tokens.evaluation.equations.lexemes import CLOSE, EXACT, MINUS, NUMBER, OPEN, PLUS, SIGNS, TIMES, Lexeme
from domain_tokens.evaluation.equations.units import CENT, DOLLAR, times_as_many, unit_of

_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2, "~": 3}  # `~` is the sign of a number
_MAX_LEXEMES = 100


@dataclass(frozen=True)
class Expression:
    """An expression that can be read.

    Attributes:
        operands: its numbers in order.
        signs: its binary signs `+-*/` in order.
        last: the sign that is evaluated last, empty if there is none.
        values: what it can be worth. A percentage is hundredths or a unit: `20%*50 = 10`, `20/50*100 = 40%`.
        partial: what the operations in it give, in the order of evaluation, percentages as hundredths: 5 and 15 of
            `(2+3)*3`.
    """

    operands: tuple[Lexeme, ...]
    signs: str
    last: str
    values: tuple[Fraction, ...]
    partial: tuple[Fraction, ...]


def read_expression(lexemes: list[Lexeme]) -> Expression | None:
    """Return how lexemes read by the precedence of their signs; `None` if they are no expression or divide by 0."""
    if not 0 < len(lexemes) <= _MAX_LEXEMES:
        return None
    if len(lexemes) == 1 and lexemes[0].kind is NUMBER:
        return Expression((lexemes[0],), "", "", lexemes[0].readings[::-1], ())
    explicit: list[Lexeme] = []
    for lexeme in lexemes:
        if explicit and explicit[-1].kind in (NUMBER, CLOSE) and lexeme.kind is OPEN:
            explicit.append(Lexeme(TIMES, lexeme.start, lexeme.start))  # 2(3+4)
        explicit.append(lexeme)
    operands = tuple(one for one in explicit if one.kind is NUMBER)
    found = _evaluate(explicit, scaled=True)
    if found is None:
        return None
    value, signs, last, partial = found
    values = [value]
    if any(one.scale != 1 for one in operands):
        as_units = _evaluate(explicit, scaled=False)
        values += [] if as_units is None else [as_units[0]]
        if operands[-1].percent and [one.kind for one in explicit[-2:]] in ([PLUS, NUMBER], [MINUS, NUMBER]):
            whole = _evaluate(explicit[:-2], scaled=True)  # 200 - 15% is 170
            share = operands[-1].value / 100
            values += [] if whole is None else [whole[0] * (1 + (share if signs[-1] == "+" else -share))]
    return Expression(operands, signs, last, tuple(dict.fromkeys(values)), partial)


def is_rounding(expression: Expression, stated: Lexeme, negative: bool = False) -> bool:
    """Return whether a number is what an expression is worth, with fewer decimals: 10/3 as 3.33.

    Either rounded, where a half may go up or down, or cut off, as whole numbers of a division and cents are: 200/3 as
    66. Nothing is rounded to 0.

    Args:
        expression (`Expression`): what is computed.
        stated (`Lexeme`): the number, without its sign.
        negative (`bool`, *optional*): whether a minus is before it.
    """
    if stated.decimals == EXACT:
        return False
    step = Fraction(10) ** -stated.decimals
    if stated.decimals <= 0 and _adds_fractions(expression):
        return False
    sign = -1 if negative else 1
    cuts = stated.decimals >= 2 or ("/" in expression.signs and expression.last in ("*", "/"))
    for number, unit in zip(stated.readings, (step, step * stated.scale), strict=False):
        for value in expression.values:
            behind = sign * value - number
            if number and (0 < abs(behind) <= unit / 2 or (cuts and 0 < behind < unit)):
                return True
    return False


def is_near(expression: Expression, other: Expression) -> bool:
    """Return whether a product or quotient is another one with rounded numbers in it: 10/3*2 as 3.33*2."""
    rounded = [one for one in other.operands if 0 < one.decimals < EXACT and one.value]
    if not rounded or other.last not in ("*", "/"):
        return False
    share = sum(Fraction(1, 2 * 10**one.decimals) / one.value for one in rounded)
    return any(0 < abs(value - near) <= share * abs(near) for value in expression.values for near in other.values)


def in_unit_of(ours: Expression, theirs: Expression) -> Expression | None:
    """Return a sum of several units in the unit that it is said to equal: `2 ft + 3 in = 27 in`.

    `None` if that has none of their kind, whether the numbers hold or not: `1 foot + 3 inches = 4`.
    """
    units = {one.unit for one in ours.operands if one.unit and one.unit != CENT}  # cents are hundredths of dollars
    if len(units) < 2 or ours.last not in ("+", "-"):
        return ours
    if not set(ours.signs) <= {"+", "-"}:
        return None if _mixes(units, ours) else ours
    unit = theirs.operands[0].unit
    if not unit_of(unit) or any(one.unit != unit for one in theirs.operands):
        return None
    total = plain = Fraction(0)
    for sign, one in zip(f"+{ours.signs}", ours.operands, strict=True):
        factor = times_as_many(one.unit, unit) if unit_of(one.unit) else None
        if factor is None:
            return None
        total += one.value * factor * (1 if sign == "+" else -1)
        plain += one.value * (1 if sign == "+" else -1)
    is_plain = plain in ours.values  # without brackets
    return replace(ours, values=(total,), partial=(total,)) if is_plain else None


def _mixes(units: set[str], ours: Expression) -> bool:
    """Return whether a sum has units of one kind and no factor between them: `1/2 hour + 15 minutes`."""
    values = {one.value for one in ours.operands}
    factors = {times_as_many(one, other) for one, other in permutations(filter(unit_of, units), 2)} - {None}
    return bool(factors) and values.isdisjoint(factors)


def are_thousands(ours: Expression, theirs: Expression) -> bool:
    """Return whether an equation holds if a point separates thousands: `1.000 + 2.500 = 3500`."""
    if not any(one.decimals == 3 for one in (*ours.operands, *theirs.operands)):
        return False
    return any(value * scale in theirs.values for value in ours.values for scale in (1000, Fraction(1, 1000)))


def is_price(ours: Expression, theirs: Expression) -> bool:
    """Return whether a sum of things is said to cost something: 2 adults + 3 kids = $45."""
    is_cost = not theirs.signs and theirs.operands[0].unit == DOLLAR
    return is_cost and ours.last in ("+", "-") and all(one.is_named and not unit_of(one.unit) for one in ours.operands)


def _adds_fractions(expression: Expression) -> bool:
    """Return whether an expression is a sum with a fraction below 1 in it, which is meant exactly: 20 + 1/4."""
    if expression.last not in ("+", "-"):
        return False
    neighbours = zip(expression.operands, expression.signs, expression.operands[1:], strict=False)
    return any(one.decimals == EXACT for one in expression.operands) or any(
        sign == "/" and one.value < other.value and one.end + 1 == other.start for one, sign, other in neighbours
    )


def is_float_noise(expression: Expression, stated: Lexeme, negative: bool = False) -> bool:
    """Return whether a number is what an expression is worth in floating point: 1.87*9 as 16.830000000000002.

    Such a number has 15 digits or more, and an error that grows with the largest number on the way to it.
    """
    if not 0 < stated.decimals < EXACT or len(f"{abs(stated.value) * 10**stated.decimals}") < 15:
        return False
    numbers = (*(one.value for one in expression.operands), *expression.partial)
    error = max(map(abs, numbers)) * (len(expression.signs) + 1) / 2**51
    sign = -1 if negative else 1
    return any(abs(sign * value - stated.value) <= error for value in expression.values)


def _evaluate(lexemes: list[Lexeme], scaled: bool) -> tuple[Fraction, str, str, tuple[Fraction, ...]] | None:
    """Return the value of an expression, its binary signs, the last to apply, and what each gives (shunting yard)."""
    values: list[Fraction] = []
    partial: list[Fraction] = []
    waiting: list[str] = []  # signs and brackets
    signs = last = ""
    expects_number = True
    for lexeme in lexemes:
        if lexeme.kind is NUMBER and expects_number:
            values.append(lexeme.value * lexeme.scale if scaled else lexeme.value)
            expects_number = False
        elif lexeme.kind in (OPEN, MINUS) and expects_number:
            waiting.append("(" if lexeme.kind is OPEN else "~")
        elif lexeme.kind in (*SIGNS, CLOSE) and not expects_number:
            sign = SIGNS.get(lexeme.kind, ")")
            while waiting and waiting[-1] != "(" and (sign == ")" or _BINDS[waiting[-1]] >= _BINDS[sign]):
                last = waiting.pop()
                if not _apply(last, values):
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
        last = waiting.pop()
        if not _apply(last, values):
            return None
        partial.append(values[-1])
    return values[0], signs, last, tuple(partial)


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
