"""Numbers of a program: what Python computes beside what is exact, and how people write it."""

import math
from decimal import Decimal
from fractions import Fraction

from domain_tokens.corpora.programs.refusal import Reason, RefusedError

_MAX_DECIMALS = 6
_MAX_DENOMINATOR = 1000
_MAX_VALUE = 10**15
_NEAR = 1e-9

PythonNumber = int | float | Fraction | Decimal


class Number:
    """A number of a program.

    A float of Python is not what its program means: 0.1 + 0.2 is 0.30000000000000004. So both are computed, and a
    program is refused where they disagree.

    Attributes:
        exact: what it is in exact arithmetic.
        value: what Python computes.
        literal: whether the program has it as a literal.
    """

    __slots__ = ("exact", "literal", "value")

    def __init__(self, exact: Fraction, value: PythonNumber, literal: bool = False) -> None:
        self.exact = exact
        self.value = value
        self.literal = literal

    def __repr__(self) -> str:
        return f"Number({self.exact})"


def of_python(value: PythonNumber, literal: bool = False) -> Number:
    """Return a literal of a program as a number: the float 0.1 is one tenth.

    Raises:
        RefusedError: if it is infinite, or longer than people write.
    """
    if isinstance(value, float | Decimal):
        if not math.isfinite(value) or abs(float(value)) >= _MAX_VALUE:
            raise RefusedError(Reason.NO_SHORT_NUMBER, repr(value))
        exact = Fraction(int(value)) if value == int(value) else Fraction(str(value))
    else:
        exact = Fraction(value)
    return checked(exact, value, literal)


def checked(exact: Fraction, value: PythonNumber, literal: bool = False) -> Number:
    """Return a number, if it is not longer than people write."""
    if abs(exact.numerator) >= _MAX_VALUE or exact.denominator >= _MAX_VALUE:
        raise RefusedError(Reason.NO_SHORT_NUMBER, repr(value))
    return Number(exact, value, literal)


def agrees(number: Number) -> bool:
    """Return whether what Python computes is what is exact, but for the noise of floats."""
    return abs(float(number.exact) - float(number.value)) <= _NEAR * max(1.0, abs(float(number.exact)))


def undisturbed(exact: bool, python: bool, number: Number) -> bool:
    """Return what is true of a number, if the noise of floats does not make Python see it otherwise."""
    if exact != python:
        raise RefusedError(Reason.FLOAT_NOISE, repr(number.value))
    return exact


def decimals_of(number: Fraction) -> int | None:
    """Return how many decimals a number has; `None` if they do not end."""
    rest, twos, fives = number.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return max(twos, fives) if rest == 1 else None


def written(number: Fraction) -> str:
    """Return a number as people write it: whole, with a few decimals, or as a fraction.

    Raises:
        RefusedError: if it has too many digits for any of them.
    """
    if number.denominator == 1:
        return str(number.numerator)
    decimals = decimals_of(number)
    if decimals is not None and decimals <= _MAX_DECIMALS:
        return fixed(number, decimals)
    if number.denominator <= _MAX_DENOMINATOR:
        return f"{number.numerator}/{number.denominator}"
    raise RefusedError(Reason.NO_SHORT_NUMBER, str(float(number)))


def fixed(number: Fraction, decimals: int) -> str:
    """Return a number with a number of decimals, rounded half up."""
    scaled = math.floor(abs(number) * 10**decimals + Fraction(1, 2))
    digits = str(scaled).zfill(decimals + 1)
    sign = "-" if number < 0 and scaled else ""
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else f"{sign}{digits}"


def is_written_as_fraction(number: Fraction) -> bool:
    """Return whether people would have to round a number to write it with decimals."""
    return number.denominator > 1 and "/" in written(number)


def rounded(number: Fraction) -> str:
    """Return a fraction with two decimals, or with as many as show three digits of a small one."""
    decimals = 2
    while decimals < _MAX_DECIMALS and abs(number) * 10**decimals < 100:
        decimals += 1
    return fixed(number, decimals).rstrip("0") if abs(number) < 1 else fixed(number, decimals)


def checked_result(number: Number) -> Number:
    """Return the result of a program, if floats have not changed it."""
    if not agrees(number):
        raise RefusedError(Reason.FLOAT_NOISE, repr(number.value))
    return number
