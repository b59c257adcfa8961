"""Text as words, hashed and located, many texts at a time in numpy.

Words are compared without markup, case, accents and punctuation, so that `It's $1,000.` and `its 1000` are the same
two words. White space, dashes, and signs such as `*` and `=` end a word, and so does other punctuation beside a digit
or beside more of it: `3-5` is no 35. A point between two digits stays, so that `1.5` is no `15`.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from domain_tokens.corpora.contamination.scanning import Edits, Points, edits_of, points_of

Hashes = NDArray[np.uint64]

_SEPARATOR, _IGNORED, _DROPPED, _POINT, _COMMA = range(5)
_BMP, _EMOJI = 0x10000, 0x1F000
_MASK = np.uint64(0xD6E8FEB86659FD93)  # what stands for every number
_BASE, _NEXT = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xCA5A826395121157)
_ENDS_A_WORD = "?!;:*/=+<>|\\^~_`\N{EN DASH}\N{EM DASH}\N{HORIZONTAL ELLIPSIS}\N{MULTIPLICATION SIGN}\N{DIVISION SIGN}"
_ENDINGS = np.array([ord(letter) for letter in "sdtm"], dtype=np.uint32)
_UNITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = "hundred thousand million"  # behind which `and` is part of a number
_NUMBER_WORDS = (
    f"zero {' '.join(_UNITS)} ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen "
    f"{' '.join(_TENS)} {' '.join(ten + unit for ten in _TENS for unit in _UNITS)} {_SCALES} half twice "
    "thrice double triple dozen once third quarter"
)


@dataclass(frozen=True)
class Words:
    """The words of some texts, one after another. All arrays have one entry a word.

    Attributes:
        hashes: 64 bits a word.
        masked: the same, with one value for every number or run of numbers, in digits and in words: `$0.50` is as many
            as `0 50`. One entry a word but those behind another number.
        masked_at: the indices of these words.
        is_number: whether it is a number, in digits or in words, or part of one.
        text: the index of its text.
        start, end: where it stands in its text, in characters.
        begins_line: whether it is the first of its line, of a cell of a table, or behind a label such as `Question: `.
        ends: one entry a text: the index behind its last word.
    """

    hashes: Hashes
    masked: Hashes
    masked_at: NDArray[np.int64]
    is_number: NDArray[np.bool_]
    text: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    begins_line: NDArray[np.bool_]
    ends: NDArray[np.int64]


def words_of(texts: Sequence[str]) -> Words:
    """Return the words of some texts, such as 250 kB of them at a time: memory is some 80 bytes a character."""
    sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 1
    offsets = np.cumsum(sizes) - sizes
    joined, places = _plain(texts)
    points = points_of(joined)
    hashes, is_number, start, end = _located(points)
    begins_line = np.zeros(len(start) + 1, dtype=bool)
    begins_line[0] = True
    begins_line[np.searchsorted(start, _breaks(points), side="right")] = True
    start, end = places.start_of(start), places.end_of(end)
    is_number |= np.isin(hashes, _hashes_of(_NUMBER_WORDS))
    ends = np.searchsorted(start, offsets[1:])
    ends = np.append(ends, len(start)) if len(texts) else ends
    text = np.repeat(np.arange(len(texts)), np.diff(ends, prepend=0))
    joins = np.flatnonzero(np.isin(hashes, _hashes_of("and"))[1:-1]) + 1  # one hundred and five
    joins = joins[np.isin(hashes[joins - 1], _hashes_of(_SCALES)) & is_number[joins + 1]]
    is_number[joins[text[joins - 1] == text[joins + 1]]] = True
    follows = is_number[1:] & is_number[:-1] & (text[1:] == text[:-1])
    masked_at = np.flatnonzero(np.concatenate([[True], ~follows])[: len(hashes)])
    return Words(
        hashes=hashes,
        masked=np.where(is_number, _MASK, hashes)[masked_at],
        masked_at=masked_at,
        is_number=is_number,
        text=text,
        start=start - offsets[text],
        end=end - offsets[text],
        begins_line=begins_line[:-1],
        ends=ends,
    )


class _Places:
    """Where the characters of a plain text stand in the original. Arrays have an entry an edit, and one before all."""

    def __init__(self, edits: Edits) -> None:
        sizes = np.fromiter(map(len, edits.plain), dtype=np.int64, count=len(edits.plain))
        sizes, self._start, self._end = (np.append(0, one) for one in (sizes, edits.starts, edits.ends))
        self._plain_end = self._start + np.cumsum(sizes - (self._end - self._start)) + (self._end - self._start)
        self._plain_start = self._plain_end - sizes

    def start_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where characters of the plain text begin in the original."""
        return self._original(places, self._start)

    def end_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where words end in the original that end at some places of the plain text."""
        return self._original(places - 1, self._end - 1) + 1

    def _original(self, places: NDArray[np.int64], inside: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where ascending places of the plain text stand in the original."""
        if len(self._start) == 1:
            return places
        first = np.searchsorted(places, self._plain_start[1:], side="left")  # there are fewer edits than words
        edit = np.cumsum(np.bincount(first, minlength=len(places) + 1)[: len(places)])
        beyond = places - self._plain_end[edit]
        return np.where(beyond < 0, inside[edit], self._end[edit] + beyond)


def _plain(texts: Sequence[str]) -> tuple[str, _Places]:
    """Return texts without their markup, joined by line breaks, and where their characters stand."""
    joined, edits = "\n".join(texts), edits_of(texts)
    if not edits.plain:
        return joined, _Places(edits)
    starts, ends = edits.starts.tolist(), edits.ends.tolist()
    parts = [""] * (2 * len(starts) + 1)
    parts[::2] = [joined[end:start] for end, start in zip([0, *ends], [*starts, len(joined)], strict=True)]
    parts[1::2] = edits.plain
    return "".join(parts), _Places(edits)


def grams(hashes: Hashes, text: NDArray[np.int64], length: int) -> tuple[Hashes, NDArray[np.int64]]:
    """Return the hash of every run of `length` words within one text, and the index of the run's first word."""
    number = len(hashes) - length + 1
    if number <= 0:
        return np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
    found = np.zeros(number, dtype=np.uint64)
    for index in range(length):
        found *= _NEXT
        found += hashes[index : index + number]
    whole = np.flatnonzero(text[:number] == text[length - 1 :])
    return _mixed(found[whole]), whole


def runs(hashes: Hashes, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> Hashes:
    """Return the hash of each run of words from a first one up to a last one, whatever its length."""
    powers, inverses = _powers(max(len(hashes), 1))
    sums = _sums(hashes * powers[: len(hashes)])
    return _mixed((sums[ends] - sums[begins]) * inverses[begins])


def _located(points: Points) -> tuple[Hashes, NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Return for each word its hash, whether it holds a digit, and where it begins and ends.

    A word's hash is the polynomial of its characters: a difference of sums over the whole text, divided by a power.
    """
    folded = _folded(points)
    kept = np.flatnonzero((folded == _SEPARATOR) | (folded > _COMMA))
    folded = folded[kept]
    edges = np.flatnonzero(np.diff(folded != _SEPARATOR, prepend=False, append=False))
    first, last = edges[::2], edges[1::2]
    powers, inverses = _powers(max(len(folded), 1))
    sums = _sums(folded * powers[: len(folded)])
    has_digit = np.zeros(len(first) + 1, dtype=bool)
    has_digit[np.searchsorted(first, np.flatnonzero(_is_digit(folded)), side="right") - 1] = True
    hashes = (sums[last] - sums[first]) * inverses[first]
    return _mixed(hashes), has_digit[:-1], kept[first], kept[last - 1] + 1


def _sums(values: Hashes) -> NDArray[np.uint64]:
    sums = np.zeros(len(values) + 1, dtype=np.uint64)
    np.cumsum(values, dtype=np.uint64, out=sums[1:])
    return sums


def _breaks(points: Points) -> NDArray[np.int64]:
    """Return where lines end, and cells of tables, and labels."""
    label = np.zeros(len(points), dtype=bool)
    label[:-1] = (points[:-1] == ord(":")) & (points[1:] == ord(" "))
    return np.flatnonzero((points == ord("\n")) | (points == ord("\t")) | (points == ord("|")) | label)


def _folded(points: Points) -> NDArray[np.uint32]:
    if points.dtype == np.uint8 or points.max() < _BMP:
        folded = _table()[points]
    else:
        beyond = np.where(points < _EMOJI, points, _SEPARATOR)
        folded = np.where(points < _BMP, _table()[np.minimum(points, _BMP - 1)], beyond)
    padded = np.zeros(len(folded) + 4, dtype=np.uint32)
    padded[2:-2] = folded
    signs = np.flatnonzero(_is_sign(folded))
    sign = folded[signs]
    before, after = padded[signs + 1], padded[signs + 3]
    first, last = _is_digit(before), _is_digit(after)
    # A full stop between two words that nothing else separates; `e.g.` and `U.S.` are one word each.
    between = np.minimum(np.minimum(before, after), np.minimum(padded[signs], padded[signs + 4]))
    stops = (sign == _POINT) & (between > _COMMA)
    several = _is_sign(before) | _is_sign(after)
    ends = np.where(sign == _COMMA, ~(first & last), first | last | stops | several)
    folded[signs] = np.where(ends, _SEPARATOR, _DROPPED)
    folded[signs[first & last & (sign == _POINT)]] = ord(".")
    return _with_endings(folded, points == ord(" "))


def _with_endings(folded: NDArray[np.uint32], space: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Join a lone `s`, `t`, `d` or `m` to the word before it: `Tom s` and `Tom's` are one word, and so is `don t`."""
    lone = np.flatnonzero(space[:-1] & np.append(folded[2:] == _SEPARATOR, True)[: max(len(folded) - 1, 0)])
    lone = lone[(lone > 0) & np.isin(folded[lone + 1], _ENDINGS)]
    folded[lone[folded[lone - 1] >= ord("a")]] = _DROPPED
    return folded


def _is_sign(folded: NDArray[np.uint32]) -> NDArray[np.bool_]:
    return (folded >= _DROPPED) & (folded <= _COMMA)


def _is_digit(points: NDArray[np.uint32]) -> NDArray[np.bool_]:
    return (points >= ord("0")) & (points <= ord("9"))


@cache
def _table() -> NDArray[np.uint32]:
    """Return what each character of the basic plane counts as."""
    return np.array([_fold(chr(point)) for point in range(_BMP)], dtype=np.uint32)


def _fold(character: str) -> int:
    category = unicodedata.category(character)
    if category in ("Cf", "Mn"):  # zero-width marks and accents
        return _IGNORED
    if category[0] in "ZC" or character in _ENDS_A_WORD or category == "Sm":
        return _SEPARATOR
    plain = unicodedata.normalize("NFKD", character)[0].lower()[0]
    if category[0] in "PSM" and not plain.isalnum():  # a letter in a circle is one
        return {".": _POINT, ",": _COMMA}.get(plain, _DROPPED)
    return ord("0") + unicodedata.decimal(character) if category == "Nd" else ord(plain)


@cache
def _powers_up_to(size: int) -> tuple[Hashes, Hashes]:
    """Return the powers of an odd number modulo 2^64, and those of its inverse."""
    inverse = np.uint64(pow(int(_BASE), -1, 1 << 64))
    return np.multiply.accumulate(np.full(size, _BASE)), np.multiply.accumulate(np.full(size, inverse))


def _powers(size: int) -> tuple[Hashes, Hashes]:
    return _powers_up_to(1 << (size - 1).bit_length())


@cache
def _hashes_of(words: str) -> Hashes:
    return _located(points_of(words))[0]


def _mixed(values: Hashes) -> Hashes:
    """Spread every bit over the whole (the finalizer of SplitMix64, Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
