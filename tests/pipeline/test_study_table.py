"""The table of a study, read from what the real stages left."""

import csv
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from domain_tokens.runs.layout import CHECKPOINT_RESULTS, MANIFEST
from domain_tokens.runs.records import CheckpointResult, Manifest, read_record
from domain_tokens.studies.declaration import Study
from domain_tokens.studies.points import Point, points_of, varied_keys
from domain_tokens.studies.sizes import measured_speed
from domain_tokens.studies.table import COLUMNS, TABLE, check_one_text, missing_runs, rows_of, write_table


@pytest.fixture
def study(copied: Path) -> tuple[Study, list[Point]]:
    """The tiny experiment as one point of a study whose other point was never run."""
    study = Study(
        study=copied.name,
        output_dir=str(copied.parent),
        recipes=["recipes/baseline.yaml", "recipes/mul_tokens.yaml"],
        overlays=["recipes/scales/demo.yaml"],
        overrides=["model.n_layer=1", "model.n_head=2", "corpus.sources.0.max_items=400", "pretrain.max_steps=4"],
        grid={"size": {"tiny": {"model.n_embd": 16}, "other": {"model.n_embd": 32}}},
        held_out={"model.n_embd": 32},
    )
    return study, points_of(study, "study.yaml")


def test_the_table_says_of_every_checkpoint_what_its_evaluation_says(study: tuple[Study, list[Point]]) -> None:
    declared, points = study
    rows = rows_of(declared, points)
    run = declared.folder / "tiny/exp_mul_tokens/seed_0"
    results = [
        read_record(path, CheckpointResult) for path in sorted((run / CHECKPOINT_RESULTS).glob("pretrain-*.json"))
    ]
    assert [result.step for result in results] == [2, 4]
    own = [row for row in rows if row["condition"] == "mul_tokens"]
    assert [(row["point"], row["step"], row["final"], row["model"]) for row in own] == [
        ("tiny", 2, False, "checkpoint-2"), ("tiny", 4, True, "pretrain_final"),
    ]  # fmt: skip
    (entry,) = read_record(run / "pretrain_final" / MANIFEST, Manifest).ledger
    for row, result in zip(own, results, strict=True):
        bits = result.bits.all
        assert row["bits_per_byte"] == bits.bits_per_byte
        assert row["bits_per_byte_model"] == bits.model_bits_per_byte
        assert row["bits_per_byte_model"] < row["bits_per_byte"]  # something was rewritten
        assert row["tokens"] == result.tokens_seen
        assert math.isclose(row["loss"], bits.model_bits * math.log(2) / bits.tokens)
        assert math.isclose(row["perplexity"], math.exp(row["loss"]))
        assert math.isclose(row["flops"], entry.flops * result.step / 4)
        assert row["validation_sha256"] == result.identity.documents_sha256
        assert row["validation_bytes"] == bits.bytes > 0
        assert row["run"] == "tiny/mul_tokens/seed_0"
    without = next(row for row in rows if row["condition"] == "baseline" and row["final"])
    assert without["bits_per_byte_model"] == without["bits_per_byte"]
    # One layer of width 16: two norms of 2 x 16, attention 16 x 64 + 64 and the MLP 2 x 16 x 64 + 80, and a last norm.
    assert own[0]["non_embedding_parameters"] == 32 * 3 + 3 * 256 + 48 + 256 + 16 + 2 * 1024 + 64 + 16
    assert own[0]["parameters"] - own[0]["non_embedding_parameters"] == 16 * (128 + 1792 + 45)
    check_one_text(rows)
    assert missing_runs(declared, points) == ["other, baseline, seed 0", "other, mul_tokens, seed 0"]
    assert measured_speed(declared, points) == pytest.approx(entry.flops / entry.wall_time_s, rel=9)


def test_a_run_counts_when_it_is_trained_and_evaluated(study: tuple[Study, list[Point]]) -> None:
    declared, points = study
    evaluation = declared.folder / "tiny/exp_baseline/seed_0" / CHECKPOINT_RESULTS
    assert {row["condition"] for row in rows_of(declared, points)} == {"baseline", "mul_tokens"}
    (evaluation / MANIFEST).unlink()
    assert {row["condition"] for row in rows_of(declared, points)} == {"mul_tokens"}
    assert missing_runs(declared, points)[0] == "tiny, baseline, seed 0"
    shutil.rmtree(declared.folder / "tiny/exp_mul_tokens/seed_0/pretrain_final")
    assert rows_of(declared, points) == []


def test_the_csv_holds_the_rows_and_a_column_for_each_varied_key(study: tuple[Study, list[Point]]) -> None:
    declared, points = study
    rows = rows_of(declared, points)
    files = write_table(declared, rows, varied_keys(points))
    assert files[0] == declared.folder / TABLE
    with files[0].open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert len(read) == len(rows) == 4
    assert list(read[0]) == [*COLUMNS, "model.n_embd"]
    for cells, row in zip(read, rows, strict=True):
        assert float(cells["bits_per_byte"]) == pytest.approx(row["bits_per_byte"], rel=1e-8)
        assert cells["final"] == str(row["final"]).lower()
        assert cells["model.n_embd"] == "16"
    assert rows_of(replace(declared, seeds=[5]), points) == []
