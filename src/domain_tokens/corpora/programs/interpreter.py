"""Executes a program statement by statement, by an allow-list of statements and of what they may consist of."""

import ast
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import ClassVar, NamedTuple

from domain_tokens.corpora.programs.arithmetic import Trace
from domain_tokens.corpora.programs.expressions import Evaluator
from domain_tokens.corpora.programs.library.calls import LIBRARIES
from domain_tokens.corpora.programs.library.containers import Call, items_of, key_of, truth
from domain_tokens.corpora.programs.loops import is_search, names_owned
from domain_tokens.corpora.programs.numbers import Number, agrees, checked_result
from domain_tokens.corpora.programs.parameters import bound, is_cache, is_called_otherwise
from domain_tokens.corpora.programs.refusal import Reason, RefusedError
from domain_tokens.corpora.programs.values import (
    Assigned,
    Builtin,
    Event,
    Frame,
    Function,
    Members,
    Text,
    Value,
    is_same,
    numbers_of,
    shown,
)
from domain_tokens.jail.outcomes import Refusal
from domain_tokens.jail.results import MAIN_FUNCTION, RESULT_NAMES, entry_function, needs_arguments, number_in

_MAX_DEPTH = 20


class Execution(NamedTuple):
    """What a program did: its events in order, and the number that it arrives at."""

    events: list[Event]
    result: Number


class _End(Enum):
    """How a block of statements ends before its last statement."""

    BREAK = auto()
    CONTINUE = auto()
    RETURN = auto()


def execute(tree: ast.Module, split: bool) -> Execution:
    """Execute a program.

    Its result is what `simple_math_problem` returns, by itself or where the program calls it. Without such a function
    it is what is printed last; if nothing is, a variable `result` or `answer`; if there is none, what the last
    function without arguments returns. The jail has the same rules (`jail.results`). Refused is a function that
    returned different numbers, and one that can be called without arguments and is called with others than its
    defaults.

    Args:
        tree (`ast.Module`): the program.
        split (`bool`): whether products of longer numbers are worked out digit by digit.

    Raises:
        RefusedError: if the program cannot be converted.
    """
    return _Interpreter(split).run(tree)


class _Interpreter(Evaluator):
    """Executes the statements of a program."""

    def __init__(self, split: bool) -> None:
        super().__init__(split)
        self._returned: Value = None
        self._returns: dict[ast.AST, Value] = {}
        self._ambiguous: set[ast.AST] = set()
        self._open: list[ast.AST] = []
        self._line = 0
        self._searches = 0
        self._known_searches: dict[ast.For, bool] = {}
        self._owned: dict[ast.AST, frozenset[str]] = {}

    def run(self, tree: ast.Module) -> Execution:
        """Execute a program, and the function that its module defines and does not call."""
        end = self._block(tree.body)
        value = self._returned if end is _End.RETURN else self._arrived_at(tree)
        number = checked_result(_one_number(value))
        if self.trace:
            self.record("result", self._line, number)
        return Execution(self.events, number)

    def _arrived_at(self, tree: ast.Module) -> Value:
        """Return what a program arrives at."""
        functions = {
            node.name: node
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and isinstance(self.frame.values.get(node.name), Function)
        }
        if MAIN_FUNCTION in functions:
            return self._result_of(functions[MAIN_FUNCTION])
        if self.printed is not None:
            return self.printed
        for name in RESULT_NAMES:
            if name in self.frame.values and not isinstance(self.frame.values[name], Function):
                return self.frame.values[name]
        if not functions:
            raise RefusedError(Reason.NO_RESULT)
        if (entry := entry_function(functions)) is None:
            raise RefusedError(Reason.NEEDS_ARGUMENTS, next(iter(functions)))
        return self._result_of(entry)

    def _result_of(self, node: ast.FunctionDef) -> Value:
        """Return what a function returned, or returns if it was not called yet; what it prints, if it returns none."""
        function = self.frame.values[node.name]
        assert isinstance(function, Function)
        if function.node not in self._returns:
            if needs_arguments(node):
                raise RefusedError(Reason.NEEDS_ARGUMENTS, node.name)
            self.settle()
            self.call_function(function, Call([], {}, self.trace, self.split))
        if function.node in self._ambiguous:
            raise RefusedError(Reason.SEVERAL_NUMBERS, f"calls of {node.name} with other arguments or results")
        value = self._returns[function.node]
        return self.printed if value is None and self.printed is not None else value

    def _block(self, statements: list[ast.stmt]) -> _End | None:
        for node in statements:
            self.spend()
            method = self._STATEMENTS.get(type(node))
            if method is None:
                raise RefusedError(Reason.SYNTAX, type(node).__name__)
            self._line = node.lineno
            end = method(self, node)
            if end is not None:
                return end
        return None

    def _assign(self, node: ast.Assign) -> None:
        target = node.targets[0]
        elements = node.value.elts if isinstance(node.value, ast.Tuple | ast.List) else []
        has_star = any(isinstance(one, ast.Starred) for one in (*elements, *getattr(target, "elts", ())))
        is_paired = isinstance(target, ast.Tuple | ast.List) and len(elements) == len(target.elts) and not has_star
        if len(node.targets) == 1 and is_paired:
            assert isinstance(target, ast.Tuple | ast.List)
            evaluated = []
            for element in elements:
                value = self.evaluate(element)
                evaluated.append((value, self.take_trace()))
            self._store_parts(target.elts, evaluated, elements)
            return
        if len(node.targets) == 1 and isinstance(target, ast.Tuple) and self._is_divmod(target, node.value):
            assert isinstance(node.value, ast.Call)
            self._store_parts(target.elts, self._divided(target.elts, node.value), [node.value] * 2)
            return
        value = self.evaluate(node.value)
        for target in node.targets:
            self.store(target, value, node.value)

    def _store_parts(
        self, targets: list[ast.expr], parts: list[tuple[Value, Trace]], nodes: Sequence[ast.expr]
    ) -> None:
        """Give each of several targets its value, with what was computed for it."""
        for target, (value, trace), node in zip(targets, parts, nodes, strict=True):
            self.trace = trace
            self.store(target, value, node)

    def _is_divmod(self, target: ast.Tuple, node: ast.expr) -> bool:
        """Return whether quotient and remainder get a name each."""
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "divmod"
        has_names = len(target.elts) == 2 and all(isinstance(one, ast.Name) for one in target.elts)
        if not (isinstance(node, ast.Call) and is_call and has_names and len(node.args) == 2 and not node.keywords):
            return False
        has_star = any(isinstance(one, ast.Starred) for one in node.args)
        return not has_star and self.evaluate(node.func) == Builtin("divmod")

    def _divided(self, targets: list[ast.expr], node: ast.Call) -> list[tuple[Value, Trace]]:
        """Return quotient and remainder as `//` and `%` state them; what is called `_` is not stated."""
        left, right = self.number(node.args[0]), self.number(node.args[1])
        parts: list[tuple[Value, Trace]] = []
        for target, operator in zip(targets, (ast.FloorDiv(), ast.Mod()), strict=True):
            before = self.trace
            if is_unused := isinstance(target, ast.Name) and target.id == "_":
                self.trace = []
            value = self.binary(left, operator, right)
            stated = [] if is_unused else self.take_trace()
            self.trace = before if is_unused else []
            parts.append((value, stated))
        self.settle()
        return parts

    def _annotated(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.store(node.target, self.evaluate(node.value), node.value)

    def _augmented(self, node: ast.AugAssign) -> None:
        target = node.target
        if not isinstance(target, ast.Name | ast.Subscript):
            raise RefusedError(Reason.SYNTAX, type(target).__name__)
        load = ast.Name(target.id, ast.Load()) if isinstance(target, ast.Name) else target
        before, by = self.evaluate(load), self.evaluate(node.value)
        self.store(target, self.binary(_number(before), node.op, _number(by)), node.value)

    def store(self, target: ast.expr, value: Value, node: ast.expr) -> None:
        """Give a name a value, and record how a number was computed."""
        if isinstance(target, ast.Subscript):
            self._store_item(target, value)
            return
        if not isinstance(target, ast.Name):
            self.settle()
            self.bind(target, value)
            return
        if isinstance(value, Number):
            is_update = self.frame.has(target.id) and target.id not in self.forgotten
            self.forgotten.discard(target.id)
            is_constant = value.literal and isinstance(node, ast.Constant | ast.BinOp | ast.UnaryOp)
            self.record(target.id, target.lineno, value, is_update=is_update, is_constant=is_constant)
        else:
            self.settle()
        self.frame.store(target.id, value)

    def _store_item(self, target: ast.Subscript, value: Value) -> None:
        owner, trace = self.frame.values.get(getattr(target.value, "id", "")), self.take_trace()
        key = self.evaluate(target.slice)
        self.settle()
        if isinstance(owner, dict):
            owner[key_of(key)] = value
        elif isinstance(owner, list) and isinstance(key, Number) and key.exact in range(len(owner)):
            owner[int(key.exact)] = value
        else:
            raise RefusedError(Reason.TYPES, "an item of what is no list and no dictionary")
        self.num_changes += 1
        self.trace = trace
        if trace and isinstance(key, str) and isinstance(value, Number):
            self.record(key, target.lineno, value)
        self.settle()

    def _expression(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return  # a docstring
        self.settle()  # what was printed before is not the program's result
        self.evaluate(node.value)
        if not (isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name)):
            self.settle()  # the result of a call of `print` may be the program's

    def _if(self, node: ast.If) -> _End | None:
        self.settle()
        return self._block(node.body if self.condition(node.test) else node.orelse)

    def _for(self, node: ast.For) -> _End | None:
        value = self.evaluate(node.iter)
        self.settle()
        items = items_of(value)
        start, searches, num_changes = len(self.events), self._is_search(node), self.num_changes
        tried: list[Event] = []
        self._searches += searches
        end = None
        for index, item in enumerate(items):
            if searches and self.num_changes > num_changes:  # a function that is called keeps something of each turn
                self.restore(start, tried)
                self._searches -= 1
                tried, searches = [], False
            if searches:
                tried += self.forget(start)
            if isinstance(value, list) and value[index] is not item:
                raise RefusedError(Reason.SYNTAX, "a loop over a list that it changes")
            self.bind(node.target, item)
            end = self._block(node.body)
            if end in (_End.BREAK, _End.RETURN):
                break
            if isinstance(value, list | dict) and len(value) != len(items):
                raise RefusedError(Reason.SYNTAX, "a loop over a list that it changes")
        self._searches -= searches
        found = _names_in(self.events[start:])
        is_in_vain = searches and end not in (_End.BREAK, _End.RETURN)
        if is_in_vain and (self._searches or not found):
            self.forget(start)
        elif not _names_in(tried) <= found:
            self.restore(start, tried)  # numbers of earlier turns are left
        if end is _End.RETURN:
            return end
        return None if end is _End.BREAK else self._block(node.orelse)

    def _is_search(self, node: ast.For) -> bool:
        if node not in self._known_searches:
            self._known_searches[node] = is_search(node)
        return self._known_searches[node]

    def _while(self, node: ast.While) -> _End | None:
        while truth(self.evaluate(node.test)):
            self.spend()
            self.settle()
            end = self._block(node.body)
            if end is _End.BREAK:
                return None
            if end is _End.RETURN:
                return end
        self.settle()
        return self._block(node.orelse)

    def _define(self, node: ast.FunctionDef) -> None:
        arguments = node.args
        if arguments.kwarg or not all(map(is_cache, node.decorator_list)):
            raise RefusedError(Reason.SYNTAX, "a decorator, or a function with any named arguments")
        defaults = [self.evaluate(default) for default in arguments.defaults]
        keyword_defaults = [None if default is None else self.evaluate(default) for default in arguments.kw_defaults]
        self.settle()
        self.frame.store(node.name, Function(node, defaults, keyword_defaults, self.frame))

    def call_function(self, function: Function, call: Call) -> Value:
        """Call a function of the program; what its return computes belongs to the statement with the call."""
        if self.depth >= _MAX_DEPTH:
            raise RefusedError(Reason.TOO_MANY_STEPS, "a deep recursion")
        outer_frame, outer_trace, num_events = self.frame, self.trace, len(self.events)
        self.frame = Frame(bound(function, call), function.frame, self._names_of(function.node))
        self.trace, self.depth = [], self.depth + 1
        was_comprehension, self.is_comprehension = self.is_comprehension, False
        is_outermost = function.node not in self._open
        self._open.append(function.node)
        if isinstance(function.node, ast.Lambda):
            self._returned = self.evaluate(function.node.body)
        elif self._block(function.node.body) is not _End.RETURN:
            self._returned = None
        self.frame, self.depth, self.is_comprehension = outer_frame, self.depth - 1, was_comprehension
        value, self._returned = self._returned, None
        self._open.pop()
        if is_outermost:
            self._remember(function, call, value)
        own, self.trace = self.trace, outer_trace
        if len(self.events) > num_events and outer_trace:
            later = self.events[num_events:]
            del self.events[num_events:]
            self.settle()
            self.events += later
        self.trace += own
        return value

    def _remember(self, function: Function, call: Call, value: Value) -> None:
        """Keep what a call returned, and whether the function may return something else."""
        node = function.node
        if not is_same(self._returns.setdefault(node, value), value) or is_called_otherwise(function, call):
            self._ambiguous.add(node)
        self._returns[node] = value

    def _names_of(self, node: ast.FunctionDef | ast.Lambda) -> frozenset[str]:
        if node not in self._owned:
            self._owned[node] = names_owned(node)
        return self._owned[node]

    def _return(self, node: ast.Return) -> _End:
        self._line = node.lineno
        self._returned = None if node.value is None else self.evaluate(node.value)
        return _End.RETURN

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name not in LIBRARIES:
                raise RefusedError(Reason.CALL, f"import {alias.name}")
            self.frame.store(alias.asname or alias.name, Builtin(alias.name))

    def _import_from(self, node: ast.ImportFrom) -> None:
        if node.module not in LIBRARIES and node.module not in ("typing", "__future__"):
            raise RefusedError(Reason.CALL, f"import {node.module}")
        for alias in node.names:
            if f"{node.module}.{alias.name}" in ("math.pi", "math.e", "math.tau"):
                raise RefusedError(Reason.IRRATIONAL, alias.name)
            self.frame.store(alias.asname or alias.name, Builtin(f"{node.module}.{alias.name}"))

    def _pass(self, node: ast.Pass) -> None:
        """Do nothing."""

    def _assert(self, node: ast.Assert) -> None:
        holds = truth(self.evaluate(node.test))
        self.settle()
        if not holds:
            raise RefusedError(Reason.RAISES, "an assertion fails")

    def _try(self, node: ast.Try) -> _End | None:
        """Execute a block as if nothing in it went wrong; where something does, the program is refused."""
        end = self._block(node.body) or self._block(node.orelse)
        returned = self._returned
        last = self._block(node.finalbody)
        if last is None:
            self._returned = returned
        return last or end

    def _elsewhere(self, node: ast.Global | ast.Nonlocal) -> None:
        self.num_changes += 1
        for name in node.names:
            frame = self.frame.outer
            while frame is not None and frame.outer is not None:
                if isinstance(node, ast.Nonlocal) and name in frame.values:
                    break
                frame = frame.outer
            if frame is not None:
                self.frame.elsewhere[name] = frame

    def _raise(self, node: ast.Raise) -> None:
        raise RefusedError(Reason.RAISES, "an error that the program raises")

    def _break(self, node: ast.Break) -> _End:
        return _End.BREAK

    def _continue(self, node: ast.Continue) -> _End:
        return _End.CONTINUE

    _STATEMENTS: ClassVar[dict[type[ast.stmt], Callable[..., _End | None]]] = {
        ast.Assign: _assign, ast.AnnAssign: _annotated, ast.AugAssign: _augmented, ast.Expr: _expression,
        ast.If: _if, ast.For: _for, ast.While: _while, ast.FunctionDef: _define, ast.Return: _return,
        ast.Import: _import, ast.ImportFrom: _import_from, ast.Pass: _pass, ast.Break: _break,
        ast.Continue: _continue, ast.Assert: _assert, ast.Try: _try,
        ast.Global: _elsewhere, ast.Nonlocal: _elsewhere, ast.Raise: _raise,
    }  # fmt: skip


def _one_number(value: Value) -> Number:
    """Return the number that a value is, or that is the only one in a text and is read there as that number."""
    if isinstance(value, Number):
        return value
    if value is None:
        raise RefusedError(Reason.NO_RESULT)
    if not isinstance(value, Text):
        held = value.keys if isinstance(value, Members) else value
        is_list = isinstance(held, tuple | list | dict) and len(held) > 1
        raise RefusedError(Reason.SEVERAL_NUMBERS if is_list else Reason.NOT_A_NUMBER)
    numbers = numbers_of(value)
    if len(numbers) != 1:
        raise RefusedError(Reason.SEVERAL_NUMBERS if numbers else Reason.NOT_A_NUMBER)
    read = number_in(shown(value))
    if isinstance(read, Refusal) or not agrees(Number(numbers[0].exact, read)):
        raise RefusedError(Reason.SHOWN_OTHERWISE, shown(value)[:40])
    return numbers[0]


def _names_in(events: list[Event]) -> set[str]:
    return {event.name for event in events if isinstance(event, Assigned)}


def _number(value: Value) -> Number:
    if not isinstance(value, Number):
        raise RefusedError(Reason.TYPES, f"{type(value).__name__} in place of a number")
    return value
