"""Writes checkpoints that exist whole or not at all, and removes them in the same way.

A checkpoint is written in the folder `saving`, beside the others. Its files are flushed to the disk and listed with
their hashes in `verified.json`, and only then the folder gets its name. One that is removed loses its name first. So a
folder with the name of a checkpoint is whole at every moment, and the older one is there until the newer one is.
"""

import os
import shutil
from pathlib import Path

from domain_tokens.runs.checkpoints.verified import files_of, is_of_model
from domain_tokens.runs.files import link_file, sha256_file, write_json
from domain_tokens.runs.layout import EXTRA, VERIFIED, checkpoint_folder, weights_folder

_SAVING, _REMOVING = "saving", "removing"


def clear_interrupted(work: Path) -> None:
    """Remove what an interrupted save or removal has left in a folder of checkpoints."""
    for left in (work / _SAVING, *work.glob(f"{_REMOVING}-*")):
        if left.exists():
            shutil.rmtree(left)


def begin_checkpoint(work: Path) -> None:
    """Make the folder in which the next checkpoint is written.

    Args:
        work (`Path`): the folder of checkpoints.
    """
    clear_interrupted(work)
    (work / _SAVING).mkdir(parents=True)


def staging_folder(work: Path) -> Path:
    """Return the folder in which the next checkpoint is written, under the name that it will have."""
    return work / _SAVING


def mark_extra(folder: Path) -> None:
    """Mark a checkpoint that is being written as one that only an interrupted run has; see `retention.remove_old`."""
    write_json(folder / EXTRA, True)


def finish_checkpoint(work: Path, step: int, keeps_weights: bool) -> None:
    """Flush, list and name the checkpoint that was written to `staging_folder`.

    Args:
        work (`Path`): the folder of checkpoints.
        step (`int`): its optimizer step.
        keeps_weights (`bool`): whether its model is also kept in a folder of its own, which no rotation removes. Its
            files are links where the file system has them.
    """
    staged = checkpoint_folder(work / _SAVING, step)
    _list(staged)
    if keeps_weights:
        # Before the checkpoint has its name: a run that is interrupted here makes both again.
        weights = weights_folder(work / _SAVING, step)
        weights.mkdir()
        for name in sorted(files_of(staged)):
            if is_of_model(name):
                link_file(staged / name, weights / name)
        _list(weights)
        _name(weights, weights_folder(work, step))
    _name(staged, checkpoint_folder(work, step))
    (work / _SAVING).rmdir()


def remove_checkpoint(checkpoint: Path) -> None:
    """Remove a checkpoint. An interruption leaves it whole, or under a name that is none of a checkpoint."""
    nameless = checkpoint.with_name(f"{_REMOVING}-{checkpoint.name}")
    if nameless.exists():
        shutil.rmtree(nameless)
    checkpoint.rename(nameless)
    _flush(checkpoint.parent)
    shutil.rmtree(nameless)


def _list(staged: Path) -> None:
    """Flush the files of a folder to the disk, and list them."""
    names = sorted(files_of(staged))
    for name in names:
        _flush(staged / name)
    write_json(staged / VERIFIED, {name: sha256_file(staged / name) for name in names})
    for folder in (*(path for path in staged.rglob("*") if path.is_dir()), staged):
        _flush(folder)


def _name(staged: Path, named: Path) -> None:
    """Give a folder its name, in place of one that was damaged or is made again."""
    if named.exists():
        remove_checkpoint(named)
    staged.rename(named)
    _flush(named.parent)


def _flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
