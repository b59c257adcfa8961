"""Functions of Python that call one they are given: `map`, `filter`, `functools.reduce`, and `sorted` with a key."""

from collections.abc import Callable, Sequence
from fractions import Fraction

from domain_tokens.corpora.programs.library.containers import Call, as_number, items_of, truth
from domain_tokens.corpora.programs.numbers import Number, PythonNumber
from domain_tokens.corpora.programs.refusal import Reason, RefusedError
from domain_tokens.corpora.programs.values import Once, Value

Apply = Callable[[Value, Sequence[Value]], Value]
"""Calls a function of the program, or of Python, with arguments."""

WITH_KEY = frozenset({"max", "min", "sorted"})
"""Functions that take a key."""


def _map(call: Call, apply: Apply) -> Once:
    function, *lists = call.positional
    if not lists:
        raise RefusedError(Reason.RAISES, "an argument is missing")
    columns = zip(*(items_of(one) for one in lists), strict=False)
    return Once([apply(function, items) for items in columns], is_lazy=True)


def _filter(call: Call, apply: Apply) -> Once:
    function, items = call.positional
    kept = [item for item in items_of(items) if truth(item if function is None else apply(function, [item]))]
    return Once(kept, is_lazy=True)


def _reduce(call: Call, apply: Apply) -> Value:
    function, items, *start = call.positional
    values = [*start, *items_of(items)]
    if not values:
        raise RefusedError(Reason.RAISES, "reduce() of nothing")
    result = values[0]
    for value in values[1:]:
        result = apply(function, [result, value])
    return result


HIGHER: dict[str, Callable[[Call, Apply], Value]] = {"map": _map, "filter": _filter, "functools.reduce": _reduce}
"""Functions whose first argument is a function, by their full names."""


def call_higher(name: str, call: Call, apply: Apply) -> Value:
    """Call one of `HIGHER`."""
    num_arguments = len(call.positional)
    if call.named or num_arguments < 2 or (name != "map" and num_arguments > 2 + (name == "functools.reduce")):
        raise RefusedError(Reason.CALL, f"{name} with such arguments")
    return HIGHER[name](call, apply)


def call_with_key(name: str, call: Call, apply: Apply) -> Value:
    """Call `max`, `min` or `sorted` with a key, which has to give numbers.

    Args:
        name (`str`): one of `WITH_KEY`.
        call (`Call`): its arguments.
        apply (`Apply`): calls the key.
    """
    if set(call.named) - {"key", "reverse"} or ("reverse" in call.named and name != "sorted"):
        raise RefusedError(Reason.CALL, f"{name} with such arguments")
    items = items_of(call.positional[0]) if len(call.positional) == 1 else list(call.positional)
    keyed = [(as_number(apply(call.named["key"], [item])), index) for index, item in enumerate(items)]
    if name == "sorted":
        is_reverse = truth(call.named.get("reverse", False))
        order = [sorted(keyed, key=key, reverse=is_reverse) for key in (_exact_key, _python_key)]
    elif keyed:
        order = [[(max if name == "max" else min)(keyed, key=key)] for key in (_exact_key, _python_key)]
    else:
        raise RefusedError(Reason.RAISES, "the smallest of nothing")
    if order[0] != order[1]:
        raise RefusedError(Reason.FLOAT_NOISE, "keys that are the same but for the noise of floats")
    chosen = [items[index] for _, index in order[0]]
    return chosen if name == "sorted" else chosen[0]


def _exact_key(pair: tuple[Number, int]) -> Fraction:
    return pair[0].exact


def _python_key(pair: tuple[Number, int]) -> PythonNumber:
    return pair[0].value
