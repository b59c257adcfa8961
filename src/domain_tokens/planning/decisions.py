"""Decides what would be done with a folder whose prerequisites are complete."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from domain_tokens.evaluation.modes import check_tasks, evaluation_inputs
from domain_tokens.recipe import Recipe, RecipeError, flatten, read_resolved, to_dict, to_yaml
from domain_tokens.recipe.values.effective import effective
from domain_tokens.runs.files import read_json
from domain_tokens.runs.layout import INPUTS, MANIFEST, RUN_CONFIG
from domain_tokens.runs.records import EvaluationManifest, Manifest
from domain_tokens.runs.stage_folder import StageFolder

Action = Literal["run", "resume", "skip", "refuse", "wait"]


def decide_stage(make: Callable[[], StageFolder], work: Path | None = None) -> tuple[Action, str]:
    """Return what a stage would do with its folder, and why.

    Args:
        make: returns the folder with its inputs.
        work (`Path`, *optional*): where unfinished work records its inputs.

    Raises:
        RecipeError: if the stage would refuse to run; the message is the stage's own.
    """
    stage = make()
    if stage.is_complete():
        return "skip", "complete, with the same inputs"
    if work is None or not (work / INPUTS).is_file():
        return "run", "not started"
    stage.refuse_other(read_json(work / INPUTS), work, unfinished=True)
    steps = [int(number) for path in work.glob("checkpoint-*") if (number := path.name.rpartition("-")[2]).isdigit()]
    if not steps:
        return "resume", "from its start, since no step was saved before it was interrupted"
    return "resume", f"from step {max(steps)}, the last saved, or an earlier one if that cannot be used"


def decide_evaluation(recipe: Recipe, folder: Path) -> tuple[Action, str]:
    """Return what an evaluation would do, and why. It never refuses changed inputs; it evaluates again.

    Args:
        recipe (`Recipe`): the run.
        folder (`Path`): the folder of results.

    Raises:
        RecipeError: if the data of a task is not specified or missing.
    """
    check_tasks(recipe)
    if not (folder / MANIFEST).is_file():
        return (
            ("resume", "started; results with unchanged inputs are kept")
            if folder.is_dir()
            else ("run", "not started")
        )
    manifest = EvaluationManifest.parse(read_json(folder / MANIFEST), folder / MANIFEST)
    if not all((folder / name).is_file() for name in manifest.files):
        return "resume", "results are missing; results with unchanged inputs are kept"
    recorded = manifest.inputs
    weights = {name: _weights(recipe.run_dir / name) for name in _mapping(recorded.get("weights"))}
    same_recipe = _is_of(folder / RUN_CONFIG, recipe)
    if same_recipe and recorded == evaluation_inputs(recipe, weights):
        return "skip", "complete, with the same recipe, weights, data and tasks"
    changed = "recipe" if not same_recipe else "weights" if recorded.get("weights") != weights else "data or a task"
    return "resume", f"the {changed} changed since; results with unchanged inputs are kept"


def _is_of(path: Path, recipe: Recipe) -> bool:
    """Return whether a resolved recipe is the given one, whether or not it spells out defaults."""
    if _read_text(path) == to_yaml(recipe):
        return True
    try:
        return effective(read_resolved(path)) == effective(flatten(to_dict(recipe)))
    except RecipeError:
        return False


def _weights(folder: Path) -> str | None:
    if not (folder / MANIFEST).is_file():
        return None
    return Manifest.parse(read_json(folder / MANIFEST), folder / MANIFEST).weights_sha256


def _mapping(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _read_text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
