"""The files of self-adaptation: written and read back, refused with file and line, and pooled only if they belong."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from adapted_rows import World, measured, write_adapted

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import sha256_file, write_json
from domain_tokens.runs.layout import MANIFEST
from domain_tokens.runs.records import Manifest, write_rows
from domain_tokens.seal.analysis.reading import by_condition, notes_on, read_runs
from domain_tokens.seal.records import POLICY, RECORD, ROWS, SEAL, TEST, AdaptRow, read_adapted

SMALL = World(passages=3, edits=2, chains=1)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_adapted(tmp_path, SMALL)


def change_record(run: Path, **values: object) -> None:
    path = run / SEAL / RECORD
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_row(run: Path, number: int, change: Callable[[dict[str, object]], object]) -> None:
    path = run / SEAL / ROWS
    lines = path.read_text().splitlines()
    row = json.loads(lines[number - 1])
    change(row)
    lines[number - 1] = json.dumps(row)
    path.write_text("\n".join(lines) + "\n")


def refused(*runs: Path) -> str:
    with pytest.raises(RecipeError) as error:
        read_runs(runs)
    return str(error.value)


def test_a_row_is_read_as_it_was_written(tmp_path: Path) -> None:
    shared = {"condition": "a", "seed": 3, "part": "round", "round": 1, "arm": "untrained", "passage": "adapt/0"}
    row = AdaptRow(
        **shared, edit=0, inner_seed=2, text="edit", valid=True, forms=("passage",), learning_rate=0.003,
        scored_by=measured(2.0, 0.25, gain=0.5), reward=0.25,
    )  # fmt: skip
    bad = AdaptRow(**shared, edit=1, inner_seed=0, text="?", valid=False, problem="no such form", later_key=[1])
    write_rows(tmp_path / ROWS, [row, bad])
    assert list(read_adapted(tmp_path)) == [row, bad]
    first, second = (json.loads(line) for line in (tmp_path / ROWS).read_text().splitlines())
    assert first["scored_by"]["before"] == {"bits_per_byte": 2.0, "exact": 0.1}
    assert second["later_key"] == [1]  # of a later version: kept
    assert row.scored_by is not None
    assert row.scored_by.drop == pytest.approx(0.25)
    assert row.scored_by.exact_gain == pytest.approx(0.5)


def test_a_run_is_given_by_its_folder_or_by_its_seal_folder(run: Path) -> None:
    (by_run,), (by_seal,) = read_runs([run]), read_runs([run / SEAL])
    assert by_run == by_seal
    assert len(by_run.rows) == by_run.record.rows > 50
    assert by_run.policy
    assert list(notes_on([by_run])) == []


def test_runs_are_pooled_by_condition_and_seed(tmp_path: Path) -> None:
    runs = [write_adapted(tmp_path, SMALL, name, seed) for name, seed in (("b", 1), ("a", 0), ("b", 0))]
    found = by_condition(read_runs(runs))
    assert [(one.condition, one.seeds) for one in found] == [("b", (0, 1)), ("a", (0,))]


def test_what_is_missing_is_named(run: Path, tmp_path: Path) -> None:
    assert f"{tmp_path / 'none'}: no such folder" in refused(tmp_path / "none")
    assert f"{RECORD}: no such file" in refused(tmp_path)
    for name in (POLICY, ROWS, RECORD):
        (run / SEAL / name).unlink()
        assert f"{run / SEAL / name}: no such file" in refused(run)


@pytest.mark.parametrize("damage", ['{"part": "round"', "[]", '{"part": "elsewhere"}'])
def test_a_damaged_line_is_named(run: Path, damage: str) -> None:
    path = run / SEAL / ROWS
    lines = path.read_text().splitlines()
    lines[6] = damage
    path.write_text("\n".join(lines))
    assert refused(run).startswith(f"{path}, line 7: ")


def test_rows_that_are_lost_or_of_another_run_are_noticed(run: Path) -> None:
    number = next(index for index, row in enumerate(read_adapted(run / SEAL), start=1) if row.valid)
    change_row(run, number, lambda row: row.pop("reward"))
    assert f"row {number}: reward is missing" in refused(run)
    change_row(run, number, lambda row: row.update(reward=0.1, seed=7))
    assert f"row {number}: of baseline, seed 7" in refused(run)
    change_row(run, number, lambda row: row.update(seed=0, schema_version=2))
    assert "schema 2" in refused(run)
    path = run / SEAL / ROWS
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    change_row(run, number, lambda row: row.update(schema_version=1))
    assert "the file is damaged" in refused(run)


def test_an_unfinished_run_is_read_with_a_warning(run: Path) -> None:
    path = run / SEAL / ROWS
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:8]))
    (run / SEAL / POLICY).unlink()
    change_record(run, complete=False)
    (found,) = read_runs([run])
    assert len(found.rows) == 8
    (note,) = notes_on([found])
    assert note.startswith("Warning")
    assert "not complete (8 rows so far)" in note
    with path.open("a") as file:
        file.write('{"condition": "base')  # still being written
    assert read_runs([run])[0].rows == found.rows
    path.write_text("{}\n" + path.read_text())
    assert f"{path}, line 1: " in refused(run)
    path.write_text("")
    assert "no row yet" in refused(run)


def test_other_settings_and_the_same_run_twice_are_refused(run: Path, tmp_path: Path) -> None:
    other = write_adapted(tmp_path, SMALL, seed=1, steps=[4, 8])
    assert refused(run, other).startswith(f"steps.0 is '(absent)' in {run / SEAL} and 4 in {other / SEAL}; ")
    assert "seed 0 of baseline is given 2 times" in refused(run, run / SEAL)


def test_other_code_and_other_held_out_text_are_noted(run: Path, tmp_path: Path) -> None:
    other = write_adapted(tmp_path, SMALL, seed=1)
    change_record(other, code_sha256="d", validation_sha256="e")
    notes = list(notes_on(read_runs([run, other])))
    assert notes == [
        "Warning: the runs were adapted with other code.",
        "Warning: the runs were adapted with other held-out text.",
    ]


def test_two_texts_for_one_edit_are_refused(run: Path) -> None:
    read_runs([run])
    change_row(run, 2, lambda row: row.update(text="another edit"))
    assert "'another edit' for an edit that was " in refused(run)
    assert "row 2" in refused(run)


def test_files_that_the_manifest_does_not_know_are_refused(run: Path) -> None:
    folder = run / SEAL
    known = {name: sha256_file(folder / name) for name in (ROWS, POLICY)}
    manifest = {
        "stage": "self-adaptation",
        "condition": "a",
        "seed": 0,
        "inputs": {},
        "files": known,
        "environment": {},
        "wall_time_s": 1,
    }
    write_json(folder / MANIFEST, Manifest.model_validate(manifest).as_json())
    read_runs([run])
    change_row(run, 1, lambda row: row.update(seconds=7.0))
    assert f"{ROWS}: not the file that was written here" in refused(run)


def test_runs_of_two_tokenizers_are_not_pooled(run: Path, tmp_path: Path) -> None:
    other = write_adapted(tmp_path / "other", SMALL, seed=1)
    read_runs([run, other])
    change_record(other, tokenizer_sha256="f" * 64)
    assert "baseline: its runs have 2 different tokenizers" in refused(run, other)


def test_test_passages_without_an_edit_are_counted(run: Path) -> None:
    (found,) = read_runs([run])
    number = len({row.passage for row in found.rows if row.part == TEST})
    assert number > 2
    assert list(notes_on([found])) == []
    change_record(run, settings={"test_passages": number + 3})
    (note,) = notes_on(read_runs([run]))
    assert f"3 of {number + 3} test passages are left out" in note
