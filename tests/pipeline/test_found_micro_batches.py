"""Micro batches that are really tried: with little memory some fail, and a stage trains with what was found."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from tiny import ROOT, run_ranks, run_script, run_stage, tiny_arguments, warm_process

from domain_tokens.recipe import RecipeError, load_recipe
from domain_tokens.runs.micro_batches import FoundMicroBatch, read_micro_batches
from domain_tokens.training.fitting.request import gains
from domain_tokens.training.fitting.search import Sharing, find_micro_batches, start_fresh

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3000)]

KEY = "per_device_train_batch_size"
AUTO = tuple(f"{section}.{KEY}=auto" for section in ("pretrain", "sft", "grpo"))
# Rows of 128 tokens and 1,837 ids have 0.9 MB of logits. In pretraining one row fits into `LEAST`, and four, which are
# always tried, do not.
WIDE = ("model={n_layer: 1, n_head: 2, n_embd: 16, n_positions: 128}", "budget.pretrain_tokens_per_step=2048")
LITTLE = 250_000_000
LEAST = 35_000_000


def start(command: Sequence[str], log: Path) -> int:
    """Run a trial in a process forked from a warm one."""
    with log.open("ab") as output:
        process = warm_process().start(list(command), env={**os.environ}, cwd=ROOT, stdout=output, stderr=output)
        return process.wait(900)


def found(folder: Path, *overrides: str, limit_bytes: int = LITTLE) -> dict[str, FoundMicroBatch]:
    arguments = [tiny_arguments(folder, condition, *overrides) for condition in ("baseline", "mul_tokens")]
    find_micro_batches(arguments, start, Sharing(limit_bytes=limit_bytes))
    return dict(read_micro_batches(load_recipe(arguments[0])).stages)


def check_tries(one: FoundMicroBatch) -> None:
    """Check that no larger micro batch was worth a try, and that what was taken is among those that fit."""
    sizes = [tried.micro_batch for tried in one.tries]
    assert sizes == sorted(sizes)
    fitting = [tried for tried in one.tries if tried.fits]
    assert fitting == list(one.tries[: len(fitting)])
    if len(fitting) == len(one.tries):  # as on a busy machine, where more rows at a time may be no faster
        assert not gains([tried.rows / tried.seconds for tried in fitting])
    else:
        assert len(fitting) == len(one.tries) - 1
        assert one.tries[-1].reason
    assert one.micro_batch in [tried.micro_batch for tried in fitting]
    assert 0 < fitting[-1].peak_bytes <= 0.9 * one.memory_bytes
    assert all(tried.seconds > 0 for tried in fitting)


@pytest.mark.slow
def test_what_fits_into_little_memory_is_found_and_trains(copied: Path) -> None:
    (one,) = found(copied, AUTO[0], *WIDE, limit_bytes=LEAST).values()
    assert one.memory_bytes == LEAST
    check_tries(one)
    assert not one.tries[-1].fits
    own = (*WIDE, "seed=1", "pretrain.max_steps=2", "pretrain.eval_strategy=no")
    done = run_stage("run_pretrain", copied, "mul_tokens", AUTO[0], *own)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "tries which micro batch fits" not in done.stderr
    folder = copied / "tiny/exp_mul_tokens/seed_1/pretrain_final"
    manifest = json.loads((folder / "manifest.json").read_text())
    trainer = manifest["matched"]["trainer"]
    assert trainer[KEY] == one.micro_batch == 16 // trainer["gradient_accumulation_steps"]
    assert manifest["micro_batch"] == one.as_json()
    rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    losses = [row["loss"] for row in rows if "loss" in row]
    assert len(losses) == 2
    assert losses[1] != losses[0]  # it trained


@pytest.mark.slow
def test_nothing_fits_into_no_memory(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"pretrain: .*not even 1 row at a time fits into the 0\.00 GB that CPU has"):
        found(tmp_path, AUTO[0], limit_bytes=1_000_000)
    assert not (tmp_path / "tiny/micro_batches.json").exists()


@pytest.mark.slow
def test_fine_tuning_and_grpo_are_tried_as_they_train(tmp_path: Path) -> None:
    many = ("budget.sft_examples_per_step=64", "budget.grpo_completions_per_step=64", "grpo.beta=0.04")
    stages = found(tmp_path, *AUTO[1:], *many, "grpo.max_completion_length=16")
    assert list(stages) == ["sft_drills", "grpo"]
    for one in stages.values():
        check_tries(one)
    assert stages["grpo"].tries[0].rows == 64  # a whole step


@pytest.mark.slow
def test_a_whole_experiment_trains_both_conditions_with_what_it_found(tmp_path: Path) -> None:
    _, overlay, *overrides = tiny_arguments(tmp_path, "baseline", *AUTO)
    command = (
        "scripts/run_experiment.py", "recipes/baseline.yaml", "recipes/mul_tokens.yaml", "--overlay", overlay,
        "--config-file", "accelerate_configs/cpu.yaml", "--set", *overrides,
    )  # fmt: skip
    shown = run_script(*command, "--dry-run")
    assert "pretrain: micro batch auto: tried on this machine when it starts" in shown.stdout, shown.stderr
    assert not (tmp_path / "tiny/micro_batches.json").exists()
    done = run_script(*command, timeout=2700)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    stages = read_micro_batches(load_recipe(tiny_arguments(tmp_path, "baseline"))).stages
    assert done.stdout.count("found on CPU") == len(stages) == 3
    for condition in ("baseline", "mul_tokens"):
        for name, folder in (("pretrain", "pretrain_final"), ("sft_drills", "sft_final"), ("grpo", "grpo_final")):
            manifest = json.loads((tmp_path / f"tiny/exp_{condition}/seed_0/{folder}/manifest.json").read_text())
            matched = manifest["matched"]
            trainer = matched["stages"][-1]["trainer"] if "stages" in matched else matched["trainer"]
            assert trainer[KEY] == stages[name].micro_batch
    again = run_script(*command)
    assert again.stdout.count("complete, skipped") == 13, again.stdout


@pytest.mark.slow
def test_two_processes_started_by_hand_train_with_what_the_first_found(tmp_path: Path) -> None:
    arguments = tiny_arguments(tmp_path, "mul_tokens", AUTO[0])
    prepared = run_script("scripts/prepare_data.py", *arguments)
    assert prepared.returncode == 0, prepared.stderr
    first, second = run_ranks(2, "scripts/run_pretrain.py", *arguments)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "tries which micro batch fits" in first.stderr
    recorded = read_micro_batches(load_recipe(arguments)).stages["pretrain"]
    assert recorded.num_processes == 2
    manifest = json.loads((tmp_path / "tiny/exp_mul_tokens/seed_0/pretrain_final/manifest.json").read_text())
    assert manifest["matched"]["trainer"][KEY] == recorded.micro_batch
    assert [len(manifest["ledger"]), manifest["matched"]["num_processes"]] == [1, 2]


@pytest.mark.slow
def test_a_trial_in_a_process_of_its_own_says_the_same(tmp_path: Path) -> None:
    arguments = tiny_arguments(tmp_path, "mul_tokens", AUTO[0], *WIDE)
    find_micro_batches([arguments], start_fresh, Sharing(limit_bytes=LEAST), parent=os.getpid())
    check_tries(read_micro_batches(load_recipe(arguments)).stages["pretrain"])
