"""Chooses the device of a stage, and refuses what the device cannot do before work begins."""

from collections.abc import Mapping
from typing import Literal

import torch

from domain_tokens.recipe import RecipeError, first_line

Device = Literal["cuda", "mps", "cpu"]

_ON_CUDA_ALONE = {"bf16": "false", "tf32": "null"}
_COMPILER_OFF = {"torch_compile": "false", "torch_compile_backend": "null", "torch_compile_mode": "null"}
_ON_MPS = "this machine's GPU is used through MPS, where stages train in fp32 and without a compiler"
_ON_CPU = "this machine has no GPU, and bf16 on a CPU is slower than fp32"


def choose_device(work: Literal["training", "evaluation"], num_processes: int = 1) -> Device:
    """Return the device of a stage: CUDA where there is one, else MPS, else the CPU.

    Evaluation does not use MPS: it adds log-probabilities in 64 bits, which MPS does not have. Nor do several
    processes, which exchange gradients over gloo.

    Args:
        work: what the stage does.
        num_processes (`int`, *optional*, defaults to 1): processes that train one model.
    """
    if torch.cuda.is_available():
        return "cuda"
    if work == "training" and num_processes == 1 and torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def check_device(device: Device, section: str, values: Mapping[str, object]) -> None:
    """Check that a device can do what a trainer section asks for.

    Args:
        device: the device.
        section (`str`): the section's name, for messages.
        values (`Mapping[str, object]`): the section.

    Raises:
        RecipeError: naming the first key that it cannot do, and the value that it can.
    """
    off = {} if device == "cuda" else _ON_CUDA_ALONE | (_COMPILER_OFF if device == "mps" else {})
    for key, value in off.items():
        if values.get(key):
            reason = _ON_MPS if device == "mps" else _ON_CPU
            raise RecipeError(
                f"{section}.{key}: {reason}; add {section}.{key}={value}, or the overlay recipes/scales/demo.yaml"
            )
    check_compiler(section, values, compiles_here=device == "cpu")


def check_compiler(section: str, values: Mapping[str, object], compiles_here: bool) -> None:
    """Check that what a section says of compiling is known, and that a function of one line can be compiled.

    Args:
        section (`str`): the section's name, for messages.
        values (`Mapping[str, object]`): the section.
        compiles_here (`bool`): whether to compile for this machine's CPU, or to look at the names alone.

    Raises:
        RecipeError: with what the compiler said.
    """
    asked = [key for key in _COMPILER_OFF if values.get(key)]  # each of them turns compiling on
    backend = str(values.get("torch_compile_backend") or "inductor").lower()
    if not asked or backend == "no":
        return
    mode = None if values.get("torch_compile_mode") is None else str(values["torch_compile_mode"])
    try:
        compiled = torch.compile(_add_one, backend=backend, mode=mode)
    except Exception as error:  # each backend has errors of its own
        raise RecipeError(f"{section}.{asked[-1]}: {first_line(error)}") from error
    if not compiles_here:
        return
    try:
        compiled(torch.ones(2))
    except Exception as error:  # a missing compiler, missing headers of Python, no room for what was compiled
        said = [first_line(error), *(line for line in str(error).splitlines() if "error: " in line)]
        needs = "a C++ compiler (g++, or what CXX names) and Python's headers" if backend == "inductor" else backend
        raise RecipeError(
            f"{section}.{asked[0]}: a function of one line could not be compiled for this machine's CPU "
            f"({'; '.join(said[:2])}); install what is needed, {needs}, or add "
            f"{' '.join(f'{section}.{key}={_COMPILER_OFF[key]}' for key in asked)}"
        ) from error


def _add_one(values: torch.Tensor) -> torch.Tensor:
    return values + 1
