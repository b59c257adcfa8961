"""The section of a recipe that describes a stage of fine-tuning."""

from dataclasses import dataclass, field, replace

from omegaconf import MISSING

from domain_tokens.recipe.arguments import TrainerSection, check_section
from domain_tokens.recipe.checks import check_above_zero, check_at_least, check_name
from domain_tokens.recipe.errors import RecipeError
from domain_tokens.recipe.sections.sources import OF_DOCUMENTS, Source, check_sources


@dataclass
class SFTStage:
    """One stage of supervised fine-tuning.

    Attributes:
        name: names the stage's folders and its entry in the ledger.
        sources: its examples.
        max_items: number of examples of the whole stage, to which each source contributes in proportion to its
            `weight`, drawn by the run's seed. Without it, the sources' own `max_items` say how many.
        validation_items: number of examples that are held out of training, evenly spaced, the same in every condition.
            Their loss after the last step is reported as `validation_loss`; learning rates are chosen by it.
        examples_per_step: examples of one step of this stage, over all processes, in the place of
            `budget.sft_examples_per_step`.
        args: arguments of `SFTConfig` that differ from the `sft` section.
    """

    name: str = MISSING
    sources: list[Source] = field(default_factory=list)
    max_items: int | None = None
    validation_items: int = 0
    examples_per_step: int | None = None
    args: TrainerSection = field(default_factory=dict)

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key."""
        check_name(f"{where}.name", self.name)
        self._check_mixture(where)
        check_sources(f"{where}.sources", self.portions, ("weight",), OF_DOCUMENTS)
        check_at_least(f"{where}.validation_items", self.validation_items, 0)
        check_at_least(f"{where}.examples_per_step", self.examples_per_step, 1)
        check_section(self.args, f"{where}.args", "SFTConfig")

    @property
    def portions(self) -> list[Source]:
        """The sources, each with the number of examples that it contributes.

        With `max_items`, the shares are its products with the weights, rounded so that their sum is `max_items` (by
        largest remainder, of equal ones the first).
        """
        if self.max_items is None:
            return self.sources
        largest = max(source.weight or 0.0 for source in self.sources)  # their sum may be no number
        weights = [(source.weight or 0.0) / largest for source in self.sources]
        exact = [self.max_items * weight / sum(weights) for weight in weights]
        counts = [int(share) for share in exact]
        largest_first = sorted(range(len(exact)), key=lambda index: counts[index] - exact[index])
        for index in largest_first[: self.max_items - sum(counts)]:
            counts[index] += 1
        return [replace(source, max_items=count) for source, count in zip(self.sources, counts, strict=True)]

    @property
    def key_of_examples(self) -> str:
        """The key that says how many examples a step has, for messages."""
        own = f"sft_stages.{self.name}.examples_per_step"
        return "budget.sft_examples_per_step" if self.examples_per_step is None else own

    @property
    def has_conversations(self) -> bool:
        """Whether some examples have several turns, so that the loss is taken from every answer in an example."""
        return any(source.messages_key is not None for source in self.sources)

    def _check_mixture(self, where: str) -> None:
        check_at_least(f"{where}.max_items", self.max_items, 1)
        for source in self.sources:
            key = f"{where}.{source.name}"
            if self.max_items is None:
                if source.weight is not None:
                    raise RecipeError(f"{key}.weight: only in a stage whose max_items is set; set {where}.max_items")
                continue
            if source.weight is None:
                raise RecipeError(f"{key}.weight: missing; with max_items, every source of the stage has one")
            check_above_zero(f"{key}.weight", source.weight)
            if source.max_items is not None:
                raise RecipeError(f"{key}.max_items: follows from {where}.max_items and the weights; remove it")
        for source in self.portions:
            if self.max_items is not None and not source.max_items:
                raise RecipeError(f"{where}.{source.name}.weight: too small for one example of {self.max_items}")
