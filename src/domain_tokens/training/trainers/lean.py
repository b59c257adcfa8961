"""Keeps the library from searching, at every step, for what does not change during a run."""

import sys
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from accelerate import DistributedType
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from transformers import Trainer

# accelerate 1.15 asks twice a step whether this optimizer is installed, and each time Python searches all folders.
_ASKED_FOR = "lomo_optim"


class LeanTrainer(Trainer):
    """A `Trainer` whose steps cost less of Python and compute the same numbers."""

    _weights: int | None = None
    _parameters: list[torch.nn.Parameter] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if find_spec(_ASKED_FOR) is None:
            sys.modules[_ASKED_FOR] = None  # type: ignore[assignment]  # Python's way to say that there is none

    def floating_point_ops(self, inputs: dict[str, torch.Tensor | Any]) -> int:
        """Return the library's estimate of a micro batch's FLOPs, without counting the model's weights every time."""
        if "input_ids" not in inputs:  # as in GRPO
            return 0
        if self._weights is None:
            self._weights = self.model.num_parameters(exclude_embeddings=True)
        return 6 * inputs["input_ids"].numel() * self._weights

    def _clip_grad_norm(self, model: torch.nn.Module) -> torch.Tensor | None:
        """Clip the gradients and return their norm before; on a CPU, leave those alone that are small enough.

        The library multiplies them by 1, because on a GPU Python would wait for the norm.
        """
        whole = self.accelerator.distributed_type in (DistributedType.NO, DistributedType.MULTI_CPU)
        if not whole or self.args.device.type != "cpu" or self.accelerator.scaler is not None:
            norm: torch.Tensor | None = super()._clip_grad_norm(model)
            return norm
        if self._parameters is None:
            self._parameters = list(model.parameters())
            # The library's walks through all modules at every step.
            model.zero_grad = partial(_forget_gradients, self._parameters)  # type: ignore[method-assign]
        weights = self._parameters
        norm = get_total_norm([weight.grad for weight in weights if weight.grad is not None])
        if not self.args.max_grad_norm / (norm + 1e-6) >= 1:  # a norm that is no number is clipped, too
            clip_grads_with_norm_(weights, self.args.max_grad_norm, norm)
        return norm


def _forget_gradients(weights: list[torch.nn.Parameter], set_to_none: bool = True) -> None:
    for weight in weights:
        weight.grad = None
