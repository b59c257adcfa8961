"""The largest weight of a GPT-2, shared by embedding and head, read and trained faster with the same numbers.

The parameter, its tie, its hooks and what is saved stay those of the library. Every condition runs the same code over
embeddings of the same size.
"""

from typing import Any, cast

import torch
from torch.nn import functional
from transformers import GPT2LMHeadModel

ALIGNMENT = 128  # columns: rows of 16-bit logits then begin at addresses that tensor cores read at full speed
_IGNORE_INDEX = -100  # the target of a position that predicts nothing
_MOSTLY_UNREAD = 8  # rows for each id that is read; with fewer, Python costs what the zeros do


class AlignedHead(torch.nn.Linear):
    """The output head, computed over a vocabulary that is padded to a multiple of 128 ids and then cut to its size.

    With 50,349 ids, rows of logits begin at odd addresses and all three matrix products of the head leave the fast
    path of a GPU: a third of a step of GPT-2 124M on an H100. The padding exists while the product is computed. The
    logits that are returned are a view of shape `(..., vocab_size)`. On a CPU nothing is padded: the copy would cost
    more than it saves.
    """

    def forward(self, hidden: torch.Tensor, targets: torch.Tensor | None = None) -> torch.Tensor:
        """Return logits of shape `(..., vocab_size)` for hidden states of shape `(..., width)`.

        Given targets of shape `(positions,)`, -100 where there is none, and hidden states of shape
        `(positions, width)`, it returns the sum of their cross-entropies instead; see `fuses_loss`.
        """
        if targets is not None:
            return cast(torch.Tensor, _SummedLosses.apply(hidden, self.weight, targets))
        return self.padded(hidden) if self.weight.is_cuda else super().forward(hidden)

    def fuses_loss(self, hidden: torch.Tensor) -> bool:
        """Return whether to compute the loss with the head: in a compiled graph on a CPU, in 32 bits.

        Eager mode keeps the library's operations, and with them its bits.
        """
        in_graph = torch.compiler.is_compiling() and torch.is_grad_enabled()
        is_wide = hidden.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        return in_graph and hidden.is_cpu and is_wide

    def padded(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the logits of `forward`, computed with padding on any device."""
        weight = functional.pad(self.weight, (0, 0, 0, -self.out_features % ALIGNMENT))
        return functional.linear(hidden, weight)[..., : self.out_features]


class TiedEmbedding(torch.nn.Embedding):
    """The embedding of ids, whose gradient has, on a CPU, only the rows of the ids that were read.

    The library's gradient is of the weight's size: with 50,349 ids and 512 tokens a step, 99% of it are zeros, which
    are written and then added to the head's gradient. Here the rows that were read are added to the head's gradient,
    which has all. Each row is summed in the library's order, so that the sums are the same bit by bit.

    A GPU would have to wait for the number of different ids, and a compiled graph has its own way; there, as for a
    weight that is not trained, that no head shares or of which much is read, the library's own pass runs.
    """

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return rows of the weight, of shape `(*ids.shape, width)`."""
        weight, eager = self.weight, torch.is_grad_enabled() and not torch.compiler.is_compiling()
        if weight.is_cpu and weight.requires_grad and eager and len(weight) >= _MOSTLY_UNREAD * ids.numel():
            return _RowsRead.apply(weight, ids)
        return super().forward(ids)


class _SummedLosses(torch.autograd.Function):
    """The sum of the cross-entropies of a head's logits, without a gradient of the shape of the logits.

    With hidden states `H`, the weight `W`, `E = exp(logits - largest)` and its row sums `s`, the loss subtracts each
    row's sum from `E` at the target. The gradient of the logits is then `g / s * E`, with `g` that of each position's
    loss, and both products with it read `E`: `g / s * (E W)` is the gradient of `H`, `E^T (g / s * H)` that of `W`.
    """

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits = functional.linear(hidden, weight)
        largest = logits.amax(-1, keepdim=True)
        exponentials = (logits - largest).exp()
        sums, counts = exponentials.sum(-1), targets != _IGNORE_INDEX
        ids, rows = torch.where(counts, targets, 0), torch.arange(len(targets), device=targets.device)
        exponentials = exponentials.index_put((rows, ids), -sums, accumulate=True)
        ctx.save_for_backward(hidden, weight, exponentials, sums, counts)
        losses = sums.log() + (largest - logits.gather(1, ids[:, None])).squeeze(1)
        return torch.where(counts, losses, 0.0).sum()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        hidden, weight, exponentials, sums, counts = ctx.saved_tensors
        scale = torch.where(counts, gradient / sums, 0.0)[:, None]
        return (exponentials @ weight) * scale, exponentials.T @ (hidden * scale), None


class _RowsRead(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(ids)
        ctx.shape = weight.shape
        return functional.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (ids,) = ctx.saved_tensors
        read, places = ids.unique(return_inverse=True)
        rows = torch.ops.aten.embedding_dense_backward(gradient, places, len(read), -1, False)
        return torch.sparse_coo_tensor(read[None], rows, ctx.shape, check_invariants=False, is_coalesced=True), None


def speed_up_tied_weight(model: GPT2LMHeadModel) -> None:
    """Make a model's head an `AlignedHead` and, where the two are tied, its embedding a `TiedEmbedding`."""
    # The classes alone are changed, so that the parameter, its hooks and its tie are those that were there.
    head, embedding = model.lm_head, model.transformer.wte
    head.__class__ = AlignedHead
    if head.weight is embedding.weight:
        embedding.__class__ = TiedEmbedding
