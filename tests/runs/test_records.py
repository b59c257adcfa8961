"""The records of a run's files: what is kept, what is refused and how, and the names of the version before."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.layout import Mode
from domain_tokens.runs.records import (
    ChoiceItem,
    Environment,
    EquationRecord,
    GenerativeItem,
    LedgerEntry,
    MetricsRow,
    TaskResult,
    read_items,
    read_record,
    read_rows,
    write_record,
    write_rows,
)

# As version 0.3 wrote it.
RESULT: dict[str, Any] = {
    "task": "gsm8k", "way": "facts_forbidden", "task_version": 2, "outcomes": {"accuracy": "correct"},
    "data_sha256": "d" * 64, "max_samples": None, "measured_as": "a" * 64,
    "generation": {"max_new_tokens": 6, "temperature": 0, "stop": ["\nUser:"], "forbidden": "every id"},
    "condition": "baseline", "seed": 0, "model": "sft_final", "weights_sha256": "b" * 64,
    "tokenizer_sha256": "c" * 64, "num_items": 3, "metrics": {"accuracy": 0.5},
    "groups": {"sums": {"accuracy": 1.0, "num_items": 1}}, "facts_per_response": None, "tokens_per_response": 6.5,
    "unfinished": 1, "num_too_long": 0, "environment": {"python": "3.11.9", "packages": {"deepspeed": None}},
    "wall_time_s": 1.25,
}  # fmt: skip
EQUATION = {
    "start": 0, "end": 6, "text": "6*9=54", "right": True, "rounded": False, "kind": "product", "pair": [6, 9],
    "form": "digits", "origin": "computed", "in_table": True,
}  # fmt: skip
ITEM: dict[str, Any] = {
    "id": "1", "group": None, "question": "6*9?", "gold": "54", "answer": "6*9=54", "number": "54", "correct": True,
    "mistake": "right", "equations": [EQUATION], "needed": [[6, 9]],
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.json"


def test_a_file_is_written_as_it_was_read(file: Path) -> None:
    file.write_text(json.dumps(RESULT), encoding="utf-8")
    result = read_record(file, TaskResult)
    assert (result.mode, result.canonical_table_sha256) == (Mode.FORBIDDEN, "a" * 64)
    assert not result.model_extra
    write_record(file, result)
    assert file.read_text(encoding="utf-8") == json.dumps(RESULT, indent=2) + "\n"


def test_what_the_code_calls_otherwise_has_its_old_key_on_disk() -> None:
    item = GenerativeItem(
        id="1", question="6*9?", gold="54", answer="", correct=False, error_type="format", facts_needed=((6, 9),)
    )
    found = item.as_json()
    assert (found["mistake"], found["needed"]) == ("format", [[6, 9]])
    assert "error_type" not in found
    assert GenerativeItem.parse(found, "here") == item


def test_keys_of_a_later_version_are_kept(file: Path) -> None:
    file.write_text(json.dumps(RESULT | {"later": {"deep": [1, 2.0]}}), encoding="utf-8")
    result = read_record(file, TaskResult)
    assert result.as_json()["later"] == {"deep": [1, 2.0]}


def test_a_record_is_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Environment().python = "3.12"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": ...}, "metrics is missing; run the stage again"),
        ({"metrics": {"accuracy": "high"}}, "metrics.accuracy: Input should be a valid number"),
        ({"num_items": 2.5}, "num_items: Input should be a valid integer"),
        ({"way": "backwards"}, "way: Input should be 'plain', 'facts_forbidden', 'facts_exchanged'"),
        ({"groups": {"sums": {"accuracy": 1.0}}}, "groups.sums.num_items is missing"),
    ],
)
def test_a_damaged_file_is_named_with_its_key(file: Path, change: dict[str, Any], message: str) -> None:
    damaged = {key: value for key, value in (RESULT | change).items() if value is not ...}
    file.write_text(json.dumps(damaged), encoding="utf-8")
    with pytest.raises(RecipeError) as error:
        read_record(file, TaskResult)
    assert str(error.value).startswith(f"{file}: {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "damaged ("),
        ("[]", "damaged (expected a JSON object)"),
        ('{"id": "2"}', "question is missing"),
        (json.dumps(ITEM | {"equations": [EQUATION | {"pair": [6]}]}), "equations.0.pair.1 is missing"),
        (json.dumps(ITEM | {"correct": "perhaps"}), "correct: Input should be a valid boolean"),
    ],
)
def test_a_damaged_line_is_named(file: Path, line: str, message: str) -> None:
    file.write_text(f"{json.dumps(ITEM)}\n\n{line}\n", encoding="utf-8")
    items = read_items(file)
    assert next(items)[1].id == "1"
    with pytest.raises(RecipeError) as error:
        next(items)
    assert str(error.value).startswith(f"{file}, line 3: {message}")


def test_the_kind_of_items_is_told_by_their_keys(file: Path) -> None:
    written = GenerativeItem.parse(ITEM, "here")
    chosen = ChoiceItem(
        id="7", question="He", choices=("eats", "runs"), label=0, logprobs=(-1.0, -2.5), prediction=0,
        prediction_norm=1, correct=True, correct_norm=False,
    )  # fmt: skip
    for item in (written, chosen):
        write_rows(file, [item])
        ((where, found),) = read_items(file)
        assert where == f"{file}, line 1"
        assert type(found) is type(item)
        assert found == item
    assert chosen.is_right("correct")
    assert not chosen.is_right("correct_norm")
    assert written.equations == (EquationRecord.parse(EQUATION, "here"),)


def test_an_item_says_whether_it_is_right_by_a_key_of_its_task(file: Path) -> None:
    file.write_text(json.dumps({"id": 3, "question": "?", "gold": "", "answer": "", "correct": False, "mine": True}))
    ((_, item),) = read_items(file)
    assert item.id == "3"
    assert item.is_right("mine")


def test_numbers_are_kept_as_they_were_written() -> None:
    entry = dict.fromkeys(LedgerEntry.model_fields, 1) | {"stage": "sft/drills", "order_sha256": "a"}
    entry |= {
        "initial_weights_sha256": "b",
        "flops": 3,
        "wall_time_s": 3.0,
        "seeds": {"run": 0, "share": 1.0},
        "packed": False,
    }
    entry |= {"precision": {}, "optimizer": {}, "schedule": {}}
    found = LedgerEntry.parse(entry, "here")
    assert found.kind == "sft"
    assert json.dumps(found.as_json(), sort_keys=True) == json.dumps(entry, sort_keys=True)


def test_a_line_of_the_log(file: Path) -> None:
    file.write_text('{"step": 1, "loss": NaN}\n{"step": 2, "stage": "drills", "loss": 3, "mfu": null}\n')
    first, second = read_rows(file, MetricsRow)
    assert math.isnan(first.value("loss") or 0)
    assert (second.step, second.stage, second.value("loss")) == (2, "drills", 3)
    assert second.value("mfu") is second.value("nothing") is None
