"""Honest programs: what plain Python answers, the jail answers."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from jail.honest import PROGRAMS
from real_data import SAMPLES, real_data

from domain_tokens.jail.client import Jail
from domain_tokens.jail.outcomes import Reason, Refusal
from domain_tokens.jail.programs import MAX_SOURCE_CHARS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's filter of system calls")


@pytest.fixture(scope="module")
def jail() -> Iterator[Jail]:
    with Jail() as jail:
        yield jail


def test_an_honest_program_gets_what_plain_python_answers(jail: Jail) -> None:
    expected = _in_plain_python(PROGRAMS)
    assert None not in expected
    outcomes = list(jail.run_all(PROGRAMS))
    for source, outcome, answer in zip(PROGRAMS, outcomes, expected, strict=True):
        assert (repr(outcome), type(outcome)) == (repr(answer), type(answer)), source


def _in_plain_python(sources: list[str]) -> list[int | float | None]:
    run = subprocess.run(
        [sys.executable, "-S", "-W", "ignore", str(Path(__file__).with_name("plain.py"))],
        input=json.dumps(sources), capture_output=True, text=True, check=True,
    )  # fmt: skip
    results: list[int | float | None] = json.loads(run.stdout)
    return results


ANSWERS = {
    "print(6 * 9)\n": 54,
    "print('first')\nprint(54.5)\n\n": 54.5,
    "print('steps'); print(' -54 ')": -54,
    "print(6, end=''); print(9)": 69,
    "def main():\n    print(54)\nif __name__ == '__main__':\n    main()\n": 54,
    "def solution():\n    return 54\n": 54,
    "def price():\n    return 6\ndef solution(n=9):\n    return price() * n\n": 54,
    "def solution():\n    return 54\ndef helper(x):\n    return x\n": 54,
    "def simple_math_problem():\n    return 54\ndef other():\n    return 1\nprint(2)\n": 54,
    "simple_math_problem = lambda: 54\n": 54,
    "a = 6\nresult = a * 9\n": 54,
    "answer = 54": 54,
    "ans = 54.0": 54.0,
    "ans = 1\nresult = 54": 54,
    "a = 6\nreturn a * 9\n": 54,
    "import math\nif math.pi > 3:\n    return 54\nreturn 1\n": 54,
    "result = 54\r\nx = 1\r\n": 54,
    "print(10 ** 300)": 10**300,
    "print(1e300)": 1e300,
    "print('.5')": 0.5,
}


def test_where_a_program_has_its_answer(jail: Jail) -> None:
    outcomes = list(jail.run_all(ANSWERS))
    assert list(zip(ANSWERS, outcomes, strict=True)) == list(ANSWERS.items())
    assert [type(outcome) for outcome in outcomes] == [type(answer) for answer in ANSWERS.values()]


def test_refusals_say_what_was_refused(jail: Jail) -> None:
    expected = {
        "import sympy\n": Refusal(Reason.IMPORT, "sympy"),
        "from os import path\n": Refusal(Reason.IMPORT, "os.path"),
        "result = open('x')\n": Refusal(Reason.NAME, "open"),
        "result = ().__class__\n": Refusal(Reason.ATTRIBUTE, "__class__"),
        "class A: pass\n": Refusal(Reason.SYNTAX, "ClassDef"),
        "result = 1 / 0\n": Refusal(Reason.RAISED, "ZeroDivisionError: division by zero"),
        "result = '54'\n": Refusal(Reason.NOT_A_NUMBER, "str"),
        "x" * (MAX_SOURCE_CHARS + 1): Refusal(Reason.TOO_LONG, "100001 characters, at most 100000 are read"),
    }
    assert dict(zip(expected, jail.run_all(expected), strict=True)) == expected
    outcome = jail.run("result = (1\n")
    assert isinstance(outcome, Refusal)
    assert outcome.reason is Reason.NOT_PYTHON
    assert "never closed" in outcome.detail


def test_every_program_starts_afresh(jail: Jail) -> None:
    source = "import decimal\nresult = decimal.getcontext().prec\ndecimal.getcontext().prec = 5\n"
    assert list(jail.run_all([source] * 3)) == [28] * 3


def _programs(folder: Path) -> list[str]:
    lines = (folder / "tinygsm" / "sample_1000.jsonl").read_text(encoding="utf-8").splitlines()
    answers = [json.loads(line)["assistant"] for line in lines]
    return [answer.split("```python\n", 1)[-1].rsplit("```", 1)[0] for answer in answers]


def test_the_samples_get_what_plain_python_answers(jail: Jail) -> None:
    sources = _programs(SAMPLES)
    assert len(sources) > 3
    assert list(jail.run_all(sources)) == _in_plain_python(sources)


@pytest.mark.slow
@pytest.mark.real_data
def test_every_accepted_program_of_tinygsm_gets_what_plain_python_answers(jail: Jail) -> None:
    sources = _programs(real_data().folder)
    outcomes, expected = list(jail.run_all(sources)), _in_plain_python(sources)
    assert sum(answer is not None for answer in expected) == 950
    accepted = [outcome for outcome in outcomes if not isinstance(outcome, Refusal)]
    assert len(accepted) == 950
    for outcome, answer in zip(outcomes, expected, strict=True):
        if not isinstance(outcome, Refusal):
            assert (repr(outcome), type(outcome)) == (repr(answer), type(answer))
    refused = Counter(outcome.reason for outcome in outcomes if isinstance(outcome, Refusal))
    assert refused == {Reason.NOT_A_NUMBER: 49, Reason.IMPORT: 1}
