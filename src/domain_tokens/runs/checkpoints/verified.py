"""Which checkpoints are whole. A checkpoint counts only if `verified.json` lists its files, and their hashes agree.

The libraries resume from the highest number, whatever its state: without its optimizer a run goes on silently from
wrong numbers, and a flipped bit is not noticed at all.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from zipfile import is_zipfile

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import read_json, sha256_file
from domain_tokens.runs.layout import ADAPTER_CONFIG, COUNTS, VERIFIED, checkpoint_folder

logger = logging.getLogger(__name__)

_OF_NOTHING = hashlib.sha256(b"").hexdigest()
_MOST_PARSED = 4 * 2**20  # bytes
_ARCHIVE = b"PK\x03\x04"

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
            empty or cut: see `damage_at_a_glance`.
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
        if by_hash and sha256_file(checkpoint / name) != digest:
            return f"{name} is {'damaged' if (checkpoint / name).stat().st_size else 'empty'}"
        if not by_hash and (damage := damage_at_a_glance(checkpoint / name, digest)):
            return f"{name} is {damage}"
    unlisted = sorted(files_of(checkpoint) - listed.keys())
    return f"{unlisted[0]} is not in {VERIFIED}" if unlisted and to_resume else None


def damage_at_a_glance(path: Path, digest: object) -> str:
    """Return how a file is damaged, as far as that is seen without reading it whole; nothing if it is not.

    It is there and not empty, weights are as long as their header says, JSON of at most 4 MB can be parsed, and an
    archive, as PyTorch writes, has its end. A file that has not changed is not looked at again.

    Args:
        path (`Path`): the file.
        digest (`object`): the SHA-256 that it should have: some files are empty.
    """
    try:
        status = path.stat()
    except OSError:
        return "missing"
    if not status.st_size:
        return "" if digest == _OF_NOTHING else "empty"
    return "damaged" if _is_cut(path, status.st_size, status.st_mtime_ns, status.st_ino) else ""


@lru_cache(maxsize=8192)
def _is_cut(path: Path, num_bytes: int, *_: int) -> bool:
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(os.fspath(path), framework="numpy"):  # compares the lengths, and reads the header alone
                return False
        except SafetensorError:
            return True
    if path.suffix == ".json" and num_bytes <= _MOST_PARSED:
        try:
            json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            return True
        return False
    with path.open("rb") as file:
        return file.read(len(_ARCHIVE)) == _ARCHIVE and not is_zipfile(file)


def is_of_model(name: str) -> bool:
    """Return whether a file of a checkpoint is needed to evaluate it, not only to resume from it."""
    return name in _OF_MODEL or name.endswith((".safetensors", ".safetensors.index.json"))


def files_of(checkpoint: Path) -> set[str]:
    """Return the files of a checkpoint by their paths in it, without the list itself."""
    return {str(path.relative_to(checkpoint)) for path in checkpoint.rglob("*") if path.is_file()} - {VERIFIED}
