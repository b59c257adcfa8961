"""Equations in the notations around them: run-ons, LaTeX, cents, ellipses, labels, markup and program code."""

from itertools import product

import pytest
from answers import OWN, read
from hypothesis import given
from hypothesis import strategies as st
from test_equation_spellings import brief, verdict

from domain_tokens.evaluation.equations import read_equations
from domain_tokens.tokenization.rewriter import inject


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4 + 3 = 7 * 2 = 14", ["4 + 3 = 7 * 2 = 14: right", "7 * 2 = 14: right"]),
        ("4+3=<<4+3=7>>7*2=<<7*2=14>>14", ["4+3=<<4+3=7>>7*2: right", "7*2=<<7*2=14>>14: right"]),
        ("4+3=7*20=140", ["4+3=7: right", "7*20=140: right"]),
        ("4 + 3 = 8 * 2 = 16", ["4 + 3 = 8 * 2 = 16: wrong", "8 * 2 = 16: right"]),
        ("4+3=<<4+3=7>>8*2=<<8*2=16>>16", ["4+3=<<4+3=7>>8*2: wrong", "8*2=<<8*2=16>>16: right"]),
        ("20/3 = 6*9 = 54", ["20/3 = 6*9 = 54: rounded", "6*9 = 54: right"]),
        ("7 - 2 = 5*2 + 1 = 11", ["7 - 2 = 5*2: right", "5*2: right", "5*2 + 1 = 11: right"]),
        ("4 + 3 = 7 * 2 = 14 / 7 = 2", ["4 + 3 = 7 * 2: right", "7 * 2 = 14: right", "14 / 7 = 2: right"]),
        ("6 + 8 = 7 * 2", ["6 + 8 = 7 * 2: right", "7 * 2: right"]),
        ("55 = 6*9", ["55 = 6*9: wrong"]),
    ],
)
def test_an_equation_runs_on_into_a_product_of_the_table(text: str, expected: list[str]) -> None:
    assert brief(text) == expected


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40), st.integers(0, 1))
def test_a_run_on_is_read_alike_in_every_form(a: int, b: int, first: int, off: int) -> None:
    """Annotated or not, as digits or as tokens; the sum before the product is right if it gives one of its factors."""
    left, right = f"{first + 40}-{first + 40 - a - off}", f"{a}*{b}={a * b}"
    plain, annotated = f"{left}={right}", f"{left}=<<{left}={a + off}>>{a}*{b}=<<{right}>>{a * b}"
    for text in (plain, annotated, inject(plain, OWN)):
        found = read_equations(read(text))
        assert [one.kind for one in found] == ["difference", "product"]
        assert found[0].right == (a + off in (a, b, a * b)), text
        assert found[1].right


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\frac{3}{4} \times 8 = 6", "right"), (r"\frac{3}{4} \times 8 = 7", "wrong"),
        (r"$\dfrac{1}{2} + \tfrac14 = \frac{3}{4}$", "right"), (r"\frac34 \cdot 8 = 6", "right"),
        (r"\frac{24 + 6}{5} = 6", "right"), (r"\frac{24 + 6}{5} = 7", "wrong"),
        (r"\frac{\frac{1}{2}}{\frac{1}{4}} = 2", "right"), (r"8 \div \frac{1}{2} = 16", "right"),
        (r"2\frac{1}{2} \times 4 = 10", "right"), (r"1 \frac{1}{3} + 1\frac{2}{3} = 3", "right"),
        (r"3\frac{4}{2} = 6", "right"), (r"\frac{9}{3} = 3", "right"), (r"5 = \frac{12}{4}", "wrong"),
        (r"\left( 4 + 5 \right) \times 2 = 18", "right"), (r"\{4 + 5\} \times 2 = 18", "right"),
        (r"{3 + 4} \times 2 = 14", "right"), (r"{3 + 4} \times 2 = 11", "wrong"), (r"3\cdot4\cdot5=60", "right"),
        (r"3\;+\;4\,=\,7", "right"), (r"12 \div 4 = 3", "right"), (r"5 \text{ cm} \times 4 = 20\text{ cm}", "right"),
        (r"\text{Total} = 3 \times 7 = 22", "wrong"), (r"\boxed{6 \times 8 = 48}", "right"),
        (r"\mathbf{15} + 27 = \mathbf{42}", "right"), (r"20\% \text{ of } 50 = 10", "right"),
        (r"\begin{align*} 3 + 4 &= 7 \end{align*}", "right"), (r"3 + 4 = 7 \implies x = 7", "right"),
    ],
)  # fmt: skip
def test_latex_is_read(text: str, expected: str) -> None:
    assert [verdict(one) for one in read_equations(read(text))] == [expected]


@pytest.mark.parametrize(
    "text",
    [
        r"\binom{4}{2} + 1 = 7", r"\sqrt{16} + 1 = 5", r"2^{3} + 1 = 9", r"10^{2} \times 3 = 300", r"x_{1} + 3 = 7",
        r"\frac{x}{4} + 3 = 9", r"\frac{x + 1}{2} = 3 + 4", r"\frac{3} + 4 = 5", r"\frac + 3 = 4", r"\frac{3}{4",
        r"\frac{3 \times x}{\binom{4}{2}} + 1 = 7", r"\color{red}{3} + 4 = 9", r"7 \mod 3 + 1 = 2",
        r"\overline{12} + 3 = 4", r"3 \pm 1 = 4", "}{ 3", r"5 \neq 3 + 1 = 4 + 5",
    ],
)  # fmt: skip
def test_latex_that_is_not_known_is_not_read(text: str) -> None:
    assert brief(text) == []


@given(
    st.lists(st.sampled_from([r"\frac", "{", "}", "3", "4", "+", r"\sqrt", "x", "\n", " ", r"\times"]), max_size=24)
)
def test_braces_in_any_order_leave_what_follows(pieces: list[str]) -> None:
    (*_, last) = brief("".join(pieces) + "\n\n2+3=5\n")
    assert last == "2+3=5: right"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 cents * 4 = $2", "right"), ("50¢ x 4 = $2.00", "right"), ("4 x 50c = $2.00", "right"),
        ("50 cents * 4 = 200 cents", "right"), ("50 cents * 4 = $3", "wrong"), ("$5 - 75 cents = $4.25", "right"),
        ("$5 - 75 cents = 425 cents", "right"), ("$5 - 75 cents = $4.50", "wrong"), ("75¢ + 75¢ = $1.50", "right"),
        ("75 cents + 75 cents = 150", "right"), ("$1 - $.25 = 75¢", "right"), ("$1 - $.25 = 70¢", "wrong"),
        ("$10 - 3 * 50 cents = $8.50", "right"), ("$3 and 50 cents + $1 = $4.50", "right"),
        ("$3 and 50¢ + $1 = $4.50", "right"), ("€3 and 50 cents + €1 = €4.50", "right"),
        ("£2 - 50 cents = £1.50", "right"),
        ("fifty cents * 4 = $2", "right"), ("25 cents/apple * 4 apples = $1", "right"),
        ("3 dollars and 50 cents * 2 = $7", "right"),
        ("$3 and 50 cents + $1 = $5.50", "wrong"), ("2 hours and 30 minutes * 2 = 5 hours", "right"),
        ("5 feet 6 inches * 2 = 11 feet", "right"),
    ],
)  # fmt: skip
def test_cents_are_hundredths_of_dollars(text: str, expected: str) -> None:
    assert [verdict(one) for one in read_equations(read(text))] == [expected]


@given(st.integers(1, 99), st.integers(11, 60))
def test_a_sum_of_dollars_and_cents_is_right_in_either_unit(cents: int, dollars: int) -> None:
    total = dollars * 100 + cents
    for stated in (f"${total / 100:.2f}", f"{total} cents", f"{total}¢"):
        assert [verdict(one) for one in read_equations(read(f"${dollars} + {cents} cents = {stated}"))] == ["right"]
    wrong = f"${dollars} + {cents} cents = ${total / 100 + 1:.2f}"
    assert [verdict(one) for one in read_equations(read(wrong))] == ["wrong"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("so...6*9=54", ["6*9=54: right"]), ("so...6*9=55", ["6*9=55: wrong"]), ("hmm..10-4=6", ["10-4=6: right"]),
        ("5*4=20...20-3=17", ["5*4=20: right", "20-3=17: right"]), ("6*9=...54", ["6*9=...54: right"]),
        ("3+4=7.7*12=84", []), ("2+1.5=3.5*2=8", ["2+1.5=3.5: right", "3.5*2=8: wrong"]),
        ('12 + 13 = "25"', ['12 + 13 = "25: right']),
        ("12 + 9 = … = 21", ["12 + 9 = … = 21: right"]), ("it is .5+.5=1", [".5+.5=1: right"]),
        ("Great! 5 + 7 = 12!", ["5 + 7 = 12: right"]), ("wow 15+27=42!!", ["15+27=42: right"]),
        ("__15 + 27 = 42__", ["15 + 27 = 42: right"]), ("15 + 27 = <b>42</b>", ["15 + 27 = <b>42: right"]),
        ("13 &times; 4 = 52", ["13 &times; 4 = 52: right"]),
    ],
)  # fmt: skip
def test_marks_around_numbers(text: str, expected: list[str]) -> None:
    assert brief(text) == expected


@given(
    st.integers(1, 9), st.integers(1, 9), st.sampled_from([" - ", " – "]), st.sampled_from(["", " = {}", " apples"])
)
def test_a_product_behind_a_label_is_one_equation_in_every_form(a: int, b: int, dash: str, behind: str) -> None:
    text = f"Day 97{dash}{a}*{b}{behind.format(a * b)}"  # an odd number, or `12 - 2*3 = 6` holds as it stands
    for written in (text, inject(text, OWN)):
        assert [(one.pair, one.right) for one in read_equations(read(written))] == [((min(a, b), max(a, b)), True)]


LABELS = ["Day 2", "Day two", "(2)", "Part (2)", "Step 3", "Q2", "Week 12", "Bus 3", "box 4", "#2", "No. 3", "Group A"]


@pytest.mark.parametrize(("label", "dash"), product(LABELS, [" - ", " – "]))
def test_what_a_label_numbers_is_read_without_it(label: str, dash: str) -> None:
    assert brief(f"{label}{dash}10 + 30 = 40") == ["10 + 30 = 40: right"]
    assert brief(f"{label}{dash}13 * 11 = 143") == ["13 * 11 = 143: right"]
    assert "right" not in "".join(brief(f"{label}{dash}10 + 30 = 41"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Step 3: 4*5=20", ["4*5=20: right"]), ("1) 3+4=7", ["3+4=7: right"]), ("1- 3 + 4 = 7", ["3 + 4 = 7: right"]),
        ("(12) - 10 = 3", ["(12) - 10 = 3: wrong"]), ("(2)-10*3 = 30", ["(2)-10*3 = 30: wrong"]),
        ("Week 2 = 10+3", []),
        ("Week 2 = 10+3 = 13", ["10+3 = 13: right"]), ("Weeks 1-2 = 96 - 70", []),
        ("Person 1 = 5 * 2 = 10", ["5 * 2 = 10: right"]), ("Option 1 - 3*4 = 12", ["3*4 = 12: right"]),
        ("Day 2 - 10 + 3 = -5", ["2 - 10 + 3 = -5: right"]), ("Then 20 - 5 * 13 = 65", ["20 - 5 * 13 = 65: wrong"]),
        ("Total 20 - 14 = 7", ["20 - 14 = 7: wrong"]), ("Total 55 = 6*9", ["55 = 6*9: wrong"]),
    ],
)  # fmt: skip
def test_labels(text: str, expected: list[str]) -> None:
    assert brief(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2 ** 3 + 1 = 9", "2**3 + 1 = 9", "x ** 2 + 1 = 3", "x**2 + 1 = 3", "10 % 3 + 1 = 2", "10%3 + 1 = 2",
        "10 %3 + 1 = 2", "2**-1 + 3 = 3.5", "2 ** -1 + 3 = 3.5",
        "x % 2 + 1 = 3", "7 // 2 * 2 = 6", "x += 3 + 4", "total -= 3 * 5", "if 3 * 4 == 13:",
        "assert a or 3 * 4 === 13",
        "3 * 4 != 13", "return 13 == 3 * 4", "3 + 4 <= 8", "3 + 4 >= 6", "x = 1 << 3 + 1 = 16", "7 & 3 + 1 = 4",
        "n! + 1 = 7", "5! - 20 = 100", "On 3/4/2021 + 5 = 8", "2023-05-01 = 2017",
        "Three times the first number plus four times the second is 25", "Five times a number plus 3 is 23",
        "3 times this number plus 4 = 19", "1+2+3+...+10=55", "4 times his age + 2 = 46",
        "2 times the boys plus 3 times the girls equals 50", "2 adults + 3 kids = $45",
    ],
)  # fmt: skip
def test_code_and_conditions_are_not_read_as_wrong(text: str) -> None:
    assert [one for one in brief(text) if not one.endswith(": right")] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7 // 2 = 3", "rounded"), ("3 * 4 == 12", "right"), ("So:\n8*7==35\n#### 35", "wrong"),
        ("3 times a week * 4 weeks = 12", "right"),
        ("3 times per day * 7 = 22", "wrong"), ("26 times in May + 8 times in June = 34", "right"),
        ("10% * 30 = 3", "right"),
        ("it is worth %20*50=1000", "right"),
        ("he has 2 bags is $2.50/2 = $1.25", "right"), ("**5** + **6** = **11**", "right"),
        ("2 adults + 3 kids = 6", "wrong"),
    ],
)  # fmt: skip
def test_what_looks_like_code_and_is_arithmetic(text: str, expected: str) -> None:
    assert [verdict(one) for one in read_equations(read(text))] == [expected]
