"""The points of a run at which its model was saved: whole checkpoints, and the final folders of complete stages.

Training writes the hashes of a checkpoint's files into `verified.json`, last of all; a checkpoint without it was cut
short. A stage's final folder is its last point.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.files import read_json, sha256_file, sha256_json, sha256_weights
from domain_tokens.runs.layout import COUNTS, INPUTS, MANIFEST, VERIFIED

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Point:
    """A saved model on a run's way.

    Attributes:
        stage_number: the stage's place in the run, from 0.
        stage: `pretrain`, `sft_<name>` or `grpo`, as the folders of checkpoints are named.
        step: optimizer steps of that stage.
        tokens_seen: tokens that this stage has trained on, without padding.
        is_final: whether the stage ended there.
        folder: where the model is.
        inputs_sha256: hash of what the stage is made from.
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
        """The name of its results: with the step in seven digits, in which names sort as steps do."""
        return f"{self.stage}-{self.step:07d}"


def find_points(recipe: Recipe) -> list[Point]:
    """Return the saved models of a run in the order in which they were trained.

    A checkpoint that is not whole is left out with a warning. At the step of a final folder, that folder counts.

    Raises:
        RecipeError: if there is none, or the weights of a final folder are not those of its manifest.
    """
    points = []
    for number, (stage, final_folder) in enumerate(stages(recipe)):
        found = {point.step: point for point in _checkpoints(recipe, number, stage)}
        final = _final(number, stage, final_folder)
        if final is not None:
            found[final.step] = final
        points += [found[step] for step in sorted(found)]
    if not points:
        raise RecipeError(f"{recipe.run_dir}: no checkpoint and no trained model; run scripts/run_pretrain.py first")
    return points


def stages(recipe: Recipe) -> Iterator[tuple[str, Path]]:
    """Yield a run's stages in the order of training: the name of its folder of checkpoints, and its final folder."""
    yield "pretrain", recipe.run_dir / "pretrain_final"
    for number, stage in enumerate(recipe.sft_stages, start=1):
        is_last = number == len(recipe.sft_stages)
        yield f"sft_{stage.name}", recipe.run_dir / ("sft_final" if is_last else f"sft_{stage.name}")
    yield "grpo", recipe.run_dir / "grpo_final"


def inputs_of_stages(recipe: Recipe) -> dict[str, str]:
    """Return a hash of what each stage that was begun is made from, by the stage's name."""
    found = {}
    for stage, final in stages(recipe):
        work = recipe.run_dir / "checkpoints" / stage / INPUTS
        if (final / MANIFEST).is_file():
            found[stage] = sha256_json(read_json(final / MANIFEST)["inputs"])
        elif work.is_file():
            found[stage] = sha256_json(read_json(work))
    return found


def _checkpoints(recipe: Recipe, number: int, stage: str) -> Iterator[Point]:
    work = recipe.run_dir / "checkpoints" / stage
    if not (work / INPUTS).is_file():
        return
    inputs = sha256_json(read_json(work / INPUTS))
    for folder in work.glob("checkpoint-*"):
        step = folder.name.rpartition("-")[2]
        if not step.isdigit():
            continue
        damage = _damage(folder)
        if damage is not None:
            logger.warning("%s is left out: %s", folder, damage)
            continue
        counts = read_json(folder / COUNTS)
        tokens = counts["tokens"] - counts["padding_tokens"]
        if stage == "pretrain":  # counts nothing: every step has as many tokens as the recipe says
            tokens = int(step) * recipe.budget.pretrain_tokens_per_step
        yield Point(number, stage, int(step), tokens, False, folder, inputs)


def _damage(folder: Path) -> str | None:
    """Return why a checkpoint is not whole, or `None`; what is needed to resume from it is not looked at."""
    if not (folder / VERIFIED).is_file():
        return "it was not completely written"
    try:
        listed = read_json(folder / VERIFIED)
    except RecipeError:
        return f"{VERIFIED} is damaged"
    needed = ("config.json", "tokenizer_config.json", COUNTS)
    for name, digest in listed.items():
        if name in needed or name.endswith((".safetensors", ".safetensors.index.json")):
            if not (folder / name).is_file():
                return f"{name} is missing"
            if sha256_file(folder / name) != digest:
                return f"{name} is damaged"
    return None


def _final(number: int, stage: str, folder: Path) -> Point | None:
    if not (folder / MANIFEST).is_file():
        return None
    manifest = read_json(folder / MANIFEST)
    if sha256_weights(folder) != manifest["reported"]["weights_sha256"]:
        raise RecipeError(
            f"{folder}: its weights are not those of its manifest, damaged or exchanged; remove the folder and train "
            "the stage again"
        )
    entry = manifest["ledger"][-1]
    tokens = entry["tokens"] - entry["padding_tokens"]
    return Point(number, stage, entry["steps"], tokens, True, folder, sha256_json(manifest["inputs"]))
