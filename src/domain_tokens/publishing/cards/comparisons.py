"""The comparisons of an experiment in which a model takes part, if they are still of its weights."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from domain_tokens.analysis.results_model import Accuracy, Overview, Results
from domain_tokens.publishing.cards.run import TrainedModel
from domain_tokens.publishing.cards.scores import Score
from domain_tokens.recipe import RecipeError, first_line

RESULTS = "results.json"  # of a comparison of two conditions
OVERVIEW = "overview.json"  # of several with one


@dataclass(frozen=True)
class Found:
    """What the comparisons of an experiment say of a model.

    Attributes:
        current: those that include its condition, its seed and these very weights.
        num_other: how many include its condition, and not this seed or not these weights.
    """

    current: tuple[Results, ...]
    num_other: int

    def over_seeds(self, score: Score, model: TrainedModel) -> tuple[int, Accuracy] | None:
        """Return the mean over seeds of a score, and over how many; `None` if no comparison has it."""
        name = model.name
        for results in self.current:
            for row in results.rows:
                key = (row.model, row.task, row.metric, row.group, row.last_checkpoints)
                if key == (name, score.task, score.metric, score.group, 1):
                    side = row.reference if results.reference == model.condition else row.other
                    return len(results.seeds), side
        return None


def read_results(folder: Path) -> list[Results]:
    """Return the comparisons of pairs in an experiment's folder, those of an overview in its order.

    Raises:
        RecipeError: if a file is damaged.
    """
    if (overview := read_overview(folder)) is not None:
        return [_read(folder / pair.folder / RESULTS) for pair in overview.pairs]
    return [_read(folder / RESULTS)] if (folder / RESULTS).is_file() else []


def read_overview(folder: Path) -> Overview | None:
    """Return the overview of an experiment; `None` if it has none. Raises `RecipeError` if it is damaged."""
    path = folder / OVERVIEW
    if not path.is_file():
        return None
    try:
        return Overview.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise _damaged(path, error) from error


def comparisons_of(model: TrainedModel) -> Found:
    """Return the comparisons in which a model takes part."""
    found = [one for one in read_results(model.experiment) if model.condition in (one.reference, one.other)]
    current = tuple(one for one in found if _is_of(one, model))
    return Found(current, len(found) - len(current))


def weights_in(results: Results, condition: str) -> Iterator[tuple[str, str]]:
    """Yield `seed 20, grpo_final, weights_sha256` and the hash, for the models of one condition."""
    for row in results.provenance.hashes:
        value = row.reference if condition == results.reference else row.other
        if row.what.endswith("weights_sha256") and isinstance(value, str):
            yield row.what, value


def _is_of(results: Results, model: TrainedModel) -> bool:
    """Return whether a comparison read this run, and its stages are those that are there now."""
    known = dict(weights_in(results, model.condition))
    own = {
        f"seed {model.seed}, {stage.folder.name}, weights_sha256": stage.manifest.weights_sha256
        for stage in model.stages
    }
    compared = [what for what in own if what in known]
    return bool(compared) and all(known[what] == own[what] for what in compared)


def _read(path: Path) -> Results:
    try:
        return Results.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> RecipeError:
    return RecipeError(f"{path}: cannot be read ({first_line(error)}); compare again with scripts/compare.py")
