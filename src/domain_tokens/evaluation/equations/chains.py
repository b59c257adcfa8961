"""Arithmetic in prose: the chains of equations in a text, such as `2*3*4 = 6*4 = 24`.

Reads what language models write: units between numbers (`5 hours * $3/hour = $15`), words for signs, brackets,
percentages, markup. What is not certainly arithmetic on numbers (`x + 5`, `2:30`, `3 more than 5`, `2^3`) makes its
part of the chain unreadable, so that no wrong equation is invented. Takes time linear in the length of the text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from domain_tokens.evaluation.equations.expressions import Expression, read_expression
from domain_tokens.evaluation.equations.latex import without_latex
from domain_tokens.evaluation.equations.lexemes import (
    CLOSE,
    DASH,
    EQUALITY,
    EQUALS,
    EXACT,
    IS,
    MINUS,
    NUMBER,
    OPEN,
    OVER,
    PLUS,
    SIGNS,
    STOP,
    TIMES,
    UNREADABLE,
    Cursor,
    Lexeme,
    Lexer,
)
from domain_tokens.evaluation.equations.words import without_words

_WITHIN_NUMBERS = (" ", "\u00a0", "\u2009", "\u202f", " and ")


class Beginning(NamedTuple):
    """How the beginning of a part reads.

    Attributes:
        end: where it ends.
        expression: how it reads.
        rest: how what is behind it reads, from a minus on.
    """

    end: int
    expression: Expression
    rest: Expression | None


@dataclass(frozen=True)
class Part:
    """What is between two equals signs.

    Attributes:
        start, end: its span in the text.
        expression: how it reads; `None` if it is no arithmetic.
        others: where it begins, how it reads and the entries in it if its beginning is something else: a dash that is
            a minus, `15 1/2` that is two numbers, `Day 2 -` that is a label.
        is_certain: whether it is arithmetic also where it does not hold.
        beginning: its beginning, if what is behind it may be something else: the 1/3 of `= 1/3 of 150`, the 15 of
            `5*3 = 15 -5*3 = -15`.
        entries: the entries of the table in it, whether it can be read or not.
        equals_end: where the equals sign behind it ends; `None` for the last part.
        in_words: whether that sign is a word, as in "6 times 9 is 54".
    """

    start: int
    end: int
    expression: Expression | None
    entries: tuple[Lexeme, ...]
    equals_end: int | None
    in_words: bool
    others: tuple[tuple[int, Expression, tuple[Lexeme, ...]], ...] = ()
    is_certain: bool = True
    beginning: Beginning | None = None


class ChainReader:
    """Finds the chains of texts.

    Args:
        entries (`dict[str, tuple[int, int]]`): how the entries of a table are spelled, and their operands, the smaller
            one first: `{"6*9=54": (6, 9)}`. Such a text is read as one number that states its own equation: in
            `6*9=54 + 5 = 59` it is 54.
    """

    def __init__(self, entries: dict[str, tuple[int, int]]) -> None:
        self._lexer = Lexer(entries)
        self._products = {pair for spelling, pair in entries.items() if "*" in spelling}

    def chains(self, text: str) -> Iterator[list[Part]]:
        """Yield the chains of a text in order, each a list of at least one part."""
        run: list[Lexeme] = []
        end = Lexeme(STOP, len(text), len(text))
        lexemes = list(self._lexer.lexemes(text))
        if "{" in text or "}" in text or "frac" in text:
            lexemes = without_latex(lexemes)
        lexemes = _without_lone_brackets(without_words(text, lexemes))
        lexemes = _with_long_numbers(text, lexemes)
        for lexeme, after in pairwise([*lexemes, end, end]):
            is_end = lexeme.kind is STOP
            if run and (is_end or _is_another_number(run[-1], lexeme, after)):
                if len(run) > 2 or any(one.pair for one in run):  # else it states nothing
                    yield list(self._parts(run))
                run = []
            if not is_end:
                run.append(lexeme)

    def _parts(self, run: list[Lexeme]) -> Iterator[Part]:
        begin = 0
        is_unsure = False  # of the equals sign before the part
        for index, lexeme in enumerate([*run, Lexeme(EQUALS, run[-1].end, run[-1].end)]):
            if lexeme.kind in EQUALITY:
                equals_end = lexeme.end if index < len(run) else None
                is_sure = not (is_unsure or lexeme.doubtful)
                yield self._part(run[begin:index], begin, lexeme, equals_end, is_sure)
                begin, is_unsure = index + 1, lexeme.doubtful

    def _part(self, part: list[Lexeme], begin: int, equals: Lexeme, equals_end: int | None, is_sure: bool) -> Part:
        """Return what is before an equals sign; `begin` is where it begins in its chain."""
        if len(part) == 1 and part[0].kind is NUMBER:  # a result, as half of all parts
            (number,) = part
            stated = (number,) if number.pair is not None else ()
            is_certain = is_sure and not number.doubtful
            return Part(
                number.start, number.end, read_expression(part), stated, equals_end, equals.kind is IS, (), is_certain
            )
        readings = _readings(part, is_first=begin == 0) if begin < 2 else [part]
        first, *others = [_with_fractions(self._with_products(one)) for one in readings]
        start, end = (first[0].start, first[-1].end) if first else (equals.start, equals.start)
        expressions = ((other[0].start, read_expression(other), _entries(other)) for other in others)
        possible = tuple((where, one, entries) for where, one, entries in expressions if one is not None)
        is_certain = is_sure and _is_certain(part)
        beginning = _beginning(part) if begin else None
        return Part(
            start,
            end,
            None if _has_range(part) else read_expression(first),
            _entries(first),
            equals_end,
            equals.kind is IS,
            possible,
            is_certain,
            beginning,
        )

    def _with_products(self, lexemes: list[Lexeme]) -> list[Lexeme]:
        """Return a part in which each product of the table that is a term of a sum is an entry: `5 + 6*9`.

        In `6*9 + 5` it is one already, since the tokenizer writes a token there.
        """
        if len(lexemes) <= 3:
            return lexemes
        found: list[Lexeme] = []
        cursor = Cursor(lexemes)
        while cursor:
            pair = self._product_at(cursor, found)
            if pair is None:
                found.append(cursor.pop())
            else:
                first, _, second = cursor.take(3)
                found.append(Lexeme(NUMBER, first.start, second.end, first.value * second.value, pair=pair))
        return found

    def _product_at(self, cursor: Cursor, found: list[Lexeme]) -> tuple[int, int] | None:
        """Return the pair of the table that the next three lexemes multiply, if their product is a term of a sum."""
        if cursor.kinds(3) != [NUMBER, TIMES, NUMBER]:
            return None
        first, _, second, *after = cursor.peek(4)
        before = found[-1].kind if found else OPEN
        is_signed = before is MINUS and (len(found) < 2 or found[-2].kind not in (NUMBER, CLOSE))
        is_term = before in (PLUS, MINUS, OPEN) and (not after or after[0].kind in (PLUS, MINUS, CLOSE))
        if is_signed or not is_term or any(one.percent or one.pair for one in (first, second)):
            return None
        return pair_in(self._products, first.value, second.value)


def pair_in(pairs: set[tuple[int, int]], first: Fraction, second: Fraction) -> tuple[int, int] | None:
    """Return the pair of a table that two operands are, in either order; `None` if they are not in it."""
    if first.denominator != 1 or second.denominator != 1:
        return None
    a, b = sorted((int(first), int(second)))
    return (a, b) if (a, b) in pairs else None


def _entries(lexemes: list[Lexeme]) -> tuple[Lexeme, ...]:
    return tuple(one for one in lexemes if one.pair is not None)


def _readings(lexemes: list[Lexeme], is_first: bool) -> list[list[Lexeme]]:
    """Return how a part can be read: with a dash before it as the mark of a list and as a minus, and so on."""
    if len(lexemes) < 2:
        return [lexemes]
    first, *behind = lexemes
    if first.kind is DASH or (is_first and first.kind is MINUS and first.end < behind[0].start and not first.doubtful):
        return [behind, [first._replace(kind=MINUS), *behind]]
    is_bracketed = is_first and [one.kind for one in lexemes[:4]] == [OPEN, NUMBER, CLOSE, MINUS]  # (2) - 10 + 3 = 13
    rest = lexemes[4:] if is_bracketed else behind[1:] if first.is_label and behind[0].kind is MINUS else []
    if any(one.pair or one.kind in SIGNS for one in rest) and not (
        is_bracketed and lexemes[2].end == lexemes[3].start
    ):
        return [lexemes, rest]
    return [lexemes, [*first.rest, *behind]] if first.rest else [lexemes]


def _is_certain(lexemes: list[Lexeme]) -> bool:
    """Return whether a part is arithmetic also where it does not hold."""
    return not any(one.doubtful for one in lexemes)


def _has_range(lexemes: list[Lexeme]) -> bool:
    """Return whether a part has a range of things in it: 3-4 apples."""
    return any(
        (low.kind, dash.kind, high.kind) == (NUMBER, MINUS, NUMBER)
        and low.end == dash.start
        and dash.end == high.start
        and low.value < high.value
        and high.is_named
        for low, dash, high in zip(lexemes, lexemes[1:], lexemes[2:], strict=False)
    )


def _beginning(lexemes: list[Lexeme]) -> Beginning | None:
    """Return the beginning of what is behind an equals sign, up to an `of` or to a minus that may begin a number."""
    if len(lexemes) < 3:
        return None
    for index, lexeme in enumerate(lexemes):
        before, after = lexemes[index - 1], lexemes[index + 1 : index + 2]
        is_of = lexeme.kind is TIMES and lexeme.is_word
        is_minus = index > 0 and lexeme.kind is MINUS and after and before.end < lexeme.start
        if is_of or (is_minus and lexeme.end == after[0].start):
            expression = read_expression(lexemes[:index])
            rest = read_expression(lexemes[index:]) if is_minus else None
            return None if expression is None else Beginning(before.end, expression, rest)
    return None


def _with_long_numbers(text: str, lexemes: list[Lexeme]) -> list[Lexeme]:
    """Return lexemes in which `1 1/2` and `5 000` are one number each."""
    if not any(one.kind is NUMBER and two.kind is NUMBER for one, two in pairwise(lexemes)):
        return lexemes
    found: list[Lexeme] = []
    cursor = Cursor(lexemes)
    while cursor:
        if cursor.kinds(2) != [NUMBER, NUMBER] or not _can_go_on(text, *cursor.peek(2)):
            found.append(cursor.pop())
        elif cursor.kinds(4)[2:] == [OVER, NUMBER] and _is_proper(*cursor.peek(4)[1:]):
            whole, upper, over, lower = cursor.take(4)
            value = whole.value + upper.value / lower.value
            rest = (upper, over, lower)
            found.append(lower._replace(start=whole.start, value=value, decimals=EXACT, rest=rest))
        else:
            (whole,) = cursor.take()
            if whole.end - whole.start <= 3 and _is_group(cursor.peek()[0]):
                (last,) = cursor.take()
                value = whole.value * 1000 + last.value
                while _is_group(*cursor.peek()[:1]) and _can_go_on(text, last, *cursor.peek()):
                    (last,) = cursor.take()
                    value = value * 1000 + last.value
                whole = last._replace(start=whole.start, value=value, rest=(last,))
            found.append(whole)
    return found


def _is_group(number: Lexeme | None = None) -> bool:
    """Return whether a number can be three digits of a longer one."""
    return number is not None and number.kind is NUMBER and number.end - number.start == 3 and number.decimals == 0


def _can_go_on(text: str, whole: Lexeme, behind: Lexeme) -> bool:
    """Return whether a number may go on with the one behind it: whole numbers with a space between them."""
    is_whole = not (whole.decimals or whole.percent or whole.pair or behind.pair)
    return is_whole and text[whole.end : behind.start] in _WITHIN_NUMBERS


def _is_proper(upper: Lexeme, over: Lexeme, lower: Lexeme) -> bool:
    """Return whether three lexemes are a fraction below 1, without spaces."""
    return upper.end == over.start and over.end == lower.start and 0 < upper.value < lower.value


def _is_another_number(before: Lexeme, lexeme: Lexeme, after: Lexeme) -> bool:
    """Return whether a number behind a number begins something new: `= 15 20+3`, but not `15 20/4`."""
    if (before.kind, lexeme.kind) != (NUMBER, NUMBER) or before.end == lexeme.start:
        return False
    return after.kind is not OVER and lexeme.end - lexeme.start != 3


def _without_lone_brackets(lexemes: list[Lexeme]) -> list[Lexeme]:
    """Return lexemes with brackets that are not arithmetic as ends: `(6 + 2 = 8)`, `a)`, `15 (in all)`."""
    found = list(lexemes)
    opened: list[int] = []
    for index, lexeme in enumerate(lexemes):
        before = found[index - 1] if index else lexeme
        if lexeme.kind is OPEN:
            if before.kind in (NUMBER, CLOSE) and before.end < lexeme.start:
                found[index] = lexeme._replace(kind=STOP)
            opened.append(index)
        elif lexeme.kind is CLOSE and opened:
            is_closed = found[opened.pop()].kind is OPEN
            found[index] = lexeme._replace(kind=CLOSE if is_closed else STOP)
        elif lexeme.kind in (CLOSE, *EQUALITY, STOP):
            for lone in (*opened, *([index] if lexeme.kind is CLOSE else [])):
                found[lone] = found[lone]._replace(kind=STOP)
                if lone and lexemes[lone].kind is OPEN and lexemes[lone - 1].kind in SIGNS:
                    found[lone + 1] = found[lone + 1]._replace(doubtful=True)  # 100 + (100*2 = 300
            opened = []
        elif lexeme.kind in SIGNS and before.kind is STOP and lexemes[index - 1].kind is CLOSE:
            found[index] = lexeme._replace(kind=UNREADABLE)  # (12*8=96)+5
    for lone in opened:
        found[lone] = found[lone]._replace(kind=STOP)
    return found


def _with_fractions(lexemes: list[Lexeme]) -> list[Lexeme]:
    """Return lexemes with brackets around a fraction that something is divided by: `60 / 3/4`."""
    if sum(one.kind is OVER for one in lexemes) < 2:
        return lexemes
    found: list[Lexeme] = []
    cursor = Cursor(lexemes)
    while cursor:
        is_divided = cursor.kinds(4) == [OVER, NUMBER, OVER, NUMBER]
        found += cursor.take()
        if is_divided:
            upper, over, lower = cursor.peek(3)
            if found[-1].end < upper.start and upper.end == over.start and over.end == lower.start:
                opened, closed = Lexeme(OPEN, upper.start, upper.start), Lexeme(CLOSE, lower.end, lower.end)
                found += [opened, *cursor.take(3), closed]
    return found
