"""Calls: whatever a program calls is one of its functions, a method, or a function of Python or a library."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from domain_tokens.corpora.programs.arithmetic import Trace
from domain_tokens.corpora.programs.library.calls import FUNCTIONS, call_builtin
from domain_tokens.corpora.programs.library.containers import Call, items_of
from domain_tokens.corpora.programs.library.functional import HIGHER, WITH_KEY, call_higher, call_with_key
from domain_tokens.corpora.programs.library.methods import CHANGING, call_method
from domain_tokens.corpora.programs.library.texts import format_fields
from domain_tokens.corpora.programs.refusal import Reason, RefusedError
from domain_tokens.corpora.programs.values import Builtin, Function, Method, Text, Value, numbers_of

_PRINT = Builtin("print")
_NOTHING: Mapping[str, Value] = {}

BUILTINS = {name: Builtin(name) for name in (*FUNCTIONS, *HIGHER, "print") if "." not in name}
"""The functions that every program knows."""


class Caller(ABC):
    """Calls functions, and keeps what is printed.

    Args:
        split (`bool`): whether products of longer numbers are worked out digit by digit.

    Attributes:
        trace: what the current statement has computed.
        printed: what is on the last line that is printed and not empty.
        num_changes: how often something may have changed that outlives the call in which it does: a container, or a
            name of another function.
    """

    def __init__(self, split: bool) -> None:
        self.split = split
        self.trace: Trace = []
        self.printed: Text | None = None
        self.num_changes = 0
        self._open_line: list[Value] = []

    @abstractmethod
    def call_function(self, function: Function, call: Call) -> Value:
        """Call a function of the program."""

    def apply(self, called: Value, positional: Sequence[Value], named: Mapping[str, Value] = _NOTHING) -> Value:
        """Call a function with arguments."""
        call = Call(positional, named, self.trace, self.split)
        if isinstance(called, Function):
            return self.call_function(called, call)
        if isinstance(called, Method):
            self.num_changes += called.name in CHANGING
            if called.name == "format" and isinstance(called.owner, str):
                return format_fields(called.owner, positional, named, self.trace)
            if called.name == "sort" and isinstance(called.owner, list) and not positional:
                called.owner[:] = items_of(self.apply(Builtin("sorted"), [list(called.owner)], named))
                return None
            if named:
                raise RefusedError(Reason.CALL, f".{called.name}() with such arguments")
            return call_method(called.owner, called.name, positional)
        if not isinstance(called, Builtin):
            raise RefusedError(Reason.RAISES, f"a call of what is no function: {type(called).__name__}")
        if called == _PRINT:
            self._print(list(positional), named)
            return None
        if called.name in HIGHER:
            return call_higher(called.name, call, self.apply)
        if called.name in WITH_KEY and positional and named.get("key") is not None:
            return call_with_key(called.name, call, self.apply)
        return call_builtin(called.name, call)

    def _print(self, values: list[Value], named: Mapping[str, Value]) -> None:
        """Keep the line that is printed; `end` may join it with what is printed next."""
        separator, end = named.get("sep"), named.get("end", "\n")
        if set(named) - {"sep", "end", "flush"} or not isinstance(separator, str | None) or numbers_of(separator):
            raise RefusedError(Reason.CALL, "print with such arguments")
        if not isinstance(end, str | None) or numbers_of(end) or "\n" in (end or "\n").rstrip("\n"):
            raise RefusedError(Reason.CALL, "print with such an end")
        between = " " if separator is None else separator
        line = [*self._open_line, *[part for value in values for part in (between, value)][1:]]
        if any(not isinstance(part, str) or part.strip() for part in line):
            self.printed = Text(tuple(line))  # an empty line is not the last one
        self._open_line = [] if end is None or end.endswith("\n") else [*line, end]
