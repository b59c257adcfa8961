"""The ledger under damage: lines that were cut or changed are set aside and counted, all others are kept."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import open_ledger
from hypothesis import given
from hypothesis import strategies as st

from domain_tokens.corpora.endpoint.ledger import BROKEN, LEDGER, Entry, Ledger, entry_of
from domain_tokens.recipe import RecipeError

URL = "http://localhost/v1"


def filled(folder: Path, number: int = 4) -> Ledger:
    ledger = open_ledger(folder)
    for index in range(number):
        ledger.begin(f"key{index}", 1000)
        ledger.end("answer", f"key{index}", f'{{"a": "{index}\\u2028\r×"}}\n', base_url=URL, tokens=100, used=[60, 40])
    return ledger


@given(raw=st.text(), key=st.text(), tokens=st.integers(0, 10**12))
def test_a_line_reads_back(raw: str, key: str, tokens: int) -> None:
    entry = Entry(kind="answer", key=key, at="now", tokens=tokens, used=[1, 2], raw=raw)
    line = entry.as_line()
    assert line.count(b"\n") == 1
    assert entry_of(line) == entry


@given(data=st.data())
def test_no_changed_line_is_taken_for_an_answer(data: st.DataObject) -> None:
    line = Entry(kind="answer", key="k", at="now", tokens=100, raw='{"steps": "6 × 9 = 54"}').as_line()
    place = data.draw(st.integers(0, len(line) - 1))
    changed = bytearray(line)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    assert entry_of(bytes(changed)) is None
    assert entry_of(line[:place]) is None


def test_what_is_written_is_there_for_the_next_run(tmp_path: Path) -> None:
    filled(tmp_path).begin("open", 500)
    ledger = open_ledger(tmp_path)
    assert ledger.num_settled == 4
    assert ledger.spent == 400
    assert ledger.in_doubt == 500  # a kill came between: it may have been billed
    assert ledger.answer("key2").raw == '{"a": "2\\u2028\r×"}\n'
    assert ledger.answer("open") is None
    ledger.begin("open", 500)
    ledger.end("free", "open", "status 500", base_url=URL)
    assert ledger.in_doubt == 500
    ledger.begin("open", 500)
    ledger.end("lost", "open", "timeout", base_url=URL, tokens=500)
    assert ledger.in_doubt == open_ledger(tmp_path).in_doubt == 1000


@pytest.mark.parametrize("left", [1, 40, -2, -1])
def test_a_line_that_was_cut_is_set_aside_and_what_follows_is_whole(tmp_path: Path, left: int) -> None:
    filled(tmp_path)
    path = tmp_path / LEDGER
    *others, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*others, last[:left]]))
    ledger = open_ledger(tmp_path)
    assert ledger.num_broken == 1
    assert ledger.num_settled == 3
    ledger.end("answer", "key3", "again", base_url=URL, tokens=100)
    assert open_ledger(tmp_path).num_settled == 4


def test_broken_lines_anywhere_are_counted_once(tmp_path: Path) -> None:
    filled(tmp_path)
    path = tmp_path / LEDGER
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = [
        lines[0],
        b"\0" * 50 + b"\n",
        lines[1].replace(b"100", b"900"),
        b"{}\n",
        b"\xff\xfe\n",
        *lines[2:],
        b"\n",
    ]
    path.write_bytes(b"".join(damaged))
    assert lines[1] != damaged[2]
    for _ in range(2):
        ledger = open_ledger(tmp_path)
        assert ledger.num_broken == 5
        assert ledger.num_settled == 3
        assert ledger.answer("key3").raw.startswith('{"a": "3')
    assert (tmp_path / BROKEN).read_bytes().count(b"\n") == 5


def test_the_first_of_two_answers_counts(tmp_path: Path) -> None:
    ledger = filled(tmp_path)
    ledger.end("answer", "key1", "other", base_url=URL, tokens=100)
    for one in (ledger, open_ledger(tmp_path)):
        assert one.num_repeated == 1
        assert one.answer("key1").raw.startswith('{"a": "1')
        assert one.spent == 500  # both were paid for


def test_a_full_disk_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = filled(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(RecipeError, match=r"ledger\.jsonl: No space left on device; make room"):
            ledger.end("answer", "key9", "raw", base_url=URL, tokens=1)


def test_two_runs_do_not_share_a_ledger(tmp_path: Path) -> None:
    ledger = filled(tmp_path)
    code = (
        "import sys; from pathlib import Path; from domain_tokens.corpora.endpoint.ledger import Ledger; "
        "Ledger(Path(sys.argv[1]))"
    )
    other = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert ledger.num_settled == 4
    assert "another process is writing to it" in other.stderr
