"""Where edits are carried out: what a machine lacks is refused before work begins."""

import torch

from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.sections.apart.seal import Seal


def choose_device(settings: Seal) -> str:
    """Return the device of a recipe's section: CUDA where there is one, else the CPU, unless the section names one.

    MPS is never taken unasked: the inner loop has been tried on none. There is no other backend.

    Raises:
        RecipeError: if the machine has no such device.
    """
    found = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if settings.device == "auto":
        return "cuda" if found["cuda"] else "cpu"
    if not found[settings.device]:
        there = ", ".join(name for name, is_there in found.items() if is_there)
        raise RecipeError(f"seal.device: this machine has no {settings.device}; expected auto or one of {there}")
    return settings.device
