"""Finds the data files that a path names: a file, the files of a folder, or those that match a pattern."""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from domain_tokens.recipe import RecipeError

SUFFIXES = (".jsonl", ".json", ".parquet", ".txt")

# What stands beside data in a folder and is none.
_NO_DATA = frozenset(
    ("", ".md", ".rst", ".html", ".pdf", ".bib", ".cff", ".png", ".jpg", ".svg", ".py", ".sh", ".ipynb")
    + (".yaml", ".yml", ".toml", ".ini", ".lock", ".log", ".sha256", ".md5")
)
_SYSTEM = ("Thumbs.db", "desktop.ini")
_ABOUT = ("readme", "license", "licence", "copying", "notice", "changelog")
_SYSTEM_FOLDERS = ("$RECYCLE.BIN", "System Volume Information", "lost+found", "@eaDir")
_MOST_NAMED = 5


def find_files(paths: Sequence[str]) -> list[Path]:
    """Return the data files that paths name, those of one path in order.

    A path that exists is that file or folder, whatever signs its name holds; otherwise it is a pattern. Of a folder,
    hidden files and folders are passed over, and so is what is no data by its suffix, such as a README.

    Raises:
        RecipeError: if a path names nothing, a file is named twice, or files are of a kind that is not read.
    """
    files: list[Path] = []
    for path in paths:
        if not (found := named(path)):
            raise RecipeError(f"path: no file {path}; expected a file, a folder or a pattern")
        for item in found:
            files.extend(sorted(_in_folder(item)) if os.path.isdir(item) else [item])
    if not files:
        raise RecipeError(f"path: no data file in {', '.join(paths)}")
    _check(files)
    return files


def named(path: str) -> list[Path]:
    """Return the files and folders of a name: the one that it is, or else those that it matches as a pattern."""
    if os.path.lexists(path):
        return [Path(path)]
    return sorted(Path(name) for name in glob.glob(_literal_as_far_as_it_exists(path), recursive=True))


def _literal_as_far_as_it_exists(pattern: str) -> str:
    """Return a pattern whose leading folders, where they exist, are names: `data[1]` in `data[1]/*.jsonl`."""
    parts = Path(pattern).parts
    number = next(n for n in range(len(parts), -1, -1) if n == 0 or os.path.lexists(Path(*parts[:n])))
    return os.path.join(glob.escape(str(Path(*parts[:number]))) if number else "", *parts[number:])


def kind_of(path: Path) -> str:
    """Return a file's suffix in small letters."""
    return path.suffix.lower()


def _in_folder(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, in linked folders too."""

    def refuse(error: OSError) -> None:
        raise RecipeError(f"path: {error.filename}: {error.strerror}") from error

    visited = set()
    for name, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        if (real := os.path.realpath(name)) in visited:
            folders.clear()  # a link to a folder above
            continue
        visited.add(real)
        folders[:] = [one for one in folders if not (_is_hidden(one) or one in _SYSTEM_FOLDERS)]
        for file in files:
            path = Path(name, file)
            is_about = kind_of(path) == ".txt" and path.stem.lower() in _ABOUT
            if not (_is_hidden(file) or kind_of(path) in _NO_DATA or file in _SYSTEM or is_about):
                yield path


def _is_hidden(name: str) -> bool:
    """Return whether a name is hidden, a folder of a system (`__MACOSX`), or an editor's copy."""
    return name.startswith((".", "__")) or name.endswith("~")


def _check(files: list[Path]) -> None:
    missing = [path for path in files if not os.path.isfile(path)]
    if missing:
        raise RecipeError(f"path: {_named(missing)}: no file, or a link to one that is not there; remove it")
    if closed := [path for path in files if not os.access(path, os.R_OK)]:
        raise RecipeError(f"path: {_named(closed)}: not readable by this user; change the permissions or move it")
    other = [path for path in files if kind_of(path) not in SUFFIXES]
    if other:
        raise RecipeError(
            f"path: {_named(other)}: expected a file of kind {', '.join(SUFFIXES)}; unpack or convert it, or name "
            "the files to read with a pattern"
        )
    times = Counter(path.resolve() for path in files)
    twice = [path for path, number in times.items() if number > 1]
    if twice:
        raise RecipeError(f"path: {_named(twice)}: named twice; expected each file once")


def _named(files: list[Path]) -> str:
    more = f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else ""
    return ", ".join(str(path) for path in files[:_MOST_NAMED]) + more
