"""One tiny experiment of both conditions, made by the real runner and scripts, for all tests of all workers."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import start_script, tiny_arguments


@pytest.fixture(scope="session")
def experiment(build_once: Callable[..., Path]) -> Path:
    """Both conditions through the runner; returns the experiment's folder. Tests that change it take `copied`."""

    def fill(output_dir: Path) -> None:
        _, overlay, *overrides = tiny_arguments(output_dir, "baseline")
        done = start_script(
            "scripts/run_experiment.py", "recipes/baseline.yaml", "recipes/mul_tokens.yaml", "--overlay", overlay,
            "--config-file", "accelerate_configs/cpu.yaml", "--set", *overrides, timeout=2700,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        (output_dir / "tiny" / "stdout.txt").write_text(done.stdout)

    return build_once("outputs", fill) / "tiny"


@pytest.fixture
def copied(experiment: Path, tmp_path: Path) -> Path:
    """A copy of the experiment that a test may spoil; returns the output folder."""
    shutil.copytree(experiment, tmp_path / "tiny")
    return tmp_path
