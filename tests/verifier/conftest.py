"""The tiny experiment of the training tests, and copies of it in which a verifier may be trained."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from real_stages import train_both


@pytest.fixture(scope="session")
def trained(build_once: Callable[..., Path]) -> Path:
    """Both conditions, pretrained for 100 steps and fine-tuned for 20; returns the output folder of `small_recipe`."""
    return build_once("trained", train_both)


@pytest.fixture
def outputs(trained: Path, tmp_path: Path) -> Path:
    """A copy of it that may be changed."""
    shutil.copytree(trained, tmp_path / "outputs")
    return tmp_path / "outputs"
