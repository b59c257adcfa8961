"""What each stage refuses, in one message and before its work begins."""

import re
import shutil
from pathlib import Path

import pytest
import torch
from tiny import CONDITIONS, run_inside, tiny_arguments

STAGES = ("run_pretrain", "run_sft", "run_grpo", "run_eval")

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]


def refused(stage: str, output_dir: Path, condition: str, *overrides: str) -> str:
    """Run a stage that must not begin, and return what it says."""
    done = run_inside(f"scripts/{stage}.py", *tiny_arguments(output_dir, condition, *overrides))
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    return done.stderr


def test_another_recipe_in_the_same_folder_is_refused(copied: Path) -> None:
    said = refused("run_pretrain", copied, "baseline", "pretrain.learning_rate=1e-4")
    assert "pretrain.learning_rate" in said
    assert "pretrain_final" in said


def test_a_recipe_that_the_other_condition_was_not_trained_by_is_refused_before_the_first_step(copied: Path) -> None:
    folder = copied / "tiny" / "exp_mul_tokens" / "seed_0"
    shutil.rmtree(folder)
    said = refused("run_pretrain", copied, "mul_tokens", "pretrain.weight_decay=0.2")
    assert "preflight, optimizer: trainer.weight_decay is 0.2 in" in said
    assert "and 0.1 in" in said
    assert str(copied / "tiny" / "exp_baseline" / "seed_0" / "pretrain_final") in said
    assert not list(folder.rglob("*.safetensors"))


def test_shards_of_another_tokenizer_are_refused(copied: Path) -> None:
    one, two = (copied / "tiny" / f"exp_{condition}" for condition in CONDITIONS)
    shutil.rmtree(two / "corpus_0")
    shutil.copytree(one / "corpus_0", two / "corpus_0")
    shutil.rmtree(two / "seed_0")
    assert "made with another tokenizer" in refused("run_pretrain", copied, "mul_tokens")


def test_changed_weights_are_refused(copied: Path) -> None:
    run = copied / "tiny" / "exp_baseline" / "seed_0"
    shutil.rmtree(run / "sft_final")
    shutil.rmtree(run / "checkpoints")
    weights = run / "pretrain_final" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-100] ^= 1
    weights.write_bytes(content)
    assert "the weights do not match the manifest" in refused("run_sft", copied, "baseline")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_without_the_one_before_says_what_to_run(stage: str, tmp_path: Path) -> None:
    assert re.search(r"run (scripts/)?\w+\.py", refused(stage, tmp_path, "baseline"))


@pytest.mark.parametrize(
    ("stage", "override", "part"),
    [
        ("prepare_data", "corpus.sources.0={name: x, kind: file, path: nowhere.jsonl}", "nowhere.jsonl"),
        ("run_pretrain", "budget.pretrain_tokens_per_step=200", "does not divide"),
        ("run_pretrain", "pretrain.bf16=true", "no GPU"),
        ("run_sft", "sft.max_length=256", "n_positions"),
        ("run_grpo", "grpo.num_generations=3", "num_generations"),
    ],
)
def test_wrong_input_ends_in_one_message(stage: str, override: str, part: str, tmp_path: Path) -> None:
    if part == "no GPU" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert part in refused(stage, tmp_path, "baseline", override)
