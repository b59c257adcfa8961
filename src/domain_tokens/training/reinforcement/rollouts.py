"""Sampling for GRPO in which a completion that has ended leaves the batch."""

import copy
from functools import partial
from typing import Any

import torch
from transformers import DynamicCache, GenerationConfig, GPT2LMHeadModel
from transformers.integrations import is_deepspeed_zero3_enabled

PIECE = 32  # tokens; after so many, the batch and its cache are copied without what has ended


def let_ended_rows_leave(model: GPT2LMHeadModel) -> None:
    """Make `model.generate` compute no more for rows that have ended, which the library's keeps until the last ends.

    Greedy tokens are those of the library, and so are all tokens of a batch in which no row leaves. Otherwise the same
    distribution is sampled with other random numbers, because a draw is over the rows that are there.

    Under ZeRO stage 3 nothing changes: there all processes must take the same number of steps.
    """
    if not is_deepspeed_zero3_enabled():
        model.generate = partial(_generate, model)


@torch.no_grad()
def _generate(
    model: GPT2LMHeadModel,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    generation_config: GenerationConfig,
    **inputs: Any,
) -> torch.Tensor:
    """Return prompts and completions of shape `(rows, length)`, padded behind the end; see `let_ended_rows_leave`."""
    ends = torch.as_tensor(generation_config.eos_token_id, device=input_ids.device)
    shape = (len(input_ids), generation_config.max_new_tokens)
    written = input_ids.new_full(shape, generation_config.pad_token_id)
    rows = torch.arange(len(input_ids), device=input_ids.device)
    piece = copy.copy(generation_config)
    piece.return_dict_in_generate = True
    piece.use_cache = True  # a model that trains is configured without
    ids, mask, cache, length = input_ids, attention_mask, DynamicCache(config=model.config), 0
    while length < shape[1] and len(rows):
        piece.max_new_tokens = min(PIECE, shape[1] - length)
        out = GPT2LMHeadModel.generate(
            model, input_ids=ids, attention_mask=mask, past_key_values=cache, generation_config=piece, **inputs
        )
        new = out.sequences[:, ids.shape[1] :]
        written[rows, length : length + new.shape[1]] = new
        length += new.shape[1]
        (stay,) = torch.nonzero(~torch.isin(new, ends).any(dim=1), as_tuple=True)
        mask = torch.cat([mask, mask.new_ones(new.shape)], dim=1)[stay]
        ids, rows = out.sequences[stay], rows[stay]
        cache.batch_select_indices(stay)
    return torch.cat([input_ids, written[:, :length]], dim=1)
