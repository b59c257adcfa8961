"""Estimates the cost of an experiment from its recipe: tokens and FLOPs of every stage."""

from dataclasses import dataclass
from pathlib import Path

import torch

from domain_tokens.recipe import Recipe, Trainers
from domain_tokens.tokenization.facts import IdRanges
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.training.model import context_length, flops_per_token, new_model, num_parameters

NOTE = """\
Utilization is assumed, not measured; a short run records the measured value as `mfu` in metrics.jsonl. Fine-tuning
examples count at the maximum length (sft.max_length), GRPO answers at theirs, without the question. Not included: Hub
data whose size is not in the recipe (max_items), data preparation, and evaluation."""


@dataclass(frozen=True)
class StageCost:
    """The cost of one stage of one run.

    Attributes:
        stage: `pretrain`, `sft/<name>` or `grpo`.
        tokens: maximum number of training tokens; `None` if the recipe does not give the size of the data.
        flops: FLOPs of forward and backward passes, in GRPO including the reference model.
        sampling_flops: FLOPs of generating answers.
    """

    stage: str
    tokens: float | None
    flops: float = 0.0
    sampling_flops: float = 0.0


def stage_costs(recipe: Recipe, trainers: Trainers) -> tuple[int, list[StageCost]]:
    """Return the model's number of parameters and the cost of each stage of one run.

    FLOPs per token come from `flops_per_token`; a forward pass alone costs a third.

    Args:
        recipe (`Recipe`): the run.
        trainers (`Trainers`): its parsed trainer sections.
    """
    vocabulary_size = IdRanges(recipe.base_vocabulary.num_ids).total(load_intervention(Path(recipe.tokenizer)).num_ids)
    with torch.device("meta"):  # allocates no weights; only their number is needed
        model = new_model(recipe, vocabulary_size)
    parameters = num_parameters(model)

    def per_token(length: int) -> float:
        return flops_per_token(model.config, parameters, length)

    tokens = float(trainers.pretrain.max_steps) * recipe.budget.pretrain_tokens_per_step
    costs = [StageCost("pretrain", tokens, tokens * per_token(context_length(recipe)))]
    for stage in recipe.sft_stages:
        sft = trainers.sft[stage.name]
        sizes = [source.max_items for source in stage.portions]
        length = sft.max_length or context_length(recipe)
        if sft.max_steps > 0:
            examples = float(sft.max_steps) * recipe.budget.sft_examples_per_step
        elif None in sizes:
            costs.append(StageCost(f"sft/{stage.name}", None))
            continue
        else:
            examples = sum(size for size in sizes if size is not None) * sft.num_train_epochs
        tokens = examples * length
        costs.append(StageCost(f"sft/{stage.name}", tokens, tokens * per_token(length)))
    grpo = trainers.grpo
    length = grpo.max_completion_length or context_length(recipe)
    tokens = float(grpo.max_steps) * recipe.budget.grpo_completions_per_step * length
    forward = tokens * per_token(length) / 3
    reference = forward if grpo.beta else 0.0
    costs.append(StageCost("grpo", tokens, 3 * forward + reference, sampling_flops=forward))
    return parameters, costs
