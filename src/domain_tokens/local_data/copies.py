"""Finds files that are the same byte for byte, such as `train (1).jsonl` beside `train.jsonl`."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cache
from pathlib import Path

from domain_tokens.recipe import RecipeError

_BEGINNING = 65536  # bytes


def two_copies(files: Sequence[Path]) -> tuple[Path, Path] | None:
    """Return the first two files with the same content, or `None`. Files without rows are no copies.

    Only files of equal size are opened, and only those that begin alike are read to their end, once a process.

    Raises:
        RecipeError: if a file cannot be read.
    """
    try:
        for sized in _equal(files, lambda path: path.stat().st_size):
            for begun in _equal(sized, _beginning):
                for one, other, *_ in _equal(begun, _content):
                    if _has_rows(one):
                        return one, other
    except OSError as error:
        raise RecipeError(f"path: {error.filename}: not readable: {error.strerror or error}") from error
    return None


def _equal(files: Iterable[Path], key: Callable[[Path], Hashable]) -> list[list[Path]]:
    groups = defaultdict(list)
    for path in files:
        groups[key(path)].append(path)
    return [group for group in groups.values() if len(group) > 1]


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_BEGINNING)


def _content(path: Path) -> str:
    found = path.stat()
    return _hash(path, found.st_size, found.st_mtime_ns)


@cache
def _hash(path: Path, _size: int, _changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _has_rows(path: Path) -> bool:
    if path.suffix.lower() != ".parquet":
        return bool(_beginning(path).strip())
    import pyarrow  # a slow import that is seldom needed
    from pyarrow import parquet

    try:
        return parquet.read_metadata(path).num_rows > 0
    except pyarrow.ArrowException:
        return True  # damaged, which is said where it is read
