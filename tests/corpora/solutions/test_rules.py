"""The route by rules, in a real jail."""

import json
import sys

import pytest
from real_data import SAMPLES

from domain_tokens.corpora.programs import Reason, convert
from domain_tokens.corpora.solutions.problems import Problem
from domain_tokens.corpora.solutions.route import Rejected, Solved
from domain_tokens.corpora.solutions.rules import MakeRules
from domain_tokens.evaluation.equations import all_hold

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a jail needs Linux")

GOOD = "def f():\n    total_cost = 6 * 9\n    return total_cost"
BOMBS = {
    "a deep nesting": "def f():\n    return " + "-" * 19_000 + "6",
    "a compile bomb": "def f():\n    return " + "(" * 190 + "1" + "**9)" * 190,
    "a long loop": "def f():\n    a = 6 * 9\n    while True:\n        a += 1",
    "a long text": "a = 'a'\nfor i in range(99):\n    a = a + a\nprint(a)",
}


# Programs that print, or whose result is elsewhere than in what `simple_math_problem` returns.
PRINTING = [
    "print(f'Packs needed: {6 * 9}')",
    "print(f'${6 * 200.125:,.2f} in all.')",
    "print('Total:', 6 * 9, 'pens', sep='  ')",
    "print('There are', end=' ')\nprint(6 * 9, end='')\nprint(' pens')\nprint()",
    "print('pens', end='')\nprint()\nprint(6 * 9)",
    "print(f'{5 - 6 * 9} pens')",
    "print('%5.1f pens' % (6 * 9.25))",
    "print('{:>9,d} pens'.format(600 * 9))",
    "def main():\n    print('pens:', 6 * 9)",
    "def simple_math_problem():\n    print('pens:', 6 * 9)\nsimple_math_problem()",
    "def simple_math_problem(boxes, pens):\n    return boxes * pens\nprint('pens:', simple_math_problem(6, 9))",
    "def simple_math_problem():\n    return str(6 * 9) + ' pens'",
    "def answer():\n    return 6 * 9",
    "def solve():\n    return 6 * 9\ndef other():\n    return 5 * 9",
    "def double(n=2):\n    return 2 * n\nfinal_answer = double(27)",
    "from fractions import Fraction\ndef f():\n    return Fraction(1, 2) * 9",
    "from fractions import Fraction\nprint(Fraction(1, 2) * 9)",
    "from decimal import Decimal\nresult = Decimal('0.5') * 9",
]


def test_a_bomb_among_programs_is_rejected_alone() -> None:
    assert len(BOMBS) == 4
    programs = [GOOD, *BOMBS.values(), "no program", GOOD]
    problems = [Problem(row, "How many pens?", program) for row, program in enumerate(programs)]
    with MakeRules(all_hold)() as route:
        outcomes = list(route.solve(problems))
    expected = Solved(convert(GOOD, "How many pens?").answer)
    assert outcomes[0] == outcomes[-1] == expected
    assert all(isinstance(outcome, Rejected) for outcome in outcomes[1:-1])
    assert outcomes[-2].reason == Reason.NOT_PYTHON


def test_another_result_of_python_is_refused() -> None:
    pens = "def simple_math_problem():\n    return f'{6 * 9} pens'"
    with MakeRules(all_hold, verify=True)() as route:
        (shown,) = route.solve([Problem(0, "How many pens?", pens)])
        assert shown == Solved("The answer is 6 × 9 = 54.\n#### 54")
        # Each call has another result, and the function is called once more when the program has ended.
        twice = "n = 5\ndef simple_math_problem():\n    global n\n    n += 1\n    return n * 9\nsimple_math_problem()"
        assert convert(twice, "How many pens?").number == 54
        assert list(route.solve([Problem(0, "How many pens?", twice)])) == [
            Rejected(Reason.OTHER_RESULT, "54.0 and 63")
        ]


# Each converts and is refused by the jail, which is another thing than to have another result.
WITHOUT_NUMBER = {
    "if 6 > 5:\n    return 6 * 9": "not_python",
    "def simple_math_problem(pens):\n    return pens * 9\nx = simple_math_problem(6)": "no_result",
}


def test_what_the_jail_refuses_is_counted_by_the_reason_of_the_jail() -> None:
    problems = [Problem(row, "How many pens?", program) for row, program in enumerate(WITHOUT_NUMBER)]
    with MakeRules(all_hold)() as route:
        assert [type(outcome) for outcome in route.solve(problems)] == [Solved] * len(problems)
    with MakeRules(all_hold, verify=True)() as route:
        outcomes = list(route.solve(problems))
    expected = [f"plain execution gives no number: {reason}" for reason in WITHOUT_NUMBER.values()]
    assert [outcome.reason for outcome in outcomes] == expected


def test_verifying_refuses_nothing_that_python_computes() -> None:
    rows = [json.loads(line) for line in (SAMPLES / "styles.jsonl").read_text(encoding="utf-8").splitlines()]
    programs = [(row["question"], row["code"]) for row in rows]
    programs += [("How many pens?", program) for program in PRINTING]
    problems = [Problem(row, question, program) for row, (question, program) in enumerate(programs)]
    with MakeRules(all_hold)() as route:
        converted = list(route.solve(problems))
    assert sum(isinstance(outcome, Solved) for outcome in converted) == 59 + len(PRINTING)
    with MakeRules(all_hold, verify=True)() as route:
        assert list(route.solve(problems)) == converted


def test_an_unconfirmed_equation_is_refused() -> None:
    with MakeRules(lambda text: "54" not in text)() as route:
        (outcome,) = route.solve([Problem(0, "How many pens?", GOOD)])
    assert isinstance(outcome, Rejected)
    assert outcome.reason == Reason.UNTRUE


def test_what_solutions_depend_on_is_recorded() -> None:
    settings = MakeRules(all_hold, split_products=True).settings
    assert settings["route"] == "rules"
    assert settings["split_products"]
    assert MakeRules(all_hold, allow_without_seccomp=True).settings == MakeRules(all_hold).settings
