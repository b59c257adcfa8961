"""Which device a stage uses, and what is refused on it."""

import re
from pathlib import Path

import pytest
import torch
from compilers import needs_compiler
from torch._inductor import config as inductor

from domain_tokens.evaluation.models.devices import Device, check_device, choose_device
from domain_tokens.recipe import RecipeError


@pytest.mark.parametrize(
    ("cuda", "mps", "training", "beside_another", "evaluation"),
    [
        (True, False, "cuda", "cuda", "cuda"),
        (True, True, "cuda", "cuda", "cuda"),
        (False, True, "mps", "cpu", "cpu"),
        (False, False, "cpu", "cpu", "cpu"),
    ],
)
def test_the_best_device_that_can_do_the_work_is_chosen(
    cuda: bool, mps: bool, training: str, beside_another: str, evaluation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("training") == training
    assert choose_device("training", num_processes=2) == beside_another
    assert choose_device("evaluation") == choose_device("evaluation", 2) == evaluation


@pytest.mark.parametrize(
    ("device", "key", "off"),
    [
        ("cpu", "bf16", "pretrain.bf16=false"),
        ("cpu", "tf32", "pretrain.tf32=null"),
        ("mps", "bf16", "pretrain.bf16=false"),
        ("mps", "tf32", "pretrain.tf32=null"),
        ("mps", "torch_compile", "pretrain.torch_compile=false"),
        ("mps", "torch_compile_mode", "pretrain.torch_compile_mode=null"),
    ],
)
def test_what_a_device_cannot_do_is_refused_with_what_it_can(device: Device, key: str, off: str) -> None:
    on: object = "default" if key == "torch_compile_mode" else True
    with pytest.raises(RecipeError) as error:
        check_device(device, "pretrain", {"learning_rate": 1e-3, key: on})
    assert str(error.value).startswith(f"pretrain.{key}: this machine")
    assert off in str(error.value)
    assert ("MPS" in str(error.value)) == (device == "mps")
    check_device(device, "pretrain", {"learning_rate": 1e-3, key: False})
    check_device("cuda", "pretrain", {key: on})


@pytest.mark.parametrize("key", ["torch_compile", "torch_compile_mode"])
def test_compiling_for_a_cpu_is_refused_where_a_compiled_function_fails(key: str) -> None:
    values = {key: "default"}
    torch._dynamo.reset()
    missing = {"cpp.cxx": (None, "no-such-compiler"), "force_disable_caches": True}
    with inductor.patch(missing):
        for backend in ({}, {"torch_compile_backend": "INDUCTOR"}):
            with pytest.raises(RecipeError) as error:
                check_device("cpu", "sft", {**values, **backend})
            asked = [*backend, *values]
            assert re.search(rf"^sft\.({'|'.join(asked)}): .* C\+\+ compiler .*, or add ", str(error.value))
            assert all(f" sft.{one}=" in str(error.value) for one in asked)
        check_device("cuda", "sft", values)
        check_device("cpu", "sft", {**values, "torch_compile_backend": "aot_eager"})
        check_device("cpu", "sft", {key: False})


@pytest.mark.parametrize(("key", "named"), [("torch_compile_mode", "foo"), ("torch_compile_backend", "no_such")])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_mode_or_a_backend_that_there_is_not_is_named(device: Device, key: str, named: str) -> None:
    with pytest.raises(RecipeError, match=rf"^grpo\.{key}: .*{named}"):
        check_device(device, "grpo", {"torch_compile": True, key: named})
    check_device(device, "grpo", {key: "no"} if key == "torch_compile_backend" else {})


def test_what_the_compiler_says_is_passed_on(tmp_path: Path) -> None:
    broken = tmp_path / "g++"
    said = "x.cpp:3: fatal error: Python.h: No such file"
    broken.write_text(
        f'#!/bin/sh\n[ "$1" = "--version" ] && exec echo "g++ (Debian) 12.2.0"\necho "{said}" >&2\nexit 1\n'
    )
    broken.chmod(0o755)
    torch._dynamo.reset()
    found = inductor.patch({"cpp.cxx": (None, str(broken)), "force_disable_caches": True})
    with found, pytest.raises(RecipeError, match=rf"C\+\+ compile error; {re.escape(said)}"):
        check_device("cpu", "sft", {"torch_compile": True})


@needs_compiler
def test_a_compiler_that_works_is_accepted() -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    check_device("cpu", "sft", {"torch_compile": True})
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
