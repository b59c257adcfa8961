"""The saved models of a run: the checkpoints of its stages and the final folder of each complete stage.

The Trainer writes directly into `checkpoint-<step>` and resumes from the highest number, whatever its state. After a
kill during a save, or with a damaged file, a run would silently continue from wrong weights. Here a checkpoint counts
only if it holds `verified.json`, which lists its files with their hashes and is written last.
"""

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.files import read_json, sha256_file, sha256_json, sha256_weights, write_json
from domain_tokens.runs.layout import COUNTS, INPUTS, MANIFEST, TRAINER_STATE, VERIFIED, checkpoint_folder, stage_paths

logger = logging.getLogger(__name__)

_TO_EVALUATE = ("config.json", "tokenizer_config.json", COUNTS)  # and the weights


@dataclass(frozen=True)
class SavedModel:
    """A model saved during training.

    Attributes:
        stage_number: the stage's index in the run, from 0.
        stage: `pretrain`, `sft_<name>` or `grpo`, the name of its folder of checkpoints.
        step: optimizer steps of that stage.
        tokens_seen: tokens that this stage has trained on, without padding.
        is_final: whether this is the stage's final folder.
        folder: the model's folder.
        inputs_sha256: hash of the stage's recorded inputs.
    """

    stage_number: int
    stage: str
    step: int
    tokens_seen: int
    is_final: bool
    folder: Path
    inputs_sha256: str

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
    models = []
    for number, (stage, paths) in enumerate(stage_paths(recipe).items()):
        found = {model.step: model for model in _checkpoints(recipe, number, stage, paths.work)}
        final = _final(number, stage, paths.final)
        if final is not None:
            found[final.step] = final
        models += [found[step] for step in sorted(found)]
    if not models:
        raise RecipeError(f"{recipe.run_dir}: no checkpoint and no trained model; run scripts/run_pretrain.py first")
    return models


def inputs_of_stages(recipe: Recipe) -> dict[str, str]:
    """Return a hash of the recorded inputs of each stage that was started, by stage name."""
    found = {}
    for stage, paths in stage_paths(recipe).items():
        if (paths.final / MANIFEST).is_file():
            found[stage] = sha256_json(read_json(paths.final / MANIFEST)["inputs"])
        elif (paths.work / INPUTS).is_file():
            found[stage] = sha256_json(read_json(paths.work / INPUTS))
    return found


def mark_complete(checkpoint: Path) -> None:
    """Write `verified.json` into a checkpoint whose other files are complete."""
    files = [path for path in checkpoint.rglob("*") if path.is_file() and path.name != VERIFIED]
    write_json(checkpoint / VERIFIED, {str(path.relative_to(checkpoint)): sha256_file(path) for path in sorted(files)})


def newest_unfinished(work: Path) -> Path | None:
    """Return the newest intact checkpoint that has steps left, or `None`.

    A run that was interrupted between its last checkpoint and its final folder repeats its last steps: resumed at the
    last step, the Trainer (transformers 5.23) would take one step too many.
    """
    while (checkpoint := newest_verified(work)) is not None:
        state = read_json(checkpoint / TRAINER_STATE)
        if state["global_step"] < state["max_steps"]:
            return checkpoint
        shutil.rmtree(checkpoint)
    return None


def newest_verified(work: Path) -> Path | None:
    """Return the newest intact checkpoint, or `None`. Newer ones that are damaged or incomplete are removed."""
    for step in sorted(_steps(work), reverse=True):
        checkpoint = checkpoint_folder(work, step)
        damage = _damage(checkpoint, to_resume=True)
        if damage is None:
            return checkpoint
        logger.warning("%s is not used: %s; removing it and resuming from an older checkpoint", checkpoint, damage)
        shutil.rmtree(checkpoint)
    return None


def _steps(work: Path) -> Iterator[int]:
    for path in work.glob("checkpoint-*"):
        step = path.name.removeprefix("checkpoint-")
        if step.isdigit():
            yield int(step)


def _damage(checkpoint: Path, to_resume: bool) -> str | None:
    """Return why a checkpoint is not intact, or `None`.

    Args:
        checkpoint (`Path`): its folder.
        to_resume (`bool`): whether to check every file. Evaluation needs only the model, not the optimizer state,
            which is twice as large as the weights.
    """
    if not (checkpoint / VERIFIED).is_file():
        return "it is incomplete"
    try:
        listed = read_json(checkpoint / VERIFIED)
    except RecipeError:
        return f"{VERIFIED} is damaged"
    for name, digest in listed.items():
        of_model = name in _TO_EVALUATE or name.endswith((".safetensors", ".safetensors.index.json"))
        if not to_resume and not of_model:
            continue
        if not (checkpoint / name).is_file():
            return f"{name} is missing"
        if sha256_file(checkpoint / name) != digest:
            return f"{name} is damaged"
    return None


def _checkpoints(recipe: Recipe, number: int, stage: str, work: Path) -> Iterator[SavedModel]:
    if not (work / INPUTS).is_file():
        return
    inputs = sha256_json(read_json(work / INPUTS))
    for step in _steps(work):
        folder = checkpoint_folder(work, step)
        damage = _damage(folder, to_resume=False)
        if damage is not None:
            logger.warning("%s is skipped: %s", folder, damage)
            continue
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
