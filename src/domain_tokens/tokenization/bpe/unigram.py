"""Learns the pieces of a Unigram vocabulary: those that most likely make up the words of a text.

After Kudo 2018, "Subword Regularization: Improving Neural Network Translation Models with Multiple Subword
Candidates". It begins with all frequent substrings of the words, estimates how likely each is, by expectation and
maximization over all ways to cut a word, and takes out those that are missed least, until as many are left as are
asked for.

The trainer of `tokenizers` 0.23 adds up in the order of a hash table and by thread: the last digits of its scores
differ from run to run, and where two pieces are equally good, so do its pieces. Here all is added in one order, and
what is compared or returned is rounded to fewer digits than processors differ in.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

_LONGEST_PIECE = 16
_LONGEST_WORD = 256
_MOST_WORDS = 100_000
_FEWEST_SEEDS, _SEEDS_PER_PIECE = 20_000, 10
_KEPT = 0.75  # of the pieces in a round
_PASSES = 2  # of expectation and maximization before pieces are taken out
_LEAST = 0.5  # what does not occur counts as often as this
_DECIMALS = 6  # of a score: every parser of JSON reads so few as the same number

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
_Bools = NDArray[np.bool_]


def learn_pieces(counts: Mapping[str, int], letters: Sequence[str], num_pieces: int) -> dict[str, float]:
    """Return pieces of several letters with the logarithm of their probability, the likeliest first, then the letters.

    Words of more than 256 letters are left out, and all but the 100,000 most frequent ones.

    Args:
        counts (`Mapping[str, int]`): how often each word occurs, in whatever order.
        letters (`Sequence[str]`): all characters of the words; they are pieces in any case.
        num_pieces (`int`): the number of other pieces. Fewer are returned if the words have no more.
    """
    words = [word for word in counts if 0 < len(word) <= _LONGEST_WORD]
    words = sorted(words, key=lambda word: (-counts[word], word))[:_MOST_WORDS]
    how_often = np.array([counts[word] for word in words], dtype=np.float64)
    pieces = [*letters, *_seeds(words, counts, num_pieces)]
    cuts, others = _Cuts(words, pieces), _Cuts(pieces, pieces, without_whole=True)
    kept = np.ones(len(pieces), dtype=bool)
    scores = np.zeros(len(pieces))
    while True:
        for _ in range(_PASSES):
            expected = np.maximum(cuts.expected(scores, how_often), _LEAST)
            scores = digamma(expected) - digamma(expected[kept].sum())
        candidates = len(letters) + np.flatnonzero(kept[len(letters) :])
        too_many = len(candidates) - num_pieces
        if too_many <= 0:
            break
        missed = _missed(others, scores, expected, kept)
        order = sorted(candidates.tolist(), key=lambda number: (float(f"{missed[number]:.5e}"), pieces[number]))
        kept[order[: min(too_many, 1 + int((1 - _KEPT) * len(candidates)))]] = False
        cuts.keep(kept)
        others.keep(kept)
    found = {pieces[number]: round(float(scores[number]), _DECIMALS) for number in np.flatnonzero(kept)}
    learned = sorted(list(found)[len(letters) :], key=lambda piece: (-found[piece], piece))
    return {piece: found[piece] for piece in (*learned, *letters)}


def _seeds(words: Sequence[str], counts: Mapping[str, int], num_pieces: int) -> list[str]:
    """Return the substrings that may become pieces: of those that occur twice, those that make up most of the text."""
    found: Counter[str] = Counter()
    for word in words:
        for start, end in _spans(word):
            if end - start > 1:
                found[word[start:end]] += counts[word]
    frequent = [piece for piece, count in found.items() if count > 1]
    frequent.sort(key=lambda piece: (-found[piece] * len(piece), piece))
    return frequent[: max(_FEWEST_SEEDS, _SEEDS_PER_PIECE * num_pieces)] if num_pieces else []


def _spans(word: str) -> Iterator[tuple[int, int]]:
    """Yield where a piece may stand in a word."""
    for start in range(len(word)):
        for end in range(start + 1, min(start + _LONGEST_PIECE, len(word)) + 1):
            yield start, end


def _missed(others: "_Cuts", scores: _Floats, expected: _Floats, kept: _Bools) -> _Floats:
    """Return how much less likely the text is without each piece, in whose place the best other ones stand.

    These occur as often as before and, in addition, as often as the piece that is taken out. Only the pieces of the
    text that it was part of are compared.
    """
    total = expected[kept].sum()
    log_others, num_others = np.zeros(len(scores)), np.zeros(len(scores))
    for of, other in others.best(scores):
        log_others[of] += np.log(expected[other] + expected[of])
        num_others[of] += 1
    log_others -= num_others * np.log(total + expected * (num_others - 1))
    return expected * (np.log(expected) - np.log(total) - log_others)


class _Cuts:
    """All ways to cut some words into pieces, as arcs that lead from one place in a word to a later one.

    Args:
        words (`Sequence[str]`): the words.
        pieces (`Sequence[str]`): the pieces, all letters of the words among them.
        without_whole (`bool`, *optional*, defaults to `False`): whether a word of several letters must not be one
            piece.
    """

    def __init__(self, words: Sequence[str], pieces: Sequence[str], without_whole: bool = False) -> None:
        index = {piece: number for number, piece in enumerate(pieces)}
        arcs = [
            (number, start, end, index[word[start:end]])
            for number, word in enumerate(words)
            for start, end in _spans(word)
            if word[start:end] in index and not (without_whole and 1 < len(word) == end - start)
        ]
        self._word, start, end, self._piece = np.array(arcs, dtype=np.int64).reshape(-1, 4).T
        lengths = np.array([len(word) for word in words], dtype=np.int64)
        self._last = np.cumsum(lengths + 1) - 1  # the place behind a word
        self._first, self._num_places = self._last - lengths, int((lengths + 1).sum())
        self._tail, self._head = self._first[self._word] + start, self._first[self._word] + end
        self._end, self._remaining = end, lengths[self._word] - start

    def keep(self, kept: _Bools) -> None:
        """Leave out the pieces that are not kept."""
        is_kept = kept[self._piece]
        for name in ("_word", "_piece", "_tail", "_head", "_end", "_remaining"):
            setattr(self, name, getattr(self, name)[is_kept])

    def expected(self, scores: _Floats, how_often: _Floats) -> _Floats:
        """Return how often each piece is expected in words of which each occurs so often."""
        own = scores[self._piece]
        before, behind = np.full((2, self._num_places), -np.inf)
        before[self._first], behind[self._last] = 0, 0
        for arcs, groups in _levels(self._end, self._head):
            before[self._head[arcs[groups]]] = _log_sums(before[self._tail[arcs]] + own[arcs], groups)
        for arcs, groups in _levels(self._remaining, self._tail):
            behind[self._tail[arcs[groups]]] = _log_sums(behind[self._head[arcs]] + own[arcs], groups)
        share = np.exp(before[self._tail] + own + behind[self._head] - before[self._last][self._word])
        found = np.bincount(self._piece, weights=share * how_often[self._word], minlength=len(scores))
        return np.asarray(found, dtype=np.float64)

    def best(self, scores: _Floats) -> Iterator[tuple[_Ints, _Ints]]:
        """Yield, from the end of the words, which words still have a piece in their likeliest cut, and that piece."""
        own = scores[self._piece]
        before, arc_to = np.full(self._num_places, -np.inf), np.full(self._num_places, -1)
        before[self._first] = 0
        for arcs, groups in _levels(self._end, self._head):
            values = before[self._tail[arcs]] + own[arcs]
            order = np.lexsort((-values, self._head[arcs]))
            places = self._head[arcs[groups]]
            before[places], arc_to[places] = values[order][groups], arcs[order][groups]
        places = self._last
        while len(words := np.flatnonzero(arc_to[places] >= 0)):
            yield words, self._piece[arc_to[places[words]]]
            places = np.where(arc_to[places] >= 0, self._tail[arc_to[places]], places)


def _levels(level: _Ints, place: _Ints) -> Iterator[tuple[_Ints, _Ints]]:
    """Yield the arcs of each level in the order of a place, and where among them those of the next place begin."""
    order = np.lexsort((place, level))
    for lower, upper in pairwise(np.cumsum(np.bincount(level)).tolist()):
        if lower < upper:
            yield order[lower:upper], np.flatnonzero(np.diff(place[order[lower:upper]], prepend=-1))


def _log_sums(values: _Floats, groups: _Ints) -> _Floats:
    """Return the logarithm of the sum of each group's exponentials."""
    highest = np.maximum.reduceat(values, groups)
    shifted = np.exp(values - np.repeat(highest, np.diff(groups, append=len(values))))
    return highest + np.log(np.add.reduceat(shifted, groups))
