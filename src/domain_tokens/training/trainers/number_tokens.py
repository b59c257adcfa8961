"""The trainer of a pretraining whose recipe adds the number-token loss."""

from typing import Any

from domain_tokens.training.forward.number_loss import NumberTokenLoss
from domain_tokens.training.trainers.full_batches import FullBatchTrainer


class NumberTokenTrainer(FullBatchTrainer):
    """The trainer of pretraining with the number-token loss added in training, not in evaluation."""

    number_loss: NumberTokenLoss

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Return the micro batch's share of the step's loss."""
        loss = super().compute_loss(model, inputs, *args, **kwargs)
        if not self.model.training:
            return loss
        return loss + self.number_loss.of_step(self, inputs["labels"], kwargs["num_items_in_batch"])
