"""Finds the questions of evaluation sets in other text: whole, in part, and with other numbers.

What counts as a finding:

- `exact`: all words of a question one after another. A question of fewer than 8 words, such as `What is 6 times 9?`,
  has to be the whole text, or from 4 words on a whole line of it. In one of fewer than 13 words, the signs of
  arithmetic must be equal too: `(2 + 3) * 4` is no `2 + 3 * 4`.
- `13-gram`: any 13 consecutive words of a question, the measure of GPT-3's authors (Brown et al. 2020, appendix C).
- `masked`: with every number replaced by the same mark, at least half of a question's runs of 10 words within a window
  of twice its length. This finds copies with other numbers. Numbers that follow
  each other are one.
- `8-gram` and `masked in part`: fewer than that. Stock phrases do this too, so these are warnings.

Of a question whose words train by design, with other numbers, only `exact` counts, and as `13-gram` its words from the
first number to the last, at least 13 of them.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain_tokens.corpora.contamination.signs import signs_of
from domain_tokens.corpora.contamination.words import Hashes, Words, grams, runs, words_of

Kind = Literal["exact", "13-gram", "masked", "8-gram", "masked in part"]
_WARNINGS = ("8-gram", "masked in part")
_LONG, _SHORT, _MASKED = 13, 8, 10
_LINE = 4  # words of a question that is found as a line of a longer text
_SHARE = 0.5
_WINDOW = 2
_BITMAP_BITS = 22
_SHIFT, _LAST_BITS = np.uint64(64 - _BITMAP_BITS), np.uint64((1 << _BITMAP_BITS) - 1)
_SIGNS_BEFORE, _SIGNS_AFTER = re.compile(r"[^\w\s]+\s?$"), re.compile(r"\s?[^\w\s]{1,4}")
_CHUNK_CHARACTERS = (
    250_000  # of a million, the arrays are given back to the system and asked for again: half the speed
)
_FINGERPRINT = np.uint64(16)  # bits that a fingerprint leaves out of 64


@dataclass(frozen=True)
class Question:
    """A question of an evaluation set.

    Attributes:
        source, item: the name of the set, and of the question in it.
        text: the question.
        is_whole: found only with all its numbers, because its words train by design, with others.
    """

    source: str
    item: str
    text: str
    is_whole: bool = False


@dataclass(frozen=True)
class Finding:
    """A question that stands in a text.

    Attributes:
        question: its index.
        kind: how much of it.
        start, end: what a copy of the whole question would cover of the text, in characters.
    """

    question: int
    kind: Kind
    start: int
    end: int

    @property
    def is_warning(self) -> bool:
        """Whether stock phrases could be all that is shared."""
        return self.kind in _WARNINGS


class ContaminationIndex:
    """The questions of evaluation sets, to be looked for in text.

    Args:
        questions (`Sequence[Question]`): all of them.
        fingerprints (`Collection[str]`, *optional*): the `fingerprint` of questions whose text is not there. They are
            found as a whole text or line.
        unseen (`str`, *optional*): the name of the set of those.

    Attributes:
        questions: all of them, those that are found whole behind the others, and those without text last.
        num_questions: how many each evaluation set has.
        sha256: a hash of them, whatever their order.

    Example:
    ```python
    >>> index = ContaminationIndex([Question("a", "0", "Tom has 5 red apples and buys 3 more of them at the shop.")])
    >>> [found.kind for found in index.find("TOM HAS 7 RED APPLES, and buys 2 more of them at the shop.")]
    ['masked']
    ```
    """

    def __init__(
        self, questions: Sequence[Question], fingerprints: Collection[str] = (), unseen: str = "fingerprints"
    ) -> None:
        questions = sorted(questions, key=lambda question: question.is_whole)
        words = words_of([question.text for question in questions])
        begins = np.concatenate([[0], words.ends])[: len(questions)].astype(np.int64)
        whole = runs(words.hashes, begins, words.ends.astype(np.int64)) if len(words.hashes) else words.hashes
        known = {_shown(one) for one in whole}
        more = sorted(set(fingerprints) - known)
        self.num_questions: dict[str, int] = dict(Counter(question.source for question in questions))
        if fingerprints:
            self.num_questions[unseen] = len(set(fingerprints))
        self.questions = (*questions, *(Question(unseen, one, "") for one in more))
        self.sha256 = sha256("\n".join(sorted({*known, *more})).encode()).hexdigest()
        self._lengths: list[int] = (words.ends - begins).tolist()
        num_partly = sum(not question.is_whole for question in questions)
        num_words = int(begins[num_partly]) if num_partly < len(questions) else len(words.hashes)
        num_masked = int(np.searchsorted(words.masked_at, num_words))
        self._short = _Postings(words.hashes[:num_words], np.arange(num_words), words.text, begins, _SHORT)
        self._masked = _Postings(words.masked[:num_masked], words.masked_at[:num_masked], words.text, begins, _MASKED)
        self._signs: dict[int, str] = {}
        self._wholes = _Wholes(words, begins, num_partly)
        entries = [(_shown(whole[index]), index) for index, length in enumerate(self._lengths) if 0 < length < _SHORT]
        entries += [(one, index) for index, one in enumerate(more, len(questions))]
        self._whole: dict[str, list[int]] = defaultdict(list)
        for print_, index in entries:
            self._whole[print_].append(index)
        self._prints = np.array(sorted(int(one, 16) for one in self._whole), dtype=np.uint64)

    def find(self, text: str) -> list[Finding]:
        """Return the questions that stand in a text, the surest finding of each."""
        return next(self.find_all([text]))

    def find_all(self, texts: Iterable[str]) -> Iterator[list[Finding]]:
        """Yield for each text the questions that stand in it, the surest finding of each."""
        chunk: list[str] = []
        size = 0
        for text in texts:
            chunk.append(text)
            size += len(text)
            if size >= _CHUNK_CHARACTERS:
                yield from self._find(chunk)
                chunk, size = [], 0
        if chunk:
            yield from self._find(chunk)

    def _find(self, texts: Sequence[str]) -> list[list[Finding]]:
        places = _Places(words_of(texts))
        found: dict[int, dict[int, Finding]] = defaultdict(dict)
        for text, finding in self._findings(places, texts):
            found[text].setdefault(finding.question, finding)
        return [list(found[text].values()) if text in found else [] for text in range(len(texts))]

    def _findings(self, places: "_Places", texts: Sequence[str]) -> Iterator[tuple[int, Finding]]:
        """Yield the findings with their texts, the surest first."""
        words = places.words
        if not len(words.hashes):
            return
        for text, begin, end, whole in self._segments(places):
            for question in self._whole[whole]:
                finding = places.finding(text, question, "exact", begin, end)
                if question >= len(self._lengths) or self._same_signs(finding, texts[text]):
                    yield text, finding
        for text, question, kind, first in self._wholes.hits(places):
            length = self._lengths[question]
            finding = places.finding(text, question, kind, first, first + length)
            if length >= _LONG or self._same_signs(finding, texts[text]):
                yield text, finding
        warnings = []
        for text, question, hits in self._short.hits(words.hashes, np.arange(len(words.hashes)), words.text):
            length = self._lengths[question]
            kind, first = _surest(hits, length)
            finding = places.finding(text, question, kind, first, first + length)
            if kind == "exact" and length < _LONG and not self._same_signs(finding, texts[text]):
                finding = places.finding(text, question, "8-gram", first, first + length)
            if finding.is_warning:
                warnings.append((text, finding))
            else:
                yield text, finding
        for text, question, hits in self._masked.hits(words.masked, words.masked_at, words.text):
            length = self._lengths[question]
            window = _fullest_window(hits, _WINDOW * length - _MASKED + 1)
            share = len({hit.place for hit in window}) / self._masked.number[question]
            first = window[0].position - window[0].place
            last = window[-1].position + length - window[-1].place
            finding = places.finding(text, question, "masked" if share >= _SHARE else "masked in part", first, last)
            if finding.is_warning:
                warnings.append((text, finding))
            else:
                yield text, finding
        yield from warnings

    def _segments(self, places: "_Places") -> Iterator[tuple[int, int, int, str]]:
        """Yield the texts and lines that are a whole question: text, first word, index behind the last, its hash."""
        words = places.words
        lines = np.flatnonzero(words.begins_line)
        ends = np.append(lines[1:], len(words.hashes))
        long = ends - lines >= _LINE
        begins = np.concatenate([places.begins, lines[long]])
        behind = np.concatenate([places.ends, ends[long]])
        filled = behind > begins
        begins, behind = begins[filled], behind[filled]
        prints = runs(words.hashes, begins, behind) >> _FINGERPRINT
        for index in np.flatnonzero(np.isin(prints, self._prints)).tolist():
            begin = int(begins[index])
            yield int(words.text[begin]), begin, int(behind[index]), f"{int(prints[index]):012x}"

    def _same_signs(self, finding: Finding, text: str) -> bool:
        """Return whether digits and signs of arithmetic are those of the question, as they must be in a short one."""
        if finding.question not in self._signs:
            self._signs[finding.question] = signs_of(self.questions[finding.question].text)
        start, end = finding.start, finding.end
        around = _SIGNS_BEFORE.search(text, max(start - 4, 0), start), _SIGNS_AFTER.match(text, end)
        start, end = around[0].start() if around[0] else start, around[1].end() if around[1] else end
        return signs_of(text[start:end]) == self._signs[finding.question]


def fingerprint(text: str) -> str:
    """Return a hash of 48 bits of a text's words."""
    words = words_of([text])
    return _shown(runs(words.hashes, np.array([0]), np.array([len(words.hashes)]))[0])


def _shown(whole: np.uint64) -> str:
    return f"{int(whole) >> int(_FINGERPRINT):012x}"


class _Hit(NamedTuple):
    """Where a run of words stands: its first word's index among all words, and in the question."""

    position: int
    place: int


def _surest(hits: list[_Hit], length: int) -> tuple[Kind, int]:
    """Return what the runs of 8 words of a question add up to, and where the question would begin."""
    copies: dict[int, list[int]] = defaultdict(list)
    for hit in hits:
        copies[hit.position - hit.place].append(hit.place)
    first, places = max(copies.items(), key=lambda copy: len(copy[1]))
    if len(places) == length - _SHORT + 1:
        return "exact", first
    run = _LONG - _SHORT
    for first, places in copies.items():
        if any(later - place == run for place, later in zip(places, places[run:], strict=False)):
            return "13-gram", first
    return "8-gram", first


def _fullest_window(hits: list[_Hit], length: int) -> list[_Hit]:
    """Return the hits within a window of some words that has the most of them."""
    best, first = (0, 1), 0
    for last, hit in enumerate(hits):
        while hit.position - hits[first].position >= length:
            first += 1
        if last + 1 - first > best[1] - best[0]:
            best = first, last + 1
    return hits[slice(*best)]


class _Places:
    """Words with the bounds of their texts."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self.ends = words.ends.astype(np.int64)
        self.begins = np.concatenate([[0], self.ends[:-1]])

    def finding(self, text: int, question: int, kind: Kind, first: int, end: int) -> Finding:
        """Return a finding of a copy between two words' indices, as far as they lie within the text."""
        lowest, highest = self.begins[text], self.ends[text]
        start, stop = self.words.start[max(first, lowest)], self.words.end[min(end, highest) - 1]
        return Finding(question, kind, int(start), int(stop))


class _Postings:
    """The runs of some words of questions, and where each stands.

    Args:
        hashes: of the words that count.
        at: their indices among all words.
        text: the question of each of all words.
        begins: where each question begins.
        length: of the runs.

        first (*optional*): where the runs begin that count; all by default.

    Attributes:
        number: how many runs each question has.
    """

    def __init__(
        self,
        hashes: Hashes,
        at: NDArray[np.int64],
        text: NDArray[np.int64],
        begins: NDArray[np.int64],
        length: int,
        first: NDArray[np.int64] | None = None,
    ) -> None:
        self._length = length
        found, position = grams(hashes, text[at], length)
        if first is not None:
            counts = np.isin(at[position], first)
            found, position = found[counts], position[counts]
        order = np.argsort(found, kind="stable")
        question = text[at[position]]
        self.number: list[int] = np.bincount(question, minlength=len(begins)).tolist()
        self._hashes = found[order]
        self._question, self._place = question[order], (at[position] - begins[question])[order]
        # Few hashes that are no question's pass both, and only what passes is searched for.
        self._first, self._last = np.zeros((2, 1 << _BITMAP_BITS), dtype=bool)
        self._first[self._hashes >> _SHIFT] = True
        self._last[self._hashes & _LAST_BITS] = True

    def hits(
        self, hashes: Hashes, at: NDArray[np.int64], text: NDArray[np.int64]
    ) -> Iterator[tuple[int, int, list[_Hit]]]:
        """Yield a text, a question and its hits in the order of the text; arguments as of the class."""
        found, position = grams(hashes, text[at], self._length)
        likely = np.flatnonzero(self._first[found >> _SHIFT])
        likely = likely[self._last[found[likely] & _LAST_BITS]]
        found, position = found[likely], at[position[likely]]
        low = np.searchsorted(self._hashes, found)
        there = np.flatnonzero(self._hashes[np.minimum(low, len(self._hashes) - 1)] == found) if len(low) else low
        high = np.searchsorted(self._hashes, found[there], side="right")
        grouped: dict[tuple[int, int], list[_Hit]] = defaultdict(list)
        for place, first, last in zip(position[there].tolist(), low[there].tolist(), high.tolist(), strict=True):
            for entry in range(first, last):
                grouped[int(text[place]), int(self._question[entry])].append(_Hit(place, int(self._place[entry])))
        for (one, question), hits in grouped.items():
            yield one, question, hits


class _Wholes:
    """The questions that are found with all their numbers alone.

    Of each, the words from its first number to its last are looked for, at least 13 of them or all: what stands before
    and behind is the same in problems with other numbers.

    Args:
        words: of all questions.
        begins: where each begins.
        first: the first of those that are found so; questions of fewer than 8 words are passed over.
    """

    def __init__(self, words: Words, begins: NDArray[np.int64], first: int) -> None:
        lengths = words.ends.astype(np.int64) - begins
        self._questions = np.flatnonzero((np.arange(len(begins)) >= first) & (lengths >= _SHORT))
        self._index = {question: index for index, question in enumerate(self._questions.tolist())}
        begin = begins[self._questions]
        end = begin + lengths[self._questions]
        core, behind = _with_all_numbers(words, begin, end)
        self._begin, self._end, self._length = core - begin, behind - begin, end - begin
        if self._index:
            self._core, self._all = runs(words.hashes, core, behind), runs(words.hashes, begin, end)
            self._anchors = _Postings(
                words.hashes, np.arange(len(words.hashes)), words.text, begins, _SHORT, first=core
            )

    def hits(self, places: _Places) -> Iterator[tuple[int, int, Kind, int]]:
        """Yield a text, a question, what of it stands there, and where its first word is or would be."""
        if not self._index:
            return
        words = places.words
        found = [
            (text, self._index[question], hit.position - hit.place)
            for text, question, hits in self._anchors.hits(words.hashes, np.arange(len(words.hashes)), words.text)
            for hit in hits
        ]
        text, index, first = np.array(found, dtype=np.int64).reshape(-1, 3).T
        lowest, highest = places.begins[text], places.ends[text]

        def stands(begin: NDArray[np.int64], end: NDArray[np.int64], hashes: Hashes) -> NDArray[np.bool_]:
            inside = (begin >= lowest) & (end <= highest)
            return inside & (runs(words.hashes, np.where(inside, begin, 0), np.where(inside, end, 0)) == hashes)

        is_there = stands(first + self._begin[index], first + self._end[index], self._core[index])
        is_whole = stands(first, first + self._length[index], self._all[index])
        for one in np.flatnonzero(is_there).tolist():
            kind: Kind = "exact" if is_whole[one] else "13-gram"
            yield int(text[one]), int(self._questions[index[one]]), kind, int(first[one])


def _with_all_numbers(
    words: Words, begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the words from the first number of a question to its last begin and end, 13 words or all."""
    numbers = np.flatnonzero(words.is_number)
    low, high = np.searchsorted(numbers, begins), np.searchsorted(numbers, ends)
    padded = np.append(numbers, 0)
    first = np.where(high > low, padded[low], begins)
    last = np.where(high > low, padded[high - 1] + 1, ends)
    first = np.maximum(first - np.maximum(_LONG + 1 - (last - first), 0) // 2, begins)
    last = np.minimum(np.maximum(last, first + _LONG), ends)
    return np.maximum(np.minimum(first, last - _LONG), begins), last
