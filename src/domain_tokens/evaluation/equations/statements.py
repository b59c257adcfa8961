"""What a text in canonical form states: its chains, taken apart into equations and checked."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain

from domain_tokens.evaluation.equations.chains import Beginning, ChainReader, Part, pair_in
from domain_tokens.evaluation.equations.expressions import (
    Expression,
    are_thousands,
    in_unit_of,
    is_float_noise,
    is_near,
    is_price,
    is_rounding,
)
from domain_tokens.evaluation.equations.lexemes import EXACT, NUMBER, Lexeme
from domain_tokens.evaluation.equations.units import CENT, DOLLAR, times_as_many, unit_of

ANNOTATION = re.compile(r"<<([^<>\n]*+)>>")  # GSM8K's calls of a calculator, 6*9=<<6*9=54>>54
_PLAIN = re.compile(r"[^A-Za-z%％<>]*(?:[xX][^A-Za-z%％<>]*)*")  # numbers and signs without units
_WRITTEN = re.compile(
    r"[ $€£¥₹-]{0,3}((?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,30})(?:\.[0-9]+)?|\.[0-9]+)(?![\d/⁄½⅓⅔¼¾%]|[ ,.]\d)"
)
_PRODUCT = re.compile(r"[ $€£¥₹]{0,3}([0-9]+)[*+]([0-9]+)(?==)")
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
        for start, end in spans:
            if start in annotated:
                annotated[start][-1:] = [_as_written(text, end, one) for one in annotated[start][-1:]]
        found: list[Statement] = []
        for parts in map(_settled, self._chains.chains(outside)):
            for index, part in enumerate(parts):
                statements = list(self._of_part(parts, index))
                gap = _BEFORE_ANNOTATION.match(text, part.equals_end) if part.equals_end is not None else None
                within = annotated.pop(gap.end(), []) if gap is not None else []
                is_plain = _PLAIN.fullmatch(text, part.start, part.end) is not None
                found += _merged(statements, within, is_plain) if within else statements
        return sorted(chain(found, *annotated.values()), key=lambda statement: (statement.start, statement.end))

    def _of_chain(self, parts: list[Part]) -> Iterator[Statement]:
        parts = _settled(parts)
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


def _as_written(text: str, end: int, last: Statement) -> Statement:
    """Return what an annotation states last, compared with the number behind it: `<<5*3=15>>16` is wrong."""
    written = _WRITTEN.match(text, end)
    if written is None or not last.right:
        return last
    product = _PRODUCT.match(text, end)
    if product is not None and str(last.result) in product.groups():
        return last  # <<4+3=7>>7*2, whose order is not kept
    digits = written[1].replace(",", "")
    value, step = Fraction(digits), Fraction(1, 10 ** len(digits.partition(".")[2]))
    behind = abs(abs(last.result) - value)
    if behind * 2**49 <= abs(last.result):  # 16.83 behind <<1.87*9=16.830000000000002>>
        return last
    is_rounded = value > 0 and behind < step
    return replace(last, right=is_rounded, rounded=is_rounded, reached=(*last.reached, value))


def _merged(outer: list[Statement], annotated: list[Statement], is_plain: bool) -> list[Statement]:
    """Return what an annotation states, with the span of what it annotates.

    If both are one equation, as in `6*9=<<6*9=54>>55`, both have to be right. So have two that differ,
    `4+3=<<3+3=6>>6`, unless words or percentages are in what is annotated: `2 weeks * 5 = <<14*5=70>>70`.
    """
    if not outer:
        return annotated
    *others, last = annotated
    whole = outer[-1]
    if whole.terms == last.terms or (is_plain and whole.terms.split()[0] != last.terms.split()[0]):
        right = last.right and whole.right
        rounded = right and (last.rounded or whole.rounded)
        last = replace(last, right=right, rounded=rounded, reached=(*last.reached, *(whole.reached if right else ())))
    start, end = min(last.start, whole.start), max(last.end, whole.end)
    return [*others, replace(last, parts=last.parts + whole.parts, start=start, end=end)]


def _covering(statement: Statement, start: int, end: int) -> Statement:
    return replace(statement, start=min(statement.start, start), end=max(statement.end, end))


def _settled(parts: list[Part]) -> list[Part]:
    """Return a chain whose parts are read in the way that holds; one that may be no arithmetic is left unread."""
    if all(part.is_certain and part.beginning is None and not part.others for part in parts):
        return _without_joined(parts)
    found = _without_joined(list(parts))
    for index in reversed(range(len(parts))):
        part = parts[index]
        if part.is_certain and part.beginning is None and not part.others:
            continue
        for start, expression, entries in ((part.start, part.expression, part.entries), *part.others):
            found[index] = replace(part, start=start, expression=expression, entries=entries)
            if _holds(found, index):
                break
        else:
            found[index] = part
            begins = part.beginning
            if begins is not None and not (part.is_certain and _states_more(found, index, begins)):
                found[index] = replace(part, expression=begins.expression, end=begins.end, equals_end=None)
            elif not part.is_certain:
                found[index] = replace(part, expression=None)
    return found


def _states_more(parts: list[Part], index: int, beginning: Beginning) -> bool:
    """Return whether a part with a number behind it is one expression, though it does not hold: `= 140 -10 = 137`."""
    if parts[index].equals_end is None:
        return False
    behind = parts[index + 1].expression
    if beginning.rest is None:
        return parts[index - 1].expression is None  # x = 1/3 of 150 = 60
    return behind is not None and not _meet(beginning.rest.values, behind.values)


def _without_joined(parts: list[Part]) -> list[Part]:
    """Return a chain without parts that begin with two numbers and the period between them: `3+4=7.7*2=14`."""
    for index in range(1, len(parts)):
        own, before = parts[index].expression, parts[index - 1].expression
        if own is None or not own.signs or not 0 < own.operands[0].decimals < EXACT:
            continue
        if before is None or not before.signs or parts[index - 1].in_words:
            continue
        number = own.operands[0].value
        if number not in before.values and Fraction(int(number)) in before.values:
            parts = [*parts[:index], replace(parts[index], expression=None), *parts[index + 1 :]]
    return parts


def _holds(parts: list[Part], index: int) -> bool:
    """Return whether what a part states is right, or, if it states nothing, what the one before it states."""
    check = _check(parts, index)
    if check is None and index:
        check = _check(parts, index - 1)
    return check is not None and check.right


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


def _compare(part: Part, other: Part) -> _Check | None:
    """Compare an expression with what it is said to equal: a number or another expression.

    In `12*9=108 + 5 = 113` the first equation ends at 108, as people write it. In `20 + 1/4 = 20 + 1/2` it does not.
    In `4+3 = 7*2 = 14` it ends within the product of the table that goes on from it, in whichever order that is.
    """
    theirs = other.expression
    assert part.expression is not None
    assert theirs is not None
    ours = in_unit_of(part.expression, theirs)
    if ours is None or is_price(ours, theirs):
        return None
    start, end = min(part.start, other.start), max(part.end, other.end)
    wrong = _Check(False, False, theirs.values[0], theirs.values, start, end)
    stated, first = theirs.values, theirs.operands[0]
    if theirs.signs and not _meet(ours.values, stated) and _can_go_on(other, first):
        if other.equals_end is not None:
            stated, end = first.readings, first.end
        elif _meet(ours.values, first.readings):
            return None  # 12*9 = 108 + 5, and nothing behind it
    if first.pair is not None and first.start == other.start and not _meet(ours.values, theirs.values):
        for factor in sorted(map(Fraction, first.pair), key=lambda factor: factor not in ours.values):
            number = Lexeme(NUMBER, first.start, first.end, factor)
            if factor in ours.values or is_rounding(ours, number):  # 4+3 = 7*2, whose order is not kept
                return _Check(True, factor not in ours.values, factor, (factor,), start, first.end)
    if _meet(ours.values, stated):
        return _Check(True, False, stated[0], stated, start, end)
    if not theirs.signs or end == first.end:
        negative = stated[0] < 0
        if is_float_noise(ours, first, negative):
            return _Check(True, not _ends(ours.values[0]), stated[0], stated, start, end)
        if is_rounding(ours, first, negative):
            return _Check(True, True, stated[0], stated, start, end)
    elif not _ends(ours.values[0]) and is_near(ours, theirs):
        return _Check(True, True, stated[0], stated, start, end)
    return None if are_thousands(ours, theirs) else _in_units(wrong, ours, theirs)


def _meet(values: tuple[Fraction, ...], others: tuple[Fraction, ...]) -> bool:
    return any(value in others for value in values)


def _in_units(wrong: _Check, ours: Expression, theirs: Expression) -> _Check:
    """Return the check of an equation that does not hold in numbers: `2 weeks * 5 = 70 days` does in its units."""
    own, other = ({one.unit for one in side.operands if unit_of(one.unit)} for side in (ours, theirs))
    if CENT in own and any(value * 100 in theirs.values for value in ours.values):
        return replace(wrong, right=True)  # $5 - 75 cents = 425
    own, other = own - {DOLLAR, CENT}, other - {DOLLAR, CENT}
    if not own or not other or own & other:
        return wrong
    for unit in own:
        factor = times_as_many(unit, next(iter(other)))
        if factor is not None and any(value * factor in theirs.values for value in ours.values):
            return replace(wrong, right=True)
    return wrong


def _can_go_on(other: Part, first: Lexeme) -> bool:
    """Return whether an expression goes on from its first number: that of `= 108 + 5 = 113`, but not of `= 3/4`."""
    assert other.expression is not None
    second = other.expression.operands[1]
    is_fraction = other.expression.signs[0] == "/" and second.start == first.end + 1
    return first.start == other.start and not is_fraction


def _ends(value: Fraction) -> bool:
    """Return whether a number has finitely many decimals."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def _readings(operand: Lexeme) -> tuple[tuple[Fraction, ...], ...]:
    """Return what an operand can be read as; an entry of the table is two operands."""
    if operand.pair is not None:
        return tuple((Fraction(number),) for number in operand.pair)
    return (operand.readings,)


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
