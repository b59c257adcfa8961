"""The one definition of a right answer; test_scorers.py has the table of it and other scorers."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_tokens.evaluation.answers.extraction import extract_answer, is_correct
from domain_tokens.tokenization.facts import FACTS
from domain_tokens.tokenization.rewriter import expand


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
