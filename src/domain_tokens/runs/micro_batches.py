"""The micro batches that were found for an experiment: one number a stage, for all conditions and seeds.

`micro_batches.json` is written before the first stage that trains (`training.fitting`) and read by every stage whose
recipe says `auto`. So conditions have the same number whatever their tokenizers, and a stage that is resumed has the
number that it began with. Imports none of the training libraries.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from domain_tokens.recipe import Recipe, RecipeError, flatten
from domain_tokens.recipe.micro_batch import auto_stages
from domain_tokens.runs.layout import MICRO_BATCHES
from domain_tokens.runs.records import Fields, Record, read_record, write_record

_MORE_IDS = 0.02  # a vocabulary that is larger by this share costs less than the memory that is left free


class MicroBatchTry(Record):
    """What two steps with a micro batch took."""

    micro_batch: int
    fits: bool
    """Whether both steps were done, with enough memory left."""
    seconds: float | None = None
    """Of the second step; `None` if it was not reached."""
    rows: int | None = None
    """Rows of a step: sequences, examples or answers."""
    peak_bytes: int | None = None
    """The most memory that was used beyond what the libraries take; `None` if the steps were not done."""
    reason: str = ""
    """Why it does not fit."""


class FoundMicroBatch(Record):
    """The micro batch of one stage, and how it was found."""

    micro_batch: int = Field(ge=1)
    device: str
    """The name of the GPU, or `CPU`."""
    memory_bytes: int
    """Memory that one process could use, beyond what the libraries take."""
    num_processes: int
    """Processes that share a step."""
    runs_at_a_time: int
    """Runs that share the memory."""
    needs: Fields
    """What it was found for: the largest vocabulary and the longest rows of all conditions, model and settings."""
    tries: tuple[MicroBatchTry, ...]


class MicroBatches(Record):
    """`micro_batches.json` in an experiment's folder."""

    stages: Mapping[str, FoundMicroBatch]
    """By the stage's name, as in `runs.layout.stage_paths`."""


def micro_batches_file(recipe: Recipe) -> Path:
    """Return the file of a recipe's experiment."""
    return recipe.experiment_dir / MICRO_BATCHES


def read_micro_batches(recipe: Recipe) -> MicroBatches:
    """Return what was found for a recipe's experiment; no stage if nothing was.

    Raises:
        RecipeError: if the file is damaged.
    """
    path = micro_batches_file(recipe)
    if not path.is_file():
        return MicroBatches(stages={})
    try:
        return read_record(path, MicroBatches)
    except RecipeError as error:
        problem = str(error).removeprefix(f"{path}: ").partition("; remove its folder")[0]
        raise RecipeError(
            f"{path}: damaged: {problem}; remove this file, and the next start finds the micro batches again"
        ) from error


def write_micro_batch(recipe: Recipe, stage: str, found: FoundMicroBatch) -> None:
    """Add a stage to the file, which is whole at any moment."""
    stages = {**read_micro_batches(recipe).stages, stage: found}
    write_record(micro_batches_file(recipe), MicroBatches(stages=stages))


def found_micro_batches(recipe: Recipe) -> dict[str, int]:
    """Return the micro batches that were found for the stages of a recipe that say `auto`. Errors: see above."""
    if not (stages := auto_stages(recipe)):
        return {}
    found = read_micro_batches(recipe).stages
    return {stage: found[stage].micro_batch for stage in stages if stage in found}


def read_found(recipe: Recipe, stage: str) -> FoundMicroBatch | None:
    """Return how the micro batch of a stage was found; `None` if the recipe gives it. Errors: see above."""
    return read_micro_batches(recipe).stages.get(stage) if stage in auto_stages(recipe) else None


def check_covers(recipe: Recipe, stage: str, needs: Fields) -> None:
    """Check that a stage's micro batch was found for what a recipe needs.

    Args:
        recipe (`Recipe`): the run.
        stage (`str`): a stage whose micro batch was found.
        needs (`Fields`): from `training.fitting.needs`.

    Raises:
        RecipeError: with what differs.
    """
    recorded = flatten(dict(read_micro_batches(recipe).stages[stage].needs))
    now = flatten(dict(needs))
    differing = [
        f"{key}: found for {recorded.get(key)!r}, now {now.get(key)!r}"
        for key in sorted(recorded.keys() | now.keys())
        if not _covers(key, recorded.get(key), now.get(key))
    ]
    if differing:
        raise RecipeError(
            f"{micro_batches_file(recipe)}: the micro batch of {stage} was found for something else "
            f"({'; '.join(differing)}); if nothing was trained with it, remove the file and start with all recipes "
            "of the experiment (scripts/run_experiment.py); otherwise use the recipe it was found for, another "
            "experiment name, or a number"
        )


def _covers(key: str, recorded: object, now: object) -> bool:
    if recorded == now:
        return True
    if not isinstance(recorded, int) or not isinstance(now, int):
        return False
    if key == "vocabulary_size":
        return now <= recorded * (1 + _MORE_IDS)
    return key == "length" and now <= recorded
