"""The route by rules, in a real jail."""

import sys

import pytest

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
    same = Problem(0, "How many pens?", GOOD.replace("f()", "simple_math_problem()"))
    fails = Problem(1, "How many pens?", "def simple_math_problem():\n    return f'{6 * 9} pens'")
    other = Problem(2, "How many pens?", "def solve():\n    return 6 * 9\ndef last():\n    return 5 * 9")
    assert convert(other.program, other.question).number == 54  # Python's answer is what the last function returns
    with MakeRules(all_hold, verify=True)() as route:
        first, second, third = route.solve([same, fails, other])
    assert isinstance(first, Solved)
    assert third == Rejected(Reason.OTHER_RESULT, "54.0 and 45")
    assert isinstance(second, Rejected)
    assert second.reason == Reason.OTHER_RESULT


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
