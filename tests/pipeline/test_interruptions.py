"""A stage that is killed goes on without help and ends as one that was not: weights, optimizer, losses, ledger."""

import json
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from interrupted_stages import (
    STAGES,
    after_step,
    in_save,
    interrupt,
    kill,
    kill_in_save,
    outcome,
    resume,
    start_over,
)
from tiny import run_stage

from domain_tokens.runs.checkpoints.verified import saved_steps

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

LONGER = {
    "pretrain": ["pretrain.max_steps=12"],
    "sft": ["sft.num_train_epochs=3"],
    "grpo": ["grpo.max_steps=8"],
}


def undisturbed(stage: str, copied: Path) -> dict[str, Any]:
    """Return what an undisturbed run ends with: the experiment's, but for GRPO, whose rewards do not differ."""
    if stage == "grpo":
        start_over(copied, stage)
        resume(stage, copied, *STAGES[stage][1])
    return outcome(copied, stage)


@pytest.mark.parametrize("stage", ["pretrain", "sft", pytest.param("grpo", marks=pytest.mark.slow)])
def test_a_stage_that_was_killed_in_a_save_goes_on_and_ends_the_same(stage: str, copied: Path) -> None:
    _, overrides = STAGES[stage]
    expected = undisturbed(stage, copied)
    work = kill_in_save(stage, copied, 3, 0.3, *overrides)
    assert sorted(saved_steps(work)) == [2]
    assert "resumes from step 2" in resume(stage, copied, *overrides)
    assert outcome(copied, stage) == expected


NEXT = {
    "pretrain": ("run_sft", "pretrain_final: missing or incomplete; run scripts/run_pretrain.py"),
    "sft": ("run_grpo", "sft_final: missing or incomplete; run scripts/run_sft.py"),
    "grpo": ("run_eval", "grpo_final: missing or incomplete; run scripts/run_grpo.py"),
}
"""The stage behind each, and what it says of one that was interrupted."""


@pytest.mark.parametrize(
    ("stage", "number", "code"),
    [
        ("pretrain", signal.SIGTERM, 143),
        pytest.param("pretrain", signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param("sft", signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param("sft", signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param("grpo", signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param("grpo", signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param("grpo", signal.SIGUSR1, 138, marks=pytest.mark.slow),
    ],
)
def test_a_stage_that_is_asked_to_stop_saves_and_ends_the_same(
    stage: str, number: int, code: int, copied: Path
) -> None:
    _, overrides = STAGES[stage]
    expected = undisturbed(stage, copied)
    work = start_over(copied, stage)
    # The log exists when the first step begins.
    ended, said = interrupt(stage, copied, lambda work: (work / "metrics.jsonl").exists(), number, *overrides)
    assert ended == code, said
    (step,) = saved_steps(work)
    assert f"{signal.Signals(number).name}: {stage} stopped after step {step} of " in said
    assert "Traceback" not in said
    following, says = NEXT[stage]
    shutil.rmtree(copied / "tiny" / "exp_mul_tokens" / "seed_0" / "eval")  # finished, it would be skipped
    refused = run_stage(following, copied, "mul_tokens", *overrides)
    assert refused.returncode == 2, refused.stderr[-3000:]
    assert says in refused.stderr
    assert f"resumes from step {step}" in resume(stage, copied, *overrides)
    assert outcome(copied, stage) == expected


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_is_killed_at_random_moments_ends_the_same(
    stage: str, copied: Path, record_property: Callable[[str, str], None]
) -> None:
    overrides, chance = [*STAGES[stage][1], *LONGER[stage]], random.Random(stage)
    start_over(copied, stage)
    resume(stage, copied, *overrides)
    expected = outcome(copied, stage)
    steps = len(expected["rows"])
    kills = inside = resumed = runs = 0
    while kills < 24 or inside < 8 or resumed < 16:
        work = start_over(copied, stage)
        runs += 1
        for number in range(3):  # in a row
            if (done := max(saved_steps(work), default=0)) == steps:
                break  # it was faster than the kill
            at = chance.randint(done + 1, steps)
            saving = number == chance.randrange(3)
            moment = in_save(at, chance.uniform(0, 0.9)) if saving else after_step(at, chance.uniform(0, 0.05))
            if kill(stage, copied, moment, *overrides):
                kills += 1
                inside += (work / "saving").exists()
                resumed += any(work.glob("checkpoint-*"))
        resume(stage, copied, *overrides)
        assert outcome(copied, stage) == expected, f"run {runs}, after {kills} kills"
        said = f"{stage}: {runs} runs, {kills} kills, {inside} inside a save, {resumed} resumed from a checkpoint"
        (copied / "kills.txt").write_text(said)
    record_property("kills", said)


@pytest.mark.slow
def test_a_checkpoint_that_was_cut_is_passed_over_and_the_run_ends_the_same(copied: Path) -> None:
    run = copied / "tiny" / "exp_mul_tokens" / "seed_0"
    expected = outcome(copied, "pretrain")
    shutil.rmtree(run / "pretrain_final")
    cut = run / "checkpoints" / "pretrain" / "checkpoint-4" / "optimizer.pt"
    cut.write_bytes(cut.read_bytes()[:-1])
    said = resume("pretrain", copied)
    assert "checkpoint-4 is not used: optimizer.pt is damaged" in said
    assert "resumes from step 2" in said
    assert outcome(copied, "pretrain") == expected
    steps = [json.loads(line)["step"] for line in (run / "pretrain_final" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 4]
