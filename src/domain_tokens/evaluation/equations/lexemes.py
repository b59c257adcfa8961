"""The lexemes of arithmetic in prose: numbers, signs, brackets, equals signs, words, and what is none of them."""

import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from num2words import num2words

from domain_tokens.evaluation.equations.units import CENT, DOLLAR

_MAX_DIGITS = 30
ONE, HUNDREDTH = Fraction(1), Fraction(1, 100)
NUMBER_WORDS = {num2words(number): number for number in range(100)}
_SPELLED = "|".join(word for word in NUMBER_WORDS if "-" not in word)
_NUMBER_FOLLOWS = r"(?=[\s$]*+[\d.(½⅓⅔¼¾])"
_OPERAND_FOLLOWS = rf"(?=[\s$}}]*+(?:[-−–]?[\d.(½⅓⅔¼¾]|(?i:{_SPELLED})\b))"
_SEPARATOR = r"(?:[,_'’\u00a0\u2009\u202f]|\{,\}|\\,)"
_VULGAR = "[¼-¾⅐-⅞]"
# Not the remainder of `10 % 3`.
_PERCENT = r"(?:\\?[%％﹪](?!\d)|[ ]\\?[%％﹪](?![ ]?\d)|[ -]?(?i:per[ ]?cent|pct)\b)"
# Two stars are a power between operands, and bold type elsewhere.
_POWER = (
    r"(?:(?<=[\d)])\*\*(?=[\d(.])|(?<!\*\d)(?<!\*\d\d)(?<=[\d)])\*\*(?=-\d)"
    r"|(?<=[A-Za-z_\]])\*\*(?=\d)|(?<=[\w)\]][ ])\*\*(?=[ ][\w(.-]))"
)
_DATE = r"(?:[0-9]{1,2}/[0-9]{1,2}/(?:19|20)[0-9]{2}|(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9])"
_ELLIPSIS = r"(?:\.{2,}|…)"
# Commands of LaTeX that change nothing in the numbers around them, and those that end a statement.
_LAYOUT = (
    r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle|textstyle|q?quad|boxed|mbox|text(?:bf|it|rm|tt)?"
    r"|math(?:rm|bf|it|sf|tt)|operatorname|underline)(?![A-Za-z])"
)
_ENDS_STATEMENT = (
    r"\\(?:begin|end)\{[A-Za-z]+\*?\}"
    r"|\\(?:(?:[lL]ong)?[rR]ightarrow|implies|iff|to|therefore|because|newline|item|hline|par)(?![A-Za-z])"
)
# The period of an abbreviation before a sign: `5 ft. * 3 = 15`.
_PERIOD = (
    r"\.(?:(?<=(?:hr|ft|in|yd|mi|lb|oz|qt|pt|wk|mo|yr|sq|cu|ea|pc)\.)|(?<=(?:hrs|min|sec|yds|lbs|ozs|gal|doz|wks|yrs|pcs)\.))"
    r"(?=[ ]*(?:[-−–+*/×÷·=)\\]|(?:[xX]|plus|minus|times|multiplied|divided|equals)\b))"
)
# What begins with a letter and what does not are two patterns, since prose is words for the most part.
_LETTERS = re.compile(
    rf"""
    (?:
      (?P<skip> boxed\b )
    | (?P<times> [xX]{_NUMBER_FOLLOWS} | (?i:times|multiplied\ by)\b{_OPERAND_FOLLOWS} )
    | (?P<over> (?i:divided\ by)\b{_OPERAND_FOLLOWS} )
    | (?P<plus> (?i:plus)\b{_OPERAND_FOLLOWS} )
    | (?P<minus> (?i:minus)\b{_OPERAND_FOLLOWS} )
    | (?P<share> of\b{_OPERAND_FOLLOWS} )
    | (?P<is> (?i:is\ equal\ to|equals|equal\ to|is|are|makes|gives)\b{_OPERAND_FOLLOWS} )
    | (?P<word> [^\W\d_]++(?:-[^\W\d_]++){{0,3}}+(?:['’](?:s|t|ll|re|ve|d|m)\b)?+(?![\w\\]) )
    | (?P<name> \w+ )
    )[ ]*+
    """,
    re.VERBOSE,
)
_OTHERS = re.compile(
    rf"""
    (?:
      (?P<skip> [ \t\u00a0\u2009\u202f\u200b\ufe0f$€£¥₹¢°~]+ | (?<!\\)\\[$()\[\],;:!\ ] | {_LAYOUT}
              | (?<==)["`“](?=[\d$]) | (?<==[ ])["`“](?=[\d$])
              | </?(?:b|i|u|em|strong|mark|span)> | (?<!\w)_{{1,2}}(?=[\d(]) | (?<=[\d)])_{{1,2}}(?!\w)
              | (?=\*\*)(?!{_POWER})\*\* | {_PERIOD} | &(?=[ ]*(?:=|\\approx)) | (?<==)&
              | (?<==){_ELLIPSIS}[ ]*=? | (?<==[ ]){_ELLIPSIS}[ ]*=? )
    | (?P<unreadable> (?<=\d)[,.:'’](?=\d) | \*\* | [\^²³√±∑] | (?<=[^\W\d_])[-‐‑](?=\d)
              | !(?==) | (?<=[\d)\]])!(?=[ ]*[-−–+*/×÷·=^)]) | (?<=\b[A-Za-z])!
              | (?<=[\w)\]])%(?=[\d(]) | (?<=[\w)\]][ ])%(?=[ ][\d(]) | (?<=[\d)\]][ ])%(?=[\d(])
              | (?<=\d[ ])(?:<<|>>)(?=[ ]\d) | (?<![\w./-]){_DATE}(?![\w/-])
              | [0-9]++(?:st|nd|rd|th)\b | (?<![\w.])0[xX][0-9A-Fa-f]{{2,}}+\b )
    | (?P<number> (?:[0-9]{{1,3}}(?:{_SEPARATOR}[0-9]{{3}})+(?![0-9]) | [0-9]++)
                  (?:\.[0-9]++(?:\.{{3}}|…)?)?+ (?:[eE][-+]?(?:[0-2]?[0-9]|30)(?![\w.]))?+ (?:[ ]?{_VULGAR})?+
              | (?<![^\W\d_xX])(?<![.…])\.[0-9]++ | {_VULGAR} )
      (?: (?P<percent> {_PERCENT} ) | (?P<cents> [ ]?¢ ) )?
    | (?P<times> [*×·⋅∗∙＊✕✖⨯] | &times; | (?<=[\d)])•(?=[\d(])
              | \\(?:times|cdot|ast)(?![A-Za-z]) )
    | (?P<over> //? | &divide; | [÷∕⁄／➗] | \\div(?![A-Za-z]) )
    | (?P<plus> [+＋➕] )
    | (?P<minus> [-−–‐‑‒－﹣➖] )
    | (?P<equals> =++(?![>=]) | [≈＝] | \\approx(?![A-Za-z]) )
    | (?P<open> [(\[] | \\\{{ )
    | (?P<close> [)\]] | \\\}} )
    | (?P<frac> \\[dtc]?frac(?![A-Za-z]) )
    | (?P<brace> \{{ )
    | (?P<end_brace> \}} )
    | (?P<stop> {_ENDS_STATEMENT} | \n++ )
    | (?P<name> \\[A-Za-z]+ | \w+ )
    | (?P<other> . )
    )[ ]*+
    """,
    re.VERBOSE | re.DOTALL,
)
_NAME = re.compile("[A-Za-wyz_]")
_SEPARATORS = re.compile(_SEPARATOR)
EXACT = 1000  # decimals
_DASHES = ("-", "−", "–")


class Kind(StrEnum):
    """What a lexeme is. `STOP` ends a chain; `UNREADABLE` makes the part in which it is unreadable."""

    NUMBER = "number"
    TIMES = "times"
    OVER = "over"
    PLUS = "plus"
    MINUS = "minus"
    DASH = "dash"  # a minus or the mark of a list
    SHARE = "share"  # the `of` of 20% of 50
    EQUALS = "equals"
    IS = "is"  # an equals sign in words
    OPEN = "open"
    CLOSE = "close"
    FRAC = "frac"  # `\\frac`, whose operands are in braces
    BRACE = "brace"
    END_BRACE = "end_brace"
    WORD = "word"
    UNREADABLE = "unreadable"
    STOP = "stop"


# Each member by its own name: `Kind.NUMBER` takes 90 ns in Python 3.11, and an answer is read by thousands of them.
(
    NUMBER,
    TIMES,
    OVER,
    PLUS,
    MINUS,
    DASH,
    SHARE,
    EQUALS,
    IS,
    OPEN,
    CLOSE,
    FRAC,
    BRACE,
    END_BRACE,
    WORD,
    UNREADABLE,
    STOP,
) = Kind
SIGNS = {TIMES: "*", OVER: "/", PLUS: "+", MINUS: "-"}
EQUALITY = (EQUALS, IS)
# By the names of the pattern's groups; what is skipped is no lexeme.
_KINDS: dict[str | None, Kind | None] = {kind.value: kind for kind in Kind}
_KINDS |= {"skip": None, "name": UNREADABLE, "percent": NUMBER, "cents": NUMBER, "other": STOP}


class Lexeme(NamedTuple):
    """A number, a sign (see `SIGNS`), a bracket, an equals sign, or something that is none of them.

    Attributes:
        kind, start, end: what it is, and its span in the text.
        value: of a number.
        decimals: with how many a number is written; a fraction is written exactly, with `EXACT`.
        scale: what a number may be multiplied by: 1/100 for a percentage and for cents, a million for `3 million`.
        pair: set for an entry of a table: `6*9=54` is the number 54 and a statement of its own.
        unit: the unit behind a number, where another one makes a sum doubtful: `1 foot + 3 inches`.
        doubtful: whether its part of a chain may be no arithmetic, so that it is read only where it holds.
        rest: what is left if its beginning is something else: 1/2*10 in `= 15 1/2*10 = 5`.
        is_named: whether it counts something that is named behind it: 2 adults.
        is_label: whether it may number what follows a minus behind it: `Day 2 - 10 + 3 = 13`.
        is_word: whether a sign is the word `of`.
    """

    kind: Kind
    start: int
    end: int
    value: Fraction = Fraction(0)
    decimals: int = 0
    scale: Fraction = ONE
    pair: tuple[int, int] | None = None
    unit: str = ""
    doubtful: bool = False
    rest: "tuple[Lexeme, ...]" = ()
    is_word: bool = False
    is_label: bool = False
    is_named: bool = False

    @property
    def percent(self) -> bool:
        """Whether a number is a percentage."""
        return self.scale == HUNDREDTH and self.unit != CENT

    @property
    def readings(self) -> tuple[Fraction, ...]:
        """What a number can be: 20% is 20 and 1/5, and so are 20 cents."""
        return (self.value,) if self.scale == 1 else (self.value, self.value * self.scale)


class Lexer:
    """Cuts texts into lexemes.

    Args:
        entries (`dict[str, tuple[int, int]]`): how the entries of a table are spelled, and their operands.
    """

    def __init__(self, entries: dict[str, tuple[int, int]]) -> None:
        self._entries = entries
        spelled = "|".join(re.escape(entry) for entry in sorted(entries, key=len, reverse=True))
        no_number = rf"(?!\d|[.,:'’_]\d|{_PERCENT}|[eE][-+]?\d|[ ]?{_VULGAR}|\()"
        self._entry = re.compile(f"(?:{spelled}){no_number}") if entries else None

    def lexemes(self, text: str) -> Iterator[Lexeme]:
        """Yield the lexemes of a text in order; of several stops in a row the first."""
        position, before = 0, STOP
        while position < len(text):
            character = text[position]
            entry = self._entry.match(text, position) if self._entry and character.isdigit() else None
            is_operand = before in (TIMES, OVER, UNREADABLE)
            if entry and not is_operand and not text.endswith(_DASHES, 0, position):
                value = Fraction(entry.group().partition("=")[2])
                yield Lexeme(NUMBER, position, entry.end(), value, pair=self._entries[entry.group()])
                position, before = entry.end(), NUMBER
                continue
            match = (_LETTERS if character.isalpha() else _OTHERS).match(text, position)
            assert match is not None
            group = match.lastgroup
            kind = _KINDS[group]
            start, position = match.span()
            if kind is None or kind is before is STOP:
                continue
            end = match.end(group or 0)  # the spaces behind it are no part of it, and need no match of their own
            before = UNREADABLE if kind is NUMBER and len(match["number"]) > _MAX_DIGITS else kind
            if before is NUMBER:
                value, decimals = _number(match["number"])
                unit = CENT if group == "cents" else DOLLAR if start and text[start - 1] in "$€£" else ""
                scale = ONE if group == "number" else HUNDREDTH
                # 0900 is a time of day.
                is_doubtful = end - start > 1 and text[start] == "0" and text[start + 1].isdigit()
                yield Lexeme(before, start, end, value, decimals, scale, unit=unit, doubtful=is_doubtful)
            else:
                is_doubtful = end - start > 1 and kind in (EQUALS, OVER) and _may_be_code(text, start, end)
                yield Lexeme(before, start, end, doubtful=is_doubtful)


def _may_be_code(text: str, start: int, end: int) -> bool:
    """Return whether a sign may be one of program code: `//`, and `==` in a line with names or words."""
    if text[start] != "=":
        return text[start] == "/"
    before = text[max(0, start - 100) : start].rpartition("\n")[2]
    return _NAME.search(before + text[end : end + 100].partition("\n")[0]) is not None


@lru_cache(maxsize=10_000)
def _number(numeral: str) -> tuple[Fraction, int]:
    """Return the value of a numeral and its decimals."""
    if numeral.isdecimal():
        return Fraction(int(numeral)), 0
    fraction = Fraction(0)
    if not numeral[-1].isascii() and numeral[-1] != "…":
        fraction = Fraction(unicodedata.numeric(numeral[-1])).limit_denominator(10)
        numeral = numeral[:-1].rstrip() or "0"
    digits = _SEPARATORS.sub("", numeral).rstrip(".…")
    mantissa, _, exponent = digits.lower().partition("e")
    decimals = EXACT if fraction else len(mantissa.partition(".")[2]) - int(exponent or 0)
    return Fraction(digits) + fraction, decimals


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

    def pop(self) -> Lexeme:
        """Return the next lexeme and move behind it."""
        self._index += 1
        return self._lexemes[self._index - 1]

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
