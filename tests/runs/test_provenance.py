"""What a manifest says of the machine."""

import pytest
import torch

from domain_tokens.runs.provenance import environment


def test_the_gpu_is_named_if_it_was_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment().device is None
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA A100-SXM4-80GB")
    assert environment().device == "NVIDIA A100-SXM4-80GB"
