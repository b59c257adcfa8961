"""A run that starts with the model of another condition has the stages after it, and no others."""

from collections.abc import Callable

import pytest
from tiny import ROOT

from domain_tokens.planning.cost import StageCost, is_own
from domain_tokens.recipe import Recipe, RecipeError, load_recipe
from domain_tokens.recipe.micro_batch import auto_stages
from domain_tokens.recipe.values.overrides import layered
from domain_tokens.runs.layout import stage_paths, start_folder

STAGES = (
    "sft_stages=[{name: drills, sources: [{name: a, kind: synthetic, what: drills, max_items: 9}]},"
    " {name: problems, sources: [{name: b, kind: synthetic, what: problems, max_items: 9}]}]"
)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recipe]:
    monkeypatch.chdir(ROOT)
    files, usual = (
        ["recipes/mul_tokens.yaml", "recipes/scales/demo.yaml"],
        ["prereg=null", "condition=crossed", STAGES],
    )
    return lambda *overrides: load_recipe([*files, *layered(usual, *([one] for one in overrides))])


def test_without_it_a_run_has_all_of_its_stages(loaded: Callable[..., Recipe]) -> None:
    recipe = loaded()
    assert list(recipe.model_folders) == ["pretrain", "sft_drills", "sft_problems", "grpo"]
    assert recipe.model_folders == recipe.all_model_folders
    assert start_folder(recipe) is None


@pytest.mark.parametrize(
    ("model", "own"),
    [
        ("pretrain_final", ["sft_drills", "sft_final", "grpo_final"]),
        ("sft_drills", ["sft_final", "grpo_final"]),
        ("sft_final", ["grpo_final"]),
    ],
)
def test_any_stage_can_be_the_first(model: str, own: list[str], loaded: Callable[..., Recipe]) -> None:
    recipe = loaded("start_from.condition=baseline", f"start_from.model={model}", "evaluation.models=[all]", "seed=3")
    assert list(recipe.model_folders.values()) == own
    assert recipe.evaluation.models == own
    assert [paths.final.name for paths in stage_paths(recipe).values()] == own
    assert start_folder(recipe) == recipe.experiment_dir / "exp_baseline/seed_3" / model
    assert list(recipe.all_model_folders.values())[-len(own) :] == own
    owned = [name for name in ("pretrain", "sft/drills", "sft/problems", "grpo") if is_own(recipe, StageCost(name, 1))]
    assert len(owned) == len(own)


def test_the_pretrained_model_is_the_usual_one(loaded: Callable[..., Recipe]) -> None:
    recipe = loaded("start_from.condition=baseline")
    assert recipe.start_from is not None
    assert recipe.start_from.model == "pretrain_final"


def test_a_micro_batch_that_the_other_condition_needed_stays_known(loaded: Callable[..., Recipe]) -> None:
    recipe = loaded("start_from.condition=baseline", "pretrain.per_device_train_batch_size=auto")
    assert auto_stages(recipe) == ["pretrain"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["start_from.model=sft_final"], "missing: start_from.condition"),
        (["start_from.condition=crossed"], "start_from.condition and condition: the name 'crossed' occurs twice"),
        (["start_from.condition=Crossed"], "start_from.condition and condition: .*Crossed.*crossed"),
        (["start_from.condition=../x"], "start_from.condition: expected letters"),
        (
            ["start_from.condition=a", "start_from.model=grpo_final"],
            "start_from.model: expected one of pretrain_final,",
        ),
        (["start_from.condition=a", "start_from.model=sft_x"], "start_from.model: expected one of pretrain_final,"),
        (["start_from.condition=a", "sft_stages=[]", "grpo_prompts=[]"], "start_from: the recipe has no stage after"),
        (["start_from.condition=a", "evaluation.models=[pretrain_final]"], "evaluation.models: expected one of"),
        (["start_from.conditon=a"], "did you mean 'condition'"),
    ],
)
def test_what_cannot_be_is_refused(overrides: list[str], message: str, loaded: Callable[..., Recipe]) -> None:
    with pytest.raises(RecipeError, match=message):
        loaded(*overrides)
