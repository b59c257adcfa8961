"""The task of pairs: two problems of one template, one with a product of the table and one beyond it."""

import json
from pathlib import Path

import pytest

from domain_tokens.cli.renumber_gsm8k import equations_hold
from domain_tokens.corpora.held_out import held_out_questions
from domain_tokens.corpora.renumbering.making import EVALUATION, Settings, make_part
from domain_tokens.corpora.renumbering.variants import Problem
from domain_tokens.evaluation.tasks import load_task
from domain_tokens.recipe import Recipe, RecipeError, Source
from domain_tokens.recipe.schema import Evaluation

PROBLEM = Problem("problem 7", "Ada has 6 boxes of 9 pens each and loses 14 of all her pens. How many pens are left?",
                  "She has 6*9=<<6*9=54>>54 pens.\n54-14=<<54-14=40>>40 pens are left.\n#### 40")  # fmt: skip


def recipe_of(path: Path, rows: list[dict[str, object]]) -> Recipe:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    data = {"renumbered_pairs": Source("pairs", kind="file", path=str(path))}
    return Recipe(evaluation=Evaluation(tasks=["renumbered_pairs"], data=data))


@pytest.fixture
def made() -> list[dict[str, object]]:
    part = make_part(EVALUATION, [PROBLEM], Settings(pairs=2), equations_hold)
    assert len(part.pairs) == 4
    return [row.model_dump() for row in part.pairs]


def test_both_problems_of_a_pair_are_read(tmp_path: Path, made: list[dict[str, object]]) -> None:
    task = load_task("renumbered_pairs")
    rows = task.rows(recipe_of(tmp_path / "pairs.jsonl", made))
    assert [row["group"] for row in rows] == ["in_table", "out_of_table"] * 2
    assert {row["cluster"] for row in rows} == {"problem 7"}
    assert [row["id"] for row in rows] == [
        f"problem 7 #{pair} {group}" for pair in (1, 2) for group in ("in_table", "out_of_table")
    ]
    assert [row["gold"] for row in rows] == [str(row["answer"]).rpartition("#### ")[2] for row in made]
    assert all("<<" not in row["question"] for row in rows)


def test_a_broken_pair_is_refused(tmp_path: Path, made: list[dict[str, object]]) -> None:
    task = load_task("renumbered_pairs")
    with pytest.raises(RecipeError, match=r"pair 'problem 7 #2': expected one problem of each .*, got in_table;"):
        task.rows(recipe_of(tmp_path / "pairs.jsonl", made[:3]))
    wrong = [{**made[0], "group": "inside"}]
    with pytest.raises(RecipeError, match="column 'group': expected in_table or out_of_table, got str 'inside'"):
        task.rows(recipe_of(tmp_path / "pairs.jsonl", wrong))


def test_the_gate_knows_the_pairs_of_a_recipe(tmp_path: Path, made: list[dict[str, object]]) -> None:
    index = held_out_questions(recipe_of(tmp_path / "pairs.jsonl", made), local=True)
    with_other_numbers = PROBLEM.question.replace("14", "15")
    assert [found.kind for found in index.find(with_other_numbers)] == ["masked"] * 4
