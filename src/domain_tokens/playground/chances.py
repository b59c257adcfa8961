"""How likely a model goes on with a text, in whatever tokens.

A text can be cut into tokens in many ways, and the last of them may reach beyond it: an answer that goes on with ` 7`
may do so with the token ` 7`, or with a space and the token of a fact. So the tokens that a model can write are
followed from a place on, as a tree. A token that completes a text, or reaches beyond it, adds its probability to that
of the text; one that is only its beginning is followed further. Ways that a model takes less than once in 10,000
answers are left out, unless they are the spellings that the models or the tokenizer use, so a probability is a lower
bound. All texts share one tree: a text is never less likely than a longer one that begins with it.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import torch

from domain_tokens.playground.vocabulary import ENDS, Vocabulary
from domain_tokens.playground.writing import Writing

_FOLLOWED = 1e-4
_ROWS = 32  # beginnings in one pass through the model

Ids = tuple[int, ...]
Candidate = tuple[bytes, bool]
"""A text, and whether the answer ends behind it."""


@dataclass(frozen=True)
class Chance:
    """How likely a model goes on with a text.

    Attributes:
        probability: of all ways that were followed; `None` where the context has no room for the text.
        num_tokens: of the likeliest way, with the token that completes the text or reaches beyond it.
        forbidden: which share of the probability is of ways with a token that the settings forbid, from 0 to 1.
        taken: whether the model went on with it.
    """

    probability: float | None = None
    num_tokens: int = 0
    forbidden: float = 0.0
    taken: bool = False


@dataclass(frozen=True)
class _Beginning:
    """Tokens that begin a text: what they say, and how likely the model writes them."""

    ids: Ids
    text: bytes
    probability: float


class _Ways:
    """The ways in which a model goes on with a text."""

    def __init__(self) -> None:
        self.probability = 0.0
        self.forbidden = 0.0
        self._best = (0.0, 0)

    def add(self, ids: Iterable[int], beginning: _Beginning, then: list[float], forbidden: range) -> None:
        """Add the tokens that complete the text behind a beginning."""
        is_begun_forbidden = any(one in forbidden for one in beginning.ids)
        for token_id in ids:
            value = beginning.probability * then[token_id]
            self.probability += value
            self.forbidden += value * (is_begun_forbidden or token_id in forbidden)
            self._best = max(self._best, (value, -1 - len(beginning.ids)))

    @property
    def num_tokens(self) -> int:
        """Of the likeliest way."""
        return -self._best[1]


def chances(writing: Writing, begin: int, wanted: Mapping[Candidate, Iterable[Ids]]) -> dict[Candidate, Chance]:
    """Return how likely a model goes on with each text behind the first tokens of its answer.

    Args:
        writing (`Writing`): a finished answer.
        begin (`int`): how many of its tokens.
        wanted (`Mapping`): the texts, each with spellings that are known, in this vocabulary or another one.
    """
    prefix, vocabulary = writing.read_ids(begin), writing.model.vocabulary
    room = writing.model.num_positions - len(prefix)
    known = {
        ids[:end] for one, own in wanted.items() for ids in _spellings(vocabulary, one, own) for end in range(len(ids))
    }
    ways = {one: _Ways() for one in wanted}
    level, is_cut = [_Beginning((), b"", 1.0)], False
    while level and not (is_cut := len(level[0].ids) >= room):
        following = []
        for beginning, then in zip(level, _probabilities(writing, prefix, level), strict=True):
            for one in wanted:
                ways[one].add(_completing(vocabulary, one, beginning.text), beginning, then, writing.forbidden)
            for token_id in _going_on(vocabulary, wanted, beginning.text):
                ids, value = (*beginning.ids, token_id), beginning.probability * then[token_id]
                if ids in known or value >= _FOLLOWED:
                    following.append(_Beginning(ids, beginning.text + vocabulary.text(token_id), value))
        level = following
    took = b"".join(map(vocabulary.text, writing.ids[begin:]))
    is_ended = writing.steps[-1].chip.kind in ENDS
    return {
        (text, ends): Chance(
            None if is_cut and not found.num_tokens else found.probability,
            found.num_tokens,
            found.forbidden / found.probability if found.probability else 0.0,
            (took == text and is_ended) if ends else took.startswith(text),
        )
        for (text, ends), found in ways.items()
    }


def _completing(vocabulary: Vocabulary, one: Candidate, begun: bytes) -> list[int]:
    """Return the tokens that complete a text of which the beginning is written, or reach beyond it."""
    text, ends = one
    if ends:
        return vocabulary.ending if begun == text else []
    return vocabulary.beginning_with(text[len(begun) :]) if text.startswith(begun) and begun != text else []


def _going_on(vocabulary: Vocabulary, wanted: Iterable[Candidate], begun: bytes) -> set[int]:
    """Return the tokens behind which some text is not complete yet."""
    rests = {(text[len(begun) :], ends) for text, ends in wanted if text.startswith(begun)}
    starts = {rest[:end] for rest, ends in rests for end in range(1, len(rest) + ends)}
    return {token_id for start in starts for token_id in vocabulary.saying(start)}


def _spellings(vocabulary: Vocabulary, one: Candidate, known: Iterable[Ids]) -> list[Ids]:
    """Return the tokens in which a model may write a text: those that are known, the tokenizer's, the base's."""
    text, ends = one
    found = list(known)
    with suppress(UnicodeDecodeError):  # a part of a character has no other spelling
        found += [(*ids, *vocabulary.ending[:1] * ends) for ids in vocabulary.encodings(text.decode())]
    return [ids for ids in found if _says(vocabulary, ids, one)]


def _says(vocabulary: Vocabulary, ids: Ids, one: Candidate) -> bool:
    """Return whether tokens say a text in a vocabulary; ids of another vocabulary may be other tokens here."""
    if not ids or max(ids) >= len(vocabulary):
        return False
    return (b"".join(map(vocabulary.text, ids)), vocabulary.kind(ids[-1]) in ENDS) == one


@torch.inference_mode()
def _probabilities(writing: Writing, prefix: list[int], level: list[_Beginning]) -> Iterable[list[float]]:
    """Yield the probabilities of all ids behind each beginning, as the model would read what it writes."""
    model = writing.model.model
    for start in range(0, len(level), _ROWS):
        # All beginnings of a level have the same number of tokens.
        rows = [
            [*prefix, *(writing.read_as.get(one, one) for one in each.ids)] for each in level[start : start + _ROWS]
        ]
        logits = model(input_ids=torch.tensor(rows, device=model.device), logits_to_keep=1).logits[:, -1]
        yield from logits.double().softmax(dim=-1).tolist()
