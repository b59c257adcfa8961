"""The facts: which there are, their names, ids and texts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_tokens.tokenization.facts import FACTS, GPT2_IDS, Fact, MulFactTokens, canonicalize, count_facts
from domain_tokens.tokenization.rewriter import expand

factors = st.integers(1, 9)


def test_fact_count() -> None:
    assert len(FACTS) == len(set(FACTS)) == 45
    assert {(fact.a, fact.b) for fact in FACTS} == {(a, b) for a in range(1, 10) for b in range(a, 10)}


def test_names_state_the_product() -> None:
    for fact in FACTS:
        match = re.fullmatch(r"<MUL_(\d)_(\d)_(\d{1,2})>", fact.token)
        assert match is not None
        a, b, product = map(int, match.groups())
        assert a <= b
        assert product == a * b


@given(factors, factors)
def test_a_product_and_its_mirror_image_are_one_fact(a: int, b: int) -> None:
    facts = MulFactTokens()
    assert canonicalize(a, b) == canonicalize(b, a) == (min(a, b), max(a, b))
    assert facts.id_of(a, b) == facts.id_of(b, a)
    assert facts.product_of(facts.id_of(a, b)) == a * b


@pytest.mark.invariants
def test_ids_are_in_order_of_the_factors() -> None:
    facts = MulFactTokens()
    assert [facts.id_of(fact.a, fact.b) for fact in sorted(FACTS)] == list(range(50304, 50349))
    assert facts.fact_of(50304) == Fact(1, 1)
    assert facts.fact_of(50348) == Fact(9, 9)


@pytest.mark.invariants
@pytest.mark.parametrize("token_id", [0, 50256, 50303, 50349, -1, "50304", None])
def test_membership_is_the_range_of_ids(token_id: object) -> None:
    assert token_id not in MulFactTokens()


@pytest.mark.parametrize("pair", [(0, 5), (5, 10), (-1, 3), (True, 3), (2.0, 3), ("2", 3)])
def test_factors_outside_the_table_are_refused(pair: tuple) -> None:
    with pytest.raises(ValueError, match="from 1 to 9"):
        canonicalize(*pair)


def test_a_fact_has_ordered_factors() -> None:
    with pytest.raises(ValueError, match="ordered"):
        Fact(9, 6)


def test_ids_outside_the_facts_have_no_fact() -> None:
    with pytest.raises(ValueError, match="50304"):
        MulFactTokens().fact_of(50256)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<MUL_6_9_54>", "6*9=54"),
        ("so <MUL_1_1_1>, <MUL_9_9_81>.", "so 1*1=1, 9*9=81."),
        ("<MUL_6_9_55>", "<MUL_6_9_55>"),
        ("<MUL_9_6_54>", "<MUL_9_6_54>"),
        ("<MUL_6_9_054>", "<MUL_6_9_054>"),
        ("<MUL_6_9_54", "<MUL_6_9_54"),
        ("no facts", "no facts"),
        ("", ""),
    ],
)
def test_expand(text: str, expected: str) -> None:
    assert expand(text) == expected


@given(st.text(alphabet="<>MUL_1234569 *=\n"))
def test_expanding_twice_changes_nothing_more(text: str) -> None:
    assert expand(expand(text)) == expand(text)


def test_counting_goes_by_the_range_of_ids() -> None:
    assert count_facts([0, 50256, 50303, 50304, 50348, 50513, 50310], GPT2_IDS) == 4
