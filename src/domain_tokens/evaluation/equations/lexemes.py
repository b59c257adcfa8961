"""The lexemes of arithmetic in prose: numbers, signs, brackets, equals signs, words, and what is none of them."""

import re
from collections.abc import Iterator
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

_MAX_DIGITS = 30
_NUMBER_FOLLOWS = r"(?=[\s$]*+[\d.(])"
# Every alternative takes one pass, and what one has read in vain is read once more, by the next.
_PATTERN = re.compile(
    rf"""
      (?P<skip> [ \t\u00a0\u2009\u202f$€£¥₹{{}}~]+ | \\[$()\[\],;!] | \\?\bboxed\b
              | (?<![\d)])\*\* | \*\*(?![\d(.]) )
    | (?P<unreadable> (?<=\d)[,.:'’](?=\d) | \*\* | [\^²³√!±∑½⅓⅔¼¾] | (?<=[^\W\d_])[-‐‑](?=\d)
              | [0-9]++(?:st|nd|rd|th)\b )
    | (?P<number> (?:[0-9]{{1,3}}(?:,[0-9]{{3}})+(?![0-9]) | [0-9]++)(?:\.[0-9]++)? | \.[0-9]++ )
      (?P<percent> [ ]?\\?[%％] )?
    | (?P<times> [*×·⋅∗∙] | \\times\b | \\cdot\b | [xX]{_NUMBER_FOLLOWS}
              | (?i:times|multiplied\ by)\b{_NUMBER_FOLLOWS} )
    | (?P<over> //? | [÷∕⁄] | \\div\b | (?i:divided\ by)\b{_NUMBER_FOLLOWS} )
    | (?P<plus> [+＋] | (?i:plus)\b{_NUMBER_FOLLOWS} )
    | (?P<minus> [-−–‐‑] | (?i:minus)\b{_NUMBER_FOLLOWS} )
    | (?P<share> of\b{_NUMBER_FOLLOWS} )
    | (?P<equals> =++(?![>=]) | [≈＝] )
    | (?P<is> (?i:is\ equal\ to|equals|equal\ to|is|are|makes|gives)\b{_NUMBER_FOLLOWS} )
    | (?P<open> [(\[] )
    | (?P<close> [)\]] )
    | (?P<word> [^\W\d_]++(?:-[^\W\d_]++){{0,3}}+(?:['’](?:s|t|ll|re|ve|d|m)\b)?+(?![\w\\]) )
    | (?P<name> \\[A-Za-z]+ | \w+ )
    | (?P<stop> \n++ | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_DASHES = ("-", "−", "–")


class Kind(StrEnum):
    """What a lexeme is. `STOP` ends a chain; `UNREADABLE` makes the part in which it is unreadable."""

    NUMBER = "number"
    TIMES = "times"
    OVER = "over"
    PLUS = "plus"
    MINUS = "minus"
    SHARE = "share"  # the `of` of 20% of 50
    EQUALS = "equals"
    IS = "is"  # an equals sign in words
    OPEN = "open"
    CLOSE = "close"
    WORD = "word"
    UNREADABLE = "unreadable"
    STOP = "stop"


# Each member by its own name: `Kind.NUMBER` takes 90 ns in Python 3.11, and an answer is read by thousands of them.
NUMBER, TIMES, OVER, PLUS, MINUS, SHARE, EQUALS, IS, OPEN, CLOSE, WORD, UNREADABLE, STOP = Kind
SIGNS = {TIMES: "*", OVER: "/", PLUS: "+", MINUS: "-"}
EQUALITY = (EQUALS, IS)
# By the names of the pattern's groups; what is skipped is no lexeme.
_KINDS: dict[str | None, Kind | None] = {kind.value: kind for kind in Kind}
_KINDS |= {"skip": None, "name": UNREADABLE, "percent": NUMBER}


class Lexeme(NamedTuple):
    """A number, a sign (see `SIGNS`), a bracket, an equals sign, or something that is none of them.

    A number is written with so many `decimals`. `pair` is set for an entry of a table: `6*9=54` is the number 54 and a
    statement of its own.
    """

    kind: Kind
    start: int
    end: int
    value: Fraction = Fraction(0)
    decimals: int = 0
    percent: bool = False
    pair: tuple[int, int] | None = None


class Lexer:
    """Cuts texts into lexemes.

    Args:
        entries (`dict[str, tuple[int, int]]`): how the entries of a table are spelled, and their operands.
    """

    def __init__(self, entries: dict[str, tuple[int, int]]) -> None:
        self._entries = entries
        spelled = "|".join(re.escape(entry) for entry in sorted(entries, key=len, reverse=True))
        self._entry = re.compile(rf"(?:{spelled})(?!\d|[.,:]\d|\s?\\?[%％]|\()") if entries else None

    def lexemes(self, text: str) -> Iterator[Lexeme]:
        """Yield the lexemes of a text in order; of several stops in a row the first."""
        position, before = 0, STOP
        while position < len(text):
            entry = self._entry.match(text, position) if self._entry and text[position].isdigit() else None
            is_operand = before in (TIMES, OVER, UNREADABLE)
            if entry and not is_operand and not text.endswith(_DASHES, 0, position):
                value = Fraction(entry.group().partition("=")[2])
                yield Lexeme(NUMBER, position, entry.end(), value, pair=self._entries[entry.group()])
                position, before = entry.end(), NUMBER
                continue
            match = _PATTERN.match(text, position)
            assert match is not None
            kind = _KINDS[match.lastgroup]
            start, position = match.span()
            if kind is None or kind is before is STOP:
                continue
            before = UNREADABLE if kind is NUMBER and len(match["number"]) > _MAX_DIGITS else kind
            if before is NUMBER:
                digits = match["number"].replace(",", "")
                decimals = len(digits.partition(".")[2])
                yield Lexeme(before, start, position, Fraction(digits), decimals, bool(match["percent"]))
            else:
                yield Lexeme(before, start, position)


class Cursor:
    """A position in a list of lexemes that moves from the first to behind the last.

    Example:
    ```python
    while cursor:
        if cursor.kinds(3) == [NUMBER, TIMES, NUMBER]:
            first, _, second = cursor.take(3)
    ```
    """

    def __init__(self, lexemes: list[Lexeme]) -> None:
        self._lexemes = lexemes
        self._index = 0

    def __bool__(self) -> bool:
        return self._index < len(self._lexemes)

    def peek(self, count: int = 1) -> list[Lexeme]:
        """Return the next lexemes, fewer at the end."""
        return self._lexemes[self._index : self._index + count]

    def kinds(self, count: int) -> list[Kind]:
        """Return the kinds of the next lexemes, fewer at the end."""
        return [lexeme.kind for lexeme in self.peek(count)]

    def take(self, count: int = 1) -> list[Lexeme]:
        """Return the next lexemes and move behind them."""
        taken = self.peek(count)
        self._index += count
        return taken

    def take_while(self, *kinds: Kind) -> list[Lexeme]:
        """Return the next lexemes as long as they are of these kinds, and move behind them."""
        start = self._index
        while self and self._lexemes[self._index].kind in kinds:
            self._index += 1
        return self._lexemes[start : self._index]
