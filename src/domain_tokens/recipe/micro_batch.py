"""The micro batch: how many rows of an optimizer step one process computes at a time.

A recipe gives a number, or `auto`: before the first stage that trains, the largest that pays and fits is found on the
machine (`training.fitting`), once for all conditions and seeds of an experiment. Where a number is needed before that,
as for a dry run, one is assumed.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from domain_tokens.recipe.arguments import AUTO, MICRO_BATCH, TrainerSection, accumulation_steps
from domain_tokens.recipe.errors import RecipeError

if TYPE_CHECKING:
    from domain_tokens.recipe.schema import Recipe, SFTStage

_USUAL = 8  # of every trainer to which the recipe gives none; also what is assumed for `auto`, where it divides a step
_OF_GENERATION = ("generation_batch_size", "steps_per_generation")


def is_auto(values: TrainerSection) -> bool:
    """Return whether a section leaves the micro batch to the machine."""
    return values.get(MICRO_BATCH) == AUTO


def micro_batch(values: TrainerSection) -> int:
    """Return the rows that one process computes at a time.

    Args:
        values (`TrainerSection`): the section of a stage, with what follows from the experiment's record.

    Raises:
        RecipeError: if it is `auto` and was not found yet.
    """
    if is_auto(values):
        raise RecipeError(
            f"{MICRO_BATCH}: auto, and nothing was found for this stage yet; start it by its script or by "
            "scripts/run_experiment.py, or give a number"
        )
    return int(values.get(MICRO_BATCH, _USUAL))


def section_of(recipe: "Recipe", stage: str) -> TrainerSection:
    """Return the trainer section of a stage, `pretrain`, `sft_<name>` or `grpo`, with what the stage itself sets."""
    if stage in ("pretrain", "grpo"):
        return recipe.pretrain if stage == "pretrain" else recipe.grpo
    return recipe.sft | _fine_tuning(recipe, stage).args


def is_packed(values: TrainerSection) -> bool:
    """Return whether a stage of fine-tuning packs examples into rows of one length, from its section."""
    return values.get("packing") is True


def step_of(recipe: "Recipe", stage: str) -> tuple[str, int]:
    """Return the key that says what a step of a stage consumes, and how many of these are in a row.

    Rows of pretraining and of packed examples are as long as the model's context.

    Args:
        recipe (`Recipe`): the run.
        stage (`str`): a stage as in `section_of`.
    """
    context = int(recipe.model.get("n_positions", 1024))
    if stage == "pretrain":
        return "budget.pretrain_tokens_per_step", context
    if stage == "grpo":
        return "budget.grpo_completions_per_step", 1
    if is_packed(section_of(recipe, stage)):
        return "budget.sft_tokens_per_step", context
    return _fine_tuning(recipe, stage).key_of_examples, 1


def num_per_step(recipe: "Recipe", stage: str) -> int:
    """Return what a step of a stage consumes, over all processes, in the unit of `step_of`.

    Raises:
        RecipeError: if a stage is packed and the recipe does not say how many tokens a step has, or how many examples.
    """
    budget = recipe.budget
    if stage == "pretrain":
        return budget.pretrain_tokens_per_step
    if stage == "grpo":
        return budget.grpo_completions_per_step
    this = _fine_tuning(recipe, stage)
    if not is_packed(section_of(recipe, stage)):
        return recipe.examples_per_step(this)
    if budget.sft_tokens_per_step is None:
        raise RecipeError(
            "budget.sft_tokens_per_step: missing; where sft.packing is true, a step is a number of tokens, for "
            "example what sft_examples_per_step examples take: expected a multiple of model.n_positions"
        )
    if this.examples_per_step is not None:
        raise RecipeError(
            f"{this.key_of_examples}: the stage is packed, so a step is a number of tokens "
            f"(budget.sft_tokens_per_step); expected null, got {this.examples_per_step}"
        )
    return budget.sft_tokens_per_step


def _fine_tuning(recipe: "Recipe", stage: str) -> "SFTStage":
    return next(one for one in recipe.sft_stages if f"sft_{one.name}" == stage)


def auto_stages(recipe: "Recipe") -> list[str]:
    """Return the stages whose micro batch is `auto`, in training order: all that lead to the run's last model."""
    return [stage for stage in recipe.all_model_folders if is_auto(section_of(recipe, stage))]


def rows_per_process(recipe: "Recipe", stage: str, num_processes: int) -> int:
    """Return how many rows of an optimizer step one process computes, which every micro batch divides.

    Args:
        recipe (`Recipe`): the run.
        stage (`str`): a stage as in `section_of`.
        num_processes (`int`): the processes of the run.

    Raises:
        RecipeError: if the processes cannot share the rows.
    """
    key, length = step_of(recipe, stage)
    return accumulation_steps(num_per_step(recipe, stage), length, num_processes, key)


def sizes_to_try(rows: int) -> list[int]:
    """Return micro batches that divide a number of rows, from 1 to all of them, each about twice the one before.

    Example:
    ```python
    >>> sizes_to_try(48), sizes_to_try(15)
    ([1, 2, 4, 8, 16, 24, 48], [1, 3, 5, 15])
    ```
    """
    divisors = [size for size in range(1, rows + 1) if rows % size == 0]
    sizes = [1]
    while sizes[-1] < rows:
        larger = [size for size in divisors if size > sizes[-1]]
        sizes.append(max((size for size in larger if size <= 2 * sizes[-1]), default=larger[0]))
    return sizes


def with_numbers(recipe: "Recipe", found: Mapping[str, int], num_processes: int = 1) -> "Recipe":
    """Return a recipe with a number in place of every `auto`: what was found, else what is assumed.

    Args:
        recipe (`Recipe`): the run.
        found (`Mapping[str, int]`): the micro batches that were found, by stage.
        num_processes (`int`, *optional*, defaults to 1): the processes of the run.
    """
    numbers = {
        stage: found[stage] if stage in found else assumed(rows_per_process(recipe, stage, num_processes))
        for stage in auto_stages(recipe)
    }
    if not numbers and not is_auto(recipe.sft):
        return recipe

    def with_number(values: TrainerSection, stage: str) -> TrainerSection:
        return values | {MICRO_BATCH: numbers[stage]} if stage in numbers else values

    return dataclasses.replace(
        recipe,
        pretrain=with_number(recipe.pretrain, "pretrain"),
        # What the stages share is read by itself too; each stage has a number of its own.
        sft=recipe.sft | {MICRO_BATCH: _USUAL} if is_auto(recipe.sft) else recipe.sft,
        sft_stages=[
            dataclasses.replace(one, args=with_number(one.args, f"sft_{one.name}")) for one in recipe.sft_stages
        ],
        grpo=with_number(recipe.grpo, "grpo"),
    )


def assumed(rows: int) -> int:
    """Return the micro batch that is assumed before one was found: at most 8, or all rows if they are fewer."""
    return max(size for size in range(1, min(rows, _USUAL) + 1) if rows % size == 0)


def check_auto(grpo: TrainerSection) -> None:
    """Check that nothing in the section of GRPO would let the result depend on what fits into a machine.

    Raises:
        RecipeError: naming the key.
    """
    if not is_auto(grpo):
        return
    for key in _OF_GENERATION:
        if key in grpo:
            raise RecipeError(
                f"grpo.{key}: not with {MICRO_BATCH}: auto, because it would say how many answers are drawn at a "
                "time; remove it, or give the micro batch as a number"
            )
    if grpo.get("loss_type") == "bnpo":
        raise RecipeError(
            f"grpo.loss_type: bnpo divides by the tokens of a micro batch, so with {MICRO_BATCH}: auto the result "
            "would depend on the machine; expected another loss, or a number"
        )
