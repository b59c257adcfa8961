"""Which stages a run has, which of their models it evaluates, and what a command line changes of them."""

from pathlib import Path

import pytest
from tiny import ROOT

from domain_tokens.experiment.steps import steps_of
from domain_tokens.planning.derived import derive
from domain_tokens.recipe import Recipe, RecipeError, load_recipe, micro_batch
from domain_tokens.recipe.trainers import accumulations
from domain_tokens.runs.layout import stage_paths
from domain_tokens.training.inputs import predecessor_folder

DEMO = ["recipes/baseline.yaml", "recipes/scales/demo.yaml"]
NO_GRPO, NO_SFT = ["grpo_prompts=[]", "prereg=null"], ["sft_stages=[]", "prereg=null"]
CURRICULUM = "recipes/stages/curriculum.yaml"


def folders(recipe: Recipe) -> list[str]:
    return [paths.final.name for paths in stage_paths(recipe).values()]


@pytest.mark.parametrize(
    ("overrides", "trained", "evaluated", "scripts"),
    [
        ([], ["pretrain_final", "sft_final", "grpo_final"], ["sft_final", "grpo_final"], ["sft", "grpo"]),
        (NO_GRPO, ["pretrain_final", "sft_final"], ["sft_final"], ["sft"]),
        (NO_SFT, ["pretrain_final", "grpo_final"], ["grpo_final"], ["grpo"]),
        ([*NO_GRPO, *NO_SFT[:1]], ["pretrain_final"], ["pretrain_final"], []),
    ],
)
def test_a_run_has_the_stages_that_have_data(
    overrides: list[str], trained: list[str], evaluated: list[str], scripts: list[str]
) -> None:
    recipe = load_recipe([*DEMO, *overrides])
    assert folders(recipe) == trained
    assert recipe.evaluation.models == evaluated
    others = ["prepare_data.py", "run_pretrain.py", *(f"run_{name}.py" for name in scripts), "run_eval.py"]
    assert [step.script for step in steps_of([*DEMO, *overrides])] == [*others, "eval_checkpoints.py"]


def test_grpo_starts_from_the_last_model_that_there_is() -> None:
    for overrides, before, script in (([], "sft_final", "run_sft.py"), (NO_SFT, "pretrain_final", "run_pretrain.py")):
        folder, made_by = predecessor_folder(load_recipe([*DEMO, *overrides]), "grpo")
        assert (folder.name, made_by) == (before, f"scripts/{script}")


def test_all_stands_for_every_stage_in_the_order_of_training() -> None:
    recipe = load_recipe([*DEMO, CURRICULUM, "evaluation.models=[all]"])
    assert recipe.evaluation.models == folders(recipe)
    assert folders(recipe) == ["pretrain_final", "sft_drills", "sft_problems", "sft_final", "grpo_final"]
    assert load_recipe([*DEMO, CURRICULUM, "evaluation.models=[sft_problems, final]"]).evaluation.models == [
        "sft_problems", "sft_final", "grpo_final",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["sft_nothing", "grpo_final"])
def test_a_model_that_no_stage_makes_is_not_evaluated(name: str) -> None:
    with pytest.raises(RecipeError, match=rf"evaluation.models: .*got '{name}'"):
        load_recipe([*DEMO, *NO_GRPO, f"evaluation.models=[{name}]"])


def test_a_declaration_names_a_model_that_the_run_trains(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"demo_prereg.yaml: endpoints: gsm8k of grpo_final: .*grpo_prompts"):
        load_recipe([*DEMO, "grpo_prompts=[]"])
    own = tmp_path / "prereg.yaml"
    for model, fits in (("sft_final", True), ("sft_drills", True), ("sft_other", False)):
        own.write_text(f"endpoints: [{{model: {model}, task: gsm8k}}]\nseeds: [0]\n")
        arguments = [*DEMO, CURRICULUM, "grpo_prompts=[]", f"prereg={own}"]
        if fits:
            assert load_recipe(arguments).prereg == str(own)
            continue
        with pytest.raises(RecipeError, match="sft_other: the run trains no such model .*sft_drills, sft_problems"):
            load_recipe(arguments)


def test_a_stage_may_have_its_own_number_of_examples_a_step() -> None:
    recipe = load_recipe(["recipes/baseline.yaml", CURRICULUM])
    assert [recipe.examples_per_step(stage) for stage in recipe.sft_stages] == [64, 64, 32]
    assert accumulations(recipe, 2)["sft gsm8k"] * 2 * 8 == 32
    for divides in (accumulations, derive):
        with pytest.raises(RecipeError, match=r"sft_stages.gsm8k.examples_per_step: 32 does not divide"):
            divides(recipe, 8)


def test_a_packed_stage_has_no_number_of_examples_a_step() -> None:
    packed = ["recipes/baseline.yaml", CURRICULUM, "sft.packing=true", "budget.sft_tokens_per_step=65536"]
    with pytest.raises(RecipeError, match=r"sft_stages.gsm8k.examples_per_step: the stage is packed.*null, got 32"):
        accumulations(load_recipe(packed), 1)
    recipe = load_recipe([*packed, "sft_stages.2.examples_per_step=null"])
    assert accumulations(recipe, 1)["sft gsm8k"] * micro_batch(recipe.sft) * recipe.model["n_positions"] == 65536


STAGES = sorted((ROOT / "recipes/stages").glob("*.yaml"))


@pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)
def test_the_command_line_wins_over_the_recipe_of_every_stage(path: Path) -> None:
    files = ["recipes/baseline.yaml", str(path)]
    recipe = load_recipe(files)
    assert recipe.sft_stages
    # Each stage gets values of its own, so that one cannot have another's.
    own = [
        f"sft_stages.{number}.{key}={value + number}"
        for number in range(len(recipe.sft_stages))
        for key, value in (("args.learning_rate", 7), ("args.num_train_epochs", 9), ("examples_per_step", 16))
    ]
    changed = load_recipe([*files, *own])
    for number, stage in enumerate(recipe.sft_stages):
        values = changed.sft | changed.sft_stages[number].args
        assert (recipe.sft | stage.args)["learning_rate"] == 2e-5
        assert (values["learning_rate"], values["num_train_epochs"]) == (7 + number, 9 + number)
        assert changed.examples_per_step(changed.sft_stages[number]) == 16 + number
    # What is given for all stages reaches those with a value of their own.
    shared = [
        "sft.learning_rate=7e-5",
        "sft.num_train_epochs=9",
        "sft.max_length=128",
        "budget.sft_examples_per_step=16",
    ]
    changed = load_recipe([*files, *shared])
    for stage in changed.sft_stages:
        values = changed.sft | stage.args
        assert [values[key] for key in ("learning_rate", "num_train_epochs", "max_length")] == [7e-5, 9, 128]
        assert changed.examples_per_step(stage) == 16


def test_a_value_for_one_stage_wins_over_one_for_all() -> None:
    given = ["sft.num_train_epochs=9", "sft_stages.0.args.num_train_epochs=4"]
    for overrides in (given, given[::-1]):
        recipe = load_recipe(["recipes/baseline.yaml", CURRICULUM, *overrides])
        epochs = [(recipe.sft | stage.args)["num_train_epochs"] for stage in recipe.sft_stages]
        assert epochs == [4, 9, 9]


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("pretrain.learning_rate=3e-4", ("pretrain", "learning_rate", 3e-4)),
        ("grpo.learning_rate=3e-6", ("grpo", "learning_rate", 3e-6)),
    ],
)
def test_the_command_line_wins_in_pretraining_and_grpo(override: str, value: tuple[str, str, float]) -> None:
    section, key, expected = value
    before, after = (getattr(load_recipe(["recipes/mul_tokens.yaml", *more]), section) for more in ([], [override]))
    assert before[key] != after[key] == expected


# What an earlier study trained with: epochs, learning rate, examples a step, longest example, number of examples.
STUDY = {
    "tulu": ("tulu", (1, 2e-5, 64, 1024, 200_000)),
    "tinygsm_100k": ("tinygsm", (2, 2e-5, 8, 512, 100_000)),
    "gsm8k": ("gsm8k", (3, 2e-5, 32, 512, None)),
    "tulu_gsm8k": ("gsm8k", (3, 2e-5, 32, 512, None)),
    "tulu_transition_tinygsm": ("tinygsm", (2, 2e-5, 8, 512, 100_000)),
    "curriculum": ("gsm8k", (3, 2e-5, 32, 512, None)),
}


@pytest.mark.parametrize("name", STUDY)
def test_the_stages_of_the_earlier_study_have_its_settings(name: str) -> None:
    stage_name, expected = STUDY[name]
    recipe = load_recipe(["recipes/baseline.yaml", f"recipes/stages/{name}.yaml"])
    (stage,) = [one for one in recipe.sft_stages if one.name == stage_name]
    values = recipe.sft | stage.args
    found = [values[key] for key in ("num_train_epochs", "learning_rate")]
    (source,) = stage.portions
    assert (*found, recipe.examples_per_step(stage), values["max_length"], source.max_items) == expected


@pytest.mark.parametrize(
    ("name", "order"),
    [("tulu_gsm8k", ["tulu", "gsm8k"]), ("tulu_transition_tinygsm", ["tulu", "transition", "tinygsm"])],
)
def test_the_two_orders_are_experiments_that_evaluate_every_stage(name: str, order: list[str]) -> None:
    recipe = load_recipe(["recipes/baseline.yaml", f"recipes/stages/{name}.yaml"])
    assert [stage.name for stage in recipe.sft_stages] == order
    assert recipe.experiment == name
    assert recipe.evaluation.models == folders(recipe) == [
        "pretrain_final", *(f"sft_{stage}" for stage in order[:-1]), "sft_final",
    ]  # fmt: skip
