"""The runner's plan of a transplant: which runs there are, in which order, what they share, what is refused."""

import os
from pathlib import Path

import pytest
from tiny import ROOT, run_inside, tiny_arguments

from domain_tokens.experiment.designs.transplant import check_starts, link_data
from domain_tokens.experiment.run import Experiment, load_experiment, tasks_of
from domain_tokens.recipe import Recipe, RecipeError, load_recipe

CELLS = ["baseline", "mul_tokens", "baseline_then_mul_tokens", "mul_tokens_then_baseline"]
RECIPES = [Path("recipes/baseline.yaml"), Path("recipes/mul_tokens.yaml")]


@pytest.fixture(autouse=True)
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def experiment(
    output_dir: Path, *overrides: str, recipes: list[Path] = RECIPES, seeds: tuple[int, ...] = (0,)
) -> Experiment:
    _, overlay, *usual = tiny_arguments(output_dir, "baseline", *overrides)
    return Experiment(recipes, [Path(overlay)], list(seeds), usual, transplant=True)


def test_the_crossed_cells_are_the_other_condition_after_pretraining(tmp_path: Path) -> None:
    recipes = load_experiment(experiment(tmp_path))
    assert [recipe.condition for recipe in recipes] == CELLS
    baseline, mul_tokens, there, back = recipes
    assert [recipe.start_from and recipe.start_from.condition for recipe in recipes] == [
        None, None, "baseline", "mul_tokens",
    ]  # fmt: skip
    assert (there.tokenizer, back.tokenizer) == (mul_tokens.tokenizer, baseline.tokenizer)
    assert there.tokenizer != back.tokenizer
    assert list(there.model_folders) == list(back.model_folders) == ["sft_drills", "grpo"]


def test_crossed_cells_wait_for_the_pretraining_with_their_seed_and_for_no_other(tmp_path: Path) -> None:
    planned = experiment(tmp_path, seeds=(0, 1))
    tasks = tasks_of(planned.runs(), None, tmp_path)
    names = [task.name for task in tasks]
    assert sum("pretrain" in name for name in names) == 4  # two conditions with two seeds
    for seed in (0, 1):
        for cell, source in ((CELLS[2], "baseline"), (CELLS[3], "mul_tokens")):
            sft = tasks[names.index(f"{cell}, seed {seed}: sft")]
            assert {names[index] for index in sft.needs} == {
                f"{cell}, seed {seed}: prepare_data", f"{source}, seed {seed}: pretrain",
            }  # fmt: skip
            grpo = tasks[names.index(f"{cell}, seed {seed}: grpo")]
            assert grpo.needs[0] == names.index(f"{cell}, seed {seed}: sft")
    plain = tasks[names.index("mul_tokens, seed 0: sft")]
    assert [names[index] for index in plain.needs] == ["mul_tokens, seed 0: pretrain"]


def test_a_run_that_starts_later_waits_for_that_stage(tmp_path: Path) -> None:
    _, overlay, *usual = tiny_arguments(tmp_path, "baseline")
    own = tmp_path / "own.yaml"
    own.write_text(
        f"extends: {ROOT / 'recipes/mul_tokens.yaml'}\ncondition: late\n"
        "start_from: {condition: baseline, model: sft_final}\n"
    )
    planned = Experiment([RECIPES[0], own], [Path(overlay)], [0], usual)
    assert len(load_experiment(planned)) == 2
    tasks = tasks_of(planned.runs(), None, tmp_path)
    names = [task.name for task in tasks]
    late = tasks[names.index("late, seed 0: grpo")]
    assert {names[index] for index in late.needs} == {"late, seed 0: prepare_data", "baseline, seed 0: sft"}
    assert "late, seed 0: sft" not in names
    with pytest.raises(RecipeError, match="start_from names baseline, which is not among the recipes before this one"):
        load_experiment(Experiment([own, RECIPES[0]], [Path(overlay)], [0], usual))


def test_tokenizer_and_shards_are_links_and_a_folder_in_their_place_stays(tmp_path: Path) -> None:
    recipes = load_experiment(experiment(tmp_path))
    recipes[3].corpus_dir.mkdir(parents=True)
    for _ in range(2):
        link_data(recipes)
        links = {recipe.condition: Path(os.readlink(recipe.tokenizer_dir)) for recipe in recipes[2:]}
        assert links == {CELLS[2]: recipes[1].tokenizer_dir, CELLS[3]: recipes[0].tokenizer_dir}
        assert Path(os.readlink(recipes[2].corpus_dir)) == recipes[1].corpus_dir
        assert recipes[3].corpus_dir.is_dir()
        assert not recipes[3].corpus_dir.is_symlink()
    assert not recipes[1].tokenizer_dir.exists()


@pytest.mark.parametrize(
    ("recipes", "overrides", "message"),
    [
        (RECIPES[:1], [], "--transplant: expected two recipes, one for each condition, got 1"),
        ([*RECIPES, Path("recipes/conditions/mul_bare.yaml")], [], "--transplant: expected two recipes"),
        ([RECIPES[0]] * 2, [], "several recipes have the same condition"),
        (RECIPES, ["start_from.condition=x"], "--transplant: baseline starts with the model of x"),
        (
            [RECIPES[1], Path("recipes/conditions/mul_tokens_permuted.yaml")], [],
            "start_from: the vocabulary of mul_tokens is not that of mul_tokens_then_mul_tokens_permuted: row",
        ),
        ([RECIPES[0], Path("recipes/conditions/mul_81.yaml")], [], "the numbers of rows after the base's differ"),
        ([RECIPES[0], Path("recipes/conditions/baseline_again.yaml")], [], "start_from: baseline has other seeds"),
    ],
)  # fmt: skip
def test_cells_that_cannot_be_crossed_are_refused_before_work(
    recipes: list[Path], overrides: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=message):
        load_experiment(experiment(tmp_path, *overrides, recipes=recipes))
    assert not (tmp_path / "tiny").exists()


def test_a_condition_that_was_trained_before_need_not_be_given(tmp_path: Path) -> None:
    def alone() -> Recipe:
        return load_recipe(tiny_arguments(tmp_path, "mul_tokens", "condition=x", "start_from.condition=baseline"))

    recipe = alone()
    for seed in (0, 1):
        with pytest.raises(RecipeError, match=f"has not trained .*seed_{seed}/pretrain_final"):
            check_starts([recipe], [0, 1])
        folder = recipe.experiment_dir / f"exp_baseline/seed_{seed}/pretrain_final"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    check_starts([recipe], [0, 1])


@pytest.mark.slow  # 5 CPU-seconds
def test_a_dry_run_shows_the_cells(tmp_path: Path) -> None:
    _, overlay, *overrides = tiny_arguments(tmp_path, "baseline")
    done = run_inside(
        "scripts/run_experiment.py", "--transplant", *map(str, RECIPES), "--overlay", overlay, "--dry-run",
        "--set", *overrides,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "starts with pretrain_final of mul_tokens" in done.stdout
    assert f"{CELLS[2]}: tokenizer and token shards will be links to those of mul_tokens" in done.stdout
    assert done.stdout.count("/pretrain_final  ") == 2
    assert not (tmp_path / "tiny").exists()
