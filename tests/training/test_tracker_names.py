"""What trackers call a run, and what is refused before work begins."""

from pathlib import Path

import pytest
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from domain_tokens.recipe import Recipe, RecipeError, load_recipe
from domain_tokens.training.callbacks import trackers
from domain_tokens.training.callbacks.trackers import check_trackers, name_tensorboard, run_name


@pytest.fixture
def recipe(root: Path, tmp_path: Path) -> Recipe:
    return load_recipe([str(root / "recipes/mul_tokens.yaml"), f"output_dir={tmp_path}", "experiment=mine", "seed=7"])


def arguments(folder: Path, *report_to: str) -> TrainingArguments:
    return TrainingArguments(output_dir=str(folder), report_to=list(report_to) or "none", use_cpu=True)


@pytest.mark.parametrize("name", ["tensorboard", "trackio"])
def test_a_tracker_that_is_not_installed_is_refused_with_what_installs_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(trackers, "find_spec", asked.append)
    with pytest.raises(RecipeError) as error:
        check_trackers("sft", arguments(tmp_path, name))
    assert str(error.value) == (
        f"sft.report_to: {name} is not installed; install it (pip install -e '.[trackers]'), or set sft.report_to=none"
    )
    assert asked == [name]
    check_trackers("sft", arguments(tmp_path))


def test_a_run_is_named_for_experiment_condition_seed_and_stage(recipe: Recipe) -> None:
    assert run_name(recipe, "sft_gsm8k") == "mine/mul_tokens/seed_7/sft_gsm8k"


@pytest.mark.parametrize("own", [True, False])
def test_events_lie_in_the_experiments_folder_or_in_one_of_the_users(
    own: bool, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    root = tmp_path / "mine/tensorboard"
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    if own:
        root = tmp_path / "elsewhere"
        monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(root))
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=4, n_positions=4, vocab_size=5, bos_token_id=0))
    trainer = Trainer(model=model, args=arguments(tmp_path, "tensorboard"))
    name_tensorboard(trainer, recipe, "grpo")
    (folder,) = (one.logging_dir for one in trainer.callback_handler.callbacks if hasattr(one, "logging_dir"))
    assert folder == str(root / "mine/mul_tokens/seed_7/grpo")
