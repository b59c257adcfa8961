"""A renumbered set on disk: resumable, recorded, and without a template that is evaluated among those that train."""

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from domain_tokens.cli import renumber_gsm8k
from domain_tokens.cli.renumber_gsm8k import equations_hold
from domain_tokens.corpora.contamination.index import ContaminationIndex, Question
from domain_tokens.corpora.examples import read_examples
from domain_tokens.corpora.held_out import refuse_test_files
from domain_tokens.corpora.renumbering import making
from domain_tokens.corpora.renumbering.making import EVALUATION, TRAIN, Settings, make, split_problems
from domain_tokens.corpora.renumbering.records import (
    NUMBERS_FILE,
    PAIRS_FILE,
    RECORD_FILE,
    REJECTED_FILE,
    TRAIN_FILE,
)
from domain_tokens.corpora.renumbering.samples import SAMPLES
from domain_tokens.corpora.renumbering.variants import Problem
from domain_tokens.corpora.sources import check_one_split
from domain_tokens.local_data.files import find_files
from domain_tokens.recipe import Recipe, RecipeError, Source
from domain_tokens.runs.files import sha256_file

SETTINGS = Settings(seed=1, variants=6, evaluation_share=0.3, pairs=2)
WORDS = [
    "amber",
    "basket",
    "candle",
    "dapple",
    "ember",
    "fennel",
    "garden",
    "hollow",
    "island",
    "jasmine",
    "kettle",
    "lantern",
    "meadow",
    "nectar",
    "orchard",
    "pebble",
    "quiet",
    "river",
    "saffron",
    "timber",
    "umber",
    "velvet",
    "willow",
    "yonder",
    "zephyr",
    "acorn",
    "bramble",
    "clover",
    "drizzle",
    "eddy",
]


def problems() -> list[Problem]:
    """Return problems of different words, each with a product, and the sample problems."""
    made = []
    for number in range(24):
        words = random.Random(number).sample(WORDS, 14)
        left, right = " ".join(words[:7]), " ".join(words[7:])
        question = (
            f"The {left} has 6 shelves of 9 figs. Of {right} 14 figs are gone. How many {words[3]} figs are left?"
        )
        made.append(Problem("", question, "6*9=<<6*9=54>>54\n54-14=<<54-14=40>>40\n#### 40"))
    return [*made, *SAMPLES]


def written(path: Path, rows: Sequence[Problem]) -> Source:
    lines = [json.dumps({"question": row.question, "answer": row.answer}) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return Source(path.stem, kind="file", path=str(path), annotations="keep", licence="MIT")


def rows_of(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def interrupted_after(number: int) -> Callable[..., object]:
    """Return `make_part` as it is now, interrupted when it has made a number of parts."""
    make_part, made = making.make_part, []

    def interrupted(*arguments: object, **settings: object) -> object:
        if len(made) == number:
            raise KeyboardInterrupt
        made.append(1)
        return make_part(*arguments, **settings)  # type: ignore[arg-type]

    return interrupted


def test_a_set_is_written_recorded_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = written(tmp_path / "data.jsonl", problems())
    monkeypatch.setattr(making, "_PART", 6)
    whole = make(source, SETTINGS, [], tmp_path / "whole", equations_hold, 1)
    rows = rows_of(tmp_path / "whole" / TRAIN_FILE)
    assert len(rows) == whole.rows[TRAIN_FILE] == 6 * whole.templates[TRAIN] > 0
    assert len({row["question"] for row in rows}) == len({row["id"] for row in rows}) == len(rows)
    assert whole.rows[PAIRS_FILE] == 2 * whole.pairs.num_pairs > 0  # type: ignore[union-attr]
    assert whole.sha256 == {
        name: sha256_file(tmp_path / "whole" / name) for name in (TRAIN_FILE, PAIRS_FILE, NUMBERS_FILE, REJECTED_FILE)
    }
    assert json.loads((tmp_path / "whole" / RECORD_FILE).read_text())["licence"] == "MIT"
    assert not (tmp_path / "whole" / "parts").exists()
    rejected = rows_of(tmp_path / "whole" / REJECTED_FILE)
    for side, reasons in whole.reasons.items():
        assert Counter(row["reason"] for row in rejected if row["side"] == side) == reasons
    assert len(rejected) + sum(whole.templates.values()) == len(problems())
    assert {row["question"] for row in rejected} <= {one.question for one in problems()}

    make_part, done = making.make_part, []
    monkeypatch.setattr(making, "make_part", interrupted_after(2))
    with pytest.raises(KeyboardInterrupt):
        make(source, SETTINGS, [], tmp_path / "again", equations_hold, 1)
    assert len(list((tmp_path / "again").glob("parts/*/*.json"))) == 2
    monkeypatch.setattr(making, "make_part", lambda *one, **two: done.append(1) or make_part(*one, **two))
    again = make(source, SETTINGS, [], tmp_path / "again", equations_hold, 1)
    assert again == whole
    assert len(done) == -(-whole.problems[TRAIN] // 6) + -(-whole.problems[EVALUATION] // 6) - 2
    with pytest.raises(RecipeError, match=r"made otherwise \(variants: 6, now 2\)"):
        make(source, replace(SETTINGS, variants=2), [], tmp_path / "again", equations_hold, 1)
    monkeypatch.setattr(making, "VERSION", making.VERSION + 1)
    with pytest.raises(RecipeError, match=r"made otherwise \(version: \d+, now \d+\)"):
        make(source, SETTINGS, [], tmp_path / "again", equations_hold, 1)
    assert len(rows_of(tmp_path / "again" / TRAIN_FILE)) == len(rows)


def test_parts_that_an_interrupted_run_made_otherwise_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = written(tmp_path / "data.jsonl", problems()[:6])
    monkeypatch.setattr(making, "_PART", 2)
    make_part = making.make_part
    monkeypatch.setattr(making, "make_part", interrupted_after(1))
    with pytest.raises(KeyboardInterrupt):
        make(source, SETTINGS, [], tmp_path / "begun", equations_hold, 1)
    assert len(list((tmp_path / "begun").glob("parts/*/*.json"))) == 1
    monkeypatch.setattr(making, "make_part", make_part)
    other = replace(SETTINGS, variants=3)
    assert make(source, other, [], tmp_path / "begun", equations_hold, 1) == make(
        source, other, [], tmp_path / "new", equations_hold, 1
    )


def test_no_template_is_on_both_sides_and_the_gate_would_find_it(tmp_path: Path) -> None:
    source = written(tmp_path / "data.jsonl", problems())
    make(source, SETTINGS, [], tmp_path / "out", equations_hold, 1)
    trained = rows_of(tmp_path / "out" / TRAIN_FILE)
    pairs = rows_of(tmp_path / "out" / PAIRS_FILE)
    index = ContaminationIndex([Question("pairs", row["id"], row["question"]) for row in pairs])
    assert [row["id"] for row in trained if any(not one.is_warning for one in index.find(row["question"]))] == []
    assert {row["id"].partition(" #")[0] for row in trained}.isdisjoint(row["cluster"] for row in pairs)
    # The same templates with other numbers, as a broken split would train them.
    split = split_problems(making.read_problems(source), SETTINGS, ContaminationIndex([]))
    evaluated = [one for one in split.sides[EVALUATION] if one.id in {row["cluster"] for row in pairs}]
    broken = making.make_part(TRAIN, evaluated, SETTINGS, equations_hold)
    assert broken.rows
    assert all(any(not one.is_warning for one in index.find(row.question)) for row in broken.rows)


def test_problems_that_differ_in_numbers_alone_are_one_template() -> None:
    one = problems()[0]
    twin = one._replace(question=one.question.replace("6", "7").replace("9", "three"))
    split = split_problems([one, twin], SETTINGS, ContaminationIndex([]))
    assert sum(len(side) for side in split.sides.values()) == 1
    assert [(row.id, row.reason) for row in split.rejected] == [(twin.id, "the words of another problem")]


def test_a_problem_that_is_like_one_that_trains_is_not_evaluated() -> None:
    found = problems()
    split = split_problems(found, SETTINGS, ContaminationIndex([]))
    evaluated = split.sides[EVALUATION][0]
    words = (f"{evaluated.question} Say it in the {word} hall." for word in WORDS)
    alike = next(
        evaluated._replace(question=question)
        for question in words
        if split_problems([evaluated._replace(question=question)], SETTINGS, ContaminationIndex([])).sides[TRAIN]
    )
    again = split_problems([*found, alike], SETTINGS, ContaminationIndex([]))
    assert alike in again.sides[TRAIN]
    assert evaluated not in again.sides[EVALUATION]
    assert making.count_reasons(again.rejected, EVALUATION)["like a problem that trains"] >= 1


def test_annotations_are_stripped_where_asked(tmp_path: Path) -> None:
    source = written(tmp_path / "data.jsonl", problems()[:8])
    settings = Settings(variants=3, annotations="strip", evaluation_share=0.01)
    make(source, settings, [], tmp_path / "out", equations_hold, 1)
    file = Source("renumbered", kind="file", path=str(tmp_path / "out" / TRAIN_FILE))
    examples = read_examples(file, 0, "train")
    assert examples
    assert all("<<" not in one.answer and "#### " in one.answer for one in examples)


def test_what_cannot_be_renumbered_is_refused(tmp_path: Path) -> None:
    source = written(tmp_path / "data.jsonl", problems())
    with pytest.raises(RecipeError, match="questions of an evaluation set"):
        make(source, SETTINGS, [source], tmp_path / "out", equations_hold, 1)
    with pytest.raises(RecipeError, match="--variants 3, --numbers 100000: together 100,003 variants of each problem"):
        Settings(variants=3, numbers=100_000)
    plain = written(tmp_path / "plain.jsonl", [Problem("", "How many figs?", "Many.\n#### 5")])
    with pytest.raises(RecipeError, match=r"no problem becomes a template: .*no equation \(1\)"):
        make(plain, Settings(evaluation_share=1e-9), [], tmp_path / "out", equations_hold, 1)


def test_the_command_splits_without_writing_and_refuses_a_test_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path / "data.jsonl", problems())
    base = ["renumber", "--file", str(tmp_path / "data.jsonl"), "--output", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", [*base, "--dry-run", "--evaluation-share", "0.3", "--seed", "1"])
    renumber_gsm8k.main("")
    split = capsys.readouterr().out
    assert "evaluation: " in split
    assert not (tmp_path / "out").exists()
    renamed = (tmp_path / "data.jsonl").read_text().replace('"question"', '"problem"').replace('"answer"', '"steps"')
    (tmp_path / "data.jsonl").write_text(renamed)
    keys = ["--question-key", "problem", "--answer-key", "steps"]
    monkeypatch.setattr("sys.argv", [*base, *keys, "--dry-run", "--evaluation-share", "0.3", "--seed", "1"])
    renumber_gsm8k.main("")
    assert capsys.readouterr().out == split
    monkeypatch.setattr("sys.argv", ["renumber", "--split", "test"])
    with pytest.raises(SystemExit, match="2"):
        renumber_gsm8k.main("")
    assert "--split" in capsys.readouterr().err


def test_of_the_folder_of_a_set_only_what_trains_is_read(tmp_path: Path) -> None:
    make(written(tmp_path / "data.jsonl", problems()), SETTINGS, [], tmp_path / "set", equations_hold, 1)
    names = {path.name for path in (tmp_path / "set").iterdir()}
    assert {PAIRS_FILE, RECORD_FILE, REJECTED_FILE, TRAIN_FILE} <= names
    for path in (tmp_path / "set", tmp_path / "set" / "*.json*", tmp_path):
        found = find_files([str(path)])
        assert [one for one in found if one.parent.name == "set"] == [tmp_path / "set" / TRAIN_FILE]
    assert find_files([str(tmp_path / "set" / PAIRS_FILE)]) == [tmp_path / "set" / PAIRS_FILE]
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "set" / NUMBERS_FILE)
    trains = str(tmp_path / "set" / TRAIN_FILE)
    files = [str(tmp_path / "set" / name) for name in (PAIRS_FILE, NUMBERS_FILE, REJECTED_FILE, RECORD_FILE)]
    for path in (*files, str(tmp_path / "link.jsonl")):
        for stage in ("corpus", "sft", "grpo_prompts"):
            with pytest.raises(
                RecipeError, match=rf"{stage}: source t: path: {path} is for evaluation.* name that file"
            ):
                refuse_test_files(Recipe(), [Source("t", kind="file", path=[trains, path])], stage)
        with pytest.raises(RecipeError, match=f"--file: .*{path} is for evaluation"):
            check_one_split(Source("problems", kind="file", path=path), "--file")
    refuse_test_files(Recipe(), [Source("t", kind="file", path=str(tmp_path / "set"))], "sft")
    refuse_test_files(Recipe(), [Source("t", kind="file", path=trains)], "sft")
    trained = read_examples(Source("set", kind="file", path=str(tmp_path / "set")), 0, "train")
    assert [one.question for one in trained] == [row["question"] for row in rows_of(tmp_path / "set" / TRAIN_FILE)]


def test_the_first_problems_come_out_as_in_the_whole_set(tmp_path: Path) -> None:
    source = written(tmp_path / "data.jsonl", problems())
    first = making.read_problems(source, 7)
    assert [one.id for one in first] == [f"problem {number}" for number in range(1, 8)]
    assert first == making.read_problems(source)[:7]
    assert len(making.read_problems(source, 10_000)) == len(problems())
    make(source, replace(SETTINGS, max_problems=25), [], tmp_path / "some", equations_hold, 1)
    make(source, SETTINGS, [], tmp_path / "all", equations_hold, 1)
    some, every = (rows_of(tmp_path / name / TRAIN_FILE) for name in ("some", "all"))
    assert 0 < len(some) < len(every)
    assert all(row in every for row in some)
