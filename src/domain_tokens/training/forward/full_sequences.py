"""A faster forward pass of the same GPT-2: causal attention without a mask, and the loss alone.

What is computed stays the same, and so does what is saved: `config.json` and the weights are those of a native
`GPT2LMHeadModel`. Every condition runs the same code.
"""

from types import MethodType
from typing import Any, NamedTuple

import torch
from torch.nn import functional
from transformers import GPT2LMHeadModel
from transformers.modeling_outputs import CausalLMOutput
from transformers.models.gpt2 import modeling_gpt2
from transformers.pytorch_utils import Conv1D

from domain_tokens.training.forward.tied_weight import AlignedHead

_WITHOUT_EFFECT = ("return_dict", "use_cache")


class LossAlone(NamedTuple):
    """What a forward pass with labels returns; the library's own class costs 70 microseconds a call."""

    loss: torch.Tensor
    logits: None = None


class GPT2Block(modeling_gpt2.GPT2Block):
    """The library's block for sequences that are full: attention is causal and needs no mask.

    It has the name of the library's, by which FSDP finds the blocks.
    """

    def forward(self, hidden: torch.Tensor, length: int) -> torch.Tensor:
        """Return hidden states of the shape of `hidden`, `(rows * length, width)`."""
        attention, mlp = self.attn, self.mlp
        projected = attention.c_attn(self.ln_1(hidden)).view(-1, length, 3, attention.num_heads, attention.head_dim)
        query, key, value = (part.transpose(1, 2) for part in projected.unbind(2))
        attended = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=attention.attn_dropout.p if self.training else 0.0,
            is_causal=length > 1, scale=attention.scaling,
        )  # fmt: skip
        attended = attention.c_proj(attended.transpose(1, 2).reshape(hidden.shape))
        hidden = hidden + _dropped(attention.resid_dropout, attended)
        return hidden + _dropped(mlp.dropout, mlp.c_proj(mlp.act(mlp.c_fc(self.ln_2(hidden)))))


class FullPositions(torch.nn.Embedding):
    """The embedding of positions, which for full sequences is the first rows of its weight."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return what is added to the embeddings of ids of shape `(rows, length)`, of shape `(length, width)`."""
        return self.weight[: ids.shape[-1]]


class FlatConv1D(Conv1D):
    """The library's linear layer, whose weight is transposed, for hidden states that are already a matrix."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return values of shape `(positions, out)` for hidden states of shape `(positions, width)`."""
        return torch.addmm(self.bias, hidden, self.weight)


def _dropped(dropout: torch.nn.Dropout, values: torch.Tensor) -> torch.Tensor:
    # Without dropout, calling the module costs Python as much as the addition that follows.
    return dropout(values) if dropout.p else values


def for_full_sequences(model: GPT2LMHeadModel) -> None:
    """Make a model fast on sequences that are full, neither padded nor packed: those of pretraining.

    Its attention builds no mask, which otherwise costs a synchronization per forward pass, or the flash kernel where
    the model is compiled. Given labels, its forward pass returns the loss without the logits, so that a compiled graph
    need not keep them. Nor does it do what the library's does at every call beside the arithmetic: look for padding,
    merge defaults, collect outputs.

    A batch with an attention mask, with positions of its own, or with a cache needs a mask and is refused.
    """
    # Classes alone change: parameters, and hooks of modules and of parameters, stay what they are.
    model.transformer.wpe.__class__ = FullPositions
    for block in model.transformer.h:
        block.__class__ = GPT2Block
        for layer in (block.attn.c_attn, block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj):
            layer.__class__ = FlatConv1D
    model.forward = MethodType(_loss_alone, model)
    # The Trainer calls it at every micro batch, and the library's walks through all modules.
    model.train = MethodType(_train_if_it_does_not, model)


def hidden_states(model: GPT2LMHeadModel, input_ids: torch.Tensor) -> torch.Tensor:
    """Return what the head reads, of shape `(rows, length, width)`, of a model for full sequences."""
    body = model.transformer
    hidden = _dropped(body.drop, body.wte(input_ids) + body.wpe(input_ids))
    # A matrix from block to block: every change of shape costs Python and the backward pass a little.
    flat, length = hidden.flatten(0, 1), input_ids.shape[1]
    for block in body.h:
        flat = block(flat, length)
    return body.ln_f(flat.view(hidden.shape))


def _loss_alone(
    self: GPT2LMHeadModel, input_ids: torch.Tensor, labels: torch.Tensor | None = None,
    num_items_in_batch: torch.Tensor | int | None = None, **others: Any,
) -> LossAlone | CausalLMOutput:  # fmt: skip
    if refused := [key for key, value in others.items() if value is not None and key not in _WITHOUT_EFFECT]:
        raise ValueError(f"a model for full sequences was called with {', '.join(refused)}")
    head, hidden = self.lm_head, hidden_states(self, input_ids)
    if labels is None:
        return CausalLMOutput(logits=head(hidden))
    # The library's loss, operation by operation (`loss_type` "ForCausalLM"), without what it looks up at every call.
    targets = functional.pad(labels, (0, 1), value=-100)[:, 1:].flatten()
    if isinstance(head, AlignedHead) and head.fuses_loss(hidden):
        count = (targets != -100).sum() if num_items_in_batch is None else num_items_in_batch
        return LossAlone(head(hidden.flatten(0, 1), targets) / count)
    logits = head(hidden).float().flatten(0, 1)
    if num_items_in_batch is None:
        return LossAlone(functional.cross_entropy(logits, targets))
    return LossAlone(functional.cross_entropy(logits, targets, reduction="sum") / num_items_in_batch)


def _train_if_it_does_not(self: GPT2LMHeadModel, mode: bool = True) -> GPT2LMHeadModel:
    # A compiled model writes its own mode onto this one before it calls this: the parts have to be looked at too.
    unchanged = self.training is mode and self.transformer.training is mode
    return self if unchanged else GPT2LMHeadModel.train(self, mode)
