"""Variants and pairs: every equation is true, kinds are kept, and what is paired differs in one product."""

import re
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from domain_tokens.cli.renumber_gsm8k import equations_hold
from domain_tokens.corpora.contamination.index import ContaminationIndex
from domain_tokens.corpora.renumbering.drawing import choices
from domain_tokens.corpora.renumbering.making import TRAIN, Settings, make_part, split_problems
from domain_tokens.corpora.renumbering.pairs import pairs
from domain_tokens.corpora.renumbering.reading.arithmetic import is_like
from domain_tokens.corpora.renumbering.reading.mentions import mentions, write
from domain_tokens.corpora.renumbering.reading.solution import Unfaithful
from domain_tokens.corpora.renumbering.samples import SAMPLES
from domain_tokens.corpora.renumbering.variants import Problem, is_possible, variants
from domain_tokens.evaluation.equations import in_table_products
from domain_tokens.tokenization.intervention import default_intervention

PRODUCT = Problem(
    "pens",
    "Ada has 6 boxes of 9 pens each. She loses 14 pens and sells 3 crates of 25 pencils. How many pens are left?",
    "She has 6*9=<<6*9=54>>54 pens.\n54-14=<<54-14=40>>40 pens are left.\n#### 40",
)


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(SAMPLES))
def test_variants_are_distinct_and_true_and_of_the_kind_of_the_original(seed: int, problem: Problem) -> None:
    found = variants(problem, seed, 8, equations_hold)
    assert len({one.question for one in found}) == 8
    assert problem.question not in {one.question for one in found}
    for one in found:
        assert equations_hold(one.answer, one.answer.rpartition("#### ")[2])
        assert re.sub(r"\d[\d,.]*\d|\d", "0", one.answer) == re.sub(r"\d[\d,.]*\d|\d", "0", problem.answer)
        before, after = mentions(problem.question), mentions(one.question)
        assert [mention.is_word for mention in before] == [mention.is_word for mention in after]
        for old, new in zip(before, after, strict=True):
            assert (old.money, old.percent) == (new.money, new.percent)
            assert Fraction(old.value).denominator == 1 or re.fullmatch(r"\d+\.\d\d", new.written)
            assert not new.percent or 1 <= new.value <= 95
            assert Fraction(1, 8) <= Fraction(new.value) / Fraction(old.value) <= 8


def test_the_same_seed_gives_the_same_variants_and_another_seed_others() -> None:
    first, again, other = (variants(SAMPLES[0], seed, 20, equations_hold) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_more_variants_than_there_are_is_refused() -> None:
    problem = Problem("one", "Bo eats 2 figs a day. How many in a week?", "2*7=<<2*7=14>>14\n#### 14")
    assert len(variants(problem, 0, 5, equations_hold)) == 5
    with pytest.raises(Unfaithful, match="fewer than 50"):
        variants(problem, 0, 50, equations_hold)


@pytest.mark.parametrize("number", ["123456789", str(10**12), "0.123456789"])
def test_a_large_number_is_drawn_among_a_bounded_number_of_others(number: str) -> None:
    value = Fraction(number)
    found = choices("", mentions(number), 8)
    assert 1_000 < len(found) <= 1_000_000
    assert value // 8 <= found[0] < value / 2
    assert value * 4 < found[-1] <= value * 8


def test_a_problem_with_a_large_number_has_variants() -> None:
    answer = "123456789*2=<<123456789*2=246913578>>246913578\n#### 246913578"
    found = variants(
        Problem("one", "Bo has 123456789 figs, Al twice as many. How many?", answer), 0, 5, equations_hold
    )
    assert len({one.question for one in found}) == 5


def test_a_number_with_too_many_digits_is_a_reason_and_no_error() -> None:
    for number in (10**15, "9" * 5_000):
        problem = Problem("one", f"Bo has {number} figs and buys 5. How many?", "5+5=<<5+5=10>>10\n#### 10")
        part = make_part(TRAIN, [problem], Settings(), equations_hold)
        assert [row.reason for row in part.rejected] == ["a number with too many digits"]
        assert split_problems([problem], Settings(), ContaminationIndex([])).rejected == []


@pytest.mark.parametrize(
    ("answer", "reason", "detail"),
    [
        ("8+5=<<8+5=14>>14\n#### 14", "an equation that does not hold exactly", r"<<8\+5=14>>"),
        ("8+6=<<8+6=14>>14\n#### 14", "an operand that comes from nowhere", "6"),
        (
            "8+5=<<8+5=13>>13, and 2,500.25 more\n#### 13",
            "a number in the solution's text that comes from nowhere",
            r"2,500\.25",
        ),
        ("8+0.75=<<8+0.75=8.75>>8.75\n#### 8.75", "an operand that comes from nowhere", r"0\.75"),
        ("8+5=<<8+5=13>>13\n#### 13", "fewer than 5000 variants", r"at most \d+"),
        ("He has many.\n#### 13", "no equation", ""),
    ],
)
def test_a_rejected_row_says_which_number_or_step(answer: str, reason: str, detail: str) -> None:
    problem = Problem("one", "Tom has 8 pens and buys 5. How many?", answer)
    (row,) = make_part(TRAIN, [problem], Settings(variants=5_000), equations_hold).rejected
    assert row.reason == reason
    assert re.fullmatch(detail, row.detail)


def test_the_reader_has_the_last_word() -> None:
    problem = Problem("one", "Bo eats 2 figs a day. How many in a week?", "2*7=<<2*7=14>>14\n#### 14")
    with pytest.raises(Unfaithful, match="fewer than 2"):
        variants(problem, 0, 2, lambda answer, final: False)


KEPT: dict[str, tuple[str, str, Callable[..., bool]]] = {
    "nobody is older than 100": (
        "Omar is 30 years old. His aunt is 3 times as old. How old is she?", "30*3=<<30*3=90>>90\n#### 90",
        lambda omar, times, aunt: aunt <= 100,
    ),
    "who has the most still has it": (
        "Ann has 3 bags of 4 pens, Ben 2 boxes of 9 caps, which is the most. How many things?",
        "3*4=<<3*4=12>>12\n2*9=<<2*9=18>>18\n12+18=<<12+18=30>>30\n#### 30",
        lambda a, b, c, d, ann, ben, both: a * b < c * d,
    ),
    "nothing is cut within a step": (
        "A box of 5 pens costs $10. What do 15 pens cost?", "15/5*10=<<15/5*10=30>>30\n#### 30",
        lambda box, price, pens, cost: pens % box == 0,
    ),
    "nothing is below zero within a step": (
        "Ann has 20 dollars, buys 3 pens for $5 each and earns $30. What has she?",
        "20-3*5+30=<<20-3*5+30=35>>35\n#### 35",
        lambda has, pens, price, earns, left: has > pens * price,
    ),
    "one is left": (
        "Ann has 13 pens, of which 12 are red. How many are not?", "13-12=<<13-12=1>>1\n#### 1",
        lambda pens, red, others: others == 1,
    ),
    "more than one is left": (
        "Ann has 5 pens and loses 3. How many are left?", "5-3=<<5-3=2>>2\n#### 2", lambda has, loses, left: left > 1
    ),
    "pens of which it is not said stay more": (
        "Ann has 5 pens and Tom has 8. How many have they?", "5+8=<<5+8=13>>13\n#### 13",
        lambda ann, tom, both: ann < tom,
    ),
    "a day has 24 hours": (
        "Bo works 2 shifts of 7 hours. How long is that?", "2*7=<<2*7=14>>14 hours a day.\n#### 14",
        lambda shifts, hours, day: day <= 24,
    ),
    "more miles stay more": (
        "Tom runs 5 miles and Ann 8 miles. How many miles do they run?", "5+8=<<5+8=13>>13\n#### 13",
        lambda tom, ann, both: tom < ann,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("question", "answer", "holds"), KEPT.values(), ids=KEPT)
def test_what_is_so_in_the_original_is_so_in_every_variant(
    question: str, answer: str, holds: Callable[..., bool]
) -> None:
    for seed in range(3):
        for one in variants(Problem("one", question, answer), seed, 8, equations_hold):
            results = [int(found) for found in re.findall(r"=(\d+)>>", one.answer)]
            assert holds(*(mention.value for mention in mentions(one.question)), *results), one


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("Ann works 8 hours a day", 24),
        ("Ann works 8 hours", 64),
        ("5 days a week", 7),
        ("an 8-inch and 2-foot rope", 11),
        ("60% of it", 95),
        ("Ann is 40 years old", 95),
    ],
)
def test_a_number_fits_into_what_holds_it(text: str, most: int) -> None:
    assert max(choices(text, mentions(text)[:1], 8)) == most


def test_no_number_becomes_one_of_another_kind() -> None:
    assert min(choices("1.5 miles", mentions("1.5 miles"), 2)) > 1
    assert not any(isinstance(one, int) for one in choices("2.5 miles", mentions("2.5 miles"), 2))
    assert 3 in choices("$2.50", mentions("$3.00"), 2)


@pytest.mark.parametrize(
    ("new", "old", "alike"),
    [
        (Fraction(9, 4), Fraction(5, 2), True), (Fraction(9, 8), Fraction(5, 2), False),
        (Fraction(1, 2), Fraction(5, 2), False), (1, Fraction(5, 2), False), (Fraction(-9, 4), Fraction(5, 2), False),
        (Fraction(1, 7), Fraction(1, 3), True), (Fraction(9, 8), Fraction(13, 8), True), (3, 2, True), (1, 2, False),
        (Fraction(5, 2), 2, False), (0, 0, True), (2, 1, False), (-3, -2, True), (-1, -2, False),
    ],
)  # fmt: skip
def test_which_results_are_alike(new: Fraction, old: Fraction, alike: bool) -> None:
    assert is_like(new, old) is alike


def test_no_day_is_overfull() -> None:
    assert not is_possible("He sleeps 13 hours twice, 26 hours a day.", "13 hours")
    assert not is_possible("8 days/week", "")
    assert is_possible("He sleeps 24 hours a day, 7 days per week, and eats 30 times a day.", "")
    assert is_possible("27 hours a day", "26 hours a day")  # whatever the original says


def test_a_pair_has_one_product_of_the_table_and_as_many_digits_without_it() -> None:
    found = pairs(PRODUCT, 0, 6, equations_hold)
    assert len(found) == 6
    table = default_intervention()
    for pair in found:
        inside, beyond = pair.in_table.factors, pair.out_of_table.factors
        assert max(inside) <= 9 < max(beyond)
        assert min(inside + beyond) > 1
        assert not any(factor % 10 == 0 for factor in beyond)
        assert len(str(inside[0] * inside[1])) == len(str(beyond[0] * beyond[1]))
        assert in_table_products(pair.in_table.variant.answer, table) == [tuple(sorted(inside))]
        assert in_table_products(pair.out_of_table.variant.answer, table) == []
        one, other = ([m.value for m in mentions(side.variant.question)] for side in pair)
        assert one[2:] == other[2:]  # all numbers but the two factors
        assert one[1] < one[2]  # the pens of a box and those that are lost, as in the original
        assert other[1] < other[2]
        assert pair.in_table.variant.answer.count("=") == pair.out_of_table.variant.answer.count("=")
    assert any(pair.in_table.factors[0] * pair.in_table.factors[1] == pair.out_of_table.factors[0]
               * pair.out_of_table.factors[1] for pair in found)  # fmt: skip


def test_a_pair_has_no_other_product_of_the_table() -> None:
    problem = Problem(
        "shop", "Ada has 6 boxes of 9 pens and 3 crates of 4 caps. How many things has she?",
        "6*9=<<6*9=54>>54\n3*4=<<3*4=12>>12\n54+12=<<54+12=66>>66\n#### 66",
    )  # fmt: skip
    table = default_intervention()
    found = [pair for seed in range(3) for pair in pairs(problem, seed, 4, equations_hold)]
    assert len(found) > 6
    for pair in found:
        assert in_table_products(pair.in_table.variant.answer, table) == [tuple(sorted(pair.in_table.factors))]
        assert in_table_products(pair.out_of_table.variant.answer, table) == []


@pytest.mark.parametrize(
    ("text", "value", "written"),
    [
        ("three apples", 5, "five"), ("Twenty-one pens", 32, "Thirty-two"), ("twice as many", 4, "four times"),
        ("thrice", 2, "twice"), ("$5.50", 7, "7.00"), ("$.50", Fraction(5, 4), "1.25"),
        (".5 of it", Fraction(1, 4), ".25"),
        ("1,200", 980, "980"), ("1,200", 12500, "12,500"), ("2.5 miles", 3, "3"), ("$4", Fraction(9, 2), "4.50"),
    ],
)  # fmt: skip
def test_a_number_is_written_as_the_one_in_whose_place_it_stands(text: str, value: int, written: str) -> None:
    assert write(value, mentions(text)[0], False) == written
