"""The number-token loss: a digit that is nearly right costs less than one that is far off.

A rival treatment outside the tokenizer (`number_token_loss` of a recipe). Source of the formula: Zausinger et al.
2025, "Regress, Don't Guess: A Regression-like Loss on Number Tokens for Language Models", in its Wasserstein form.
There, as here, it is added to the usual loss, which also tells a model to write a digit at all.
"""

from typing import Any

import torch
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast, Trainer

from domain_tokens.recipe import RecipeError


class NumberTokenLoss:
    """The expected distance between the digit that is right and the digit that the model would write.

    At each position whose next token is one digit, with or without a leading space, the model's probabilities are
    renormalized over the digits' ids, and the loss is the sum of `p(id) * |value(id) - right value|`. Tokens of
    several digits are left out: the value of `54` says nothing where it is a part of a longer number. In GPT-2's own
    tokens this covers numbers of one digit; where every digit is a token, it covers all.

    The logits of the digits are computed once more from the model's last hidden states, 20 columns of 50,349, so FLOPs
    are counted without them. A digit's share in the step's loss is divided by what the usual loss is divided by.

    Args:
        model (`GPT2LMHeadModel`): the model, before it is wrapped.
        tokenizer (`PreTrainedTokenizerFast`): the condition's tokenizer.
        weight (`float`): the factor of the loss.
    """

    def __init__(self, model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, weight: float) -> None:
        vocabulary = tokenizer.get_vocab()
        digits = {
            vocabulary[name]: value for value in range(10) for name in (f"{value}", f"Ġ{value}") if name in vocabulary
        }
        self.weight = weight
        self._rows = model.get_output_embeddings()
        self._ids = torch.tensor(list(digits))
        self._values = torch.tensor(list(digits.values()), dtype=torch.float32)
        model.transformer.ln_f.register_forward_hook(self._keep)

    def _keep(self, module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
        self._hidden = output

    def of_step(self, trainer: Trainer, labels: torch.Tensor, divisor: Any, per_example: bool = False) -> torch.Tensor:
        """Return the share of the last micro batch in the step's loss.

        Args:
            trainer (`Trainer`): the trainer that has just called the model.
            labels (`torch.Tensor`): the ids to predict, -100 where there is none, of shape `(rows, length)`.
            divisor (`int | torch.Tensor`, *optional*): the number of labels, or of examples, of the whole step.
            per_example (`bool`, *optional*): whether each row is divided by the number of its labels first.

        Raises:
            RecipeError: under ZeRO stage 3, where no process has the rows of the digits.
        """
        weight = self._rows.weight
        if hasattr(weight, "ds_id"):
            raise RecipeError("number_token_loss: not supported under ZeRO stage 3; use stage 1 or 2")
        labels = labels[:, 1:]
        ids, values = self._ids.to(labels.device), self._values.to(labels.device)
        found = labels.unsqueeze(-1) == ids
        row, position = torch.nonzero(found.any(dim=-1), as_tuple=True)
        logits = self._hidden[row, position].float() @ weight[ids].float().T
        right = values[found[row, position].long().argmax(dim=-1)]
        distance = (logits.softmax(dim=-1) * (values - right.unsqueeze(-1)).abs()).sum(dim=-1)
        lengths = (labels != -100).sum(dim=-1)
        if per_example:
            distance = distance / lengths[row]
        scaled = divisor is not None and trainer.args.average_tokens_across_devices
        total = lengths.sum().clamp(min=1) if divisor is None else divisor
        return self.weight * distance.sum() / total * (trainer.accelerator.num_processes if scaled else 1)
