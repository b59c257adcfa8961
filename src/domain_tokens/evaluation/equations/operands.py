"""Where the operands of an equation come from: the numbers of the question, and what earlier steps arrived at.

Rules for the question, read as its text in every condition:

- a numeral counts as its value, with commas, decimals and signs of currency;
- a percentage counts as the number, as hundredths, and as 100 and 1/100, by which it is turned into one;
- a fraction counts as its value, its numerator and its denominator: `3/4`, `½`, `three quarters`, `half`;
- `2 1/2` and `two and a half` count as one number too;
- number words count up to the millions, and so do `twice`, `triple`, `dozen`, `pair` and their like;
- a unit of time or length counts as how many of the next smaller unit it has: `week` as 7, `year` as 12, 52 and 365.

The sign of a number is ignored: a difference may be taken either way.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from num2words import num2words

_NUMERAL = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
_PIECE = re.compile(
    rf"(?P<numeral>{_NUMERAL}) | (?P<percent>[%％]|per\ ?cent\b) | (?P<vulgar>[¼-¾⅐-⅞]) | (?P<slash>[/⁄])"
    r"| (?P<word>[^\W\d_]+) | (?P<other>[^\s-])",
    re.VERBOSE | re.IGNORECASE,
)
_MAX_DIGITS = 30
_WORDS = {num2words(number): number for number in (*range(20), *range(20, 100, 10))}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "dozen": 12}
_SCALES |= {f"{word}s": scale for word, scale in _SCALES.items()}
_MULTIPLES = {
    1: "single once", 2: "twice double doubled doubles doubling pair pairs couple couples both",
    3: "thrice triple tripled triples tripling", 4: "quadruple quadrupled quadruples",
}  # fmt: skip
_COUNTS = {word: number for number, words in _MULTIPLES.items() for word in words.split()}
_PARTS = {num2words(number, to="ordinal"): number for number in (*range(3, 21), 100)}
_PARTS = {"half": 2, "halve": 2, "quarter": 4} | _PARTS
_PARTS |= {f"{word}s": number for word, number in _PARTS.items()} | {"halved": 2, "halves": 2}
_UNITS: dict[str, tuple[int, ...]] = {
    "minute": (60,), "hour": (60,), "day": (24,), "daily": (7,), "week": (7,), "weekly": (7,), "month": (30, 4),
    "monthly": (12,), "year": (12, 52, 365), "yearly": (12,), "annual": (12,), "foot": (12,), "feet": (12,),
    "yard": (3,), "percentage": (100,), "dozen": (12,),
}  # fmt: skip
_UNITS |= {f"{word}s": numbers for word, numbers in _UNITS.items()}


def numbers_of(question: str) -> frozenset[Fraction]:
    """Return the numbers that a question gives, as the rules above read them. Takes time linear in its length."""
    return frozenset(_numbers(list(_pieces(question))))


def come_from(operands: tuple[tuple[Fraction, ...], ...], known: set[Fraction]) -> bool:
    """Return whether every operand is known in one of its readings, its sign aside."""
    return all(any(abs(reading) in known for reading in readings) for readings in operands)


@dataclass(frozen=True)
class _Piece:
    """A piece of a question: its kind, a key of `_PHRASE`, and its number; of a part its denominator."""

    kind: str
    value: Fraction = Fraction(0)
    word: str = ""


# Over the kinds of pieces: N number, P part of a whole, V written fraction, % percent, / slash, & and, a article.
_PHRASE = re.compile(
    r"(?P<whole>N(?=&?(?:N/N|V)|&?NP|&a?P))?(?P<and>&)?(?:(?P<slashed>N/N)|(?P<part>[Na]?P)|(?P<vulgar>V))"
    r"|(?P<percent>N%)|(?P<number>N)"
)


def _pieces(question: str) -> Iterator[_Piece]:
    for match in _PIECE.finditer(question):
        text = match.group().lower()
        if match["numeral"]:
            value = Fraction(match["numeral"].replace(",", "")) if len(text) <= _MAX_DIGITS else Fraction(0)
            yield _Piece("N", value)
        elif match["percent"]:
            yield _Piece("%")
        elif match["vulgar"]:
            yield _Piece("V", Fraction(unicodedata.numeric(text)).limit_denominator(10))
        elif text in _WORDS or text in _COUNTS:
            yield _Piece("W", Fraction(_WORDS[text] if text in _WORDS else _COUNTS[text]))
        elif text in _SCALES:
            yield _Piece("S", Fraction(_SCALES[text]), text)
        elif text in _PARTS:
            yield _Piece("P", Fraction(_PARTS[text]))
        else:
            yield _Piece({"and": "&", "a": "a", "an": "a", "/": "/", "⁄": "/"}.get(text, "."), word=text)


def _with_spelled(pieces: list[_Piece]) -> Iterator[_Piece]:
    """Yield pieces in which the words of one number are one piece: two hundred and five, 3 million, two dozen."""
    total, last = Fraction(0), None  # of a number that may go on: its thousands, and what is behind them
    in_words = False
    for piece, after in pairwise([*pieces, _Piece("."), _Piece(".")]):
        room = in_words and last is not None and (last % 100 == 0 or (last % 10 == 0 and last % 100 > 10))
        if last is not None and piece.kind == "S":
            if piece.word.startswith("dozen"):
                yield _Piece("N", total + last)
            total, last = (total, last * 100) if piece.value == 100 else (total + last * piece.value, Fraction(0))
            in_words = True
        elif last is not None and room and piece.kind == "W" and (last % 100 == 0 or piece.value < 10):
            last += piece.value
        elif not (room and piece.kind == "&" and after.kind == "W"):
            if last is not None:
                yield _Piece("N", total + last)
            total, last = Fraction(0), piece.value if piece.kind in ("N", "W", "S") else None
            in_words = piece.kind == "W"
            if last is None:
                yield piece


def _numbers(pieces: list[_Piece]) -> Iterator[Fraction]:
    """Yield the numbers of pieces: those that several spell together in place of each one's."""
    for piece in pieces:
        yield from map(Fraction, _UNITS.get(piece.word, ()))
    merged = list(_with_spelled(pieces))
    for match in _PHRASE.finditer("".join(piece.kind for piece in merged)):
        found = merged[slice(*match.span(match.lastgroup or 0))]
        first, last = found[0].value, found[-1].value
        if match["number"]:
            yield first
        elif match["percent"]:
            yield from (first, first / 100, Fraction(100), Fraction(1, 100))
        else:
            upper = first if found[0].kind == "N" else Fraction(1)
            part = last if match["vulgar"] else upper / last if last else upper
            yield from (part, Fraction(part.numerator), Fraction(part.denominator), upper, last)
            if match["whole"]:
                yield from (merged[match.start()].value, merged[match.start()].value + part)
            elif match["and"]:
                yield 1 + part  # an hour and a half
