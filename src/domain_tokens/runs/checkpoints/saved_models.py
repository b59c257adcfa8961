"""The saved models of a run: the checkpoints of its stages and the final folder of each complete stage."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.checkpoints.verified import damage_of, saved_steps
from domain_tokens.runs.files import read_json, sha256_json, sha256_weights
from domain_tokens.runs.layout import (
    COUNTS,
    INPUTS,
    MANIFEST,
    checkpoint_folder,
    made_by,
    stage_paths,
    start_folder,
    weights_folder,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SavedModel:
    """A model saved during training.

    Attributes:
        stage_number: the stage's index among all that lead to the run's last model, from 0 for pretraining.
        stage: `pretrain`, `sft_<name>` or `grpo`, the name of its folder of checkpoints.
        step: optimizer steps of that stage.
        tokens_seen: tokens that this stage has trained on, without padding.
        is_final: whether this is the stage's final folder.
        folder: the model's folder.
        inputs_sha256: hash of the stage's recorded inputs.
        rests_on: the model with which the stage began. A checkpoint that holds adapters alone is one only with it.
    """

    stage_number: int
    stage: str
    step: int
    tokens_seen: int
    is_final: bool
    folder: Path
    inputs_sha256: str
    rests_on: Path | None = None

    @property
    def name(self) -> str:
        """The name of its results. The step has seven digits, so that names sort by step."""
        return f"{self.stage}-{self.step:07d}"


def find_saved_models(recipe: Recipe) -> list[SavedModel]:
    """Return the saved models of a run in training order.

    A damaged or incomplete checkpoint is skipped with a warning. A final folder replaces the checkpoint of the same
    step.

    Raises:
        RecipeError: if there is none, or the weights in a final folder do not match its manifest.
    """
    models: list[SavedModel] = []
    before, numbers = start_folder(recipe), list(recipe.all_model_folders)
    for stage, paths in stage_paths(recipe).items():
        number = numbers.index(stage)
        saved = _checkpoints(recipe, number, stage, paths.work)
        found = {model.step: replace(model, rests_on=before) for model in saved}
        before = paths.final
        final = _final(number, stage, paths.final)
        if final is not None:
            found[final.step] = final
        models += [found[step] for step in sorted(found)]
    if not models:
        raise RecipeError(f"{recipe.run_dir}: no checkpoint and no trained model; run {_first_script(recipe)} first")
    return models


def _first_script(recipe: Recipe) -> str:
    return made_by(next(iter(recipe.model_folders.values())))


def inputs_of_stages(recipe: Recipe) -> dict[str, str]:
    """Return a hash of the recorded inputs of each stage that was started, by stage name."""
    found = {}
    for stage, paths in stage_paths(recipe).items():
        if (paths.final / MANIFEST).is_file():
            found[stage] = sha256_json(read_json(paths.final / MANIFEST)["inputs"])
        elif (paths.work / INPUTS).is_file():
            found[stage] = sha256_json(read_json(paths.work / INPUTS))
    return found


def _checkpoints(recipe: Recipe, number: int, stage: str, work: Path) -> Iterator[SavedModel]:
    if not (work / INPUTS).is_file():
        return
    inputs = sha256_json(read_json(work / INPUTS))
    kept = [weights_folder(work, step) for step in saved_steps(work, "weights")]
    # Of a step with both, the checkpoint comes last and counts, unless it is damaged.
    for folder in (*kept, *(checkpoint_folder(work, step) for step in saved_steps(work))):
        damage = damage_of(folder, to_resume=False)
        if damage is not None:
            logger.warning("%s is skipped: %s", folder, damage)
            continue
        step = int(folder.name.rpartition("-")[2])
        counts = read_json(folder / COUNTS)
        tokens = counts["tokens"] - counts["padding_tokens"]
        if stage == "pretrain":  # pretraining does not count: every step has the recipe's number of tokens
            tokens = step * recipe.budget.pretrain_tokens_per_step
        yield SavedModel(number, stage, step, tokens, False, folder, inputs)


def _final(number: int, stage: str, folder: Path) -> SavedModel | None:
    if not (folder / MANIFEST).is_file():
        return None
    manifest = read_json(folder / MANIFEST)
    if sha256_weights(folder) != manifest["reported"]["weights_sha256"]:
        raise RecipeError(
            f"{folder}: the weights do not match the manifest; they were damaged or replaced; remove the folder and "
            "train the stage again"
        )
    entry = manifest["ledger"][-1]
    tokens = entry["tokens"] - entry["padding_tokens"]
    return SavedModel(number, stage, entry["steps"], tokens, True, folder, sha256_json(manifest["inputs"]))
