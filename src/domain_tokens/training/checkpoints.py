"""Checkpoints that can be trusted: every one is listed with its hashes, and only one that verifies is resumed from.

The Trainer writes straight into `checkpoint-N` and resumes from the highest number, whatever state it is in. A run
that is killed while it saves, or a damaged file, would go on from wrong weights without a word. Here a checkpoint
counts once `verified.json` stands in it, which is written last.
"""

import logging
import shutil
from pathlib import Path

from transformers import (
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import read_json, sha256_file, write_json
from domain_tokens.runs.layout import VERIFIED
from domain_tokens.tokenization.builder import seal_tokenizer

logger = logging.getLogger(__name__)


class VerifyCheckpoints(TrainerCallback):
    """Lists each checkpoint's files and hashes after all processes have written theirs."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        """Write `verified.json` into the newest checkpoint."""
        from accelerate import PartialState

        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
            if (folder / "tokenizer_config.json").is_file():
                seal_tokenizer(folder)
            write_json(folder / VERIFIED, {name: sha256_file(folder / name) for name in _files(folder)})


def newest_unfinished(folder: Path) -> Path | None:
    """Return the newest whole checkpoint with steps left to take, or None.

    A run that was cut between its last checkpoint and its final folder takes its last steps again: resumed at its end,
    the Trainer (transformers 5.23) would take one step too many.
    """
    while (checkpoint := newest_verified(folder)) is not None:
        state = read_json(checkpoint / "trainer_state.json")
        if state["global_step"] < state["max_steps"]:
            return checkpoint
        shutil.rmtree(checkpoint)
    return None


def newest_verified(folder: Path) -> Path | None:
    """Return the newest checkpoint that is whole, or None; what is newer and is not whole is removed."""
    numbered = sorted(
        (path for path in folder.glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit()),
        key=lambda path: int(path.name.rpartition("-")[2]),
        reverse=True,
    )
    for path in numbered:
        damage = _damage(path)
        if damage is None:
            return path
        logger.warning("%s is not used: %s; it is removed and an older one resumed from", path, damage)
        shutil.rmtree(path)
    return None


def _damage(folder: Path) -> str | None:
    if not (folder / VERIFIED).is_file():
        return "it was not completely written"
    try:
        listed = read_json(folder / VERIFIED)
    except RecipeError:
        return f"{VERIFIED} is damaged"
    for name, digest in listed.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if sha256_file(folder / name) != digest:
            return f"{name} is damaged"
    return None


def _files(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != VERIFIED
    )
