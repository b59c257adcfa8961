"""The table of a study, `evaluation_results.csv`: one row for each evaluated checkpoint of each run."""

import csv
import io
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from domain_tokens.planning.preview import preview
from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.files import write_json, write_text
from domain_tokens.runs.layout import CHECKPOINT_RESULTS, MANIFEST, METRICS, SAMPLES
from domain_tokens.runs.records import (
    CheckpointResult,
    Fields,
    LedgerEntry,
    Manifest,
    SampledText,
    read_record,
    read_rows,
)
from domain_tokens.studies.declaration import Study
from domain_tokens.studies.points import Point, run_of, varied_keys
from domain_tokens.studies.sizes import Size, size_of

TABLE, ROWS = "evaluation_results.csv", "evaluation_results.json"

COLUMNS = (
    "study", "point", "condition", "seed", "run", "model", "step", "final", "held_out", "parameters",
    "non_embedding_parameters", "tokens", "flops", "loss", "perplexity", "bits_per_byte", "bits_per_byte_model",
    "bits_per_byte_without_sites", "tokens_per_second", "train_bytes", "vocabulary", "validation_sha256",
    "validation_documents", "validation_bytes",
)  # fmt: skip
"""The columns that every study has; one for each varied key follows.

`loss` is in nats per token of the condition's own tokenizer, so it is comparable within one condition alone.
`bits_per_byte` counts the model's bits and those that restore what the tokenizer dropped, so it is at least what is
true; `bits_per_byte_model` counts the model's alone, and is at most that. `train_bytes` is the text that was read.
"""

_STAGE = "pretrain"
FINAL = "pretrain_final"


Row = dict[str, Any]
"""One row of the table: values by the names of `COLUMNS` and of the varied keys.

In the JSON file it has the continuations too that were drawn at its step (`monitoring.samples`), under `samples`.
"""
TEXTS = "samples"


def rows_of(study: Study, points: Sequence[Point]) -> list[Row]:
    """Return the rows of all runs that are complete, in the order of points, conditions and seeds.

    Raises:
        RecipeError: if a result cannot be read.
    """
    keys, rows = varied_keys(points), []
    for point in points:
        if point.is_run:
            rows += list(_rows_of_point(study, point, points, keys))
    return rows


def missing_runs(study: Study, points: Sequence[Point]) -> list[str]:
    """Return the names of the runs without results, or with those of another recipe than the study declares now."""
    return [
        name
        for name, recipe, seed in _runs(study, points)
        if not _final_result(recipe.condition_dir / f"seed_{seed}") or made_otherwise(recipe, seed)
    ]


def runs_of_others(study: Study, points: Sequence[Point]) -> list[str]:
    """Return the finished runs that were made otherwise than the study declares now, each with what differs."""
    return [
        f"{name}: {reason}" for name, recipe, seed in _runs(study, points) if (reason := made_otherwise(recipe, seed))
    ]


def _runs(study: Study, points: Sequence[Point]) -> Iterator[tuple[str, Recipe, int]]:
    """Yield the name, the recipe and the seed of every run."""
    for point in points:
        for recipe in point.recipes if point.is_run else ():
            for seed in study.seeds:
                yield f"{point.name}, {recipe.condition}, seed {seed}", recipe, seed


def made_otherwise(recipe: Recipe, seed: int) -> str:
    """Return why a finished run's stage would refuse this recipe; empty if it would not, or there is no such run."""
    if not (recipe.condition_dir / f"seed_{seed}" / FINAL / MANIFEST).is_file():
        return ""
    verdicts = preview([replace(recipe, seed=seed)], ["pretrain"])
    return next((verdict.reason for verdict in verdicts if verdict.action == "refuse"), "")


def write_table(study: Study, rows: Sequence[Row], keys: Sequence[str]) -> list[Path]:
    """Write the rows as CSV and JSON.

    Args:
        study (`Study`): the study.
        rows (`Sequence[Row]`): what `rows_of` returned.
        keys (`Sequence[str]`): the varied keys, whose columns come last.

    Returns:
        The files.
    """
    written = io.StringIO()
    writer = csv.DictWriter(written, [*COLUMNS, *keys], lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(cells_of, rows))
    files = [study.folder / TABLE, study.folder / ROWS]
    write_text(files[0], written.getvalue())
    write_json(files[1], {"study": study.study, "question": study.question, "rows": list(rows)})
    return files


def cells_of(row: Row) -> dict[str, str]:
    """Return a row as the CSV file has it."""
    return {key: "" if value is None else str(_cell(value)) for key, value in row.items() if key != TEXTS}


def check_one_text(rows: Sequence[Row]) -> None:
    """Check that all rows were measured on the same validation text.

    Raises:
        RecipeError: naming two points that were not.
    """
    first = rows[0] if rows else {}
    for row in rows:
        if row["validation_sha256"] != first["validation_sha256"]:
            raise RecipeError(
                f"{row['point']} was measured on another validation text ({row['validation_bytes']} bytes) than "
                f"{first['point']} ({first['validation_bytes']} bytes), so their losses are not comparable; vary "
                "pretrain.max_steps or corpus.sample in place of the corpus's sources"
            )


def _rows_of_point(study: Study, point: Point, points: Sequence[Point], keys: Sequence[str]) -> Iterator[Row]:
    run, sizes = run_of(study, point, points), list[Size]()
    for recipe in point.recipes:
        for seed in study.seeds:
            folder = recipe.condition_dir / f"seed_{seed}"
            if (final := _final_result(folder)) is None or made_otherwise(recipe, seed):
                continue
            sizes = sizes or [size_of(point)]  # of a point without results it may not be known
            entry = read_record(folder / FINAL / MANIFEST, Manifest).ledger[-1]
            beside: Row = {
                "study": study.study, "point": point.name, "condition": recipe.condition, "seed": seed,
                "run": f"{run}/{recipe.condition}/seed_{seed}", "held_out": point.held_out,
                "tokens_per_second": _speed(folder / FINAL / METRICS),
                "vocabulary": recipe.base_vocabulary.num_ids,
            }  # fmt: skip
            settings = {key: point.flat.get(key) for key in keys}
            drawn = _drawn(folder / FINAL / SAMPLES)
            for result in _results(folder):
                is_final = result.step == final.step
                own = {TEXTS: drawn[result.step]} if result.step in drawn else {}
                yield beside | _measured(result, entry, sizes[0], is_final) | settings | own


def _measured(result: CheckpointResult, entry: LedgerEntry, size: Size, is_final: bool) -> Row:
    bits, share = result.bits.all, result.step / entry.steps
    loss = bits.model_bits * math.log(2) / bits.tokens
    return {
        "model": FINAL if is_final else f"checkpoint-{result.step}",
        "step": result.step,
        "final": is_final,
        "parameters": size.parameters,
        "non_embedding_parameters": size.non_embedding,
        "tokens": result.tokens_seen,
        "flops": float(entry.flops) * share,
        "loss": loss,
        "perplexity": math.exp(loss),
        "bits_per_byte": bits.bits_per_byte,
        "bits_per_byte_model": bits.model_bits_per_byte,
        "bits_per_byte_without_sites": result.bits.without_sites.bits_per_byte,
        "train_bytes": round(entry.source_bytes * share),
        "validation_sha256": result.identity.documents_sha256,
        "validation_documents": bits.documents,
        "validation_bytes": bits.bytes,
    }


def _drawn(file: Path) -> dict[int, list[Fields]]:
    """Return what a running pretraining drew, by step; nothing if its recipe asked for nothing."""
    found = defaultdict[int, list[Fields]](list)
    for row in read_rows(file, SampledText) if file.is_file() else ():
        found[row.step].append({key: value for key, value in row.as_json().items() if key != "step"})
    return dict(found)


def _results(run: Path) -> list[CheckpointResult]:
    files = sorted((run / CHECKPOINT_RESULTS).glob(f"{_STAGE}-*.json"))
    return [read_record(file, CheckpointResult) for file in files]


def _final_result(run: Path) -> CheckpointResult | None:
    """Return the result of a run's finished model, or `None` if it is not finished or not evaluated."""
    if not (run / FINAL / MANIFEST).is_file() or not (run / CHECKPOINT_RESULTS / MANIFEST).is_file():
        return None
    return next((one for one in reversed(_results(run)) if one.is_final), None)


def _speed(metrics: Path) -> float | None:
    """Return the median of the logged tokens per second, which a pause or the first step does not move."""
    lines = metrics.read_text(encoding="utf-8").splitlines() if metrics.is_file() else []
    found = [row["tokens_per_s"] for row in map(json.loads, lines) if row.get("tokens_per_s")]
    return median(found) if found else None


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.9g}"
    return json.dumps(value) if isinstance(value, list | dict) else value
