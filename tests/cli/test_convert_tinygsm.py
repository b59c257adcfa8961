"""`scripts/convert_tinygsm.py`: from a file of programs to a folder that a recipe trains on."""

import json
import sys
from pathlib import Path

import pytest
from real_data import SAMPLES
from tiny import run_inside, tiny_arguments

from domain_tokens.cli.convert_tinygsm import main
from domain_tokens.corpora.examples import read_examples
from domain_tokens.corpora.solutions.records import METADATA, REJECTED, SolutionsRecord
from domain_tokens.evaluation.answers.extraction import require_gold
from domain_tokens.recipe import load_recipe
from domain_tokens.runs.records import read_record

FILE = str(SAMPLES / "tinygsm/sample_1000.jsonl")
COLUMNS = ("--question-key", "user", "--program-key", "assistant")


def recipe_for(folder: Path, output_dir: Path) -> list[str]:
    """Return the tiny recipe with the small overlay on a folder of prose."""
    arguments = [one for one in tiny_arguments(output_dir, "mul_tokens") if not one.startswith("sft_stages")]
    overlay = ("recipes/stages/tinygsm_small.yaml", f"sft_stages.0.sources.0.path={folder}")
    return [*arguments, *overlay]


@pytest.mark.integration
def test_programs_become_a_folder_that_a_recipe_trains_on(tmp_path: Path) -> None:
    folder = tmp_path / "prose"
    tried = run_inside("scripts/convert_tinygsm.py", FILE, *COLUMNS, "--output", str(folder), "--dry-run")
    assert tried.returncode == 0, tried.stderr
    assert "the first 6 rows; nothing was written" in tried.stdout
    assert "All 6 rows: about" in tried.stdout
    assert not folder.exists()

    made = run_inside(
        "scripts/convert_tinygsm.py", FILE, *COLUMNS, "--output", str(folder), "--licence", "own", "--verify"
    )
    assert made.returncode == 0, made.stderr
    record = read_record(folder / METADATA, SolutionsRecord)
    assert record.counts.rows == 6
    assert record.counts.solved + sum(record.counts.rejected.values()) == 6
    assert record.settings.licence == "own"
    assert record.settings.route["verify"]
    rows = [json.loads(line) for line in (folder / "train-00000.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == record.counts.solved > 3
    assert all(require_gold(row["answer"], "") for row in rows)

    (stage,) = load_recipe(recipe_for(folder, tmp_path)).sft_stages
    (source,) = stage.portions
    assert [example.question for example in read_examples(source, 0, "train")] == [row["question"] for row in rows]


@pytest.mark.slow
@pytest.mark.integration
def test_the_stage_runs_dry(tmp_path: Path) -> None:
    folder = tmp_path / "prose"
    made = run_inside("scripts/convert_tinygsm.py", FILE, *COLUMNS, "--output", str(folder))
    assert made.returncode == 0, made.stderr
    dry = run_inside("scripts/run_sft.py", *recipe_for(folder, tmp_path), "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "sft/tinygsm" in dry.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected either files or --hub NAME"),
        ((FILE, "--hub", "TinyGSM/TinyGSM"), "expected either files or --hub NAME"),
        ((FILE, "--program-key", "solution"), "has no column 'question'"),
        (("no/such/file.jsonl",), "no/such/file.jsonl"),
    ],
)
def test_a_mistake_is_said_before_work(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = run_inside("scripts/convert_tinygsm.py", *arguments, "--output", str(tmp_path / "prose"))
    assert done.returncode != 0
    assert message in done.stderr
    assert not (tmp_path / "prose").exists()


def test_rows_without_a_solution_end_in_an_error_and_a_name_of_a_folder_is_no_markup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": 5, "code": 1.5}\n' * 3)
    folder = tmp_path / "a [bold]b"
    monkeypatch.setattr(sys, "argv", ["convert_tinygsm.py", str(rows), "--output", str(folder), "--workers", "9999"])
    with pytest.raises(SystemExit) as ended:
        main(None)
    assert ended.value.code == 2
    said = capsys.readouterr()
    printed = said.out.splitlines()
    assert printed[0].endswith("a [bold]b: 1 shard")
    assert printed[-1] == f"{folder / REJECTED}: which rows have no solution, and why"
    assert len((folder / REJECTED).read_text().splitlines()) == 3
    assert "no row has a solution" in said.err


def test_an_option_of_the_hub_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("--split", "--config", "--revision"):
        monkeypatch.setattr(sys, "argv", ["convert_tinygsm.py", FILE, "--output", str(tmp_path / "a"), option, "x"])
        with pytest.raises(SystemExit):
            main(None)
        assert f"{option} is an option of --hub" in capsys.readouterr().err
