"""Checks that the values of a file fit the types of a dataclass, before they are converted.

OmegaConf turns a number into text (`1.10` into `1.1`), text into a number (`"010"` into 10) and true into 1 without a
word. Here text is text and a number is a finite number.
"""

import math
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from domain_tokens.recipe.values.scalars import is_number

Values = dict[str, Any]
"""What a user wrote, by key, before it is checked and converted: lists, mappings and single values."""

EXPANDED = {"path": True}
"""The metadata of a field that holds the path of a file or folder, or a list of them."""


# How a value is built.
_NOTHING, _ONE, _LIST, _KEYS = "nothing", "one value", "a list", "keys and values"
_NO_VALUE = "???"  # OmegaConf takes it for a value that is missing, and what stood before, or a default, for the value


def misfits(kind: Any, value: object, path: str, *, is_resolved: bool = True) -> Iterator[str]:
    """Yield what does not fit below `path`, as messages that begin with the key.

    Unknown keys, and words that are none of several, are left to OmegaConf.

    Args:
        kind: a dataclass, or the type of one of its fields.
        value: the values, as dictionaries and lists.
        path (`str`): the key of `value`, empty at the top level.
        is_resolved (`bool`, *optional*): whether interpolations (`${experiment}`) have been replaced by what they
            mean; one that has not may be anything.
    """
    choices = _choices(kind)
    if isinstance(value, str) and ((not is_resolved and "${" in value) or (is_resolved and value == _NO_VALUE)):
        return  # what is missing is said of all keys together
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        yield f"{path}: expected text in UTF-8, got {value!a}"
    elif value == _NO_VALUE:
        yield f"{path}: {value} stands for no value; expected one, or the key left out (of files, a pattern ./{value})"
    elif Any not in choices and (expected := _misshapen(choices, value)) is not None:
        yield f"{path}: {expected}".removeprefix(": ")
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from misfits(member(kind, str(key)), one, f"{path}.{key}".removeprefix("."), is_resolved=is_resolved)
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield from misfits(member(kind, str(index)), one, f"{path}.{index}", is_resolved=is_resolved)
    elif value is not None and (expected := _expected(choices, value)) is not None:
        yield f"{path}: {expected}"
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path}: expected a finite number, got {value}"
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield f"{path}: expected a number of less than 64 bits, got {value}"


def _misshapen(choices: tuple[Any, ...], value: object) -> str | None:
    """Return what was expected in place of a list, of keys and values, of one value, or of nothing."""
    shapes = {_shape_of_type(one) for one in choices}
    if (shape := _shape(value)) in shapes:
        return None
    expected = " or ".join(dict.fromkeys(_described(one) for one in choices if one is not NoneType))
    found = {_NOTHING: "nothing (null)", _LIST: "a list", _KEYS: "keys and values"}.get(shape, repr(value))
    hint = f"; write [{value}]" if shape == _ONE and _LIST in shapes and not str(value).startswith("[") else ""
    hint = f"; write {value[0]}" if isinstance(value, list) and len(value) == 1 and _ONE in shapes else hint
    return f"expected {expected}, got {found}{hint}"


def _shape(value: object) -> str:
    if value is None:
        return _NOTHING
    return _KEYS if isinstance(value, dict) else _LIST if isinstance(value, list | tuple) else _ONE


def _shape_of_type(kind: Any) -> str:
    if kind is NoneType:
        return _NOTHING
    if is_dataclass(kind) or get_origin(kind) is dict:
        return _KEYS
    return _LIST if get_origin(kind) in (list, tuple) else _ONE


def _described(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    shapes = {_KEYS: "keys and values", _LIST: "a list"}
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    return shapes.get(_shape_of_type(kind)) or words.get(kind, "one value")


def clash(before: object, value: object, path: str) -> str | None:
    """Return the first key below `path` that holds a list in one file, and keys and values in another."""
    shapes = [_shape(before), _shape(value)]
    if set(shapes) == {_LIST, _KEYS}:
        return f"{path}: expected {shapes[0]}, as it was before, got {shapes[1]}"
    if isinstance(before, dict) and isinstance(value, dict):
        found = (clash(before.get(key), one, f"{path}.{key}".removeprefix(".")) for key, one in value.items())
        return next(filter(None, found), None)
    return None


def member(kind: Any, key: str) -> Any:
    """Return the type of a member of a dataclass, a mapping or a list; `Any` if the type does not say."""
    for one in _choices(kind):
        if is_dataclass(one):
            return _hints(cast(type, one)).get(key, Any)
        if get_origin(one) is dict:
            return get_args(one)[1]
        if get_origin(one) in (list, tuple):
            return get_args(one)[0]
    return Any


@cache
def _hints(section: type) -> dict[str, Any]:
    return get_type_hints(section)


def is_text(kind: Any) -> bool:
    """Return whether a type is text, perhaps with null, with one of several words, or beside a list."""
    choices = [one for one in _choices(kind) if one is not NoneType and get_origin(one) is not list]
    return bool(choices) and all(_is_text(one) for one in choices)


def _choices(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (UnionType, Union) else (kind,)


def _is_text(kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return all(isinstance(word, str) for word in get_args(kind))
    return kind is str


def _expected(choices: tuple[Any, ...], value: object) -> str | None:
    """Return what was expected in place of a single value; nothing if it fits, or OmegaConf says it better."""
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    if any(_is_text(one) for one in choices):
        if isinstance(value, str):
            return None
        if not isinstance(value, int | float):
            return f"expected text, got {type(value).__name__}"
        what = "a truth value" if isinstance(value, bool) else "a number"
        return f"expected text, but unquoted {shown} is {what}; quote it as it shall stand"
    if float in choices or int in choices:
        if isinstance(value, bool):
            return f"expected a number, got {shown}"
        if isinstance(value, str) and not is_number(value) and _may_be_read_as_a_number(value):
            return f"expected a number in plain digits, got {value!r}"
        if isinstance(value, str) and value.lower().strip("+-.") in ("nan", "inf", "infinity"):
            return f"expected a finite number, got {value!r}"
    if choices == (bool,) and not isinstance(value, bool):
        return f"expected true or false, got {shown}"
    return None


def _may_be_read_as_a_number(text: str) -> bool:
    """Return whether a text is a number to some reader: `010`, `1_000`, `1:30`, digits of another script."""
    try:
        float(text)
    except ValueError:
        return text.strip("+-0123456789._eExXoObB: ") == ""
    return text.lower().strip("+-") not in ("nan", "inf", "infinity")
