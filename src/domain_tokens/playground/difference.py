"""Where two answers part, and how likely each model finds what either could have written there.

Two vocabularies cut a text differently: a fact is one token here and five there. So answers are aligned by what they
say, as bytes, with a fact as the text that it stands for. The place where they part is the first byte in which they
differ, and the token of each that covers it is the one that decides. Before it, they are compared from the last place
at which both have a token's beginning: up to there, both have written the same text.

From that place, the candidates of a model are the tokens it took up to the deciding one, and then that one or one of
its rivals, and what both say before they part. Each candidate is a text, and `chances` computes how likely a model
goes on with it. A text that begins another one includes it, so the probabilities of several need not add up to 1.
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from os.path import commonprefix

from domain_tokens.playground.chances import Candidate, Chance, Ids, chances
from domain_tokens.playground.visible import visible
from domain_tokens.playground.vocabulary import ENDS
from domain_tokens.playground.writing import Writing

_NUM_ROWS = 10
_SHOWN = 0.001  # what neither model finds as likely is not shown
_TAIL = 60  # characters of what both have written that are shown


class Part(StrEnum):
    """How two answers part."""

    TEXT = "text"
    """They say different things."""
    TOKENS = "tokens"
    """They say the same in different tokens."""
    CUT = "cut"
    """One is the beginning of the other and ended at a limit: nothing differs as far as it goes."""
    SAME = "same"
    """They have the same tokens."""


REASONS = {
    Part.TEXT: "Here they part",
    Part.TOKENS: "They say the same. Here they first cut it into different tokens",
    Part.CUT: "As far as both go, they say the same: one of them was cut off at a limit.",
    Part.SAME: "They wrote the same tokens.",
}
"""What is said of each; the first two go on with the place."""


@dataclass(frozen=True)
class Row:
    """A text that one of two models could have written next.

    Attributes:
        text: the text, as it is shown.
        ends: whether the answer ends behind it.
        chances: of each model.
    """

    text: str
    ends: bool
    chances: tuple[Chance, Chance]

    @property
    def likeliest(self) -> float:
        """The larger of the two probabilities."""
        return max(one.probability or 0.0 for one in self.chances)

    @property
    def taken(self) -> bool:
        """Whether one of the models wrote it."""
        return any(one.taken for one in self.chances)


@dataclass(frozen=True)
class Difference:
    """Where two answers part.

    Attributes:
        part: how.
        before: the end of what both have written.
        steps: of each answer, the index of the token that decides; `None` if nothing differs.
        rows: the candidates of both, the likeliest first; empty if nothing differs.
        circumstances: of each model, what else its answer depends on up to there than what both have written.
    """

    part: Part
    before: str = ""
    steps: tuple[int, int] | None = None
    rows: tuple[Row, ...] = ()
    circumstances: tuple[str, ...] = ()


def first_difference(one: Writing, other: Writing) -> Difference:
    """Find where two finished answers to one question part."""
    texts = [_texts(one), _texts(other)]
    whole = [b"".join(found) for found in texts]
    starts = [list(accumulate(map(len, found), initial=0)) for found in texts]
    shared = len(commonprefix(whole))
    part = Part.TEXT
    deciding = [_deciding(writing, begin, shared) for writing, begin in zip((one, other), starts, strict=True)]
    if whole[0] == whole[1] and _is_ended(one) == _is_ended(other):
        if starts[0] == starts[1]:
            return Difference(Part.SAME)
        part, shared = Part.TOKENS, min(set(starts[0]) ^ set(starts[1]))
        place = max(place for place in starts[0] if place < shared and place in starts[1])
        deciding = [begin.index(place) for begin in starts]
    if deciding[0] is None or deciding[1] is None:
        return Difference(Part.CUT)
    steps = (deciding[0], deciding[1])
    both = set(starts[0]) & set(starts[1])
    limit = min(begin[step] for begin, step in zip(starts, steps, strict=True))
    place = max(one for one in both if one <= limit)
    begun = [begin.index(place) for begin in starts]
    candidates = [_candidates(writing, *span) for writing, *span in zip((one, other), begun, steps, strict=True)]
    if part is Part.TOKENS:  # what they took is the same text, up to the next place at which both begin a token
        end = min(one for one in both if one > place)
        took = [tuple(w.ids[b : s.index(end)]) for w, b, s in zip((one, other), begun, starts, strict=True)]
        candidates = [{(whole[0][place:end], False): ids} | own for ids, own in zip(took, candidates, strict=True)]
    elif shared > place:
        candidates[0].setdefault((whole[0][place:shared], False), ())
    before = whole[0][:place].decode(errors="backslashreplace")
    rows = _rows((one, other), begun, candidates)
    circumstances = [
        f"{visible(writing.model.name)}: {said}"
        for writing, step in zip((one, other), steps, strict=True)
        for said in writing.circumstances(step)
    ]
    return Difference(part, visible(before[-_TAIL:]), steps, rows, tuple(circumstances))


def _texts(writing: Writing) -> list[bytes]:
    return [writing.model.vocabulary.text(one) for one in writing.ids]


def _is_ended(writing: Writing) -> bool:
    return writing.steps[-1].chip.kind in ENDS


def _deciding(writing: Writing, starts: list[int], shared: int) -> int | None:
    """Return the index of the token that covers a byte, or that ends the answer there; `None` if it was cut before."""
    for index in range(len(writing.ids)):
        if starts[index + 1] > shared or (index == len(writing.ids) - 1 and _is_ended(writing)):
            return index
    return None


def _candidates(writing: Writing, begin: int, step: int) -> dict[Candidate, Ids]:
    """Return what a model could have written from a token on, up to the deciding one, and in which tokens."""
    vocabulary, taken = writing.model.vocabulary, writing.steps[step]
    path = tuple(writing.ids[begin:step])
    before = b"".join(map(vocabulary.text, path))
    found: dict[Candidate, Ids] = {}
    for chip in (taken.chip, *(rival.chip for rival in taken.rivals)):
        ends = chip.kind in ENDS
        found.setdefault((before + vocabulary.text(chip.id), ends), (*path, chip.id))
    return found


def _rows(
    writings: tuple[Writing, Writing], begun: list[int], candidates: list[dict[Candidate, Ids]]
) -> tuple[Row, ...]:
    """Return the candidates of both models with the chances of both."""
    wanted = {one: [found[one] for found in candidates if one in found] for one in candidates[0] | candidates[1]}
    first, second = (chances(writing, at, wanted) for writing, at in zip(writings, begun, strict=True))
    ordered = sorted(wanted, key=lambda one: len(one[0]))  # of texts that are equally likely, the shortest first
    rows = [Row(visible(text), ends, (first[text, ends], second[text, ends])) for text, ends in ordered]
    shown = sorted(rows, key=lambda row: (row.taken, row.likeliest), reverse=True)[:_NUM_ROWS]
    shown = [row for row in shown if row.taken or row.likeliest >= _SHOWN]
    return tuple(sorted(shown, key=lambda row: row.likeliest, reverse=True))
