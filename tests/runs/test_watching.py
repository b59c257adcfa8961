"""Work in other processes is reported by what its tasks count while they read."""

import time
from pathlib import Path

import pytest
from datatrove.data import Document

from domain_tokens.corpora.preparation.counting import CountDocuments, counted
from domain_tokens.experiment.lines import describe
from domain_tokens.runs import progress as module
from domain_tokens.runs.progress import Amount, Progress, listening, watching


def test_documents_are_counted_as_they_pass(tmp_path: Path) -> None:
    texts = ["é" * 10, "b" * 5, "c"]
    documents = [Document(text=text, id=str(number)) for number, text in enumerate(texts)]
    (tmp_path / "tokens").mkdir()
    assert counted(tmp_path / "counts", tmp_path / "tokens") == Amount(0, 0, 0)
    for rank in (0, 1):
        assert list(CountDocuments(tmp_path / "counts").run(iter(documents), rank)) == documents
    for name, size in (("00000_unshuffled.ds", 8), ("00000_doc_shuffled.ds", 4), ("00001_doc_shuffled.ds", 6)):
        (tmp_path / "tokens" / name).write_bytes(b"x" * size)
    assert counted(tmp_path / "counts", tmp_path / "tokens") == Amount(52, 6, 7)
    assert counted(tmp_path / "counts").tokens is None


def test_what_is_done_is_reported_with_its_speed_and_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WATCH_EVERY_S", 0.005)
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    amount = [Amount(1_000_000, 10, 5)]  # an earlier process did that
    seen: list[Progress] = []
    with listening(seen.append), watching("tokens", lambda: amount[0], 4e6):
        now[0], amount[0] = 102.0, Amount(2_000_000, 30, 9)
        for _ in range(2000):
            if any(progress.done == 2 for progress in seen):
                break
            time.sleep(0.005)
    half = Progress("tokens", 2, 4, "MB", None, None, 10.0, 0.5, 9, 4.0)
    assert half in seen
    assert (seen[-1].done, seen[-1].total, seen[-1].seconds_left) == (4, 4, None)
    shown = describe(half, None)
    assert shown == "tokens, MB 2 of 4, 10 documents/s, 0.5 MB/s, 9 tokens, about 0:04 left"


def test_an_error_is_not_reported_as_the_end() -> None:
    seen: list[Progress] = []
    nothing = Amount(0, 0)
    with listening(seen.append), pytest.raises(ValueError, match="stop"), watching("tokens", lambda: nothing, 4e6):
        raise ValueError("stop")
    assert seen == []


def test_what_has_no_known_size_is_reported_without_a_total(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WATCH_EVERY_S", 0.005)
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    amount = [Amount(0, 0, 0)]
    seen: list[Progress] = []
    with listening(seen.append), watching("documents", lambda: amount[0], None):
        now[0], amount[0] = 102.0, Amount(3_000_000, 1_500, 700_000)
        for _ in range(2000):
            if any(progress.done == 3 for progress in seen):
                break
            time.sleep(0.005)
        between = next(progress for progress in seen if progress.done == 3)
    assert (between.total, between.seconds_left) == (None, None)
    shown = describe(between, None)
    assert shown == "documents, MB 3, 1,500 documents, 750 documents/s, 1.5 MB/s, 700,000 tokens"
    assert (seen[-1].done, seen[-1].total) == (3, 3)  # the end is known
