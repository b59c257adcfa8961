"""A solution is accepted if its equations lead to its final number, and no number comes from nowhere."""

import json
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_data import Data

from domain_tokens.corpora.endpoint.acceptance import accept
from domain_tokens.corpora.endpoint.answers import Unusable
from domain_tokens.corpora.endpoint.checking.reaching import Reader
from domain_tokens.corpora.endpoint.prompts import WorkedSolution
from domain_tokens.corpora.endpoint.requests import Problem

QUESTION = "Ann has 5 bags of 10 pens and 4 boxes of 8. Her 30% share of 140 is 3 more. How many pens are in the bags?"
TRUE = "Ann has 5 × 10 = 50 pens."
REFUSED = {
    "another answer in the prose": ([TRUE, "Total: 55"], [TRUE, "The total is 4 pens."], ["Result: 8.", TRUE]),
    "a number from nowhere": (
        [TRUE, "She has 55 pens."],
        ["There are 6 bags.", "Since 5 × 10 = 50, she has 50 of 77 pens."],
        ["She has 37 + 13 = 50 pens."],
        ["Ben has 41 + 27 = 68 pens.", "Ann has 5 × 10 = 50 pens."],
    ),
    "no equation reaches the final number": (
        ["There are 5 × 8 = 40 pens.", "So Ann has 50."],
        ["There are 5 + 10 = 15 pens and 50 in all."],
        ["Ann has 140 - 10 = 130 pens, rounded 50."],
        ["Since 50 × 2 = 100 and 140 - 100 = 40, the number is 50."],
        ["140 + 8 = 148.", "148 ÷ 3 ≈ 49.33, and she needs whole ones."],
    ),
    "a step behind the final number": ([TRUE, "In the boxes are 4 × 8 = 32."], [TRUE, "5 + 4 = 9."]),
    "steps that lead nowhere": (["4 × 8 = 32.", "140 + 3 = 143.", "32 + 8 = 40.", TRUE],),
}


@pytest.mark.parametrize(("reason", "steps"), [(reason, steps) for reason in REFUSED for steps in REFUSED[reason]])
def test_what_does_not_lead_to_the_number_is_refused(reason: str, steps: list[str], read: Reader) -> None:
    true = accept(WorkedSolution(steps=[TRUE], final_answer=Decimal(50)), Problem(QUESTION, "", 50), read)
    assert true == f"{TRUE}\n#### 50"
    found = accept(WorkedSolution(steps=steps, final_answer=Decimal(50)), Problem(QUESTION, "", 50), read)
    assert found == Unusable(reason)


@pytest.mark.parametrize(
    ("number", "steps"),
    [
        (50, [TRUE, "That is 50 ÷ 5 = 10 per bag."]),
        (50, [TRUE, "On the 13th day, at 9:45 a.m., she still has 50."]),
        (42, ["That is 0.3 × 140 = 42 pens."]),
        (98, ["She keeps 100 - 30 = 70 percent.", "That is 0.7 × 140 = 98 pens."]),
        (98, ["She keeps 0.7 × 140 = 98 pens."]),
        (47, ["140 ÷ 3 ≈ 46.67.", "She needs whole ones, so she needs 47."]),
        (46, ["Since 46 × 3 = 138 and 140 - 138 = 2, the number is 46."]),
        (50, ["In the boxes are 4 × 8 = 32 pens.", TRUE, "50 is the larger of the two."]),
        (5, ["140 + 3 = 143.", "143 - 138 = 5.", "138 + 5 = 143 is a check."]),
        (60, ["She needs 5 × 12 = 60 minutes."]),
        (500, ["Each costs 5 × 1 = $5.", "In cents that is 500 cents."]),
    ],
)
def test_what_leads_to_the_number_is_accepted(number: int, steps: list[str], read: Reader) -> None:
    problem = Problem(QUESTION, "def f():\n    extra = 138\n    return extra", number)
    found = accept(WorkedSolution(steps=steps, final_answer=Decimal(number)), problem, read)
    assert found == "\n".join([*steps, f"#### {number}"])


@given(first=st.integers(13, 99), second=st.integers(13, 99), wrong=st.integers(10_000, 99_999))
def test_a_number_that_nothing_gives_is_refused_wherever_it_stands(
    first: int, second: int, wrong: int, read: Reader
) -> None:
    problem = Problem(f"There are {first} bags of {second} pens. How many?", "", first * second)
    step = f"There are {first} × {second} = {first * second} pens."
    for steps in ([step], [step, f"So {wrong} pens."], [f"So {wrong} pens.", step]):
        found = accept(WorkedSolution(steps=steps, final_answer=Decimal(first * second)), problem, read)
        assert isinstance(found, str) is (len(steps) == 1)


def test_solutions_of_gsm8k_are_accepted_as_before(data: Data, read: Reader) -> None:
    """Of those whose equations are all read, 97.4% of a third of the training set were accepted; without a program."""
    chain = {reason for reason in REFUSED if reason != "another answer in the prose"}
    accepted, refused = 0, 0
    lines = (data.folder / "gsm8k" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    for line in lines[: 40 if data.is_own else 300]:
        row = json.loads(line)
        body, number = row["answer"].split("####")
        steps = [step for step in re.sub(r"<<.*?>>", "", body).split("\n") if step.strip()]
        final = Decimal(number.strip().replace(",", ""))
        found = accept(
            WorkedSolution(steps=steps, final_answer=final), Problem(row["question"], "", float(final)), read
        )
        accepted += isinstance(found, str)
        refused += isinstance(found, Unusable) and found.reason in chain
    assert accepted > (20 if data.is_own else 200)
    assert accepted >= 0.97 * (accepted + refused)
