"""Checks that the values of a file fit the types of a dataclass, before they are converted.

OmegaConf turns a number into text (`1.10` into `1.1`), text into a number (`"010"` into 10) and true into 1 without a
word. Here text is text and a number is a finite number.
"""

import math
from collections.abc import Iterator
from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from domain_tokens.recipe.scalars import is_number

EXPANDED = {"path": True}
"""The metadata of a field that holds the path of a file or folder, or a list of them."""


def misfits(kind: Any, value: object, path: str) -> Iterator[str]:
    """Yield what does not fit below `path`, as messages that begin with the key.

    Unknown keys, and values of another shape, are left to OmegaConf.

    Args:
        kind: a dataclass, or the type of one of its fields.
        value: the values, as dictionaries and lists.
        path (`str`): the key of `value`, empty at the top level.
    """
    if isinstance(value, dict):
        for key, one in value.items():
            yield from misfits(member(kind, str(key)), one, f"{path}.{key}".removeprefix("."))
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield from misfits(member(kind, str(index)), one, f"{path}.{index}")
    elif value is not None and (expected := _expected(_choices(kind), value)) is not None:
        yield f"{path}: {expected}"
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path}: expected a finite number, got {value}"
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield f"{path}: expected a number of less than 64 bits, got {value}"


def member(kind: Any, key: str) -> Any:
    """Return the type of a member of a dataclass, a mapping or a list; `Any` if the type does not say."""
    for one in _choices(kind):
        if is_dataclass(one):
            return get_type_hints(one).get(key, Any)
        if get_origin(one) is dict:
            return get_args(one)[1]
        if get_origin(one) in (list, tuple):
            return get_args(one)[0]
    return Any


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
        what = "a truth value" if isinstance(value, bool) else "a number"
        return f"expected text, but unquoted {shown} is {what}; quote it as it shall stand"
    if float in choices or int in choices:
        if isinstance(value, bool):
            return f"expected a number, got {shown}"
        if isinstance(value, str) and not is_number(value) and value.strip("+-0123456789._eExXoObB: ") == "":
            return f"expected a number in plain digits, got {value!r}"
        if isinstance(value, str) and value.lower().strip("+-.") in ("nan", "inf", "infinity"):
            return f"expected a finite number, got {value!r}"
    if choices == (bool,) and not isinstance(value, bool):
        return f"expected true or false, got {shown}"
    return None
