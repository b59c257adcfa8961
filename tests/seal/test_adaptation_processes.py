"""`scripts/run_seal.py` as users start it: what it says, several processes, and a kill in the middle."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from adaptable import adaptable_arguments, adaptable_recipe
from adapted_run import adapt_here, files, rows_of
from jail.ended import end_within
from tiny import ROOT, run_inside

from domain_tokens.seal.records import POLICY, ROWS

SCRIPT = "scripts/run_seal.py"


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(adaptable: Path) -> None:
    before = files(adaptable)
    done = run_inside(SCRIPT, "--dry-run", *adaptable_arguments(adaptable))
    assert done.returncode == 0, done.stderr
    assert "test: 2 passages x 6 arms x 5 inner seeds, and in chains of 2" in done.stdout
    assert done.stdout.endswith("Dry run: nothing was changed.\n")
    assert files(adaptable) == before


REFUSED = {
    "off": ("seal.enabled=false", "error: seal.enabled: self-adaptation is off in this recipe; add seal.enabled=true"),
    "no model": ("seed=7", "seed_7/pretrain_final"),
    "few documents": ("seal.validation_documents=5000", "error: seal.validation_documents: the corpus has "),
    "rows": ("seal.tokens_per_step=200", "error: seal.tokens_per_step: expected at most 128"),
    "no room": ("seal.policy=language_model", "error: model.n_positions: "),
    "seeds": ("seal.inner_seeds=1", "error: seal.inner_seeds: expected a whole number of at least 5, got 1"),
}


@pytest.mark.parametrize(("override", "message"), REFUSED.values(), ids=REFUSED)
def test_the_command_refuses_with_one_message(adaptable: Path, override: str, message: str) -> None:
    before = files(adaptable)
    done = run_inside(SCRIPT, *adaptable_arguments(adaptable, override))
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stdout == ""
    assert files(adaptable) == before


def test_the_command_refuses_a_launcher(adaptable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = run_inside(SCRIPT, *adaptable_arguments(adaptable))
    assert done.returncode == 2
    assert "starts its own processes (seal.workers); start it with python, without a launcher" in done.stderr


def test_a_dry_run_names_what_is_missing(adaptable: Path) -> None:
    done = run_inside(SCRIPT, "--dry-run", *adaptable_arguments(adaptable, "seed=7"))
    assert done.returncode == 0
    assert "pretrain_final: missing; train it first" in done.stdout
    refused = run_inside(SCRIPT, "--dry-run", *adaptable_arguments(adaptable, "seal.enabled=false"))
    assert (refused.returncode, "seal.enabled" in refused.stderr) == (2, True)


def test_a_finished_run_is_skipped(adapted: Path) -> None:
    before = files(adapted)
    done = run_inside(SCRIPT, *adaptable_arguments(adapted))
    assert done.returncode == 0, done.stderr
    assert "next: python scripts/analyze_adaptation.py" in done.stdout
    assert files(adapted) == before


def start(outputs: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, SCRIPT, *adaptable_arguments(outputs, "seal.workers=2")]
    with (outputs / "log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)


@pytest.mark.slow
def test_several_processes_give_the_same_rows(outputs: Path, adapted: Path) -> None:
    assert start(outputs).wait(120) == 0, (outputs / "log").read_text()
    found, expected = (adaptable_recipe(folder).run_dir / "seal" for folder in (outputs, adapted))
    assert rows_of(found) == rows_of(expected)
    assert (found / POLICY).read_bytes() == (expected / POLICY).read_bytes()


def pool_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    children = psutil.process_iter(["ppid", "cmdline"])  # without an error where one has just ended
    return [
        child
        for child in children
        if child.info["ppid"] == process.pid and any("spawn_main" in word for word in child.info["cmdline"] or ())
    ]


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone ends a process with its parent")
@pytest.mark.parametrize("when", ["while the pool imports", "between rows"])
def test_a_killed_run_leaves_no_process_and_goes_on(outputs: Path, adapted: Path, when: str) -> None:
    recipe = adaptable_recipe(outputs)
    rows = recipe.run_dir / "checkpoints/seal" / ROWS
    process = start(outputs)
    wait_until(lambda: len(pool_of(process)) == 2, process)
    if when == "between rows":
        wait_until(lambda: rows.is_file() and rows.read_bytes().count(b"\n") > 10, process)
    pool = pool_of(process)
    assert len(pool) == 2
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    assert end_within(pool, 30)
    assert rows.exists() == (when == "between rows")
    expected = adaptable_recipe(adapted).run_dir / "seal"
    assert rows_of(adapt_here(recipe)) == rows_of(expected)
