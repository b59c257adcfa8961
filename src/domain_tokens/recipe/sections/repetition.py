"""The section of a recipe that keeps a model's answers from going round in circles."""

import math
from dataclasses import dataclass

from domain_tokens.recipe.checks import check_at_least
from domain_tokens.recipe.errors import RecipeError

_FEWEST_BYTES = 2  # with one, no answer could use a letter twice


@dataclass
class Repetition:
    """What an answer of the evaluation may not repeat; nothing of it is set by default. GRPO samples without it.

    Attributes:
        no_repeat_bytes: no sequence of so many bytes of text stands twice in one answer. Bytes of the text that tokens
            stand for, not tokens: a fact token is the bytes of its equation, so that equal texts are blocked equally
            whatever their tokens are. GPT-2's tokens have about four bytes in English.
        penalty: the logits of tokens that the answer has are divided by it where they are positive, and multiplied
            where they are negative (Keskar et al. 2019, https://arxiv.org/abs/1909.05858); at least 1. It counts
            tokens, so it cannot be equal in conditions whose tokens differ: an equation in digits is penalized once a
            token, as a fact token once.
    """

    no_repeat_bytes: int | None = None
    penalty: float | None = None

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key."""
        check_at_least(f"{where}.no_repeat_bytes", self.no_repeat_bytes, _FEWEST_BYTES)
        if self.penalty is not None and not 1 <= self.penalty < math.inf:  # also refuses NaN
            raise RecipeError(f"{where}.penalty: expected a number of at least 1, got {self.penalty}")

    def as_fields(self) -> dict[str, int | float]:
        """Return what is set, as results record it."""
        found = {"no_repeat_bytes": self.no_repeat_bytes, "repetition_penalty": self.penalty}
        return {key: value for key, value in found.items() if value is not None}
