"""Work in other processes is reported by the size of the files that it writes."""

import time
from pathlib import Path

import pytest

from domain_tokens.runs import progress as module
from domain_tokens.runs.progress import Progress, listening, watching


def test_growing_files_are_reported_and_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WATCH_EVERY_S", 0.005)
    seen: list[Progress] = []
    with listening(seen.append), watching("documents", tmp_path / "text", "*/*.jsonl", 4e6):
        (tmp_path / "text" / "train").mkdir(parents=True)
        (tmp_path / "text" / "train" / "0.jsonl").write_bytes(b"x" * 1_000_000)
        (tmp_path / "text" / "train" / "other").write_bytes(b"x" * 3_000_000)
        deadline = time.monotonic() + 20
        while not any(progress.done == 1 for progress in seen) and time.monotonic() < deadline:
            time.sleep(0.005)
    assert Progress("documents", 1, 4, "MB") in seen
    assert seen[-1] == Progress("documents", 4, 4, "MB")
    assert {progress.total for progress in seen} == {4}


def test_an_error_is_not_reported_as_the_end(tmp_path: Path) -> None:
    seen: list[Progress] = []
    with listening(seen.append), pytest.raises(ValueError, match="stop"), watching("tokens", tmp_path, "*", 4e6):
        raise ValueError("stop")
    assert seen == []


def test_what_has_no_known_size_is_not_reported(tmp_path: Path) -> None:
    seen: list[Progress] = []
    with listening(seen.append), watching("tokens", tmp_path, "*", None):
        pass
    assert seen == []
