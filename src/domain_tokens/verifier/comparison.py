"""The verifiers of all conditions of an experiment side by side: accuracies by number of samples, and differences.

Compared are runs whose verifiers chose among samples of the same questions in the same order, sampled alike. Intervals
are for other runs and other questions where a condition has several seeds, and for other questions where it has one.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain_tokens.analysis.measures.outcomes import clusters_of
from domain_tokens.analysis.report.formats import DASH, interval, percent, points
from domain_tokens.analysis.report.tables.table import Table
from domain_tokens.analysis.statistics.crossed import crossed_difference, crossed_mean
from domain_tokens.analysis.statistics.paired import Interval
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.layout import ITEMS, RESULTS, VERIFIER, task_file
from domain_tokens.runs.records import read_record, read_rows
from domain_tokens.verifier.estimators import Judged, majority_at, pass_at, sizes, verify_at
from domain_tokens.verifier.records import NAMES, ChosenItem, ChosenResult

logger = logging.getLogger(__name__)

_ESTIMATES = {"verify": verify_at, "majority": majority_at, "passed": pass_at}


@dataclass(frozen=True)
class Side:
    """The verifiers of one condition, one for each seed.

    Attributes:
        name: the condition.
        results: by seed.
        judged: by seed, the samples of every question.
        clusters: of each question, as in the report (`clusters_of`): its template, if there are enough of them.
    """

    name: str
    results: Mapping[int, ChosenResult]
    judged: Mapping[int, Sequence[Judged]]
    clusters: tuple[str, ...]

    def values(self, estimate: str, n: int, seeds: Sequence[int]) -> NDArray[np.float64]:
        """Return the accuracy of n samples of every question, of shape `(seeds, items)`."""
        return np.array([[_ESTIMATES[estimate](one, n) for one in self.judged[seed]] for seed in seeds])

    def mean(self, estimate: str, n: int) -> tuple[float, Interval]:
        """Return the mean over all seeds and questions with its 95% interval."""
        return crossed_mean(self.values(estimate, n, sorted(self.judged)), np.array(self.clusters))


@dataclass(frozen=True)
class Comparison:
    """The verifiers of an experiment on one task; the first condition by name is the reference."""

    task: str
    source: str
    num_samples: int
    sides: tuple[Side, ...]

    @property
    def sizes(self) -> list[int]:
        """The numbers of samples at which accuracies are given."""
        return sizes(self.num_samples)

    @cached_property
    def points(self) -> dict[str, dict[str, list[tuple[float, Interval]]]]:
        """By estimate and condition, the mean with its interval at each number of samples."""
        return {
            estimate: {side.name: [side.mean(estimate, n) for n in self.sizes] for side in self.sides}
            for estimate in _ESTIMATES
        }


def read_comparison(experiment_dir: Path, task: str) -> Comparison | None:
    """Read what the verifiers of an experiment chose on a task; `None` if none did.

    Runs that were asked something else than the newest result, or with other sampling, are left out and named.

    Raises:
        RecipeError: if the items of a run are not those of its results, or not in the order of the other runs.
    """
    paths = sorted(experiment_dir.glob(f"exp_*/seed_*/{task_file(Path(VERIFIER), task, RESULTS)}"))
    results = {path: read_record(path, ChosenResult) for path in paths}
    if not results:
        return None
    newest = results[max(paths, key=lambda path: path.stat().st_mtime)]
    found: dict[str, dict[int, tuple[ChosenResult, list[ChosenItem]]]] = {}
    asked: list[str] | None = None
    for path, result in results.items():
        if (result.questions_sha256, result.sampling) != (newest.questions_sha256, newest.sampling):
            logger.warning("%s: other questions or other sampling than in the newest result; left out", path)
            continue
        items = list(read_rows(task_file(path.parent, task, ITEMS), ChosenItem))
        ids = [item.id for item in items] if asked is None else asked
        if len(items) != result.num_items or [item.id for item in items] != ids:
            raise RecipeError(
                f"{task_file(path.parent, task, ITEMS)}: {len(items)} items, other ones or in another order than its "
                f"results and the other runs have ({result.num_items}); run scripts/run_verifier.py again"
            )
        asked = ids
        found.setdefault(result.condition, {})[result.seed] = (result, items)
    sides = tuple(_side(name, seeds) for name, seeds in sorted(found.items()))
    return Comparison(task, newest.source, int(str(newest.sampling["num_samples"])), sides)


def _side(name: str, seeds: Mapping[int, tuple[ChosenResult, list[ChosenItem]]]) -> Side:
    items = next(iter(seeds.values()))[1]
    return Side(
        name=name,
        results={seed: result for seed, (result, _) in seeds.items()},
        judged={seed: [_judged(item) for item in found] for seed, (_, found) in seeds.items()},
        clusters=tuple(clusters_of(items)),
    )


def _judged(item: ChosenItem) -> Judged:
    numbers = tuple(None if number is None else Fraction(number) for number in item.numbers)
    return Judged(numbers, item.right, item.scores)


def tables(comparison: Comparison) -> list[Table]:
    """Return accuracies by number of samples, differences, and what was sampled and trained."""
    return [_by_size(comparison), _differences(comparison), _consumed(comparison)]


def _by_size(comparison: Comparison) -> Table:
    rows = [
        [side.name, str(n), *(_shown(comparison.points[estimate][side.name][index]) for estimate in NAMES)]
        for side in comparison.sides
        for index, n in enumerate(comparison.sizes)
    ]
    note = (
        "verify@1 of n: of n samples the one with the verifier's highest score is right; maj@n: the commonest number "
        "is; pass@n: one of them is. 95% intervals, for other templates where questions share them."
    )
    title = f"Verifiers on {comparison.source}, {comparison.num_samples} samples a question"
    return Table(title, ["condition", "n", *NAMES.values()], rows, note, labels=2)


def _differences(comparison: Comparison) -> Table:
    rows = [[name, what, *cells] for name, what, cells in _contrasts(comparison)]
    note = f"At n = {comparison.num_samples}, in points, over the same questions and seeds. Exploratory: not declared."
    return Table("Differences", ["condition", "contrast", "difference", "95% interval"], rows, note, labels=2)


def _contrasts(comparison: Comparison) -> Iterator[tuple[str, str, list[str]]]:
    n, reference = comparison.num_samples, comparison.sides[0]
    for side in comparison.sides:
        seeds, clusters = sorted(side.judged), np.array(side.clusters)
        voted, chosen = side.values("majority", n, seeds), side.values("verify", n, seeds)
        yield side.name, "verify@1 less maj@n", _difference(voted, chosen, clusters)
    for side in comparison.sides[1:]:
        seeds = sorted(side.judged.keys() & reference.judged.keys())
        for estimate, name in NAMES.items() if seeds else ():
            pair = reference.values(estimate, n, seeds), side.values(estimate, n, seeds)
            yield side.name, f"{name}, less {reference.name}", _difference(*pair, np.array(side.clusters))


def _difference(reference: NDArray[np.float64], other: NDArray[np.float64], clusters: NDArray[np.str_]) -> list[str]:
    estimate = crossed_difference(reference, other, clusters)
    return [points(estimate.value), interval(estimate.interval())]


def _consumed(comparison: Comparison) -> Table:
    rows = [
        [
            side.name,
            str(seed),
            DASH if result.ranked_pairs is None else f"{result.ranked_pairs:.3f}",
            f"{result.generated_tokens:,}",
            f"{result.unfinished:,}",
            f"{result.flops:.2e}",
        ]
        for side in comparison.sides
        for seed, result in sorted(side.results.items())
    ]
    note = (
        "ranked pairs: how often a right sample has a higher score than a wrong one of the same question; 0.5 is "
        "chance. FLOPs of sampling and scoring these questions; those of training are in the verifier's manifest."
    )
    header = ["condition", "seed", "ranked pairs", "tokens sampled", "unfinished", "FLOPs"]
    return Table("What was ranked", header, rows, note, labels=2)


def _shown(point: tuple[float, Interval]) -> str:
    mean, (low, high) = point
    return f"{percent(mean)} ({100 * low:.2f} to {100 * high:.2f})"
