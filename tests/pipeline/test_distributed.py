"""Distribution is real: two processes under DeepSpeed or DDP train as one process does at the same global batch."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tiny import manifest, run_ranks, run_script, start_script, tiny_arguments

from domain_tokens.runs.layout import SAMPLES
from domain_tokens.runs.records import SampledText, read_rows

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

STEPS = [
    "pretrain.max_steps=20", "pretrain.save_steps=100", "pretrain.eval_steps=100", "pretrain.logging_steps=1",
    "pretrain.warmup_steps=4", "budget.pretrain_tokens_per_step=512",
    "corpus.epochs=2",
]  # fmt: skip

BY_LAUNCHER = ("ddp_cpu", "zero1_cpu", "zero2_cpu", "zero3_cpu")


def pretrain(output_dir: Path, processes: int, config: str | None = None, *overrides: str) -> tuple[list[dict], dict]:
    """Pretrain, by the launcher if it gets one of accelerate's configurations; return the log and the manifest."""
    micro_batch = f"pretrain.per_device_train_batch_size={4 // processes}"
    command = ["scripts/run_pretrain.py", *tiny_arguments(output_dir, "mul_tokens", *STEPS, micro_batch, *overrides)]
    if config is None:
        ended = run_ranks(processes, *command)
    else:
        launcher = ["-m", "accelerate.commands.launch", "--config_file", f"accelerate_configs/{config}.yaml"]
        ended = [start_script(*launcher, "--main_process_port", "0", *command)]
    for done in ended:
        assert done.returncode == 0, done.stderr[-4000:]
    folder = output_dir / "tiny" / "exp_mul_tokens" / "seed_0" / "pretrain_final"
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if "loss" in row], json.loads((folder / "manifest.json").read_text())


def untrained(experiment: Path, output_dir: Path) -> Path:
    """Copy the tokenizer and corpus of `mul_tokens` into an output folder and return it."""
    shutil.copytree(experiment, output_dir / "tiny", ignore=shutil.ignore_patterns("seed_*", "exp_baseline"))
    return output_dir


@pytest.fixture(scope="module")
def one_process(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict], dict]:
    return pretrain(untrained(experiment, tmp_path_factory.mktemp("one")), 1)


@pytest.mark.parametrize("config", [None, *(pytest.param(one, marks=pytest.mark.slow) for one in BY_LAUNCHER)])
def test_two_processes_train_as_one(
    config: str | None, experiment: Path, one_process: tuple[list[dict], dict], tmp_path: Path
) -> None:
    expected, alone = one_process
    rows, manifest = pretrain(untrained(experiment, tmp_path), 2, config)
    assert alone["matched"]["num_processes"] == 1
    assert manifest["matched"]["num_processes"] == 2
    assert len(rows) == len(expected) == 20
    for row, right in zip(rows, expected, strict=True):
        assert row["loss"] == pytest.approx(right["loss"], rel=1e-5)
        # DeepSpeed takes the norm of its flattened partitions; 3e-4 apart at most here, and at 1e-7 in the loss.
        assert row["grad_norm"] == pytest.approx(right["grad_norm"], rel=1e-3)
        assert row["learning_rate"] == right["learning_rate"]
    assert manifest["matched"]["initial_weights_sha256"] == alone["matched"]["initial_weights_sha256"]


@pytest.mark.slow
@pytest.mark.parametrize("config", [None, "zero3_cpu"])
def test_two_processes_draw_texts_and_train_no_unused_bias(
    config: str | None, experiment: Path, one_process: tuple[list[dict], dict], tmp_path: Path
) -> None:
    varied = ("variant.bias=false", "monitoring={samples: 2, max_new_tokens: 8}", "pretrain.eval_steps=10")
    rows, manifest = pretrain(untrained(experiment, tmp_path), 2, config, *varied)
    assert manifest["matched"]["num_processes"] == 2
    losses = [row["loss"] for row in rows]
    assert losses[-1] < losses[0]
    assert losses != [row["loss"] for row in one_process[0]]  # biases matter
    folder = tmp_path / "tiny" / "exp_mul_tokens" / "seed_0" / "pretrain_final"
    weights = load_file(folder / "model.safetensors")
    assert not any(one.any() for name, one in weights.items() if name.endswith(".bias"))
    drawn = list(read_rows(folder / SAMPLES, SampledText))
    assert [row.step for row in drawn] == [10, 10, 20, 20]
    assert all(row.text for row in drawn)


@pytest.mark.slow  # that two train as one is a fast test
def test_two_processes_have_the_ledger_of_one(copied: Path) -> None:
    run = copied / "tiny" / "exp_mul_tokens" / "seed_0"
    shutil.rmtree(copied / "tiny" / "exp_baseline" / "seed_0")
    for folder in ("sft_final", "grpo_final", "checkpoints"):
        shutil.rmtree(run / folder)
    halves = ["sft.per_device_train_batch_size=4", "grpo.per_device_train_batch_size=4", "budget.sft_loss=example"]
    ledgers, losses = [], []
    for number in (1, 2):  # two micro batches of four in turn, then side by side
        shutil.rmtree(run / "checkpoints", ignore_errors=True)
        shutil.rmtree(run / "sft_final", ignore_errors=True)
        check_ranks(number, "run_sft", copied, *halves)
        tuned = manifest(copied / "tiny", "mul_tokens", "sft_final")
        assert tuned["matched"]["num_processes"] == number
        assert tuned["matched"]["stages"][0]["loss"] == "example"
        rows = [json.loads(line) for line in (run / "sft_final" / "metrics.jsonl").read_text().splitlines()]
        losses.append([row["loss"] for row in rows if "loss" in row])
        (entry,) = tuned["ledger"]
        ledgers.append({key: value for key, value in entry.items() if key != "wall_time_s"})
    assert ledgers[0] == ledgers[1]
    assert len(losses[0]) == 4
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)  # examples weigh the same in one process and in two
    measured = [*halves, "rollouts.preflight_prompts=8", "rollouts.min_pass_at_k=0"]
    check_ranks(2, "run_grpo", copied, *measured)
    (grpo,) = manifest(copied / "tiny", "mul_tokens", "grpo_final")["ledger"]
    (row,) = [json.loads(line) for line in (run / "grpo_final" / "metrics.jsonl").read_text().splitlines()]
    assert grpo["examples"] == 8
    assert grpo["generated_tokens"] == pytest.approx(8 * row["completion_tokens"])
    assert grpo["tokens"] - grpo["padding_tokens"] == row["num_tokens"]
    kept = [json.loads(line) for line in (run / "grpo_final" / "completions.jsonl").read_text().splitlines()]
    assert [(one["step"], one["prompt"]) for one in kept] == [(1, 0)] * 4 + [(1, 1)] * 4  # a half of each process
    assert len({(one["question"], one["gold"]) for one in kept}) == 2
    rates = json.loads((run / "grpo_final" / "pass_rates.json").read_text())["prompts"]
    assert len(rates) == len({one["place"] for one in rates}) == 8
    alone = run_script(
        "scripts/run_grpo.py", "--measure", str(copied / "alone.json"), *tiny_arguments(copied, "mul_tokens", *halves)
    )
    assert alone.returncode == 0, alone.stderr[-3000:]
    assert json.loads((copied / "alone.json").read_text())["prompts"] == rates


def check_ranks(number: int, stage: str, output_dir: Path, *overrides: str) -> None:
    for done in run_ranks(number, f"scripts/{stage}.py", *tiny_arguments(output_dir, "mul_tokens", *overrides)):
        assert done.returncode == 0, done.stderr[-3000:]
