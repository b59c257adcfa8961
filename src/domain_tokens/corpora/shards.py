"""Token shards on disk, and the packed sequences that pretraining reads from them."""

import bisect
import hashlib
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import orjson

from domain_tokens.recipe import RecipeError
from domain_tokens.tokenization.bpe.digits import GroupCount, GroupCounter
from domain_tokens.tokenization.facts import END_OF_TEXT, IdRanges
from domain_tokens.tokenization.intervention import Intervention

if TYPE_CHECKING:
    import torch

SPLITS = ("train", "validation")
_READ_AHEAD = 2**14  # tokens: a small model's batch is read in less time than it takes to find where it lies


class TokenStream(Protocol):
    """Documents one after the other, as token ids.

    Attributes:
        num_tokens: tokens of all documents.
        document_ends: where each document ends, in tokens from the beginning, shape `(documents,)`.
    """

    num_tokens: int
    document_ends: np.ndarray

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the ids from token `start` to before token `stop`, shape `(stop - start,)`, dtype int64."""


class Shards:
    """The token ids of one split, in the order in which they were written, as memory-mapped uint16 files.

    Attributes:
        files: the files, in order.
        arrays: their token ids.
        num_tokens: tokens in all files.
        document_ends: where each document ends, in tokens from the beginning of the first file, shape `(documents,)`.
    """

    def __init__(self, folder: Path) -> None:
        files = sorted(folder.glob("*.ds"))
        if not files:
            raise RecipeError(f"{folder}: no token shards; run scripts/prepare_data.py with the same recipe first")
        self.files = files
        # Seen as plain arrays, which are sliced five times as fast; the file stays mapped.
        self.arrays = [np.memmap(file, dtype=np.uint16, mode="r").view(np.ndarray) for file in files]
        self._starts = [0, *itertools.accumulate(map(len, self.arrays))]
        self.num_tokens = self._starts[-1]
        ends = [np.fromfile(f"{file}.index", dtype=np.uint64).astype(np.int64) for file in files]
        self.document_ends = np.concatenate([end + start for end, start in zip(ends, self._starts, strict=False)])

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the ids from token `start` to before token `stop`, shape `(stop - start,)`, dtype int64."""
        return _joined(self.pieces(start, stop))

    def pieces(self, start: int, stop: int) -> list[np.ndarray]:
        """Return the ids of `read` as views, one of each file that they span, dtype uint16."""
        file = bisect.bisect_right(self._starts, start) - 1
        found = []
        while start < stop:
            first = self._starts[file]
            found.append(self.arrays[file][start - first : stop - first])
            file += 1
            start = self._starts[file]
        return found


class DrawnDocuments:
    """Whole documents of a split in another order, read through the index of where they end.

    Nothing is copied: the shards stay where they are, and the index takes 16 bytes of memory a document.

    Args:
        shards (`Shards`): the tokens.
        drawn (`np.ndarray`): which documents, in order, by their numbers in the shards; from `draw_documents`.
        max_tokens (`int`, *optional*): the stream ends after this many tokens, inside a document or not.

    Attributes:
        drawn: the same.
        num_tokens: tokens of these documents, or `max_tokens`.
        document_ends: where each of them ends, in tokens from the beginning of the first.
    """

    def __init__(self, shards: Shards, drawn: np.ndarray, max_tokens: int | None = None) -> None:
        self._shards = shards
        self.drawn = drawn
        self._begins = np.concatenate([[0], shards.document_ends[:-1]])[drawn]
        self.document_ends = np.cumsum(shards.document_ends[drawn] - self._begins)
        self.num_tokens = int(self.document_ends[-1])
        if max_tokens is not None:
            assert max_tokens <= self.num_tokens, "there are fewer tokens"
            self.num_tokens = max_tokens

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the ids from token `start` to before token `stop`, shape `(stop - start,)`, dtype int64."""
        first = int(np.searchsorted(self.document_ends, start, side="right"))
        last = int(np.searchsorted(self.document_ends, stop, side="left"))
        ends, begins = self.document_ends[first : last + 1].tolist(), self._begins[first : last + 1].tolist()
        # The first document may have begun before `start`, the last may end after `stop`.
        at = int(self.document_ends[first - 1]) if first else 0
        pieces: list[np.ndarray] = []
        for begin, end in zip(begins, ends, strict=True):
            pieces += self._shards.pieces(begin + max(start - at, 0), begin + min(end, stop) - at)
            at = end
        return _joined(pieces)


def _joined(pieces: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype=np.uint16), *pieces], dtype=np.int64)


def draw_documents(num_documents: int, seed: int, share: float = 1.0) -> np.ndarray:
    """Return the numbers of the documents that a run reads, in order, shape `(round(share * num_documents),)`.

    They depend on the arguments alone: conditions that hold the same documents read the same ones in the same order. A
    smaller share is the beginning of a larger one.

    Args:
        num_documents (`int`): documents of the split.
        seed (`int`): the run's.
        share (`float`, *optional*, defaults to 1.0): how many of them are drawn; none is drawn twice.
    """
    # Raw numbers, sorted: NumPy keeps the raw stream of a bit generator from version to version, but may change
    # how it makes a permutation from it.
    keys = np.random.PCG64(seed).random_raw(num_documents)
    return np.argsort(keys, kind="stable")[: max(1, round(share * num_documents))]


def drawn_sha256(document_order_sha256: str, drawn: np.ndarray) -> str:
    """Return one hash of which documents are read in which order, from the hash of those in the shards."""
    return hashlib.sha256(document_order_sha256.encode() + drawn.astype("<i8").tobytes()).hexdigest()


class PackedSequences:
    """Concatenated documents, cut into sequences of equal length. Drops the incomplete last sequence.

    Args:
        stream (`TokenStream`): the documents, one after the other.
        sequence_length (`int`): tokens of one sequence.
        multiple_of (`int`, *optional*, defaults to 1): the number of sequences is a multiple of this. If it is the
            number of sequences of one optimizer step, every step of every epoch is whole, on any number of processes.

    An item is its ids, int64, of shape `(sequence_length,)`. The class does not inherit from
    `torch.utils.data.Dataset`: a DataLoader needs only these three methods, and data preparation saves the 1.4 s that
    importing torch takes.
    """

    def __init__(self, stream: TokenStream, sequence_length: int, multiple_of: int = 1) -> None:
        self.stream = stream
        self.sequence_length = sequence_length
        self.multiple_of = multiple_of
        if len(self) == 0:
            raise RecipeError(
                f"the corpus holds {stream.num_tokens} tokens, fewer than the {multiple_of * sequence_length} "
                "that are read at a time; add documents to corpus.sources"
            )
        self._ahead, self._ahead_from = np.empty((0, sequence_length), dtype=np.int64), 0

    def __len__(self) -> int:
        return self.stream.num_tokens // (self.sequence_length * self.multiple_of) * self.multiple_of

    def __getitem__(self, index: int) -> "torch.Tensor":
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> "torch.Tensor":
        """Return several items at once, of shape `(len(indices), sequence_length)`: what a DataLoader asks for.

        They are not to be changed: neighbours are a view of what was read ahead. Where several processes or workers
        take turns with small batches, each reads all.
        """
        import torch

        if indices and not 0 <= min(indices) <= max(indices) < len(self):
            raise IndexError(f"{len(self)} sequences have no number {min(indices)} to {max(indices)}")
        first = indices[0] if indices else 0
        stop = first + len(indices)
        if indices != list(range(first, stop)):
            return torch.from_numpy(np.concatenate([self._read(one, one + 1) for one in indices]))
        # As in pretraining: one piece of the stream.
        if not self._ahead_from <= first <= stop <= self._ahead_from + len(self._ahead):
            batches = max(1, _READ_AHEAD // (self.sequence_length * max(1, len(indices))))
            rows = batches * len(indices)
            self._ahead, self._ahead_from = self._read(first, min(first + rows, len(self))), first
        return torch.from_numpy(self._ahead[first - self._ahead_from : stop - self._ahead_from])

    def _read(self, first: int, stop: int) -> np.ndarray:
        length = self.sequence_length
        return self.stream.read(first * length, stop * length).reshape(-1, length)


def document_order(
    documents: Path, seed: int, visit: Callable[[str, str], None] | None = None
) -> tuple[list[str], np.ndarray]:
    """Return the ids of the documents in the order of the shards, and their sizes in UTF-8 bytes.

    Repeats the draws of `DocumentTokenizer` (documents within a file) and `DocumentTokenizerMerger` (files), which
    depend on the number of documents alone, so the order is the same for every tokenizer.

    Args:
        documents (`Path`): the folder of one split.
        seed (`int`): the seed of the shuffle.
        visit (`Callable`, *optional*): called with the id and the text of every document, in the order of the files.
    """
    ids: list[list[str]] = []
    sizes: list[list[int]] = []
    for file in sorted(documents.glob("*.jsonl")):
        with file.open("rb") as lines:
            rows = []
            for row in map(orjson.loads, lines):
                rows.append((row["id"], len(row["text"].encode())))
                if visit is not None:
                    visit(row["id"], row["text"])
        permutation = np.random.default_rng(seed).permutation(len(rows))
        ids.append([rows[index][0] for index in permutation])
        sizes.append([rows[index][1] for index in permutation])
    owners = np.concatenate([np.full(len(rows), index) for index, rows in enumerate(ids)])
    next_of = [iter(zip(*pair, strict=True)) for pair in zip(ids, sizes, strict=True)]
    ordered = [next(next_of[owner]) for owner in np.random.default_rng(seed).permutation(owners)]
    return [document for document, _ in ordered], np.array([size for _, size in ordered], dtype=np.int64)


def id_counts(shards: Shards) -> list[np.ndarray]:
    """Return how often each id occurs in each file of a split, shape `(2**16,)` each."""
    counts = []
    for array in shards.arrays:
        counts.append(np.zeros(2**16, dtype=np.int64))
        for start in range(0, len(array), 2**24):
            counts[-1] += np.bincount(array[start : start + 2**24], minlength=2**16)
    return counts


def fact_counts(counts: np.ndarray, num_documents: int, intervention: Intervention, ids: IdRanges) -> dict[str, int]:
    """Count each token of the intervention in a corpus, those that never occur included.

    Args:
        counts (`np.ndarray`): how often each id occurs, shape `(2**16,)`.
        num_documents (`int`): as many end-of-text tokens are expected.
        intervention (`Intervention`): whose tokens are counted.
        ids (`IdRanges`): the ids of its tokenizer.

    Raises:
        RuntimeError: if the corpus holds a reserved id, or an id outside the vocabulary.
    """
    names = intervention.token_names()
    first_free = ids.first_added + len(names)
    wrong = np.flatnonzero(counts[ids.num_base : ids.first_added]) + ids.num_base
    beyond = np.flatnonzero(counts[first_free:]) + first_free
    if len(wrong) or len(beyond):
        raise RuntimeError(f"the corpus holds reserved ids {[*wrong.tolist(), *beyond.tolist()]}")
    if counts[ids.end_of_text] != num_documents:
        raise RuntimeError(f"{counts[ids.end_of_text]} {END_OF_TEXT} tokens for {num_documents} documents")
    return {name: int(counts[ids.first_added + index]) for index, name in enumerate(names)}


def count_groups(shards: Shards, counter: GroupCounter) -> GroupCount:
    """Count the groups of digits in a corpus, about 16 million tokens at a time."""
    total, start = GroupCount(), 0
    for end in shards.document_ends.tolist():
        if end - start >= 2**24 or end == shards.num_tokens:
            total += counter.count(shards.read(start, end))
            start = end
    return total
