"""What the three libraries wrote is read as it was answered, and agrees with what they report themselves."""

import io
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from logs import make_fixtures as made

from domain_tokens.logs.comparison import Options, compare_logs
from domain_tokens.logs.readers.zip_members import open_archive
from domain_tokens.logs.reading import find_logs, read_run
from domain_tokens.logs.runs import Named
from domain_tokens.logs.table import MEAN, Aggregate, Item, TaskLog

WRITTEN = {  # task in writing and task with choices, with a metric of each
    "lm_eval": (("products", "exact_match,strict-match"), ("products_choice", "acc,none")),
    "inspect": (("products", "match"),),
    "lighteval": (("products|0", "accuracy"), ("products_choice|0", "acc_norm")),
}
ZSTANDARD = 93  # how zip calls it
VERSIONS = {"lm_eval": "0.4.13", "inspect": "0.3.285", "lighteval": None}


@pytest.fixture(params=made.WRITERS)
def harness(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def by_index(log: TaskLog) -> dict[int, Item]:
    found = {int(item.name.removeprefix("q")): item for item in log.items}
    assert sorted(found) == list(range(made.NUM_QUESTIONS))
    return found


def epochs(harness: str) -> int:
    return made.EPOCHS if harness == "inspect" else 1


def test_every_question_is_read_with_what_was_answered(harness: str, written: Path) -> None:
    for condition in made.CONDITIONS:
        logs = read_run(written / harness / f"{condition}_0")
        assert list(logs) == [task for task, _ in WRITTEN[harness]]
        for task, metric in WRITTEN[harness]:
            log = logs[task]
            assert log.version == VERSIONS[harness]
            for index, item in by_index(log).items():
                right = [made.is_right(condition, 0, index, epoch) for epoch in range(epochs(harness))]
                assert item.scores[metric] == sum(right) / len(right)
                assert made.question(index) in item.question
                assert item.target == made.target(index)
                wrong = made.choices(index)[1] if "choice" in task else "41"
                assert item.answer is not None
                assert (made.target(index) if right[0] else wrong) in item.answer
                assert item.num_epochs == epochs(harness)


def test_both_conditions_were_asked_the_same_and_answered_differently(harness: str, written: Path) -> None:
    first, second = (read_run(written / harness / f"{condition}_0") for condition in made.CONDITIONS)
    for task, metric in WRITTEN[harness]:
        sides = [by_index(logs[task]) for logs in (first, second)]
        keys = [[side[index].key for index in sorted(side)] for side in sides]
        assert keys[0] == keys[1]
        assert len(set(keys[0])) == made.NUM_QUESTIONS
        scores = [[side[index].scores[metric] for index in sorted(side)] for side in sides]
        assert scores[0] != scores[1]


def test_the_means_are_those_of_the_library(harness: str, written: Path) -> None:
    log = read_run(written / harness / "baseline_0")
    for task, metric in WRITTEN[harness]:
        own = log[task].aggregates[metric]
        assert own.method == MEAN
        scores = [item.scores[metric] for item in log[task].items]
        assert own.value == pytest.approx(sum(map(float, scores)) / len(scores))
        assert 0 < own.value < 1


def test_logs_are_compared(harness: str, written: Path) -> None:
    named = [
        Named(condition, str(seed), written / harness / f"{condition}_{seed}")
        for condition in made.CONDITIONS
        for seed in made.SEEDS[harness]
    ]
    metrics = [metric for _, metric in WRITTEN[harness]]
    found = compare_logs(named, Options(metrics=metrics))
    assert [(one.task, one.metric) for one in found.differences] == list(WRITTEN[harness])
    assert all(log.own is not None for log in found.logs)
    right = {
        condition: [
            made.is_right(condition, seed, index, epoch)
            for seed in made.SEEDS[harness]
            for index in range(made.NUM_QUESTIONS)
            for epoch in range(epochs(harness))
        ]
        for condition in made.CONDITIONS
    }
    expected = {condition: sum(answers) / len(answers) for condition, answers in right.items()}
    for one in found.differences:
        assert one.delta == pytest.approx(expected["mul_tokens"] - expected["baseline"])
    about = {note.about for note in found.notes}
    assert "Evaluated differently" not in about
    assert ("Epochs" in about) == (harness == "inspect")


def test_every_value_of_a_scorer_is_a_metric(written: Path) -> None:
    log = read_run(written / "inspect" / "baseline_0")["products"]
    assert log.metrics == ("match", "parts/digits", "parts/close")
    for metric in log.metrics:
        scores = [float(item.scores[metric]) for item in log.items]
        assert log.aggregates[metric].value == pytest.approx(sum(scores) / len(scores))


def test_filters_are_metrics_of_their_own(written: Path) -> None:
    log = read_run(written / "lm_eval" / "baseline_0")["products"]
    assert log.metrics == ("exact_match,strict-match", "exact_match,first-number")
    assert log.settings["examples in the prompt"] == "0"
    assert "do_sample" in log.settings["generation"]


def test_a_zip_of_another_compression_is_the_same_log(written: Path, tmp_path: Path) -> None:
    (path,) = find_logs(written / "inspect" / "baseline_0")
    with zipfile.ZipFile(path) as archive:
        assert {info.compress_type for info in archive.infolist()} == {ZSTANDARD}  # or it would not be tried
    with open_archive(path) as archive, zipfile.ZipFile(tmp_path / path.name, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in archive.names:
            packed.writestr(name, archive.read(name))
    (expected,), (found,) = read_run(path).values(), read_run(tmp_path / path.name).values()
    assert found == replace(expected, path=tmp_path / path.name)


def test_a_member_of_several_frames_is_read_to_its_end(tmp_path: Path) -> None:
    parts = [b"one " * 1000, b"two " * 1000]
    frames = b"".join(pa.Codec("zstd").compress(part, asbytes=True) for part in parts)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("member", frames)
    content = bytearray(buffer.getvalue())
    whole = b"".join(parts)
    for start, method, sums in ((0, 8, 14), (content.index(b"PK\x01\x02"), 10, 16)):  # both headers of the member
        struct.pack_into("<H", content, start + method, ZSTANDARD)
        struct.pack_into("<I", content, start + sums, zlib.crc32(whole))
        struct.pack_into("<I", content, start + sums + 8, len(whole))
    (tmp_path / "frames.zip").write_bytes(content)
    with open_archive(tmp_path / "frames.zip") as archive:
        assert archive.names == ["member"]
        assert archive.read("member") == whole


def test_texts_that_inspect_keeps_apart_are_put_in_their_place(written: Path, tmp_path: Path) -> None:
    (path,) = find_logs(written / "inspect" / "baseline_0")
    keys = []
    for name, text, attachments in (("plain", "What is it?", {}), ("apart", "attachment://7", {"7": "What is it?"})):
        content = [{"type": "text", "text": text}, {"type": "image", "image": "data:image/png;base64,AA=="}]
        messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": content}]
        with open_archive(path) as archive, zipfile.ZipFile(tmp_path / f"{name}.eval", "w") as packed:
            for member in archive.names:
                values = json.loads(archive.read(member))
                if member.startswith("samples/q0_"):
                    values |= {"input": messages, "attachments": attachments}
                packed.writestr(member, json.dumps(values))
        (log,) = read_run(tmp_path / f"{name}.eval").values()
        keys.append(by_index(log)[0].key)
        assert by_index(log)[0].question == "What is it?"
    assert keys[0] == keys[1] != by_index(read_run(path)["products"])[0].key


def test_choices_are_a_part_of_inspects_question(written: Path, tmp_path: Path) -> None:
    (path,) = find_logs(written / "inspect" / "baseline_0")
    keys = []
    for choices in (["6", "1"], ["6", "2"]):

        def offered(name: str, found: dict[str, Any], choices: list[str] = choices) -> None:
            if name.startswith("samples/"):
                found["choices"] = choices

        keys.append(by_index(edited(path, tmp_path / "choices.eval", offered))[0].key)
    assert keys[0] != keys[1]


def test_the_direction_of_a_metric_is_lightevals(written: Path, tmp_path: Path) -> None:
    shutil.copytree(written / "lighteval" / "baseline_0" / "products", tmp_path / "products")
    (path,) = find_logs(tmp_path)
    (log,) = read_run(path).values()
    assert log.aggregates
    assert not log.lower_is_better
    (results,) = tmp_path.rglob("results_*.json")
    text = results.read_text()
    assert '"higher_is_better": true' in text
    results.write_text(text.replace('"higher_is_better": true', '"higher_is_better": false'))
    (log,) = read_run(path).values()
    assert log.lower_is_better == {"accuracy"}


def edited(path: Path, target: Path, change: Callable[[str, dict[str, Any]], object]) -> TaskLog:
    """Read an `.eval` file with some of its JSON changed in place."""
    with open_archive(path) as archive, zipfile.ZipFile(target, "w") as packed:
        for member in archive.names:
            values = json.loads(archive.read(member))
            change(member, values)
            packed.writestr(member, json.dumps(values))
    (log,) = read_run(target).values()
    return log


VALUES = {"C": 1, "I": 0, "P": 0.5, "N": 0, "yes": 1, "False": 0, "0.25": 0.25, 3: 3, True: 1}


def test_letters_words_and_numbers_are_scores(written: Path, tmp_path: Path) -> None:
    (path,) = find_logs(written / "inspect" / "baseline_0")
    scores = {f"scorer {index}": {"value": value} for index, value in enumerate(VALUES)}

    def scored(name: str, found: dict[str, Any]) -> None:
        if name.startswith("samples/"):
            found["scores"] = scores

    item = by_index(edited(path, tmp_path / "scored.eval", scored))[0]
    assert [item.scores[name] for name in scores] == list(VALUES.values())


@pytest.mark.slow
def test_they_are_the_scores_that_inspect_makes_of_them() -> None:
    from inspect_ai.scorer import value_to_float

    assert list(map(value_to_float(), VALUES)) == list(VALUES.values())


def test_another_reducer_of_epochs_is_said_and_not_required(written: Path, tmp_path: Path) -> None:
    (path,) = find_logs(written / "inspect" / "baseline_0")

    def reduced(name: str, found: dict[str, Any]) -> None:
        if name == "header.json":
            found["results"]["scores"][0] |= {"reducer": "mode", "metrics": {"accuracy": {"value": 0.99}}}

    log = edited(path, tmp_path / "mode.eval", reduced)
    assert log.aggregates["match"] == Aggregate(0.99, "accuracy of mode over epochs")
    named = [Named("a", "", path), Named("b", "", tmp_path / "mode.eval")]
    (note,) = [
        one for one in compare_logs(named, Options(metrics=["match"])).notes if one.about.startswith("The harn")
    ]
    assert "In 1 they are not: they are made by accuracy of mode over epochs" in note.text


@pytest.mark.parametrize("changed", [{"choices": ["6", "1", "2"]}, {"instruction": "Add."}, {"gold_index": 1}])
def test_choices_and_instruction_are_parts_of_lightevals_question(
    changed: dict[str, object], written: Path, tmp_path: Path
) -> None:
    path = next(path for path in find_logs(written / "lighteval" / "baseline_0") if "choice" in path.name)
    rows = pq.read_table(path).to_pylist()
    before = [item.key for item in read_run(path)["products_choice|0"].items]
    for row in rows:
        row["doc"] |= changed
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / path.name)
    assert not set(before) & {item.key for item in read_run(tmp_path / path.name)["products_choice|0"].items}


def comparable(log: TaskLog) -> TaskLog:
    return replace(log, path=Path(), version=None, items=sorted(log.items, key=lambda item: item.name))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_installed_libraries_write_the_same_logs(harness: str, written: Path, tmp_path: Path) -> None:
    for condition in made.CONDITIONS:
        made.WRITERS[harness](tmp_path / condition, condition, 0)
        before, now = read_run(written / harness / f"{condition}_0"), read_run(tmp_path / condition)
        assert before.keys() == now.keys() != set()
        for task in before:
            assert comparable(now[task]) == comparable(before[task])
