"""A stage that is killed goes on without help and ends as one that was not: weights, optimizer, losses, ledger."""

import json
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import manifest, run_stage, start_stage

from domain_tokens.runs.files import sha256_file

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

STAGES = {
    "pretrain": ("pretrain", []),
    "sft": ("sft_drills", ["sft.save_steps=2"]),
    "grpo": (
        "grpo",
        [
            # Answers about as long as those that brevity begins to cost: so rewards differ, in a model of a few steps.
            # Two steps are an epoch: the run that resumes after step 2 begins another, in another order.
            "grpo_prompts=[{name: drills, kind: synthetic, what: drills, max_items: 4}]",
            "grpo.max_completion_length=50", "rewards.brevity=1", "budget.grpo_completions_per_step=4",
            "grpo.per_device_train_batch_size=4", "grpo.num_generations=2", "grpo.max_steps=3", "grpo.save_steps=2",
            "grpo.learning_rate=1e-2", "grpo.warmup_steps=0",
        ],
    ),
}  # fmt: skip
LONGER = {
    "pretrain": ["pretrain.max_steps=12"],
    "sft": ["sft.num_train_epochs=3"],
    "grpo": ["grpo.max_steps=8"],
}


def start_over(output_dir: Path, stage: str) -> Path:
    """Remove what the experiment has of a stage and the other condition, which has another recipe; return its work."""
    shutil.rmtree(output_dir / "tiny" / "exp_baseline" / "seed_0", ignore_errors=True)
    run = output_dir / "tiny" / "exp_mul_tokens" / "seed_0"
    work = run / "checkpoints" / STAGES[stage][0]
    for folder in (run / f"{stage}_final", work):
        shutil.rmtree(folder, ignore_errors=True)
    return work


def kill(stage: str, output_dir: Path, at: int, inside: bool, pause: float, *overrides: str) -> bool:
    """Run a stage and kill it; return whether it was still running.

    Args:
        at: the optimizer step after which, or in whose save or a later one, it is killed.
        inside: whether inside a save.
        pause: seconds to wait then; inside a save, the share of the save's files to wait for.
    """
    work = output_dir / "tiny" / "exp_mul_tokens" / "seed_0" / "checkpoints" / STAGES[stage][0]
    process = start_stage(f"run_{stage}", output_dir, "mul_tokens", *overrides)
    process.pid  # noqa: B018  (waits until it has begun)
    while process.poll() is None:
        if inside and _files_of_save(work, at) > 13 * pause:
            break
        if not inside and _step(work / "metrics.jsonl") >= at:
            time.sleep(pause)
            break
        time.sleep(0.0005)
    running = process.poll() is None
    process.signal_group(9)
    process.wait(60)
    return running


def _files_of_save(work: Path, at: int) -> int:
    """Return how many files the save of a step or a later one has written; 0 if there is none."""
    saves = [path for path in work.glob("saving/checkpoint-*") if int(path.name.rpartition("-")[2]) >= at]
    return 1 + sum(1 for _ in saves[0].iterdir()) if saves else 0


def _step(log: Path) -> int:
    lines = log.read_text().splitlines() if log.exists() else []
    return int(lines[-1].split(",")[0].partition(":")[2].rstrip("}") or 0) if lines else 0


def outcome(output_dir: Path, stage: str) -> dict[str, Any]:
    """Return what a run that was interrupted must share with one that was not, and check that it trained."""
    run = output_dir / "tiny" / "exp_mul_tokens" / "seed_0"
    work, final = run / "checkpoints" / STAGES[stage][0], run / f"{stage}_final"
    checkpoints = sorted(work.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    first, last = checkpoints[0], checkpoints[-1]
    assert stage != "pretrain" or first != last
    rows = [json.loads(line) for line in (work / "metrics.jsonl").read_text().splitlines()]
    rows = [row for row in rows if "loss" in row]
    before = {"sft": run / "pretrain_final", "grpo": run / "sft_final"}.get(stage, first)
    weights = sha256_file(final / "model.safetensors")
    assert weights != sha256_file(before / "model.safetensors")
    assert len({row["loss"] for row in rows}) == len(rows)
    assert sum(row["learning_rate"] > 0 and row["grad_norm"] > 0 for row in rows) >= 2
    if stage == "grpo":
        assert sum(row["reward_std"] > 0 for row in rows) >= 2
        assert len({row["reward"] for row in rows}) > 1
    (*_, entry) = manifest(output_dir / "tiny", "mul_tokens", f"{stage}_final")["ledger"]
    assert entry.pop("wall_time_s") > 0
    state = {name: sha256_file(last / name) for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth")}
    logged = [(row["step"], row["loss"], row["grad_norm"], row["learning_rate"]) for row in rows]
    return {"weights": weights, "step": last.name, "ledger": entry, "rows": logged, **state}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_was_killed_in_a_save_goes_on_and_ends_the_same(stage: str, copied: Path) -> None:
    _, overrides = STAGES[stage]
    if stage == "grpo":  # the experiment's own has rewards that do not differ
        start_over(copied, stage)
        assert run_stage(f"run_{stage}", copied, "mul_tokens", *overrides).returncode == 0
    expected = outcome(copied, stage)
    work = start_over(copied, stage)
    assert kill(stage, copied, 3, True, 0.3, *overrides)
    assert (work / "saving").exists()
    done = run_stage(f"run_{stage}", copied, "mul_tokens", *overrides)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "resumes from step 2" in done.stderr
    assert outcome(copied, stage) == expected


def ask_to_stop(stage: str, output_dir: Path, work: Path, number: int, *overrides: str) -> tuple[int, str]:
    """Run a stage and send it a signal when its first step begins; return its exit code and what it said."""
    process = start_stage(f"run_{stage}", output_dir, "mul_tokens", *overrides)
    process.pid  # noqa: B018  (waits until it has begun)
    while process.poll() is None and not (work / "metrics.jsonl").exists():
        time.sleep(0.0005)
    process.signal_group(number)
    return process.wait(120), (output_dir / f"run_{stage}.log").read_text()


@pytest.mark.parametrize(
    ("stage", "number", "code"),
    [
        ("pretrain", signal.SIGTERM, 143),
        pytest.param("sft", signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param("grpo", signal.SIGTERM, 143, marks=pytest.mark.slow),
    ],
)
def test_a_stage_that_is_asked_to_stop_saves_and_ends_the_same(
    stage: str, number: int, code: int, copied: Path
) -> None:
    _, overrides = STAGES[stage]
    if stage == "grpo":
        start_over(copied, stage)
        assert run_stage(f"run_{stage}", copied, "mul_tokens", *overrides).returncode == 0
    expected = outcome(copied, stage)
    work = start_over(copied, stage)
    ended, said = ask_to_stop(stage, copied, work, number, *overrides)
    assert ended == code, said
    (checkpoint,) = work.glob("checkpoint-*")
    step = checkpoint.name.rpartition("-")[2]
    assert f"stopped after step {step} of " in said
    assert "Traceback" not in said
    if stage == "pretrain":
        refused = run_stage("run_sft", copied, "mul_tokens")
        assert refused.returncode == 2
        assert "pretrain_final: missing or incomplete; run scripts/run_pretrain.py" in refused.stderr
    done = run_stage(f"run_{stage}", copied, "mul_tokens", *overrides)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"resumes from step {step}" in done.stderr
    assert outcome(copied, stage) == expected


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_is_killed_at_random_moments_ends_the_same(
    stage: str, copied: Path, record_property: Callable[[str, str], None]
) -> None:
    overrides, chance = [*STAGES[stage][1], *LONGER[stage]], random.Random(stage)
    start_over(copied, stage)
    assert run_stage(f"run_{stage}", copied, "mul_tokens", *overrides).returncode == 0
    expected = outcome(copied, stage)
    steps = len(expected["rows"])
    kills = inside = resumed = runs = 0
    while kills < 24 or inside < 8 or resumed < 16:
        work = start_over(copied, stage)
        runs += 1
        for number in range(3):  # in a row
            saved = [int(path.name.rpartition("-")[2]) for path in work.glob("checkpoint-*")]
            at, in_save = chance.randint(max(saved, default=0) + 1, steps), number == chance.randrange(3)
            if kill(stage, copied, at, in_save, chance.uniform(0, 0.9 if in_save else 0.2), *overrides):
                kills += 1
                inside += (work / "saving").exists()
                resumed += any(work.glob("checkpoint-*"))
        done = run_stage(f"run_{stage}", copied, "mul_tokens", *overrides)
        assert done.returncode == 0, done.stderr[-3000:]
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
    done = run_stage("run_pretrain", copied, "mul_tokens")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "checkpoint-4 is not used: optimizer.pt is damaged" in done.stderr
    assert "resumes from step 2" in done.stderr
    assert outcome(copied, "pretrain") == expected
    steps = [json.loads(line)["step"] for line in (run / "pretrain_final" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 4]
