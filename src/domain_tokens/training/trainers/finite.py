"""Stops training at a loss or a gradient that is not finite, before weights that it spoiled are saved."""

from dataclasses import dataclass
from typing import Any

import torch

from domain_tokens.training.callbacks.metrics import refuse_not_finite
from domain_tokens.training.trainers.lean import LeanTrainer


@dataclass(frozen=True)
class _Seen:
    """What a step came to, on its way from the device."""

    step: int
    values: torch.Tensor
    arrived: Any  # a `torch.cuda.Event`, which has no type without CUDA


class FiniteTrainer(LeanTrainer):
    """A `Trainer` that checks the loss and the gradient norm of every step; the library looks at none.

    On a CPU, the optimizer takes no step on a number that is not finite. A GPU works behind Python, which would wait
    if it asked for a number. There the numbers of a step are copied meanwhile and read one step later, or before a
    checkpoint is saved.
    """

    _loss: torch.Tensor | None = None
    _seen: _Seen | None = None

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the loss of a micro batch, and add it to that of its step."""
        return self.add_loss(super().training_step(*args, **kwargs))

    def add_loss(self, loss: torch.Tensor) -> torch.Tensor:
        """Add a micro batch's loss to that of its step, and return it."""
        self._loss = loss if self._loss is None else self._loss + loss
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        self.check_finite()
        assert self._loss is not None
        step, loss, counted = self.state.global_step + 1, self._loss, 0.0 if norm is None else norm
        self._loss = None
        if _works_behind_python(loss):
            self._seen = _on_its_way(step, torch.stack([loss.float(), torch.as_tensor(counted).to(loss).float()]))
        else:
            self._refuse_not_finite(step, [float(loss), float(counted)])
        return norm

    def check_finite(self) -> None:
        """Raise `RecipeError` if what was seen last is not finite."""
        if self._seen is None:
            return
        seen, self._seen = self._seen, None
        seen.arrived.synchronize()
        self._refuse_not_finite(seen.step, seen.values.tolist())

    def _refuse_not_finite(self, step: int, values: list[float]) -> None:
        for name, value in zip(("loss", "grad_norm"), values, strict=True):
            refuse_not_finite(name, value, step, str(self.args.output_dir))


def _works_behind_python(value: torch.Tensor) -> bool:
    return value.is_cuda


def _on_its_way(step: int, values: torch.Tensor) -> _Seen:
    copy = torch.empty(values.shape, pin_memory=True)
    copy.copy_(values, non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record()
    return _Seen(step, copy, arrived)
