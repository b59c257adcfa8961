"""The section of a recipe that varies GPT-2 in what no argument of its library's configuration says."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from domain_tokens.recipe.argument_table import defaults
from domain_tokens.recipe.checks import check_above_zero
from domain_tokens.recipe.errors import RecipeError


@dataclass
class Variant:
    """A variant of GPT-2 that every library loads as a GPT-2; the same in every condition.

    Dropout and a head with weights of its own are arguments of the library: `model.resid_pdrop`, `model.embd_pdrop`,
    `model.attn_pdrop` and `model.tie_word_embeddings: false`.

    Attributes:
        bias: whether linear layers and layer norms have biases. Without them, they are 0 in every stage, are not
            trained, and are counted nowhere.
        mlp_ratio: the width of the MLP's inner layer in widths of the model, in place of `model.n_inner`, so that
            models of several widths have one shape. If not given, GPT-2's 4.
    """

    bias: bool = True
    mlp_ratio: float | None = None

    def check(self, where: str, model: Mapping[str, object]) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key.

        Args:
            where (`str`): the section's key.
            model (`Mapping[str, object]`): the recipe's `model`.
        """
        check_above_zero(f"{where}.mlp_ratio", self.mlp_ratio)
        if self.mlp_ratio is None:
            return
        if model.get("n_inner") is not None:
            raise RecipeError(f"{where}.mlp_ratio: it says what model.n_inner says too; expected only one of the two")
        inner = self.mlp_ratio * _width(model)
        if round(inner) < 1 or not math.isclose(inner, round(inner), rel_tol=1e-9):
            raise RecipeError(
                f"{where}.mlp_ratio: {self.mlp_ratio:g} of a width of {_width(model)} (model.n_embd) is {inner:g}; "
                "expected a ratio that makes a whole number"
            )

    def arguments(self, model: Mapping[str, object]) -> dict[str, int]:
        """Return the arguments of `GPT2Config` that follow.

        Args:
            model (`Mapping[str, object]`): the recipe's `model`.
        """
        return {} if self.mlp_ratio is None else {"n_inner": round(self.mlp_ratio * _width(model))}

    def recorded(self) -> dict[str, bool | float | None]:
        """Return what differs from GPT-2, as a stage records it."""
        usual = asdict(Variant())
        return {key: value for key, value in asdict(self).items() if value != usual[key]}


def _width(model: Mapping[str, object]) -> int:
    """Return the model's width. Text that is a number counts as one, as everywhere in the section."""
    return round(float(str(model.get("n_embd", defaults("GPT2Config")["n_embd"]))))
