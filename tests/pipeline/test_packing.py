"""Packed fine-tuning resumes as it would have gone on, and two processes do what one does."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from interrupted_stages import after_step, interrupt, outcome, resume, start_over
from tiny import manifest, run_ranks, tiny_arguments

from domain_tokens.runs.checkpoints.verified import saved_steps

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]

PACKED = [
    "sft.packing=true", "budget.sft_tokens_per_step=256", "sft.per_device_train_batch_size=1", "sft.save_steps=2",
    "sft.num_train_epochs=3",
]  # fmt: skip


@pytest.mark.parametrize("loss", ["token", "example"])
def test_a_packed_stage_that_was_stopped_ends_the_same(loss: str, copied: Path) -> None:
    overrides = [*PACKED, f"budget.sft_loss={loss}"]
    start_over(copied, "sft")
    resume("sft", copied, *overrides)
    expected = outcome(copied, "sft")
    work = start_over(copied, "sft")
    code, said = interrupt("sft", copied, after_step(3), signal.SIGTERM, *overrides)
    assert code == 143, said
    assert 0 < max(saved_steps(work)) < expected["ledger"]["steps"]
    assert "resumes from step" in resume("sft", copied, *overrides)
    assert outcome(copied, "sft") == expected


def losses_and_entry(number: int, output_dir: Path, *overrides: str) -> tuple[list[float], dict[str, Any]]:
    start_over(output_dir, "sft")
    for done in run_ranks(number, "scripts/run_sft.py", *tiny_arguments(output_dir, "mul_tokens", *overrides)):
        assert done.returncode == 0, done.stderr[-3000:]
    made = manifest(output_dir / "tiny", "mul_tokens", "sft_final")
    assert made["matched"]["num_processes"] == number
    log = output_dir / "tiny" / "exp_mul_tokens" / "seed_0" / "sft_final" / "metrics.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    (entry,) = made["ledger"]
    return [row["loss"] for row in rows if "loss" in row], {key: entry[key] for key in entry if key != "wall_time_s"}


@pytest.mark.parametrize("loss", ["token", "example"])
def test_two_processes_pack_as_one(loss: str, copied: Path) -> None:
    shutil.rmtree(copied / "tiny" / "exp_mul_tokens" / "seed_0" / "grpo_final", ignore_errors=True)
    overrides = [*PACKED, f"budget.sft_loss={loss}"]
    (alone, entry), (together, same) = (losses_and_entry(number, copied, *overrides) for number in (1, 2))
    assert entry["packed"]
    assert entry == same
    assert len(alone) == entry["steps"] > 4
    assert together == pytest.approx(alone, rel=1e-4)
