"""The section of a recipe that says how a running pretraining is looked at."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain_tokens.recipe.checks import check_at_least, check_at_most, check_seed, check_temperature
from domain_tokens.recipe.errors import RecipeError

_MOST_SAMPLES = 1024
_BY_THE_LOSS = ("reduce_lr_on_plateau", "greedy")  # schedules that follow the loss of the evaluations


@dataclass
class Monitoring:
    """What each evaluation of a running pretraining does; `pretrain.eval_steps` says how often.

    No number of the training depends on it, so runs are neither compared nor resumed by it.

    Attributes:
        validation_tokens: how many tokens of the validation text an evaluation reads, in whole sequences, the first
            ones every time; all if not given. As many in every condition, which need not be as much text.
        samples: continuations that are drawn at each evaluation, each of the beginning of another validation document,
            the same ones in every condition and at every step; 0 for none. They are in `samples.jsonl`.
        temperature: of the draws; at least 0.01.
        max_new_tokens: the longest continuation, in tokens.
        prompt_tokens: how long the beginnings are, in tokens of the base vocabulary, so that they are the same text in
            every condition.
        seed: of the draws, the same in every condition.
    """

    validation_tokens: int | None = None
    samples: int = 0
    temperature: float = 0.8
    max_new_tokens: int = 48
    prompt_tokens: int = 16
    seed: int = 0

    def check(self, where: str, context: int, pretrain: Mapping[str, object]) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key.

        Args:
            where (`str`): the section's key.
            context (`int`): the model's context length.
            pretrain (`Mapping[str, object]`): the recipe's `pretrain`.
        """
        if self.validation_tokens is not None and self.validation_tokens < context:
            raise RecipeError(
                f"{where}.validation_tokens: expected at least one sequence of model.n_positions ({context}), got "
                f"{self.validation_tokens}"
            )
        schedule = pretrain.get("lr_scheduler_type")
        if self.validation_tokens is not None and schedule in _BY_THE_LOSS:
            raise RecipeError(
                f"{where}.validation_tokens: pretrain.lr_scheduler_type={schedule} follows the loss of the "
                "evaluations; expected no such key, so that the learning rate follows from all of the text"
            )
        check_at_least(f"{where}.samples", self.samples, 0)
        check_at_most(f"{where}.samples", self.samples, _MOST_SAMPLES)
        check_temperature(f"{where}.temperature", self.temperature)
        check_at_least(f"{where}.max_new_tokens", self.max_new_tokens, 1)
        check_at_least(f"{where}.prompt_tokens", self.prompt_tokens, 0)
        check_seed(f"{where}.seed", self.seed)
        most = context - self.max_new_tokens - 1  # the end of the document before comes first
        if self.samples and self.prompt_tokens > most:
            raise RecipeError(
                f"{where}.prompt_tokens: expected at most {most} beside {where}.max_new_tokens={self.max_new_tokens} "
                f"in a context of {context} (model.n_positions), got {self.prompt_tokens}"
            )
