"""The arguments of a call, and what holds several values: lists, dictionaries and what is gone through once."""

import ast
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from domain_tokens.corpora.programs.arithmetic import Trace
from domain_tokens.corpora.programs.numbers import Number, of_python, undisturbed
from domain_tokens.corpora.programs.refusal import Reason, RefusedError
from domain_tokens.corpora.programs.values import Members, Once, Value, View

_MAX_ITEMS = 1000


class Call(NamedTuple):
    """A call: the values of its arguments, where its equations go, and whether long products are split."""

    positional: Sequence[Value]
    named: Mapping[str, Value]
    trace: Trace
    split: bool

    def number(self, index: int = 0) -> Number:
        """Return an argument that has to be a number."""
        if index >= len(self.positional):
            raise RefusedError(Reason.RAISES, "an argument is missing")
        return as_number(self.positional[index])


def as_number(value: Value) -> Number:
    """Return a value that has to be a number; a truth value is 0 or 1."""
    if isinstance(value, Number):
        return value
    if isinstance(value, bool):
        return of_python(int(value))
    raise RefusedError(Reason.TYPES, f"{type(value).__name__} in place of a number")


def whole(value: Value) -> int:
    """Return a value where Python takes an `int` and no `float`, not even 3.0."""
    number = as_number(value)
    if not isinstance(number.value, int) or number.exact != number.value:
        raise RefusedError(Reason.RAISES, f"a whole number is needed, got {number.value}")
    return number.value


def truth(value: Value) -> bool:
    """Return whether a value counts as true.

    Raises:
        RefusedError: if it is a number that is zero for Python alone, or for all but Python.
    """
    if isinstance(value, Number):
        return undisturbed(value.exact != 0, bool(value.value), value)
    if isinstance(value, View | Members):
        return bool(value.owner if isinstance(value, View) else value.keys)
    return bool(value)


def key_of(value: Value) -> str | int | float | bool | None | Fraction | Decimal:
    """Return what a value is as the key of a dictionary."""
    if isinstance(value, Number):
        return value.value
    if isinstance(value, str | bool) or value is None:
        return value
    raise RefusedError(Reason.TYPES, "a key that is no text and no number")


def items_of(value: Value) -> list[Value]:
    """Return the items of a list, tuple or dictionary, or those that are left of what is gone through once.

    Raises:
        RefusedError: if they are several of a set, whose order may decide what comes out.
    """
    is_of_set = isinstance(value, Members) or (isinstance(value, Once) and not value.has_order)
    items = members_of(value)
    if is_of_set and len(items) > 1:
        raise RefusedError(Reason.SYNTAX, "the order of a set")
    return items


def members_of(value: Value) -> list[Value]:
    """Return the items of a value, of a set too, where their order decides nothing."""
    if isinstance(value, Once):
        left, value.items = value.items, []
        return left
    if isinstance(value, View):
        keys = members_of(value.owner)
        if value.name == "keys":
            return keys
        values = list(value.owner.values())
        return values if value.name == "values" else list(zip(keys, values, strict=True))
    if isinstance(value, Members):
        value = value.keys
    if isinstance(value, list | tuple | dict | range):
        if len(value) > _MAX_ITEMS:
            raise RefusedError(Reason.TOO_MANY_STEPS, f"{len(value)} items")
        return [of_python(item) for item in value] if isinstance(value, range) else [_item(item) for item in value]
    raise RefusedError(Reason.TYPES, f"{type(value).__name__} in place of a list")


def _item(value: Value) -> Value:
    """Return an item; the numbers that are keys of a dictionary are plain ones."""
    return of_python(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def length(call: Call) -> Number:
    """Return how many items or characters something has."""
    value = call.positional[0]
    if isinstance(value, Once):
        raise RefusedError(Reason.RAISES, "the length of what has none")
    return of_python(len(value) if isinstance(value, str) else len(members_of(value)))


def range_of(call: Call) -> range:
    """Return the numbers of a `range`."""
    bounds = [whole(value) for value in call.positional]
    if bounds[2:] == [0]:
        raise RefusedError(Reason.RAISES, "range() in steps of 0")
    return range(*bounds)


def numbered(call: Call) -> Once:
    """Return items with their numbers."""
    start = call.named.get("start", call.positional[1] if len(call.positional) > 1 else False)
    pairs = enumerate(items_of(call.positional[0]), whole(start))
    return Once([(of_python(number), item) for number, item in pairs], is_lazy=False)


def zipped(call: Call) -> Once:
    """Return the first items, the second items and so on, as far as the shortest goes."""
    return Once(list(zip(*(items_of(value) for value in call.positional), strict=False)), is_lazy=False)


def dictionary(call: Call) -> dict[object, Value]:
    """Return a dictionary of another one or of pairs, and of named arguments."""
    made: dict[object, Value] = {}
    for given in call.positional:
        pairs = items_of(View(given, "items")) if isinstance(given, dict) else items_of(given)
        for pair in pairs:
            key, value = items_of(pair)  # as in Python, anything but a pair is an error
            made[key_of(key)] = value
    made.update(call.named)
    return made


def unique(call: Call) -> Members:
    """Return a set of the items of a value."""
    return unique_items(members_of(call.positional[0]) if call.positional else [])


def unique_items(items: Sequence[Value]) -> Members:
    """Return a set of some items."""
    return Members(tuple(dict.fromkeys(map(key_of, items))))


def gathered(targets: Sequence[ast.expr], values: list[Value]) -> list[Value]:
    """Return values with those of a name with a star in a list of their own."""
    places = [place for place, target in enumerate(targets) if isinstance(target, ast.Starred)]
    num_starred = len(values) - len(targets) + 1
    if len(places) != 1 or num_starred < 0:
        return values
    first, last = places[0], places[0] + num_starred
    return [*values[:first], values[first:last], *values[last:]]
