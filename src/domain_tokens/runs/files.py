"""Atomic file writes, file reads and hashes."""

import errno
import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from domain_tokens.recipe import RecipeError

logger = logging.getLogger(__name__)

_LOCKS: dict[Path, IO[str]] = {}
_HELD = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK)  # how a system says that another process holds a lock


def lock(path: Path) -> None:
    """Hold a lock file until this process ends, so that no two processes write to one folder.

    The system releases the lock however the process ends. Nothing is locked on Windows, nor by a file system that has
    no locks.

    Raises:
        RecipeError: if another process holds it.
    """
    resolved = path.resolve()
    if resolved in _LOCKS or sys.platform == "win32":
        return
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            file.close()
            raise RecipeError(
                f"{path.parent}: another process is writing to it; wait until it has ended, or end it, and run again"
            ) from None
        logger.warning("%s: not locked, the file system has no locks; start no second process there", path.parent)
    _LOCKS[resolved] = file


def _let_go() -> None:
    """Close the lock files in a forked child: one that outlives a killed parent must not hold them for it."""
    for file in _LOCKS.values():
        file.close()
    _LOCKS.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_let_go)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait until no other process holds a lock file, and hold it inside the block. `lock` says where none is held."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        if sys.platform != "win32":
            import fcntl

            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def link_files(source: Path, target: Path) -> None:
    """Make a folder with the files of another, as links where the file system has them, and otherwise as copies."""
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir()):
        link_file(file, target / file.name)


def link_file(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:  # exFAT, SMB and many mounted folders have no hard links
        shutil.copyfile(source, target)


def link_folder(target: Path, place: Path) -> None:
    """Link a folder that exists or will.

    Raises:
        RecipeError: if something else is in its place, or the file system has no symbolic links.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        place.unlink()
    try:
        place.symlink_to(target.resolve(), target_is_directory=True)
    except OSError as error:
        raise RecipeError(
            f"{place}: no link to {target} can be made: {error.strerror or error}; expected nothing in its place, and "
            "an output_dir on a file system with symbolic links"
        ) from error


def make_folder(path: Path) -> None:
    """Create a folder and those above it. Raises `RecipeError` if nothing may be written there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(
            f"output_dir: {path} cannot be created: {error.strerror}; expected a folder that can be written to"
        ) from error


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file's content. Raises `RecipeError` if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RecipeError(f"{path}: not readable: {error.strerror or error}") from error


def sha256_json(value: Any) -> str:
    """Return the sha256 of a value serialized as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def sha256_weights(folder: Path) -> str:
    """Return one hash of all safetensors files in a model folder."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise RecipeError(f"{folder}: found no safetensors file; expected a saved model")
    return sha256_json([[file.name, sha256_file(file)] for file in files])


def write_text(path: Path, text: str) -> None:
    """Write a file atomically: an interruption leaves either the old or the new content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically: an interruption leaves either the old or the new content."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises `RecipeError` if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such file; run the stage that writes it first") from None
    except (ValueError, OSError, RecursionError) as error:
        raise RecipeError(f"{path}: damaged ({error}); remove its folder and run the stage again") from error
