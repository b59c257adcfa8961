"""Whether a study is done: every declared run, a table of finite numbers over one text, plots, fits, whole models."""

import csv
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import read_json
from domain_tokens.runs.layout import FITS, MANIFEST, PLOTS, RUN_CONFIG
from domain_tokens.runs.records import Manifest, read_record
from domain_tokens.studies.declaration import Study
from domain_tokens.studies.points import Point
from domain_tokens.studies.results import FITS_FOLDER
from domain_tokens.studies.table import FINAL, TABLE, cells_of, missing_runs, rows_of, runs_of_others
from domain_tokens.tokenization.certificate import TOKENIZER_FILES

_NUMBERS = (
    "parameters", "non_embedding_parameters", "tokens", "flops", "loss", "perplexity", "bits_per_byte",
    "bits_per_byte_model", "train_bytes", "validation_documents", "validation_bytes",
)  # fmt: skip
_IF_KNOWN = ("tokens_per_second", "bits_per_byte_without_sites")
_TEXT = ("validation_sha256", "validation_documents", "validation_bytes")
_LEAST_CHECKPOINTS = 2
_PNG = b"\x89PNG\r\n\x1a\n"
_LEAST_BYTES = 5_000  # an empty pair of axes takes less

Cells = dict[str, str]
"""A row of the table as its file has it."""


@dataclass(frozen=True)
class Claim:
    """What a finished study has.

    Attributes:
        says: the claim.
        problems: what contradicts it; empty where it holds.
    """

    says: str
    problems: tuple[str, ...]


def claims_of(study: Study, points: Sequence[Point]) -> list[Claim]:
    """Return what a finished study has, each with what contradicts it.

    Reads the files alone: nothing is measured again, and no hash of weights is computed.

    Args:
        study (`Study`): the study.
        points (`Sequence[Point]`): all its points.
    """
    rows = _read(study.folder / TABLE)
    claims = [
        Claim("every declared run is trained and evaluated to its end", tuple(_runs(study, points))),
        Claim("every run is in the table, with its end and several checkpoints",
              tuple(_checkpoints(study, points, rows))),
        Claim("the table is that of the runs as they are declared and recorded", tuple(_current(study, points, rows))),
        Claim("every number in the table is finite", tuple(_numbers(rows))),
        Claim("all were measured on one validation text", tuple(_texts(rows))),
        Claim("a plot is drawn", tuple(_plots(study.folder / PLOTS))),
        Claim("every model is whole, with its tokenizer and run_config.yaml", tuple(_models(study, points))),
    ]  # fmt: skip
    if study.fits:
        claims.append(Claim("the declared fits are made", tuple(_fits(study.folder / FITS_FOLDER))))
    return claims


def _read(table: Path) -> list[Cells]:
    if not table.is_file():
        return []
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _runs(study: Study, points: Sequence[Point]) -> Iterator[str]:
    yield from (f"{point.name}: {point.problem}" for point in points if point.problem)
    yield from missing_runs(study, points)


def _checkpoints(study: Study, points: Sequence[Point], rows: Sequence[Cells]) -> Iterator[str]:
    if not rows:
        yield f"{study.folder / TABLE}: no such file, or one without a row"
        return
    steps, ended = defaultdict[str, set[str]](set), set[str]()
    for row in rows:
        run = f"{row.get('point')}, {row.get('condition')}, seed {row.get('seed')}"
        steps[run].add(row.get("step", ""))
        ended |= {run} if row.get("final") == "true" else set()
    for point, folder in _run_folders(study, points):
        run = f"{point.name}, {folder.parent.name.removeprefix('exp_')}, seed {folder.name.removeprefix('seed_')}"
        if len(steps[run]) < _LEAST_CHECKPOINTS or run not in ended:
            several = "checkpoint" if len(steps[run]) == 1 else "checkpoints"
            yield f"{run}: {len(steps[run])} {several}{'' if run in ended else ', not the last'}"


def _current(study: Study, points: Sequence[Point], rows: Sequence[Cells]) -> Iterator[str]:
    yield from runs_of_others(study, points)
    found = {_key(row): row for row in rows}
    for row in rows_of(study, points):
        expected = cells_of(row)
        name = ", ".join(_key(expected))
        if (read := found.pop(_key(expected), None)) is None:
            yield f"{TABLE} has no row of {name}"
        elif keys := [key for key, value in expected.items() if read.get(key) != value]:
            yield f"{TABLE}, {name}: {keys[0]} is {read.get(keys[0])!r}, expected {expected[keys[0]]!r}"
    yield from (f"{TABLE} has a row of {', '.join(key)}, which is no declared run" for key in found)


def _key(row: Cells) -> tuple[str, ...]:
    return tuple(row.get(key, "") for key in ("point", "condition", "seed", "step"))


def _run_folders(study: Study, points: Sequence[Point]) -> Iterator[tuple[Point, Path]]:
    for point in points:
        for recipe in point.recipes if point.is_run else ():
            yield from ((point, recipe.condition_dir / f"seed_{seed}") for seed in study.seeds)


def _numbers(rows: Sequence[Cells]) -> Iterator[str]:
    for number, row in enumerate(rows, start=2):  # the first line has the names
        for key in (*_NUMBERS, *(key for key in _IF_KNOWN if row.get(key))):
            if not _is_finite(row.get(key)):
                yield f"{TABLE}, line {number}: {key} is {row.get(key)!r}"


def _is_finite(text: str | None) -> bool:
    try:
        return math.isfinite(float(text or ""))
    except ValueError:
        return False


def _texts(rows: Sequence[Cells]) -> Iterator[str]:
    found = {tuple(row.get(key, "") for key in _TEXT): row.get("point", "") for row in rows}
    if len(found) > 1 or not all(sha256 for sha256, *_ in found):
        yield from (f"{point}: {text[2]} bytes, {text[0][:12] or 'no hash'}" for text, point in found.items())


def _plots(folder: Path) -> Iterator[str]:
    images = sorted(folder.glob("*.png"))
    if not images:
        yield f"{folder}: no picture"
    for image in images:
        if image.stat().st_size < _LEAST_BYTES or image.read_bytes()[: len(_PNG)] != _PNG:
            yield f"{image}: {image.stat().st_size:,} bytes, and no plot"


def _models(study: Study, points: Sequence[Point]) -> Iterator[str]:
    for _, folder in _run_folders(study, points):
        yield from _model(folder / FINAL)


def _model(folder: Path) -> Iterator[str]:
    if not (folder / MANIFEST).is_file():
        yield f"{folder}: missing"
        return
    listed = read_record(folder / MANIFEST, Manifest).files
    expected = dict.fromkeys([*listed, *TOKENIZER_FILES, RUN_CONFIG])
    if lacking := [name for name in expected if not (folder / name).is_file()]:
        yield f"{folder}: has no {', '.join(lacking)}"


def _fits(folder: Path) -> Iterator[str]:
    try:
        if not read_json(folder / FITS).get("fits"):
            yield f"{folder / FITS}: has no fit"
    except RecipeError as error:
        yield str(error)
