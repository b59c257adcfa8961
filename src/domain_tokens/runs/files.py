"""Atomic file writes, file reads and hashes."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from domain_tokens.recipe import RecipeError

_LOCKS: dict[Path, IO[str]] = {}


def lock(path: Path) -> None:
    """Hold a lock file until this process ends, so that no two processes write to one folder.

    The system releases the lock however the process ends. Nothing is locked on Windows.

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
    except OSError:
        file.close()
        raise RecipeError(
            f"{path.parent}: another process is writing to it; wait until it has ended, or end it, and run again"
        ) from None
    _LOCKS[resolved] = file


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait until no other process holds a lock file, and hold it inside the block. Nothing is locked on Windows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: damaged ({error}); remove its folder and run the stage again") from error
