"""The section of a recipe that says what GRPO rewards."""

from dataclasses import asdict, dataclass
from typing import Literal

from domain_tokens.recipe.errors import RecipeError

_LARGEST_WEIGHT = 1000  # of a reward: one of 1e300 is infinite in 32 bits, and a negative one pays for mistakes


@dataclass
class Rewards:
    """Weights of the reward functions in GRPO; 0 leaves a function out.

    Attributes:
        exact_match: the answer is right.
        near_number: the answer's number is right, or at most a fifth away from it: the nearer, the more, up to half.
        partial_credit: the answer has the right form, or names the right number somewhere.
        answer_format: the answer ends with `#### ` and one number.
        shows_steps: the share of the answer's equations that are right.
        brevity: the answer is short.
        repetition: minus the share of four-word sequences that repeat an earlier one.
        fact_bonus: facts of the table lie on the answer's way to the right number; which ones are paid, `bonus` says.
        bonus: `off`: none. `parity`: a fact earns the same as a token and in digits, so in every condition.
            `mul_only`: a fact earns only as a token, which only a condition with tokens can write. The conditions are
            then not treated alike, and the report says so.
    """

    exact_match: float = 1.0
    near_number: float = 0.0
    partial_credit: float = 0.0
    answer_format: float = 0.0
    shows_steps: float = 0.0
    brevity: float = 0.0
    repetition: float = 0.0
    fact_bonus: float = 0.0
    bonus: Literal["off", "parity", "mul_only"] = "off"

    @property
    def weights(self) -> dict[str, float]:
        """The weights that are not 0, by the names of the functions, in the order of the fields."""
        return {name: value for name, value in asdict(self).items() if name != "bonus" and value}

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key."""
        for key, value in asdict(self).items():
            if key != "bonus" and not 0 <= value <= _LARGEST_WEIGHT:  # also refuses NaN
                raise RecipeError(f"{where}.{key}: expected a weight from 0 to {_LARGEST_WEIGHT}, got {value}")
        if self.fact_bonus and self.bonus == "off":
            raise RecipeError(
                f"{where}.fact_bonus: has the weight {self.fact_bonus} while {where}.bonus is off; add "
                f"{where}.bonus=parity, or remove the weight"
            )
        if self.bonus != "off" and not self.fact_bonus:
            raise RecipeError(
                f"{where}.bonus: is {self.bonus} while {where}.fact_bonus is 0; add a weight, for example "
                f"{where}.fact_bonus=0.1, or remove {where}.bonus"
            )
