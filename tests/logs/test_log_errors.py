"""Every wrong input is refused in one message that says what, where and what to do; nothing is left out in silence."""

import json
import math
import os
import shutil
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from logs.conftest import DATE, Compare, write_samples

from domain_tokens.logs.comparison import Options, compare_logs
from domain_tokens.logs.readers.zip_members import open_archive
from domain_tokens.logs.reading import find_logs, read_run
from domain_tokens.logs.runs import Named, check_named, parse_runs, read_mapping
from domain_tokens.recipe import RecipeError

RIGHT = [1, 0, 1, 0, 1, 1]
Runs = Mapping[str, Sequence[object]]


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(RecipeError) as error:
        call()
    return str(error.value)


def test_what_is_right_is_compared(compare: Compare) -> None:
    found = compare({"a:0": RIGHT, "b:0": RIGHT[::-1]})
    assert found.differences[0].num_items == len(RIGHT)


@pytest.mark.parametrize(
    ("runs", "options", "words"),
    [
        ({"a:0": RIGHT, "b:0": RIGHT[:-2]}, {}, ["a:0 2 of 6, b:0 0 of 4", "a:0, 4: 'What is 4 + 0?'", "-> '4'"]),
        ({"a:0": RIGHT, "b:0": [*RIGHT, 1, 1, 1, 1]}, {}, ["b:0 4 of 10", "b:0, 8:"]),
        ({"a:0": RIGHT, "b:0": [1, 0, math.nan, 1, 1, 1]}, {}, ["2: acc,none is nan", "expected a number"]),
        ({"a:0": RIGHT, "b:0": [1, 0, math.inf, 1, 1, 1]}, {}, ["2: acc,none is inf"]),
        ({"a:0": RIGHT, "b:0": [1, 0, [3, 4], 1, 1, 1]}, {}, ["2: acc,none is [3, 4]"]),
        ({"a:0": RIGHT, "b:0": [1, 0, "good", 1, 1, 1]}, {}, ['2: acc,none is "good"']),
        ({"a:0": RIGHT, "b:0": [1, 0, None, 1, 1, 1]}, {}, ["2: acc,none is null"]),
        ({"a:0": RIGHT, "b:0": [{"f1": 1}, *RIGHT[1:]]}, {}, ["0: acc,none is no score"]),
        ({"a:0": RIGHT, "b:0": [1, 0, -0.5, 1, 1, 1]}, {}, ["acc,none has scores below 0"]),
        ({"a:0": RIGHT, "b:0": [1, 0, 10**400, 1, 1, 1]}, {}, ["2: acc,none is 1000"]),
        ({"a:0": RIGHT, "b:0": [1, 0, 1e200, 1, 1, 1]}, {}, ["acc,none has a score of 1e+200; expected", "1e+100"]),
        ({"a:0": [[1, 2]] * 6, "b:0": RIGHT}, {}, ["acc,none are no numbers"]),
        ({"a:0": [{"acc": 1, "f1": 1}], "b:0": RIGHT}, {}, ["acc,none and f1,none; choose one with --metric"]),
        ({"a:0": RIGHT, "b:0": RIGHT}, {"metrics": ["acx"]}, ["--metric acx", "sums has acc,none"]),
        ({"a:0": [{"acc": 1, "f1": 1}], "b:0": RIGHT}, {"metrics": ["acc", "f1"]}, ["expected one of them"]),
        ({"a:0": RIGHT, "b:0": RIGHT}, {"tasks": ["summs"]}, ["--task summs: no run has it; did you mean 'sums'?"]),
        ({"a:0": RIGHT, "b:0": RIGHT}, {"reference": "c"}, ["--reference c: no run has this name", "one of a, b"]),
        ({"a:0": RIGHT, "b:0": RIGHT}, {"margin": 100.0}, ["--margin 100: expected percentage points below 100"]),
        ({"a:0": RIGHT, "a:1": RIGHT}, {}, ["got runs of a; expected two conditions"]),
        ({"a:0": RIGHT, "a:1": RIGHT, "b:0": RIGHT}, {}, ["seed 1 is in a and not in b", "same seeds"]),
        ({"a:0": RIGHT, "a:1": RIGHT, "b:0": RIGHT, "b:2": RIGHT}, {}, ["seed 2 is in b and not in a"]),
        ({"a:0": RIGHT, "a": RIGHT, "b:0": RIGHT}, {}, ["a: a run has no seed, and there are several"]),
    ],
)
def test_runs_that_do_not_pair(runs: Runs, options: dict[str, object], words: list[str], compare: Compare) -> None:
    message = refused(lambda: compare(runs, **options))
    assert "\n" not in message
    for one in words:
        assert one in message


def test_at_most_three_questions_without_a_partner_are_shown(compare: Compare) -> None:
    message = refused(lambda: compare({"a:0": RIGHT, "b:0": [*RIGHT, 1, 1, 1, 1]}))
    assert message.count("b:0, ") == 3


def two(folder: Path, **changed: object) -> list[Named]:
    """Two runs, of which the second is changed."""
    write_samples(folder / "a", RIGHT)
    write_samples(folder / "b", RIGHT, **changed)  # type: ignore[arg-type]
    return [Named("a", "0", folder / "a"), Named("b", "0", folder / "b")]


def test_a_task_that_one_run_lacks(tmp_path: Path) -> None:
    named = two(tmp_path)
    write_samples(tmp_path / "a", RIGHT, task="products")
    message = refused(lambda: compare_logs(named, Options()))
    assert "the task 'products' is in a:0 and not in b:0" in message
    assert compare_logs(named, Options(tasks=["sums"])).num_tests == 1


def test_tasks_of_several_metrics_are_all_said_at_once(tmp_path: Path) -> None:
    for name in "ab":
        for task in ("sums", "products"):
            write_samples(tmp_path / name, [{"acc": 1, f"{task}_f1": 1}] * 3, task=task)
    named = [Named(name, "", tmp_path / name) for name in "ab"]
    message = refused(lambda: compare_logs(named, Options()))
    assert "products has the metrics acc,none and products_f1,none" in message
    assert "sums has the metrics acc,none and sums_f1,none" in message


def test_the_log_of_one_evaluation_under_two_names(tmp_path: Path) -> None:
    first, _ = two(tmp_path)
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    message = refused(lambda: compare_logs([first, Named("c", "0", tmp_path / "c")], Options()))
    assert "of a and" in message
    assert "of c are equal byte for byte: one evaluation under two names" in message
    assert "\n" not in message


def test_another_target_is_another_question(tmp_path: Path) -> None:
    message = refused(lambda: compare_logs(two(tmp_path, target="7"), Options()))
    assert "a:0 6 of 6, b:0 6 of 6" in message


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_one_file_for_two_runs(link: Callable[[Path, Path], None] | None, tmp_path: Path) -> None:
    first, *_ = two(tmp_path)
    other = tmp_path / "other.jsonl"
    (path,) = find_logs(first.path)
    if link is None:
        other = path
    else:
        link(path, other)
    message = refused(lambda: check_named([first, Named("b", "0", other)], None))
    assert f"{other} is given twice, as a:0 and as b:0" in message


def test_copies_of_a_question_with_other_scores(tmp_path: Path) -> None:
    same = {"arguments": {"gen_args_0": {"arg_0": "What is 1 + 1?"}}, "target": "2"}
    write_samples(tmp_path / "copies", RIGHT, **same)
    named = [Named("a", "0", tmp_path / "copies"), two(tmp_path)[1]]
    message = refused(lambda: compare_logs(named, Options()))
    assert "the questions 0 and 1 are the same ('What is 1 + 1?'), with the target '2'" in message
    assert "1.0 and 0.0" in message


def test_results_that_are_not_the_mean_of_the_log(tmp_path: Path) -> None:
    named = two(tmp_path)
    write_samples(tmp_path / "b", RIGHT, own={"acc,none": 4 / 6})
    found = compare_logs(named, Options())
    assert [log.own for log in found.logs] == [None, 4 / 6]
    write_samples(tmp_path / "b", RIGHT, own={"acc,none": 0.5})
    message = refused(lambda: compare_logs(named, Options()))
    assert "over its 6 questions is 0.666667, and lm-evaluation-harness itself reports 0.5" in message


def test_a_line_that_is_cut(tmp_path: Path) -> None:
    path = write_samples(tmp_path, RIGHT)
    text = path.read_text()
    path.write_text(text[: len(text) - 40])
    message = refused(lambda: read_run(path))
    assert message.startswith(f"{path}, line 6: not readable as JSON")
    assert "run it again" in message


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (f"samples_x_{DATE}.jsonl", "", "is empty; expected at least one answered question"),
        (f"samples_x_{DATE}.jsonl", '{"question": "?"}', "is no sample of lm-evaluation-harness (doc_id: Field requi"),
        (f"samples_x_{DATE}.jsonl", "[1]", "is no sample of lm-evaluation-harness"),
        ("log.csv", "a,b", "is no log of a known kind; expected samples_*.jsonl of lm-evaluation-harness"),
        ("x.eval", "no zip", "is no whole zip file"),
        (f"details_x_{DATE}.parquet", "no parquet", "is no whole parquet file"),
    ],
)
def test_files_that_are_no_logs(name: str, content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert words in refused(lambda: read_run(tmp_path / name))


def test_folders_without_logs(tmp_path: Path) -> None:
    assert "holds no log; expected samples_*.jsonl" in refused(lambda: read_run(tmp_path))
    assert "no such file or folder" in refused(lambda: read_run(tmp_path / "nowhere"))


def test_two_logs_of_one_task_in_a_folder(tmp_path: Path) -> None:
    write_samples(tmp_path / "first", RIGHT)
    write_samples(tmp_path / "second", RIGHT)
    message = refused(lambda: read_run(tmp_path))
    assert "name the file instead of the folder" in message
    assert "'sums'" in message


def test_two_evaluations_in_one_file(tmp_path: Path) -> None:
    path = write_samples(tmp_path, RIGHT)
    path.write_text(path.read_text() * 2)
    assert "line 7: doc_id 0 is in it twice with the filter 'none'" in refused(lambda: read_run(path))


def test_logs_of_two_harnesses(written: Path) -> None:
    folders = [written / "lm_eval" / "baseline_0", written / "inspect" / "mul_tokens_0"]
    named = [Named(name, "0", folder) for name, folder in zip("ab", folders, strict=True)]
    message = refused(lambda: compare_logs(named, Options(tasks=["products"])))
    assert "of lm-evaluation-harness and" in message
    assert "expected the logs of one harness" in message


def repacked(path: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """Write an `.eval` file again, with members that are other or (`None`) not there."""
    with open_archive(path) as archive, zipfile.ZipFile(target, "w") as packed:
        for name in archive.names:
            if (content := change(name, archive.read(name))) is not None:
                packed.writestr(name, content)
    return target


def edited(name: str, **changed: object) -> Callable[[str, bytes], bytes]:
    return lambda one, content: json.dumps(json.loads(content) | changed).encode() if one == name else content


SAMPLE = "samples/q2_epoch_1.json"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda name, content: None if name == "header.json" else content,
            "has no header.json: the evaluation did no",
        ),
        (lambda name, content: None if name == SAMPLE else content, "has 15 of 16 answers"),
        (lambda name, content: content[:-9] if name == SAMPLE else content, f"{SAMPLE}: is no sample of Inspect"),
        (edited("header.json", status="cancelled"), "ended with the status 'cancelled'"),
        (edited(SAMPLE, error={"message": "out of tokens"}), f"{SAMPLE}: the answer ended with an error (out of tok"),
        (edited(SAMPLE, epoch=2), "sample q2 has answers of the epochs 2 and 2; expected one of each from 1 to 2"),
        (
            lambda name, content: edited("header.json", results=None)(name, content) if name != SAMPLE else None,
            "sample q2 has answers of the epochs 2; expected one of each",
        ),
        (edited(SAMPLE, input="What else?"), "sample q2 asks another question in another epoch"),
    ],
)
def test_logs_of_inspect_that_are_not_whole(
    change: Callable[[str, bytes], bytes | None], words: str, written: Path, tmp_path: Path
) -> None:
    (path,) = find_logs(written / "inspect" / "baseline_0")
    assert repacked(path, tmp_path / "same.eval", lambda _, content: content)
    assert list(read_run(tmp_path / "same.eval")) == ["products"]
    assert words in refused(lambda: read_run(repacked(path, tmp_path / "changed.eval", change)))


@pytest.mark.parametrize("scores", [None, {}, {"match": {"value": math.nan}}, {"match": {"value": [1, 0]}}])
def test_an_answer_that_inspect_did_not_score(scores: object, written: Path, tmp_path: Path) -> None:
    (path,) = find_logs(written / "inspect" / "baseline_0")
    other = repacked(path, tmp_path / "other.eval", edited(SAMPLE, scores=scores))
    named = [Named("a", "0", path), Named("b", "0", other)]
    message = refused(lambda: compare_logs(named, Options(metrics=["match"])))
    assert "q2: match is " in message
    assert "Score it, or choose another of" in message


@pytest.mark.parametrize(
    ("offset_in_directory", "offset_in_member", "value", "words"),
    [(8, 6, 1, "password required"), (10, 8, 97, "compression method is not supported")],
)
def test_a_zip_that_this_python_cannot_read(
    offset_in_directory: int, offset_in_member: int, value: int, words: str, written: Path, tmp_path: Path
) -> None:
    (path,) = (written / "inspect/baseline_0").glob("*.eval")
    repacked(path, target := tmp_path / "other.eval", lambda _, content: content)
    content = bytearray(target.read_bytes())
    for signature, offset in ((b"PK\x01\x02", offset_in_directory), (b"PK\x03\x04", offset_in_member)):
        place = -1
        while (place := content.find(signature, place + 1)) >= 0:
            content[place + offset : place + offset + 2] = value.to_bytes(2, "little")
    target.write_bytes(content)
    assert words in refused(lambda: read_run(target))


def test_a_zip_that_is_cut_or_damaged(written: Path, tmp_path: Path) -> None:
    (path,) = find_logs(written / "inspect" / "baseline_0")
    content, cut, damaged = path.read_bytes(), tmp_path / "cut.eval", tmp_path / "damaged.eval"
    cut.write_bytes(content[: len(content) // 2])
    assert "is no whole zip file" in refused(lambda: read_run(cut))
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(SAMPLE)
    middle = info.header_offset + 30 + len(SAMPLE) + info.compress_size // 2
    damaged.write_bytes(content[:middle] + struct.pack("<Q", 0) + content[middle + 8 :])
    assert f"{SAMPLE} is damaged" in refused(lambda: read_run(damaged))


def test_a_parquet_file_without_details(written: Path, tmp_path: Path) -> None:
    path = tmp_path / f"details_x_{DATE}.parquet"
    pq.write_table(pa.table({"example": ["?"], "metrics": [1]}), path)
    assert "has no column 'doc'; expected the details" in refused(lambda: read_run(path))
    pq.write_table(pa.table({"doc": [{"a": 1}], "metric": [{"b": 1}], "model_response": [{"c": 1}]}), path)
    assert "row 0: is no detail of lighteval (doc.query: Field required)" in refused(lambda: read_run(path))
    whole = find_logs(written / "lighteval" / "baseline_0")[0].read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "is no whole parquet file" in refused(lambda: read_run(path))


@pytest.mark.parametrize("text", ["a:0", "=logs", "a:=logs", ":0=logs", "a:0="])
def test_a_run_that_is_named_wrongly(text: str) -> None:
    assert refused(lambda: parse_runs([text])).startswith(f"--run {text}: expected NAME:SEED=PATH")


def test_two_logs_of_one_task_for_one_run(tmp_path: Path) -> None:
    named = two(tmp_path)
    write_samples(tmp_path / "c", RIGHT)
    message = refused(lambda: compare_logs([*named, Named("b", "0", tmp_path / "c")], Options()))
    assert "are both of the task 'sums'" in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("runs: {}", "runs: expected a log for each seed"),
        ("a: {0: x}", "a: no such key"),
        ("run: {a: x}", "run: no such key; did you mean 'runs'?"),
        ("runs: {a: {0: [x, 1]}}", "runs.a: expected a path for each seed, got 1"),
        ("{runs: {a: x, b: y}, reference: 3}", "reference: expected the name of a condition, got 3"),
    ],
)
def test_a_file_of_runs_that_is_wrong(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "runs.yaml"
    path.write_text(text)
    assert words in refused(lambda: read_mapping(path))
