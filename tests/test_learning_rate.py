"""The search for a learning rate: what is run with which arguments, what is shared, what is chosen and recorded."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny import quick_load, tiny_arguments

from domain_tokens.experiment import learning_rate, steps
from domain_tokens.experiment.learning_rate import Search, choose, search_learning_rates
from domain_tokens.experiment.run import Experiment, Options
from domain_tokens.experiment.tasks import Task
from domain_tokens.recipe import Recipe, RecipeError, load_recipe
from domain_tokens.runs.files import write_json
from domain_tokens.runs.records import LearningRateTry
from domain_tokens.runs.settings import declared_settings, derived_arguments

LOSSES = {"baseline": {0.001: 2.5, 0.002: 2.0, 0.004: 2.2}, "mul_tokens": {0.001: 2.5, 0.002: 2.4, 0.004: 2.3}}


class Stages:
    """Stands for the processes of the stages: each only leaves its manifest."""

    def __init__(self) -> None:
        self.recipes: list[tuple[str, Recipe]] = []

    @contextmanager
    def running(self, *_: Any) -> Iterator[tuple[Callable[[Task], Any], int]]:
        yield self.start, 1

    def start(self, task: Task) -> Any:
        recipe = quick_load(list(task.arguments[1:]))
        self.recipes.append((task.kind, recipe))
        if recipe.purpose == "learning_rate_search" and task.kind == "sft":
            entry = dict.fromkeys(("steps", "tokens", "padding_tokens", "generated_tokens", "source_bytes"), 4)
            entry |= {"examples": 26, "dataset_tokens": 1, "flops": 1.0, "wall_time_s": 1.0}
            entry |= dict.fromkeys(("order_sha256", "initial_weights_sha256"), "a") | {"stage": "sft/drills"}
            entry |= dict.fromkeys(("seeds", "precision", "optimizer", "schedule"), {})
            loss = LOSSES[recipe.condition][recipe.sft["learning_rate"]]
            manifest = {"stage": "sft", "condition": recipe.condition, "seed": 0, "inputs": {}, "environment": {}}
            manifest |= {"files": {}, "wall_time_s": 1.0, "ledger": [entry]}
            manifest |= {"reported": {"validation_loss": loss, "weights_sha256": f"{loss}"}}
            write_json(recipe.run_dir / "sft_final" / "manifest.json", manifest)
        return SimpleNamespace(poll=lambda: 0, wait=lambda timeout=None: 0, signal_group=lambda number: None)


def searched(folder: Path, *overrides: str, **changes: Any) -> Path:
    arguments = [tiny_arguments(folder, condition, *overrides) for condition in LOSSES]
    _, overlay, *rest = arguments[0]
    experiment = Experiment([Path(one[0]) for one in arguments], [Path(overlay)], [0], rest)
    search = Search("sft", (0.004, 0.001, 0.002), 0, validation_items=6, **changes)
    return search_learning_rates(experiment, search, Options(), lambda event: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stages, Path]]:
    """The stages that one search ran, and its record."""
    stages = Stages()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning_rate, "running_stages", stages.running)
        for module in (learning_rate, steps):
            patch.setattr(module, "load_recipe", quick_load)
        declared = ("prereg=recipes/prereg.yaml", "learning_rates=of_an_earlier_search.json")
        yield stages, searched(tmp_path_factory.mktemp("search"), *declared)


def test_every_value_is_tried_in_every_condition(made: tuple[Stages, Path]) -> None:
    stages, path = made
    tried = [recipe for kind, recipe in stages.recipes if kind == "sft"]
    assert {(recipe.condition, recipe.sft["learning_rate"]) for recipe in tried} == {
        (condition, value) for condition, losses in LOSSES.items() for value in losses
    }
    assert len({recipe.run_dir for recipe in tried}) == 6
    for recipe in tried:
        assert recipe.purpose == "learning_rate_search"
        assert recipe.prereg is recipe.learning_rates is None  # a value would be overruled by an earlier search
        assert [stage.validation_items for stage in recipe.sft_stages] == [6]
        assert recipe.experiment_dir.parent == path.parent / "learning_rate"
    assert {kind for kind, _ in stages.recipes} == {"prepare_data", "pretrain", "sft"}  # nothing is evaluated
    (shared,) = {recipe.experiment_dir for kind, recipe in stages.recipes if kind != "sft"}
    assert shared == path.parent / "learning_rate" / "shared"
    for recipe in tried:
        for link in (recipe.tokenizer_dir, recipe.documents_dir, recipe.corpus_dir, recipe.run_dir / "pretrain_final"):
            assert link.readlink() == (shared / link.relative_to(recipe.experiment_dir)).resolve()


def test_every_try_and_the_best_of_each_condition_are_recorded(made: tuple[Stages, Path]) -> None:
    found = json.loads(made[1].read_text())["searches"]["sft"]
    assert found["values"] == [0.001, 0.002, 0.004]
    assert found["budget"] == {"steps": 4, "examples": 26}
    chosen = {name: (one["learning_rate"], one["at_edge"]) for name, one in found["conditions"].items()}
    assert chosen == {"baseline": (0.002, False), "mul_tokens": (0.004, True)}
    for name, losses in LOSSES.items():
        tries = {one["learning_rate"]: one["validation_loss"] for one in found["conditions"][name]["tries"]}
        assert tries == losses


def test_the_runs_take_what_was_chosen(made: tuple[Stages, Path], tiny: Callable[..., list[str]]) -> None:
    both = [load_recipe(tiny(condition, f"learning_rates={made[1]}")) for condition in LOSSES]
    assert [derived_arguments(recipe, "sft_drills")["learning_rate"] for recipe in both] == [0.002, 0.004]
    one, two = (declared_settings(recipe, "sft_drills")["learning_rate_search"] for recipe in both)
    assert one == two


def test_tries_of_different_budgets_are_refused(made: tuple[Stages, Path], tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(made[1].parent, folder, symlinks=True)
    search = Search("sft", (0.001, 0.002, 0.004), 0)
    assert learning_rate._record(folder, search, list(LOSSES)).read_bytes() == made[1].read_bytes()
    path = folder / "learning_rate/sft_0.002/exp_mul_tokens/seed_0/sft_final/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["ledger"][0]["examples"] += 1
    write_json(path, manifest)
    with pytest.raises(RecipeError, match=r"had the budget {'steps': 4, 'examples': 27}.*expected the same"):
        learning_rate._record(folder, search, list(LOSSES))


def test_the_experiments_own_models_are_used_if_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked(Exception):
        pass

    def ask(shared: list[list[str]], arguments: list[list[str]], *_: Any) -> None:
        assert shared == arguments
        raise Asked

    monkeypatch.setattr(learning_rate, "_tasks_of", ask)
    with pytest.raises(Asked):
        searched(tmp_path, shared_from_experiment=True)


@pytest.mark.parametrize("values", [(0.001, 0.002), (0.001, 0.001, 0.002), (0.0, 0.001, 0.002)])
def test_fewer_than_three_values_are_no_search(values: tuple[float, ...]) -> None:
    with pytest.raises(RecipeError, match="--values: expected at least 3 different learning rates above 0"):
        Search("sft", values, 0)


def test_of_equal_losses_the_lowest_rate_is_chosen() -> None:
    tries = [
        LearningRateTry(learning_rate=value, folder="f", validation_loss=loss, weights_sha256="w")
        for value, loss in ((0.3, 1.0), (0.2, 1.0), (0.1, 1.5))
    ]
    assert choose(tries).learning_rate == 0.2
    assert [one.learning_rate for one in choose(tries).tries] == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("values", [(1e-3, 1.0000001e-3, 1.0000002e-3), (1e-3, 2e-3, float("nan")), (1, 2, 3, 3)])
def test_rates_of_one_name_and_rates_that_are_no_numbers_are_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(RecipeError, match="--values: expected at least 3 different learning rates above 0"):
        Search("sft", values, 0)


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_no_number_is_refused(loss: float) -> None:
    tries = [
        LearningRateTry(learning_rate=value, folder=f"try_{value}", validation_loss=found, weights_sha256="w")
        for value, found in ((0.1, loss), (0.2, 1.0), (0.3, 2.0))
    ]
    with pytest.raises(RecipeError, match="try_0.1: validation loss"):
        choose(tries)
