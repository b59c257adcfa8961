"""Every training stage on a GPU, in 16 bits, through the real scripts."""

import json
import os
import re
import shutil
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import manifest, run_stage, start_script, tiny_arguments

from domain_tokens.experiment import STAGE_MODULES
from domain_tokens.warm_process import WarmProcess

pytestmark = [pytest.mark.gpu, pytest.mark.integration, pytest.mark.timeout(600)]

STEPS = 24
HALF = (
    "pretrain.bf16=true", "pretrain.tf32=true", "sft.bf16=true", "grpo.bf16=true", f"pretrain.max_steps={STEPS}",
    "pretrain.eval_steps=24", "pretrain.save_steps=12", "corpus.sources.0.max_items=1200",
    "model={n_layer: 2, n_head: 2, n_embd: 32, n_positions: 128, resid_pdrop: 0.0, embd_pdrop: 0.0, attn_pdrop: 0.0}",
)  # fmt: skip


def run(stage: str, folder: Path, *overrides: str) -> str:
    done = run_stage(stage, folder, "mul_tokens", *HALF, *overrides)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stderr


def run_of(folder: Path) -> Path:
    return folder / "tiny" / "exp_mul_tokens" / "seed_0"


def rows_of(folder: Path, model: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_of(folder) / model / "metrics.jsonl").read_text().splitlines()]


def distance(one: Path, other: Path) -> float:
    """The largest difference between two weights of two saved models."""
    left, right = (load_file(folder / "model.safetensors") for folder in (one, other))
    assert left.keys() == right.keys()
    return max((left[name].float() - right[name].float()).abs().max().item() for name in left)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gpu")
    run("prepare_data", folder)
    run("run_pretrain", folder)
    return folder


@pytest.fixture
def copied(pretrained: Path, tmp_path: Path) -> Path:
    shutil.copytree(pretrained, tmp_path / "copy")
    return tmp_path / "copy"


def test_pretraining_in_16_bits_learns_and_says_on_what(pretrained: Path, device: str) -> None:
    rows = [row for row in rows_of(pretrained, "pretrain_final") if "loss" in row]
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert rows[-1]["loss"] < rows[0]["loss"] - 1
    assert all(0 < row["mfu"] < 1 for row in rows if row["mfu"] is not None)
    recorded = manifest(pretrained / "tiny", "mul_tokens", "pretrain_final")
    assert recorded["ledger"][0]["precision"] == {"mixed": "bf16", "tf32": True}
    assert recorded["matched"]["trainer"]["bf16"] is True
    assert recorded["environment"]["device"] == device
    assert rows[-1]["memory_bytes"] < torch.cuda.get_device_properties(0).total_memory


def test_a_resumed_run_ends_as_close_to_another_as_an_undisturbed_one(copied: Path, tmp_path: Path) -> None:
    undisturbed = run_of(copied) / "pretrain_final"
    expected = shutil.copytree(undisturbed, tmp_path / "expected")
    # Again under the launcher, from the beginning.
    shutil.rmtree(undisturbed)
    shutil.rmtree(run_of(copied) / "checkpoints")
    arguments = tiny_arguments(copied, "mul_tokens", *HALF)
    again = start_script(
        "-m", "accelerate.commands.launch", "--config_file", "accelerate_configs/single.yaml",
        "scripts/run_pretrain.py", *arguments,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr[-3000:]
    between_two = distance(undisturbed, expected)
    # Again from the middle.
    shutil.rmtree(undisturbed)
    shutil.rmtree(run_of(copied) / "checkpoints" / "pretrain" / f"checkpoint-{STEPS}")
    assert f"resumes from step {STEPS // 2}" in run("run_pretrain", copied)
    resumed = distance(undisturbed, expected)
    moved = distance(run_of(copied) / "checkpoints" / "pretrain" / f"checkpoint-{STEPS // 2}", expected)
    print(f"\nlargest difference of a weight: two runs {between_two:.3g}, resumed {resumed:.3g}, moved {moved:.3g}")  # noqa: T201
    assert moved > 0.01
    assert max(between_two, resumed) < moved / 20


def test_fine_tuning_without_padding_learns_the_same(copied: Path, tmp_path: Path) -> None:
    losses, ledgers = [], []
    for padding_free in ("false", "true"):
        run("run_sft", copied, f"sft.padding_free={padding_free}", "sft.save_strategy=no")
        losses.append([row["loss"] for row in rows_of(copied, "sft_final") if "loss" in row])
        ledgers.append(manifest(copied / "tiny", "mul_tokens", "sft_final")["ledger"][-1])
        for folder in ("sft_final", "checkpoints/sft_drills"):
            shutil.rmtree(run_of(copied) / folder, ignore_errors=True)
    assert ledgers[0]["padding_tokens"] > 0 == ledgers[1]["padding_tokens"]
    assert ledgers[0]["tokens"] - ledgers[0]["padding_tokens"] == ledgers[1]["tokens"]
    assert len(losses[0]) == 4
    print(f"\nlosses padded {losses[0]}, padding-free {losses[1]}")  # noqa: T201
    assert losses[1] == pytest.approx(losses[0], rel=5e-3)


def test_grpo_moves_the_weights_and_counts(copied: Path) -> None:
    run("run_sft", copied)
    # Answers long and alike enough that now and then one names a number, or all rewards are equal and nothing moves.
    run(
        "run_grpo", copied, "grpo.learning_rate=1e-3", "grpo.warmup_steps=0", "grpo.max_steps=2",
        "grpo.temperature=0.2", "grpo.max_completion_length=24", "budget.grpo_completions_per_step=128",
        "grpo_prompts.0.max_items=64",
    )  # fmt: skip
    assert max(row["reward_std"] for row in rows_of(copied, "grpo_final")) > 1e-3
    assert distance(run_of(copied) / "sft_final", run_of(copied) / "grpo_final") > 0
    (entry,) = manifest(copied / "tiny", "mul_tokens", "grpo_final")["ledger"]
    assert entry["precision"]["mixed"] == "bf16"
    assert entry["generated_tokens"] > 0


def test_a_stage_forked_from_a_warm_process_uses_the_gpu(tmp_path: Path, device: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            import torch
            assert not torch.cuda._is_in_bad_fork(), "an import started CUDA before the fork"
            print(torch.ones(2, device="cuda").sum().item(), torch.cuda.get_device_name())
        """)
    )
    # As the runner starts it: the tests' own environment already has the variable that keeps CUDA from being started.
    environment = {name: value for name, value in os.environ.items() if name != "PYTORCH_NVML_BASED_CUDA_CHECK"}
    with WarmProcess(STAGE_MODULES, environment) as warm, (tmp_path / "out").open("wb") as out:
        codes = [warm.run([str(script)], stdout=out, stderr=out, timeout=300) for _ in range(2)]
    printed = (tmp_path / "out").read_text()
    assert codes == [0, 0], printed
    assert printed.splitlines() == [f"2.0 {device}"] * 2


def test_the_whole_experiment_runs_on_one_gpu_and_several_runs_share_it(tmp_path: Path, device: str) -> None:
    _, overlay, *overrides = tiny_arguments(tmp_path, "baseline", *HALF)
    done = start_script(
        "scripts/run_experiment.py", "recipes/baseline.yaml", "recipes/mul_tokens.yaml", "--overlay", overlay,
        "--config-file", "accelerate_configs/single.yaml", "--jobs", "2", "--set", *overrides,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    log = (tmp_path / "tiny" / "logs" / "experiment.log").read_text()
    assert re.search(r"jobs: 2, .*in process: True", log), log
    results = json.loads((tmp_path / "tiny" / "results.json").read_text())
    software = {row["what"]: row for row in results["provenance"]["software"]}
    assert software["device"]["reference"] == software["device"]["other"] == device
