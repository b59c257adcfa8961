"""Packs fine-tuning examples into rows of one length, so that a step is a number of tokens.

TRL's best-fit-decreasing packing puts whole examples into a row, but sorts all of a data set by length first. Two
tokenizers would then read the same examples in two orders that have nothing in common. Here, examples are drawn in one
order that the seed and their number decide, the same in every condition, and packed a window at a time.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from trl import pack_dataset

WINDOW = 1000
"""Examples that are packed together. Two conditions may differ in their order within a window, and beyond it in the
few examples of the row that waits for the next one. So of two that stop within a window neither need have read all
that the other has."""

Batch = dict[str, Any]


class PackedRows(torch.utils.data.Dataset[Batch]):
    """The rows of a stage, in the order in which they are trained on.

    Args:
        examples (`Dataset`): the encoded examples: `input_ids`, `labels` and `source_bytes`.
        rows (`Sequence[Sequence[int]]`): the indices of the examples in each row.
    """

    def __init__(self, examples: Dataset, rows: Sequence[Sequence[int]]) -> None:
        self.examples = examples
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Batch:
        found = [self.examples[number] for number in self.rows[index]]
        joined: Batch = {key: [one for row in found for one in row[key]] for key in ("input_ids", "labels")}
        return joined | {
            "seq_lengths": [len(row["input_ids"]) for row in found],
            "source_bytes": [row["source_bytes"] for row in found],
        }


def packed_steps(lengths: Sequence[int], row_length: int, rows_per_step: int, epochs: float, seed: int) -> int:
    """Return the steps that so many epochs take, at least 1.

    Args:
        lengths (`Sequence[int]`): the tokens of each example; for a number that every condition shares, those of the
            base vocabulary.
        row_length (`int`): tokens in a row.
        rows_per_step (`int`): rows of an optimizer step.
        epochs (`float`): passes over the examples.
        seed (`int`): of the order.
    """
    rows_per_epoch = len(next(_epochs(lengths, row_length, seed))) + 1
    return max(1, math.ceil(rows_per_epoch * epochs / rows_per_step))


def packed_order(lengths: Sequence[int], row_length: int, num_rows: int, seed: int) -> list[list[int]]:
    """Return the examples of each row, for as many rows as training takes, epoch after epoch.

    Args:
        lengths (`Sequence[int]`): the tokens of each example, none more than `row_length`.
        row_length (`int`): tokens in a row.
        num_rows (`int`): number of rows.
        seed (`int`): of the order.
    """
    rows = (row for epoch in _epochs(lengths, row_length, seed) for row in epoch)
    return list(islice(rows, num_rows))


def _epochs(lengths: Sequence[int], row_length: int, seed: int) -> Iterator[list[list[int]]]:
    """Yield the rows of each epoch. The emptiest row of a window waits for the next, and is filled from there."""
    sizes, waiting = np.asarray(lengths), np.array([], dtype=np.int64)
    assert sizes.max() <= row_length  # a longer example would be cut
    for epoch in count():
        generator = np.random.default_rng([seed, epoch])
        order, rows = generator.permutation(len(sizes)), []
        for start in range(0, len(order), WINDOW):
            packed = _best_fit(np.concatenate([waiting, order[start : start + WINDOW]]), sizes, row_length)
            emptiest = min(range(len(packed)), key=lambda index: sizes[packed[index]].sum())
            waiting = np.array(packed.pop(emptiest))
            rows += [packed[index] for index in generator.permutation(len(packed))]  # the library puts long ones first
        yield rows


def _best_fit(examples: np.ndarray, sizes: np.ndarray, row_length: int) -> list[list[int]]:
    """Return the examples of each row, as TRL packs examples of their lengths."""
    ends = np.concatenate([[0], np.cumsum(sizes[examples])])
    filled = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(np.repeat(examples, sizes[examples])))
    packed = pack_dataset(Dataset(pa.table({"example": filled})), row_length, "bfd", {"batch_size": len(examples)})
    rows = zip(packed["example"], packed["seq_lengths"], strict=True)
    return [[row[end - 1] for end in np.cumsum(lengths)] for row, lengths in rows]


def collate_rows(collate: Callable[[list[Batch]], Batch], row_length: int, pad_id: int, rows: list[Batch]) -> Batch:
    """Return packed rows as a batch of shape `(rows, row_length)`, padded at the end, in which positions restart.

    Without an attention mask, the model tells examples apart by their positions. TRL 1.16 joins all rows to a single
    one, whose attention would cost as much as its squared length. Examples that are not packed are left to it.

    Args:
        collate: TRL's collator without padding, which also passes on `source_bytes`.
        row_length (`int`): tokens in a row.
        pad_id (`int`): the padding token.
        rows (`list[Batch]`): items of `PackedRows`.

    Returns:
        `Batch`: `input_ids`, `labels`, `position_ids`, and `seq_idx`, which numbers the examples of the batch and is
            -1 in padding.
    """
    if "seq_lengths" not in rows[0]:
        return collate(rows)
    filled, real = [], []
    for row in rows:
        padding = row_length - len(row["input_ids"])
        more = [padding] if padding else []
        filled.append(
            {
                "input_ids": row["input_ids"] + [pad_id] * padding,
                "labels": row["labels"] + [-100] * padding,
                "seq_lengths": row["seq_lengths"] + more,
                "source_bytes": row["source_bytes"],
            }
        )
        real += [True] * len(row["seq_lengths"]) + [False] * len(more)
    joined = collate(filled)
    batch: Batch = {key: joined[key].view(len(rows), row_length) for key in ("input_ids", "labels", "position_ids")}
    is_real = torch.tensor(real)
    numbers = torch.where(is_real, is_real.cumsum(0) - 1, -1)
    batch["seq_idx"] = numbers[joined["seq_idx"].long()].view(len(rows), row_length)
    return batch | {"source_bytes": joined["source_bytes"]}
