"""Which checkpoints are whole. A checkpoint counts only if `verified.json` lists its files, and their hashes agree.

The libraries resume from the highest number, whatever its state: without its optimizer a run goes on silently from
wrong numbers, and a flipped bit is not noticed at all.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import read_json, sha256_file
from domain_tokens.runs.layout import ADAPTER_CONFIG, COUNTS, VERIFIED, checkpoint_folder

logger = logging.getLogger(__name__)

# What a model consists of, beside its weights.
_OF_MODEL = (
    "config.json", "generation_config.json", ADAPTER_CONFIG, "tokenizer.json", "tokenizer_config.json",
    "certificate.json", COUNTS,
)  # fmt: skip


def newest_whole(work: Path) -> Path | None:
    """Return the newest whole checkpoint to resume from, or `None`.

    Newer ones that are damaged or incomplete are named with the reason and then removed, so that none of them counts
    among those that are kept.
    """
    passed_over = []
    found = None
    for step in sorted(saved_steps(work), reverse=True):
        checkpoint = checkpoint_folder(work, step)
        damage = damage_of(checkpoint, to_resume=True)
        if damage is None:
            found = checkpoint
            break
        passed_over.append(checkpoint)
        logger.warning("%s is not used: %s", checkpoint, damage)
    if passed_over and found is None:
        logger.warning("%s: no checkpoint is whole; the stage begins again with its first step", work)
    for checkpoint in passed_over:
        shutil.rmtree(checkpoint)
    return found


def saved_steps(work: Path, kind: str = "checkpoint") -> Iterator[int]:
    """Yield the steps of the checkpoints in a folder, whole or not; of `weights`, of the models kept for good."""
    for path in work.glob(f"{kind}-*"):
        step = path.name.removeprefix(f"{kind}-")
        if step.isdigit():
            yield int(step)


def damage_of(checkpoint: Path, to_resume: bool, by_hash: bool = True) -> str | None:
    """Return why a checkpoint is not whole, or `None`.

    Args:
        checkpoint (`Path`): its folder.
        to_resume (`bool`): whether to check every file. Evaluation needs only the model, not the optimizer state,
            which is twice as large as the weights.
        by_hash (`bool`, *optional*, defaults to `True`): whether to read all files. Otherwise none may be missing or
            empty, and weights must be as long as their header says, which takes a millisecond at any size.
    """
    if not (checkpoint / VERIFIED).is_file():
        return f"it is incomplete: it has no {VERIFIED}"
    try:
        listed = read_json(checkpoint / VERIFIED)
    except RecipeError:
        return f"{VERIFIED} is damaged"
    if not isinstance(listed, dict) or not listed:
        return f"{VERIFIED} is damaged"
    for name, digest in listed.items():
        if not to_resume and not is_of_model(name):
            continue
        if not (checkpoint / name).is_file():
            return f"{name} is missing"
        if sha256_file(checkpoint / name) != digest if by_hash else _is_short(checkpoint / name, digest):
            return f"{name} is {'damaged' if (checkpoint / name).stat().st_size else 'empty'}"
    unlisted = sorted(files_of(checkpoint) - listed.keys())
    return f"{unlisted[0]} is not in {VERIFIED}" if unlisted and to_resume else None


def _is_short(path: Path, digest: str) -> bool:
    """Return whether a file is empty and was not, or has not the length that the header of its weights says."""
    size = path.stat().st_size
    if size == 0:
        return digest != hashlib.sha256(b"").hexdigest()
    if path.suffix != ".safetensors":
        return False
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="numpy"):  # compares the lengths, and reads the header alone
            return False
    except SafetensorError:
        return True


def is_of_model(name: str) -> bool:
    """Return whether a file of a checkpoint is needed to evaluate it, not only to resume from it."""
    return name in _OF_MODEL or name.endswith((".safetensors", ".safetensors.index.json"))


def files_of(checkpoint: Path) -> set[str]:
    """Return the files of a checkpoint by their paths in it, without the list itself."""
    return {str(path.relative_to(checkpoint)) for path in checkpoint.rglob("*") if path.is_file()} - {VERIFIED}
