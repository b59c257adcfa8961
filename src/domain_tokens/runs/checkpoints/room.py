"""Room on the disk for checkpoints: checked before the first step, and named when it is used up."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.checkpoints.writing import clear_interrupted, staging_folder

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PROBE_BYTES = 2**20
_BYTES_IN_CHECKPOINT = 12  # of a parameter: weight and two moments, in fp32
_BYTES_BESIDE = 8_000_000  # tokenizer, random numbers, records


def checkpoint_bytes(num_parameters: int) -> int:
    """Return the size of a checkpoint with AdamW's state, of all processes together."""
    return num_parameters * _BYTES_IN_CHECKPOINT + _BYTES_BESIDE


def check_room(work: Path, needed: int) -> None:
    """Check that there is room for two checkpoints, as one is written before the older one is removed.

    Args:
        work (`Path`): the folder of checkpoints, which exists. The checkpoints that it holds count as room.
        needed (`int`): the size of one checkpoint in bytes.

    Raises:
        RecipeError: if there is not.
    """
    free = shutil.disk_usage(work).free
    held = {file.stat().st_ino: file.stat().st_size for file in work.glob("checkpoint-*/**/*") if file.is_file()}
    if free < needed or free + sum(held.values()) < 2 * needed:
        raise RecipeError(
            f"{work}: no room for two checkpoints of {needed:,} bytes each: {free:,} bytes are free, and earlier "
            f"checkpoints of this stage have {sum(held.values()):,}; make room, choose another output_dir, or turn "
            'checkpoints off (save_strategy: "no")'
        )


@contextmanager
def full_disk(work: Path, needed: int) -> Iterator[None]:
    """Turn what is raised on a full disk into one message, after what was half written is removed.

    Args:
        work (`Path`): the folder of checkpoints.
        needed (`int`): the size of one checkpoint in bytes.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, RecipeError) or not _is_full(error, staging_folder(work)):
            raise
        with suppress(OSError):  # another process may do the same
            clear_interrupted(work)
        free = shutil.disk_usage(work).free
        raise RecipeError(
            f"{work}: the disk is full (or a quota, or a limit on the size of files): a checkpoint needs {needed:,} "
            f"bytes, {free:,} are free; earlier checkpoints are whole; make room and run the same command again"
        ) from error


def _is_full(error: BaseException | None, folder: Path) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        error = error.__cause__ or error.__context__
    # torch and safetensors write in C++ and Rust, and their errors have no number.
    probe = folder / "probe"
    try:
        probe.write_bytes(b"\0" * _PROBE_BYTES)
    except OSError as failed:
        return failed.errno in _FULL
    finally:
        with suppress(OSError):
            probe.unlink()
    return False
