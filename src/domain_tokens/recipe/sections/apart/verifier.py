"""The section of a recipe that describes the verifier: a model that judges solutions and chooses among several."""

import math
from dataclasses import dataclass, field
from typing import Literal

from domain_tokens.recipe.arguments import TrainerSection, check_section
from domain_tokens.recipe.checks import (
    check_at_least,
    check_at_most,
    check_filled,
    check_seed,
    check_temperature,
    check_unique,
)
from domain_tokens.recipe.errors import RecipeError
from domain_tokens.recipe.micro_batch import is_auto
from domain_tokens.recipe.sections.sources import OF_DOCUMENTS, Source, check_single, check_sources

_MOST_SAMPLES = 8191  # of one question: the seeds of draws are this far apart


@dataclass
class Verifier:
    """A scorer of solutions, trained on solutions that the run's own model sampled (`scripts/run_verifier.py`).

    Attributes:
        model: the run's model that writes the solutions, and from whose weights the verifier starts.
        problems: training problems, whose right answer is a number. If none are given, those of `grpo_prompts`.
        validation_problems: how many of the problems are held out of the verifier's training, evenly spaced, the same
            in every condition. Their solutions say how well it ranks.
        samples_per_problem: solutions that are sampled of each problem.
        tasks: which of the evaluation's generative tasks are answered by choosing among samples.
        num_samples: solutions that are sampled of each of their questions.
        temperature: of all samples; at least 0.01.
        seed: of all samples, the same in every condition.
        loss: `mse`: the squared distance of the score after every token of a solution from 1 (right) or 0 (wrong).
            `bce`: the binary cross-entropy of the same.
        language_model_weight: weight of the language model's loss on right solutions, added to the verifier's; 0
            leaves it out.
        solutions_per_step: solutions of one optimizer step.
        args: arguments of `TrainingArguments`.
    """

    model: Literal["sft_final", "grpo_final"] = "sft_final"
    problems: list[Source] = field(default_factory=list)
    validation_problems: int = 100
    samples_per_problem: int = 16
    tasks: list[str] = field(default_factory=lambda: ["gsm8k"])
    num_samples: int = 32
    temperature: float = 0.7
    seed: int = 0
    loss: Literal["mse", "bce"] = "mse"
    language_model_weight: float = 0.0
    solutions_per_step: int = 64
    args: TrainerSection = field(default_factory=dict)

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key."""
        check_sources(f"{where}.problems", self.problems, unread=OF_DOCUMENTS)
        check_single(f"{where}.problems", self.problems)
        check_at_least(f"{where}.validation_problems", self.validation_problems, 1)
        check_at_least(f"{where}.samples_per_problem", self.samples_per_problem, 1)
        check_at_least(f"{where}.num_samples", self.num_samples, 2)
        for key in ("samples_per_problem", "num_samples"):
            check_at_most(f"{where}.{key}", getattr(self, key), _MOST_SAMPLES)
        check_filled(f"{where}.tasks", self.tasks)
        check_unique(f"{where}.tasks", self.tasks)
        check_temperature(f"{where}.temperature", self.temperature)
        check_seed(f"{where}.seed", self.seed)
        if not 0 <= self.language_model_weight < math.inf:
            raise RecipeError(
                f"{where}.language_model_weight: expected a weight of at least 0, got {self.language_model_weight}"
            )
        check_at_least(f"{where}.solutions_per_step", self.solutions_per_step, 1)
        check_section(self.args, f"{where}.args", "TrainingArguments")
        if is_auto(self.args):
            raise RecipeError(f"{where}.args.per_device_train_batch_size: expected a number, got auto")
