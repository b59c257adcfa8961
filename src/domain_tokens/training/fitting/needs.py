"""What a micro batch is found for, and whether it serves the stage that is about to start.

Imports none of the training libraries.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import JsonValue

from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.recipe.argument_table import Kind, defaults
from domain_tokens.recipe.micro_batch import is_packed, rows_per_process, section_of
from domain_tokens.runs.micro_batches import check_covers, micro_batches_file, read_found
from domain_tokens.runs.records import Fields
from domain_tokens.tokenization.facts import IdRanges
from domain_tokens.tokenization.intervention import load_intervention

logger = logging.getLogger(__name__)

# Arguments that change what a micro batch takes.
_COUNT = (
    "activation_offloading", "beta", "bf16", "gradient_checkpointing", "gradient_checkpointing_kwargs",
    "label_smoothing_factor", "loss_type", "num_generations", "optim", "optim_args", "packing", "padding_free", "tf32",
    "torch_compile", "torch_compile_backend", "torch_compile_mode", "use_liger_kernel",
)  # fmt: skip


def vocabulary_size(recipe: Recipe) -> int:
    """Return the number of ids of a recipe's tokenizer, which need not exist yet."""
    return IdRanges(recipe.base_vocabulary.num_ids).total(load_intervention(Path(recipe.tokenizer)).num_ids)


def longest_row(recipe: Recipe, stage: str) -> int:
    """Return the tokens of the longest row: of pretraining and fine-tuning the longest that is allowed.

    A question of GRPO is assumed to be as long as an answer, as in the estimates of a dry run.
    """
    context, values = int(recipe.model.get("n_positions", 1024)), section_of(recipe, stage)
    if stage == "pretrain" or (stage.startswith("sft_") and is_packed(values)):
        return context
    kind: Kind = "GRPOConfig" if stage == "grpo" else "SFTConfig"
    longest = {**defaults(kind), **values}
    length = 2 * int(longest["max_completion_length"]) if stage == "grpo" else int(longest["max_length"])
    return min(context, length)


def needs_of(recipes: Sequence[Recipe], stage: str) -> Fields:
    """Return what the micro batch of a stage has to serve, by name.

    Args:
        recipes (`Sequence[Recipe]`): one for each condition, alike outside the tokenizer.
        stage (`str`): the stage.
    """
    values = section_of(recipes[0], stage)
    settings: dict[str, JsonValue] = {key: values[key] for key in _COUNT if values.get(key) is not None}
    if (lora := recipes[0].lora_of(stage)) is not None:
        settings["lora"] = asdict(lora)
    return {
        "vocabulary_size": max(map(vocabulary_size, recipes)),
        "length": max(longest_row(recipe, stage) for recipe in recipes),
        "rows_per_step": rows_per_process(recipes[0], stage, 1),
        "model": dict(recipes[0].model_arguments) | recipes[0].variant.recorded(),
        "settings": settings,
    }


def check_found(recipe: Recipe, stage: str, device: str, allow_change: bool = False) -> None:
    """Check that the micro batch of a stage was found for its recipe and on this kind of device, if it was found.

    Args:
        recipe (`Recipe`): the run.
        stage (`str`): the stage.
        device (`str`): the name of the GPU, or `CPU`.
        allow_change (`bool`, *optional*, defaults to `False`): go on with the same number on another device.

    Raises:
        RecipeError: with what was recorded and what there is now.
    """
    found = read_found(recipe, stage)
    if found is None:
        return
    check_covers(recipe, stage, needs_of([recipe], stage))
    if found.device == device:
        return
    if not allow_change:
        raise RecipeError(
            f"{micro_batches_file(recipe)}: the micro batch of {stage}, {found.micro_batch}, was found on "
            f"{found.device}, and this machine has {device}; all conditions need one number: go on with it by "
            "--allow-change, use the same device, or, if nothing was trained with it, remove the file"
        )
    logger.warning(
        "%s: goes on with the micro batch %d, which was found on %s; this is %s",
        stage, found.micro_batch, found.device, device,
    )  # fmt: skip
