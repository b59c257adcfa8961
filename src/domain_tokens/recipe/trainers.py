"""All of a recipe's trainer sections, read by the libraries' own parser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from domain_tokens.recipe.arguments import TrainerSection, accumulation_steps, parse_arguments
from domain_tokens.recipe.checks import check_among, check_filled
from domain_tokens.recipe.errors import RecipeError
from domain_tokens.recipe.micro_batch import micro_batch, num_per_step, section_of, step_of, with_numbers
from domain_tokens.recipe.schema import Recipe, SFTStage

if TYPE_CHECKING:
    from transformers import TrainingArguments
    from trl import GRPOConfig, SFTConfig

Arguments = TypeVar("Arguments")

_GROUP = 8  # answers to one question, of a recipe that gives none

# trl 1.16 compares these names only when it computes the first loss, after the first answers.
_SAMPLING_LEVELS = ("token", "sequence")
_REWARD_SCALES = ("group", "batch", "none")
_AGGREGATIONS = ("sum_then_normalize", "normalize_then_sum")
_GRPO_LOSSES = ("grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo")
_SFT_LOSSES = ("nll", "dft")


@dataclass(frozen=True)
class Trainers:
    """The arguments of every stage, without precision and device, which follow from the machine.

    Attributes:
        pretrain: of pretraining.
        sft: of each stage of fine-tuning, by its name.
        grpo: of GRPO; `None` if the run has none.
    """

    pretrain: TrainingArguments
    sft: dict[str, SFTConfig]
    grpo: GRPOConfig | None


def parse_trainers(recipe: Recipe) -> Trainers:
    """Read the sections of all stages, so that a wrong type or value is found before the first stage runs.

    A micro batch that is `auto` has the number that is assumed for it.

    Imports transformers and trl: about 4 CPU-seconds. Creates no file.

    Raises:
        RecipeError: naming the key and what was expected.
    """
    from transformers import TrainingArguments
    from trl import GRPOConfig, SFTConfig

    def parse(kind: type[Arguments], values: TrainerSection, section: str, accumulation: int = 1) -> Arguments:
        derived = {"output_dir": "unused", "use_cpu": True, "gradient_accumulation_steps": accumulation}
        return parse_arguments(kind, _for_any_machine(values), section, derived)

    recipe = with_numbers(recipe, {})
    parse(SFTConfig, recipe.sft, "sft")  # report errors in the shared section under `sft`
    grpo = None
    if recipe.grpo_prompts:
        _check_groups(recipe)
        # TRL checks its groups of answers over all micro batches of a step, however many processes share them.
        grpo = parse(GRPOConfig, recipe.grpo, "grpo", accumulations(recipe, 1)["grpo"])
    return Trainers(
        pretrain=parse(TrainingArguments, recipe.pretrain, "pretrain"),
        sft={
            stage.name: parse(SFTConfig, recipe.sft | stage.args, f"sft_stages.{stage.name}.args")
            for stage in recipe.sft_stages
        },
        grpo=grpo,
    )


def accumulations(recipe: Recipe, num_processes: int) -> dict[str, int]:
    """Return the micro batches of one optimizer step and process, by the stage's name in `Trainers`.

    Raises:
        RecipeError: if a step does not divide into micro batches.
    """
    recipe = with_numbers(recipe, {}, num_processes)
    found = {}
    for stage in recipe.all_model_folders:
        key, unit = step_of(recipe, stage)
        rows = micro_batch(section_of(recipe, stage)) * unit
        found[stage.replace("sft_", "sft ", 1)] = accumulation_steps(
            num_per_step(recipe, stage), rows, num_processes, key
        )
    return found


def _for_any_machine(values: TrainerSection) -> TrainerSection:
    """Turn off what the library refuses on a machine without a GPU, so that a recipe can be read on a laptop."""
    return values | {key: off for key, off in (("bf16", False), ("tf32", None)) if values.get(key) is True}


def check_num_tokens(recipe: Recipe, needed: int) -> None:
    """Check that the epochs of a mixture hold what pretraining reads, before a text of it is read.

    Args:
        recipe (`Recipe`): the run.
        needed (`int`): tokens that pretraining reads.

    Raises:
        RecipeError: with both figures.
    """
    if recipe.corpus.num_tokens is not None and needed > recipe.corpus.num_tokens * recipe.corpus.epochs:
        raise RecipeError(
            f"corpus.num_tokens: pretraining reads {needed:,} tokens (pretrain.max_steps x "
            f"budget.pretrain_tokens_per_step), got {recipe.corpus.num_tokens:,.0f}; raise it, lower "
            "pretrain.max_steps or raise corpus.epochs"
        )


def check_fit(recipe: Recipe, trainers: Trainers) -> None:
    """Check what no section can check alone.

    Raises:
        RecipeError: naming the key and what was expected.
    """
    for section, arguments in (("pretrain", trainers.pretrain), ("grpo", trainers.grpo)):
        if arguments is not None and arguments.max_steps <= 0:
            raise RecipeError(f"{section}.max_steps: expected a whole number of at least 1, got {arguments.max_steps}")
    context = int(recipe.model.get("n_positions", 1024))
    check_num_tokens(recipe, trainers.pretrain.max_steps * recipe.budget.pretrain_tokens_per_step)
    check_filled("corpus.sources", recipe.corpus.sources)
    if recipe.budget.sft_tokens_per_step is not None and not any(one.packing for one in trainers.sft.values()):
        raise RecipeError(
            "budget.sft_tokens_per_step: no stage of fine-tuning is packed; set sft.packing=true, or remove it"
        )
    for stage in recipe.sft_stages:
        check_filled(f"sft_stages.{stage.name}.sources", stage.sources)
        _check_sft(recipe, stage, trainers.sft[stage.name], context)
    if trainers.grpo is not None:
        _check_grpo(trainers.grpo, context)
        if not recipe.rewards.weights:
            raise RecipeError("rewards: every weight is 0; expected at least one reward")
    if recipe.evaluation.max_new_tokens >= context:
        raise RecipeError(
            f"evaluation.max_new_tokens: expected at most {context - 1} (model.n_positions - 1), to leave room for "
            f"the question, got {recipe.evaluation.max_new_tokens}"
        )


def _check_sft(recipe: Recipe, stage: SFTStage, sft: SFTConfig, context: int) -> None:
    where = f"sft_stages.{stage.name}.args"
    per_example = recipe.budget.sft_loss == "example"
    if sft.packing:
        check_packing(recipe, where, sft)
    if sft.padding_free and recipe.number_token_loss and per_example:
        raise RecipeError(f"{where}.padding_free: not supported with number_token_loss and budget.sft_loss=example")
    if sft.max_length is None or sft.max_length > context:
        raise RecipeError(f"{where}.max_length: expected at most model.n_positions ({context}), got {sft.max_length}")
    check_among(f"{where}.loss_type", sft.loss_type, _SFT_LOSSES)
    if per_example and (sft.loss_type, sft.label_smoothing_factor) != ("nll", 0):
        raise RecipeError(
            "budget.sft_loss: 'example' is a mean of plain losses; remove sft.loss_type and "
            "sft.label_smoothing_factor, or use budget.sft_loss=token"
        )
    if sft.eval_strategy != "no" and not stage.validation_items:
        raise RecipeError(
            f"{where}.eval_strategy: nothing is held out to evaluate; set sft_stages.{stage.name}.validation_items, "
            'or eval_strategy: "no"'
        )
    sizes = [source.max_items for source in stage.portions]
    most = sum(size for size in sizes if size is not None)
    if None not in sizes and stage.validation_items >= most:
        raise RecipeError(
            f"sft_stages.{stage.name}.validation_items: expected fewer than the {most} examples, got "
            f"{stage.validation_items}"
        )


def check_packing(recipe: Recipe, where: str, sft: SFTConfig) -> None:
    """Check the section of a stage whose examples are packed.

    Args:
        recipe (`Recipe`): the run.
        where (`str`): the section's key, for messages.
        sft (`SFTConfig`): the parsed section.

    Raises:
        RecipeError: naming the key and what was expected.
    """
    if sft.packing_strategy != "bfd":
        raise RecipeError(
            f"{where}.packing_strategy: {sft.packing_strategy} cuts examples and so their answers; expected bfd"
        )
    if sft.eval_packing:
        raise RecipeError(f"{where}.eval_packing: not supported: every example that is held out is one row; remove it")
    if sft.pad_to_multiple_of is not None:
        raise RecipeError(f"{where}.pad_to_multiple_of: packed rows are as long as model.n_positions; remove it")
    for key in ("save_strategy", "eval_strategy", "logging_strategy"):
        if getattr(sft, key) == "epoch":
            raise RecipeError(
                f"{where}.{key}: with packing, epochs end at different steps in two conditions; expected steps or no"
            )
    if recipe.number_token_loss and recipe.budget.sft_loss == "example":
        raise RecipeError(f"{where}.packing: not supported with number_token_loss and budget.sft_loss=example")


def _check_groups(recipe: Recipe) -> None:
    """Check that a step of GRPO has whole groups of answers; TRL would name an argument that no recipe has."""
    per_step, size = recipe.budget.grpo_completions_per_step, int(recipe.grpo.get("num_generations", _GROUP))
    if per_step % size:
        raise RecipeError(
            f"grpo.num_generations: {size} does not divide budget.grpo_completions_per_step ({per_step})"
        )


def _check_grpo(grpo: GRPOConfig, context: int) -> None:
    check_among("grpo.loss_type", grpo.loss_type, _GRPO_LOSSES)
    check_among("grpo.importance_sampling_level", grpo.importance_sampling_level, _SAMPLING_LEVELS)
    check_among("grpo.scale_rewards", str(grpo.scale_rewards), _REWARD_SCALES)
    check_among("grpo.multi_objective_aggregation", grpo.multi_objective_aggregation, _AGGREGATIONS)
    if grpo.sync_ref_model and not grpo.beta:
        raise RecipeError("grpo.sync_ref_model: with grpo.beta=0 there is no reference model; expected beta above 0")
    if grpo.eval_strategy != "no":
        raise RecipeError('grpo.eval_strategy: nothing is held out to evaluate; expected "no"')
    if context - (grpo.max_completion_length or 0) < 2:
        raise RecipeError(
            f"grpo.max_completion_length: expected at most {context - 2} (model.n_positions - 2), to "
            f"leave room for the prompt, got {grpo.max_completion_length}"
        )


def steps_per_generation(grpo: GRPOConfig, accumulation: int) -> int:
    """Return how many optimizer steps use the same completions. `check_save_steps` says what the arguments are."""
    generated_for = (grpo.steps_per_generation or accumulation) * grpo.num_iterations
    return max(1, generated_for // accumulation)


def check_save_steps(grpo: GRPOConfig, accumulation: int) -> None:
    """Refuse to save between steps that share completions, because checkpoints do not contain completions.

    Args:
        grpo (`GRPOConfig`): the parsed section.
        accumulation (`int`): micro batches of one step and process.
    """
    boundary = steps_per_generation(grpo, accumulation)
    if grpo.save_strategy == "steps" and grpo.save_steps % boundary:
        raise RecipeError(
            f"grpo.save_steps: expected a multiple of {boundary}, the number of steps per generation, got "
            f"{grpo.save_steps}"
        )


def check_num_prompts(recipe: Recipe, number: int, completions: int) -> None:
    """Refuse fewer prompts than are answered at a time: TRL drops an incomplete batch, and would take no step.

    Args:
        recipe (`Recipe`): the run.
        number (`int`): prompts, or the most that there can be.
        completions (`int`): answers that are sampled at a time, over all processes.
    """
    size = int(recipe.grpo.get("num_generations", _GROUP))
    if number < completions // size:
        raise RecipeError(
            f"grpo_prompts: {number} prompts, but {completions // size} are answered at a time ({completions} in all, "
            f"{size} to each); add prompts (max_items), or lower budget.grpo_completions_per_step"
        )
