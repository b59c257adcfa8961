"""The overlays in `recipes/stages`: alike in both conditions, all data listed, the columns those of the data."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tiny import ROOT

from domain_tokens.corpora.examples import read_examples
from domain_tokens.evaluation.answers.extraction import require_gold
from domain_tokens.recipe import Recipe, Source, load_recipe

STAGES = sorted((ROOT / "recipes/stages").glob("*.yaml"))
RECIPES = [
    [],
    *(
        [str(path)]
        for path in (*STAGES, *sorted((ROOT / "recipes/scales").glob("*.yaml")))
        if "prereg" not in path.stem
    ),
]

# A row of each set that trains, in the form in which it is published, or is made by a script.
ROWS: dict[str, dict[str, Any]] = {
    "openai/gsm8k": {"question": "Ed has 6 bags of 9 pens. How many?", "answer": "6*9=<<6*9=54>>54\n#### 54"},
    "data/gsm8k_renumbered/renumbered_train.jsonl": {
        "id": "problem 7 #1", "question": "Ed has 6 bags of 9 pens. How many?", "answer": "6*9=<<6*9=54>>54\n#### 54",
    },
    "whynlp/gsm8k-aug": {"question": "Ed has 6 bags of 9 pens. How many?", "steps": ["<<6*9=54>>"], "answer": "54"},
    "ChilleD/SVAMP": {
        "ID": "chal-1", "Type": "Subtraction", "Body": "Ed has 8 pens.", "Question": "How many?",
        "Equation": "( 8.0 - 3.0 )", "Answer": "5", "question_concat": "Ed has 8 pens. How many?",
    },
    "data/tinygsm_prose": {"id": "7", "question": "Ed has 6 bags of 9 pens. How many?", "answer": "6 × 9\n#### 54"},
    "allenai/tulu-3-sft-mixture": {
        "id": "one", "source": "x",
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
    },
}  # fmt: skip


def every_source(recipe: Recipe) -> list[Source]:
    """Return all data sources of a recipe, of evaluation too."""
    fine_tuning = [source for stage in recipe.sft_stages for source in stage.portions]
    return [*recipe.corpus.sources, *fine_tuning, *recipe.grpo_prompts, *recipe.evaluation.data.values()]


@cache
def usual_recipe() -> Recipe:
    return load_recipe(["recipes/baseline.yaml"])


@pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)
def test_a_stage_recipe_is_the_same_in_both_conditions_and_its_columns_are_read(path: Path, tmp_path: Path) -> None:
    ours, theirs = (load_recipe([f"recipes/{name}.yaml", str(path)]) for name in ("baseline", "mul_tokens"))
    assert ours.sft_stages == theirs.sft_stages
    changes_sft = ours.sft_stages != usual_recipe().sft_stages
    assert changes_sft != path.stem.startswith("grpo_")
    for stage in ours.sft_stages:
        for source in stage.portions:
            if source.kind != "synthetic":
                file = tmp_path / "row.jsonl"
                file.write_text(json.dumps(ROWS[str(source.path)]), encoding="utf-8")
                source = replace(source, kind="file", path=str(file), revision=None, max_items=None)
            else:
                source = replace(source, max_items=5)
            examples = read_examples(source, 0, "train")
            assert examples
            if source.messages_key is None:
                assert all(require_gold(one.answer, "") for one in examples)
                assert "<<" not in examples[0].answer or source.annotations == "keep"


@pytest.mark.parametrize("overlays", RECIPES, ids=lambda overlays: Path(overlays[0]).stem if overlays else "base")
def test_every_data_set_of_every_recipe_is_listed(overlays: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOMAIN_TOKENS_DATA", "data")
    table = (ROOT / "docs/DATA.md").read_text(encoding="utf-8").partition("\n## ")[0]
    recipe = load_recipe(["recipes/baseline.yaml", *overlays])
    named = set()
    for source in every_source(recipe):
        if source.kind != "synthetic":
            paths = source.path if isinstance(source.path, list) else [str(source.path)]
            named |= {path.removeprefix("data/") for path in paths}
    assert named or overlays
    assert {name for name in named if f"`{name}`" not in table} == set()


def test_every_data_set_has_a_size_a_use_a_licence_and_an_origin() -> None:
    table = (ROOT / "docs/DATA.md").read_text(encoding="utf-8").partition("\n\nRevisions")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")]
    assert rows[0] == ["data", "size", "used for", "licence", "origin; local form"]
    assert len(rows) > 12
    assert [row for row in rows if len(row) != 5 or not all(row)] == []
