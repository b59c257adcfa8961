"""Arithmetic in prose: the chains of equations in a text, such as `2*3*4 = 6*4 = 24`.

Reads what language models write: units between numbers (`5 hours * $3/hour = $15`), words for signs, brackets,
percentages, markup. What is not certainly arithmetic on numbers (`x + 5`, `2:30`, `3 more than 5`, `2^3`) makes its
part of the chain unreadable, so that no wrong equation is invented. Takes time linear in the length of the text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from domain_tokens.evaluation.equations.expressions import Expression, read_expression
from domain_tokens.evaluation.equations.lexemes import (
    CLOSE,
    EQUALITY,
    EQUALS,
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


@dataclass(frozen=True)
class Part:
    """What is between two equals signs.

    Attributes:
        start, end: its span in the text.
        expression: how it reads; `None` if it is no arithmetic.
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
        lexemes = _without_lone_brackets(without_words(text, list(self._lexer.lexemes(text))))
        for lexeme, after in pairwise([*lexemes, end, end]):
            if run and _is_another_number(run[-1], lexeme, after):
                yield list(self._parts(run))
                run = []
            if lexeme.kind is not STOP:
                run.append(lexeme)
            elif run:
                yield list(self._parts(run))
                run = []

    def _parts(self, run: list[Lexeme]) -> Iterator[Part]:
        begin = 0
        for index, lexeme in enumerate([*run, Lexeme(EQUALS, run[-1].end, run[-1].end)]):
            if lexeme.kind in EQUALITY:
                lexemes = _with_fractions(self._with_products(run[begin:index]))
                start, end = (lexemes[0].start, lexemes[-1].end) if lexemes else (lexeme.start, lexeme.start)
                entries = tuple(one for one in lexemes if one.pair is not None)
                equals_end = lexeme.end if index < len(run) else None
                yield Part(start, end, read_expression(lexemes), entries, equals_end, lexeme.kind is IS)
                begin = index + 1

    def _with_products(self, lexemes: list[Lexeme]) -> list[Lexeme]:
        """Return a part in which each product of the table that is a term of a sum is an entry: `5 + 6*9`.

        In `6*9 + 5` it is one already, since the tokenizer writes a token there.
        """
        found: list[Lexeme] = []
        cursor = Cursor(lexemes)
        while cursor:
            pair = self._product_at(cursor, found) if len(lexemes) > 3 else None
            if pair is None:
                found += cursor.take()
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


def _is_another_number(before: Lexeme, lexeme: Lexeme, after: Lexeme) -> bool:
    """Return whether a number behind a number begins something new: `= 15 20+3`, but not 1 1/2 and not 5 000."""
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
            opened = []
        elif lexeme.kind in SIGNS and before.kind is STOP and lexemes[index - 1].kind is CLOSE:
            found[index] = lexeme._replace(kind=UNREADABLE)  # (12*8=96)+5
    for lone in opened:
        found[lone] = found[lone]._replace(kind=STOP)
    return found


def _with_fractions(lexemes: list[Lexeme]) -> list[Lexeme]:
    """Return lexemes with brackets around a fraction that something is divided by: `60 / 3/4`."""
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
