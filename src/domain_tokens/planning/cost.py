"""What an experiment takes, from its recipe alone: tokens and FLOPs of every stage."""

from dataclasses import dataclass
from pathlib import Path

import torch

from domain_tokens.recipe import Recipe, Trainers
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.training.model import context_length, flops_per_token, new_model, num_parameters

NOTE = """\
Utilization is assumed, not measured: a short run's metrics.jsonl has yours as `mfu`. Fine-tuning counts every
example at its longest (sft.max_length), GRPO every answer at its longest, without its question. Data on the Hub whose
size no recipe names (max_items) is not counted. Preparing data and evaluating are not counted either."""


@dataclass(frozen=True)
class StageCost:
    """What one stage of one run takes.

    Attributes:
        stage: `pretrain`, `sft/<name>` or `grpo`.
        tokens: trained on, at most; `None` where the recipe does not say how much data there is.
        flops: of forward and backward passes, and in GRPO of the reference model.
        sampling_flops: of writing answers.
    """

    stage: str
    tokens: float | None
    flops: float = 0.0
    sampling_flops: float = 0.0


def stage_costs(recipe: Recipe, trainers: Trainers) -> tuple[int, list[StageCost]]:
    """Return the model's number of parameters and what each stage of one run takes.

    The FLOPs of a token are those of `flops_per_token`; of a forward pass alone they are a third.

    Args:
        recipe (`Recipe`): the run.
        trainers (`Trainers`): its trainers' sections, parsed.
    """
    vocabulary_size = load_intervention(Path(recipe.tokenizer)).vocabulary_size
    with torch.device("meta"):  # no weights: only their number is wanted
        model = new_model(recipe, vocabulary_size)
    parameters = num_parameters(model)

    def per_token(length: int) -> float:
        return flops_per_token(model.config, parameters, length)

    tokens = float(trainers.pretrain.max_steps) * recipe.budget.pretrain_tokens_per_step
    costs = [StageCost("pretrain", tokens, tokens * per_token(context_length(recipe)))]
    for stage in recipe.sft_stages:
        sft = trainers.sft[stage.name]
        sizes = [source.max_items for source in stage.sources]
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
