"""A plain GPT-2 and its training loop in PyTorch, which our pretraining is compared with.

Written for comparison alone: linear layers, scaled dot-product attention with a causal flag, a tied head, one fused
AdamW, gradients clipped at 1. Nothing is logged, saved or resumed.
"""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel


class Block(nn.Module):
    """Attention and a feed-forward layer, each behind a layer norm, each added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.attn_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.c_fc, self.mlp_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return hidden states of the shape of `hidden`, `(rows, length, width)`."""
        rows, length, width = hidden.shape
        query, key, value = (
            part.view(rows, length, self.heads, width // self.heads).transpose(1, 2)
            for part in self.c_attn(self.ln_1(hidden)).split(width, dim=2)
        )
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        hidden = hidden + self.attn_proj(attended.transpose(1, 2).reshape(rows, length, width))
        return hidden + self.mlp_proj(functional.gelu(self.c_fc(self.ln_2(hidden)), approximate="tanh"))


class PlainGPT2(nn.Module):
    """GPT-2 without dropout. Given ids and targets of shape `(rows, length)`, it returns the mean loss."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.blocks = nn.ModuleList(Block(config.n_embd, config.n_head) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd)

    def forward(self, ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy of `targets`, of shape `(rows, length)` as `ids`; -100 is left out."""
        hidden = self.wte(ids) + self.wpe(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            hidden = block(hidden)
        logits = functional.linear(self.ln_f(hidden), self.wte.weight)
        return functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def with_weights_of(model: GPT2LMHeadModel) -> PlainGPT2:
    """Return a plain model with the weights of ours; GPT-2's `Conv1D` holds a linear layer's weight transposed."""
    plain, body = PlainGPT2(model.config), model.transformer
    pairs: list[tuple[nn.Module, nn.Module]] = [(plain.wte, body.wte), (plain.wpe, body.wpe), (plain.ln_f, body.ln_f)]
    for block, theirs in zip(plain.blocks, body.h, strict=True):
        pairs += [(block.ln_1, theirs.ln_1), (block.ln_2, theirs.ln_2)]
        pairs += [(block.c_attn, theirs.attn.c_attn), (block.attn_proj, theirs.attn.c_proj)]
        pairs += [(block.c_fc, theirs.mlp.c_fc), (block.mlp_proj, theirs.mlp.c_proj)]
    for own, other in pairs:
        weights = {name: value.detach().cpu() for name, value in other.state_dict().items()}
        if isinstance(own, nn.Linear):
            weights["weight"] = weights["weight"].T
        own.load_state_dict(weights)
    return plain


class PlainLoop:
    """The training loop around a plain model.

    Args:
        model (`PlainGPT2`): the model, on its device.
        batches (`Iterator[torch.Tensor]`): micro batches of ids, of shape `(rows, length)`.
        accumulation (`int`): micro batches of a step.
        learning_rate (`float`): the same at every step.
        bf16 (`bool`): whether to compute in bfloat16 where autocast does.
        compiled (`bool`): whether to compile the model.
    """

    def __init__(
        self, model: PlainGPT2, batches: Iterator[torch.Tensor], accumulation: int, learning_rate: float, *,
        bf16: bool, compiled: bool,
    ) -> None:  # fmt: skip
        self.model, self.batches, self.accumulation, self.bf16 = model, batches, accumulation, bf16
        self.device = next(model.parameters()).device
        self.call = torch.compile(model) if compiled else model
        decayed = [weight for weight in model.parameters() if weight.dim() > 1]
        others = [weight for weight in model.parameters() if weight.dim() == 1]  # biases and norms, as in ours
        groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.95), fused=True)

    def step(self) -> torch.Tensor:
        """Train one step; return its loss, still on the device."""
        total: torch.Tensor | None = None
        for _ in range(self.accumulation):
            ids = next(self.batches).to(self.device, non_blocking=True)
            targets = functional.pad(ids[:, 1:], (0, 1), value=-100)  # the last id predicts nothing, as in ours
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                loss = self.call(ids, targets)
            if self.accumulation > 1:
                loss = loss / self.accumulation
            loss.backward()
            total = loss.detach() if total is None else total + loss.detach()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        assert total is not None
        return total
