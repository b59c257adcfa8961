"""All of a recipe's trainer sections, read by the libraries' own parser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from domain_tokens.recipe.arguments import TrainerSection, parse_arguments
from domain_tokens.recipe.schema import Recipe

if TYPE_CHECKING:
    from transformers import TrainingArguments
    from trl import GRPOConfig, SFTConfig

Arguments = TypeVar("Arguments")


@dataclass(frozen=True)
class Trainers:
    """The arguments of every stage, without precision and device, which follow from the machine.

    Attributes:
        pretrain: of pretraining.
        sft: of each stage of fine-tuning, by its name.
        grpo: of GRPO.
    """

    pretrain: TrainingArguments
    sft: dict[str, SFTConfig]
    grpo: GRPOConfig


def parse_trainers(recipe: Recipe) -> Trainers:
    """Read the sections of all stages, so that a wrong type or value is found before the first stage runs.

    Imports transformers and trl: about 4 CPU-seconds. Creates no file.

    Raises:
        RecipeError: naming the key and what was expected.
    """
    from transformers import TrainingArguments
    from trl import GRPOConfig, SFTConfig

    def parse(kind: type[Arguments], values: TrainerSection, section: str) -> Arguments:
        return parse_arguments(kind, _for_any_machine(values), section, {"output_dir": "unused", "use_cpu": True})

    parse(SFTConfig, recipe.sft, "sft")  # what all stages share is named as what it is
    return Trainers(
        pretrain=parse(TrainingArguments, recipe.pretrain, "pretrain"),
        sft={
            stage.name: parse(SFTConfig, recipe.sft | stage.args, f"sft_stages.{stage.name}.args")
            for stage in recipe.sft_stages
        },
        grpo=parse(GRPOConfig, recipe.grpo, "grpo"),
    )


def _for_any_machine(values: TrainerSection) -> TrainerSection:
    """Turn off what the library refuses on a machine without a GPU, so that a recipe can be read on a laptop."""
    return values | {
        key: off for key, off in (("bf16", False), ("fp16", False), ("tf32", None)) if values.get(key) is True
    }
