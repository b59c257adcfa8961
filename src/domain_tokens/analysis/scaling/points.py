"""Reads a table of runs: one row for each evaluated model, with its size, tokens, FLOPs and loss.

Rows of unfinished models (`final` is false) and exact repetitions of a row are left out. Rows that are held out are
kept apart: they are predicted and never fitted. Rows with one `run` are one run, whatever their number; a row without
a run is a run of its own. Where the table names neither runs nor final models, rows of one condition, size and seed
are taken as checkpoints of one run: of those that differ in `step` the last is fitted, and those that differ in tokens
alone count as one run.
"""

import csv
import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from domain_tokens.analysis.scaling.columns import SPELLINGS, find_columns, read_flag, read_number
from domain_tokens.analysis.scaling.forms import FLOPS_PER_PARAMETER_AND_TOKEN, Axis
from domain_tokens.recipe import RecipeError

UNNAMED: Final = "all runs"
"""The condition of a table without conditions."""
OTHER_LOSSES: Final = ("bits_per_byte_model", "bits_per_byte_without_sites")
"""Read beside `bits_per_byte`, which counts all bits: the model's alone, and documents that no condition rewrites."""
PRIMARY_LOSS: Final = "bits_per_byte"
_NATS_PER_TOKEN: Final = "loss"
_AXES: Final[dict[str, Axis]] = {"parameters": "N", "tokens": "D", "flops": "C", "context": "T"}


@dataclass(frozen=True)
class Point:
    """A finished model.

    Attributes:
        line: of the table.
        point: the settings that it shares with its partner of another condition.
        run: the unit of independence.
        values: N, D and C, as far as they are known.
        losses: by column; the first is the one that is fitted.
        bytes_per_token: of the validation documents; `None` if the table does not say.
        step: of training; `None` if the table does not say.
    """

    line: int
    condition: str
    point: str
    seed: str
    run: str
    held_out: bool
    values: Mapping[Axis, float]
    losses: Mapping[str, float]
    bytes_per_token: float | None = None
    step: float | None = None


@dataclass(frozen=True)
class Points:
    """A table of runs.

    Attributes:
        sha256: of the file.
        columns: the column of each role.
        losses: the columns of losses that every point has; the first is fitted.
        computed: the axes that follow from the two others by C = 6 N D.
        unfinished: rows that were left out.
        repeated: rows that repeat another in all that is read, and were left out.
        notes: what else was done with the rows, or looks wrong.
    """

    path: Path
    sha256: str
    columns: Mapping[str, str]
    losses: tuple[str, ...]
    computed: tuple[Axis, ...]
    points: tuple[Point, ...]
    unfinished: int
    repeated: int
    notes: tuple[str, ...] = ()

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions, in the table's order."""
        return tuple(dict.fromkeys(point.condition for point in self.points))

    def of(self, condition: str, held_out: bool | None = False) -> tuple[Point, ...]:
        """Return a condition's points: those that are fitted, those held out, or (`None`) both."""
        return tuple(
            point for point in self.points if point.condition == condition and held_out in (None, point.held_out)
        )


def axis_values(points: Sequence[Point], axis: Axis) -> NDArray[Any]:
    """Return the values of an axis, shape (num_points,)."""
    return np.array([point.values[axis] for point in points])


def log_losses(points: Sequence[Point], column: str) -> NDArray[Any]:
    """Return the logs of a loss, shape (num_points,)."""
    return np.log([point.losses[column] for point in points])


def read_points(path: Path, named: Mapping[str, str] | None = None) -> Points:
    """Read a table of runs.

    Args:
        path (`Path`): a CSV file with a header, separated by commas, semicolons or tabs.
        named (`Mapping[str, str]`, *optional*): columns by role, where their names do not tell.

    Raises:
        RecipeError: if the file or a column is missing, or a cell is no number; it names the line.
    """
    text, digest = _read(path)
    try:
        header, rows = _rows(path, text)
    except csv.Error as error:
        raise RecipeError(f"{path}: is no CSV table ({error}); expected a row for each run") from error
    columns = find_columns(path, header, named or {})
    reader = _Reader(path, columns, _losses(header, columns))
    points, unfinished = [], 0
    for line, row in rows:
        if "final" in columns and not read_flag(reader.where(line, columns["final"]), row[columns["final"]]):
            unfinished += 1
        else:
            points.append(reader.point(line, row))
    if not points:
        raise RecipeError(f"{path}: has no row of a finished model; expected at least one for each size")
    read = len(points)
    points = sorted({_content(point): point for point in reversed(points)}.values(), key=lambda one: one.line)
    repeated = read - len(points)
    notes = _condition_notes(path, points)
    if not {"final", "run"} & columns.keys():
        points, note = _one_run_each(points, "step" in columns, "point" in columns)
        notes += note
    shared = tuple(name for name in reader.losses if all(name in point.losses for point in points))
    computed = tuple(
        axis for role, axis in _AXES.items() if role not in columns and all(axis in point.values for point in points)
    )
    return Points(path, digest, columns, shared, computed, tuple(points), unfinished, repeated, tuple(notes))


def _content(point: Point) -> tuple[object, ...]:
    """Return all that is read of a row but its line; a run that is called after its line has no name."""
    run = "" if point.run == _unnamed_run(point.line) else point.run
    own = (point.condition, point.point, point.seed, run, point.step, point.held_out)
    return (*own, *point.values.items(), *point.losses.items())


def _unnamed_run(line: int) -> str:
    return f"line {line}"


def _condition_notes(path: Path, points: Sequence[Point]) -> list[str]:
    """Refuse rows without a condition beside others with one, and name conditions that differ in case alone."""
    first = {point.condition: point.line for point in reversed(points)}
    if UNNAMED in first and len(first) > 1:
        raise RecipeError(
            f"{path}, line {first[UNNAMED]}: condition is empty, others have one; expected a name in every row"
        )
    alike: dict[str, list[str]] = {}
    for name in sorted(first, key=first.__getitem__):
        alike.setdefault(name.casefold(), []).append(name)
    return [
        f"{' and '.join(map(repr, names))} differ in case alone and are fitted as {len(names)} conditions; if they "
        "are one, give them one name in the table."
        for names in alike.values()
        if len(names) > 1
    ]


def _one_run_each(points: Sequence[Point], with_step: bool, with_point: bool) -> tuple[list[Point], list[str]]:
    """Return the points of a table that names neither runs nor final models, so that no checkpoint counts as a run."""
    units: dict[tuple[object, ...], list[Point]] = {}
    for point in points:
        size = point.point if with_point else (point.values.get("N"), point.values.get("T"))
        units.setdefault((point.condition, size, point.seed, point.held_out), []).append(point)
    advice = "A column `run` with a name for each run, or `final`, would tell"
    if with_step:
        last = {key: max(point.step or 0.0 for point in members) for key, members in units.items()}
        kept = [one for key, members in units.items() for one in members if (one.step or 0.0) == last[key]]
        left = len(points) - len(kept)
        note = (
            f"{left} rows of earlier steps are left out: rows of one condition, size and seed that differ in step are "
            f"taken as checkpoints of one run, of which the last is fitted. {advice}."
        )
        return sorted(kept, key=lambda one: one.line), [note] if left else []
    runs = {
        point.line: f"{point.condition}, {key[1]}, seed {point.seed}"
        for key, members in units.items()
        if members[0].seed and "N" in members[0].values and len({one.values.get("D") for one in members}) > 1
        for point in members
    }
    note = (
        f"{len(runs)} rows count as {len(set(runs.values()))} runs: rows of one condition, size and seed that differ "
        f"in tokens are taken as points of one run. {advice}."
    )
    return [replace(one, run=runs.get(one.line, one.run)) for one in points], [note] if runs else []


def _read(path: Path) -> tuple[str, str]:
    """Return the text of a file, and the SHA-256 of its bytes."""
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig"), hashlib.sha256(content).hexdigest()
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such file; expected a CSV table with a row for each run") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not readable as text ({error}); expected a CSV table in UTF-8") from error


def _rows(path: Path, text: str) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Return the header, and each row that is not empty with its line."""
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    header = [name.strip() for name in next(table, [])]
    if not any(header):
        raise RecipeError(f"{path}: is empty; expected a header and a row for each run")
    rows = []
    for cells in table:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise RecipeError(
                f"{path}, line {table.line_num}: has {len(cells)} cells, the header has {len(header)}; a cell with "
                "the separator in it needs quotes"
            )
        rows.append((table.line_num, dict(zip(header, cells, strict=True))))
    return header, rows


def _losses(header: Sequence[str], columns: Mapping[str, str]) -> tuple[str, ...]:
    first = columns["loss"]
    others = OTHER_LOSSES if first == PRIMARY_LOSS else ()
    return (first, *(name for name in others if name in header))


@dataclass(frozen=True)
class _Reader:
    """Turns rows into points."""

    path: Path
    columns: Mapping[str, str]
    losses: tuple[str, ...]

    def where(self, line: int, column: str) -> str:
        return f"{self.path}, line {line}: {column}"

    def point(self, line: int, row: Mapping[str, str]) -> Point:
        words = {role: row[self.columns[role]].strip() if role in self.columns else "" for role in SPELLINGS}
        values = self._values(line, words)
        losses = {}
        for column in self.losses:
            if column == self.losses[0] or row[column].strip():
                losses[column] = read_number(self.where(line, column), row[column], suffixes=False)
        condition = " ".join(words["condition"].split()) or UNNAMED
        held_out = "held_out" in self.columns and read_flag(
            self.where(line, self.columns["held_out"]), words["held_out"]
        )
        return Point(
            line=line,
            condition=condition,
            point=words["point"] or " ".join(f"{axis}={value:.4g}" for axis, value in values.items()),
            seed=words["seed"],
            run=words["run"] or _unnamed_run(line),
            held_out=held_out,
            values=values,
            losses=losses,
            bytes_per_token=self._bytes_per_token(row, losses),
            step=self._step(line, words["step"]),
        )

    def _step(self, line: int, word: str) -> float | None:
        """Return the step where it is needed: in a table that names neither runs nor final models."""
        if "step" not in self.columns or {"final", "run"} & self.columns.keys():
            return None
        where = self.where(line, self.columns["step"])
        return 0.0 if word == "0" else read_number(where, word)

    def _values(self, line: int, words: Mapping[str, str]) -> dict[Axis, float]:
        values: dict[Axis, float] = {
            axis: read_number(self.where(line, self.columns[role]), words[role])
            for role, axis in _AXES.items()
            if role in self.columns
        }
        factor = FLOPS_PER_PARAMETER_AND_TOKEN
        of_compute = values.keys() - {"T"}
        if of_compute == {"N", "D"}:
            values["C"] = factor * values["N"] * values["D"]
        elif of_compute == {"N", "C"}:
            values["D"] = values["C"] / factor / values["N"]
        elif of_compute == {"D", "C"}:
            values["N"] = values["C"] / factor / values["D"]
        return values

    def _bytes_per_token(self, row: Mapping[str, str], losses: Mapping[str, float]) -> float | None:
        """Return how much text a token holds, from the loss of one model in nats per token and in bits per byte."""
        bits = losses.get(OTHER_LOSSES[0])
        nats = row.get(_NATS_PER_TOKEN, "").strip()
        if bits is None or not nats:
            return None
        return read_number(f"{self.path}: {_NATS_PER_TOKEN}", nats, suffixes=False) / math.log(2) / bits
