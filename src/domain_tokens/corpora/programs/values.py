"""The values of a program, and the events of its execution that become sentences."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from domain_tokens.corpora.programs.arithmetic import Trace
from domain_tokens.corpora.programs.numbers import Number
from domain_tokens.corpora.programs.refusal import Reason, RefusedError

Value = object
"""A `Number`, a bool, a str, `None`, a list, tuple or dict of values, or one of the kinds below."""


@dataclass(slots=True)
class Once:
    """What can be gone through once: a generator, or what `zip` and the like return.

    Attributes:
        items: those that are left.
        is_lazy: whether Python would compute the items only when they are asked for.
        has_order: whether their order is that of the program, and not that of a set.
    """

    items: list[Value]
    is_lazy: bool
    has_order: bool = True


@dataclass(frozen=True, slots=True)
class Members:
    """A set. Python goes through it in an order of its own, by which no program may be decided.

    Attributes:
        keys: what it holds, once each.
    """

    keys: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class View:
    """The keys, values or items of a dictionary, which show what it holds when they are looked at."""

    owner: dict[object, Value]
    name: str


@dataclass(frozen=True, slots=True)
class Text:
    """An f-string: texts and numbers."""

    parts: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A number in a text as a format shows it: 1250.5 as `1,250.50`."""

    number: Number
    text: str


@dataclass(frozen=True, slots=True)
class Builtin:
    """A function of Python or of its libraries, by its full name: `round`, `math.ceil`; or a library, `math`."""

    name: str


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a value."""

    owner: Value
    name: str


@dataclass(slots=True)
class Frame:
    """The names of a module or of one call.

    Attributes:
        values: what its names stand for.
        outer: where other names are looked up.
        own: the names that a function assigns anywhere; they are not looked up outside.
        elsewhere: names that `global` or `nonlocal` says are those of another frame.
    """

    values: dict[str, Value] = field(default_factory=dict)
    outer: "Frame | None" = None
    own: frozenset[str] = frozenset()
    elsewhere: "dict[str, Frame]" = field(default_factory=dict)

    def store(self, name: str, value: Value) -> None:
        """Give a name a value, where the name belongs."""
        self.elsewhere.get(name, self).values[name] = value

    def has(self, name: str) -> bool:
        """Return whether a name of this frame has a value."""
        return name in self.elsewhere.get(name, self).values


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of the program: its definition, the values of its defaults, and where it was defined."""

    node: ast.FunctionDef | ast.Lambda
    defaults: Sequence[Value]
    keyword_defaults: Sequence[Value]
    frame: Frame


def is_same(first: Value, second: Value) -> bool:
    """Return whether two values are the same, numbers and texts by what they show."""
    if isinstance(first, Number) and isinstance(second, Number):
        return first.exact == second.exact
    if isinstance(first, Shown) and isinstance(second, Shown):
        return first.text == second.text
    if isinstance(first, Text) and isinstance(second, Text):
        return len(first.parts) == len(second.parts) and all(map(is_same, first.parts, second.parts))
    return first == second


class Assigned(NamedTuple):
    """A name gets a number.

    Attributes:
        name: of the variable.
        line: of the statement, from 1.
        trace: how the number was computed; empty for a number that was there.
        number: what it is.
        is_update: whether the name had a number before.
        is_constant: whether the program states the number itself.
    """

    name: str
    line: int
    trace: Trace
    number: Number
    is_update: bool
    is_constant: bool


class Compared(NamedTuple):
    """A condition decides how the program goes on.

    Attributes:
        name: of the variable on its left; empty if something else is there.
        left, right: the numbers.
        words: how they compare: `is more than`.
    """

    name: str
    left: Number
    words: str
    right: Number


class Computed(NamedTuple):
    """Something is computed that gets no name."""

    trace: Trace


Event = Assigned | Compared | Computed


_MAX_PARTS = 1000


def numbers_of(value: Value) -> list[Number]:
    """Return the numbers in a value that is printed: itself, or what is in a text with no other digits.

    Raises:
        RefusedError: if digits in a text may be numbers, too.
    """
    found: list[Number] = []
    for part in _parts(value):
        if isinstance(part, Shown):
            found.append(part.number)
        elif isinstance(part, Number):
            found.append(part)
        elif isinstance(part, str) and any(character.isdigit() for character in part):
            raise RefusedError(Reason.SEVERAL_NUMBERS, part[:40])
    return found


def shown(value: Value) -> str:
    """Return a value that is printed, as Python prints it."""
    return "".join(map(_shown, _parts(value)))


def _shown(part: Value) -> str:
    return part.text if isinstance(part, Shown) else str(part.value if isinstance(part, Number) else part)


def _parts(value: Value) -> list[Value]:
    """Return what a value consists of that is printed: numbers and texts."""
    found: list[Value] = []
    waiting = [value]
    for _ in range(_MAX_PARTS):  # a text that is doubled again and again has no end
        if not waiting:
            return found
        part = waiting.pop()
        if isinstance(part, Text):
            waiting += reversed(part.parts)
        elif isinstance(part, Number | Shown | str | None):
            found.append(part)
        else:
            raise RefusedError(Reason.NOT_A_NUMBER, type(part).__name__)
    raise RefusedError(Reason.TOO_MANY_STEPS, "a long text")
