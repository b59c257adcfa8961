"""Token shards, the order in which a seed reads their documents, and the sequences that pretraining reads."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_tokens.corpora.shards import DrawnDocuments, PackedSequences, Shards, draw_documents, drawn_sha256
from domain_tokens.recipe import RecipeError


@pytest.fixture
def shards(tmp_path) -> Shards:
    """Tokens 0..99 as five documents of 20, in two files of 40 and 60."""
    for name, start, stop in (("000_x", 0, 40), ("001_x", 40, 100)):
        np.arange(start, stop, dtype=np.uint16).tofile(tmp_path / f"{name}.ds")
        np.arange(20, stop - start + 1, 20, dtype=np.uint64).tofile(tmp_path / f"{name}.ds.index")
    return Shards(tmp_path)


def test_sequences_run_across_files_in_order(shards: Shards) -> None:
    assert shards.num_tokens == 100
    assert shards.document_ends.tolist() == [20, 40, 60, 80, 100]
    packed = PackedSequences(shards, 16)
    assert len(packed) == 6
    assert packed.__getitems__(list(range(6))).flatten().tolist() == list(range(96))
    assert packed.__getitems__([3, 1, 2, 2])[:, 0].tolist() == [48, 16, 32, 32]
    assert packed.__getitems__([2, 1])[:, 0].tolist() == [32, 16]
    assert packed.__getitems__([]).shape == (0, 16)
    assert packed[2].tolist() == list(range(32, 48))


class Numbers:
    """A stream of the numbers from 0, which notes what was read of it."""

    def __init__(self, num_tokens: int) -> None:
        self.num_tokens, self.document_ends = num_tokens, np.array([num_tokens])
        self.reads: list[tuple[int, int]] = []

    def read(self, start: int, stop: int) -> np.ndarray:
        assert 0 <= start <= stop <= self.num_tokens
        self.reads.append((start, stop))
        return np.arange(start, stop)


@given(st.integers(50, 20_000), st.lists(st.tuples(st.integers(0, 29), st.integers(1, 30)), min_size=1, max_size=20))
def test_a_batch_is_what_the_stream_says_whatever_was_read_ahead(length: int, batches: list[tuple[int, int]]) -> None:
    packed = PackedSequences(Numbers(30 * length + length // 2), length)
    for first, rows in batches:
        stop = min(first + rows, 30)
        read = packed.__getitems__(list(range(first, stop)))
        assert read.numpy().tobytes() == np.arange(first * length, stop * length).tobytes()
        assert read.shape == (stop - first, length)


@given(st.integers(50, 2000), st.lists(st.lists(st.integers(0, 29), min_size=1, max_size=4), min_size=1, max_size=20))
def test_sequences_in_any_order_are_those_of_the_stream(length: int, batches: list[list[int]]) -> None:
    packed = PackedSequences(Numbers(30 * length), length)
    for indices in [[0, 1], [1, 3, 2], [4, 9, 6], *batches]:
        assert packed.__getitems__(indices)[:, 0].tolist() == [one * length for one in indices]


def test_a_batch_that_is_kept_stays_what_it_was_when_more_is_read() -> None:
    packed = PackedSequences(Numbers(30 * 4096), 4096)
    kept = [packed.__getitems__([row]) for row in range(30)]
    assert len(packed.stream.reads) > 3
    assert np.concatenate(kept).flatten().tolist() == list(range(30 * 4096))


@pytest.mark.parametrize("indices", [[29, 30], [30], [-1], [3, -1], [0, 30]], ids=str)
def test_a_sequence_that_is_not_there_is_refused(indices: list[int]) -> None:
    with pytest.raises(IndexError, match="30 sequences have no number"):
        PackedSequences(Numbers(30 * 64), 64).__getitems__(indices)


def test_small_batches_in_order_are_read_many_at_a_time_and_large_ones_one_by_one() -> None:
    for length, reads in ((128, [(0, 16_384), (16_384, 25_600)]), (10_000, [(0, 40_000), (40_000, 80_000)])):
        stream = Numbers(200 * length if length == 128 else 80_000)
        packed = PackedSequences(stream, length)
        for first in range(0, len(packed), 4):
            packed.__getitems__(list(range(first, first + 4)))
        assert stream.reads == reads


def test_an_epoch_is_made_of_whole_steps(shards: Shards) -> None:
    assert len(PackedSequences(shards, 16, multiple_of=4)) == 4
    with pytest.raises(RecipeError, match="fewer than the 112"):
        PackedSequences(shards, 16, multiple_of=7)


def test_a_seed_draws_whole_documents_in_an_order_of_its_own() -> None:
    one, again, other = (draw_documents(1000, seed).tolist() for seed in (1, 1, 2))
    assert one == again
    assert sorted(one) == sorted(other) == list(range(1000))
    assert sum(left == right for left, right in zip(one, other, strict=True)) < 10
    assert draw_documents(1000, 1, 0.3).tolist() == one[:300]  # a sample; more of it would be the rest
    # Written down: a run that is resumed with another NumPy must go on in the same order.
    assert draw_documents(8, 0).tolist() == [3, 2, 1, 6, 0, 7, 4, 5]


def test_documents_are_read_whole_in_the_order_drawn(shards: Shards) -> None:
    drawn = DrawnDocuments(shards, np.array([3, 0, 4, 1]))
    assert (drawn.num_tokens, drawn.document_ends.tolist()) == (80, [20, 40, 60, 80])
    expected = [*range(60, 80), *range(20), *range(80, 100), *range(20, 40)]
    assert drawn.read(0, 80).tolist() == expected
    for start in range(80):
        for stop in range(start + 1, 81):
            assert drawn.read(start, stop).tolist() == expected[start:stop]
    packed = PackedSequences(drawn, 16)
    assert len(packed) == 5
    assert packed[1].tolist() == expected[16:32]  # the border of two documents lies inside
    assert PackedSequences(DrawnDocuments(shards, np.arange(5)), 16)[5].tolist() == list(range(80, 96))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(0, 2**63), st.floats(0.1, 1), st.data())
def test_any_piece_of_any_order_is_what_the_documents_say(
    lengths: list[int], seed: int, share: float, data: st.DataObject
) -> None:
    """Documents of any lengths in two files, in one condition and in another in which each is twice as long."""
    streams, expected = [], []
    drawn = draw_documents(len(lengths), seed, share)
    for factor in (1, 2):
        documents = [[number] * length * factor for number, length in enumerate(lengths)]
        middle = len(documents) // 2
        with tempfile.TemporaryDirectory() as folder:
            for name, part in (("0", documents[:middle]), ("1", documents[middle:])):
                if part:
                    np.array(sum(part, []), dtype=np.uint16).tofile(f"{folder}/{name}.ds")
                    np.cumsum(list(map(len, part))).astype(np.uint64).tofile(f"{folder}/{name}.ds.index")
            streams.append(DrawnDocuments(Shards(Path(folder)), drawn))
        expected.append([token for number in drawn for token in documents[number]])
    for stream, tokens in zip(streams, expected, strict=True):
        start = data.draw(st.integers(0, len(tokens) - 1))
        stop = data.draw(st.integers(start + 1, len(tokens)))
        assert stream.read(start, stop).tolist() == tokens[start:stop]
    # The same documents in the same order, however many tokens a condition needs for them.
    assert [list(dict.fromkeys(tokens)) for tokens in expected] == [drawn.tolist()] * 2


def test_one_hash_says_which_documents_in_which_order() -> None:
    orders = [draw_documents(50, 0), draw_documents(50, 1), draw_documents(50, 0, 0.5)]
    hashes = [drawn_sha256("stored", drawn) for drawn in orders] + [drawn_sha256("other", orders[0])]
    assert len(set(hashes)) == 4
    assert drawn_sha256("stored", draw_documents(50, 0)) == hashes[0]


def test_missing_shards_are_named(tmp_path) -> None:
    with pytest.raises(RecipeError, match="no token shards"):
        Shards(tmp_path / "nothing")
