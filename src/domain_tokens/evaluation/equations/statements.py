"""What a text in canonical form states: its chains, taken apart into equations and checked."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain

from domain_tokens.evaluation.equations.chains import ChainReader, Part, pair_in
from domain_tokens.evaluation.equations.expressions import Expression, is_rounding
from domain_tokens.evaluation.equations.lexemes import Lexeme

ANNOTATION = re.compile(r"<<([^<>\n]*+)>>")  # GSM8K's calls of a calculator, 6*9=<<6*9=54>>54
_BEFORE_ANNOTATION = re.compile(r"[ \t$€£¥*(]*+(?=<<)")


@dataclass(frozen=True)
class Statement:
    """An equation in a text in canonical form.

    Attributes:
        start, end: its span.
        right, rounded, kind, pair: as of an `Equation`.
        terms: its left side, the same for `9*6` and `6*9`.
        result: what it states.
        operands: the numbers of its left side, each in all its readings: 20% is 20 and 1/5. A product of the table in
            a longer expression is there as its own operands, `6*9=54 + 5` as 6, 9 and 5.
        reached: what its operations give and what it states, in all readings.
        is_entry: whether it is an entry of the table, read as one number.
        has_result: of an entry, whether its result follows it once more, as in `6*9=54 = 54`.
        parts: the spans in it that are equations of their own: the entries of the table in a longer expression.
    """

    start: int
    end: int
    right: bool
    rounded: bool
    kind: str
    pair: tuple[int, int] | None
    terms: str
    result: Fraction
    operands: tuple[tuple[Fraction, ...], ...]
    reached: tuple[Fraction, ...]
    is_entry: bool = False
    has_result: bool = False
    parts: tuple[tuple[int, int], ...] = ()

    @property
    def key(self) -> str:
        """The same for the same equation, however it is written."""
        return f"{self.terms}={self.result}"

    @property
    def is_trivial(self) -> bool:
        """Whether it gives nothing that was not there: `5+0=5`, `5*1=5`, `0*5=0`, `5-5=0`, `5/5=1`."""
        if self.kind == "mixed":
            return self.result in {value for readings in self.operands for value in readings}
        values = [readings[0] for readings in self.operands]
        is_product = self.kind in ("product", "quotient")
        if (is_product and 0 in values) or (self.kind in ("difference", "quotient") and len(set(values)) == 1):
            return True
        return sum(value != (1 if is_product else 0) for value in values) < 2


@dataclass(frozen=True)
class _Check:
    """A comparison of the two sides of an equation, and its span."""

    right: bool
    rounded: bool
    result: Fraction
    stated: tuple[Fraction, ...]
    start: int
    end: int


class StatementReader:
    """Finds what texts state.

    Args:
        entries (`dict[str, tuple[int, int]]`): the entries of a table by their canonical spelling, `6*9=54`.
        kind (`str`): the kind of equation that an entry is, `product` or `sum`.
    """

    def __init__(self, entries: dict[str, tuple[int, int]], kind: str) -> None:
        self._kind = kind
        self._sign = {"product": "*", "sum": "+"}[kind]
        self._pairs = set(entries.values())
        self._chains = ChainReader(entries)

    def read(self, text: str) -> list[Statement]:
        """Return the statements of a text in order. An annotation and what it annotates are one."""
        spans = [match.span() for match in ANNOTATION.finditer(text)]
        inside, outside = _apart(text, spans)
        annotated: dict[int, list[Statement]] = {}
        for parts in self._chains.chains(inside):
            annotation = spans[bisect_right(spans, (parts[0].start, len(text))) - 1]
            annotated.setdefault(annotation[0], []).extend(self._of_chain(parts))
        found: list[Statement] = []
        for parts in self._chains.chains(outside):
            for index, part in enumerate(parts):
                statements = list(self._of_part(parts, index))
                gap = _BEFORE_ANNOTATION.match(text, part.equals_end) if part.equals_end is not None else None
                within = annotated.pop(gap.end(), []) if gap is not None else []
                found += _merged(part, statements, within) if within else statements
        return sorted(chain(found, *annotated.values()), key=lambda statement: (statement.start, statement.end))

    def _of_chain(self, parts: list[Part]) -> Iterator[Statement]:
        for index in range(len(parts)):
            yield from self._of_part(parts, index)

    def _of_part(self, parts: list[Part], index: int) -> Iterator[Statement]:
        """Yield the entries of one part, then the equation of the whole part with its neighbour."""
        part, expression = parts[index], parts[index].expression
        check = _check(parts, index)
        is_entry = _is_entry(part)
        for entry in part.entries:
            assert entry.pair is not None
            terms = self._sign.join(map(str, entry.pair))
            stated = Statement(
                entry.start, entry.end, True, False, self._kind, entry.pair, terms, entry.value,
                _readings(entry), (entry.value,), is_entry=True,
            )  # fmt: skip
            if is_entry and check is not None:
                result = entry.value if check.right else check.result
                stated = replace(stated, right=check.right, result=result, has_result=True)
                stated = _covering(stated, check.start, check.end)
            yield stated
        if expression is not None and expression.signs and check is not None:
            kind = _kind(expression)
            pair = self._pair(expression) if kind == self._kind and len(expression.operands) == 2 else None
            parts_of = tuple((entry.start, entry.end) for entry in part.entries)
            operands = tuple(reading for operand in expression.operands for reading in _readings(operand))
            yield Statement(
                check.start, check.end, check.right, check.rounded, kind, pair, _terms(expression), check.result,
                operands, (*expression.partial, *check.stated), parts=parts_of,
            )  # fmt: skip

    def _pair(self, expression: Expression) -> tuple[int, int] | None:
        """Return the entry of the table that an expression of two operands is, if they are not signed (-6*9)."""
        first, second = expression.operands
        plain = first.value * second.value if self._sign == "*" else first.value + second.value
        return pair_in(self._pairs, first.value, second.value) if expression.values == (plain,) else None


def _apart(text: str, annotations: list[tuple[int, int]]) -> tuple[str, str]:
    """Return the insides of annotations and what is outside of them, each at its own position."""
    inside, outside, position = [], [], 0
    for start, end in annotations:
        inside += ["\n" * (start + 2 - position), text[start + 2 : end - 2], "\n\n"]
        outside += [text[position:start], " " * (end - start)]
        position = end
    return "".join(inside), "".join([*outside, text[position:]])


def _merged(part: Part, outer: list[Statement], annotated: list[Statement]) -> list[Statement]:
    """Return what an annotation states, with the span of what it annotates.

    If both are one equation, as in `6*9=<<6*9=54>>55`, both have to be right.
    """
    if not outer:
        return annotated
    *others, last = annotated
    whole = outer[-1]
    if whole.terms == last.terms:
        last = replace(last, right=last.right and whole.right, rounded=last.rounded or whole.rounded)
    return [*others, _covering(replace(last, parts=last.parts + whole.parts), whole.start, whole.end)]


def _covering(statement: Statement, start: int, end: int) -> Statement:
    return replace(statement, start=min(statement.start, start), end=max(statement.end, end))


def _check(parts: list[Part], index: int) -> _Check | None:
    """Compare a part with the next one or, if it is the last, with a number before it; `None` if that says nothing."""
    part = parts[index]
    if part.expression is None:
        return None
    if part.equals_end is not None:
        other = parts[index + 1]
        is_arithmetic = not part.in_words or _is_entry(part) or bool(set(part.expression.signs) & set("+*"))
        return _compare(part, other) if is_arithmetic and other.expression is not None else None
    other = parts[index - 1]
    if index == 0 or other.expression is None or other.expression.signs or _is_entry(other) or other.in_words:
        return None
    return _compare(part, other)


def _compare(part: Part, other: Part) -> _Check:
    """Compare an expression with what it is said to equal: a number or another expression.

    In `12*9=108 + 5 = 113` the first equation ends at 108, as people write it.
    """
    assert part.expression is not None
    assert other.expression is not None
    values, stated, first = part.expression.values, other.expression.values, other.expression.operands[0]
    start, end = min(part.start, other.start), max(part.end, other.end)
    if set(values) & set(stated):
        return _Check(True, False, stated[0], stated, start, end)
    if other.expression.signs:
        if first.start != other.start:
            return _Check(False, False, stated[0], stated, start, end)
        stated = (first.value, first.value / 100) if first.percent else (first.value,)
        end = first.end
    if set(values) & set(stated):
        return _Check(True, False, stated[0], stated, start, end)
    sign = -1 if stated[0] < 0 else 1
    if any(is_rounding(sign * value, first) for value in values):
        return _Check(True, True, stated[0], stated, start, end)
    result = other.expression.values
    return _Check(False, False, result[0], result, start, max(part.end, other.end))


def _readings(operand: Lexeme) -> tuple[tuple[Fraction, ...], ...]:
    """Return what an operand can be read as; an entry of the table is two operands."""
    if operand.pair is not None:
        return tuple((Fraction(number),) for number in operand.pair)
    return ((operand.value, operand.value / 100) if operand.percent else (operand.value,),)


def _is_entry(part: Part) -> bool:
    """Return whether a part is an entry of the table and nothing else."""
    expression = part.expression
    return expression is not None and not expression.signs and expression.operands[0].pair is not None


def _kind(expression: Expression) -> str:
    signs = set(expression.signs)
    if signs == {"*"}:
        return "product" if len(expression.signs) == 1 else "mixed"
    return {"+": "sum", "-": "difference", "/": "quotient"}[signs.pop()] if len(signs) == 1 else "mixed"


def _terms(expression: Expression) -> str:
    """Return the left side of an equation: its numbers and signs, sorted where their order does not matter.

    Brackets are not in it; the value is added where they could matter.
    """
    numbers = [f"{one.value}%" if one.percent else f"{one.value}" for one in expression.operands]
    if set(expression.signs) in ({"*"}, {"+"}):
        return expression.signs[0].join(sorted(numbers, key=lambda number: (len(number), number)))
    terms = "".join(chain.from_iterable(zip(numbers, [*expression.signs, ""], strict=True)))
    return terms if len(expression.signs) == 1 else f"{terms} ({expression.values[0]})"
