"""The section of a recipe that says what is trained of a model besides low-rank adapters, if not all of it."""

from dataclasses import dataclass, field
from typing import Literal

from domain_tokens.recipe.checks import check_at_least, check_filled, check_unique
from domain_tokens.recipe.errors import RecipeError


@dataclass
class Lora:
    """Low-rank adapters (Hu et al. 2021) in place of training all weights; the same in every condition.

    Each stage starts with new adapters that change nothing, and ends with a whole model into which they are merged.

    Attributes:
        rank: of the two matrices of each adapter.
        alpha: their product is multiplied by `alpha / rank`.
        dropout: of what an adapter reads.
        targets: GPT-2's linear maps that get an adapter: `c_attn`, `c_proj` (of attention and of the MLP), `c_fc`.
        train_fact_rows: whether the embedding rows of the intervention's ids are trained too, as whole rows, for input
            and output. `baseline` has as many rows, of reserved ids that no text contains: there they are trained too,
            and learn only not to be predicted.
        stages: the stages with adapters: `sft` (all of fine-tuning), `grpo`, or both.
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    targets: list[Literal["c_attn", "c_proj", "c_fc"]] = field(default_factory=lambda: ["c_attn", "c_proj", "c_fc"])
    train_fact_rows: bool = True
    stages: list[Literal["sft", "grpo"]] = field(default_factory=lambda: ["sft", "grpo"])

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key."""
        check_at_least(f"{where}.rank", self.rank, 1)
        check_at_least(f"{where}.alpha", self.alpha, 1)
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"{where}.dropout: expected a number from 0 to below 1, got {self.dropout}")
        for key, values in (("targets", self.targets), ("stages", self.stages)):
            check_filled(f"{where}.{key}", values)
            check_unique(f"{where}.{key}", values)
