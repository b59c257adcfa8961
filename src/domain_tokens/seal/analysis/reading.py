"""Reads the finished, or interrupted, self-adaptation of one or more runs, and refuses what cannot be pooled."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import sha256_file
from domain_tokens.runs.layout import MANIFEST
from domain_tokens.runs.ledger import differences
from domain_tokens.runs.records import Manifest, read_record, read_rows
from domain_tokens.seal.analysis.edits import Identity, identity
from domain_tokens.seal.records import (
    POLICY,
    RECORD,
    ROUND,
    ROWS,
    SCHEMA,
    SEAL,
    TEST,
    AdaptRow,
    PolicyRow,
    SealRecord,
    read_adapted,
)

_COMMAND = "scripts/run_seal.py"
_CHECKPOINTS = "checkpoints"  # of a run: unfinished work


@dataclass(frozen=True)
class AdaptedRun:
    """The files of one run.

    Attributes:
        folder: its `seal` folder, or that of unfinished work.
        record: from what they were made.
        rows: its edits, each carried out once.
        policy: the edits that a policy learned from.
    """

    folder: Path
    record: SealRecord
    rows: tuple[AdaptRow, ...]
    policy: tuple[PolicyRow, ...]

    @property
    def run(self) -> Path:
        """The run's folder."""
        own = self.folder.absolute().parent
        return own.parent if own.name == _CHECKPOINTS else own


@dataclass(frozen=True)
class Adapted:
    """The runs of one condition, by seed."""

    condition: str
    runs: tuple[AdaptedRun, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the runs."""
        return tuple(run.record.seed for run in self.runs)


def read_runs(paths: Sequence[Path]) -> list[AdaptedRun]:
    """Read runs, each given as its folder or its `seal` folder; unfinished work is found too.

    Raises:
        RecipeError: if a file is missing or damaged, a run is given twice, or the settings of two runs differ.
    """
    runs = [_read(path) for path in paths]
    first = runs[0]
    for (condition, seed), number in Counter((run.record.condition, run.record.seed) for run in runs).items():
        if number > 1:
            raise RecipeError(
                f"seed {seed} of {condition} is given {number} times; expected each run once, of one experiment"
            )
    for condition, own in _tokenizers(runs).items():
        if len(own) > 1:
            raise RecipeError(
                f"{condition}: its runs have {len(own)} different tokenizers; runs that are pooled need one: give "
                "those of one experiment"
            )
    for run in runs[1:]:
        for difference in differences(first.record.settings, run.record.settings):
            raise RecipeError(
                f"{difference.describe(str(first.folder), str(run.folder))}; runs that are analysed together need the "
                "same settings in the section seal: analyse them apart, or adapt one again"
            )
    return runs


def _tokenizers(runs: Sequence[AdaptedRun]) -> dict[str, set[str]]:
    """Return the hashes of the tokenizers of each condition's runs."""
    found: dict[str, set[str]] = {}
    for run in runs:
        found.setdefault(run.record.condition, set()).add(run.record.tokenizer_sha256)
    return found


def by_condition(runs: Sequence[AdaptedRun]) -> list[Adapted]:
    """Return the conditions in the order in which they were given, each with its runs by seed."""
    found: dict[str, list[AdaptedRun]] = {}
    for run in runs:
        found.setdefault(run.record.condition, []).append(run)
    return [Adapted(name, tuple(sorted(own, key=lambda run: run.record.seed))) for name, own in found.items()]


def notes_on(runs: Sequence[AdaptedRun]) -> Iterator[str]:
    """Yield in words what a reader should know of the runs before the numbers."""
    for run in runs:
        if not run.record.complete:
            yield (
                f"Warning: {run.folder} is not complete ({len(run.rows):,} rows so far); its numbers will change. "
                f"{_COMMAND} goes on where it was interrupted."
            )
        if without := _without_edit(run):
            yield (
                f"{run.folder}: {without} of {run.record.settings['test_passages']} test passages are left out: "
                "the policy wrote no edit for them that could be read, before its first round or after its last."
            )
    for name, what in {"code_sha256": "with other code", "validation_sha256": "with other held-out text"}.items():
        if len({getattr(run.record, name) for run in runs}) > 1:
            yield f"Warning: the runs were adapted {what}."


def _without_edit(run: AdaptedRun) -> int:
    """Return how many test passages of a finished run have no row."""
    wanted = run.record.settings.get("test_passages")
    if not run.record.complete or not isinstance(wanted, int):
        return 0
    return wanted - len({row.passage for row in run.rows if row.part == TEST})


def _read(path: Path) -> AdaptedRun:
    folder = _find(path)
    record = read_record(folder / RECORD, SealRecord)
    _check_version(record.schema_version, folder / RECORD)
    if not (folder / ROWS).is_file():
        raise RecipeError(f"{folder / ROWS}: no such file; let {_COMMAND} go on, or remove {folder} and run it again")
    _check_files(folder)
    rows = _rows(folder, record.complete)
    if not rows:
        raise RecipeError(f"{folder / ROWS}: no row yet; let {_COMMAND} go on")
    if record.complete and record.rows != len(rows):
        raise RecipeError(
            f"{folder / ROWS}: {len(rows):,} rows, but {RECORD} says {record.rows:,}; the file is damaged: remove "
            f"{folder} and run {_COMMAND} again"
        )
    texts: dict[tuple[str, Identity], str] = {}
    for number, row in enumerate(rows, start=1):
        where = f"{folder / ROWS}, row {number}"
        _check(row, record, where)
        key = (row.part, identity(row))
        if texts.setdefault(key, row.text) != row.text:
            raise RecipeError(
                f"{where}: {row.text!r} for an edit that was {texts[key]!r} before; the file holds rows of two runs: "
                f"run {_COMMAND} again in an empty folder"
            )
    policy = tuple(read_rows(folder / POLICY, PolicyRow)) if (folder / POLICY).is_file() else ()
    if record.complete and not policy and any(row.part == ROUND and row.valid for row in rows):
        raise RecipeError(f"{folder / POLICY}: no such file, or empty; remove {folder} and run {_COMMAND} again")
    return AdaptedRun(folder, record, rows, policy)


def _check_files(folder: Path) -> None:
    """Check that the files of a finished run are those that its manifest records."""
    if not (folder / MANIFEST).is_file():
        return
    recorded = read_record(folder / MANIFEST, Manifest).files
    for name in (ROWS, POLICY):
        if name in recorded and (folder / name).is_file() and sha256_file(folder / name) != recorded[name]:
            raise RecipeError(
                f"{folder / name}: not the file that was written here, by {MANIFEST}; remove {folder} and run "
                f"{_COMMAND} again"
            )


def _find(path: Path) -> Path:
    """Return the folder of a run's files: `seal`, or that of unfinished work."""
    if not path.is_dir():
        raise RecipeError(f"{path}: no such folder; expected a run, outputs/<experiment>/exp_<condition>/seed_<n>")
    for folder in (path, path / SEAL, path / _CHECKPOINTS / SEAL):
        if (folder / RECORD).is_file():
            return folder
    raise RecipeError(
        f"{path / SEAL / RECORD}: no such file; expected a run that {_COMMAND} has adapted, "
        f"outputs/<experiment>/exp_<condition>/seed_<n>, or its folder {SEAL}"
    )


def _rows(folder: Path, is_complete: bool) -> tuple[AdaptRow, ...]:
    """Return all rows; of unfinished work, without the beginning of a line that is still being written."""
    found = []
    try:
        for row in read_adapted(folder):
            found.append(row)
    except RecipeError:
        *whole, last = (folder / ROWS).read_text(encoding="utf-8", errors="replace").split("\n")
        if is_complete or not last or len(found) < sum(bool(line.strip()) for line in whole):
            raise
    return tuple(found)


def _check(row: AdaptRow, record: SealRecord, where: str) -> None:
    _check_version(row.schema_version, where)
    if (row.condition, row.seed) != (record.condition, record.seed):
        raise RecipeError(
            f"{where}: of {row.condition}, seed {row.seed}, but {RECORD} beside it is of {record.condition}, seed "
            f"{record.seed}; the folder holds files of two runs: run {_COMMAND} again in an empty one"
        )
    if not row.valid:
        return
    needed = ["scored_by", "steps", "tokens", "target", "learning_rate"]
    if row.part == ROUND:
        needed += ["chosen_by", "reward"]
    for key in needed:
        if getattr(row, key) is None:
            raise RecipeError(
                f"{where}: {key} is missing although the edit was carried out; run {_COMMAND} again in an empty folder"
            )


def _check_version(version: int, where: Path | str) -> None:
    if version != SCHEMA:
        raise RecipeError(
            f"{where}: written by another version (schema {version}); expected schema {SCHEMA}: analyse it with the "
            "version that wrote it"
        )
