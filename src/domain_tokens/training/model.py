"""The model, a native `GPT2LMHeadModel`, and the cost of training it on one token."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    set_seed,
)

from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.tokenization.contract import intervention_of
from domain_tokens.tokenization.facts import IdRanges
from domain_tokens.training.forward.tied_weight import speed_up_tied_weight


def new_model(recipe: Recipe, vocab_size: int) -> GPT2LMHeadModel:
    """Build a recipe's untrained model.

    Its weights depend only on its `model`, `variant`, the seed of weights and `vocab_size`.

    Args:
        recipe (`Recipe`): the run.
        vocab_size (`int`): the number of ids of its tokenizer.

    Raises:
        RecipeError: if an argument is unknown to `GPT2Config` or out of range.
    """
    known = GPT2Config().to_dict()
    for key in recipe.model:
        if key not in known or key in ("vocab_size", "bos_token_id", "eos_token_id"):
            raise RecipeError(f"model.{key}: expected an argument of GPT2Config that a recipe may set; remove it")
    try:
        end = IdRanges(recipe.base_vocabulary.num_ids).end_of_text
        config = GPT2Config(
            **recipe.model_arguments,
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
        raise RecipeError(f"model.n_embd: expected a multiple of model.n_head ({config.n_head}), got {config.n_embd}")
    if not recipe.variant.bias:
        config.bias = False  # later stages read it in `config.json`; no library's GPT-2 knows the key
    set_seed(recipe.seed_of["weights"])
    model = GPT2LMHeadModel(config)
    prepare_to_train(model)
    return model


def context_length(recipe: Recipe) -> int:
    """Return the context length of a recipe's model, which is also the length of a training sequence in tokens.

    Raises:
        RecipeError: if it is not a whole number of at least 2.
    """
    value = recipe.model.get("n_positions", 1024)
    if not isinstance(value, int) or value < 2:
        raise RecipeError(f"model.n_positions: expected a whole number of at least 2, got {value!r}")
    return value


def load_model(folder: Path, vocab_size: int) -> GPT2LMHeadModel:
    """Load the previous stage's model, which must have one embedding row per id of the tokenizer.

    It is loaded in 32 bits even if it was saved in 16, as DeepSpeed does: fine-tuning updates are too small for 16-bit
    weights.

    Raises:
        RecipeError: if the vocabulary size is not `vocab_size`.
    """
    model = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    rows = model.get_input_embeddings().weight
    found = (model.config.vocab_size, getattr(rows, "ds_shape", rows.shape)[0])  # ZeRO stage 3 empties the local shape
    if found != (vocab_size, vocab_size):
        raise RecipeError(
            f"{folder}: expected a vocabulary of {vocab_size} as in the tokenizer, got {found[0]} (embedding rows: "
            f"{found[1]}); use a model of this experiment"
        )
    prepare_to_train(model)
    return model


def prepare_to_train(model: GPT2LMHeadModel) -> None:
    """Give a native model its loss, make its largest weight faster, and freeze the biases that it does without."""
    # transformers finds no loss for this class by name and warns inside forward, which splits a compiled graph.
    model.loss_type = "ForCausalLM"
    speed_up_tied_weight(model)
    freeze_unused_biases(model)


def has_biases(config: PretrainedConfig) -> bool:
    """Return whether a model has biases (`variant.bias` of its recipe)."""
    return bool(getattr(config, "bias", True))


def unused_biases(model: PreTrainedModel) -> list[torch.nn.Parameter]:
    """Return the biases of a model that does without: GPT-2's own, which are 0. A model with biases has none."""
    if has_biases(model.config):
        return []
    return [one for name, one in model.named_parameters() if "transformer." in name and name.endswith(".bias")]


def freeze_unused_biases(model: PreTrainedModel) -> None:
    """Keep the biases that a model does without at 0: no optimizer gets them, and no process waits for them."""
    for bias in unused_biases(model):
        bias.requires_grad_(False)


def weights_sha256(model: GPT2LMHeadModel, without_rows: slice = slice(0)) -> str:
    """Return a hash of the names, shapes and values of all parameters.

    Args:
        model: the model.
        without_rows (`slice`, *optional*): rows of the embedding and of the head that are left out, as if they were 0.
    """
    digest = hashlib.sha256()
    rows = {id(module.weight) for module in (model.get_input_embeddings(), model.get_output_embeddings())}
    for name, parameter in sorted(model.named_parameters()):
        values = parameter.detach().float().cpu().contiguous().numpy()
        if id(parameter) in rows:
            values = values.copy()
            values[without_rows] = 0
        digest.update(f"{name}{tuple(parameter.shape)}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def start_at_digits(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Replace the row of each fact by the mean of the rows of its digits, `6`, `9`, `5` and `4` for `<MUL_6_9_54>`.

    Such a row is shorter than those of the digits: a mean of independent rows. A tokenizer without facts leaves the
    model as it is, and so do phrases, which have no digits. A head with weights of its own gets such rows too.

    Args:
        model: the untrained model.
        tokenizer: the condition's tokenizer.
    """
    modules, intervention = (model.get_input_embeddings(), model.get_output_embeddings()), intervention_of(tokenizer)
    first = len(tokenizer) - intervention.num_ids
    row_of = {name: row for row, name in enumerate(intervention.token_names(), start=first)}
    with torch.no_grad():
        for entry in intervention.entries():
            if entry.token is not None and entry.operands is not None:
                digits = tokenizer.convert_tokens_to_ids([one for one in entry.text if one.isdigit()])
                for rows in (module.weight for module in modules):  # one and the same where the head is tied
                    rows[row_of[entry.token]] = rows[digits].mean(dim=0)


def num_parameters(model: PreTrainedModel) -> int:
    """Return the number of parameters, counting a tied head once, without the biases that the model does without."""
    unused = {id(bias) for bias in unused_biases(model)}
    return sum(_size(parameter) for parameter in model.parameters() if id(parameter) not in unused)


def computed_parameters(model: GPT2LMHeadModel) -> int:
    """Return the number of parameters from which `flops_per_token` computes the FLOPs.

    Beside a head with weights of its own, the embedding is only looked up, and multiplied with nothing.
    """
    tokens, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    return num_parameters(model) - (0 if head is tokens else _size(tokens))


def _size(parameter: torch.nn.Parameter) -> int:
    # Under ZeRO stage 3, a process holds part of each parameter, and `ds_numel` is the size of the whole.
    return int(getattr(parameter, "ds_numel", parameter.numel()))


def non_embedding_parameters(model: GPT2LMHeadModel) -> int:
    """Return the number of parameters without the embeddings of tokens and positions, and without an untied head."""
    positions, tokens, head = model.transformer.wpe, model.get_input_embeddings(), model.get_output_embeddings()
    left_out = {id(module.weight): _size(module.weight) for module in (positions, tokens, head)}
    return num_parameters(model) - sum(left_out.values())


def flops_per_token(config: Any, parameters: int, sequence_length: int) -> float:
    """Return the FLOPs per token of a forward and backward pass: `6 N + 12 L d T`.

    `N` is the number of parameters (`computed_parameters`) without the position embedding, `L` the number of layers,
    `d` the width and `T` the sequence length (Chowdhery et al. 2022, PaLM, appendix B).
    """
    weights = parameters - config.n_positions * config.n_embd
    return 6.0 * weights + 12.0 * config.n_layer * config.n_embd * sequence_length


@dataclass(frozen=True)
class Adapted:
    """A model of which only adapters, and perhaps some rows of the embedding, are trained.

    Attributes:
        parameters: of the whole model, as `computed_parameters` counts them, without adapters.
        in_adapters: parameters of the adapters.
        in_rows: parameters of the trained rows.
    """

    parameters: int
    in_adapters: int
    in_rows: int

    @property
    def trained(self) -> int:
        """The number of parameters that are trained, of which alone a checkpoint consists."""
        return self.in_adapters + self.in_rows

    def flops_per_token(self, config: Any, sequence_length: int) -> float:
        """Return the FLOPs per token of a forward and backward pass: `4 N + 6 A + 2 V d + 12 L d T`.

        Frozen weights cost no gradient of their own, a third of the usual `6 N`; the `A` parameters of adapters cost
        it. To train some rows of the tied head, peft 0.21 computes the gradient of all of it, `2 V d`. Attention has
        no weights and costs what it always does.
        """
        whole = flops_per_token(config, self.parameters, sequence_length)
        weights = self.parameters - config.n_positions * config.n_embd
        head = 2.0 * config.vocab_size * config.n_embd if self.in_rows else 0.0
        return whole - 2.0 * weights + 6.0 * self.in_adapters + head

    def forward_share(self, config: Any) -> float:
        """Return the share of a forward pass alone; a third where all weights are trained."""
        weights = self.parameters - config.n_positions * config.n_embd
        return 2.0 * (weights + self.in_adapters) / self.flops_per_token(config, 0)
