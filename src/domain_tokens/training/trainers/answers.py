"""The trainer of supervised fine-tuning: TRL's, which counts what it reads and may weight examples alike."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils.data import SequentialSampler
from trl import SFTTrainer

from domain_tokens.tokenization.contract import id_ranges
from domain_tokens.training.callbacks.accounting import Counter
from domain_tokens.training.forward.number_loss import NumberTokenLoss
from domain_tokens.training.post_training.packed_rows import Batch, PackedRows, collate_rows
from domain_tokens.training.trainers.checkpoints import CheckpointTrainer


class AnswerTrainer(CheckpointTrainer, SFTTrainer):
    """An `SFTTrainer` that counts each micro batch in the process that computes it, and may weight examples alike.

    Attributes:
        per_example: whether the training loss is the mean over the step's examples of each one's mean over its answer
            tokens. TRL 1.16 has only the mean over all answer tokens of the step.
        number_loss: a loss that is added to it in training, if any.
    """

    data_collator: Callable[..., Batch]
    per_example = False
    number_loss: NumberTokenLoss | None = None
    _row_length: int | None = None

    def count_with(self, counter: Counter) -> None:
        """Count into `counter`. The collator then also passes on the column `source_bytes`."""
        self._counter = counter
        self._first_fact = id_ranges(self.processing_class).first_added
        self.data_collator = partial(_with_source_bytes, self.data_collator)

    def pack(self, rows: list[list[int]], row_length: int) -> None:
        """Train on rows of examples instead of examples, in their order.

        Args:
            rows (`list[list[int]]`): the examples of each row, from `packed_order`.
            row_length (`int`): tokens in a row.
        """
        self.train_dataset: Any = PackedRows(self.train_dataset, rows)
        self._row_length = row_length
        pad_id = self.processing_class.pad_token_id
        self.data_collator = partial(collate_rows, self.data_collator, row_length, pad_id)

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        return (
            super()._get_train_sampler(dataset) if self._row_length is None else SequentialSampler(self.train_dataset)
        )

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], Any]:
        """Return a step's micro batches and what its loss is divided by: tokens, or examples if `per_example`."""
        batches, divisor = super().get_batch_samples(epoch_iterator, num_batches, device)
        if self.per_example:
            divisor = torch.tensor(sum(len(batch["source_bytes"]) for batch in batches), device=device)
            if self.args.average_tokens_across_devices and self.args.world_size > 1:
                divisor = self.accelerator.gather(divisor).sum()
        return batches, divisor

    def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], *args: Any, **kwargs: Any) -> Any:
        """Count the micro batch and return its share of the step's loss."""
        source_bytes = inputs.pop("source_bytes")
        if self.model.training:
            facts, learned = inputs["input_ids"] >= self._first_fact, inputs["labels"] != -100
            self._counter.add(
                source_bytes=source_bytes.sum(),
                question_facts=(facts & ~learned).sum(),
                answer_facts=(facts & learned).sum(),
            )
            if self._row_length is not None:
                self._counter.add_packed_rows(inputs["seq_idx"], len(source_bytes))
            elif self.padding_free:
                self._counter.add_joined_rows(inputs["position_ids"])
            else:
                self._counter.add_rows(inputs["attention_mask"])
            if self.per_example:
                model = partial(_with_examples_weighted_alike, model)
        loss = super().compute_loss(model, inputs, *args, **kwargs)
        if self.number_loss is not None and self.model.training:
            divisor = kwargs["num_items_in_batch"]
            loss = loss + self.number_loss.of_step(self, inputs["labels"], divisor, self.per_example)
        return loss


def _with_examples_weighted_alike(model: Callable[..., Any], **inputs: Any) -> Any:
    """Call a model; divide the log-probabilities of each example's answer by the number of its tokens.

    TRL's loss is minus their sum over the divisor from `get_batch_samples`. An example is a row, or what `seq_idx`
    numbers alike, which is -1 where there is no example.
    """
    outputs = model(**inputs)
    counts = outputs.label_mask.sum(dim=-1, keepdim=True)
    if (example := inputs.get("seq_idx")) is not None:
        example = example[:, 1:].long() + 1  # of the label at each position
        counts = torch.bincount(example.flatten(), weights=outputs.label_mask.flatten().float())[example]
    outputs.log_probs = outputs.log_probs / counts.clamp(min=1)
    return outputs


def _with_source_bytes(collate: Callable[..., Batch], rows: list[Batch]) -> Batch:
    counts = [row["source_bytes"] for row in rows]  # of a packed row, those of its examples
    flat = [one for row in counts for one in (row if isinstance(row, list) else [row])]
    return collate(rows) | {"source_bytes": torch.tensor(flat)}
