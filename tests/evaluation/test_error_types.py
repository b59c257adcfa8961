"""What went wrong in an answer: outputs judged by hand."""

from pathlib import Path

import pytest
from answers import read

from domain_tokens.evaluation.equations import read_equations
from domain_tokens.evaluation.error_types import OUTCOMES, classify
from domain_tokens.tokenization.facts import FACTS, Fact
from domain_tokens.tokenization.intervention import load_intervention

QUESTION = "A box holds 6 rows of 9 pens, and 4 pens lie beside it. 6*4=25, says Ben. How many pens are there?"
GOLD = "58"
# An answer, whether it ended, and what it is.
TABLE = [
    ("6*9=54\n54+4=58\n#### 58", True, "right"),
    ("<MUL_6_9_54>\n54+4=58\n#### 58", True, "right"),
    ("6*9=<<6*9=54>>54\n54+4=<<54+4=58>>58\n#### 58.0", True, "right"),
    ("6*9=55\n#### 58", True, "right"),
    ("#### 58", False, "right"),
    ("#### 58\nQuestion: what is 2+2?\n2+2=5\n#### 5", False, "right"),
    ("", False, "unfinished"),
    ("6*9=54\n54+4=", False, "unfinished"),
    ("6*9=55\n55+4=59 and 59+", False, "unfinished"),
    ("pens pens pens pens pens", False, "unfinished"),
    ("#### ", False, "unfinished"),
    ("", True, "format"),
    ("The answer is 58.", True, "format"),
    ("6*9=54\n54+4=58", True, "format"),
    ("#### fifty-eight", True, "format"),
    ("#### 58 or 59", True, "format"),
    ("#### 58\n#### 59", True, "format"),
    ("6*9=55, 55+4=59, so it is 59", True, "format"),
    ("6*9=55\n55+4=59\n#### 59", True, "arithmetic"),
    ("<MUL_6_9_54>\n54+4=59\n#### 59", True, "arithmetic"),
    ("6*9=<<6*9=56>>56\n56+4=60\n#### 60", True, "arithmetic"),
    ("<MUL_6_9_54> = 56\n#### 60", True, "arithmetic"),
    ("6*9=55\n#### 59", False, "arithmetic"),
    ("6*9=55\n7+8=15\n#### 15", True, "arithmetic"),
    ("7+8=15\n6*9=55\n#### 55", True, "operands"),
    ("<MUL_2_5_10>\n#### 10", True, "operands"),
    ("2*5=10\n#### 10", True, "operands"),
    ("2*5=11\n#### 11", True, "operands"),
    ("7*9 pens\n#### 63", True, "operands"),
    ("<MUL_4_6_24>\n54+4=58\n#### 59", True, "operands"),
    ("6+9=15\n15+4=19\n#### 19", True, "reasoning"),
    ("<MUL_4_6_24>\n24+9=33\n#### 33", True, "reasoning"),
    ("6*9=54\n#### 54", False, "reasoning"),
    ("#### 59", True, "reasoning"),
    ("58/4=14.5\n58/3=19.33\n#### 19.33", True, "operands"),
    ("9/4=2.25\n9/6=1.5\n#### 1.5", True, "reasoning"),
    ("Ben says 6*4=25\n25+9=34\n#### 34", True, "reasoning"),
    ("6+9=15\n#### 15\nQuestion: 2+2=5\n#### 5", False, "reasoning"),
]


@pytest.mark.parametrize(("answer", "finished", "expected"), TABLE)
def test_table(answer: str, finished: bool, expected: str) -> None:
    made = read(answer)
    assert classify(made, GOLD, finished, read_equations(made, QUESTION)) == expected


def test_every_outcome_stands_in_the_table() -> None:
    assert {expected for *_, expected in TABLE} == set(OUTCOMES)


def test_tokens_of_another_intervention() -> None:
    bare = load_intervention(Path(__file__).parents[2] / "recipes" / "interventions" / "mul_bare.yaml")
    for answer, expected in (
        ("<MUL_6_9> = 54\n#### 58", "right"),
        ("<MUL_6_9> = 55\n#### 59", "arithmetic"),
        ("<MUL_6_9> = 54\n#### 59", "reasoning"),
        ("#### <MUL_6_9>", "format"),
    ):
        made = read(answer, bare)
        assert classify(made, GOLD, True, read_equations(made, QUESTION)) == expected


@pytest.mark.parametrize("fact", FACTS[::7], ids=str)
def test_a_token_alone_is_never_an_arithmetic_error(fact: Fact) -> None:
    for question in (QUESTION, f"{fact.a} and {fact.b}?", ""):
        made = read(f"{fact.token}\n#### 1000")
        assert classify(made, GOLD, True, read_equations(made, question)) in ("operands", "reasoning")
