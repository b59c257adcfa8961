"""What a template is: a problem whose numbers are variables, results of its steps, or constants."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from domain_tokens.corpora.renumbering.reading.arithmetic import (
    Expression,
    Term,
    Value,
    compute,
    is_like,
)
from domain_tokens.corpora.renumbering.reading.mentions import Mention, with_article, write

_OLDEST = 100  # years
VARIABLE, RESULT, CONSTANT = "variable", "result", "constant"


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where a number comes from: `offset + factor * base`.

    Attributes:
        kind: `VARIABLE`, `RESULT` or `CONSTANT`, which has no base.
        index: of the variable, or of the step whose result it is.
        factor, offset: 1 and 0, but for `.2` of 20%, `80` of 20% off, and constants.
    """

    kind: str
    index: int = 0
    factor: Value = 1
    offset: Value = 0

    def value(self, variables: Sequence[Value], results: Sequence[Value]) -> Value:
        """Return the number, given those of the question and the results so far."""
        if self.kind == CONSTANT:
            return self.offset
        base = variables[self.index] if self.kind == VARIABLE else results[self.index]
        if self.factor == 1 and self.offset == 0:
            return base
        return compute("+", compute("*", self.factor, base), self.offset)


class Slot(NamedTuple):
    """The place of a number in a text: where it comes from, and how it is written."""

    leaf: Leaf
    mention: Mention


Piece = str | Slot


class Step(NamedTuple):
    """An equation of the solution: its expression, where each operand comes from, and the result in the original."""

    expression: Expression
    leaves: tuple[Leaf, ...]
    result: Value


@dataclass(frozen=True, slots=True)
class Variable:
    """A number of the question that is drawn.

    Attributes:
        value: the original.
        kinds: of what it is a number, wherever it stands: `money`, `percent`, `age`, `count of pen`.
        choices: the numbers that may stand in its place, in order.
    """

    value: Value
    kinds: tuple[str, ...]
    choices: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A problem with places for its numbers.

    Attributes:
        id: the problem's number in its data, `problem 7`.
        question, answer: their pieces.
        variables: the numbers that are drawn.
        steps: the equations, in order.
        final: where the final number comes from.
        groups: whether thousands are separated by a comma.
        keeps_order: whether the results are compared with each other, so that their order must stay.
        has_ages: whether the problem is about ages, so that no result may become too large for one.
    """

    id: str
    question: tuple[Piece, ...]
    answer: tuple[Piece, ...]
    variables: tuple[Variable, ...]
    steps: tuple[Step, ...]
    final: Leaf
    groups: bool
    keeps_order: bool
    has_ages: bool

    def fill(self, variables: Sequence[Value], results: Sequence[Value]) -> tuple[str, str]:
        """Return the question and the answer with other numbers. Raises `ValueError` if one cannot be written."""
        return (
            self._filled(self.question, variables, results),
            self._filled(self.answer, variables, results),
        )

    def _filled(self, pieces: Sequence[Piece], variables: Sequence[Value], results: Sequence[Value]) -> str:
        text = ""
        for piece in pieces:
            if isinstance(piece, str):
                text += piece
                continue
            value = piece.leaf.value(variables, results)
            if value == piece.mention.value:
                text += piece.mention.written
                continue
            written = write(value, piece.mention, self.groups)
            text = with_article(text, written) + written
        return text


class _Operation(NamedTuple):
    """One operation of a step: its sign, the places of its two values, and its value in the original."""

    sign: str
    left: int
    right: int
    original: Value


class Calculator:
    """Computes a template's steps for other numbers.

    Args:
        template (`Template`): whose steps.
    """

    def __init__(self, template: Template) -> None:
        self._keeps_order, self._has_ages = template.keeps_order, template.has_ages
        originals = [variable.value for variable in template.variables]
        before: list[Value] = []
        self._steps: list[tuple[tuple[Leaf, ...], list[_Operation], Value]] = []
        for step in template.steps:
            values = [leaf.value(originals, before) for leaf in step.leaves]
            operations: list[_Operation] = []
            _compile(step.expression, values, operations)
            self._steps.append((step.leaves, operations, step.result))
            before.append(step.result)
        self._order = _order(before)

    def results(self, variables: Sequence[Value]) -> list[Value] | None:
        """Return the result of every step; `None` if one is not of the kind of the original's.

        What is whole stays whole, signs stay, and so do 0 and 1, within a step too.
        """
        found: list[Value] = []
        for leaves, operations, original in self._steps:
            values = [leaf.value(variables, found) for leaf in leaves]
            for sign, left, right, old in operations:
                if sign == "/" and not values[right]:
                    return None
                new = compute(sign, values[left], values[right])
                if isinstance(old, int) and not isinstance(new, int):
                    return None
                if (new > 0) != (old > 0) or (new < 0) != (old < 0):
                    return None
                values.append(new)
            if not is_like(values[-1], original) or (self._has_ages and values[-1] > max(original, _OLDEST)):
                return None
            found.append(values[-1])
        if self._keeps_order and _order(found) != self._order:
            return None
        return found


def _compile(expression: Expression, values: list[Value], operations: list[_Operation]) -> int:
    """Append the operations of an expression in order, with their values; return the place of its own value."""
    if not isinstance(expression, Term):
        return expression
    left, right = _compile(expression.left, values, operations), _compile(expression.right, values, operations)
    value = compute(expression.sign, values[left], values[right])
    operations.append(_Operation(expression.sign, left, right, value))
    values.append(value)
    return len(values) - 1


def _order(values: Sequence[Value]) -> list[int]:
    return [(one > other) - (one < other) for index, one in enumerate(values) for other in values[:index]]
