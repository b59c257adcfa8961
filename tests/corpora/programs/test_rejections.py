"""Every program that is not converted has a reason."""

import json
import time
from collections import Counter
from pathlib import Path

import pytest
from real_data import SAMPLES, real_data
from tiny import ROOT

from domain_tokens.corpora.programs import Conversion, Reason, Rejection, convert
from domain_tokens.evaluation.answers.extraction import extract_answer
from domain_tokens.evaluation.equations import all_hold


def body(*lines: str) -> str:
    """Return a function with these lines."""
    return "\n".join(["def f():", *(f"    {line}" for line in lines)])


PROGRAMS = {
    Reason.NO_TEXT: ["", " \n"],
    Reason.TOO_LONG: ["# a\n" * 6000],
    Reason.NOT_PYTHON: ["def f(:", "There are 54 pens.", "def f():\n\treturn 6\n  return 7", "x = 1\0"],
    Reason.SYNTAX: [
        "class A:\n    pass",
        body("return (lambda: (yield))()"),
        body("del a", "return 6 * 9"),
        body("with open('a') as b:", "    return 6 * 9"),
        body("return 6 & 9"),
        body("return [(n := 6 * 9) for _ in range(3)][0]"),
        body("return f'{6 * 9:99999999}'"),
        "async def f():\n    return 6 * 9",
        "import math\n@math.sqrt\ndef f():\n    return 6 * 9",
    ],
    Reason.CALL: [
        "import os\ndef f():\n    return 6 * 9",
        "from subprocess import run",
        body("return math.ceil(6 * 9)").replace("math", "[].__class__"),
        body("return 'a'.upper()"),
        "import math\n" + body("return math.sin(6)"),
    ],
    Reason.NAME: [
        body("return 6 * nines"),
        body("return eval('6 * 9')"),
        body("return open('a')"),
        body("return __import__('os')"),
    ],
    Reason.NO_RESULT: ["a = 6 * 9", body("a = 6 * 9"), "def f(): ...\nf()"],
    Reason.NOT_A_NUMBER: [
        body("return 6 * 9 > 5"),
        body("return 'many'"),
        body("return [6 * 9]"),
        "print('many', 6 > 5)",
        body("return f"),
    ],
    Reason.SEVERAL_NUMBERS: [
        body("return 6 * 9, 5"),
        body("return {'a': 6 * 9, 'b': 5}"),
        "print(6 * 9, 5)",
        "print(f'{6 * 9} of 100')",
    ],
    Reason.SHOWN_OTHERWISE: [
        "print(f'Profit: -${6 * 9}')",
        "print(f'.{6 * 9}')",
        "print(f'Answer-{6 * 9}')",
        "print(f'({6 * 9})')",
        "print(f'{6 * 9}\\nThanks')",
        "print(6 * 9, 'pens', sep='\\n')",
        body("return f'{6 * 9}\\nThanks'"),
    ],
    Reason.NO_STEPS: [
        body("return 54"),
        body("for i in range(9):", "    if i == 5:", "        return i"),
        body("pens = 54", "result = pens", "return result"),
    ],
    Reason.NEEDS_ARGUMENTS: [
        "def f(pens):\n    return pens * 9",
        "def simple_math_problem(*, pens):\n    return pens",
    ],
    Reason.RAISES: [
        body("return 6 / 0"),
        body("return 6 // 0"),
        body("return {'a': 1}['b'] * 6"),
        body("return [6][3] * 2"),
        body("assert 6 > 9", "return 6 * 9"),
        body("a, b = [6]", "return a * 9"),
        body("return min([])"),
        body("return range(1, 2, 0)"),
        body("return round()"),
    ],
    Reason.TYPES: [
        body("return 6 * 'a'"),
        body("return None + 6"),
        body("return [6] - [9]"),
        body("return 6 > 'a'"),
        body("return 6[0]"),
    ],
    Reason.IRRATIONAL: [
        "import math\n" + body("return math.pi * 6"),
        body("return 2 ** 0.5"),
        "import math\n" + body("return math.sqrt(6 * 9)"),
        "from math import pi\n" + body("return 6 * 9"),
        body("return (-6) ** 0.5").replace("0.5", "0.25"),
    ],
    Reason.NO_SHORT_NUMBER: [
        body("return 1.0033333 ** 12"),
        body("return 9 ** 9 ** 9"),
        body("return 10 ** 400"),
        body("return 1e300 * 6"),
        body("return 100 / 1009"),
        body("return round(6 * 9.5, -10**9)"),
        "from decimal import Decimal\n" + body("return Decimal('1e999999999') * 6"),
    ],
    Reason.FLOAT_NOISE: [
        body("return int(0.29 * 100)"),
        body("return 44.0 // 0.2"),
        body("return round(2.5 * 1)"),
        body("return 5 / (0.1 + 0.2 - 0.3)"),
    ],
    Reason.NEGATIVE_DIVISION: [body("return (5 - 9) // 3"), body("return -7 % 3")],
    Reason.TOO_MANY_STEPS: [
        body("a = 0", "while True:", "    a += 1", "return a"),
        body("while True:", "    pass", "return 6 * 9"),
        body("return sum(i * i for i in range(10**12))"),
        body("a = [1]", "for i in range(30):", "    a = a + a", "return sum(a)"),
        body("a = 'a'", "for i in range(50):", "    a = a + a", "print(a)"),
        body("return g(6)") + "\ndef g(n):\n    return n * g(n - 1)",
        "import math\n" + body("return math.factorial(50)"),
        body(*["a = 6 * 9"] * 70, "return a"),
    ],
    Reason.BROKEN: [body("return " + "-" * 3000 + "6 * 9")],
}


@pytest.mark.parametrize(
    ("reason", "source"), [(reason, source) for reason in PROGRAMS for source in PROGRAMS[reason]]
)
def test_a_program_is_refused_for_its_reason(reason: Reason, source: str) -> None:
    converted = convert(source, "How many pens are 6 boxes of 9?")
    assert isinstance(converted, Rejection), converted
    assert converted.reason is reason, converted


def test_every_reason_is_tested_or_given_by_the_jail() -> None:
    assert set(Reason) - PROGRAMS.keys() == {Reason.UNTRUE, Reason.OTHER_RESULT}


def test_what_the_reader_of_equations_does_not_confirm_is_refused() -> None:
    converted = convert(body("return 6 * 9"), "How many?", check=lambda text: "54" not in text)
    assert isinstance(converted, Rejection)
    assert converted.reason is Reason.UNTRUE


def converted_sample(file: Path) -> tuple[list[Conversion], Counter[Reason]]:
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    outcomes = [convert(row["assistant"], row["user"]) for row in rows]
    solved = [one for one in outcomes if isinstance(one, Conversion)]
    return solved, Counter(one.reason for one in outcomes if isinstance(one, Rejection))


def test_the_samples_convert() -> None:
    solved, rejected = converted_sample(SAMPLES / "tinygsm/sample_1000.jsonl")
    assert len(solved) == 6 - rejected.total()
    assert all(all_hold(one.answer) and extract_answer(one.answer) == one.number for one in solved)


@pytest.mark.real_data
def test_nine_of_ten_real_programs_convert_and_what_they_state_is_true() -> None:
    file = real_data().folder / "tinygsm/sample_1000.jsonl"
    begun = time.process_time()
    solved, rejected = converted_sample(file)
    seconds = time.process_time() - begun
    assert len(solved) + rejected.total() == 1000
    page = (ROOT / "docs/DATA.md").read_text(encoding="utf-8")
    assert f"1,000 programs that GPT-4.1-mini wrote for TinyGSM's questions, {len(solved)} convert" in page
    assert all(f"| {reason} | {number} |" in page for reason, number in rejected.items()), rejected.most_common()
    assert len(solved) >= 900
    assert seconds < 2, "less than a quarter of what make bench-programs measures"
    assert all(extract_answer(one.answer) == one.number for one in solved)
    assert all(all_hold(one.answer) for one in solved[::5])
