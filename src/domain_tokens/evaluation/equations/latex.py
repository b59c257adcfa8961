r"""The fractions and braces of LaTeX, read as what they mean: `\frac{3}{4}` as 3/4, `{3 + 4}` as `(3 + 4)`.

Braces behind a command or a sign that is not known belong to it: `\binom{4}{2}` and `2^{3}` are unreadable as a whole.
"""

from dataclasses import dataclass, field
from fractions import Fraction

from domain_tokens.evaluation.equations.lexemes import (
    BRACE,
    CLOSE,
    END_BRACE,
    EXACT,
    FRAC,
    NUMBER,
    OPEN,
    OVER,
    SIGNS,
    STOP,
    UNREADABLE,
    Lexeme,
)

_ARITHMETIC = (NUMBER, OPEN, CLOSE, *SIGNS)


def without_latex(lexemes: list[Lexeme]) -> list[Lexeme]:
    """Return lexemes in which fractions and groups are numbers, signs and brackets; other braces are left out."""
    if not any(one.kind in (FRAC, BRACE) for one in lexemes):
        return [one for one in lexemes if one.kind is not END_BRACE]
    reader = _Reader()
    for lexeme in lexemes:
        reader.add(lexeme)
    return reader.end()


@dataclass
class _Open:
    """A fraction or a brace that is not closed yet.

    Attributes:
        lexeme: what opened it.
        index: of its place among the lexemes found.
        is_fraction, swallows: whether it is a fraction, or a group that belongs to what is before it.
        is_arithmetic, stops: what was found in it.
        middle: of a fraction, where its denominator begins among the lexemes found.
    """

    lexeme: Lexeme
    index: int
    is_fraction: bool = False
    swallows: bool = False
    is_arithmetic: bool = True
    stops: bool = False
    middle: int = 0


@dataclass
class _Reader:
    """Reads lexemes one by one, without recursion: a text may open a brace at every character."""

    found: list[Lexeme | None] = field(default_factory=list)
    opened: list[_Open] = field(default_factory=list)

    def add(self, lexeme: Lexeme) -> None:
        """Read one lexeme."""
        if lexeme.kind is END_BRACE:
            self._close(lexeme)
            return
        if self._expects_operand() and lexeme.kind not in (BRACE, NUMBER):
            self._give_up()
        if lexeme.kind is FRAC:
            self._open(_Open(lexeme, len(self.found), is_fraction=True))
        elif lexeme.kind is BRACE:
            last = self.found[-1] if self.found else None
            swallows = last is not None and last.kind is UNREADABLE and last.end == lexeme.start
            self._open(_Open(lexeme, len(self.found), swallows=swallows))
        elif self._expects_operand():
            self._add_bare(lexeme)
        else:
            self.found.append(lexeme)
            if self.opened and lexeme.kind not in _ARITHMETIC:
                self.opened[-1].is_arithmetic = False
                self.opened[-1].stops |= lexeme.kind is STOP

    def end(self) -> list[Lexeme]:
        """Return what was read; what is still open means nothing."""
        while self.opened:
            if self.opened[-1].is_fraction:
                self._give_up()
            else:
                self._merge(self.opened.pop())
        return [one for one in self.found if one is not None]

    def _open(self, opened: _Open) -> None:
        self.found.append(None)
        self.opened.append(opened)

    def _expects_operand(self) -> bool:
        return bool(self.opened) and self.opened[-1].is_fraction

    def _close(self, lexeme: Lexeme) -> None:
        """Close a group: an operand of a fraction, a part of what is before it, or brackets."""
        if not self.opened or self._expects_operand():
            return  # a brace that nothing opened
        group = self.opened.pop()
        inside = len(self.found) - group.index - 1
        if self._expects_operand():
            self.opened[-1].is_arithmetic &= group.is_arithmetic and inside > 0
            self._operand(group.index, lexeme.end)
            return
        if group.swallows and not group.stops:
            before = self.found[group.index - 1]
            assert before is not None
            self.found[group.index - 1] = before._replace(end=lexeme.end)
            del self.found[group.index :]
        elif group.is_arithmetic and inside > 1:
            self.found[group.index] = Lexeme(OPEN, group.lexeme.start, group.lexeme.end)
            self.found.append(Lexeme(CLOSE, lexeme.start, lexeme.end))
        self._merge(group)

    def _merge(self, closed: _Open) -> None:
        """Tell what is around a group what was found in it."""
        if self.opened:
            self.opened[-1].is_arithmetic &= closed.is_arithmetic and not closed.swallows
            self.opened[-1].stops |= closed.stops

    def _add_bare(self, number: Lexeme) -> None:
        r"""Add an operand of a fraction that has no braces; two digits are both operands: `\frac34`."""
        fraction, index = self.opened[-1], len(self.found)
        if not fraction.middle and number.end - number.start == 2 and not number.decimals:
            tens, ones = divmod(int(number.value), 10)
            self.found += [None, number._replace(value=Fraction(tens))]
            self._operand(index, number.end)
            self.found += [None, number._replace(value=Fraction(ones))]
            self._operand(index + 2, number.end)
            return
        self.found += [None, number]
        self._operand(index, number.end)

    def _operand(self, index: int, end: int) -> None:
        """Take what was found from an index on as the next operand of the innermost fraction."""
        fraction = self.opened[-1]
        if not fraction.middle:
            fraction.middle = len(self.found)
            return
        self.opened.pop()
        upper, lower = self.found[fraction.index + 2 : index], self.found[index + 1 :]
        if not fraction.is_arithmetic:
            self._make_unreadable(fraction, end)
        elif len(upper) == len(lower) == 1 and upper[0] is not None and lower[0] is not None:
            del self.found[fraction.index :]
            self.found += _simple(
                upper[0]._replace(start=fraction.lexeme.start), lower[0]._replace(end=end), self.found
            )
        else:
            # Each `None` that an operand began with makes room for a bracket.
            start = fraction.lexeme.start
            self.found[fraction.index : fraction.index + 2] = [Lexeme(OPEN, start, start)] * 2
            middle = Lexeme(CLOSE, end, end), Lexeme(OVER, end, end), Lexeme(OPEN, end, end)
            self.found[index : index + 1] = middle
            self.found += [Lexeme(CLOSE, end, end)] * 2
        self._merge(fraction)

    def _make_unreadable(self, fraction: _Open, end: int) -> None:
        del self.found[fraction.index :]
        self.found.append(Lexeme(UNREADABLE, fraction.lexeme.start, end))

    def _give_up(self) -> None:
        """Leave a fraction without two operands unreadable."""
        fraction = self.opened.pop()
        fraction.is_arithmetic = False
        self.found[fraction.index] = Lexeme(UNREADABLE, fraction.lexeme.start, fraction.lexeme.end)
        self._merge(fraction)


def _simple(upper: Lexeme, lower: Lexeme, found: list[Lexeme | None]) -> list[Lexeme]:
    """Return a fraction of two numbers; a proper one behind a whole number is one number with it, taken from found."""
    over = Lexeme(OVER, upper.end, upper.end + 1)
    glued = [upper, over, lower._replace(start=over.end)]  # as 3/4, which has no spaces
    before = found[-1] if found else None
    if before is None or before.kind not in (NUMBER, OVER, CLOSE):
        return glued
    if before.kind is NUMBER and not (before.decimals or before.pair) and 0 < upper.value < lower.value:
        found.pop()
        return [before._replace(end=lower.end, value=before.value + upper.value / lower.value, decimals=EXACT)]
    return [Lexeme(OPEN, upper.start, upper.start), *glued, Lexeme(CLOSE, lower.end, lower.end)]
