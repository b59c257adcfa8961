"""A stage of the tiny experiment that gets a signal at a chosen moment, and what it must end with all the same."""

import json
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tiny import manifest, run_stage, start_stage

from domain_tokens.runs.checkpoints.verified import saved_steps
from domain_tokens.runs.files import sha256_file

STAGES = {
    "pretrain": ("pretrain", []),
    "sft": ("sft_drills", ["sft.save_steps=2"]),
    "grpo": (
        "grpo",
        [
            # Answers about as long as those that brevity begins to cost: so rewards differ, in a model of a few steps.
            # Two steps are an epoch: the run that resumes after step 2 begins another, in another order.
            "grpo_prompts=[{name: drills, kind: synthetic, what: drills, max_items: 4}]",
            "grpo.max_completion_length=100", "rewards.brevity=1", "budget.grpo_completions_per_step=4",
            "grpo.per_device_train_batch_size=4", "grpo.num_generations=2", "grpo.max_steps=3", "grpo.save_steps=2",
            "grpo.learning_rate=1e-2", "grpo.warmup_steps=0",
        ],
    ),
}  # fmt: skip

Moment = Callable[[Path], bool]
"""Whether the moment has come, by what is in the folder of a stage's checkpoints."""


def work_of(output_dir: Path, stage: str = "pretrain") -> Path:
    """Return the folder of a stage's checkpoints."""
    return output_dir / "tiny" / "exp_mul_tokens" / "seed_0" / "checkpoints" / STAGES[stage][0]


def start_over(output_dir: Path, stage: str) -> Path:
    """Remove what the experiment has of a stage and the other condition, which has another recipe; return its work."""
    shutil.rmtree(output_dir / "tiny" / "exp_baseline" / "seed_0", ignore_errors=True)
    run, work = output_dir / "tiny" / "exp_mul_tokens" / "seed_0", work_of(output_dir, stage)
    for folder in (run / f"{stage}_final", work):
        shutil.rmtree(folder, ignore_errors=True)
    return work


def interrupt(stage: str, output_dir: Path, moment: Moment, number: int, *overrides: str) -> tuple[int, str]:
    """Run a stage and send it a signal; return its exit code, 0 if it ended before, and what it said."""
    work, log = work_of(output_dir, stage), output_dir / f"run_{stage}.log"
    log.unlink(missing_ok=True)
    process = start_stage(f"run_{stage}", output_dir, "mul_tokens", *overrides)
    process.pid  # noqa: B018  (waits until it has begun)
    while process.poll() is None and not moment(work):
        time.sleep(0.0005)
    process.signal_group(number)
    return process.wait(120), log.read_text()


def kill(stage: str, output_dir: Path, moment: Moment, *overrides: str) -> bool:
    """Run a stage and kill it after its first step at the earliest; return whether it was still running."""
    log = output_dir / f"run_{stage}.log"

    def is_due(work: Path) -> bool:
        return has_taken_a_step(log) and moment(work)

    return interrupt(stage, output_dir, is_due, signal.SIGKILL, *overrides)[0] == -signal.SIGKILL


def kill_in_save(stage: str, output_dir: Path, at: int, share: float, *overrides: str) -> Path:
    """Run a stage from its start and kill it in a save, as often as it takes to be fast enough; return its work."""
    for _ in range(5):
        work = start_over(output_dir, stage)
        if kill(stage, output_dir, in_save(at, share), *overrides) and any(work.glob("saving/checkpoint-*")):
            return work
    raise AssertionError(f"{stage} was faster than five kills in its save of step {at}")


def has_taken_a_step(log: Path) -> bool:
    """Return whether a stage says so. Until then, the folder of its checkpoints has what a killed run left there."""
    return re.search(r"^step \d+ of ", log.read_text(), re.MULTILINE) is not None


def resume(stage: str, output_dir: Path, *overrides: str) -> str:
    """Run a stage to its end; return what it said."""
    done = run_stage(f"run_{stage}", output_dir, "mul_tokens", *overrides)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


def in_save(at: int, share: float) -> Moment:
    """Return the moment in which the save of a step, or of a later one, has written a share of its files."""
    return lambda work: _files_of_save(work, at) > 13 * share


def after_step(at: int, pause: float = 0.0) -> Moment:
    """Return the moment some seconds after an optimizer step."""

    def moment(work: Path) -> bool:
        due = _step(work / "metrics.jsonl") >= at
        time.sleep(pause if due else 0.0)
        return due

    return moment


def after_save(at: int) -> Moment:
    """Return the moment in which the checkpoint of a step has its name."""
    return lambda work: (work / f"checkpoint-{at}").is_dir()


def _files_of_save(work: Path, at: int) -> int:
    """Return how many files the save of a step or a later one has written; 0 if there is none."""
    try:
        saves = [path for path in work.glob("saving/checkpoint-*") if int(path.name.rpartition("-")[2]) >= at]
        return 1 + sum(1 for _ in saves[0].iterdir()) if saves else 0
    except FileNotFoundError:  # the save ended between two looks, and its folder was renamed
        return 0


def _step(log: Path) -> int:
    lines = log.read_text().splitlines() if log.exists() else []
    return int(lines[-1].split(",")[0].partition(":")[2].rstrip("}") or 0) if lines else 0


def outcome(output_dir: Path, stage: str) -> dict[str, Any]:
    """Return what a run that was interrupted must share with one that was not, and check that it trained."""
    run = output_dir / "tiny" / "exp_mul_tokens" / "seed_0"
    work, final = work_of(output_dir, stage), run / f"{stage}_final"
    steps = sorted(saved_steps(work))
    assert stage != "pretrain" or len(steps) > 1
    first, last = (work / f"checkpoint-{step}" for step in (steps[0], steps[-1]))
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
