"""`convert_tinygsm.py --route api` from rows to shards, against a real server and with the real jail."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import open_ledger
from misbehaving_server import CANARY, MODEL, Behaviours, Handler, answer, completion, good_content, problem, status
from tiny import ROOT

from domain_tokens.cli.convert_tinygsm import main

Served = tuple[str, Behaviours]
Run = Callable[..., str]


def program(number: int) -> str:
    lines = "".join(f"    {line}\n" for line in problem(number).code.splitlines())
    return f'```python\ndef simple_math_problem() -> int:\n    """\n    A docstring.\n    """\n{lines}```'


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Ten rows, of which one repeats another, one hangs on a wrong answer, one prints and one has no number."""
    programs = [program(number) for number in range(9)]
    programs[5] = programs[5].replace("return result", "return 'many'")
    programs[6] = programs[6].replace("return result", "print(f'There are {result} pens.')")
    assert len(set(programs) - {program(number) for number in range(9)}) == 2
    questions = [problem(number).question for number in range(9)]
    lines = [{"question": one, "code": code} for one, code in zip(questions, programs, strict=True)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, lines[0]]))
    return path


@pytest.fixture
def run(server: Served, rows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def convert(output: Path, *options: str, code: int = 0) -> str:
        given = [rows, "--output", output, "--route", "api", "--base-url", server[0], "--model", MODEL, *options]
        monkeypatch.setattr(sys, "argv", ["convert_tinygsm.py", *map(str, given)])
        open_ledger(rows.parent / "free_the_locks")
        if code:
            with pytest.raises(SystemExit) as ended:
                main(None)
            assert ended.value.code == code
        else:
            main(None)
        printed = capsys.readouterr()
        assert CANARY not in printed.out + printed.err
        return printed.out + printed.err

    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    return convert


CAP = ("--token-cap", "1000000", "--rows-per-shard", "4")


def shards(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(output.glob("*.json*"))}


def test_rows_become_shards(server: Served, run: Run, tmp_path: Path) -> None:
    server[1].first = {"4 boxes": [answer('{"steps": ["4 × 7 = 27 pens."], "final_answer": 28}')]}
    run(tmp_path / "out", *CAP)
    assert server[1].hits() == 8  # neither the repeated row nor the one without a number
    assert "simple_math_problem" in server[1].asked[0].question
    assert "```" not in server[1].asked[0].question
    made = shards(tmp_path / "out")
    assert [name for name in made if name.startswith("train")] == [f"train-0000{index}.jsonl" for index in range(3)]
    lines = [json.loads(line) for name in made if name.startswith("train") for line in made[name].splitlines()]
    assert [line["id"] for line in lines] == ["0", "1", "3", "4", "6", "7", "8", "9"]
    assert lines[0]["answer"] == lines[-1]["answer"] == "2 boxes with 7 pens hold 2 × 7 = 14 pens.\n#### 14"
    record = json.loads(made["metadata.json"])
    assert record["counts"]["rejected"] == {"a wrong equation": 1, "plain execution gives no number: not_a_number": 1}
    assert record["settings"]["route"]["model"] == MODEL
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 8
    assert not [path for path in written if CANARY.encode() in path.read_bytes()]


@pytest.mark.slow
def test_the_order_of_answers_leaves_no_trace(server: Served, run: Run, tmp_path: Path) -> None:
    def late(handler: Handler, one: object) -> None:
        time.sleep(random.uniform(0, 0.05))
        handler.send(200, completion(good_content(one.question)))

    server[1].always = late
    run(tmp_path / "one", *CAP, "--at-once", "1")
    run(tmp_path / "many", *CAP, "--at-once", "8")
    run(tmp_path / "batch", *CAP, "--batch", "--poll-seconds", "0.02")
    assert server[1].hits() == 16
    assert len(server[1].batches) == 1
    assert shards(tmp_path / "one") == shards(tmp_path / "many") == shards(tmp_path / "batch")


def test_batches_of_all_shards_are_submitted_together_and_after_all_checks(
    server: Served, run: Run, tmp_path: Path
) -> None:
    options = (*CAP, "--batch", "--poll-seconds", "0.02")
    run(tmp_path / "out", *options)
    assert len(server[1].batches) == 1
    assert len(list((tmp_path / "out").glob("train-*"))) == 3
    said = run(tmp_path / "out", *options, "--max-tokens", "300", code=2)
    assert "written with another route" in said
    assert len(server[1].batches) == 1


@pytest.mark.slow
def test_a_run_that_stopped_goes_on(server: Served, run: Run, tmp_path: Path) -> None:
    server[1].first = {"7 boxes": [], "8 boxes": [status(401)]}
    said = run(tmp_path / "out", *CAP, "--at-once", "1", code=2)
    assert "OPENAI_API_KEY" in said
    assert "run the same command again to go on" in said
    assert len(list((tmp_path / "out").glob("train-*"))) == 1  # only shards that are complete
    hits = server[1].hits()
    run(tmp_path / "out", *CAP)
    assert server[1].hits() == 8 + 1
    assert hits == 6
    run(tmp_path / "whole", *CAP)
    assert shards(tmp_path / "out") == shards(tmp_path / "whole")


@pytest.mark.slow
def test_rows_without_an_answer_are_left_out_if_the_user_says_so(server: Served, run: Run, tmp_path: Path) -> None:
    server[1].first = {"4 boxes": [status(500)] * 1000}
    options = (*CAP, "--budget-seconds", "0.3")
    said = run(tmp_path / "out", *options, code=2)
    assert "requests without an answer: gave up: status 500 1" in said
    assert not list((tmp_path / "out").glob("train-*"))
    run(tmp_path / "out", *options, "--skip-unanswered")
    record = json.loads((tmp_path / "out" / "metadata.json").read_text())
    assert record["counts"]["rejected"]["not answered yet"] == 1
    assert record["counts"]["solved"] == 8


def test_a_dry_run_asks_nothing(server: Served, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    before = sorted(tmp_path.rglob("*"))
    said = run(tmp_path / "out", "--dry-run", "--price-prompt", "1000", "--price-completion", "0")
    assert "requests: 9" in said
    assert "1 repeated" in said
    tokens = int(said.partition("prompt tokens: about ")[2].split()[0].replace(",", ""))
    assert f"cost: about {tokens / 1000:,.2f}, at most about {tokens / 1000:,.2f}" in said
    assert not server[1].asked
    assert [path for path in sorted(tmp_path.rglob("*")) if "locks" not in str(path)] == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--route api needs --token-cap"),
        ((*CAP, "--verify"), "--verify is an option of --route rules"),
        ((*CAP, "--workers", "2"), "--at-once"),
        ((*CAP, "--keep-days", "2"), "--keep-days is an option of --batch"),
        ((*CAP, "--price-prompt", "2"), "expected both"),
        ((*CAP, "--route", "api", "--temperature", "-1"), "--temperature"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit(run: Run, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    assert said in run(tmp_path / "out", *options, code=2)


def test_options_of_another_route(
    rows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["convert_tinygsm.py", str(rows), "--output", "out", "--model", "m"]
    monkeypatch.setattr(sys, "argv", given)
    with pytest.raises(SystemExit):
        main(None)
    assert "--model is an option of --route api" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.integration
def test_the_script_is_interrupted_and_killed(server: Served, rows: Path, run: Run, tmp_path: Path) -> None:
    server[1].seconds = 0.3
    given = [rows, "--output", tmp_path / "out", "--route", "api", "--base-url", server[0], "--model", MODEL, *CAP]
    command = [sys.executable, "scripts/convert_tinygsm.py", *map(str, given), "--at-once", "2"]
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        hits = server[1].hits()
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            while server[1].hits() < hits + 2:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.01)
            os.kill(process.pid, number)
            said = process.stderr.read()
        assert process.returncode == code
        assert number != signal.SIGINT or "run the same command again to go on" in said
    run(tmp_path / "out", *CAP)
    run(tmp_path / "whole", *CAP)
    assert shards(tmp_path / "out") == shards(tmp_path / "whole")
    assert 16 <= server[1].hits() <= 18  # the kill met two requests
