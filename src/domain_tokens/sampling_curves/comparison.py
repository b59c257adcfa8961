"""The answers of several conditions side by side: accuracies by temperature and number of samples, and differences.

Intervals are for other runs and other questions where a condition has several seeds, and for other questions where it
has one. Conditions answer the same questions, so their differences are paired.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from domain_tokens.analysis.report.formats import interval, percent, points
from domain_tokens.analysis.report.tables.table import Table
from domain_tokens.analysis.statistics.crossed import crossed_difference, crossed_mean
from domain_tokens.analysis.statistics.paired import Interval
from domain_tokens.sampling_curves.drawing import GREEDY, Drawn
from domain_tokens.verifier.estimators import majority_at, pass_at, sizes

PASSED, MAJORITY = "pass@n", "maj@n"
_ESTIMATES = {PASSED: pass_at, MAJORITY: majority_at}

Point = tuple[float, Interval]
"""A mean with its 95% interval, as fractions of 1."""


@dataclass(frozen=True)
class Side:
    """One condition.

    Attributes:
        name: the condition.
        drawn: by seed and temperature, what its run answered.
    """

    name: str
    drawn: Mapping[int, Mapping[float, Drawn]]

    def values(self, temperature: float, estimate: str, n: int, seeds: Sequence[int]) -> NDArray[np.float64]:
        """Return the accuracy of n answers to every question, of shape `(seeds, items)`."""
        return np.array(
            [[_ESTIMATES[estimate](one, n) for one in self.drawn[seed][temperature].samples] for seed in seeds]
        )

    def finished(self, temperature: float) -> float:
        """Return the share of answers that the model ended."""
        return float(np.mean([one[temperature].finished for one in self.drawn.values()]))


@dataclass(frozen=True)
class Curves:
    """The answers of all conditions; the first is the reference.

    Attributes:
        model: whose answers they are.
        source: what was asked, in words.
        temperatures: ascending, the greedy answer's among them.
        num_samples: answers to a question at each temperature above 0.
        golds: the right number of each question.
        clusters: of each question, as in the report (`clusters_of`): its template, if there are enough of them.
        sides: the conditions.
    """

    model: str
    source: str
    temperatures: tuple[float, ...]
    num_samples: int
    golds: tuple[Fraction, ...]
    clusters: tuple[str, ...]
    sides: tuple[Side, ...]

    @property
    def drawn_at(self) -> tuple[float, ...]:
        """The temperatures at which several answers were drawn."""
        return tuple(one for one in self.temperatures if one != GREEDY)

    @property
    def sizes(self) -> list[int]:
        """The numbers of answers at which accuracies are given."""
        return sizes(self.num_samples)

    @property
    def intervals(self) -> str:
        """What the intervals are for, in words."""
        questions, number = "questions", len(set(self.clusters))
        if number < len(self.clusters):
            questions = f"{number:,} groups of questions that share a template or numbers"
        if max(len(side.drawn) for side in self.sides) > 1:
            return f"95% intervals, over {questions}, and over runs where a condition has several"
        return f"95% intervals over {questions}; of one run each, they say nothing about other runs"

    @cached_property
    def points(self) -> dict[tuple[str, str, float, int], Point]:
        """By condition, estimate, temperature and number of answers, the mean with its interval."""
        return {
            (side.name, estimate, temperature, n): crossed_mean(
                side.values(temperature, estimate, n, sorted(side.drawn)), np.array(self.clusters)
            )
            for side in self.sides
            for temperature in self.temperatures
            for estimate in _ESTIMATES
            for n in ([1] if temperature == GREEDY else self.sizes)
        }

    def floor(self, n: int) -> float:
        """Return pass@n of who reads no question and names the n commonest right numbers of this task.

        It knows the task's right numbers, which no model does: a pass@n below it may be nothing but many guesses.
        """
        return sum(count for _, count in Counter(self.golds).most_common(n)) / len(self.golds)


def tables(curves: Curves) -> list[Table]:
    """Return accuracies by temperature, by number of answers, and differences."""
    return [_by_temperature(curves), _by_size(curves), _differences(curves)]


def _by_temperature(curves: Curves) -> Table:
    rows = [
        [side.name, _named(at), _shown(curves.points[side.name, PASSED, at, 1]), percent(side.finished(at))]
        for side in curves.sides
        for at in curves.temperatures
    ]
    note = (
        f"The mean accuracy of one answer, over {curves.num_samples} answers to each of {len(curves.golds):,} "
        f"questions (one at temperature 0), with {curves.intervals}. Ended: answers that the model ended before the "
        "limit."
    )
    header = ["condition", "temperature", "one answer", "ended"]
    return Table(f"One answer: {curves.source}, {curves.model}", header, rows, note, labels=2)


def _by_size(curves: Curves) -> Table:
    rows = [
        [
            side.name,
            _named(at),
            str(n),
            *(_shown(curves.points[side.name, estimate, at, n]) for estimate in _ESTIMATES),
            percent(curves.floor(n)),
        ]
        for side in curves.sides
        for at in curves.drawn_at
        for n in curves.sizes
    ]
    note = (
        "pass@n: one of n answers is right. maj@n: their commonest number is. Floor: pass@n of one who reads no "
        "question and names the n commonest right numbers of this task; a pass@n near it need not be more than many "
        "guesses. maj@n has the floor of n = 1."
    )
    header = ["condition", "temperature", "n", *_ESTIMATES, "floor of pass@n"]
    return Table(f"Several answers: {curves.source}, {curves.model}", header, rows, note, labels=3)


def _differences(curves: Curves) -> Table:
    rows = [list(row) for row in _contrasts(curves)]
    note = (
        "In points, over the same questions and seeds, with 95% intervals. Exploratory: no declaration names them, "
        "and of so many some are far from 0 by chance."
    )
    header = ["contrast", "temperature", "accuracy", "difference", "95% interval"]
    return Table(f"Differences: {curves.source}, {curves.model}", header, rows, note, labels=3)


def _contrasts(curves: Curves) -> Iterator[tuple[str, str, str, str, str]]:
    n, reference = curves.num_samples, curves.sides[0]
    clusters = np.array(curves.clusters)
    kinds = {"one answer": (PASSED, 1), f"pass@{n}": (PASSED, n), f"maj@{n}": (MAJORITY, n)}
    for side in curves.sides[1:]:
        for at in curves.temperatures:
            for name, (estimate, size) in kinds.items() if at != GREEDY else [("one answer", (PASSED, 1))]:
                seeds = sorted(side.drawn)
                before, after = (one.values(at, estimate, size, seeds) for one in (reference, side))
                yield f"{side.name} less {reference.name}", _named(at), name, *_difference(before, after, clusters)
    for side in curves.sides:
        seeds = sorted(side.drawn)
        greedy = side.values(GREEDY, PASSED, 1, seeds)
        for at in curves.drawn_at:
            voted = side.values(at, MAJORITY, n, seeds)
            yield side.name, _named(at), f"maj@{n} less one greedy answer", *_difference(greedy, voted, clusters)


def _difference(
    reference: NDArray[np.float64], other: NDArray[np.float64], clusters: NDArray[np.str_]
) -> tuple[str, str]:
    estimate = crossed_difference(reference, other, clusters)
    return points(estimate.value), interval(estimate.interval())


def _named(temperature: float) -> str:
    return "0 (greedy)" if temperature == GREEDY else f"{temperature:g}"


def _shown(point: Point) -> str:
    mean, (low, high) = point
    return f"{percent(mean)} ({100 * low:.2f} to {100 * high:.2f})"
