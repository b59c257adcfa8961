"""All of a recipe's trainer sections, read by the libraries' own parser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from domain_tokens.recipe.arguments import TrainerSection, parse_arguments
from domain_tokens.recipe.checks import check_among, check_filled
from domain_tokens.recipe.errors import RecipeError
from domain_tokens.recipe.schema import Recipe

if TYPE_CHECKING:
    from transformers import TrainingArguments
    from trl import GRPOConfig, SFTConfig

Arguments = TypeVar("Arguments")

# trl 1.16 compares the name only when it computes the first loss, after the first answers.
_GRPO_LOSSES = ("grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo")


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

    parse(SFTConfig, recipe.sft, "sft")  # report errors in the shared section under `sft`
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


def check_fit(recipe: Recipe, trainers: Trainers) -> None:
    """Check what no section can check alone.

    Raises:
        RecipeError: naming the key and what was expected.
    """
    for section, max_steps in (("pretrain", trainers.pretrain.max_steps), ("grpo", trainers.grpo.max_steps)):
        if max_steps <= 0:
            raise RecipeError(f"{section}.max_steps: expected a whole number of at least 1, got {max_steps}")
    context = int(recipe.model.get("n_positions", 1024))
    check_filled("sft_stages", recipe.sft_stages)
    for name, sft in trainers.sft.items():
        where = f"sft_stages.{name}.args"
        if sft.packing:
            raise RecipeError(f"{where}.packing: not supported: a step is a number of examples; use padding_free")
        if sft.padding_free and recipe.number_token_loss and recipe.budget.sft_loss == "example":
            raise RecipeError(
                f"{where}.padding_free: not supported with number_token_loss and budget.sft_loss=example"
            )
        if sft.max_length is None or sft.max_length > context:
            raise RecipeError(
                f"{where}.max_length: expected at most model.n_positions ({context}), got {sft.max_length}"
            )
    grpo, per_step = trainers.grpo, recipe.budget.grpo_completions_per_step
    check_among("grpo.loss_type", grpo.loss_type, _GRPO_LOSSES)
    if grpo.num_generations and per_step % grpo.num_generations:
        raise RecipeError(
            f"grpo.num_generations: {grpo.num_generations} does not divide "
            f"budget.grpo_completions_per_step ({per_step})"
        )
    if context - (grpo.max_completion_length or 0) < 2:
        raise RecipeError(
            f"grpo.max_completion_length: expected at most {context - 2} (model.n_positions - 2), to "
            f"leave room for the prompt, got {grpo.max_completion_length}"
        )
    if not any(vars(recipe.rewards).values()):
        raise RecipeError("rewards: every weight is 0; expected at least one reward")
