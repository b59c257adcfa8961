"""Answers that no model of the recipe can hold are refused as soon as there is a tokenizer."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from domain_tokens.evaluation.lengths import check_lengths
from domain_tokens.recipe import Recipe, RecipeError, Source


def test_a_solution_that_is_longer_than_the_context_is_refused_before_training(
    tmp_path: Path, make_run: Callable[..., Recipe], caplog: pytest.LogCaptureFixture
) -> None:
    recipe = make_run(tmp_path, "mul_tokens", ["gold_bits"], max_new_tokens=8)
    answers = ["So 6*9=54.\n#### 54", " and 1" * 90 + "\n#### 54"]
    rows = [{"question": f"What is {number} times 9?", "answer": answer} for number, answer in enumerate(answers)]
    path = tmp_path / "problems.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    recipe.evaluation.data["gsm8k"] = Source(name="mine", kind="file", path=str(path))
    recipe.tokenizer_dir.parent.mkdir(parents=True, exist_ok=True)
    if not recipe.tokenizer_dir.exists():
        recipe.tokenizer_dir.symlink_to(recipe.run_dir / "sft_final")
    recipe.model["n_positions"] = 128
    with pytest.raises(RecipeError, match="an answer of up to 18[0-9] tokens does not fit into the model's 128 "):
        check_lengths(recipe)
    recipe.model["n_positions"] = 190
    check_lengths(recipe)
    assert "gold_bits: 1 of 2 items do not fit into the model's context" in caplog.text
    recipe.model["n_positions"] = 512
    caplog.clear()
    check_lengths(recipe)
    assert "do not fit" not in caplog.text
