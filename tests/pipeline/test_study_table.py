"""The table of a study, read from what the real stages left."""

import csv
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tiny import ROOT, run_inside, tiny_arguments

from domain_tokens.runs.layout import CHECKPOINT_RESULTS, MANIFEST, PLOTS, SAMPLES
from domain_tokens.runs.records import CheckpointResult, Manifest, SampledText, read_record, write_rows
from domain_tokens.studies.acceptance import claims_of
from domain_tokens.studies.declaration import Study
from domain_tokens.studies.points import Point, points_of, varied_keys
from domain_tokens.studies.sizes import measured_speed
from domain_tokens.studies.table import (
    COLUMNS,
    TABLE,
    check_one_text,
    missing_runs,
    rows_of,
    runs_of_others,
    write_table,
)

SHAPE = ("model.n_layer=1", "model.n_head=2", "model.n_positions=128")  # the width is a point's own


@pytest.fixture
def study(copied: Path) -> tuple[Study, list[Point]]:
    """The tiny experiment as one point of a study whose other point was never run."""
    _, overlay, *overrides = tiny_arguments(copied, "baseline")
    own = ("output_dir", "experiment", "prereg", "model")
    study = Study(
        study=copied.name,
        output_dir=str(copied.parent),
        recipes=["recipes/baseline.yaml", "recipes/mul_tokens.yaml"],
        overlays=[overlay],
        overrides=[*(one for one in overrides if one.partition("=")[0] not in own), *SHAPE],
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
        assert row["train_bytes"] == round(entry.source_bytes * result.step / 4)
        assert row["bits_per_byte_without_sites"] == result.bits.without_sites.bits_per_byte != bits.bits_per_byte
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


def test_a_run_of_another_recipe_is_no_row_under_the_name_of_this_one(study: tuple[Study, list[Point]]) -> None:
    declared, points = study
    assert runs_of_others(declared, points) == []
    wider = replace(
        declared, grid={"size": {"tiny": {"model.n_embd": 32}, "other": {"model.n_embd": 64}}}, held_out={}
    )
    points = points_of(wider, "study.yaml")
    assert rows_of(wider, points) == []
    assert len(missing_runs(wider, points)) == 4
    first, second = runs_of_others(wider, points)
    assert first.startswith("tiny, baseline, seed 0")
    assert "model.n_embd: recorded 16, now 32" in second


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


# --- Is it done? -----------------------------------------------------------------------------------------------------


@pytest.fixture
def done(study: tuple[Study, list[Point]]) -> tuple[Study, list[Point]]:
    """A finished study of one point, whose plot is another's."""
    declared = replace(study[0], grid={"size": {"tiny": {"model.n_embd": 16}}}, held_out={})
    points = points_of(declared, "study.yaml")
    write_table(declared, rows_of(declared, points), varied_keys(points))
    (declared.folder / PLOTS).mkdir(exist_ok=True)
    shutil.copy(ROOT / "docs/demo.png", declared.folder / PLOTS / "losses.png")
    return declared, points


def problems(study: Study, points: list[Point]) -> dict[str, tuple[str, ...]]:
    """Return what contradicts each claim, by the end of its words."""
    return {claim.says.split()[-1]: claim.problems for claim in claims_of(study, points) if claim.problems}


def test_a_finished_study_has_everything(done: tuple[Study, list[Point]]) -> None:
    assert len(claims_of(*done)) == 7
    assert problems(*done) == {}
    with_fits = replace(done[0], fits=["tokens"])
    (found,) = problems(with_fits, done[1]).values()
    assert "fits.json" in found[0]
    (done[0].folder / "fits").mkdir()
    (done[0].folder / "fits/fits.json").write_text('{"fits": []}')
    assert "has no fit" in problems(with_fits, done[1])["made"][0]
    (done[0].folder / "fits/fits.json").write_text('{"fits": [{}]}')
    assert problems(with_fits, done[1]) == {}


def edited(old: str, new: str) -> Callable[[Path], object]:
    def edit(file: Path) -> None:
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new, 1), encoding="utf-8")

    return edit


def with_another_text(file: Path) -> None:
    first = next(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    edited(first["validation_sha256"], "0" * 64)(file)


def without_checkpoints(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(line for line in lines if "checkpoint-2" not in line), encoding="utf-8")


RUN = "tiny/exp_mul_tokens/seed_0"
MODEL, PLOT = f"{RUN}/pretrain_final", f"{PLOTS}/losses.png"
BROKEN: list[tuple[str, str, Callable[[Path], object], str]] = [
    ("end", f"{RUN}/{CHECKPOINT_RESULTS}/{MANIFEST}", Path.unlink, "tiny, mul_tokens, seed 0"),
    ("checkpoints", TABLE, without_checkpoints, "tiny, baseline, seed 0: 1 checkpoint"),
    ("checkpoints", TABLE, edited(",4,true,", ",4,false,"), "tiny, baseline, seed 0: 2 checkpoints, not the last"),
    ("checkpoints", TABLE, Path.unlink, f"{TABLE}: no such file, or one without a row"),
    ("finite", TABLE, edited(",true,false,", ",true,false,nan"), "line 3: parameters is 'nan"),
    ("text", TABLE, with_another_text, "tiny: "),
    ("drawn", PLOT, Path.unlink, "no picture"),
    ("drawn", PLOT, lambda file: file.write_bytes(b"PNG" * 5000), "and no plot"),
    ("run_config.yaml", f"{MODEL}/tokenizer.json", Path.unlink, "has no tokenizer.json"),
    ("run_config.yaml", f"{MODEL}/run_config.yaml", Path.unlink, "has no run_config.yaml"),
    ("run_config.yaml", f"{MODEL}/model.safetensors", Path.unlink, "has no model.safetensors"),
]


def test_what_is_missing_is_named(done: tuple[Study, list[Point]]) -> None:
    for claim, name, breaking, expected in BROKEN:
        file = done[0].folder / name
        content = file.read_bytes()
        breaking(file)
        found = problems(*done)
        assert claim in found
        assert expected in found[claim][0]
        file.write_bytes(content)


def test_the_command_says_what_holds_and_ends_with_1_where_something_is_missing(
    done: tuple[Study, list[Point]], tmp_path: Path
) -> None:
    file = tmp_path / "s.yaml"
    keys = ("study", "output_dir", "recipes", "overlays", "overrides", "seeds", "grid")
    file.write_text(yaml.safe_dump({key: getattr(done[0], key) for key in keys}))
    whole = run_inside("scripts/check_study.py", str(file))
    assert (whole.returncode, whole.stdout.count("  holds    ")) == (0, 7)
    lacking = run_inside("scripts/check_study.py", str(file), "--seeds", "0", "1")
    assert lacking.returncode == 1
    assert "  missing  every declared run is trained" in lacking.stdout
    assert "tiny, baseline, seed 1" in lacking.stdout
    nowhere = run_inside("scripts/check_study.py", str(file), "--name", "nowhere")
    assert nowhere.returncode == 2
    assert "nowhere: no such folder; run scripts/run_study.py" in nowhere.stderr


def test_the_json_has_what_was_drawn_at_a_step(done: tuple[Study, list[Point]]) -> None:
    study, points = done
    run = study.folder / RUN / "pretrain_final"
    drawn = SampledText(step=4, document="d", prompt="6*9", text="=54", ended=True, temperature=0.8, seed=0)
    write_rows(run / SAMPLES, [drawn, drawn.model_copy(update={"step": 3})])
    files = write_table(study, rows_of(study, points), varied_keys(points))
    rows = json.loads(files[1].read_text(encoding="utf-8"))["rows"]
    found = {(row["condition"], row["step"]): row["samples"] for row in rows if "samples" in row}
    assert found == {
        ("mul_tokens", 4): [
            {"document": "d", "prompt": "6*9", "text": "=54", "ended": True, "temperature": 0.8, "seed": 0}
        ]
    }
    with files[0].open(encoding="utf-8", newline="") as file:
        assert "samples" not in next(csv.reader(file))
