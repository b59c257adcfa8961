"""Stages with adapters: they resume as they would have gone on, in one process and two, and are evaluated whole."""

import json
import shutil
import signal
from pathlib import Path

import pytest
import torch
from interrupted_stages import STAGES, after_step, interrupt, outcome, resume, start_over
from safetensors.torch import load_file
from tiny import manifest, run_ranks, run_stage, tiny_arguments

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]

LORA = ["lora={rank: 4, alpha: 8}", "sft.learning_rate=1e-2"]


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_a_stage_with_adapters_that_was_stopped_ends_the_same(stage: str, copied: Path) -> None:
    overrides = [*STAGES[stage][1], *LORA]
    run = copied / "tiny" / "exp_mul_tokens" / "seed_0"
    if stage == "grpo":  # begins with the whole model of a stage that trained adapters
        start_over(copied, "sft")
        resume("sft", copied, *LORA)
        trained = manifest(copied / "tiny", "mul_tokens", "sft_final")["ledger"][0]["trained_parameters"]
        assert 0 < trained < 5000
    start_over(copied, stage)
    resume(stage, copied, *overrides)
    expected = outcome(copied, stage)
    assert 0 < expected["ledger"]["trained_parameters"] < 5000
    work = start_over(copied, stage)
    code, said = interrupt(stage, copied, after_step(2), signal.SIGTERM, *overrides)
    assert code == 143, said
    (saved, *_) = sorted(work.glob("checkpoint-*"))
    assert (saved / "adapter_model.safetensors").is_file()
    assert not (saved / "model.safetensors").exists()
    assert "resumes from step" in resume(stage, copied, *overrides)
    assert outcome(copied, stage) == expected
    assert (run / f"{stage}_final" / "model.safetensors").is_file()


def test_two_processes_train_the_adapters_of_one(copied: Path) -> None:
    finals = []
    for number in (1, 2):
        start_over(copied, "sft")
        arguments = tiny_arguments(copied, "mul_tokens", *LORA, "sft.per_device_train_batch_size=4")
        for done in run_ranks(number, "scripts/run_sft.py", *arguments):
            assert done.returncode == 0, done.stderr[-3000:]
        final = copied / "tiny" / "exp_mul_tokens" / "seed_0" / "sft_final"
        assert manifest(copied / "tiny", "mul_tokens", "sft_final")["matched"]["num_processes"] == number
        finals.append(load_file(final / "model.safetensors"))
    before = load_file(copied / "tiny" / "exp_mul_tokens" / "seed_0" / "pretrain_final" / "model.safetensors")
    name = "transformer.h.0.attn.c_attn.weight"
    assert (finals[0][name] - before[name]).abs().max() > 1e-3
    for key, weights in finals[0].items():
        torch.testing.assert_close(weights, finals[1][key], rtol=1e-3, atol=1e-5)


def test_checkpoints_that_hold_adapters_are_evaluated_as_whole_models(copied: Path) -> None:
    shutil.rmtree(copied / "tiny" / "exp_mul_tokens" / "seed_0" / "grpo_final")
    start_over(copied, "sft")
    overrides = [*LORA, "sft.save_steps=2", "evaluation.models=[sft_final]", "evaluation.checkpoint_tasks=[]"]
    resume("sft", copied, *overrides)
    done = run_stage("eval_checkpoints", copied, "mul_tokens", *overrides)
    assert done.returncode == 0, done.stderr[-3000:]
    results = copied / "tiny" / "exp_mul_tokens" / "seed_0" / "eval" / "checkpoints"
    points = {path.stem: json.loads(path.read_text()) for path in results.glob("sft_drills-*.json")}
    assert len(points) > 1
    losses = [points[name]["metrics"]["bits_per_byte"] for name in sorted(points)]
    assert len(set(losses)) == len(losses)
