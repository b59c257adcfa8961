"""Files are written on file systems that lack hard links, symbolic links or locks."""

import errno
import fcntl
import logging
import os
import shutil
from pathlib import Path

import pytest

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import exclusive, link_files, link_folder, lock


def lacking(monkeypatch: pytest.MonkeyPatch, where: object, name: str, code: int) -> list[object]:
    """Let a call of the system fail, and return the list of what it was asked for."""
    calls: list[object] = []

    def fail(*arguments: object, **_: object) -> None:
        calls.append(arguments)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(where, name, fail)
    return calls


@pytest.mark.parametrize("code", [None, errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.EMLINK])
def test_files_are_linked_or_copied(code: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [] if code is None else lacking(monkeypatch, os, "link", code)
    source = tmp_path / "work"
    source.mkdir()
    for name in ("0.jsonl", "1.jsonl"):
        (source / name).write_text(name)
    link_files(source, tmp_path / "final")
    made = sorted((tmp_path / "final").iterdir())
    assert [(path.name, path.read_text()) for path in made] == [("0.jsonl", "0.jsonl"), ("1.jsonl", "1.jsonl")]
    assert len(calls) == (0 if code is None else 2)
    assert made[0].samefile(source / "0.jsonl") == (code is None)


def test_a_full_disk_is_not_taken_for_one_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "0.jsonl").write_text("text")
    lacking(monkeypatch, os, "link", errno.ENOSPC)
    copies = lacking(monkeypatch, shutil, "copyfile", errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        link_files(tmp_path / "work", tmp_path / "final")
    assert copies


def test_a_folder_is_linked_again_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "a" / "link"
    for name in ("one", "two"):  # which need not exist
        link_folder(tmp_path / name, place)
        assert place.readlink() == tmp_path / name
    (tmp_path / "folder").mkdir()
    with pytest.raises(RecipeError, match="folder: no link to .*: File exists"):
        link_folder(tmp_path / "one", tmp_path / "folder")
    calls = lacking(monkeypatch, Path, "symlink_to", errno.EPERM)
    with pytest.raises(RecipeError, match="an output_dir on a file system with symbolic links"):
        link_folder(tmp_path / "one", place)
    assert calls


def test_a_file_system_without_locks_is_no_second_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = lacking(monkeypatch, fcntl, "flock", errno.ENOLCK)
    with caplog.at_level(logging.WARNING):
        lock(tmp_path / "lock")
    assert "the file system has no locks" in caplog.text
    with exclusive(tmp_path / "other"):
        assert len(calls) == 2
    lacking(monkeypatch, fcntl, "flock", errno.EWOULDBLOCK)
    with pytest.raises(RecipeError, match="another process"):
        lock(tmp_path / "third")
