r"""Finds the markup of many texts at once: what `markup.edits` finds in each of them.

Nearly every character begins no markup, and most markup is a tag. So numpy finds the places where markup may begin, by
the character there and those beside it, and where a tag ends; the pattern is tried at the other places alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from domain_tokens.corpora.contamination.markup import LONGEST_TAG, STANDING_FOR_OTHERS, expands, markup_at, read

Points = NDArray[np.uint8] | NDArray[np.uint32]
Places = NDArray[np.int64]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ANY = "".join(map(chr, range(0x100)))  # the last stands for every character beyond
_NOT_ASCII = _ANY[0x80:]
_IN_A_WORD = f"{_LETTERS}'{_NOT_ASCII}"
# A first character of markup, by what may be before it and behind it.
_MAY_BEGIN = {
    "<": (_ANY, f"!/ {_LETTERS}"),
    "&": (_ANY, f"#{_LETTERS}"),
    "\\": (_ANY, _ANY),
    "*": (_IN_A_WORD, f"*~`{_IN_A_WORD}"),
    "~": (_IN_A_WORD, f"*~`{_IN_A_WORD}"),
    "`": (_IN_A_WORD, f"*~`{_IN_A_WORD}"),
    "[": (_ANY, "ths xX^0123456789"),
    "]": (_ANY, "("),
    "\r": ("-", "\n"),
    "\n": (_ANY, " \t>[(0123456789"),
}
_LINE = ord("\n")


@dataclass(frozen=True)
class Edits:
    """What has to be replaced in texts that are joined by line breaks, in order.

    Attributes:
        starts, ends: where it stands in the joined texts.
        plain: what takes its place.
    """

    starts: Places
    ends: Places
    plain: list[str]


def points_of(text: str) -> Points:
    """Return the characters of a text as numbers, of one byte each if the text is ASCII."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def edits_of(texts: Sequence[str]) -> Edits:
    r"""Return the edits of all texts, by their places in `"\n".join(texts)`."""
    led = "\n" + "\n".join(texts)  # as for `edits`, a line break is before each text
    points = points_of(led)
    sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 1
    ends = np.cumsum(sizes)
    at = _may_begin(points)
    text = np.searchsorted(ends, at, side="right")
    tag_ends = _ends_of_tags(points, at, ends[text])
    tags = np.flatnonzero(tag_ends)
    starts, behind = at[tags], tag_ends[tags]
    meanings = [read(led[a:b]) for a, b in zip(starts.tolist(), behind.tolist(), strict=True)]
    lengths = np.fromiter((length for length, _ in meanings), dtype=np.int64, count=len(meanings))
    found: list[str | None] = [plain for _, plain in meanings]
    # Of the others: where they begin, where the pattern has read to, how much of it is replaced.
    rows = []
    others = np.flatnonzero(tag_ends == 0)
    begins = ends - sizes
    known, one, begin = -1, "", 0
    for place, number in zip(at[others].tolist(), text[others].tolist(), strict=True):
        if number != known:
            known, begin, one = number, int(begins[number]), led[begins[number] : ends[number]]
        if (markup := markup_at(one, place - begin)) is not None:
            rows.append((place, begin + markup[0], markup[1]))
            found.append(markup[2])
    more = np.array(rows, dtype=np.int64).reshape(-1, 3)
    starts = np.concatenate([starts, more[:, 0]])
    behind = np.concatenate([behind, more[:, 1]])
    lengths = np.concatenate([lengths, more[:, 2]])
    order = np.argsort(starts, kind="stable")
    order = order[_apart(starts[order], behind[order])]
    plain = [found[index] for index in order.tolist()]
    is_edit = np.fromiter((one is not None for one in plain), dtype=bool, count=len(plain))
    order = order[is_edit]
    starts, lengths = starts[order] - 1, lengths[order]
    leading = begins[np.searchsorted(ends, starts + 1, side="right")]
    return Edits(
        np.maximum(starts, leading),
        np.maximum(starts + lengths, leading),
        [one for one in plain if one is not None],
    )


def _may_begin(points: Points) -> Places:
    """Return the places at which markup may begin, by one character before and two behind."""
    firsts, befores, behinds = _tables()
    if points.dtype == np.uint8:
        at = np.flatnonzero(firsts[:0x100][points])
    else:
        beyond = (points >= STANDING_FOR_OTHERS[0]) & (points <= STANDING_FOR_OTHERS[1])
        at = np.flatnonzero(firsts[np.minimum(points, 0xFFFF)] | beyond)
    last = len(points) - 1
    before, first, behind, third = (
        np.minimum(points[np.minimum(at + shift, last)], 0xFF).astype(np.uint8) for shift in (-1, 0, 1, 2)
    )
    likely = befores[first, before] & behinds[first, behind]
    # Lines that go on a word, or begin with a letter in a bracket: `a) `.
    is_letter = (behind >= ord("a")) & (behind <= ord("z"))
    likely |= (first == _LINE) & ((before == ord("-")) | (is_letter & (third == ord(")"))))
    # A token's name behind a space; `5 < 6` is none.
    likely &= (first != ord("<")) | (behind != ord(" ")) | ((third >= ord("A")) & (third <= ord("Z")))
    return at[likely]


@cache
def _tables() -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for each character of the basic plane whether markup may begin with it, and what may be beside it."""
    firsts = np.array([chr(point) in _MAY_BEGIN or expands(chr(point)) for point in range(0x10000)])
    befores, behinds = np.zeros((2, 0x100, 0x100), dtype=bool)
    befores[0x80:], behinds[0x80:] = True, True
    for first, (before, behind) in _MAY_BEGIN.items():
        befores[ord(first), [ord(one) for one in before]] = True
        behinds[ord(first), [ord(one) for one in behind]] = True
    return firsts, befores, behinds


def _ends_of_tags(points: Points, at: Places, ends: Places) -> Places:
    """Return where the tags end that begin at some places, `ends` being those of their texts; 0 for what is none."""
    found = np.zeros(len(at), dtype=np.int64)
    tags = np.flatnonzero(points[at] == ord("<"))
    name = at[tags] + 1
    name += points[np.minimum(name, len(points) - 1)] == ord("/")
    letter = points[np.minimum(name, len(points) - 1)] | 0x20
    tags, name = (one[(letter >= ord("a")) & (letter <= ord("z"))] for one in (tags, name))
    angles = np.append(np.flatnonzero((points == ord("<")) | (points == ord(">"))), len(points))
    closing = angles[np.searchsorted(angles, name, side="right")]
    is_tag = (closing < ends[tags]) & (closing - name <= LONGEST_TAG + 1)
    tags, closing = tags[is_tag], closing[is_tag]
    is_closed = points[closing] == ord(">")
    found[tags[is_closed]] = closing[is_closed] + 1
    return found


def _apart(starts: Places, ends: Places) -> NDArray[np.bool_]:
    """Return which of some spans, in the order of their starts, a search from left to right finds."""
    apart = np.ones(len(starts), dtype=bool)
    if (starts[1:] < ends[:-1]).any():
        end = 0
        for index, (start, behind) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            apart[index] = start >= end
            end = behind if start >= end else end
    return apart
