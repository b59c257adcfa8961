"""A study through the real command: interrupted, killed, with a run that fails; and the same table in the end."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from tiny import ROOT, start_script

from domain_tokens.studies.table import TABLE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500), pytest.mark.integration]


def study_file(folder: Path, **keys: object) -> Path:
    usual = {
        "study": "s",
        "output_dir": str(folder / "studies"),
        "recipes": ["recipes/baseline.yaml", "recipes/mul_tokens.yaml"],
        "overlays": ["recipes/scales/try.yaml"],
        "overrides": ["evaluation.checkpoint_tasks=[]"],
        "seeds": [0],
        "config_file": "accelerate_configs/cpu.yaml",
        "grid": {"width": {"w16": {"model.n_embd": 16}, "w24": {"model.n_embd": 24}}},
    }
    file = folder / "s.yaml"
    file.write_text(yaml.safe_dump(usual | keys, sort_keys=False))
    return file


def table(folder: Path) -> list[dict[str, str]]:
    """Return the rows without the one value that a clock decides."""
    with (folder / "studies/s" / TABLE).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(float(row.pop("tokens_per_second")) > 0 for row in rows)
    return rows


def test_a_study_that_is_killed_again_and_again_ends_with_the_table_of_one_that_was_not(tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    undisturbed.mkdir()
    killed.mkdir()
    done = start_script("scripts/run_study.py", str(study_file(undisturbed)))
    assert done.returncode == 0, done.stderr
    expected = table(undisturbed)
    assert len(expected) == 2 * 2 * 2
    command = [sys.executable, "scripts/run_study.py", str(study_file(killed))]
    kills = 0
    for seconds in (6, 9, 12, 15, 20, 25, 30):
        process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            time.sleep(1)  # its stages end when they find that their parent has
    assert kills >= 2
    done = start_script("scripts/run_study.py", str(killed / "s.yaml"))
    assert done.returncode == 0, done.stderr
    assert table(killed) == expected


def test_a_run_that_fails_is_named_and_the_others_are_complete(tmp_path: Path) -> None:
    # The loss of one point is not finite after its first steps, which ends its stage; the recipe itself is valid.
    grid = {"rate": {"usual": {"pretrain.learning_rate": 1e-3}, "absurd": {"pretrain.learning_rate": 1e30}}}
    file = study_file(tmp_path, grid=grid, recipes=["recipes/baseline.yaml"])
    done = start_script("scripts/run_study.py", str(file))
    assert done.returncode == 1
    assert "failed: absurd, baseline, seed 0: pretrain: " in done.stderr
    assert "is nan" in done.stderr or "is inf" in done.stderr  # the reason, and not only where it stands
    assert "absurd/logs/baseline_seed0_pretrain.log" in done.stderr
    assert {row["point"] for row in table(tmp_path)} == {"usual"}
    assert "not complete: 1 run, the first: absurd, baseline, seed 0" in done.stdout
