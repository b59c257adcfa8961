"""The device of self-adaptation: what a machine lacks is refused, and MPS is never taken unasked."""

import pytest
import torch

from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.sections.apart.seal import Seal
from domain_tokens.seal.devices import choose_device


@pytest.mark.parametrize(("cuda", "expected"), [(True, "cuda"), (False, "cpu")])
def test_cuda_is_taken_where_it_is_and_mps_is_not(cuda: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device(Seal()) == expected
    assert choose_device(Seal(device="mps")) == "mps"
    assert choose_device(Seal(device="cpu")) == "cpu"


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(
        RecipeError, match=rf"seal\.device: this machine has no {device}; expected auto or one of cpu$"
    ):
        choose_device(Seal(device=device))
