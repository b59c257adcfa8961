"""Takes out of training text what holds a question of an evaluation set, alike for every condition.

A short text goes whole. A long document loses the passage: the paragraph, or the sentences if its paragraphs are long.
What is taken out depends on the text and the questions alone, so that it is the same in every condition.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import tee
from typing import TypeVar

from domain_tokens.corpora.contamination.index import ContaminationIndex, Finding
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.records import Contamination, Removal

_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_SENTENCE = re.compile(r"(?<=[.?!])\s+|\n\s*")
_LONG_PARAGRAPH = 4
"""Times the length of the question: in a longer paragraph only sentences are taken out."""
_LEAST_LEFT = 300
"""Characters: a rest that is shorter goes too."""
_MOST_NAMED = 10
"""Texts that hold a question: where the gate refuses, so many are named, and no more are looked for."""
_MOST = 0.5
_FEW = 5
"""Questions: so few in other text are contamination, whatever share they are of their set."""

Name = TypeVar("Name")


@dataclass(frozen=True)
class Cleaned:
    """A text after the gate.

    Attributes:
        text: what is left; `None` if nothing is.
        found: the questions that were in it, by their indices.
        warnings: how many questions share a phrase with it.
    """

    text: str | None
    found: tuple[Finding, ...] = ()
    warnings: int = 0


def clean(index: ContaminationIndex, texts: Iterable[str]) -> Iterator[Cleaned]:
    """Yield each text without the questions of an index, some hundred kilobytes at a time."""
    given, read = tee(texts)
    for text, findings in zip(given, index.find_all(read), strict=True):
        found = _sure(findings)
        left: str | None = text
        rest = found
        while rest and left is not None:  # a question may stand there twice
            left = without(left, rest)
            rest = [] if left is None else _sure(index.find(left))
        yield Cleaned(left, tuple(found), len(findings) - len(found))


def _sure(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if not finding.is_warning]


def without(text: str, findings: Sequence[Finding]) -> str | None:
    """Return a text without the passages of some findings, or `None` if too little is left."""
    left = text
    passages = sorted((_passage(text, one.start, one.end) for one in findings), reverse=True)
    end = len(text)
    for start, stop in passages:
        stop = min(stop, end)
        if start < stop:
            left = left[:start] + left[stop:]
            end = start
    return left if len(left.strip()) >= max(_LEAST_LEFT, len(text) / 2) else None


def _passage(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the paragraphs around a finding, or the sentences if these are long."""
    for boundary in (_PARAGRAPH, _SENTENCE):
        first = max((one.end() for one in boundary.finditer(text, 0, start)), default=0)
        following = boundary.search(text, end)
        last = len(text) if following is None else following.end()
        if last - first <= _LONG_PARAGRAPH * (end - start):
            break
    return first, last


@dataclass(frozen=True)
class Place:
    """Where a text that trains comes from: the source, the file and row, and the id of a document."""

    source: str
    row: str
    document: str | None = None


class Gate:
    """Compares what trains with the questions of an index, and keeps account of it.

    Args:
        index (`ContaminationIndex`): the questions.
        stage (`str`): what trains, for messages.
        refuses (`bool`): whether a question is an error rather than removed.

    Attributes:
        removals: what was removed, in the order of the texts.
        warnings: how many texts share a phrase with a question.
        texts: how many texts were read, by source.
        removed: of how many something was removed.
    """

    def __init__(self, index: ContaminationIndex, stage: str, *, refuses: bool) -> None:
        self.index = index
        self.removals: list[Removal] = []
        self.warnings = 0
        self.texts: Counter[str] = Counter()
        self.removed: Counter[str] = Counter()
        self._stage = stage
        self._refuses = refuses
        self._found: dict[tuple[str, str], set[str]] = defaultdict(set)

    def documents(self, texts: Iterable[tuple[Place, str]]) -> Iterator[tuple[Place, str]]:
        """Yield documents without the passages that hold a question; one of little else is left out.

        Raises:
            RecipeError: if a source is a whole test set, or if the gate refuses and ten texts hold a question.
        """
        given, read = tee(texts)
        for (place, _), cleaned in zip(given, clean(self.index, (text for _, text in read)), strict=True):
            self._count(place, cleaned.found, cleaned.warnings, whole=cleaned.text is None)
            if cleaned.text is not None:
                yield place, cleaned.text

    def examples(self, rows: Iterable[tuple[Place, Sequence[str]]]) -> Iterator[bool]:
        """Yield for each example, given all its texts, whether it may train. Raises as `documents`."""
        given, read = tee(rows)
        texts = self.index.find_all(text for _, row in read for text in row)
        for place, row in given:
            found = [finding for _ in row for finding in next(texts)]
            sure = list({finding.question: finding for finding in _sure(found)}.values())
            self._count(place, sure, len(found) - len(sure), whole=True)
            yield not sure

    def _count(self, place: Place, found: Collection[Finding], warnings: int, *, whole: bool) -> None:
        self.texts[place.source] += 1
        self.removed[place.source] += bool(found)
        self.warnings += warnings > 0 and not found
        for finding in found:
            question = self.index.questions[finding.question]
            removal = Removal(
                source=place.source, place=place.row, document=place.document, whole=whole,
                evaluation_set=question.source, question=question.item, kind=finding.kind,
            )  # fmt: skip
            self.removals.append(removal)
            self._found[place.source, question.source].add(question.item)
            number = len(self._found[place.source, question.source])
            if number >= _FEW:
                _check_not_a_set(self.index, self._stage, place.source, question.source, number)
        if self.removed.total() == _MOST_NAMED:
            self.refuse()

    def refuse(self) -> None:
        """Raise `RecipeError` if the gate refuses and has found a question, naming up to ten texts that hold one."""
        if not self._refuses or not self.removals:
            return
        named = {
            (one.source, one.place): f"source {one.source}: {one.place}: holds a question of an evaluation set "
            f"({one.evaluation_set}, {one.question}: {one.kind})"
            for one in reversed(self.removals)
        }
        number = self.removed.total()
        counted = "" if number == 1 else f"{'at least ' if number == _MOST_NAMED else ''}{number} texts: "
        raise RecipeError(
            f"{self._stage}: {counted}{'; '.join(reversed(named.values()))}; contamination: refuse, so nothing "
            "trains; remove the rows, and any other like them, or leave out --strict (contamination=refuse) to have "
            "all removed and listed"
        )

    def finish(self) -> None:
        """Refuse a source that is a small test set, once all of it is read. Raises `RecipeError` as `refuse` too."""
        self.refuse()
        check_sources(self.index, self._stage, self.removals, self.texts)

    def account(self, taught: dict[str, int] | None = None, held_out: dict[str, int] | None = None) -> Contamination:
        """Return what is recorded in a manifest."""
        return account(self.index, self.removals, self.warnings, taught or {}, held_out or {})


def account(
    index: ContaminationIndex,
    removals: Sequence[Removal],
    warnings: int,
    taught: dict[str, int],
    held_out: dict[str, int],
) -> Contamination:
    """Return the account of some removals for a manifest.

    Args:
        index (`ContaminationIndex`): the questions that were looked for.
        removals (`Sequence[Removal]`): what was removed.
        warnings (`int`): how many texts share a phrase with a question.
        taught, held_out (`dict[str, int]`): the generator's questions by evaluation set, `generated_questions`.
    """
    texts = {(one.source, one.place, one.document): one.whole for one in removals}
    return Contamination(
        questions=index.num_questions,
        questions_sha256=index.sha256,
        texts=dict(Counter(source for source, _, _ in texts)),
        whole=sum(texts.values()),
        kinds=dict(Counter(one.kind for one in removals)),
        warnings=warnings,
        taught=taught,
        held_out=held_out,
    )


def check_sources(
    index: ContaminationIndex, stage: str, removals: Iterable[Removal], texts: Mapping[str, int]
) -> None:
    """Refuse a source that is a test set, or made from one: that is a mistake, and no contamination.

    It is one if it holds more than half of an evaluation set's questions. Fewer than 5 questions count only if more
    than half of the source's texts hold one.

    Args:
        index (`ContaminationIndex`): the questions.
        stage (`str`): what trains, for messages.
        removals (`Iterable[Removal]`): what was found in all of the sources.
        texts (`Mapping[str, int]`): how many texts each source has.

    Raises:
        RecipeError: naming the source and the number.
    """
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    holding: dict[tuple[str, str], set[tuple[str, str | None]]] = defaultdict(set)
    for one in removals:
        found[one.source, one.evaluation_set].add(one.question)
        holding[one.source, one.evaluation_set].add((one.place, one.document))
    for (source, evaluation_set), questions in found.items():
        is_most = len(holding[source, evaluation_set]) > _MOST * texts[source]
        if len(questions) >= _FEW or is_most:
            _check_not_a_set(index, stage, source, evaluation_set, len(questions))


def _check_not_a_set(index: ContaminationIndex, stage: str, source: str, evaluation_set: str, number: int) -> None:
    of = index.num_questions[evaluation_set]
    if number > _MOST * of:
        raise RecipeError(
            f"{stage}: source {source}: holds {number:,} of the {of:,} questions of {evaluation_set}, more than half: "
            "it is a test set, or made from one; training stages must not read one; remove the source"
        )
