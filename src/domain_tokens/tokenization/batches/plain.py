r"""Decides about most sites of many texts at once, by the characters beside them.

The patterns of a table take some microseconds a site, and most sites are like `<<6*9=54>>`, `16*9` and `6*2.5`: what
is beside them leaves the patterns no choice. numpy finds those in texts that are joined by `BETWEEN_TEXTS`. What it
leaves open is for the patterns, and a test compares the two.

Every class of characters here is read off the guards. A site is no fact if a guard fails on the character beside it
alone. It is one if all of these hold:

- On its left is `<<`, a line break behind a number or a question, the beginning of the text, or one space (and perhaps
  `$`) behind a word that no guard minds.
- On its right is its result and `>>`, its result and the end of a sentence or of a line, or, where it counts without
  its result, another product in `<<`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from domain_tokens.tokenization.guards.around import SPACE
from domain_tokens.tokenization.guards.notations import Notation
from domain_tokens.tokenization.guards.unstated import WORDS_BEFORE_A_SIZE
from domain_tokens.tokenization.intervention import OPERATORS, Facts, Rules, result_of

BETWEEN_TEXTS = "\0"  # no guard minds it: it reads like the end of a text
_SPACES = SPACE[1:-1]
_MOST_SPACES = 3
_DIGITS = "0123456789"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NEVER_BEFORE = rf"{_DIGITS}{_LETTERS}._\%)]}}-/^"
_NEVER_BEHIND = f"{_DIGITS}/^"
_BEHIND_WHICH_A_LINE_BEGINS = f"{_DIGITS}?!:"
# Words before a number in signs of a chain and of a sum, and the currency that is written in small letters.
_MINDED = frozenset(
    ("times", "by", "plus", "minus", "less", "negative", "subtract", "subtracting", "subtracted", "away", "add")
    + ("adding", "kr", *WORDS_BEFORE_A_SIZE)
)
_MINDED_BEHIND = {
    "of": tuple(words.removesuffix(" of") for words in WORDS_BEFORE_A_SIZE if words.endswith(" of")),
    "to": ("added",),
}
# Words behind a result that make it part of a longer number, of a chain or of a sum, or state another result.
_MINDED_AFTER = re.compile(
    "hundreds?|thousands?|[mbtr]+illions?|[mb]n|dozens?|doz|lakhs?|crores?|per|percent|pct|halves|thirds|tenths"
    "|hundredths|thousandths|squared|cubed|and|point|times|multiplied|divided|plus|minus|less|is|are|was|were|equals?"
    "|makes?|gives?|yields?|totals?|comes|amounts|isn|aren|will|would|must|should|can|could|may|might|which"
)
_NEXT_WORD = re.compile(r" ([a-z]{2,20})(?=[ .,\n\0]|\Z)")
_ALWAYS = ("",)
_LONGEST_WORD = 20

Points = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.uint32]
Places = NDArray[np.int64]
_Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class PlainSites:
    """The sites of some texts, in order. All arrays have one entry a site.

    Attributes:
        starts: where the first operand stands.
        ends: behind the second operand.
        stated: behind the result, where a site that is decided states it; 0 elsewhere.
        pairs: the operands, `10 * a + b`.
        decided: whether it is known to be a fact. The others are for the patterns.
    """

    starts: Places
    ends: Places
    stated: Places
    pairs: Places
    decided: _Bools


def can_decide(facts: Facts, rules: Rules, allowed: Sequence[Notation]) -> bool:
    """Return whether all facts are products of single digits in signs, wherever they stand."""
    if [notation.name for notation in allowed] != ["signs"] or facts.operation != "*":
        return False
    return facts.operands[1] <= 9 and facts.ambiguity == 1 and not rules.answers_only


class PlainDecision:
    """Finds the sites of a table in texts and decides about most of them; `can_decide` says for which tables.

    Args:
        facts (`Facts`): the table.
        rules (`Rules`): how a text may spell a fact.
    """

    def __init__(self, facts: Facts, rules: Rules) -> None:
        self._low, self._high = (ord(str(number)) for number in facts.operands)
        self._says_yes = not rules.after_space
        self._weak, self._bare_x = rules.mode == "weak", rules.bare_x
        self._spaces = rules.spaces
        spelled = {operator: OPERATORS["*"][operator] for operator in rules.operators}
        classes = (one.removeprefix("[").removesuffix("]") for one in spelled.values())
        self.signs = sorted(
            sign for key, one in zip(spelled, classes, strict=True) for sign in (one if key == "·" else [key])
        )
        self._number = {sign: number for number, sign in enumerate(self.signs)}
        digits = range(facts.operands[0], facts.operands[1] + 1)
        self._results = np.zeros(100, dtype=np.int64)
        for a in digits:
            for b in digits:
                self._results[10 * a + b] = result_of(facts, a, b)

    def find(self, text: str) -> PlainSites:
        """Return the sites of texts that are joined by `BETWEEN_TEXTS`, but for those that are surely no facts."""
        points = _padded(text)
        starts, ends, sign = self._likely(points)
        first, second = (points[one].astype(np.int64) - ord("0") for one in (starts, ends - 1))
        pairs = 10 * first + second
        stated, decided = np.zeros(len(starts), dtype=np.int64), np.zeros(len(starts), dtype=bool)
        if self._says_yes and len(starts):
            stated, is_bare = self._right(points, text, ends, pairs, sign)
            open_yet = np.flatnonzero((stated > 0) | is_bare)
            decided[open_yet] = _left(points, text, starts[open_yet], stated[open_yet] > 0)
            stated[~decided] = 0
        return PlainSites(starts - _MARGIN, ends - _MARGIN, np.maximum(stated - _MARGIN, 0), pairs, decided)

    def _likely(self, points: Points) -> tuple[Places, Places, Places]:
        """Return where expressions that no neighbour rules out begin and end, and the numbers of their signs."""
        found = []
        for number, sign in enumerate(self.signs):
            at = np.flatnonzero(points == ord(sign[0])) if points.itemsize > 1 or sign.isascii() else _NONE
            for index, character in enumerate(sign[1:], 1):
                at = at[points[at + index] == ord(character)]
            left, right = at - 1, at + len(sign)
            for _ in range(_MOST_SPACES if self._spaces else 0):
                left = left - _is_space(points[left])
                right = right + _is_space(points[right])
            is_pair = self._is_operand(points[left]) & self._is_operand(points[right])
            left, right = left[is_pair], right[is_pair]
            before, behind, third = (points[one] for one in (left - 1, right + 1, right + 2))
            never = _among(_NEVER_BEFORE, before) | _among(_NEVER_BEHIND, behind)
            never |= (behind == ord("*")) & (third != ord("*"))
            never |= ((behind == ord(".")) | (behind == ord(","))) & _is_digit(third)
            found.append((left[~never], right[~never] + 1, np.full(np.count_nonzero(~never), number)))
        starts, ends, signs = (np.concatenate(one) for one in zip(*found, strict=True))
        order = np.argsort(starts, kind="stable")
        return starts[order], ends[order], signs[order]

    def _is_operand(self, points: Points) -> _Bools:
        return (points >= self._low) & (points <= self._high)

    def _right(self, points: Points, text: str, ends: Places, pairs: Places, sign: Places) -> tuple[Places, _Bools]:
        """Return where a result ends that is stated and settles the right side, and what counts without its result."""
        is_x, is_cross = (sign == self._number.get(one, -1) for one in ("x", "×"))
        space = points[ends] == ord(" ")
        equals = ends + space
        behind = equals + 1
        space_behind = points[behind] == ord(" ")
        number = behind + space_behind
        has_equals = points[equals] == ord("=")
        if not self._spaces:
            has_equals &= ~(space | space_behind)
        result = self._results[pairs]
        has_two = result >= 10
        is_stated = points[number] == np.where(has_two, result // 10, result) + ord("0")
        is_stated &= ~has_two | (points[number + 1] == result % 10 + ord("0"))
        end = number + 1 + has_two
        is_stated &= has_equals
        goes_on = np.flatnonzero(is_stated & (points[end] == ord(" ")))
        stated = np.where(is_stated & _ends_well(points, end, _LETTERS[:26] + _DIGITS + "#"), end, 0)
        plain = [_is_plain_behind(text, place) for place in (end[goes_on] - _MARGIN).tolist()]
        stated[goes_on] = np.where(plain, end[goes_on], 0)
        # `= <<2*8=16>>` and `= $<<2*8=16>>` say what it equals as a product; the result of `<<2*8=16.00>>` is cents.
        opening = number + (points[number] == ord("$"))
        shape = [points[opening + index] for index in range(5)]
        is_bare = (shape[0] == ord("<")) & (shape[1] == ord("<")) & (shape[3] == ord("*")) & has_equals
        is_bare &= _is_digit(shape[2]) & _is_digit(shape[4]) & (self._bare_x | ~is_x)
        is_bare |= is_stated & _has_cents(points, end)
        # Without any result, `*` needs nothing that shows that it is a sign. A line of digits may be one of a board.
        ends_line = (points[ends] == ord("\n")) & _is_digit(points[ends + 1])
        ends_line &= (points[ends + 2] == ord(" ")) | (points[ends + 3] == ord(" "))
        is_bare |= ~(is_x | is_cross) & (ends_line | _ends_well(points, ends, _LETTERS[:26]))
        return stated, is_bare & self._weak


_MARGIN = 32  # as much as is looked at beside a site
_NONE = np.zeros(0, dtype=np.int64)


def _padded(text: str) -> Points:
    """Return the characters of a text as numbers, with a margin of zeros on both sides."""
    if text.isascii():
        return np.frombuffer(b"".join([bytes(_MARGIN), text.encode("ascii"), bytes(_MARGIN)]), dtype=np.uint8)
    encoded, size = text.encode("utf-16-le", "surrogatepass"), 2
    if len(encoded) > size * len(text):  # characters beyond the basic plane
        encoded, size = text.encode("utf-32-le", "surrogatepass"), 4
    margin = bytes(size * _MARGIN)
    return np.frombuffer(b"".join([margin, encoded, margin]), dtype=f"<u{size}")


def _is_digit(points: Points) -> _Bools:
    return (points >= ord("0")) & (points <= ord("9"))


def _is_space(points: Points) -> _Bools:
    found = points == ord(_SPACES[0])
    for space in _SPACES[1:] if points.itemsize > 1 else "":
        found |= points == ord(space)
    return found


def _among(characters: str, points: Points) -> _Bools:
    """Return which points are one of some ASCII characters."""
    table = np.zeros(0x81, dtype=bool)
    table[[ord(one) for one in characters]] = True
    return table[np.minimum(points, 0x80)]


def _ends_well(points: Points, ends: Places, lines: str) -> _Bools:
    """Return behind which numbers nothing stands that a guard minds; the next line begins with one of `lines`."""
    first, second, third = (points[ends + shift] for shift in range(3))
    closed = (first == ord(">")) & (second == ord(">"))
    sentence = (first == ord(".")) & _among(" \n\0", second)
    clause = (first == ord(",")) & (second == ord(" ")) & _among(_LETTERS.replace("w", ""), third)
    line = (first == ord("\n")) & _among(lines, second)
    return closed | sentence | clause | line | (first == 0)


def _is_plain_behind(text: str, end: int) -> bool:
    """Return whether a word that no guard minds stands behind a result, and a space between them."""
    word = _NEXT_WORD.match(text, end)
    return word is not None and _MINDED_AFTER.fullmatch(word[1]) is None


def _has_cents(points: Points, ends: Places) -> _Bools:
    """Return behind which results `.00` stands, and `>>`."""
    shape = (points[ends + index] == ord(one) for index, one in enumerate(".00>>"))
    return np.logical_and.reduce(list(shape))


def _left(points: Points, text: str, starts: Places, is_stated: _Bools) -> _Bools:
    """Return in front of which sites nothing stands that a guard minds."""
    third, second, first = (points[starts - shift] for shift in (3, 2, 1))
    found = ((first == ord("<")) & (second == ord("<"))) | (first == 0)
    found |= (first == ord("\n")) & _among(_BEHIND_WHICH_A_LINE_BEGINS, second) & (third != ord("\\"))
    # `7) ` numbers a list. A label is minded only before a size: `grid: 3*4`.
    found |= (first == ord(" ")) & (second == ord(")")) & _is_digit(third)
    found |= (first == ord(" ")) & (second == ord(":")) & _among(_LETTERS, third) & is_stated
    has_currency = (first == ord("$")) & (second == ord(" "))
    behind_word = np.flatnonzero((first == ord(" ")) | has_currency)
    ends = starts[behind_word] - 1 - has_currency[behind_word]
    last = points[ends - 1]
    has_comma = (last == ord(",")) & _among(_LETTERS, points[ends - 2])  # `\\,` is a space of TeX
    found[behind_word[has_comma]] = True
    is_letter = (last >= ord("a")) & (last <= ord("z"))
    behind_word, ends = behind_word[is_letter], ends[is_letter] - _MARGIN
    found[behind_word] = [_is_plain(text, end) for end in ends.tolist()]
    return found


def _is_plain(text: str, end: int) -> bool:
    """Return whether the word that ends at a place stands behind a space and no guard minds it."""
    begin = text.rfind(" ", max(end - _LONGEST_WORD, 0), end) + 1
    if begin == 0:
        return False
    minded = _minded_behind(text[begin:end])
    return not minded or (
        minded != _ALWAYS and not text[max(begin - _LONGEST_WORD, 0) : begin - 1].lower().endswith(minded)
    )


@lru_cache(maxsize=10_000)
def _minded_behind(whole: str) -> tuple[str, ...]:
    """Return the words behind which a word is minded; `_ALWAYS` if behind any."""
    word = whole.rpartition("'")[2]
    is_word = word.isascii() and word.isalpha() and word.islower() and whole.replace("'", "").isalpha()
    if len(whole) < 2 or word in _MINDED or not is_word:
        return _ALWAYS
    return _MINDED_BEHIND.get(word, ())
