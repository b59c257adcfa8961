"""The functions of Python and its libraries that programs call, in exact arithmetic."""

import math
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple, cast

from domain_tokens.corpora.programs.arithmetic import OPERATIONS, Entry, Trace, as_stated, multiply, power, root
from domain_tokens.corpora.programs.library.containers import (
    Call,
    as_number,
    dictionary,
    items_of,
    length,
    members_of,
    numbered,
    range_of,
    truth,
    unique,
    whole,
    zipped,
)
from domain_tokens.corpora.programs.numbers import Number, PythonNumber, checked, of_python, written
from domain_tokens.corpora.programs.refusal import Reason, RefusedError
from domain_tokens.corpora.programs.values import Once, Text, Value
from domain_tokens.jail.allowed import IMPORTS

_ADD, _DIVIDE, _FLOOR_DIVIDE, _MODULO = (
    OPERATIONS[kind] for kind in OPERATIONS if kind.__name__ in ("Add", "Div", "FloorDiv", "Mod")
)
_MAX_FACTORIAL = 12
_MOST_PLACES = 6
_MAX_NUMERAL = 30
_WHOLE = re.compile(r"[+-]?\d{1,15}", re.ASCII)
_NUMERAL = re.compile(r"[+-]?(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})", re.ASCII)
_HALF = Fraction(1, 2)
_PLACES = {0: "", 1: " to one decimal", 2: " to two decimals", 3: " to three decimals", 4: " to four decimals"}


def _rounding(number: Number, exact: Fraction, value: PythonNumber, how: str, trace: Trace) -> Number:
    """Return a rounded number, and say so where this changes it."""
    result = checked(exact, value)
    if exact == number.exact:
        return as_stated(trace, number, result)
    text = written(exact)
    trace.append(Entry(f"{written(number.exact)} rounded{how} becomes {text}", f"{text} after rounding{how}", result))
    return result


def _towards(number: Number, exact: int, value: float, how: str, trace: Trace) -> Number:
    if exact != value:
        raise RefusedError(Reason.FLOAT_NOISE, repr(number.value))
    return _rounding(number, Fraction(exact), int(value), how, trace)


def _floor(call: Call) -> Number:
    number = call.number()
    return _towards(number, math.floor(number.exact), math.floor(number.value), " down", call.trace)


def _ceil(call: Call) -> Number:
    number = call.number()
    return _towards(number, math.ceil(number.exact), math.ceil(number.value), " up", call.trace)


def _int(call: Call) -> Number:
    number = _read_number(call, whole_only=True)
    how = " down" if number.exact >= 0 else " towards zero"
    return _towards(number, math.trunc(number.exact), math.trunc(number.value), how, call.trace)


def _round(call: Call) -> Number:
    digits = call.named.get("ndigits", call.positional[1] if len(call.positional) > 1 else None)
    places = 0 if digits is None else whole(digits)
    if not -_MOST_PLACES <= places <= _MOST_PLACES:
        raise RefusedError(Reason.NO_SHORT_NUMBER, f"{places} decimals")
    number = call.number()
    python = cast(float, number.value)  # each kind of number rounds in its own way
    value = round(python) if digits is None else round(python, places)
    return rounded_to(number, value, places, call.trace)


def rounded_to(number: Number, value: PythonNumber, places: int, trace: Trace) -> Number:
    """Return a number that Python has rounded to so many decimals.

    Raises:
        RefusedError: if it lies halfway and Python does not round it up, as people do.
    """
    scale = Fraction(10) ** places
    exact = Fraction(math.floor(abs(number.exact) * scale + _HALF), 1) / scale * (-1 if number.exact < 0 else 1)
    if abs(float(exact) - float(value)) > 1e-9 * max(1.0, abs(float(exact))):
        raise RefusedError(Reason.FLOAT_NOISE, f"round({number.value}, {places})")
    how = _PLACES.get(places, "")
    return _rounding(number, exact, value, how, trace)


def _float(call: Call) -> Number:
    number = _read_number(call, whole_only=False)
    return as_stated(call.trace, number, Number(number.exact, float(number.value), number.literal))


def _read_number(call: Call, *, whole_only: bool) -> Number:
    """Return the number that `int()` or `float()` is given, also as text."""
    value = call.positional[0] if call.positional else of_python(0)
    if not isinstance(value, str):
        return as_number(value)
    text = value.strip()
    if not (_NUMERAL if not whole_only else _WHOLE).fullmatch(text):
        raise RefusedError(Reason.TYPES, f"{value[:40]!r} as a number")
    return of_python(int(text) if whole_only else float(text), literal=True)


def _abs(call: Call) -> Number:
    number = call.number()
    if number.exact >= 0:
        return number
    text, result = written(-number.exact), checked(-number.exact, -number.value)
    entry = Entry(f"{written(number.exact)} without its sign is just {text}", f"{text}, ignoring the sign", result)
    call.trace.append(entry)
    return result


def _extreme(call: Call, choose: Callable[[Iterable[Number]], Number], words: tuple[str, str]) -> Number:
    values = members_of(call.positional[0]) if len(call.positional) == 1 else call.positional
    numbers = [as_number(value) for value in values]
    if not numbers:
        raise RefusedError(Reason.RAISES, "the smallest of nothing")
    chosen = choose(numbers)
    texts = [written(number.exact) for number in numbers]
    if len(texts) > 1:
        word = words[len(texts) > 2]
        listed = f"{', '.join(texts[:-1])} and {texts[-1]}"
        found = Number(chosen.exact, chosen.value)
        text = written(chosen.exact)
        call.trace.append(Entry(f"the {word} of {listed} is just {text}", f"{text}, the {word} of {listed}", found))
        return found
    return chosen


def _min(call: Call) -> Number:
    return _extreme(call, lambda numbers: min(numbers, key=_exact), ("smaller", "smallest"))


def _max(call: Call) -> Number:
    return _extreme(call, lambda numbers: max(numbers, key=_exact), ("larger", "largest"))


def _sum(call: Call) -> Number:
    numbers = [as_number(value) for value in members_of(call.positional[0])]
    if len(call.positional) > 1 or call.named:
        numbers.insert(0, as_number(call.named["start"]) if call.named else call.number(1))
    return _chain(numbers, _ADD, of_python(0), call)


def _prod(call: Call) -> Number:
    return _chain([as_number(value) for value in members_of(call.positional[0])], multiply, of_python(1), call)


def _mean(call: Call) -> Number:
    items = members_of(call.positional[0])
    return _DIVIDE(_sum(call._replace(positional=[items])), of_python(len(items)), call.trace, call.split)


def _chain(numbers: list[Number], action: Callable[..., Number], empty: Number, call: Call) -> Number:
    if not numbers:
        return empty
    total = numbers[0]
    for number in numbers[1:]:
        total = action(total, number, call.trace, call.split)
    return total


def _divmod(call: Call) -> tuple[Number, Number]:
    quotient = _FLOOR_DIVIDE(call.number(0), call.number(1), call.trace, call.split)
    return quotient, _MODULO(call.number(0), call.number(1), [], call.split)


def _whole(call: Call, index: int = 0) -> int:
    number = whole(call.number(index))
    if not 0 <= number <= 10**9:
        raise RefusedError(Reason.RAISES, f"a number below zero, or beyond 10^9: {number}")
    return number


def _factorial(call: Call) -> Number:
    return _product_of(range(1, _whole(call) + 1), call)


def _product_of(factors: Sequence[int], call: Call) -> Number:
    if len(factors) > _MAX_FACTORIAL:
        raise RefusedError(Reason.TOO_MANY_STEPS, f"{len(factors)} factors")
    return _chain([of_python(factor) for factor in factors], multiply, of_python(1), call)


def _perm(call: Call) -> Number:
    total = _whole(call)
    chosen = _whole(call, 1) if len(call.positional) > 1 else total
    if chosen > total:
        return of_python(0)
    return _product_of(range(total, total - chosen, -1), call)


def _comb(call: Call) -> Number:
    total, chosen = _whole(call), _whole(call, 1)
    chosen = min(chosen, total - chosen)
    if chosen < 0:
        return of_python(0)
    upper = _product_of(range(total, total - chosen, -1), call)
    lower = _product_of(range(1, chosen + 1), call)
    result = _DIVIDE(upper, lower, call.trace, call.split) if chosen > 1 else upper
    return as_stated(call.trace, result, Number(result.exact, int(result.exact)))


def _common(call: Call, action: Callable[..., int], words: str) -> Number:
    numbers = [_whole(call, index) for index in range(len(call.positional))]
    result = of_python(action(*numbers))
    listed = " and ".join(filter(None, [", ".join(map(str, numbers[:-1])), str(numbers[-1])]))
    text = written(result.exact)
    call.trace.append(Entry(f"the {words} of {listed} is just {text}", f"{text}, the {words} of {listed}", result))
    return result


def _sqrt(call: Call) -> Number:
    number = call.number()
    return root(number, call.trace, math.sqrt(number.value) if number.exact >= 0 else 0.0)


def _fraction(call: Call) -> Number:
    """Return a fraction; that of the float 0.1 is one tenth, and not so in Python."""
    numbers = [_parsed(value) for value in call.positional]
    if len(numbers) == 1:
        made = checked(numbers[0].exact, Fraction(numbers[0].value), literal=True)
        return as_stated(call.trace, numbers[0], made)
    upper, lower = numbers
    if not lower.exact or any(isinstance(number.value, float | Decimal) for number in numbers):
        raise RefusedError(Reason.RAISES, "Fraction() of these numbers")
    return checked(upper.exact / lower.exact, Fraction(upper.value) / Fraction(lower.value), literal=True)


def _decimal(call: Call) -> Number:
    number = _parsed(call.positional[0])
    if isinstance(number.value, float):
        value = Decimal(number.value)
    else:
        try:
            value = Decimal(number.exact.numerator) / Decimal(number.exact.denominator)
        except ArithmeticError as error:
            raise RefusedError(Reason.TYPES, str(error)) from error
    return as_stated(call.trace, number, checked(number.exact, value, literal=True))


def _parsed(value: Value) -> Number:
    if not isinstance(value, str):
        return as_number(value)
    if len(value) > _MAX_NUMERAL or "e" in value.lower():
        raise RefusedError(Reason.NO_SHORT_NUMBER, value[:40])
    try:
        exact = Fraction(value)
    except (ValueError, ZeroDivisionError) as error:
        raise RefusedError(Reason.RAISES, f"{value[:40]!r} is no number") from error
    return Number(exact, exact)


def _sorted(call: Call) -> list[Number]:
    numbers = [as_number(value) for value in members_of(call.positional[0])]
    return sorted(numbers, key=_exact, reverse=truth(call.named.get("reverse", False)))


def _exact(number: Number) -> Fraction:
    return number.exact


def _next(call: Call) -> Value:
    items = call.positional[0]
    if not isinstance(items, Once):
        raise RefusedError(Reason.RAISES, "next() of what is no iterator")
    if not items.has_order and len(items.items) > 1:
        raise RefusedError(Reason.SYNTAX, "the order of a set")
    if not items.items and len(call.positional) == 1:
        raise RefusedError(Reason.RAISES, "next() of nothing")
    return items.items.pop(0) if items.items else call.positional[1]


def _truths(call: Call) -> list[bool]:
    return [truth(value) for value in members_of(call.positional[0])]


def _text(call: Call) -> Text:
    return Text(tuple(call.positional[:1]))


FUNCTIONS: dict[str, Callable[[Call], Value]] = {
    "abs": _abs,
    "all": lambda call: all(_truths(call)),
    "any": lambda call: any(_truths(call)),
    "bool": lambda call: truth(call.positional[0]),
    "decimal.Decimal": _decimal,
    "dict": dictionary,
    "divmod": _divmod,
    "enumerate": numbered,
    "float": _float,
    "fractions.Fraction": _fraction,
    "int": _int,
    "len": length,
    "list": lambda call: items_of(call.positional[0]) if call.positional else [],
    "math.ceil": _ceil,
    "math.comb": _comb,
    "math.fabs": _abs,
    "math.factorial": _factorial,
    "math.floor": _floor,
    "math.fsum": _sum,
    "math.gcd": lambda call: _common(call, math.gcd, "greatest common divisor"),
    "math.isqrt": lambda call: root(call.number(), call.trace, math.isqrt(_whole(call))),
    "math.lcm": lambda call: _common(call, math.lcm, "least common multiple"),
    "math.perm": _perm,
    "math.pow": lambda call: power(call.number(0), call.number(1), call.trace, call.split),
    "math.prod": _prod,
    "math.sqrt": _sqrt,
    "math.trunc": _int,
    "max": _max,
    "min": _min,
    "next": _next,
    "pow": lambda call: power(call.number(0), call.number(1), call.trace, call.split),
    "range": range_of,
    "reversed": lambda call: Once(items_of(call.positional[0])[::-1], is_lazy=False),
    "round": _round,
    "sorted": _sorted,
    "statistics.mean": _mean,
    "set": unique,
    "str": _text,
    "sum": _sum,
    "tuple": lambda call: tuple(items_of(call.positional[0])) if call.positional else (),
    "zip": zipped,
}  # fmt: skip
"""The functions that a program may call, by their full names."""


class _Takes(NamedTuple):
    """How many arguments a function takes by position, and which by name."""

    least: int
    most: int
    named: Collection[str] = ()


_MANY = 10**6
_TAKES = {
    "dict": _Takes(0, 1), "divmod": _Takes(2, 2), "enumerate": _Takes(1, 2, ("start",)), "float": _Takes(0, 1),
    "fractions.Fraction": _Takes(1, 2), "int": _Takes(0, 1), "list": _Takes(0, 1), "math.comb": _Takes(2, 2),
    "math.gcd": _Takes(1, _MANY), "math.lcm": _Takes(1, _MANY), "math.perm": _Takes(1, 2), "math.pow": _Takes(2, 2),
    "max": _Takes(1, _MANY), "min": _Takes(1, _MANY), "pow": _Takes(2, 2), "range": _Takes(1, 3),
    "next": _Takes(1, 2),
    "round": _Takes(1, 2, ("ndigits",)), "sorted": _Takes(1, 1, ("reverse",)), "sum": _Takes(1, 2, ("start",)),
    "set": _Takes(0, 1), "tuple": _Takes(0, 1), "zip": _Takes(0, _MANY),
}  # fmt: skip
_TAKES_ONE = _Takes(1, 1)


def call_builtin(name: str, call: Call) -> Value:
    """Call a function of Python or of a library by its full name.

    Raises:
        RefusedError: if it is not known, or not with such arguments; none is passed over.
    """
    function = FUNCTIONS.get(name)
    if function is None:
        raise RefusedError(Reason.CALL, name)
    takes = _TAKES.get(name, _TAKES_ONE)
    if len(call.positional) < takes.least:
        raise RefusedError(Reason.RAISES, "an argument is missing")
    unknown = [] if name == "dict" else [argument for argument in call.named if argument not in takes.named]
    if len(call.positional) > takes.most or unknown:
        raise RefusedError(Reason.CALL, f"{name} with {unknown[0] if unknown else 'so many arguments'}")
    return function(call)


LIBRARIES = frozenset(IMPORTS) - {"typing", "__future__"}
"""The libraries that a program may import, those of the jail; of `typing` and others, nothing is used."""
