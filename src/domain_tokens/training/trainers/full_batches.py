"""Batches of full sequences, in which every id is a label: how they are made, and how many ids they predict."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import torch
from accelerate import DistributedType
from transformers.training_args import OptimizerNames
from transformers.utils import is_sagemaker_mp_enabled

from domain_tokens.training.trainers.checkpoints import CheckpointTrainer


def with_labels(ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return full sequences of shape `(rows, length)` as a batch; the labels are the ids, which the model shifts."""
    return {"input_ids": ids, "labels": ids}


class FullBatchTrainer(CheckpointTrainer):
    """The trainer of pretraining, which counts the labels of a step once for every shape of its batches.

    The library counts them at every step, over all processes. Here batches of one shape have equally many, and at each
    step all processes have batches of one shape.
    """

    label_smoother: Any
    _counted: dict[tuple[torch.Size, ...], Any] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.label_smoother is not None:
            # transformers 5.23 does not recognize a compiled model as one whose labels have to be shifted.
            self.label_smoother = partial(self.label_smoother, shift_labels=True)

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, torch.Tensor]], device: torch.device) -> Any:
        shapes = tuple(batch["labels"].shape for batch in batch_samples)
        if self._counted is None:
            self._counted = {}
        if shapes not in self._counted:
            self._counted[shapes] = super()._get_num_items_in_batch(batch_samples, device)
        return self._counted[shapes]

    @cached_property
    def _needs_nothing_around(self) -> bool:
        """Whether a micro batch is a forward and a backward pass on one device, and nothing is done around them."""
        accelerator, optimizer = self.accelerator, self.optimizer.optimizer
        one = accelerator.distributed_type == DistributedType.NO and self.args.n_gpu <= 1
        around = (
            self.args.torch_empty_cache_steps is not None,
            getattr(accelerator, "parallelism_config", None) is not None,
            hasattr(optimizer, "train"),  # schedule-free optimizers switch modes
            is_sagemaker_mp_enabled(),
            self.args.optim in (OptimizerNames.LOMO, OptimizerNames.ADALOMO),
        )
        divides = self.loss_is_scaled_for_ga is not None or not self.model_accepts_loss_kwargs
        return one and not divides and not any(around)

    def training_step(
        self, model: Any, inputs: dict[str, torch.Tensor], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Return the loss of a micro batch after its backward pass."""
        if not self._needs_nothing_around or num_items_in_batch is None:
            return super().training_step(model, inputs, num_items_in_batch)
        # The library checks all of these at every micro batch.
        if not (model.training and self.model.transformer.training):
            model.train()
        loss = self.compute_loss(model, self._prepare_inputs(inputs), num_items_in_batch=num_items_in_batch)
        self.accelerator.backward(loss)
        return self.add_loss(loss.detach())

    def compute_loss(
        self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the micro batch's share of the step's loss, and the model's outputs if they are asked for."""
        own = self.label_smoother is not None or self.compute_loss_func is not None
        if return_outputs or own or self.accelerator.num_processes > 1 or self.args.n_gpu > 1:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        # What the library's comes to, without a multiplication by the one process that there is.
        return model(**inputs, num_items_in_batch=num_items_in_batch).loss

    def _get_collator_with_removed_columns(self, data_collator: Callable[..., Any], description: Any = None) -> Any:
        return data_collator  # `with_labels` returns what the model reads
