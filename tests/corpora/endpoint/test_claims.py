"""What is false beside right steps is refused: words, units, a second answer, another way to the number."""

from decimal import Decimal

import pytest

from domain_tokens.corpora.endpoint.acceptance import accept
from domain_tokens.corpora.endpoint.answers import Unusable
from domain_tokens.corpora.endpoint.checking.reaching import Reader
from domain_tokens.corpora.endpoint.checking.wording import in_signs
from domain_tokens.corpora.endpoint.prompts import WorkedSolution
from domain_tokens.corpora.endpoint.requests import Problem
from domain_tokens.corpora.programs.conversion import Conversion, convert

QUESTION = (
    "Tom has 3 boxes with 14 apples each and 5 bags with 6 pears each. An apple costs $2 and a pear costs $3. "
    "He gives away 20% of the apple money. How much does he get?"
)
CODE = """\
def simple_math_problem():
    apples = 3 * 14
    pears = 5 * 6
    apple_money = apples * 2
    pear_money = pears * 3
    total = apple_money + pear_money
    given = apple_money * 0.2
    return total - given
"""
STEPS = (
    "Tom has 3 × 14 = 42 apples.",
    "He has 5 × 6 = 30 pears.",
    "The apples bring 42 × 2 = 84 dollars.",
    "The pears bring 30 × 3 = 90 dollars.",
    "Together that is 84 + 90 = 174 dollars.",
    "He gives away 84 × 0.2 = 16.8 dollars.",
    "He gets 174 - 16.8 = 157.2 dollars.",
)


def worked(question: str, code: str) -> str:
    conversion = convert(code, question)
    assert isinstance(conversion, Conversion)
    return conversion.answer


PROBLEM = Problem(QUESTION, CODE, 157.2, worked(QUESTION, CODE))
CARS = Problem(
    "17 people ride in cars for 5. How many cars are needed?",
    "import math\ndef simple_math_problem():\n    return math.ceil(17 / 5)",
    4,
    "Since 17 ÷ 5 = 3.4, the answer is 4 after rounding up.\n#### 4",
)
AGES = "Ann is twice as old as Ben, who is 12. How old are they together?"
AGES_CODE = "def simple_math_problem():\n    ann = 2 * 12\n    return ann + 12"
TOGETHER = Problem(AGES, AGES_CODE, 36, worked(AGES, AGES_CODE))


def found(steps: list[str], problem: Problem, read: Reader) -> str | Unusable:
    return accept(WorkedSolution(steps=steps, final_answer=Decimal(str(problem.executed))), problem, read)


FALSE = {
    "another answer in the prose": (
        "He ends with 174 dollars in his pocket.",
        "Final: 174",
        "Therefore he gets 174 dollars.",
        "So the final amount is 90 dollars.",
        "He gets 157.2 dollars, so he has 14 dollars.",
        "Final: 174, as 1 dollar = 100 cents.",
    ),
    "a wrong equation": (
        "5 divided by 6 is 2.",
        "Half of 30 is 14.",
        "Two thirds of 30 is 14.",
        "Twice 30 is 90.",
        "The sum of 3 and 5 is 14.",
        "42 and 30 add up to 84.",
        "He knows that five boxes of six make thirty-one.",
    ),
    "something like an equation that was not read": ("Note: 1 hour = 100 minutes", "Prices (1 dollar = 3 apples)."),
    "a wrong comparison": (
        "The 30 pears are more than 42.",
        "The 30 pears are more than 30.",
        "The 30 pears are fewer than 30.",
    ),
}


@pytest.mark.parametrize(("reason", "claims"), FALSE.items(), ids=FALSE)
def test_a_false_claim_beside_right_steps_is_refused(reason: str, claims: tuple[str, ...], read: Reader) -> None:
    assert isinstance(found(list(STEPS), PROBLEM, read), str)
    for claim in claims:
        assert found([*STEPS, claim], PROBLEM, read) == Unusable(reason), claim
        if reason != "another answer in the prose":
            assert found([claim, *STEPS], PROBLEM, read) == Unusable(reason), claim
    joined = [*STEPS[:-1], "He gets 174 - 16.8 = 157.2 dollars, so the final amount is 90 dollars."]
    assert found(joined, PROBLEM, read) == Unusable("another answer in the prose")


@pytest.mark.parametrize(
    ("index", "step"),
    [
        (5, "20% of 84 is 0.2 × 84 = 16.8 dollars."),
        (5, "20% of $84 = 0.2 × $84 = $16.80."),
        (5, "16.8 dollars (84 × 0.2) are given away."),
        (5, "One fifth of 84 dollars is 16.8 dollars."),
        (6, "174 - 16.8 is 157.2 dollars."),
        (6, "He gets 174 - 16.8 = 157.2 dollars from 3 boxes."),
        (6, "He gets 174 - 16.8 = 157.2 dollars, so 157.2 dollars are his."),
        (4, "84 and 90 add up to 174."),
        (4, "Together that is 84 + 90 = 174, which is more than 90."),
        (1, "He has 5 × 6 = 30 pears: five bags of six make thirty, and half of 30 is 15."),
        (6, "He gets 174 - 16.8 = 157.2 dollars, and 1 dollar = 100 cents."),
    ],
)
def test_what_is_true_passes(index: int, step: str, read: Reader) -> None:
    steps = [step if place == index else one for place, one in enumerate(STEPS)]
    assert found(steps, PROBLEM, read) == "\n".join([*steps, "#### 157.2"])


@pytest.mark.parametrize(
    ("problem", "steps"),
    [
        (PROBLEM, ["3 × 14 = 42, 42 + 100 = 142, 142 + 15 = 157 and 157 + 0.2 = 157.2."]),
        (TOGETHER, ["6 × 6 = 36."]),
        (TOGETHER, ["12 × 2 = 24, 24 ÷ 2 = 12 and 9 × 4 = 36."]),
        (CARS, ["5 - 1 = 4 cars are needed for 17 people."]),
    ],
)
def test_the_number_is_reached_by_what_the_program_computes(problem: Problem, steps: list[str], read: Reader) -> None:
    assert found(steps, problem, read) == Unusable("another way than the program's")
    unknown = Problem(problem.question, problem.code, problem.executed)
    assert isinstance(found(steps, unknown, read), str)  # where the converter does not know the program


@pytest.mark.parametrize(
    ("problem", "steps"),
    [
        (TOGETHER, ["Ann is 12 × 2 = 24 years old.", "Together they are 24 + 12 = 36 years old."]),
        (TOGETHER, ["Together they are 12 + 2 × 12 = 36 years old."]),
        (CARS, ["17 ÷ 5 = 3 remainder 2, so 3 + 1 = 4 cars are needed."]),
        (PROBLEM, [*STEPS[:4], "He keeps 84 × 0.8 = 67.2 dollars.", "He gets 67.2 + 90 = 157.2 dollars."]),
    ],
)
def test_ways_that_are_the_programs(problem: Problem, steps: list[str], read: Reader) -> None:
    assert isinstance(found(steps, problem, read), str)


@pytest.mark.parametrize(
    ("way", "is_right"), [("down", False), ("up", True), ("to the nearest whole number", False)]
)  # fmt: skip
def test_the_way_of_rounding_is_the_one_that_is_said(way: str, is_right: bool, read: Reader) -> None:
    steps = ["17 ÷ 5 = 3.4 cars.", f"They need 4 cars, which is 3.4 rounded {way}."]
    wanted = "\n".join([*steps, "#### 4"]) if is_right else Unusable("rounded the wrong way")
    assert found(steps, CARS, read) == wanted


@pytest.mark.parametrize(
    "step",
    [
        "5 more than twice 30 is 65.", "Half of 30 is 20 less than 35.", "3, 4 and 5 make 12.", "2 out of 5 are 40%.",
        "5 groups of 6 people make 3 teams.", "5 apples and 5 pears make $3.", "20 minutes, 10 and 5 add up to 35.",
        "He buys 3 pens (3 × 2 dollars).", "Half of the sum of 3 and 5 is 4.",
    ],
)  # fmt: skip
def test_what_may_say_something_else_stays_as_it_is(step: str) -> None:
    assert in_signs(step, lambda equation: equation == "3 × 2 dollars = 6 pens") == step
