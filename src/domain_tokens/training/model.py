"""The model: a native `GPT2LMHeadModel`, and what one token of training costs."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, set_seed

from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.tokenization.facts import GPT2_VOCAB_SIZE


def new_model(recipe: Recipe, vocab_size: int) -> GPT2LMHeadModel:
    """Build the untrained model of a recipe. Its weights depend on the recipe's `model` and seed and on `vocab_size`.

    Args:
        recipe (`Recipe`): the run.
        vocab_size (`int`): the length of its tokenizer.

    Raises:
        RecipeError: if an argument is unknown to `GPT2Config` or out of range.
    """
    known = GPT2Config().to_dict()
    for key in recipe.model:
        if key not in known or key in ("vocab_size", "bos_token_id", "eos_token_id"):
            raise RecipeError(f"model.{key}: not an argument of GPT2Config that a recipe sets")
    try:
        end = GPT2_VOCAB_SIZE - 1
        config = GPT2Config(
            **recipe.model,
            vocab_size=vocab_size,
            bos_token_id=end,
            eos_token_id=end,
            pad_token_id=end,
            use_cache=False,
        )
    except (TypeError, ValueError, StrictDataclassError) as error:
        raise RecipeError(f"model: {' '.join(str(error).split())}") from error
    for key in ("n_layer", "n_head", "n_embd", "n_positions"):
        if getattr(config, key) < 1:
            raise RecipeError(f"model.{key}: expected a whole number of at least 1, got {getattr(config, key)!r}")
    if config.n_embd % config.n_head:
        raise RecipeError(f"model.n_embd: {config.n_embd} does not divide into model.n_head: {config.n_head} heads")
    set_seed(recipe.training_seed)
    model = GPT2LMHeadModel(config)
    _set_loss(model)
    return model


def context_length(recipe: Recipe) -> int:
    """Return the positions of a recipe's model, which are also the tokens of one training sequence.

    Raises:
        RecipeError: if it is not a whole number of at least 2.
    """
    value = recipe.model.get("n_positions", 1024)
    if not isinstance(value, int) or value < 2:
        raise RecipeError(f"model.n_positions: expected a whole number of at least 2, got {value!r}")
    return value


def load_model(folder: Path, vocab_size: int) -> GPT2LMHeadModel:
    """Load the model of the stage before, which must have `vocab_size` embedding rows, as many as the tokenizer's ids.

    In 32 bits whatever it was saved in: DeepSpeed saves 16-bit weights, and updates of fine-tuning are too small for
    those.

    Raises:
        RecipeError: if its vocabulary has another size.
    """
    model = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32)
    rows = model.get_input_embeddings().weight
    found = (model.config.vocab_size, getattr(rows, "ds_shape", rows.shape)[0])  # ZeRO stage 3 empties the local shape
    if found != (vocab_size, vocab_size):
        raise RecipeError(
            f"{folder}: the model's vocabulary is {found[0]} (embedding rows: {found[1]}), the tokenizer's is "
            f"{vocab_size}; expected a model of this experiment"
        )
    _set_loss(model)
    return model


def _set_loss(model: GPT2LMHeadModel) -> None:
    # transformers finds no loss for this class by name and warns inside forward, which breaks a compiled graph in two.
    model.loss_type = "ForCausalLM"


def weights_sha256(model: torch.nn.Module) -> str:
    """Return a hash of all parameters' names, shapes and values."""
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        digest.update(f"{name}{tuple(parameter.shape)}".encode())
        digest.update(parameter.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def num_parameters(model: PreTrainedModel) -> int:
    """Return the number of parameters, the tied head counted once."""
    # Under ZeRO stage 3 a process holds a part of each parameter, and `ds_numel` is the whole one's size.
    return sum(getattr(parameter, "ds_numel", parameter.numel()) for parameter in model.parameters())


def flops_per_token(config: Any, parameters: int, sequence_length: int) -> float:
    """Return the FLOPs of a forward and backward pass per token: `6 N + 12 L d T`.

    `N` are the parameters without the position embedding, `L` the layers, `d` the width and `T` the sequence length
    (Chowdhery et al. 2022, PaLM, appendix B).
    """
    weights = parameters - config.n_positions * config.n_embd
    return 6.0 * weights + 12.0 * config.n_layer * config.n_embd * sequence_length
