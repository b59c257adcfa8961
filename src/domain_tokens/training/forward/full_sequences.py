"""A faster forward pass of the same GPT-2: an aligned head, causal attention without a mask, and the loss alone.

What is computed stays the same, and so does what is saved: `config.json` and the weights are those of a native
`GPT2LMHeadModel`. Every condition runs the same code over heads of the same size.
"""

from types import MethodType
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, GPT2LMHeadModel
from transformers.modeling_outputs import CausalLMOutput

ALIGNMENT = 128  # columns: rows of 16-bit logits then begin at addresses that tensor cores read at full speed
CAUSAL_ATTENTION = "sdpa_causal"


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


def for_full_sequences(model: GPT2LMHeadModel) -> None:
    """Make a model fast on sequences that are full, neither padded nor packed: those of pretraining.

    Its attention builds no mask, which otherwise costs a synchronization per forward pass, or the flash kernel where
    the model is compiled. Given labels, its forward pass returns the loss without the logits, so that a compiled graph
    need not keep them. The library's own forward pass also looks for padding and builds a larger output at every call.

    A batch with an attention mask, with positions of its own, or with a cache needs a mask and is refused.
    """
    AttentionInterface.register(CAUSAL_ATTENTION, _causal_attention)
    model.set_attn_implementation(CAUSAL_ATTENTION)
    model.forward = MethodType(_loss_alone, model)


def _causal_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    output = functional.scaled_dot_product_attention(
        query, key, value, dropout_p=dropout, is_causal=query.shape[2] > 1, scale=scaling
    )
    return output.transpose(1, 2).contiguous(), None


def _loss_alone(
    self: GPT2LMHeadModel, input_ids: torch.Tensor, labels: torch.Tensor | None = None, **kwargs: Any
) -> CausalLMOutput:
    needs_mask = [key for key in ("attention_mask", "position_ids", "past_key_values") if kwargs.get(key) is not None]
    if needs_mask:
        raise ValueError(f"a model for full sequences was called with {', '.join(needs_mask)}")
    # Embedded here: given ids, the library looks for padding among them at every call, and Python waits for a GPU.
    embedded = self.transformer.wte(input_ids)
    hidden = self.transformer(inputs_embeds=embedded, use_cache=False, **kwargs).last_hidden_state
    logits = self.lm_head(hidden)
    if labels is None:
        return CausalLMOutput(logits=logits)
    return CausalLMOutput(loss=self.loss_function(logits, labels, vocab_size=self.config.vocab_size, **kwargs))
