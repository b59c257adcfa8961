"""What a tokenizer's reading of the questions does to a comparison: rewritten, identical and crossed prompts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from domain_tokens.analysis.compare import assemble
from domain_tokens.analysis.measures.spellings import COMMUTED
from domain_tokens.analysis.report.tables import condition
from domain_tokens.analysis.report.tables.modes import encoding_table, spelling_table
from domain_tokens.analysis.report.tables.results import exploratory_table
from domain_tokens.analysis.results_model import Results, primary_row
from domain_tokens.analysis.verdict import together_note
from domain_tokens.evaluation.tasks import load_task
from domain_tokens.recipe import Recipe, load_prereg
from domain_tokens.runs.results import Pair, load_condition
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.tokenization.rewriter import rewrite

from .conftest import sha256, write_evaluation

ROOT = Path(__file__).parents[2]
SEEDS = (0, 1)
NUM_ITEMS = 12
REWRITTEN = ("a*b", "b*a", "a × b")  # spellings that the second condition reads as one token
Rows = list[dict[str, Any]]
Answered = Callable[[int, int, dict[str, Any]], str | None]


def notations(answered: Answered, seed: int, side: int) -> Rows:
    """Return items of the task `notations` of which the second condition reads three spellings as one prompt."""
    items = []
    for row in load_task("notations").read_rows(Recipe()):
        rewritten = side == 1 and row["group"] in REWRITTEN
        number = answered(seed, side, row)
        items.append(
            {**row, "answer": "", "number": number, "correct": number == row["gold"], "rewritten": rewritten}
            | {"encoding": row["problem"] if rewritten else row["question"], "equations": [], "finished": True}
        )
    return items


def add(folders: tuple[Path, Path], task: str, made: Callable[[int, int], Rows]) -> None:
    for side, folder in enumerate(folders):
        for seed in SEEDS:
            path = folder / f"seed_{seed}"
            fields = {"condition": ("baseline", "mul_tokens")[side], "seed": seed, "model": "grpo_final"}
            weights = sha256("weights", "grpo", fields["condition"], seed)
            write_evaluation(path / "eval" / "grpo_final", task, made(seed, side), weights_sha256=weights, **fields)


@pytest.fixture
def compared(tree: Callable[..., tuple[Path, Path]]) -> Callable[..., Results]:
    """Return a function that adds a task to two conditions and compares them."""

    def compare(**tasks: Callable[[int, int], Rows]) -> Results:
        folders = tree(num_items=NUM_ITEMS, seeds=SEEDS)
        for task, made in tasks.items():
            add(folders, task.replace("__", "."), made)
        return assemble(Pair(*map(load_condition, folders)))

    return compare


def test_spellings_that_are_one_prompt_are_not_compared_with_each_other(compared: Callable[..., Results]) -> None:
    """The second condition answers what it reads as a token right, and everything else wrong and differently."""

    def answered(seed: int, side: int, row: dict[str, Any]) -> str | None:
        if side == 0 or row["group"] in REWRITTEN:
            return row["gold"]
        return {"a times b": "1001", "b times a": "1002", "words": "1003"}[row["group"]]

    results = compared(notations=lambda seed, side: notations(answered, seed, side))
    consistency, starred, worded = results.spellings
    assert sorted(consistency.spellings) == ["a times b", "a × b", "b times a", "words"]
    assert (consistency.num_problems, consistency.reference, consistency.other) == (45, 1.0, 0.0)
    assert (starred.spellings, starred.num_problems, starred.reference, starred.delta) == (COMMUTED[0], 0, None, None)
    assert (worded.spellings, worded.num_problems) == (COMMUTED[1], 36)
    assert (worded.reference, worded.other, worded.delta) == (1.0, 0.0, -1.0)
    cells = spelling_table(results).rows[1]
    assert cells[5:7] == ["identical prompts", "identical prompts"]
    assert "100" not in "".join(cells)


def test_without_an_answer_nothing_is_consistent(compared: Callable[..., Results]) -> None:
    results = compared(notations=lambda seed, side: notations(lambda *_: None, seed, side))
    assert [row.other for row in results.spellings] == [0.0, None, 0.0]


def test_an_endpoint_with_rewritten_prompts_is_of_tokenizer_and_model(compared: Callable[..., Results]) -> None:
    results = compared(notations=lambda seed, side: notations(lambda seed, side, row: row["gold"], seed, side))
    rows = {row.group: row for row in results.rows if row.task == "notations"}
    assert {group for group, row in rows.items() if row.with_tokenizer} == {"all", *REWRITTEN}
    prompts = rows["a*b"].prompts
    assert prompts is not None
    assert (prompts.rewritten, prompts.identical) == ((0, 45), (0, 0))
    prompts = rows["all"].prompts
    assert prompts is not None
    assert prompts.rewritten == (0, 45 + 36 + 45)
    assert prompts.identical == (0, 45 + 36 + 45)
    labelled = [row for row in exploratory_table(results).rows if "tokenizer and model together" in row[1]]
    assert len(labelled) == 4


def test_the_verdict_says_that_a_primary_endpoint_is_of_tokenizer_and_model(compared: Callable[..., Results]) -> None:
    def gsm8k(num_rewritten: int) -> Callable[[int, int], Rows]:
        return lambda seed, side: [
            {"id": str(index), "question": "q", "gold": "1", "answer": "", "correct": index % (2 + side) == 0}
            | {"rewritten": side == 1 and index < num_rewritten, "encoding": str(index), "finished": True}
            for index in range(200)
        ]

    results = compared(gsm8k=gsm8k(3))
    sentence = results.verdict.sentence
    assert (
        "This is of tokenizer and model together, not of the model: mul_tokens rewrites 3 of 200 prompts." in sentence
    )
    assert "together" not in compared(gsm8k=gsm8k(2)).verdict.sentence
    row = primary_row(results.rows)
    assert row.prompts is not None
    both = row.prompts.model_copy(update={"rewritten": (2, 3)})
    assert together_note(row.model_copy(update={"prompts": both}), "a", "b").endswith(
        "not of the model: a rewrites 2 of 200 prompts and b rewrites 3 of 200 prompts."
    )


def crossed(rights: dict[str, tuple[float, float]], mode: str) -> Callable[[int, int], Rows]:
    """Return items of which a share is right in each condition, half of them with a rewritten prompt."""

    def make(seed: int, side: int) -> Rows:
        rewritten = {"plain": side == 1, "question_plain": False, "question_rewritten": True}[mode]
        return [
            {"id": str(index), "question": "q", "gold": "1", "answer": "", "finished": True, "equations": []}
            | {"correct": index < NUM_ITEMS * rights[mode][side], "group": ("table", "sums")[index % 2]}
            | {"encoding": f"{index} {rewritten}", "rewritten": rewritten and index % 2 == 0}
            for index in range(NUM_ITEMS)
        ]

    return make


def test_crossed_encodings_stand_side_by_side(compared: Callable[..., Results]) -> None:
    rights = {"plain": (0.5, 1.0), "question_plain": (0.5, 0.25), "question_rewritten": (0.75, 0.5)}
    results = compared(
        arithmetic=crossed(rights, "plain"),
        arithmetic__question_plain=crossed(rights, "question_plain"),
        arithmetic__question_rewritten=crossed(rights, "question_rewritten"),
    )
    rows = {(row.group, row.encoding.value): row for row in results.encodings}
    assert {group for group, _ in rows} == {"all", "table"}
    for mode, (reference, other) in rights.items():
        row = rows["all", mode]
        assert (row.reference, row.other, row.delta) == (reference, other, pytest.approx(other - reference))
    assert rows["table", "plain"].num_rewritten == (0, NUM_ITEMS / 2)
    assert rows["table", "question_plain"].num_rewritten == (0, 0)
    assert rows["table", "question_rewritten"].num_rewritten == (NUM_ITEMS / 2, NUM_ITEMS / 2)
    assert not any(row.mode == "question_plain" for row in results.ablations)
    assert encoding_table(results).rows[1][3] == "plain"


def test_spellings_and_encodings_of_all_conditions_are_one_table(compared: Callable[..., Results]) -> None:
    """The second condition knows what it reads as a token, and nothing of the same question encoded plainly."""

    def made(mode: str) -> Callable[[int, int], Rows]:
        def rows(seed: int, side: int) -> Rows:
            found = notations(lambda seed, side, row: row["gold"], seed, side)
            if mode == "plain":
                return found
            rewritten = mode == "question_rewritten"
            return [
                {**item, "correct": side == 0 or rewritten, "rewritten": rewritten and item["group"] in REWRITTEN}
                for item in found
            ]

        return rows

    modes = ("plain", "question_plain", "question_rewritten")
    results = compared(**{f"notations__{mode}".removesuffix("__plain"): made(mode) for mode in modes})
    table = condition.spelling_table([results, results])
    assert table.header[-3:] == ["baseline", "mul_tokens", "mul_tokens"]
    cells = {(row[1], row[3]): row[-3:] for row in table.rows}
    spellings = {*REWRITTEN, "a times b", "b times a", "words"}
    assert set(cells) == {(one, "as its tokenizer reads it") for one in spellings} | {
        (one, "plain") for one in REWRITTEN
    }
    assert cells["a*b", "as its tokenizer reads it"] == ["100.00%", "100.00%*", "100.00%*"]
    assert cells["a*b", "plain"] == ["100.00%", "0.00%", "0.00%"]
    assert cells["words", "as its tokenizer reads it"] == ["100.00%"] * 3


def test_groups_of_the_primary_endpoint_of_all_conditions_are_one_table(compared: Callable[..., Results]) -> None:
    def grouped(seed: int, side: int) -> Rows:
        needs = ("one product", "sum or difference")
        return [
            {"id": str(index), "question": "q", "gold": "1", "answer": "", "finished": True, "equations": []}
            | {"correct": index % 2 == side, "group": needs[index % 2], "encoding": str(index), "rewritten": False}
            for index in range(NUM_ITEMS)
        ]

    table = condition.group_table([compared(gsm8k=grouped)])
    assert table.rows == [
        ["all", "12", "50.00%", "50.00%"],
        ["one product", "6", "100.00%", "0.00%"],
        ["sum or difference", "6", "0.00%", "100.00%"],
    ]


def questions(group: str) -> Iterator[str]:
    for row in load_task("notations").read_rows(Recipe()):
        if row["group"] == group:
            yield row["question"]


def test_no_shipped_intervention_but_the_positive_control_rewrites_the_prompts_of_a_declared_endpoint() -> None:
    declared = load_prereg(ROOT / "recipes" / "prereg.yaml").endpoints
    groups = [endpoint.group for endpoint in declared if endpoint.task == "notations"]
    assert groups == ["a times b"]
    found = {path.stem: load_intervention(path) for path in (ROOT / "recipes" / "interventions").glob("*.yaml")}
    assert all(rewrite(text, found["mul_tokens"]).edits for text in questions("a*b"))
    assert rewrite("What is 3 times 4?", found.pop("conflated_digits")).edits
    assert rewrite("What is 24 times 4?", found["wrong_numbers"]).edits
    for group in groups:
        asked = list(questions(group))
        assert len(asked) == 45
        for name, intervention in found.items():
            assert not any(rewrite(text, intervention).edits for text in asked), (name, group)
