"""The task of problems whose words train with other numbers: only the same problem is kept out of training."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from domain_tokens.cli.renumber_gsm8k import equations_hold
from domain_tokens.corpora.contamination.index import ContaminationIndex, Question
from domain_tokens.corpora.held_out import gate_of, held_out_questions, kept_rows
from domain_tokens.corpora.renumbering import variants as drawing_variants
from domain_tokens.corpora.renumbering.making import TRAIN, Settings, make_part
from domain_tokens.corpora.renumbering.reading.mentions import mentions, write
from domain_tokens.corpora.renumbering.records import Part
from domain_tokens.corpora.renumbering.variants import Problem
from domain_tokens.evaluation.tasks import load_task
from domain_tokens.local_data.row import Row
from domain_tokens.recipe import Recipe, RecipeError, Source
from domain_tokens.recipe.schema import Evaluation

PROBLEM = Problem("problem 7", "Ada has 6 boxes of 9 pens each and loses 14 of all her pens. How many pens are left?",
                  "She has 6*9=<<6*9=54>>54 pens.\n54-14=<<54-14=40>>40 pens are left.\n#### 40")  # fmt: skip
TASK = "renumbered_numbers"


@pytest.fixture(scope="module")
def part() -> Part:
    return make_part(TRAIN, [PROBLEM], Settings(variants=20, numbers=3), equations_hold)


def recipe_of(path: Path, rows: list[dict[str, str]]) -> Recipe:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return Recipe(evaluation=Evaluation(tasks=[TASK], data={TASK: Source("numbers", kind="file", path=str(path))}))


def test_some_variants_are_kept_for_evaluation_and_change_nothing_of_the_others(part: Part) -> None:
    assert len(part.rows) == 20
    assert [row.id for row in part.numbers] == [f"problem 7 #{number}" for number in (21, 22, 23)]
    assert {row.cluster for row in part.numbers} == {"problem 7"}
    assert not {row.question for row in part.rows} & {row.question for row in part.numbers}
    assert make_part(TRAIN, [PROBLEM], Settings(variants=20), equations_hold).rows == part.rows


def test_a_template_with_hardly_enough_variants_trains_with_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing_variants, "_TRIES", 60)
    every = drawing_variants.variants(PROBLEM, 0, 1, equations_hold, more=10_000)
    assert len(every) > 10
    for trained, evaluated in ((len(every), 0), (len(every) - 2, 2)):
        part = make_part(TRAIN, [PROBLEM], Settings(variants=trained, numbers=5), equations_hold)
        assert (len(part.rows), len(part.numbers)) == (trained, evaluated)


def test_the_problems_are_read(tmp_path: Path, part: Part) -> None:
    made = [row.model_dump() for row in part.numbers]
    rows = load_task(TASK).rows(recipe_of(tmp_path / "numbers.jsonl", made))
    assert [row["gold"] for row in rows] == [row["answer"].rpartition("#### ")[2] for row in made]
    assert [(row["group"], row["cluster"]) for row in rows] == [("2 steps", "problem 7")] * 3
    with pytest.raises(RecipeError, match="column 'answer': expected one number"):
        load_task(TASK).rows(recipe_of(tmp_path / "wrong.jsonl", [{**made[0], "answer": "no number"}]))


def test_the_gate_takes_out_the_same_problem_and_no_other_numbers(tmp_path: Path, part: Part) -> None:
    recipe = recipe_of(tmp_path / "numbers.jsonl", [row.model_dump() for row in part.numbers])
    index = held_out_questions(recipe, local=True)
    same, other = part.numbers[1].question, part.rows[0].question
    assert [found.kind for found in index.find(f"{same.upper()}\n\n{part.numbers[1].answer}")] == ["exact"]
    assert index.find(other) == []
    source = Source("renumbered", kind="file", path="renumbered_train.jsonl")
    trained = [(part.rows[0], "row 0"), (part.numbers[2], "row 1"), (part.rows[1], "row 2")]
    rows = [Row.at(place, one.model_dump()) for one, place in trained]
    kept = kept_rows(gate_of(recipe, "sft", [source]), source, rows)
    assert [row.place for row in kept] == ["row 0", "row 2"]


@pytest.mark.parametrize("order", [(TASK, "gsm8k"), ("gsm8k", TASK)])
def test_a_question_of_another_set_too_is_found_with_other_numbers(
    order: tuple[str, str], tmp_path: Path, part: Part
) -> None:
    recipe = recipe_of(tmp_path / "numbers.jsonl", [row.model_dump() for row in part.numbers])
    numbers = recipe.evaluation.data[TASK]
    assert held_out_questions(recipe, local=True).find(part.rows[0].question) == []
    recipe.evaluation.data = {key: replace(numbers, name=key) for key in order}
    index = held_out_questions(recipe, local=True)
    assert [one.is_warning for one in index.find(part.rows[0].question)] == [False] * len(part.numbers)
    assert index.num_questions["gsm8k"] == len(part.numbers)


FORMS: dict[str, tuple[Callable[[str, str], str], str]] = {
    "question and answer on one line": (lambda question, answer: f"{question} {answer}", "exact"),
    "an instruction behind": (lambda question, answer: f"{question} Think step by step.\n\n{answer}", "exact"),
    "sentences on lines": (lambda question, answer: question.replace(". ", ".\n"), "exact"),
    "a docstring": (lambda question, answer: f'def f():\n    """{question}"""\n    return {answer}', "exact"),
    "another end": (lambda question, answer: question.replace("How many pens are left?", "And now?"), "13-gram"),
}


@pytest.mark.parametrize(("form", "kind"), FORMS.values(), ids=FORMS)
def test_the_gate_finds_the_same_problem_in_other_forms(
    form: Callable[[str, str], str], kind: str, part: Part, tmp_path: Path
) -> None:
    index = held_out_questions(recipe_of(tmp_path / "n.jsonl", [row.model_dump() for row in part.numbers]), local=True)
    for number, row in enumerate(part.numbers):
        found = index.find(form(row.question, row.answer))
        assert [(one.kind, index.questions[one.question].item.rpartition(", ")[2]) for one in found] == [
            (kind, f"line {number + 1}")
        ]
    assert [index.find(form(row.question, row.answer)) for row in part.rows] == [[]] * len(part.rows)


@pytest.mark.parametrize(
    "text",
    [
        "Tom has 5 red apples and buys 3 more of them at the shop in his street. He eats 12.",
        "He says: 7 of 9 pens are lost.",
        "In all 4 rooms stand some chairs and a table, and on each table a lamp that costs $15.50 or more, of which 2",
        "Two of the twenty-one children of this school play the flute every day of the week.",
        "Buys 3 more",
    ],
)
def test_one_other_number_makes_another_problem(text: str) -> None:
    index = ContaminationIndex([Question("whole", "0", text, is_whole=True)])
    around = "And so to bed, said one of the 3. {} It was late in the year, at the 5 lakes, and cold."
    assert [one.kind for one in index.find(text)] == ["exact"]
    assert [one.kind for one in index.find(around.format(text))] == (["exact"] if len(text.split()) >= 8 else [])
    numbers = [one for one in mentions(text) if one.value != 1]
    assert numbers
    for one in numbers:
        other = text[: one.start] + write(one.value + 1, one, False) + text[one.end :]
        assert other != text
        assert index.find(other) == index.find(around.format(other)) == []
    assert index.find(text[: numbers[-1].start]) == []


LONG = (
    "On a rainy day in the old town Ada has 6 boxes of 9 pens each and loses 14 of all her pens. "
    "How many pens are left to her in the end?"
)


def test_the_same_numbers_with_another_beginning_are_found() -> None:
    index = ContaminationIndex([Question("whole", "0", LONG, is_whole=True)])
    other = LONG.replace("On a rainy day in the old town", "Late in summer, far out at sea,")
    assert [one.kind for one in index.find(other)] == ["13-gram"]
    assert index.find(other.replace("14", "15")) == []


def test_a_whole_question_lies_within_one_text() -> None:
    index = ContaminationIndex([Question("whole", "0", LONG, is_whole=True)])
    assert [one.kind for one in index.find(LONG)] == ["exact"]
    first, loses, last = LONG.partition(" loses")  # between the first of its numbers and the last
    halves = [first + loses, last.strip()]
    assert " ".join(halves) == LONG
    assert list(index.find_all(halves)) == [[], []]


def test_other_signs_make_a_short_whole_question_another() -> None:
    text, other = "What comes to (2 + 3) * 4 when Ada adds it up?", "What comes to 2 + 3 * 4 when Ada adds it up?"
    index = ContaminationIndex([Question("whole", "0", text, is_whole=True)])
    assert 8 <= len(re.findall(r"\w+", text)) < 13
    assert [one.kind for one in index.find(f"He asks. {text} She knows.")] == ["exact"]
    assert index.find(f"He asks. {other} She knows.") == index.find(other) == []


def test_whole_questions_do_not_hide_those_that_are_found_in_part() -> None:
    texts = ["Tom has 5 red apples and buys 3 more of them at the shop today.",
             "Eve reads 12 pages of her new book each day for 4 days in a row."]  # fmt: skip
    index = ContaminationIndex([Question("whole", "0", texts[0], is_whole=True), Question("part", "1", texts[1])])
    assert [one.source for one in index.questions] == ["part", "whole"]
    changed = [text.replace("3", "7").replace("12", "15") for text in texts]
    assert [[index.questions[one.question].source for one in index.find(text)] for text in changed] == [[], ["part"]]
    assert [[one.kind for one in index.find(text)] for text in texts] == [["exact"], ["exact"]]
