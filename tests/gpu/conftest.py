"""Skips the tests of this folder on a machine without a GPU."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def device() -> str:
    """The name of the GPU. Torch is imported here, because runs without these tests read this file too."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    return torch.cuda.get_device_name()
