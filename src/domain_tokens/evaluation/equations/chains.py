"""Arithmetic in prose: the chains of equations in a text, such as `2*3*4 = 6*4 = 24`.

Reads what language models write: units between numbers (`5 hours * $3/hour = $15`), words for signs, brackets,
percentages, markup. What is not certainly arithmetic on numbers (`x + 5`, `2:30`, `3 more than 5`, `2^3`) makes the
part in which it stands unreadable, so that no wrong equation is invented. Takes time linear in the length of the text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from domain_tokens.evaluation.equations.expressions import SIGNS, Expression, Lexeme, read_expression
from domain_tokens.evaluation.equations.words import without_words

_MAX_DIGITS = 30
_NUMBER_FOLLOWS = r"(?=[\s$]*+[\d.(])"
# Every alternative takes one pass and what one has looked at in vain is looked at once more, by the next.
_LEXEMES = re.compile(
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


@dataclass(frozen=True)
class Part:
    """What stands between two equals signs.

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
        self._entries = entries
        spelled = "|".join(re.escape(entry) for entry in sorted(entries, key=len, reverse=True))
        self._entry = re.compile(rf"(?:{spelled})(?!\d|[.,:]\d|\s?\\?[%％]|\()") if entries else None
        self._products = {pair for spelling, pair in entries.items() if "*" in spelling}

    def chains(self, text: str) -> Iterator[list[Part]]:
        """Yield the chains of a text in order, each a list of at least one part."""
        run: list[Lexeme] = []
        end = Lexeme("stop", len(text), len(text))
        lexemes = _without_lone_brackets(without_words(text, list(self._lexemes(text))))
        for lexeme, after in pairwise([*lexemes, end, end]):
            if run and _is_another_number(run[-1], lexeme, after):
                yield list(self._parts(run))
                run = []
            if lexeme.kind != "stop":
                run.append(lexeme)
            elif run:
                yield list(self._parts(run))
                run = []

    def _lexemes(self, text: str) -> Iterator[Lexeme]:
        position, before = 0, "stop"
        while position < len(text):
            entry = self._entry.match(text, position) if self._entry and text[position].isdigit() else None
            if entry and before not in ("times", "over", "unreadable") and not text.endswith(_DASHES, 0, position):
                value = Fraction(entry.group().partition("=")[2])
                yield Lexeme("number", position, entry.end(), value, pair=self._entries[entry.group()])
                position, before = entry.end(), "number"
                continue
            match = _LEXEMES.match(text, position)
            assert match is not None
            kind = "number" if match["number"] else str(match.lastgroup)
            start, position = match.span()
            if kind == "skip" or kind == before == "stop":
                continue
            before = "unreadable" if kind == "name" or len(match["number"] or "") > _MAX_DIGITS else kind
            if before == "number":
                digits = match["number"].replace(",", "")
                decimals = len(digits.partition(".")[2])
                yield Lexeme(before, start, position, Fraction(digits), decimals, bool(match["percent"]))
            else:
                yield Lexeme(before, start, position)

    def _parts(self, run: list[Lexeme]) -> Iterator[Part]:
        begin = 0
        for place, lexeme in enumerate([*run, Lexeme("equals", run[-1].end, run[-1].end)]):
            if lexeme.kind in ("equals", "is"):
                lexemes = _with_fractions(self._with_products(run[begin:place]))
                start, end = (lexemes[0].start, lexemes[-1].end) if lexemes else (lexeme.start, lexeme.start)
                entries = tuple(one for one in lexemes if one.pair is not None)
                equals_end = lexeme.end if place < len(run) else None
                yield Part(start, end, read_expression(lexemes), entries, equals_end, lexeme.kind == "is")
                begin = place + 1

    def _with_products(self, lexemes: list[Lexeme]) -> list[Lexeme]:
        """Return a part in which each product of the table that is a term of a sum is an entry: `5 + 6*9`.

        In `6*9 + 5` it is one already, since the tokenizer writes a token there.
        """
        found: list[Lexeme] = []
        place = 0
        while place < len(lexemes):
            window = lexemes[place : place + 3]
            before = found[-1].kind if found else "open"
            after = lexemes[place + 3].kind if place + 3 < len(lexemes) else "close"
            is_signed = before == "minus" and (len(found) < 2 or found[-2].kind not in ("number", "close"))
            pair = None
            if (
                len(lexemes) > len(window) == 3
                and [one.kind for one in window] == ["number", "times", "number"]
                and not any(one.percent or one.pair for one in window)
                and before in ("plus", "minus", "open")
                and after in ("plus", "minus", "close")
                and not is_signed
            ):
                pair = pair_in(self._products, window[0].value, window[2].value)
            if pair is None:
                found.append(lexemes[place])
                place += 1
            else:
                value = window[0].value * window[2].value
                found.append(Lexeme("number", window[0].start, window[2].end, value, pair=pair))
                place += 3
        return found


def pair_in(pairs: set[tuple[int, int]], first: Fraction, second: Fraction) -> tuple[int, int] | None:
    """Return the pair of a table that two operands are, in either order; `None` if they are not in it."""
    if first.denominator != 1 or second.denominator != 1:
        return None
    a, b = sorted((int(first), int(second)))
    return (a, b) if (a, b) in pairs else None


def _is_another_number(before: Lexeme, lexeme: Lexeme, after: Lexeme) -> bool:
    """Return whether a number behind a number begins something new: `= 15 20+3`, but not 1 1/2 and not 5 000."""
    if (before.kind, lexeme.kind) != ("number", "number") or before.end == lexeme.start:
        return False
    return after.kind != "over" and lexeme.end - lexeme.start != 3


def _without_lone_brackets(lexemes: list[Lexeme]) -> list[Lexeme]:
    """Return lexemes with brackets that are not arithmetic as ends: `(6 + 2 = 8)`, `a)`, `15 (in all)`."""
    found = list(lexemes)
    opened: list[int] = []
    for place, lexeme in enumerate(lexemes):
        before = found[place - 1] if place else lexeme
        if lexeme.kind == "open":
            if before.kind in ("number", "close") and before.end < lexeme.start:
                found[place] = lexeme._replace(kind="stop")
            opened.append(place)
        elif lexeme.kind == "close" and opened:
            found[place] = lexeme._replace(kind="close" if found[opened.pop()].kind == "open" else "stop")
        elif lexeme.kind in ("close", "equals", "is", "stop"):
            for lone in (*opened, *([place] if lexeme.kind == "close" else [])):
                found[lone] = found[lone]._replace(kind="stop")
            opened = []
        elif lexeme.kind in SIGNS and before.kind == "stop" and lexemes[place - 1].kind == "close":
            found[place] = lexeme._replace(kind="unreadable")  # (12*8=96)+5
    for lone in opened:
        found[lone] = found[lone]._replace(kind="stop")
    return found


def _with_fractions(lexemes: list[Lexeme]) -> list[Lexeme]:
    """Return lexemes with brackets around a fraction that something is divided by: `60 / 3/4`."""
    found: list[Lexeme] = []
    closes = -1
    for place, lexeme in enumerate(lexemes):
        found.append(lexeme)
        if place == closes:
            found.append(Lexeme("close", lexeme.end, lexeme.end))
        kinds = [one.kind for one in lexemes[place : place + 4]]
        if kinds == ["over", "number", "over", "number"] and lexeme.end < lexemes[place + 1].start:
            upper, over, lower = lexemes[place + 1 : place + 4]
            if upper.end == over.start and over.end == lower.start:
                found.append(Lexeme("open", upper.start, upper.start))
                closes = place + 3
    return found
