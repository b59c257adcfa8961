"""The section of a recipe that says what GRPO looks at beside its training: before the first step, and on the way."""

from dataclasses import dataclass, field

from domain_tokens.recipe.checks import check_at_least, check_at_most, check_path
from domain_tokens.recipe.errors import RecipeError
from domain_tokens.recipe.values.types import EXPANDED

_MOST_SAMPLES = 1024


@dataclass
class Rollouts:
    """What GRPO measures of the fine-tuned model, which prompts it leaves out, and which completions it keeps.

    Attributes:
        preflight_prompts: how many of the prompts, evenly spaced, the fine-tuned model answers before the first step;
            0 for none.
        preflight_samples: answers to each of them; if not given, `grpo.num_generations`, and never fewer.
        min_pass_at_k: the stage stops if a smaller share of groups of `grpo.num_generations` answers would hold a
            right one (pass@k): a group without one teaches nothing by `exact_match`.
        pass_rates: files of `scripts/run_grpo.py --measure`. Prompts that are always or never answered right in all of
            them together are left out. The same files in every condition, so that all train on the same prompts.
        keep_every: completions are kept at the first step and every so many steps; 0 for never.
        keep_prompts: of how many prompts, with all their completions.
    """

    preflight_prompts: int = 0
    preflight_samples: int | None = None
    min_pass_at_k: float = 0.1
    pass_rates: list[str] = field(default_factory=list, metadata=EXPANDED)
    keep_every: int = 0
    keep_prompts: int = 2

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key."""
        for key, least in (("preflight_prompts", 0), ("keep_every", 0), ("keep_prompts", 1)):
            check_at_least(f"{where}.{key}", getattr(self, key), least)
        check_at_least(f"{where}.preflight_samples", self.preflight_samples, 1)
        check_at_most(f"{where}.preflight_samples", self.preflight_samples or 1, _MOST_SAMPLES)
        if not 0 <= self.min_pass_at_k <= 1:  # also refuses NaN
            raise RecipeError(f"{where}.min_pass_at_k: expected a number from 0 to 1, got {self.min_pass_at_k}")
        if self.pass_rates:
            check_path(f"{where}.pass_rates", self.pass_rates)
