"""`scripts/convert_tinygsm.py`: from a file of programs to a folder that a recipe trains on."""

import json
from pathlib import Path

import pytest
from real_data import SAMPLES
from tiny import run_inside, tiny_arguments

from domain_tokens.corpora.examples import read_examples
from domain_tokens.corpora.solutions.records import METADATA, SolutionsRecord
from domain_tokens.evaluation.answers.extraction import require_gold
from domain_tokens.recipe import load_recipe
from domain_tokens.runs.records import read_record

FILE = str(SAMPLES / "tinygsm/sample_1000.jsonl")
COLUMNS = ("--question-key", "user", "--program-key", "assistant")


def recipe_for(folder: Path, output_dir: Path) -> list[str]:
    """Return the tiny recipe with the small overlay on a folder of prose."""
    arguments = [one for one in tiny_arguments(output_dir, "mul_tokens") if not one.startswith("sft_stages")]
    overlay = ("recipes/stages/tinygsm_small.yaml", f"sft_stages.0.sources.0.path={folder}", "sft.max_length=64")
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
