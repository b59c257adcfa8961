"""Two processes, under DDP or DeepSpeed, are killed at random moments and end as if nothing had happened."""

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from interrupted_stages import Moment, after_step, has_taken_a_step, in_save, work_of
from tiny import ROOT, prepare_data, start_script, tiny_arguments

from domain_tokens.runs.checkpoints.verified import saved_steps

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(7200)]

STEPS = 20
SETTINGS = [
    f"pretrain.max_steps={STEPS}", "pretrain.save_steps=5", "pretrain.eval_steps=100", "pretrain.warmup_steps=4",
    "budget.pretrain_tokens_per_step=512", "corpus.sources.0.max_items=800",
]  # fmt: skip
RUNS = 2
KILLS = 3  # of a run, in a row; one of them inside a save


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with tokenizer and corpus."""
    return prepare_data(tmp_path_factory.mktemp("corpus"), *SETTINGS)


def command(config: str, folder: Path) -> list[str]:
    launcher = ["-m", "accelerate.commands.launch", "--config_file", f"accelerate_configs/{config}.yaml"]
    script = ["scripts/run_pretrain.py", *tiny_arguments(folder, "mul_tokens", *SETTINGS)]
    return [*launcher, "--main_process_port", "0", *script]


def kill_all(config: str, folder: Path, moment: Moment) -> bool:
    """Pretrain, and kill the launcher and all its processes at a moment; return whether they still ran."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *command(config, folder)], cwd=ROOT, stdout=log, stderr=log)
    while process.poll() is None and not (has_taken_a_step(folder / "log") and moment(work_of(folder))):
        time.sleep(0.0005)
    if process.poll() is not None:
        assert process.returncode == 0, (folder / "log").read_text()[-4000:]
        return False
    ranks = psutil.Process(process.pid).children(recursive=True)  # each in a session of its own
    assert len(ranks) >= 2
    for one in (*ranks, process):
        one.kill()
    psutil.wait_procs(ranks)
    process.wait()
    return True


def finish(config: str, folder: Path) -> dict[str, Any]:
    """Pretrain to the end; return the hashes of the last state, and what was logged at every step."""
    newest = max(saved_steps(work_of(folder)), default=0)
    done = start_script(*command(config, folder))
    assert done.returncode == 0, done.stderr[-4000:]
    assert newest == 0 or f"resumes from step {newest}, " in done.stderr
    last = work_of(folder) / f"checkpoint-{STEPS}"
    saved = json.loads((last / "verified.json").read_text())
    state = {name: saved[name] for name in saved if name.startswith(("model", "rng_state")) or "optim" in name}
    history = json.loads((last / "trainer_state.json").read_text())["log_history"]
    rows = [(row["step"], row["loss"], row["grad_norm"]) for row in history if "loss" in row]
    assert [row[0] for row in rows] == list(range(1, STEPS + 1))
    return state | {"rows": rows}


@pytest.mark.parametrize("config", ["ddp_cpu", "zero1_cpu", "zero2_cpu", "zero3_cpu"])
def test_two_processes_that_are_killed_at_random_moments_end_the_same(
    config: str, corpus: Path, tmp_path: Path, record_property: Callable[[str, str], None]
) -> None:
    chance = random.Random(config)
    undisturbed = Path(shutil.copytree(corpus, tmp_path / "undisturbed"))
    expected = finish(config, undisturbed)
    assert set(saved_steps(work_of(undisturbed))) == {10, 15, STEPS}
    # What is spread over the processes is saved by each.
    assert sum("optim" in name for name in expected) == (2 if config.startswith("zero") else 1)
    assert sum(name.startswith("rng_state") for name in expected) == 2
    first, last = (
        json.loads((work_of(undisturbed) / f"checkpoint-{step}" / "verified.json").read_text()) for step in (10, STEPS)
    )
    assert first["model.safetensors"] != last["model.safetensors"]
    assert len({row[1] for row in expected["rows"]}) == STEPS
    kills = inside = resumed = 0
    for run in range(RUNS):
        folder = Path(shutil.copytree(corpus, tmp_path / f"run_{run}"))
        in_a_save = chance.randrange(KILLS)
        for number in range(KILLS):
            # Each is further than the one before, and the last leaves steps to take.
            next_step = max(saved_steps(work_of(folder)), default=0) + 1
            at = chance.randint(next_step, max(next_step, 5 * (number + 1)))
            moment = after_step(at, chance.uniform(0, 0.2))
            if number == in_a_save:
                moment = in_save(at, chance.uniform(0, 0.3))
            assert kill_all(config, folder, moment)
            kills += 1
            inside += (work_of(folder) / "saving").exists()
            resumed += any(saved_steps(work_of(folder)))
        assert finish(config, folder) == expected, f"run {run}, after {kills} kills"
    said = f"{config}: {kills} kills, {inside} with a save under way, {resumed} with a checkpoint to resume from"
    assert inside >= RUNS, said
    record_property("kills", said)
