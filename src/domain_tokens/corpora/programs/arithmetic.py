"""The operations of a program as equations: each is one sign between two numbers, and true."""

import ast
import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from domain_tokens.corpora.programs.numbers import (
    Number,
    agrees,
    checked,
    is_written_as_fraction,
    rounded,
    written,
)
from domain_tokens.corpora.programs.refusal import Reason, RefusedError

_MAX_EXPONENT = 20


class Entry(NamedTuple):
    """What is computed in one go.

    Attributes:
        clause: what is stated, as a part of a sentence: `6 × 9 = 54`, `3.4 rounds up to 4`.
        ending: how a sentence goes on with it behind `The number of boxes is`: `6 × 9 = 54`, `4 after rounding up`.
        result: what comes out.
    """

    clause: str
    ending: str
    result: Number

    @classmethod
    def equation(cls, text: str, result: Number) -> "Entry":
        """Return an equation, which reads the same in every place."""
        return cls(text, text, result)


Trace = list[Entry]


def as_stated(trace: Trace, number: Number, result: Number) -> Number:
    """Return a number of another kind or with the same digits, which is still what was stated last, if `number` is."""
    if trace and trace[-1].result is number:
        trace[-1] = trace[-1]._replace(result=result)
    return result


Operation = Callable[[Number, Number, Trace, bool], Number]


def _equation(left: Number, sign: str, right: Number, result: Number, trace: Trace) -> Number:
    """State an equation; a fraction without end is also written with decimals, rounded."""
    first, second, value = written(left.exact), written(right.exact), written(result.exact)
    if second.startswith("-") or (sign == "÷" and "/" in second):
        second = f"({second})"
    text = f"{first} {sign} {second} = {value}"
    if is_written_as_fraction(result.exact):
        text = f"{text} ≈ {rounded(result.exact)}"
    trace.append(Entry.equation(text, result))
    return result


def _python(action: Callable[[], object]) -> int | float:
    try:
        value = action()
    except ZeroDivisionError as error:
        raise RefusedError(Reason.RAISES, "division by zero") from error
    except (ArithmeticError, TypeError, ValueError) as error:
        raise RefusedError(Reason.TYPES, str(error)) from error
    if isinstance(value, complex):
        raise RefusedError(Reason.IRRATIONAL, "a complex number")
    return value  # type: ignore[return-value]


def _add(left: Number, right: Number, trace: Trace, split: bool) -> Number:
    result = checked(left.exact + right.exact, _python(lambda: left.value + right.value))  # type: ignore[operator]
    return _equation(left, "+", right, result, trace)


def _subtract(left: Number, right: Number, trace: Trace, split: bool) -> Number:
    result = checked(left.exact - right.exact, _python(lambda: left.value - right.value))  # type: ignore[operator]
    return _equation(left, "-", right, result, trace)


def multiply(left: Number, right: Number, trace: Trace, split: bool) -> Number:
    """Return a product, and state it.

    Args:
        left, right (`Number`): the factors.
        trace (`Trace`): gets the equation.
        split (`bool`): whether a product of longer whole numbers is worked out digit by digit before.
    """
    result = checked(left.exact * right.exact, _python(lambda: left.value * right.value))  # type: ignore[operator]
    if split:
        _split(left.exact, right.exact, trace)
    return _equation(left, "×", right, result, trace)


def _split(left: Fraction, right: Fraction, trace: Trace) -> None:
    """State the products of single digits of which a product consists, and their sums."""
    if left.denominator > 1 or right.denominator > 1 or min(left, right) < 2 or max(left, right) < 10:
        return
    longer, shorter = (int(left), int(right)) if left >= right else (int(right), int(left))
    rows = []
    for part in _places(shorter):
        cells = []
        for other in _places(longer):
            digit, other_digit = int(str(part)[0]), int(str(other)[0])
            tens = (part // digit) * (other // other_digit)
            _state(trace, other_digit, "×", digit)
            if tens > 1 and part * other != int(left * right):
                _state(trace, other_digit * digit, "×", tens)
            cells.append(other * part)
        rows.append(_sum(trace, cells))
    _sum(trace, rows)


def _places(number: int) -> list[int]:
    digits = str(number)
    return [int(digit) * 10 ** (len(digits) - place) for place, digit in enumerate(digits, 1) if digit != "0"]


def _sum(trace: Trace, numbers: list[int]) -> int:
    total = numbers[0]
    for number in numbers[1:]:
        total = _state(trace, total, "+", number)
    return total


def _state(trace: Trace, left: int, sign: str, right: int) -> int:
    value = left * right if sign == "×" else left + right
    trace.append(Entry.equation(f"{left} {sign} {right} = {value}", Number(Fraction(value), value)))
    return value


def _divide(left: Number, right: Number, trace: Trace, split: bool) -> Number:
    value = _python(lambda: left.value / right.value)  # type: ignore[operator]
    if not right.exact:
        raise RefusedError(Reason.FLOAT_NOISE, "a divisor that is almost zero")
    result = checked(left.exact / right.exact, value)
    is_reduced = result.exact.denominator == right.exact
    if left.literal and right.literal and is_reduced and is_written_as_fraction(result.exact) and result.exact < 1:
        result.literal = True
        return result  # 1/3 is a number, and nothing is computed
    return _equation(left, "÷", right, result, trace)


def _quotient(left: Number, right: Number, trace: Trace) -> tuple[Number, Number]:
    """Return quotient and remainder, and state the product below the dividend where there is a remainder."""
    quotient = _python(lambda: left.value // right.value)  # type: ignore[operator]
    remainder = _python(lambda: left.value % right.value)  # type: ignore[operator]
    if not right.exact:
        raise RefusedError(Reason.FLOAT_NOISE, "a divisor that is almost zero")
    if left.exact < 0 or right.exact < 0:
        raise RefusedError(Reason.NEGATIVE_DIVISION)
    exact = Fraction(left.exact // right.exact)
    times, rest = checked(exact, quotient), checked(left.exact - exact * right.exact, remainder)
    if not (agrees(times) and agrees(rest)):
        raise RefusedError(Reason.FLOAT_NOISE, f"{left.value} // {right.value}")
    return times, rest


def _floor_divide(left: Number, right: Number, trace: Trace, split: bool) -> Number:
    times, rest = _quotient(left, right, trace)
    if not rest.exact:
        return _equation(left, "÷", right, times, trace)
    dividend, divisor, value = written(left.exact), written(right.exact), written(times.exact)
    if not times.exact:
        trace.append(Entry(f"{divisor} does not fit into {dividend}", f"0, as {dividend} < {divisor}", times))
        return times
    product = Number(times.exact * right.exact, 0)
    _equation(times, "×", right, product, trace)
    _equation(left, "-", product, rest, trace)
    trace.append(Entry(f"{divisor} fits into {dividend} at most {value} times", value, times))
    return times


def _modulo(left: Number, right: Number, trace: Trace, split: bool) -> Number:
    times, rest = _quotient(left, right, trace)
    if not times.exact:
        text = written(rest.exact)
        trace.append(Entry(f"{written(right.exact)} does not fit into {text}", text, rest))
        return rest
    product = Number(times.exact * right.exact, 0)
    _equation(times, "×", right, product, trace)
    return _equation(left, "-", product, rest, trace)


def power(left: Number, right: Number, trace: Trace, split: bool) -> Number:
    """Return a power as products, and a square root as the number whose square it is."""
    if right.exact == Fraction(1, 2):
        return root(left, trace, float(_python(lambda: left.value**right.value)))  # type: ignore[operator]
    if right.exact.denominator > 1:
        raise RefusedError(Reason.IRRATIONAL, f"{left.value} ** {right.value}")
    exponent = int(right.exact)
    if not 0 <= exponent <= _MAX_EXPONENT:
        raise RefusedError(Reason.NO_SHORT_NUMBER, f"{left.value} ** {right.value}")
    value = _python(lambda: left.value**right.value)  # type: ignore[operator]
    if exponent < 2:
        return checked(left.exact**exponent, value)
    result = left
    for _ in range(exponent - 1):
        result = multiply(result, left, trace, split)
    return _with_value(trace, checked(result.exact, value))


def _with_value(trace: Trace, result: Number) -> Number:
    """Let what was stated last be the result, with the value that Python has for all of it."""
    trace[-1] = trace[-1]._replace(result=result)
    return result


def root(number: Number, trace: Trace, value: float) -> Number:
    """Return the square root of a square.

    Raises:
        RefusedError: if it is no fraction.
    """
    exact = number.exact
    if exact < 0:
        raise RefusedError(Reason.RAISES, "the square root of a negative number")
    found = Fraction(math.isqrt(exact.numerator), math.isqrt(exact.denominator))
    if found * found != exact:
        raise RefusedError(Reason.IRRATIONAL, f"the square root of {number.value}")
    result = checked(found, value)
    multiply(result, result, trace, split=False)
    square, text = written(exact), written(found)
    trace.append(Entry(f"the square root of {square} is {text}", f"{text}, the square root of {square}", result))
    return result


OPERATIONS: dict[type[ast.operator], Operation] = {
    ast.Add: _add,
    ast.Sub: _subtract,
    ast.Mult: multiply,
    ast.Div: _divide,
    ast.FloorDiv: _floor_divide,
    ast.Mod: _modulo,
    ast.Pow: power,
}
"""What each operator of Python does to two numbers, a trace, and whether long products are split."""

COMPARISONS: dict[type[ast.cmpop], tuple[Callable[..., bool], str, str]] = {
    ast.Gt: (operator.gt, "is more than", "is at most"),
    ast.GtE: (operator.ge, "is at least", "is less than"),
    ast.Lt: (operator.lt, "is less than", "is at least"),
    ast.LtE: (operator.le, "is at most", "is more than"),
    ast.Eq: (operator.eq, "is the same as", "is not the same as"),
    ast.NotEq: (operator.ne, "is not the same as", "is the same as"),
}
"""What each comparison does, and how it is said where it holds and where it does not."""
