"""Edits with their inner seeds, by passage: everything is averaged over inner seeds first, then over edits."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from domain_tokens.seal.records import AdaptRow, BeforeAfter

Measure = Callable[[AdaptRow], float]
Identity = tuple[int, str, str, int, int | None, int | None]
ByPassage = dict[str, float]
"""A value for each passage of one run."""


@dataclass(frozen=True)
class Edit:
    """An edit that could be read, with the rows of its inner seeds."""

    rows: tuple[AdaptRow, ...]

    @property
    def first(self) -> AdaptRow:
        """A row, for what is the same in all of them."""
        return self.rows[0]

    @property
    def weights(self) -> str:
        """Which weights it trains, in words."""
        return f"LoRA, rank {self.first.rank}" if self.first.target == "lora" else "last layer"

    def mean(self, measure: Measure) -> float:
        """Return a measure averaged over inner seeds."""
        return fmean(measure(row) for row in self.rows)


Proposals = Mapping[tuple[int, str], Sequence[Edit]]
"""The edits of a run that could be read, by round and passage."""


def reward(row: AdaptRow) -> float:
    """Return the reward by which edits are chosen."""
    assert row.reward is not None
    return float(row.reward)


def chosen_drop(row: AdaptRow) -> float:
    """Return the drop in bits per byte in the half of the questions by which edits are chosen."""
    return _known(row.chosen_by).drop


def scored_drop(row: AdaptRow) -> float:
    """Return the drop in bits per byte in the scoring half."""
    return _known(row.scored_by).drop


def scored_exact(row: AdaptRow) -> float:
    """Return the gain in exact answers in the scoring half."""
    return _known(row.scored_by).exact_gain


def validation_rise(row: AdaptRow) -> float:
    """Return the rise in bits per byte of held-out text."""
    return -_known(row.validation).drop


def earlier_rise(row: AdaptRow) -> float:
    """Return the rise in bits per byte of the answers about earlier passages."""
    return -_known(row.earlier).drop


def identity(row: AdaptRow) -> Identity:
    """Return what the rows of an edit have in common; a passage may be in several chains."""
    return row.round, row.arm, row.passage, row.edit, row.chain, row.place


def edits_of(rows: Iterable[AdaptRow], part: str) -> Iterator[Edit]:
    """Yield the edits of a part that could be read, in order."""
    found: dict[Identity, list[AdaptRow]] = {}
    for row in rows:
        if row.part == part and row.valid:
            found.setdefault(identity(row), []).append(row)
    for own in found.values():
        yield Edit(tuple(own))


def proposals_of(edits: Iterable[Edit]) -> Proposals:
    """Return edits by round and passage."""
    found: dict[tuple[int, str], list[Edit]] = {}
    for edit in edits:
        found.setdefault((edit.first.round, edit.first.passage), []).append(edit)
    return found


def by_passage(values: Iterable[tuple[str, float]]) -> ByPassage:
    """Return the mean of each passage's values."""
    found: dict[str, list[float]] = {}
    for passage, value in values:
        found.setdefault(passage, []).append(value)
    return {passage: fmean(own) for passage, own in found.items()}


def _known(measured: BeforeAfter | None) -> BeforeAfter:
    assert measured is not None
    return measured
