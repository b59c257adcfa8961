"""Where two answers part, and how likely each model finds what either could have written there.

Two vocabularies cut a text differently: a fact is one token here and five there. So answers are aligned by what they
say, as bytes, with a fact as the text that it stands for. The place where they part is the first byte in which they
differ, and the token of each that covers it is the one that decides. Before it, they are compared from the last place
at which both have a token's beginning: up to there, both have written the same text.

From that place, the candidates of a model are the tokens it took up to the deciding one, and then that one or one of
its rivals. Each candidate is a text, and for each text the probability that a model writes exactly this next is
computed: the product of its tokens' probabilities, summed over the spellings that are tried (the candidates' own, the
tokenizer's, and that of the base vocabulary). Other spellings are possible and seldom likely, so it is a lower bound.
A text that begins another one includes it, so the probabilities of several need not add up to 1.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from os.path import commonprefix

import torch

from domain_tokens.evaluation.models.inference import token_log_probabilities
from domain_tokens.playground.visible import visible
from domain_tokens.playground.vocabulary import Kind, Vocabulary
from domain_tokens.playground.writing import Writing

_ENDS = (Kind.END, Kind.RESERVED)
_NUM_ROWS = 10
_SHOWN = 0.001  # what neither model finds as likely is not shown
_TAIL = 60  # characters of what both have written that are shown

Candidate = tuple[bytes, bool]
"""A text, and whether the answer ends behind it."""


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
class Chance:
    """How likely a model writes a text next.

    Attributes:
        probability: summed over the spellings that are tried; `None` where the context has no room for the text.
        num_tokens: of the likeliest spelling.
        forbidden: whether that one has a token that the settings forbid.
        taken: whether the model wrote it.
    """

    probability: float | None = None
    num_tokens: int = 0
    forbidden: bool = False
    taken: bool = False


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
    """

    part: Part
    before: str = ""
    steps: tuple[int, int] | None = None
    rows: tuple[Row, ...] = ()


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
    before = whole[0][:place].decode(errors="backslashreplace")
    rows = _rows((one, other), begun, candidates)
    return Difference(part, visible(before[-_TAIL:]), steps, rows)


def _texts(writing: Writing) -> list[bytes]:
    return [writing.model.vocabulary.text(one) for one in writing.ids]


def _is_ended(writing: Writing) -> bool:
    return writing.steps[-1].chip.kind in _ENDS


def _deciding(writing: Writing, starts: list[int], shared: int) -> int | None:
    """Return the index of the token that covers a byte, or that ends the answer there; `None` if it was cut before."""
    for index in range(len(writing.ids)):
        if starts[index + 1] > shared or (index == len(writing.ids) - 1 and _is_ended(writing)):
            return index
    return None


def _candidates(writing: Writing, begin: int, step: int) -> dict[Candidate, tuple[int, ...]]:
    """Return what a model could have written from a token on, up to the deciding one, and in which tokens."""
    vocabulary, taken = writing.model.vocabulary, writing.steps[step]
    path = tuple(writing.ids[begin:step])
    before = b"".join(map(vocabulary.text, path))
    found: dict[Candidate, tuple[int, ...]] = {}
    for chip in (taken.chip, *(rival.chip for rival in taken.rivals)):
        ends = chip.kind in _ENDS
        found.setdefault((before + vocabulary.text(chip.id), ends), (*path, chip.id))
    return found


def _rows(
    writings: tuple[Writing, Writing], begun: list[int], candidates: list[dict[Candidate, tuple[int, ...]]]
) -> tuple[Row, ...]:
    """Return the candidates of both models with the chances of both, the first of each being what it took."""
    wanted = {one: [found[one] for found in candidates if one in found] for one in candidates[0] | candidates[1]}
    first, second = (
        _chances(writing, at, wanted, took=next(iter(own)))
        for writing, at, own in zip(writings, begun, candidates, strict=True)
    )
    rows = [Row(visible(text), ends, (first[text, ends], second[text, ends])) for text, ends in wanted]
    shown = sorted(rows, key=lambda row: (row.taken, row.likeliest), reverse=True)[:_NUM_ROWS]
    shown = [row for row in shown if row.taken or row.likeliest >= _SHOWN]
    return tuple(sorted(shown, key=lambda row: row.likeliest, reverse=True))


def _chances(
    writing: Writing, begin: int, wanted: dict[Candidate, list[tuple[int, ...]]], took: Candidate
) -> dict[Candidate, Chance]:
    """Return how likely a model writes each text after the first tokens of its answer."""
    prefix, vocabulary = writing.read_ids(begin), writing.model.vocabulary
    room = writing.model.num_positions - len(prefix)
    spelled = [(one, ids) for one, known in wanted.items() for ids in _spellings(vocabulary, one, known)]
    tried = [(one, ids) for one, ids in spelled if len(ids) <= room]
    values = _probabilities(writing, prefix, [ids for _, ids in tried])
    found: dict[Candidate, Chance] = {}
    for one in wanted:
        of_one = [(value, ids) for (text, ids), value in zip(tried, values, strict=True) if text == one]
        if not of_one:
            found[one] = Chance(taken=one == took)
            continue
        best = max(of_one)[1]
        is_forbidden = any(token_id in writing.forbidden for token_id in best)
        found[one] = Chance(sum(value for value, _ in of_one), len(best), is_forbidden, one == took)
    return found


def _spellings(vocabulary: Vocabulary, one: Candidate, known: list[tuple[int, ...]]) -> Iterable[tuple[int, ...]]:
    """Return the tokens in which a model may write a text: those of the candidates, the tokenizer's, the base's."""
    text, ends = one
    found = list(known)
    with suppress(UnicodeDecodeError):  # a part of a character has no other spelling
        found += [(*ids, *vocabulary.end * ends) for ids in vocabulary.encodings(text.decode())]
    return [ids for ids in dict.fromkeys(found) if _says(vocabulary, ids, one)]


def _says(vocabulary: Vocabulary, ids: tuple[int, ...], one: Candidate) -> bool:
    """Return whether tokens say a text in a vocabulary; ids of another vocabulary may be other tokens here."""
    if not ids or max(ids) >= len(vocabulary):
        return False
    ends = vocabulary.kind(ids[-1]) in _ENDS
    return (b"".join(map(vocabulary.text, ids)), ends) == one


@torch.inference_mode()
def _probabilities(writing: Writing, prefix: list[int], spellings: list[tuple[int, ...]]) -> list[float]:
    """Return the probability of each spelling after what the model has read, as it would read what it writes."""
    if not spellings:
        return []
    model = writing.model.model
    rows = [[*prefix, *(writing.read_as.get(one, one) for one in ids[:-1])] for ids in spellings]
    longest = max(map(len, rows))
    # Padding is behind what is read, where causal attention does not see it.
    inputs = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=model.device)
    hidden = model.base_model(inputs).last_hidden_state
    parts = [hidden[row, len(prefix) - 1 : len(prefix) - 1 + len(ids)] for row, ids in enumerate(spellings)]
    targets = torch.tensor([one for ids in spellings for one in ids], device=model.device)
    sums = token_log_probabilities(model, torch.cat(parts), targets).double().split([len(ids) for ids in spellings])
    return [float(one.sum().exp()) for one in sums]
