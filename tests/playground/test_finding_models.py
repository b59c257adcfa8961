"""Which models the folders stand for that the playground is given, and what is said where there are none."""

import sys
from pathlib import Path

import pytest

from domain_tokens.cli.playground import main
from domain_tokens.playground import models as found_models
from domain_tokens.playground.models import find_models, load
from domain_tokens.recipe import RecipeError


def model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """Two conditions; seed 20 of one ended with fine-tuning, seed 21 of both with GRPO, seed 22 is not finished."""
    folder = tmp_path / "demo"
    for condition in ("exp_baseline", "exp_mul_tokens"):
        for name in ("seed_20/pretrain_final", "seed_20/sft_final", "seed_21/sft_final", "seed_21/grpo_final"):
            model(folder / condition / name)
        (folder / condition / "seed_3").mkdir()
        (folder / condition / "tokenizer").mkdir()
    model(folder / "exp_baseline" / "seed_4" / "grpo_final")
    return folder


def test_an_experiment_stands_for_the_last_model_of_each_condition(demo: Path) -> None:
    def names(*paths: Path, seed: int | None = None) -> list[str]:
        return [str(folder.relative_to(demo)) for folder in find_models(paths, seed)]

    both = ["exp_baseline/seed_20/sft_final", "exp_mul_tokens/seed_20/sft_final"]
    assert names(demo) == both  # the lowest seed that both have
    assert names(demo, seed=21) == ["exp_baseline/seed_21/grpo_final", "exp_mul_tokens/seed_21/grpo_final"]
    assert names(demo / "exp_baseline") == ["exp_baseline/seed_4/grpo_final"]
    assert names(demo / "exp_baseline" / "seed_21") == ["exp_baseline/seed_21/grpo_final"]
    assert names(demo / "exp_baseline/seed_20/pretrain_final", demo) == ["exp_baseline/seed_20/pretrain_final", *both]
    assert names(demo, demo / "exp_mul_tokens") == both  # each once


@pytest.mark.parametrize(
    ("path", "seed", "message"),
    [
        ("nowhere", None, "nowhere: no such folder; run make demo first, or name model folders"),
        ("exp_baseline/seed_3", None, "seed_3: holds no finished model; expected a model's folder"),
        (".", 4, "exp_mul_tokens: no finished model of seed 4; expected one of 20, 21"),
    ],
)
def test_what_is_not_there_is_named(demo: Path, path: str, seed: int | None, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        find_models([demo / path], seed)


def test_conditions_without_a_common_seed_and_too_many_models_are_refused(tmp_path: Path) -> None:
    folders = [model(tmp_path / f"exp_{number}" / f"seed_{number}" / "grpo_final") for number in range(9)]
    with pytest.raises(RecipeError, match="no seed in common; name one with --run-seed"):
        find_models([tmp_path])
    with pytest.raises(RecipeError, match="9 models; expected at most 8 side by side"):
        find_models(folders)


def test_models_with_one_name_have_their_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found_models, "_loaded", lambda name, folder: name)
    paths = [tmp_path / "exp_a/seed_1/sft_final", tmp_path / "exp_a/seed_1/grpo_final", tmp_path / "exp_b/seed_1"]
    assert load(paths) == [str(paths[0]), str(paths[1]), "b, seed 1"]


def test_without_a_demo_the_command_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, message in (
        ([], "error: outputs/demo: no such folder; run make demo first"),
        (["--port", "65536"], "--port: expected a whole number from 0 to 65535, got '65536'"),
    ):
        monkeypatch.setattr(sys, "argv", ["playground.py", *arguments])
        with pytest.raises(SystemExit) as end:
            main("Ask models.")
        assert end.value.code == 2
        assert message in capsys.readouterr().err
