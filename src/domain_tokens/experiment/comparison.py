"""Decides whether a comparison is up to date, from hashes of everything it read and wrote."""

import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import read_json, sha256_file, sha256_json, write_json
from domain_tokens.runs.layout import LOOKS, PREREGISTRATION, PREREGISTRATION_LOCK, SEARCHES

RECORD = "comparison.json"

# Files of the experiment that a comparison reads, and its own record.
_NOT_WRITTEN = {RECORD, PREREGISTRATION, LOOKS, PREREGISTRATION_LOCK}

# Files that a comparison does not read: weights, optimizer states, token shards; and plots.
_NOT_READ = {".safetensors", ".pt", ".pth", ".bin", ".ds", ".npy", ".npz", ".index", ".png"}

_PACKAGE = Path(__file__).parents[1]
_LIBRARIES = ("numpy", "scipy", "statsmodels", "matplotlib")


class Comparison(NamedTuple):
    """The comparison of an experiment's conditions.

    Attributes:
        experiment_dir (`Path`): the output folder.
        conditions (`tuple[Path, ...]`): the conditions' folders, the reference first.
        prereg (`Path`): the preregistration.
    """

    experiment_dir: Path
    conditions: tuple[Path, ...]
    prereg: Path

    def is_current(self) -> bool:
        """Return whether the inputs, the code, the libraries and the outputs are unchanged since it was recorded."""
        record = self.experiment_dir / RECORD
        try:
            recorded = read_json(record)
        except RecipeError:  # missing or damaged: nothing is known, so compare again
            return False
        if not isinstance(recorded, dict) or not isinstance(recorded.get("outputs"), dict):
            return False
        outputs = {name: _sha256(self.experiment_dir / name) for name in recorded["outputs"]}
        return bool(recorded.get("inputs_sha256") == self._inputs() and recorded["outputs"] == outputs)

    def record(self) -> None:
        """Record hashes of the inputs and the outputs."""
        outputs = {str(path.relative_to(self.experiment_dir)): _sha256(path) for path in self._written()}
        write_json(self.experiment_dir / RECORD, {"inputs_sha256": self._inputs(), "outputs": outputs})

    def _inputs(self) -> str:
        looked = [[name, _sha256(self.experiment_dir / name)] for name in (PREREGISTRATION, LOOKS)]
        folders = (*self.conditions, *sorted(self.experiment_dir.glob("documents_*")))
        files = [[str(path.relative_to(self.experiment_dir)), _sha256(path)] for path in _read_files(folders)]
        code = [[str(path.relative_to(_PACKAGE)), _sha256(path)] for path in _read_files([_PACKAGE])]
        libraries = [platform.python_version(), *(version(name) for name in _LIBRARIES)]
        return sha256_json([list(map(str, self.conditions)), files, looked, _sha256(self.prereg), code, libraries])

    def _written(self) -> Iterator[Path]:
        for path in sorted(self.experiment_dir.iterdir()):
            if path.is_file() and path.name not in _NOT_WRITTEN:
                yield path
            elif path.is_dir() and not path.name.startswith(("exp_", "documents_", "logs", SEARCHES)):
                yield from sorted(file for file in path.rglob("*") if file.is_file())


def _read_files(folders: "list[Path] | tuple[Path, ...]") -> Iterator[Path]:
    for folder in folders:
        # Links are followed: a run may lie on another disk.
        walked = (Path(root, name) for root, _, names in os.walk(folder, followlinks=True) for name in names)
        for path in sorted(walked):
            if path.is_file() and path.suffix not in _NOT_READ and "__pycache__" not in path.parts:
                yield path


def _sha256(path: Path) -> str | None:
    return sha256_file(path) if path.is_file() else None
