"""Trackers of experiments (`report_to`): checked before work begins, and runs named alike in all of them."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from pydantic import JsonValue
from transformers import Trainer, TrainingArguments
from transformers.integrations import TensorBoardCallback, get_reporting_integration_callbacks

from domain_tokens.recipe import Recipe, RecipeError, first_line

_IN_EXTRA = ("tensorboard", "trackio")
_FOLDER = "tensorboard"  # in an experiment's folder


def run_name(recipe: Recipe, stage: str) -> str:
    """Return the name of a stage in a tracker: experiment, condition, seed and stage.

    Args:
        recipe (`Recipe`): the run.
        stage (`str`): a name from `stage_paths`.
    """
    return f"{recipe.experiment}/{recipe.condition}/seed_{recipe.seed}/{stage}"


def tracker_names(recipe: Recipe, stage: str, section: Mapping[str, object]) -> dict[str, JsonValue]:
    """Return what trackers call the run, unless the recipe's section names it.

    Args:
        recipe (`Recipe`): the run.
        stage (`str`): a name from `stage_paths`.
        section (`Mapping[str, object]`): the arguments that the recipe gives.
    """
    names = {"project": recipe.experiment, "run_name": run_name(recipe, stage)}
    return {key: name for key, name in names.items() if section.get(key) is None}


def check_trackers(section: str, arguments: TrainingArguments) -> None:
    """Check that every tracker of `report_to` is known and installed.

    Args:
        section (`str`): the section's name, for messages.
        arguments (`TrainingArguments`): the parsed section.

    Raises:
        RecipeError: naming the tracker and how to install it.
    """
    for name in arguments.report_to:
        if name in _IN_EXTRA and find_spec(name) is None:
            raise RecipeError(
                f"{section}.report_to: {name} is not installed; install it (pip install -e '.[trackers]'), or set "
                f"{section}.report_to=none"
            )
        try:
            for kind in get_reporting_integration_callbacks([name]):
                kind()
        except (RuntimeError, ImportError, ValueError, AssertionError) as error:
            raise RecipeError(f"{section}.report_to: {first_line(error)}") from error


def name_tensorboard(trainer: Trainer, recipe: Recipe, stage: str) -> None:
    """Name the folder of TensorBoard's events; by itself, the library names it for the time and the machine.

    The folders lie in the experiment's, or in `TENSORBOARD_LOGGING_DIR`.

    Args:
        trainer (`Trainer`): the trainer, whose callbacks exist.
        recipe (`Recipe`): the run.
        stage (`str`): a name from `stage_paths`.
    """
    named = os.environ.get("TENSORBOARD_LOGGING_DIR")
    root = Path(named).expanduser() if named else recipe.experiment_dir / _FOLDER
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, TensorBoardCallback):
            callback.logging_dir = str(root / run_name(recipe, stage))
