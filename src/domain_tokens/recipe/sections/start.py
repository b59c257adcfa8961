"""The section of a recipe that says from which other condition's model a run starts."""

from dataclasses import dataclass

from omegaconf import MISSING

from domain_tokens.recipe.checks import check_name


@dataclass
class StartFrom:
    """The model of another condition with which a run starts, in place of training its own up to there.

    The other condition is one of the same experiment, with the same seed and the same vocabulary. The run has the
    stages of its recipe that come after that model, with its own tokenizer.

    Attributes:
        condition: the other condition.
        model: the folder of the model: `pretrain_final`, `sft_<name>` of a fine-tuning stage before the last, or
            `sft_final`, after which only GRPO follows.
    """

    condition: str = MISSING
    model: str = "pretrain_final"

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key."""
        check_name(f"{where}.condition", self.condition)
