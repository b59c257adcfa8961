"""Token shards on disk, and the packed sequences that pretraining reads from them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from domain_tokens.recipe import RecipeError
from domain_tokens.tokenization.digits import GroupCount, GroupCounter
from domain_tokens.tokenization.facts import END_OF_TEXT, IdRanges
from domain_tokens.tokenization.intervention import Intervention

if TYPE_CHECKING:
    import torch

SPLITS = ("train", "validation")


class Shards:
    """The token ids of one split, in reading order, as memory-mapped uint16 files.

    Attributes:
        num_tokens: tokens in all files.
        document_ends: where each document ends, in tokens from the beginning of the first file, shape `(documents,)`.
    """

    def __init__(self, folder: Path) -> None:
        files = sorted(folder.glob("*.ds"))
        if not files:
            raise RecipeError(f"{folder}: no token shards; run scripts/prepare_data.py with the same recipe first")
        self.arrays = [np.memmap(file, dtype=np.uint16, mode="r") for file in files]
        lengths = np.array([len(array) for array in self.arrays], dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(lengths)])
        self.num_tokens = int(self._starts[-1])
        ends = [np.fromfile(f"{file}.index", dtype=np.uint64).astype(np.int64) for file in files]
        self.document_ends = np.concatenate([end + start for end, start in zip(ends, self._starts, strict=False)])

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the ids from token `start` to before token `stop`, shape `(stop - start,)`, dtype int64."""
        pieces = []
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        for array, begin in zip(self.arrays[first:], self._starts[first:], strict=False):
            if begin >= stop:
                break
            pieces.append(array[max(start - begin, 0) : stop - begin])
        return np.concatenate(pieces).astype(np.int64)


class PackedSequences:
    """Concatenated documents, cut into sequences of equal length. Drops the incomplete last sequence.

    Args:
        shards (`Shards`): the tokens.
        sequence_length (`int`): tokens of one sequence.
        multiple_of (`int`, *optional*, defaults to 1): the number of sequences is a multiple of this. If it is the
            number of sequences of one optimizer step, every step of every epoch is whole, on any number of processes.

    An item is `{"input_ids": (sequence_length,), "labels": (sequence_length,)}`, int64; the model shifts the labels.
    The class does not inherit from `torch.utils.data.Dataset`: a DataLoader needs only these three methods, and data
    preparation saves the 1.4 s that importing torch takes.
    """

    def __init__(self, shards: Shards, sequence_length: int, multiple_of: int = 1) -> None:
        self.shards = shards
        self.sequence_length = sequence_length
        self.multiple_of = multiple_of
        if len(self) == 0:
            raise RecipeError(
                f"the corpus holds {shards.num_tokens} tokens, fewer than the {multiple_of * sequence_length} "
                "that are read at a time; add documents to corpus.sources"
            )

    def __len__(self) -> int:
        return self.shards.num_tokens // (self.sequence_length * self.multiple_of) * self.multiple_of

    def __getitem__(self, index: int) -> "dict[str, torch.Tensor]":
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> "list[dict[str, torch.Tensor]]":
        """Return several items at once: what a DataLoader asks for."""
        import torch

        items = []
        for index in indices:
            start = index * self.sequence_length
            ids = torch.from_numpy(self.shards.read(start, start + self.sequence_length))
            items.append({"input_ids": ids, "labels": ids})
        return items


def document_order(documents: Path, seed: int) -> tuple[list[str], np.ndarray]:
    """Return the ids of the documents in the order in which they are trained on, and their sizes in UTF-8 bytes.

    Repeats the draws of `DocumentTokenizer` (documents within a file) and `DocumentTokenizerMerger` (files), which
    depend on the number of documents alone, so the order is the same for every tokenizer.
    """
    ids: list[list[str]] = []
    sizes: list[list[int]] = []
    for file in sorted(documents.glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            rows = [(row["id"], len(row["text"].encode())) for row in map(json.loads, lines)]
        permutation = np.random.default_rng(seed).permutation(len(rows))
        ids.append([rows[index][0] for index in permutation])
        sizes.append([rows[index][1] for index in permutation])
    owners = np.concatenate([np.full(len(rows), index) for index, rows in enumerate(ids)])
    next_of = [iter(zip(*pair, strict=True)) for pair in zip(ids, sizes, strict=True)]
    ordered = [next(next_of[owner]) for owner in np.random.default_rng(seed).permutation(owners)]
    return [document for document, _ in ordered], np.array([size for _, size in ordered], dtype=np.int64)


def fact_counts(shards: Shards, intervention: Intervention, ids: IdRanges) -> dict[str, int]:
    """Count each token of the intervention in a corpus, those that never occur included.

    Raises:
        RuntimeError: if the corpus holds a reserved id, or an id outside the vocabulary.
    """
    names = intervention.token_names()
    first_free = ids.first_added + len(names)
    counts = np.zeros(2**16, dtype=np.int64)
    for array in shards.arrays:
        for start in range(0, len(array), 2**24):
            counts += np.bincount(array[start : start + 2**24], minlength=2**16)
    wrong = np.flatnonzero(counts[ids.num_base : ids.first_added]) + ids.num_base
    beyond = np.flatnonzero(counts[first_free:]) + first_free
    if len(wrong) or len(beyond):
        raise RuntimeError(f"the corpus holds reserved ids {[*wrong.tolist(), *beyond.tolist()]}")
    if counts[ids.end_of_text] != len(shards.document_ends):
        raise RuntimeError(f"{counts[ids.end_of_text]} {END_OF_TEXT} tokens for {len(shards.document_ends)} documents")
    return {name: int(counts[ids.first_added + index]) for index, name in enumerate(names)}


def count_groups(shards: Shards, counter: GroupCounter) -> GroupCount:
    """Count the groups of digits in a corpus, about 16 million tokens at a time."""
    total, start = GroupCount(), 0
    for end in shards.document_ends.tolist():
        if end - start >= 2**24 or end == shards.num_tokens:
            total += counter.count(shards.read(start, end))
            start = end
    return total
