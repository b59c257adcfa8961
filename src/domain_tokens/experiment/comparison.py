"""Whether a comparison is still that of the results on disk: hashes of all that it reads, and of what it wrote."""

import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from domain_tokens.runs.files import read_json, sha256_file, sha256_json, write_json

RECORD = "comparison.json"

# What training reads and a comparison does not: weights, optimizers, shards of tokens.
_NOT_READ = {".safetensors", ".pt", ".pth", ".bin", ".ds", ".npy", ".npz", ".index"}

_PACKAGE = Path(__file__).parents[1]
_LIBRARIES = ("numpy", "scipy", "statsmodels", "matplotlib")


class Comparison(NamedTuple):
    """The comparison of an experiment's conditions.

    Attributes:
        experiment_dir (`Path`): where it is written.
        conditions (`tuple[Path, ...]`): the conditions' folders, the reference first.
        prereg (`Path`): the declaration.
    """

    experiment_dir: Path
    conditions: tuple[Path, ...]
    prereg: Path

    def is_current(self) -> bool:
        """Return whether it was made from the very files, code and libraries that are here now, and is unchanged."""
        record = self.experiment_dir / RECORD
        if not record.is_file():
            return False
        recorded = read_json(record)
        outputs = {name: _sha256(self.experiment_dir / name) for name in recorded["outputs"]}
        return bool(recorded["inputs_sha256"] == self._inputs() and recorded["outputs"] == outputs)

    def record(self) -> None:
        """Record what it was made from and what it consists of."""
        outputs = {str(path.relative_to(self.experiment_dir)): _sha256(path) for path in self._written()}
        write_json(self.experiment_dir / RECORD, {"inputs_sha256": self._inputs(), "outputs": outputs})

    def _inputs(self) -> str:
        folders = (*self.conditions, *sorted(self.experiment_dir.glob("documents_*")))
        files = [[str(path.relative_to(self.experiment_dir)), _sha256(path)] for path in _read_files(folders)]
        code = [[str(path.relative_to(_PACKAGE)), _sha256(path)] for path in _read_files([_PACKAGE])]
        libraries = [platform.python_version(), *(version(name) for name in _LIBRARIES)]
        return sha256_json([list(map(str, self.conditions)), files, _sha256(self.prereg), code, libraries])

    def _written(self) -> Iterator[Path]:
        for path in sorted(self.experiment_dir.iterdir()):
            if path.is_file() and path.name != RECORD:
                yield path
            elif path.is_dir() and not path.name.startswith(("exp_", "documents_", "logs")):
                yield from sorted(file for file in path.rglob("*") if file.is_file())


def _read_files(folders: "list[Path] | tuple[Path, ...]") -> Iterator[Path]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix not in _NOT_READ and "__pycache__" not in path.parts:
                yield path


def _sha256(path: Path) -> str | None:
    return sha256_file(path) if path.is_file() else None
