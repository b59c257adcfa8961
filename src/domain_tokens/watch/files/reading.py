"""Reads files that other processes are writing: what is half written, damaged or gone is left out."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue

from domain_tokens.analysis.report.formats import printable
from domain_tokens.recipe import RecipeError, read_resolved
from domain_tokens.runs.records import Fields

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_TAIL_BYTES = 32_768
_LONGEST_LINE = 500  # characters

T = TypeVar("T")
Stamp = tuple[int, int, int]
"""A file's inode, size and time of change: a file with the same ones is not read again."""


def clean(text: str) -> str:
    """Return a line without colours and other orders to a terminal, and with a sign in place of control characters."""
    return printable(_ESCAPE.sub("", text.replace("\t", "    ")))


class Reader:
    """Reads files once for as long as they do not change. One reader serves all looks at an experiment."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, str], tuple[Stamp, object]] = {}

    def fields(self, path: Path) -> Fields | None:
        """Return the JSON object in a file; `None` if there is none, whatever the reason."""
        return self._read(path, "fields", _parse)

    def recipe(self, path: Path) -> dict[str, object] | None:
        """Return a resolved recipe by dotted key; `None` if there is none that can be read."""

        def parse(path: Path) -> dict[str, object] | None:
            try:
                return dict(read_resolved(path))
            except RecipeError:
                return None

        return self._read(path, "recipe", parse)

    def lines_as(self, path: Path, parse: Callable[[list[str]], T]) -> T:
        """Return what a function makes of the whole lines of a text that are written so far, none if it is not there.

        Nobody may change what it returns.
        """
        found = self._read(path, "lines", lambda path: parse(_whole_lines(path)))
        return parse([]) if found is None else found

    def _read(self, path: Path, kind: str, parse: Callable[[Path], T | None]) -> T | None:
        """Return what a file says, parsed again only when it has changed."""
        try:
            stamp = stamp_of(path)
            known = self._known.get((path, kind))
            if known is None or known[0] != stamp:
                known = stamp, parse(path)
                self._known[path, kind] = known
        except OSError:  # it was not there, or went between two looks
            self._known.pop((path, kind), None)
            return None
        return known[1]  # type: ignore[return-value]  # of this kind


def stamp_of(path: Path) -> Stamp:
    """Return by what a changed file is known. Raises `OSError` if it is not there."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def changed_at(path: Path) -> float | None:
    """Return when a file was last written, in seconds since 1970; `None` if it is not there."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def tail(path: Path, num_lines: int) -> list[str]:
    """Return the last lines of a log that are not empty, cleaned; of a bar drawn over itself, its last state."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    lines = [clean(line.rstrip("\r").rpartition("\r")[2]).rstrip() for line in text.split("\n")]
    return [_cut(line) for line in lines if line.strip()][-num_lines:]


def folders(folder: Path, pattern: str) -> list[Path]:
    """Return the folders of a pattern, sorted by name with numbers in order; none if the folder is gone."""
    try:
        found = [path for path in folder.glob(pattern) if path.is_dir()]
    except OSError:
        return []
    return sorted(found, key=lambda path: [(len(part), part) for part in re.split(r"(\d+)", path.name)])


def number(value: object) -> float | None:
    """Return a value that is a number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None


def part_of(value: JsonValue | Fields, *keys: str) -> JsonValue | Fields:
    """Return what stands under keys, one within the other; `None` where a key is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} [...]"


def _parse(path: Path) -> Fields | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _whole_lines(path: Path) -> list[str]:
    text = path.read_bytes().decode("utf-8", errors="replace")
    return [clean(line) for line in text.split("\n")[:-1]]
