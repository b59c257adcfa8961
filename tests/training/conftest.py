"""A tiny experiment that the real stages trained, in one of the tests' own processes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from real_stages import train_both


@pytest.fixture(scope="session")
def trained(build_once: Callable[..., Path]) -> Path:
    """Both conditions, pretrained for 100 steps and fine-tuned for 20; returns the output folder of `small_recipe`."""
    return build_once("trained", train_both)
