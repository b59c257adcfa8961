"""An endpoint over the last checkpoints of a stage: the recipe must keep and evaluate them."""

from pathlib import Path

import pytest

from domain_tokens.recipe import RecipeError, load_recipe

RECIPE = "recipes/baseline.yaml"


def load(tmp_path: Path, endpoint: str, *overrides: str) -> None:
    (tmp_path / "prereg.yaml").write_text(f"endpoints: [{{{endpoint}}}]\nseeds: [0]\n")
    load_recipe([RECIPE, f"prereg={tmp_path}/prereg.yaml", *overrides])


@pytest.mark.parametrize(
    ("endpoint", "overrides", "message"),
    [
        (
            "model: grpo_final, task: svamp, last_checkpoints: 0",
            [],
            "last_checkpoints: expected a whole number of at least 1, got 0",
        ),
        (
            "model: grpo_final, task: svamp, last_checkpoints: 2",
            [],
            "grpo_final svamp: last_checkpoints: 2 checkpoints are declared, but svamp is not among evaluation.ch",
        ),
        (
            "model: grpo_final, task: notations, last_checkpoints: 3",
            ["grpo.max_steps=10", "grpo.save_steps=5", "grpo.save_total_limit=null"],
            "last_checkpoints: 3 checkpoints are declared, but 10 steps with one every 5 make 2",
        ),
        (
            "model: sft_final, task: notations, last_checkpoints: 3",
            [],
            "sft_final notations: last_checkpoints: 3 checkpoints are declared, but sft.save_total_limit keeps 2",
        ),
    ],
)
def test_checkpoints_that_will_not_be_there(tmp_path: Path, endpoint: str, overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError) as error:
        load(tmp_path, endpoint, *overrides)
    assert message in str(error.value)
    assert "prereg.yaml" in str(error.value)


def test_checkpoints_that_will_be_there(tmp_path: Path) -> None:
    load(tmp_path, "model: sft_final, task: notations, last_checkpoints: 2")
    load(tmp_path, "model: sft_final, task: notations, last_checkpoints: 3", "sft.save_total_limit=3")
    load(tmp_path, "model: sft_final, task: svamp, last_checkpoints: 2", "evaluation.checkpoint_tasks=[svamp]")
    keep = ("grpo.max_steps=11", "grpo.save_steps=5", "grpo.save_total_limit=3")
    load(tmp_path, "model: grpo_final, task: notations, last_checkpoints: 3", *keep)  # after 5, 10 and 11 steps
    load(tmp_path, "model: sft_final, task: not_run, last_checkpoints: 9")  # reported as a departure, not refused
