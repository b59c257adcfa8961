"""The section of a recipe that says what one optimizer step consumes."""

from dataclasses import dataclass
from typing import Literal

from omegaconf import MISSING

from domain_tokens.recipe.checks import check_at_least, check_name
from domain_tokens.recipe.errors import RecipeError


@dataclass
class EqualTo:
    """The budget of a sensitivity condition: as much text, or as many FLOPs, as a finished run consumed.

    The steps of every stage are those of `measured_on`, times what `reference` consumed, divided by what `measured_on`
    consumed. Both are finished runs of the same experiment and seed, so the steps follow from measured ratios.

    Attributes:
        measure: `text` (bytes of text before rewriting; of the questions in GRPO) or `flops`.
        reference: the condition that consumed as much as this run shall.
        measured_on: the condition with this run's tokenizer under the usual budget.
    """

    measure: Literal["text", "flops"] = MISSING
    reference: str = MISSING
    measured_on: str = MISSING

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key."""
        check_name(f"{where}.reference", self.reference)
        check_name(f"{where}.measured_on", self.measured_on)
        if self.reference == self.measured_on:
            raise RecipeError(
                f"{where}: reference and measured_on are both {self.reference!r}; expected two conditions, one with "
                "the reference's tokenizer and one with this run's"
            )


@dataclass
class Budget:
    """What one optimizer step consumes. Gradient accumulation follows from it, the micro batch and the processes.

    Attributes:
        pretrain_tokens_per_step: tokens of one step of pretraining, over all processes.
        sft_examples_per_step: examples of one step of fine-tuning, over all processes.
        sft_tokens_per_step: tokens of one step of a stage of fine-tuning that is packed (`sft.packing`), over all
            processes. Both conditions then take the same number of steps of so many tokens, and the one that writes an
            example in fewer tokens trains on more examples.
        grpo_completions_per_step: completions of one step of GRPO, over all processes.
        sft_loss: what the loss of a step of fine-tuning is a mean over. `token`: all answer tokens of the step, so a
            long answer weighs more than a short one, and an answer in fewer tokens less than the same one in more.
            `example`: the examples, each of which counts by the mean over its own answer tokens.
        equal_to: if given, the steps of every stage follow from two finished runs instead of the trainer sections.
    """

    pretrain_tokens_per_step: int = 524288
    sft_examples_per_step: int = 64
    sft_tokens_per_step: int | None = None
    grpo_completions_per_step: int = 512
    sft_loss: Literal["token", "example"] = "token"
    equal_to: EqualTo | None = None

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key."""
        for key in (
            "pretrain_tokens_per_step", "sft_examples_per_step", "sft_tokens_per_step", "grpo_completions_per_step",
        ):  # fmt: skip
            check_at_least(f"{where}.{key}", getattr(self, key), 1)
        if self.equal_to is not None:
            self.equal_to.check(f"{where}.equal_to")
