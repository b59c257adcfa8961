"""Low-rank adapters for fine-tuning and GRPO: their configuration, what they add, and a model with them merged."""

from typing import Any

import torch
from peft import LoraConfig, PeftModel
from transformers import GPT2LMHeadModel

from domain_tokens.recipe.sections.lora import Lora
from domain_tokens.tokenization.facts import IdRanges
from domain_tokens.training.model import Adapted, computed_parameters


def lora_config(lora: Lora, ids: IdRanges, vocab_size: int) -> LoraConfig:
    """Return peft's configuration.

    The head is tied to the embedding, and peft 0.21 keeps the trained rows of both one.

    Args:
        lora (`Lora`): the recipe's section.
        ids (`IdRanges`): the ranges of ids.
        vocab_size (`int`): the number of ids of the tokenizer.
    """
    rows = list(range(ids.first_added, vocab_size))
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
        trainable_token_indices={"wte": rows} if lora.train_fact_rows and rows else None,
        fan_in_fan_out=True,  # GPT-2's linear maps store their weights transposed
        task_type="CAUSAL_LM",
    )


def adapted(model: GPT2LMHeadModel, config: LoraConfig) -> Adapted:
    """Return what adapters add to a model, which has none yet.

    Args:
        model (`GPT2LMHeadModel`): the model.
        config (`LoraConfig`): from `lora_config`.
    """
    targets = [
        module.weight.shape
        for name, module in model.named_modules()
        if name.rpartition(".")[2] in (config.target_modules or ())
    ]
    rows = config.trainable_token_indices
    num_rows = len(rows["wte"]) if isinstance(rows, dict) else 0
    return Adapted(
        parameters=computed_parameters(model),
        in_adapters=sum(config.r * (inputs + outputs) for inputs, outputs in targets),
        in_rows=num_rows * model.config.n_embd,
    )


def give_head_its_bias(model: GPT2LMHeadModel) -> None:
    """Let the head of a model with adapters say that it has no bias.

    TRL 1.16 asks it, and peft 0.21's wrapper of trained rows passes on the weight alone.
    """
    if not isinstance(model.lm_head, torch.nn.Linear):
        model.lm_head.register_parameter("bias", None)


def merged(model: Any) -> GPT2LMHeadModel:
    """Return a model whose adapters are merged into its weights, as a native model. `model` is used up."""
    assert isinstance(model, PeftModel)
    whole = model.merge_and_unload()
    assert isinstance(whole, GPT2LMHeadModel)
    return whole
