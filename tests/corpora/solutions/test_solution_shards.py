"""Solutions in shards: the same files however a run went, and an account of every row."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Self

import pytest

from domain_tokens.corpora.examples import read_examples
from domain_tokens.corpora.solutions import shards
from domain_tokens.corpora.solutions.problems import Problem, read_problems
from domain_tokens.corpora.solutions.records import (
    METADATA,
    REJECTED,
    SHARD_RECORDS,
    SolutionSettings,
    SolutionsRecord,
)
from domain_tokens.corpora.solutions.rejections import line_of, rejected_in_shard
from domain_tokens.corpora.solutions.route import Outcome, Rejected, Solved
from domain_tokens.corpora.solutions.shards import write_solutions
from domain_tokens.recipe import RecipeError, Source
from domain_tokens.runs.records import read_record

SIZE = 7


class Doubles:
    """A route whose solutions are known; every third problem has none."""

    def __init__(self, pause_s: float = 0) -> None:
        self.pause_s = pause_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def solve(self, problems: Sequence[Problem]) -> Iterator[Outcome]:
        for problem in problems:
            time.sleep(self.pause_s)
            number = problem.row
            if number % 3 == 2:
                yield Rejected("three" if number % 2 else "six", "told to")
            else:
                yield Solved(f"We have 6 × 9 = 54 and {number} + {number} = {2 * number}.\n#### {2 * number}")


@dataclass(frozen=True)
class MakeDoubles:
    pause_s: float = 0
    settings: dict = field(default_factory=lambda: {"route": "doubles", "version": 1})

    def __call__(self) -> Doubles:
        return Doubles(self.pause_s)


SETTINGS = SolutionSettings(
    source={"name": "problems"},
    licence="MIT",
    route={"route": "doubles", "version": 1},
    rows_per_shard=SIZE,
    counted_as="x",
)


def problems(number: int) -> list[Problem]:
    return [Problem(row, f"Question {row}?", f"print({row} * 2)") for row in range(number)]


def write(
    folder: Path, number: int, workers: int = 1, pause_s: float = 0, settings: SolutionSettings = SETTINGS
) -> SolutionsRecord:
    return write_solutions(problems(number), number, MakeDoubles(pause_s), settings, folder, workers)


def files(folder: Path) -> dict[str, str]:
    """Return the hash of every file but locks, by its path in the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in paths}


def test_every_row_is_solved_or_counted(tmp_path: Path) -> None:
    record = write(tmp_path, 24)
    lines = [
        json.loads(line) for path in sorted(tmp_path.glob("train*.jsonl")) for line in path.read_text().splitlines()
    ]
    assert [line["id"] for line in lines] == [str(row) for row in range(24) if row % 3 != 2]
    assert lines[0] == {"id": "0", "question": "Question 0?", "answer": "We have 6 × 9 = 54 and 0 + 0 = 0.\n#### 0"}
    assert (record.counts.rows, record.counts.solved) == (24, 16)
    assert record.counts.rejected == {"three": 4, "six": 4}
    assert (record.counts.facts_before, record.counts.facts_after, record.counts.solutions_with_facts) == (6, 16, 16)
    assert [shard.first_row for shard in record.shards] == [0, 7, 14, 21]
    assert [shard.sha256 for shard in record.shards] == [files(tmp_path)[shard.file] for shard in record.shards]
    assert read_record(tmp_path / METADATA, SolutionsRecord) == record


@pytest.mark.slow  # two processes that import everything
def test_workers_change_no_shard(tmp_path: Path) -> None:
    write(tmp_path / "one", 30)
    write(tmp_path / "two", 30, workers=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")


# A worker imports the program first, as every spawned process does; here this takes a second.
_INTERRUPTED = """
import sys, time
from pathlib import Path

folder = Path(sys.argv[1])
if __name__ == "__mp_main__":
    (folder / "starting").touch()
    time.sleep(1)

from domain_tokens.recipe import user_errors
from test_solution_shards import write

if __name__ == "__main__":
    with user_errors():
        write(folder / "out", 60, workers=2, pause_s=1)
"""


@pytest.mark.slow  # three processes that import everything
def test_an_interrupt_while_workers_start_is_one_line(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(_INTERRUPTED)
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    begun = subprocess.Popen(
        [sys.executable, str(program), str(tmp_path)], stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    while not (tmp_path / "starting").exists():
        assert begun.poll() is None, begun.communicate()
        time.sleep(0.02)
    os.killpg(begun.pid, signal.SIGINT)  # as a terminal does
    _, said = begun.communicate(timeout=120)
    assert said == "interrupted; run the same command again to go on\n"
    assert begun.returncode == 130


def test_more_rows_change_no_shard(tmp_path: Path) -> None:
    write(tmp_path / "one", 30)
    few = write(tmp_path / "few", 14)
    assert len(few.shards) == 2
    untouched = (tmp_path / "few/train-00000.jsonl").stat().st_mtime_ns
    write(tmp_path / "few", 30)
    assert files(tmp_path / "few") == files(tmp_path / "one")
    assert (tmp_path / "few/train-00000.jsonl").stat().st_mtime_ns == untouched


def test_a_short_last_shard_is_written_again_when_rows_are_added(tmp_path: Path) -> None:
    write(tmp_path / "grown", 10)
    write(tmp_path / "grown", 14)
    write(tmp_path / "whole", 14)
    assert files(tmp_path / "grown") == files(tmp_path / "whole")


def test_every_row_without_a_solution_is_listed_with_the_reason(tmp_path: Path) -> None:
    record = write(tmp_path, 24)
    listed = [json.loads(line) for line in (tmp_path / REJECTED).read_text().splitlines()]
    assert [one["id"] for one in listed] == [str(row) for row in range(24) if row % 3 == 2]
    assert listed[0] == {"id": "2", "reason": "six", "detail": "told to"}
    assert Counter(one["reason"] for one in listed) == record.counts.rejected
    assert (tmp_path / REJECTED).read_bytes() == b"".join(
        rejected_in_shard(tmp_path, f"train-{index:05}").read_bytes() for index in range(4)
    )


def test_a_detail_is_one_short_line_that_is_the_same_in_every_process() -> None:
    many = Rejected("raises", "KeyError: <Function object at 0x7f3a10>\n" + "and so on " * 40)
    other = Rejected("raises", many.detail.replace("0x7f3a10", "0x5512bc"))
    (line,) = line_of(problems(1)[0], many).splitlines()
    assert line.startswith('{"id":"0","reason":"raises","detail":"KeyError: <Function object> and so on and')
    assert len(json.loads(line)["detail"]) == 200
    assert line_of(problems(1)[0], other) == f"{line}\n"


def test_shards_of_a_version_without_the_list_are_made_again_with_it(tmp_path: Path) -> None:
    write(tmp_path, 20)
    whole = files(tmp_path)
    for index in range(3):
        rejected_in_shard(tmp_path, f"train-{index:05}").unlink()
        path = tmp_path / SHARD_RECORDS / f"train-{index:05}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"rejected_sha256": ""}))
    (tmp_path / REJECTED).unlink()
    write(tmp_path, 20)
    assert files(tmp_path) == whole


@pytest.mark.parametrize(
    "name",
    [
        "train-00001.jsonl",
        f"{SHARD_RECORDS}/train-00001.json",
        METADATA,
        REJECTED,
        f"{SHARD_RECORDS}/train-00001.{REJECTED}",
    ],
)
def test_a_damaged_or_missing_file_is_made_again(tmp_path: Path, name: str) -> None:
    write(tmp_path, 20)
    whole = files(tmp_path)
    (tmp_path / name).unlink()
    write(tmp_path, 20)
    assert files(tmp_path) == whole
    if name.endswith("jsonl"):
        (tmp_path / name).write_text("{}\n")
        write(tmp_path, 20)
        assert files(tmp_path) == whole


def test_a_run_killed_at_any_moment_ends_as_one_that_was_not(tmp_path: Path) -> None:
    write(tmp_path / "whole", 40)
    draw = random.Random(3)
    killed, turns = 0, 0
    while turns < 12 or not list((tmp_path / "killed").glob("*.jsonl")):  # on a busy machine, 12 may begin nothing
        turns += 1
        child = os.fork()
        if child == 0:
            shards.tqdm = lambda **_: _NoBar()  # its threads do not survive a fork
            write(tmp_path / "killed", 40, pause_s=0.02)
            os._exit(0)
        time.sleep(draw.uniform(0, 0.2) * (1 + turns // 12))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert killed > 3
    write(tmp_path / "killed", 40)
    left = {name: digest for name, digest in files(tmp_path / "killed").items() if not name.endswith(".partial")}
    assert left == files(tmp_path / "whole")


class _NoBar:
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, number: int) -> None:
        pass


def test_other_settings_are_refused_before_work(tmp_path: Path) -> None:
    write(tmp_path, 10)
    whole = files(tmp_path)
    other = SETTINGS.model_copy(update={"route": {"route": "doubles", "version": 2}})
    with pytest.raises(RecipeError, match="written with another route.*remove the folder"):
        write(tmp_path, 10, settings=other)
    assert files(tmp_path) == whole


def test_another_spelling_of_a_path_is_the_same_source_and_other_bytes_are_not(tmp_path: Path) -> None:
    def spelled(path: str, digest: str) -> SolutionSettings:
        return SETTINGS.model_copy(update={"source": {"path": [path], "sha256": [["a.jsonl", digest]]}})

    write(tmp_path, 10, settings=spelled("a.jsonl", "1"))
    whole = files(tmp_path)
    write(tmp_path, 10, settings=spelled("./a.jsonl", "1"))
    assert {name for name, digest in files(tmp_path).items() if whole[name] != digest} == {
        METADATA, f"{SHARD_RECORDS}/settings.json"
    }  # fmt: skip
    with pytest.raises(RecipeError, match=r"another source.sha256: \[\['a.jsonl', '1'\]\]"):
        write(tmp_path, 10, settings=spelled("a.jsonl", "2"))


def test_fewer_rows_are_refused_as_the_shards_of_the_others_would_be_read(tmp_path: Path) -> None:
    write(tmp_path, 20)
    whole = files(tmp_path)
    for number in (19, 7, 0):
        with pytest.raises(RecipeError, match=f"has solutions of 20 rows, now {number} are to be read"):
            write(tmp_path, number)
    assert files(tmp_path) == whole


def test_a_run_that_ends_early_leaves_no_record_of_the_whole(tmp_path: Path) -> None:
    def broken() -> Iterator[Problem]:
        yield from problems(10)
        raise RecipeError("the source ends")

    write(tmp_path, 10)
    assert (tmp_path / METADATA).exists()
    assert (tmp_path / REJECTED).exists()
    with pytest.raises(RecipeError, match="the source ends"):
        write_solutions(broken(), None, MakeDoubles(0), SETTINGS, tmp_path, 1)
    assert not (tmp_path / METADATA).exists()
    assert not (tmp_path / REJECTED).exists()


def test_a_folder_that_cannot_be_made_and_a_full_disk_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecipeError, match="file: File exists; expected a folder"):
        write(tmp_path / "file", 10)

    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shards, "write_text", full)
    with pytest.raises(RecipeError, match=r"train-00000.jsonl: No space left on device; make room"):
        write(tmp_path / "full", 10)


def test_no_rows_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no rows"):
        write(tmp_path, 0)


def test_a_folder_of_solutions_is_a_source_of_examples(tmp_path: Path) -> None:
    write(tmp_path, 20)
    assert len((tmp_path / REJECTED).read_text().splitlines()) == 6  # which is passed over
    source = Source(name="prose", kind="file", path=str(tmp_path))
    assert [example.id for example in read_examples(source, 0, "train")] == [
        str(row) for row in range(20) if row % 3 != 2
    ]


def test_rows_without_text_are_problems_without_text(tmp_path: Path) -> None:
    rows = [
        {"question": "How many?", "code": "6 * 9"},
        {"question": None, "code": "6 * 9"},
        {"question": "How many?", "code": " "},
        {"question": "How many?", "code": "a\0b"},
        {"question": ["How", "many?"], "code": "6 * 9"},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = Source(name="programs", kind="file", path=str(file), answer_key="code", max_items=4)
    found = list(read_problems(source))
    assert [bool(problem.question and problem.program) for problem in found] == [True, False, False, False]
    assert [problem.row for problem in found] == [0, 1, 2, 3]
    with pytest.raises(RecipeError, match="has no column 'program'"):
        list(read_problems(Source(name="programs", kind="file", path=str(file), answer_key="program")))
