"""A faster forward pass of the same GPT-2: an aligned head, causal attention without a mask, and the loss alone.

What is computed stays the same, and so does what is saved: `config.json` and the weights are those of a native
`GPT2LMHeadModel`. Every condition runs the same code over heads of the same size.
"""

from types import MethodType
from typing import Any

import torch
from torch.nn import functional
from transformers import GPT2LMHeadModel
from transformers.modeling_outputs import CausalLMOutput
from transformers.models.gpt2 import modeling_gpt2

_OF_THE_LOSS = ("num_items_in_batch", "ignore_index", "shift_labels", "return_dict", "use_cache")
ALIGNMENT = 128  # columns: rows of 16-bit logits then begin at addresses that tensor cores read at full speed


class AlignedHead(torch.nn.Linear):
    """The output head, computed over a vocabulary that is padded to a multiple of 128 ids and then cut to its size.

    With 50,349 ids, rows of logits begin at odd addresses and all three matrix products of the head leave the fast
    path of a GPU: a third of a step of GPT-2 124M on an H100. The padding exists while the product is computed. The
    logits that are returned are a view of shape `(..., vocab_size)`. On a CPU nothing is padded: the copy would cost
    more than it saves.
    """

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return logits of shape `(..., vocab_size)` for hidden states of shape `(..., width)`."""
        return self.padded(hidden) if self.weight.is_cuda else super().forward(hidden)

    def padded(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the logits of `forward`, computed with padding on any device."""
        weight = functional.pad(self.weight, (0, 0, 0, -self.out_features % ALIGNMENT))
        return functional.linear(hidden, weight)[..., : self.out_features]


def align_head(model: GPT2LMHeadModel) -> None:
    """Replace a model's head by an `AlignedHead` with the same weight, which stays tied to the embedding."""
    # The class alone is changed, so that the parameter, its hooks and its tie are those that were there.
    model.lm_head.__class__ = AlignedHead


class GPT2Block(modeling_gpt2.GPT2Block):
    """The library's block for sequences that are full: attention is causal and needs no mask.

    It has the name of the library's, by which FSDP finds the blocks.
    """

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return hidden states of the shape of `hidden`, `(rows, length, width)`."""
        attention, width = self.attn, hidden.shape[-1]
        query, key, value = (
            part.unflatten(-1, (attention.num_heads, attention.head_dim)).transpose(1, 2)
            for part in attention.c_attn(self.ln_1(hidden)).split(width, dim=-1)
        )
        attended = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=attention.attn_dropout.p if self.training else 0.0,
            is_causal=query.shape[2] > 1, scale=attention.scaling,
        )  # fmt: skip
        hidden = hidden + attention.resid_dropout(attention.c_proj(attended.transpose(1, 2).flatten(-2)))
        return hidden + self.mlp(self.ln_2(hidden))


def for_full_sequences(model: GPT2LMHeadModel) -> None:
    """Make a model fast on sequences that are full, neither padded nor packed: those of pretraining.

    Its attention builds no mask, which otherwise costs a synchronization per forward pass, or the flash kernel where
    the model is compiled. Given labels, its forward pass returns the loss without the logits, so that a compiled graph
    need not keep them. Nor does it do what the library's does at every call beside the arithmetic: look for padding,
    merge defaults, collect outputs.

    A batch with an attention mask, with positions of its own, or with a cache needs a mask and is refused.
    """
    for block in model.transformer.h:
        block.__class__ = GPT2Block  # its parameters and their hooks stay what they are
    model.forward = MethodType(_loss_alone, model)


def hidden_states(model: GPT2LMHeadModel, input_ids: torch.Tensor) -> torch.Tensor:
    """Return what the head reads, of shape `(rows, length, width)`, of a model for full sequences."""
    body = model.transformer
    hidden = body.drop(body.wte(input_ids) + body.wpe(torch.arange(input_ids.shape[1], device=input_ids.device)))
    for block in body.h:
        hidden = block(hidden)
    return body.ln_f(hidden)


def _loss_alone(
    self: GPT2LMHeadModel, input_ids: torch.Tensor, labels: torch.Tensor | None = None, **kwargs: Any
) -> CausalLMOutput:
    others = [key for key, value in kwargs.items() if value is not None and key not in _OF_THE_LOSS]
    if others:
        raise ValueError(f"a model for full sequences was called with {', '.join(others)}")
    logits = self.lm_head(hidden_states(self, input_ids))
    if labels is None:
        return CausalLMOutput(logits=logits)
    return CausalLMOutput(loss=self.loss_function(logits, labels, vocab_size=self.config.vocab_size, **kwargs))
