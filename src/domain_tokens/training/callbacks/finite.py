"""Stops training at a loss or a gradient that is not finite, before weights that it spoiled are saved."""

from dataclasses import dataclass
from typing import Any

import torch

from domain_tokens.training.callbacks.lean import LeanSteps
from domain_tokens.training.callbacks.metrics import refuse_not_finite


@dataclass(frozen=True)
class _Seen:
    """What a step came to, on its way from the device."""

    step: int
    values: torch.Tensor
    arrived: Any  # a `torch.cuda.Event`, which has no type without CUDA; `None` on a CPU


class FiniteSteps(LeanSteps):
    """A `Trainer` that checks the loss and the gradient norm of every step; the library looks at none.

    On a CPU, the optimizer takes no step on a number that is not finite. A GPU works behind Python, which would wait
    if it asked for a number. There the numbers of a step are copied meanwhile and read one step later, or before a
    checkpoint is saved.
    """

    _loss: torch.Tensor | None = None
    _seen: _Seen | None = None

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the loss of a micro batch, and add it to that of its step."""
        loss: torch.Tensor = super().training_step(*args, **kwargs)
        self._loss = loss if self._loss is None else self._loss + loss
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        self.check_finite()
        assert self._loss is not None
        counted = 0.0 if norm is None else norm
        values = torch.stack([self._loss.float(), torch.as_tensor(counted, device=self._loss.device).float()]).detach()
        self._loss, self._seen = None, _on_its_way(self.state.global_step + 1, values)
        if self._seen.arrived is None:
            self.check_finite()
        return norm

    def check_finite(self) -> None:
        """Raise `RecipeError` if what was seen last is not finite."""
        if self._seen is None:
            return
        seen, self._seen = self._seen, None
        if seen.arrived is not None:
            seen.arrived.synchronize()
        for name, value in zip(("loss", "grad_norm"), seen.values.tolist(), strict=True):
            refuse_not_finite(name, value, seen.step, str(self.args.output_dir))


def _on_its_way(step: int, values: torch.Tensor) -> _Seen:
    if values.device.type != "cuda":
        return _Seen(step, values, None)
    copy = torch.empty(values.shape, pin_memory=True)
    copy.copy_(values, non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record()
    return _Seen(step, copy, arrived)
