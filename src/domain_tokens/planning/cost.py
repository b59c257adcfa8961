"""Estimates the cost of an experiment from its recipe: tokens and FLOPs of every stage."""

from dataclasses import dataclass

import torch
from transformers import GPT2LMHeadModel

from domain_tokens.evaluation.modes import LAST_MODEL_ALONE, load_tasks, modes_of
from domain_tokens.evaluation.tasks._generative import GenerativeTask
from domain_tokens.planning.known_rows import num_rows
from domain_tokens.recipe import Recipe, Trainers
from domain_tokens.recipe.micro_batch import num_per_step
from domain_tokens.runs.layout import Mode
from domain_tokens.tokenization.facts import IdRanges
from domain_tokens.training.fitting.needs import vocabulary_size
from domain_tokens.training.model import (
    Adapted,
    computed_parameters,
    context_length,
    flops_per_token,
    new_model,
    num_parameters,
)

NOTE = """\
Utilization is assumed, not measured; a short run records the measured value as `mfu` in metrics.jsonl. Fine-tuning
examples count at the maximum length (sft.max_length), answers of GRPO and of the evaluation at theirs, without the
question. Not included: files whose size is not in the recipe (max_items), tasks that score texts in place of writing
them, and data preparation, which needs no such device (make bench-data prints its core-hours)."""
EARLIER_STUDY = """\
For comparison, an earlier study's own figures for this experiment on 8 A100: pretraining about 1 hour and $30, a
condition with all stages about $50, two conditions with three seeds $300 to $500. An hour for 10B tokens would be 95%
of their peak; llm.c reports 90 minutes. What this project reached is in docs/PERFORMANCE.md."""


@dataclass(frozen=True)
class StageCost:
    """The cost of one stage of one run.

    Attributes:
        stage: `pretrain`, `sft/<name>`, `grpo` or `evaluation`.
        tokens: maximum number of tokens; `None` if the recipe does not give the size of the data.
        flops: FLOPs of forward and backward passes, in GRPO including the reference model.
        sampling_flops: FLOPs of generating answers.
    """

    stage: str
    tokens: float | None
    flops: float = 0.0
    sampling_flops: float = 0.0


def evaluation_cost(recipe: Recipe) -> StageCost:
    """Return the cost of the answers that one run's models write in the evaluation, as long as they may be.

    Args:
        recipe (`Recipe`): the run.

    Raises:
        RecipeError: if a task's local data is missing or damaged.
    """
    settings, tokens = recipe.evaluation, 0.0
    for name, task in load_tasks(recipe).items():
        if not isinstance(task, GenerativeTask):
            continue
        on_hub = task.data is not None and task.source(recipe).kind == "hub"
        number = num_rows(task.source(recipe)) if on_hub else len(task.rows(recipe))
        if number is None:
            return StageCost("evaluation", None)
        answers = 0
        for mode in modes_of(name, settings):
            models = 1 if mode in LAST_MODEL_ALONE else len(settings.models)
            answers += models * (settings.sampling.num_samples if mode is Mode.SAMPLED else 1)
        length = min(settings.max_new_tokens, task.max_new_tokens or settings.max_new_tokens)
        tokens += min(number, settings.max_samples or number) * answers * length
    model = unweighted_model(recipe)
    forward = tokens * flops_per_token(model.config, computed_parameters(model), settings.max_new_tokens) / 3
    return StageCost("evaluation", tokens, sampling_flops=forward)


def stage_costs(recipe: Recipe, trainers: Trainers) -> tuple[int, list[StageCost]]:
    """Return the model's number of parameters and the cost of each stage that leads to the last model of one run.

    FLOPs per token come from `flops_per_token`; a forward pass alone costs a third.

    Args:
        recipe (`Recipe`): the run.
        trainers (`Trainers`): its parsed trainer sections.
    """
    model = unweighted_model(recipe)
    parameters, computed = num_parameters(model), computed_parameters(model)

    def per_token(length: int, stage: str = "pretrain") -> float:
        if (adapters := adapters_of(recipe, stage)) is not None:
            return adapters.flops_per_token(model.config, length)
        return flops_per_token(model.config, computed, length)

    tokens = float(trainers.pretrain.max_steps) * recipe.budget.pretrain_tokens_per_step
    costs = [StageCost("pretrain", tokens, tokens * per_token(context_length(recipe)))]
    for stage in recipe.sft_stages:
        sft = trainers.sft[stage.name]
        sizes = [num_rows(source) for source in stage.portions]
        folder, length = f"sft_{stage.name}", sft.max_length or context_length(recipe)
        if sft.packing and sft.max_steps > 0:
            examples = float(sft.max_steps) * num_per_step(recipe, folder) / length
        elif sft.max_steps > 0:
            examples = float(sft.max_steps) * num_per_step(recipe, folder)
        elif None in sizes:
            costs.append(StageCost(f"sft/{stage.name}", None))
            continue
        else:
            examples = sum(size for size in sizes if size is not None) * sft.num_train_epochs
        tokens = examples * length
        row = context_length(recipe) if sft.packing else length
        costs.append(StageCost(f"sft/{stage.name}", tokens, tokens * per_token(row, folder)))
    if (grpo := trainers.grpo) is not None:
        length = grpo.max_completion_length or context_length(recipe)
        tokens = float(grpo.max_steps) * recipe.budget.grpo_completions_per_step * length
        forward = tokens * per_token(length) / 3
        reference = forward if grpo.beta else 0.0
        flops = tokens * per_token(length, "grpo") + reference
        costs.append(StageCost("grpo", tokens, flops, sampling_flops=forward))
    return parameters, costs


def is_own(recipe: Recipe, cost: StageCost) -> bool:
    """Return whether a run has a stage itself, and not by starting from another condition's model."""
    return cost.stage.replace("/", "_", 1) in recipe.model_folders


def adapters_of(recipe: Recipe, stage: str) -> Adapted | None:
    """Return what alone is trained in a stage, `pretrain`, `sft_<name>` or `grpo`; `None` where all weights are."""
    lora = recipe.lora_of(stage)
    if lora is None:
        return None
    from domain_tokens.training.post_training.adapters import adapted, lora_config

    model = unweighted_model(recipe)
    return adapted(model, lora_config(lora, IdRanges(recipe.base_vocabulary.num_ids), model.config.vocab_size))


def unweighted_model(recipe: Recipe) -> GPT2LMHeadModel:
    """Return a recipe's model without memory for its weights, to count them."""
    with torch.device("meta"):  # allocates no weights; only their number is needed
        return new_model(recipe, vocabulary_size(recipe))
