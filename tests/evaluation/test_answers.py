"""The one definition of a right answer."""

import json
import os
import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_tokens.evaluation.answers import extract_answer, is_correct
from domain_tokens.tokenization.facts import FACTS
from domain_tokens.tokenization.sites import expand

NINES = "9" * 400
# What a model wrote, the right number, and whether that is a right answer.
TABLE = [
    ("#### 72", "72", True),
    ("#### 72.", "72", True),
    ("#### 72.0", "72", True),
    ("#### 72.00", "72", True),
    ("#### $72", "72", True),
    ("#### 72 dollars", "72", True),
    ("####72", "72", True),
    ("####  72", "72", True),
    ("#### 1,234", "1234", True),
    ("#### 1 234", "1234", True),
    ("#### 1.234,50", "1234.5", False),
    ("#### -5", "-5", True),
    ("#### −5", "-5", True),
    ("#### - 5", "-5", True),
    ("#### +5", "5", True),
    ("#### 5", "-5", False),
    ("#### 0.5", "0.5", True),
    ("#### .5", "0.5", True),
    ("#### 1/2", "0.5", True),
    ("#### 3/4 cups", "0.75", True),
    ("#### 50%", "50", True),
    ("#### 50 %", "50", True),
    ("#### 0.5", "50", False),
    ("#### 1e3", "1000", True),
    ("#### 72\n#### 73", "73", False),
    ("#### 72\n#### 73", "72", False),
    ("#### 72\nQuestion: how many?\n#### 5", "72", True),
    ("The answer is 72.", "72", False),
    (r"The answer is \boxed{72}.", "72", False),
    ("48+24 = <<48+24=72>>72 clips", "72", False),
    ("48+24 = <<48+24=72", "72", False),
    ("#### ", "72", False),
    ("", "72", False),
    ("#### seventy-two", "72", False),
    ("#### 072", "72", True),
    ("#### 7 2", "72", False),
    ("#### ７２", "72", True),
    ("#### ٧٢", "72", False),
    ("#### 72abc", "72", False),
    ("#### 72<|endoftext|>garbage 9", "72", True),
    ("#### 1,2,3,4", "1234", False),
    ("#### 12.34.56", "12.34", False),
    ("#### ...", "0", False),
    ("#### inf", "inf", False),
    ("#### nan", "nan", False),
    (f"#### {NINES}", NINES, True),
    ("#### 100000000000000000001", "100000000000000000000", False),
    ("#### 72\u00a0", "72", True),
    ("#### 2:30", "2", False),
    ("#### 10^3", "1000", False),
    ("#### <MUL_8_9_72>", "72", False),
    ("8 * 9 = <MUL_8_9_72>72\n#### 72", "72", True),
    ("#### x = 72", "72", False),
    ("#### 72 or 73", "72", False),
    ("**#### 72**", "72", True),
]


@pytest.mark.parametrize(("text", "gold", "expected"), TABLE, ids=range(1, len(TABLE) + 1))
def test_answer_table(text: str, gold: str, expected: bool) -> None:
    assert is_correct(text, gold) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#### 72\nso\n#### 72.0", Fraction(72)),
        ("#### 72 #### 72", Fraction(72)),
        ("#### 72\n####", None),
        ("#### 72\nUser: and now?\nAssistant: #### 5", Fraction(72)),
        ("#### -$1,234.50 in all", Fraction(-2469, 2)),
        ("#### $ 5", Fraction(5)),
        ("#### --5", None),
        ("#### 10²", None),
        ("#### 1½", None),
        ("#### 72 m²", Fraction(72)),
        ("#### 5 million", None),
        ("#### 72 = 8*9", None),
        ("#### 1/0", None),
        ("#### 1.5/2", None),
        ("#### 1.5e-1", Fraction(3, 20)),
        ("#### 1e999999999", None),
        ("#### 1e999", None),
        ("#### " + "9" * 5000, None),
        ("#### 1 2345", None),
        ("#### 1,234,56", None),
        ("##### 72", None),
    ],
)
def test_extracted_number(text: str, expected: Fraction | None) -> None:
    assert extract_answer(text) == expected


@pytest.mark.parametrize("fact", FACTS, ids=str)
def test_a_token_counts_as_the_text_it_stands_for(fact) -> None:
    for frame in ("#### {}", "{}\n#### 72", "#### 72\n{}", "#### 72 {}"):
        written, stated = frame.format(fact.token), frame.format(fact.text)
        assert extract_answer(written) == extract_answer(stated)
    assert not is_correct(f"#### {fact.token}", str(fact.product))


PIECES = st.sampled_from(
    ["####", " ", "\n", "7", "72", ",", ".", "-", "−", "/", "e", "$", "%", "Question:", "<MUL_8_9_72>", "²"]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join)))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert extract_answer(text) == extract_answer(expand(text))
    assert is_correct(text, text) in (True, False)


@given(st.integers(-(10**12), 10**12))
def test_every_whole_number_is_found_however_it_is_written(number: int) -> None:
    for written in (f"{number}", f"{number:,}", f"{number:,}".replace(",", " "), f"{number}.00", f"${number}"):
        assert is_correct(f"6*9=54\n#### {written}", str(number))
        assert not is_correct(f"6*9=54\n#### {written}", str(number + 1))


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "text",
    ["#### " + "1" * 10**6, "#### 1" + ",000" * 10**5, "#### 1\n" * 10**5, "#### " + " " * 10**6 + "1", "#" * 10**6],
    ids=["digits", "groups", "answers", "spaces", "marks"],
)
def test_a_megabyte_is_read_in_time(text: str) -> None:
    assert extract_answer(text) in (None, 1)


def _data() -> Path:
    return Path(os.environ.get("DOMAIN_TOKENS_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def test_every_gsm8k_gold_is_its_own_answer() -> None:
    path = _data() / "gsm8k" / "test.jsonl"
    if not path.is_file():
        pytest.skip(f"{path}: not there; set DOMAIN_TOKENS_DATA to the folder that holds gsm8k/test.jsonl")
    answers = [json.loads(line)["answer"] for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(answers) == 1319
    for answer in answers:
        gold = answer.split("#### ")[1]
        assert is_correct(answer, gold)
        assert extract_answer(answer) == int(re.sub(",", "", gold))
