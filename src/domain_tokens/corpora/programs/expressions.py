"""Evaluates the expressions of a program, and records what is computed."""

import ast
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from domain_tokens.corpora.programs.arithmetic import COMPARISONS, OPERATIONS, Trace
from domain_tokens.corpora.programs.calling import BUILTINS, Caller
from domain_tokens.corpora.programs.library.calls import FUNCTIONS
from domain_tokens.corpora.programs.library.containers import (
    Call,
    as_number,
    gathered,
    items_of,
    key_of,
    members_of,
    truth,
    unique_items,
    whole,
)
from domain_tokens.corpora.programs.library.texts import format_percent, formatted
from domain_tokens.corpora.programs.numbers import Number, checked, of_python, undisturbed
from domain_tokens.corpora.programs.refusal import Reason, RefusedError
from domain_tokens.corpora.programs.values import (
    Assigned,
    Builtin,
    Compared,
    Computed,
    Event,
    Frame,
    Function,
    Members,
    Method,
    Once,
    Text,
    Value,
)

_MAX_NODES = 20_000
_MAX_ENTRIES = 60
_CONSTANTS: dict[str, Value] = {"__name__": "__main__"}


class Evaluator(Caller):
    """Evaluates expressions in the frame of the current call.

    Args:
        split (`bool`): whether products of longer numbers are worked out digit by digit.

    Attributes:
        trace, printed: as of a `Caller`.
        events: what has happened, in order.
        frame, depth: the names of the current call, and how many calls are open.
        forgotten: names whose first numbers were taken back.
        is_comprehension: whether a comprehension is being evaluated, and no function that it calls.
    """

    def __init__(self, split: bool) -> None:
        super().__init__(split)
        self.events: list[Event] = []
        self.frame = Frame()
        self.depth = 0
        self.forgotten: set[str] = set()
        self._num_nodes = 0
        self._num_unordered = 0  # times that a comprehension went through a set
        self._num_entries = 0
        self._tells = False
        self.is_comprehension = False

    def evaluate(self, node: ast.expr) -> Value:
        """Return the value of an expression; its equations are added to the trace."""
        self.spend()
        method = self._EXPRESSIONS.get(type(node))
        if method is None:
            raise RefusedError(Reason.SYNTAX, type(node).__name__)
        return method(self, node)

    def spend(self) -> None:
        """Count one step of the execution, so that no program runs for long."""
        self._num_nodes += 1
        if self._num_nodes > _MAX_NODES:
            raise RefusedError(Reason.TOO_MANY_STEPS, "a long loop")

    def number(self, node: ast.expr) -> Number:
        """Return the value of an expression that has to be a number."""
        value = self.evaluate(node)
        return value if isinstance(value, Number) else as_number(value)

    def condition(self, node: ast.expr) -> bool:
        """Return whether a condition of the program holds, and record what is compared in it."""
        before, self._tells = self._tells, True
        holds = truth(self.evaluate(node))
        self._tells = before
        self.settle()
        return holds

    def take_trace(self) -> Trace:
        """Return what the current statement has computed, and begin another."""
        trace, self.trace = self.trace, []
        self._count_entries(len(trace))
        return trace

    def _count_entries(self, number: int) -> None:
        self._num_entries += number
        if self._num_entries > _MAX_ENTRIES:
            raise RefusedError(Reason.TOO_MANY_STEPS, f"more than {_MAX_ENTRIES} equations")

    def settle(self) -> None:
        """Record what was computed and gets no name."""
        if self.trace:
            self.events.append(Computed(self.take_trace()))

    def record(
        self, name: str, line: int, number: Number, *, is_update: bool = False, is_constant: bool = False
    ) -> None:
        """Record that a name gets a number. What was computed last and is another number is recorded before, alone."""
        if self.trace and self.trace[-1].result is not number:
            self.settle()
        self.events.append(Assigned(name, line, self.take_trace(), number, is_update, is_constant))

    def forget(self, num_events: int) -> list[Event]:
        """Take back what was recorded behind so many events, what a search tried in vain, and return it."""
        events = self.events[num_events:]
        for event in events:
            if isinstance(event, Assigned) and not event.is_update:
                self.forgotten.add(event.name)
            self._num_entries -= 0 if isinstance(event, Compared) else len(event.trace)
        del self.events[num_events:]
        return events

    def restore(self, num_events: int, events: list[Event]) -> None:
        """Put back what was taken back."""
        self._count_entries(sum(len(event.trace) for event in events if not isinstance(event, Compared)))
        self.events[num_events:num_events] = events

    @abstractmethod
    def store(self, target: ast.expr, value: Value, node: ast.expr) -> None:
        """Give a name or an item a value, and record how a number was computed."""

    def binary(self, left: Number, operator: ast.operator, right: Number) -> Number:
        """Return the result of an operation, and record its equation."""
        operation = OPERATIONS.get(type(operator))
        if operation is None:
            raise RefusedError(Reason.SYNTAX, type(operator).__name__)
        return operation(left, right, self.trace, self.split)

    def _constant(self, node: ast.Constant) -> Value:
        value = node.value
        if value is None or isinstance(value, str | bool):
            return value
        if isinstance(value, int | float):
            return of_python(value, literal=True)
        raise RefusedError(Reason.SYNTAX, f"a constant of type {type(value).__name__}")

    def _name(self, node: ast.Name) -> Value:
        frame: Frame | None = self.frame
        while frame is not None:
            if node.id in frame.values:
                value = frame.values[node.id]
                if isinstance(value, Once) and value.is_lazy:
                    raise RefusedError(Reason.SYNTAX, "a generator that is kept for later")
                return value
            if node.id in frame.own:
                raise RefusedError(Reason.RAISES, f"{node.id} has no value yet")
            frame = frame.outer
        if node.id in _CONSTANTS:
            return _CONSTANTS[node.id]
        if node.id in BUILTINS:
            return BUILTINS[node.id]
        raise RefusedError(Reason.NAME, node.id)

    def _binary(self, node: ast.BinOp) -> Value:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        if isinstance(node.op, ast.Add) and isinstance(left, str | Text) and isinstance(right, str | Text):
            return Text((left, right))
        if isinstance(node.op, ast.Add) and type(left) is type(right) is list:
            return [*items_of(left), *items_of(right)]
        if isinstance(node.op, ast.Mult) and isinstance(left, list) and isinstance(right, Number):
            return items_of(left) * len(items_of(range(whole(right))))
        if isinstance(node.op, ast.Mod) and isinstance(left, str):
            return format_percent(left, right, self.trace)
        return self.binary(as_number(left), node.op, as_number(right))

    def _unary(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Not):
            return not truth(self.evaluate(node.operand))
        if isinstance(node.op, ast.USub) and (rounded := self._rounded_up(node.operand)) is not None:
            return rounded
        number = self.number(node.operand)
        if isinstance(node.op, ast.USub):
            return checked(-number.exact, -number.value, number.literal)
        if isinstance(node.op, ast.UAdd):
            return number
        raise RefusedError(Reason.SYNTAX, type(node.op).__name__)

    def _rounded_up(self, node: ast.expr) -> Value:
        """Return what `-(-a // b)` means, a quotient rounded up, if an expression is the inner part of that."""
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv) and _is_minus(node.left)):
            return None
        assert isinstance(node.left, ast.UnaryOp)
        quotient = self.binary(self.number(node.left.operand), ast.Div(), self.number(node.right))
        return FUNCTIONS["math.ceil"](Call([quotient], {}, self.trace, self.split))

    def _call(self, node: ast.Call) -> Value:
        called = self.evaluate(node.func)
        positional = self._items(node.args)
        if any(keyword.arg is None for keyword in node.keywords):
            raise RefusedError(Reason.SYNTAX, "Starred")
        named = {str(keyword.arg): self.evaluate(keyword.value) for keyword in node.keywords}
        if not isinstance(called, Function | Method | Builtin):
            raise RefusedError(Reason.CALL, ast.unparse(node.func)[:40])
        return self.apply(called, positional, named)

    def _items(self, nodes: Sequence[ast.expr]) -> list[Value]:
        """Return the values of expressions, of which one with a star stands for its items."""
        values: list[Value] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                values += items_of(self.evaluate(node.value))
            else:
                values.append(self.evaluate(node))
        return values

    def _compare(self, node: ast.Compare) -> bool:
        left = self.evaluate(node.left)
        left_node = node.left
        for operator, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.evaluate(right_node)
            if not self._holds(left_node, left, operator, right):
                return False
            left, left_node = right, right_node
        return True

    def _holds(self, node: ast.expr, left: Value, operator: ast.cmpop, right: Value) -> bool:
        if isinstance(operator, ast.In | ast.NotIn):
            found = key_of(left) in [key_of(item) for item in members_of(right)]
            return found == isinstance(operator, ast.In)
        if not (isinstance(left, Number | bool) and isinstance(right, Number | bool)):
            if not isinstance(operator, ast.Eq | ast.NotEq | ast.Is | ast.IsNot):
                raise RefusedError(Reason.TYPES, "a comparison of what is no number")
            if not all(isinstance(side, Number | str | bool | None) for side in (left, right)):
                raise RefusedError(Reason.SYNTAX, "a comparison of lists or texts")
            return (left == right) == isinstance(operator, ast.Eq | ast.Is)
        first, second = as_number(left), as_number(right)
        if type(operator) not in COMPARISONS:
            raise RefusedError(Reason.SYNTAX, type(operator).__name__)
        compare, words, otherwise = COMPARISONS[type(operator)]
        holds = compare(first.exact, second.exact)
        if holds != compare(first.value, second.value):
            raise RefusedError(Reason.FLOAT_NOISE, f"{first.value} and {second.value}")
        if self._tells:
            self.settle()
            name = node.id if isinstance(node, ast.Name) else ""
            self.events.append(Compared(name, first, words if holds else otherwise, second))
        return holds

    def _bool(self, node: ast.BoolOp) -> Value:
        value: Value = None
        for part in node.values:
            value = self.evaluate(part)
            if truth(value) == isinstance(node.op, ast.Or):
                return value
        return value

    def _either(self, node: ast.IfExp) -> Value:
        return self.evaluate(node.body if self.condition(node.test) else node.orelse)

    def _list(self, node: ast.List) -> list[Value]:
        return self._items(node.elts)

    def _tuple(self, node: ast.Tuple) -> tuple[Value, ...]:
        return tuple(self._items(node.elts))

    def _set(self, node: ast.Set) -> Members:
        return unique_items(self._items(node.elts))

    def _dict(self, node: ast.Dict) -> dict[object, Value]:
        made: dict[object, Value] = {}
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            if key_node is None:
                raise RefusedError(Reason.SYNTAX, "Starred")
            key = key_of(self.evaluate(key_node))
            self.settle()
            made[key] = value = self.evaluate(value_node)
            if self.trace and isinstance(key, str) and isinstance(value, Number):
                self.record(key, value_node.lineno, value)
        return made

    def _subscript(self, node: ast.Subscript) -> Value:
        owner = self.evaluate(node.value)
        if isinstance(node.slice, ast.Slice):
            bounds = [
                None if bound is None else whole(self.evaluate(bound))
                for bound in (node.slice.lower, node.slice.upper)
            ]
            if node.slice.step is not None:
                raise RefusedError(Reason.SYNTAX, "Slice")
            if not isinstance(owner, list | tuple | range):
                raise RefusedError(Reason.TYPES, "a slice of what is no list")
            return items_of(owner)[slice(*bounds)]
        index = self.evaluate(node.slice)
        if isinstance(owner, dict):
            key = key_of(index)
            if key not in owner:
                raise RefusedError(Reason.RAISES, f"no key {key!r}")
            return owner[key]
        if not isinstance(owner, list | tuple):
            raise RefusedError(Reason.TYPES, "an index of what is no list")
        place = whole(index)
        if not -len(owner) <= place < len(owner):
            raise RefusedError(Reason.RAISES, "an index out of range")
        return owner[place]

    def _attribute(self, node: ast.Attribute) -> Value:
        owner = self.evaluate(node.value)
        if isinstance(owner, Builtin):
            name = f"{owner.name}.{node.attr}"
            if name in ("math.pi", "math.e", "math.tau"):
                raise RefusedError(Reason.IRRATIONAL, name)
            return Builtin(name)
        if isinstance(owner, Number) and node.attr in ("numerator", "denominator"):
            part = getattr(owner.exact, node.attr)
            undisturbed(True, part == getattr(owner.value, node.attr), owner)
            return of_python(part)
        return Method(owner, node.attr)

    def _joined(self, node: ast.JoinedStr) -> Text:
        return Text(tuple(self.evaluate(part) for part in node.values))

    def _formatted(self, node: ast.FormattedValue) -> Value:
        value = self.evaluate(node.value)
        if node.format_spec is None:
            return value
        spec = self.evaluate(node.format_spec)
        return formatted(value, "".join(map(str, spec.parts)) if isinstance(spec, Text) else "", self.trace)

    def _named(self, node: ast.NamedExpr) -> Value:
        value = self.evaluate(node.value)
        if self.is_comprehension:
            raise RefusedError(Reason.SYNTAX, "NamedExpr")
        self.store(node.target, value, node.value)
        return value

    def _lambda(self, node: ast.Lambda) -> Function:
        defaults = [self.evaluate(default) for default in node.args.defaults]
        return Function(node, defaults, [], self.frame)

    def _comprehension(self, node: ast.ListComp) -> list[Value]:
        return self._collect(node.generators, node.elt)[0]

    def _generator(self, node: ast.GeneratorExp) -> Once:
        before = self._num_unordered
        made = self._collect(node.generators, node.elt, any_order=True)[0]
        return Once(made, is_lazy=True, has_order=self._num_unordered == before)

    def _mapping(self, node: ast.DictComp) -> dict[object, Value]:
        keys, values = self._collect(node.generators, node.key, node.value)
        return {key_of(key): value for key, value in zip(keys, values, strict=True)}

    def _unique(self, node: ast.SetComp) -> Members:
        return unique_items(self._collect(node.generators, node.elt, any_order=True)[0])

    def _collect(
        self, generators: list[ast.comprehension], *nodes: ast.expr, any_order: bool = False
    ) -> list[list[Value]]:
        """Return the values of expressions in each turn of a comprehension, a list for each expression.

        Args:
            generators, nodes: of the comprehension.
            any_order (`bool`, *optional*): whether it may go through a set.
        """
        made: list[list[Value]] = [[] for _ in nodes]
        outer, was_one = self.frame, self.is_comprehension
        self.frame, self.is_comprehension = Frame({}, self.frame), True
        for _ in self._loops(generators, any_order):
            for values, node in zip(made, nodes, strict=True):
                values.append(self.evaluate(node))
        self.frame, self.is_comprehension = outer, was_one
        return made

    def _loops(self, generators: list[ast.comprehension], any_order: bool) -> Iterator[None]:
        first, *others = generators
        if first.is_async:
            raise RefusedError(Reason.SYNTAX, "async")
        source = self.evaluate(first.iter)
        self._num_unordered += isinstance(source, Members) or (isinstance(source, Once) and not source.has_order)
        for item in members_of(source) if any_order else items_of(source):
            self.bind(first.target, item)
            if all(truth(self.evaluate(test)) for test in first.ifs):
                if others:
                    yield from self._loops(others, any_order)
                else:
                    yield

    def bind(self, target: ast.expr, value: Value) -> None:
        """Give names values without a word, as a loop does."""
        self.spend()
        if isinstance(target, ast.Name):
            self.frame.store(target.id, value)
        elif isinstance(target, ast.Tuple | ast.List):
            values = gathered(target.elts, items_of(value))
            if len(values) != len(target.elts):
                raise RefusedError(Reason.RAISES, "not as many values as names")
            for one, item in zip(target.elts, values, strict=True):
                self.bind(one.value if isinstance(one, ast.Starred) else one, item)
        else:
            raise RefusedError(Reason.SYNTAX, type(target).__name__)

    _EXPRESSIONS: ClassVar[dict[type[ast.expr], Callable[..., Value]]] = {
        ast.Constant: _constant, ast.Name: _name, ast.BinOp: _binary, ast.UnaryOp: _unary, ast.Call: _call,
        ast.Compare: _compare, ast.BoolOp: _bool, ast.IfExp: _either, ast.List: _list, ast.Tuple: _tuple,
        ast.Dict: _dict, ast.Subscript: _subscript, ast.Attribute: _attribute, ast.JoinedStr: _joined,
        ast.FormattedValue: _formatted, ast.ListComp: _comprehension, ast.GeneratorExp: _generator,
        ast.Lambda: _lambda, ast.NamedExpr: _named, ast.Set: _set, ast.DictComp: _mapping, ast.SetComp: _unique,
    }  # fmt: skip


def _is_minus(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
