"""Reads checkpoints of nanoGPT-style code, whose layers are `nn.Linear`, into a native `GPT2LMHeadModel`."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from domain_tokens.recipe import RecipeError, first_line

# GPT-2's `Conv1D` multiplies by the transpose of a linear layer's weight. `attn.c_proj` is square, so that no shape
# tells whether it was transposed.
TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
_PREFIX = re.compile(r"^(_orig_mod\.|module\.)+")  # of torch.compile and of DistributedDataParallel
_MASK = re.compile(r"\.attn\.(bias|masked_bias)$")  # the causal mask, a buffer


def read_nanogpt(path: Path, activation: str, num_heads: int | None = None) -> GPT2LMHeadModel:
    """Return the model of a nanoGPT-style checkpoint, in 32 bits, with every row of its embedding.

    The file is read without running code that it may hold: tensors, numbers and text, and objects of the earlier
    code's configuration class as bags of attributes.

    Args:
        path (`Path`): a file of `torch.save`: the weights, or a dictionary with them under `model` and the sizes under
            `model_args` (nanoGPT) or `config` (build-nanogpt).
        activation (`str`): what the earlier code computes in the feed-forward layer, which no weight tells: `gelu`
            (nanoGPT) or `gelu_pytorch_tanh` (build-nanogpt, GPT-2).
        num_heads (`int`, *optional*): attention heads; needed where the file has no sizes.

    Raises:
        RecipeError: if the file cannot be read safely, or is not such a checkpoint.
    """
    saved = _read(path)
    weights = saved.get("model", saved)
    if not isinstance(weights, dict):
        raise RecipeError(f"{path}: model: expected weights by name, got {type(weights).__name__}")
    weights = {_PREFIX.sub("", str(name)): value for name, value in weights.items()}
    weights = {
        name: value.float()
        for name, value in weights.items()
        if isinstance(value, torch.Tensor) and not _MASK.search(name)
    }
    _check_tied(weights, path)
    config = _config(weights, saved, activation, num_heads, path)
    if not any(name.endswith(".bias") for name in weights):  # nanoGPT's `bias=False`
        config.bias = False
    model = GPT2LMHeadModel(config)
    own = model.state_dict()
    given = {name: value.T if name.endswith(TRANSPOSED) else value for name, value in weights.items()}
    given = {name: torch.zeros_like(value) for name, value in own.items() if name.endswith(".bias")} | given
    if set(given) != set(own):
        missing, unknown = sorted(set(own) - set(given)), sorted(set(given) - set(own))
        raise RecipeError(
            f"{path}: expected the weights of a GPT-2 of {config.n_layer} layers; missing: "
            f"{', '.join(missing[:3]) or 'none'}; unknown: {', '.join(unknown[:3]) or 'none'}"
        )
    try:
        model.load_state_dict(given)
    except RuntimeError as error:
        raise RecipeError(f"{path}: {' '.join(str(error).split())}") from error
    return model


def _read(path: Path) -> dict[str, Any]:
    try:
        unknown = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
        bags: list[Any] = [(type("Bag", (SimpleNamespace,), {}), name) for name in unknown if name.endswith("Config")]
        with torch.serialization.safe_globals(bags):
            saved = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}") from error
    except Exception as error:  # torch and pickle raise errors of many kinds
        raise RecipeError(
            f"{path}: expected a checkpoint of torch.save with tensors, numbers and text; {first_line(error)}"
        ) from error
    if not isinstance(saved, dict):
        raise RecipeError(f"{path}: expected a dictionary, got {type(saved).__name__}")
    return saved


def _check_tied(weights: dict[str, torch.Tensor], path: Path) -> None:
    rows = weights.get("transformer.wte.weight")
    if rows is None:
        raise RecipeError(f"{path}: expected weights named as in GPT-2, found no transformer.wte.weight")
    head = weights.setdefault("lm_head.weight", rows)
    if head.shape != rows.shape or not torch.equal(head, rows):
        raise RecipeError(f"{path}: lm_head.weight differs from transformer.wte.weight; expected a tied head")


def _config(
    weights: dict[str, torch.Tensor], saved: dict[str, Any], activation: str, num_heads: int | None, path: Path
) -> GPT2Config:
    sizes = saved.get("model_args", saved.get("config"))
    sizes = sizes if isinstance(sizes, dict) else vars(sizes) if hasattr(sizes, "__dict__") else {}
    stated = sizes.get("n_head", num_heads)
    if stated is None:
        raise RecipeError(f"{path}: the number of attention heads is in no weight, and the file does not say; give it")
    if num_heads not in (None, stated):
        raise RecipeError(f"{path}: has {stated} attention heads, not {num_heads}")
    vocab_size, width = weights["transformer.wte.weight"].shape
    positions = weights.get("transformer.wpe.weight")
    layers = {name.split(".")[2] for name in weights if name.startswith("transformer.h.")}
    if positions is None or not layers or width % int(stated):
        raise RecipeError(
            f"{path}: expected position embeddings, layers and a width that {stated} heads divide; got "
            f"{len(layers)} layers of width {width}"
        )
    return GPT2Config(
        n_layer=len(layers), n_head=int(stated), n_embd=width, n_positions=len(positions), vocab_size=vocab_size,
        activation_function=activation, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, use_cache=False,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
