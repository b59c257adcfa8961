"""How equations are spelled: numbers, signs, units, rounding, and what only looks like one."""

import json
from fractions import Fraction

import pytest
from answers import read
from hypothesis import given, settings
from hypothesis import strategies as st
from num2words import num2words
from properties import examples
from real_data import Data

from domain_tokens.evaluation.equations import Equation, read_equations
from domain_tokens.evaluation.equations.spelled import spelled_number
from domain_tokens.evaluation.equations.units import is_conversion, times_as_many, unit_of


def verdict(equation: Equation) -> str:
    return "wrong" if not equation.right else "rounded" if equation.rounded else "right"


def brief(text: str) -> list[str]:
    """Return the equations of a text, each as its text and its verdict."""
    return [f"{equation.text}: {verdict(equation)}" for equation in read_equations(read(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.87*9=16.830000000000002", "right"),
        ("0.1+0.2=0.30000000000000004", "right"),
        ("4.35*100=434.99999999999994", "right"),
        ("100.1-100=0.09999999999999432", "right"),
        ("0.1+0.2-0.3=5.551115123125783e-17", "right"),
        ("1.87*9=<<1.87*9=16.830000000000002>>16.83", "right"),
        ("3*1.1=3.4000000000000003", "wrong"),
        ("3*1.1=3.300002", "wrong"),
        ("50/3=16.666666666666668", "rounded"),
        ("200/3=66.66666666666667", "rounded"),
        ("200/3=<<200/3=66.66666666666667>>66", "rounded"),
        ("200/3=<<200/3=66.66666666666667>>67", "rounded"),
        ("200/3=<<200/3=66.66666666666667>>65", "wrong"),
        ("200/3=66", "rounded"),
        ("200/3=66.66", "rounded"),
        ("200/3=66.7", "rounded"),
        ("200/3=68", "wrong"),
        ("2/3=66%", "rounded"),
        ("2/3=66.666...%", "rounded"),
        ("1.19*1.19=1.41", "rounded"),
        ("5.9*3=17", "wrong"),
        ("5 liters / 3 cows = 1.666...", "rounded"),
        ("5 liters / 3 cows = 1.67 liters", "rounded"),
        ("5 liters / 3 cows = 1.7 liters", "rounded"),
        ("5 liters / 3 cows = 1.5 liters", "wrong"),
        ("10/3*2 = 3.33*2", "rounded"),
        ("10/3*2 = 3.43*2", "wrong"),
        ("20 + 1/4 = 20 + 1/2", "wrong"),
        ("20 + 1/4 = 20 + 1/2 = 20.5", "wrong"),
        ("20 + 1/4 = 20", "wrong"),
        ("1/2 + 1/4 = 1", "wrong"),
        ("9/4 + 1/4 = 3/2", "wrong"),
        ("4+3=<<3+3=6>>6", "wrong"),
        ("4+3=<<3+3=6>>7", "wrong"),
        ("4+3=<<4+3=7>>8", "wrong"),
        ("half of 10 is <<10/2=5>>6", "wrong"),
        ("2 weeks * 5 = <<14*5=70>>70", "right"),
        ("1e3 + 1 = 1001", "right"),
        ("123456 * 1000 = 1.23e8", "rounded"),
    ],
)
def test_what_is_right_and_what_is_rounded(text: str, expected: str) -> None:
    assert verdict(read_equations(read(text))[0]) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- 6 + 3 = -3", ["- 6 + 3 = -3: right"]),
        ("- 6 + 3 = 9", ["6 + 3 = 9: right"]),
        ("- 6 + 3 = 10", ["6 + 3 = 10: wrong"]),
        ("3 - 5 = - 2", ["3 - 5 = - 2: right"]),
        ("4 * - 3 = -12", ["4 * - 3 = -12: right"]),
        ("( - 4)( - 7) = 28", ["( - 4)( - 7) = 28: right"]),
        ("Total: - 5 + 3 = -2", ["- 5 + 3 = -2: right"]),
        ("5 − 3 = 2, 5 – 3 = 2, 5 － 3 = 2", ["5 − 3 = 2: right", "5 – 3 = 2: right", "5 － 3 = 2: right"]),
        ("5 ✕ 3 = 15, 15 ➗ 3 = 5", ["5 ✕ 3 = 15: right", "15 ➗ 3 = 5: right"]),
        ("2•(26 − 7) = 38", ["2•(26 − 7) = 38: right"]),
        ("5 ft. + 3 ft. + 1 = 9", ["5 ft. + 3 ft. + 1 = 9: right"]),
        ("50¢ + 25¢ = 75¢", ["50¢ + 25¢ = 75¢: right"]),
        ("24 x 50 percent = 12", ["24 x 50 percent = 12: right"]),
        ("$200 - 15 percent = $170, 200 + 15% = 230", ["200 - 15 percent = $170: right", "200 + 15% = 230: right"]),
        ("200 - 15% = 171", ["200 - 15% = 171: wrong"]),
        ("5 gal. x $3.50/gal. = $17.50", ["5 gal. x $3.50/gal. = $17.50: right"]),
        ("24 x 50 per cent = 13", ["24 x 50 per cent = 13: wrong"]),
        ("fifty percent of 24 is 12", ["fifty percent of 24 is 12: right"]),
        ("thirty - 12 - 8 = 10", ["thirty - 12 - 8 = 10: right"]),
        ("thirty - 12 - 8 = 11", ["thirty - 12 - 8 = 11: wrong"]),
        ("savings - 12 - 8 = 10", []),
        ("savings - 12 - 8 = 4", ["12 - 8 = 4: right"]),
        ("5 - 3 is two, and one of them", []),
        ("six times nine is fifty-four", ["six times nine is fifty-four: right"]),
        (
            "three apples + two hundred and five pears = 208",
            ["three apples + two hundred and five pears = 208: right"],
        ),
        ("12 x 9 is one fact", []),
        ("1 1/2 + 2 = 3 1/2", ["1 1/2 + 2 = 3 1/2: right"]),
        ("1½ + 2 = 3 ½", ["1½ + 2 = 3 ½: right"]),
        ("12 x 1 and 1/4 = 15, 17/3 = 5 and 2/3 loads", ["12 x 1 and 1/4 = 15: right", "17/3 = 5 and 2/3: right"]),
        ("1/4 = 3/12 and 1/6 = 2/12", ["1/4 = 3/12: right", "1/6 = 2/12: right"]),
        ("12*3 = 36 and 1/2*10 = 5", ["12*3 = 36: right", "1/2*10 = 5: right"]),
        ("1 1/2 + 2 = 4", ["1 1/2 + 2 = 4: wrong"]),
        ("= 15 1/2*10=5", ["1/2*10=5: right"]),
        ("5 000 + 1 = 5 001", ["5 000 + 1 = 5 001: right"]),
        ("1 000 000 + 500 = 1 000 500", ["1 000 000 + 500 = 1 000 500: right"]),
        ("1'234 + 1 = 1'235", ["1'234 + 1 = 1'235: right"]),
        ("5{,}000 + 1 = 5{,}001", ["5{,}000 + 1 = 5{,}001: right"]),
        ("2 dozen * 3 = 72, 2 dozen * 3 = 6", ["2 dozen * 3 = 72: right", "2 dozen * 3 = 6: right"]),
        ("1 million + 500 thousand = 1.5 million", ["1 million + 500 thousand = 1.5: right"]),
        ("2 weeks * 5 = 70 days", ["2 weeks * 5 = 70: right"]),
        ("1 kg - 300 g = 700 g", ["1 kg - 300 g = 700: right"]),
        ("1 kg - 300 g = 800 g", ["1 kg - 300 g = 800: wrong"]),
        ("2 m + 30 cm = 2.3 m", ["2 m + 30 cm = 2.3: right"]),
        ("1 l + 500 ml = 1500 ml", ["1 l + 500 ml = 1500: right"]),
        ("$2.50 - $2.24 = 26 cents", ["2.50 - $2.24 = 26: right"]),
        ("20 minutes = 1/3 hour", ["20 minutes = 1/3: right"]),
        ("3 feet + 3 feet = 7 feet", ["3 feet + 3 feet = 7: wrong"]),
        ("3/3 - 2/3 = 1/3 of $150", ["3/3 - 2/3 = 1/3: right"]),
        ("12·3 = 36 −12·3 = −36", ["12·3 = 36: right"]),
        ("12*9 = 108 + 5", []),
    ],
)
def test_spellings(text: str, expected: list[str]) -> None:
    assert brief(text) == expected


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        ("2 ft + 3 in = {} in", 27, 28), ("3 ft - 6 in = {} in", 30, 31), ("{} in = 2 ft + 3 in", 27, 28),
        ("2 hours + 30 minutes = {} hours", 2.5, 4), ("5 minutes * 60 = {} seconds", 300, 310),
        ("300 seconds / 60 = {} minutes", 5, 6), ("2 weeks * 5 = {} days", 70, 71),
        ("3 hours * 20 = {} miles", 60, 61),
        ("for a total addition of 3*4 = {} bikes", 12, 19), ("150 - 10 = 140 -10 = {}", 130, 137),
        ("x = 140 -10 = {}", 130, 137), ("1077 - 129 = {} penguins in it", 948, 955),
        ("5 + 3 = {} in the morning", 8, 9), ("2 hours * 60 minutes/hour + 15 minutes = {} minutes", 135, 136),
    ],
)  # fmt: skip
def test_a_mistake_is_read_where_the_right_result_is(text: str, right: float, wrong: float) -> None:
    assert [brief(text.format(right))[-1][-7:], brief(text.format(wrong))[-1][-7:]] == [": right", ": wrong"]


@pytest.mark.parametrize(
    "text",
    [
        "1 foot + 3 inches = {}", "2 ft + 3 in = {}", "2apples+3oranges = {}", "2 adults + 3 kids = ${}",
        "1/2 hour + 15 minutes = {} minutes", "half the sum of 3 + 5 = {}", "3-4 apples = {}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("number", ["1", "4", "5", "8", "15", "15.5", "45"])
def test_what_may_be_no_arithmetic_is_not_read_where_it_holds_either(text: str, number: str) -> None:
    assert brief("5 + 3 = 8") == ["5 + 3 = 8: right"]
    assert brief(text.format(number)) == []


@pytest.mark.parametrize(
    "text",
    [
        "1.000 + 2.500 = 3500", "1.500 * 2 = 3000", "3-4 apples = 7",
        "1Dachshund+1/4Papillon = 3", "1Dachshund+1/4Papillon+1/2 = 1", "2apples+3oranges = 12",
        "1 foot + 3 inches = 9", "5 feet 3 inches + 2 = 7",
        "4 pounds - 6 ounces = 58 ounces", "11 AM plus 4 hours is 3 PM", "0900 - 0130 = 0730", "11*45 = 3 modulo 12",
        "5 + 2 = 11 in base 6", "0x10 + 5 = 0x15", "10 — 3 + 2 = 9", "14, 400 / 80 = 180", "is 27 = 1/2 * 23?",
        "36 = 3/4 x", "75 = (3/2)x", "520(0.82) = 1(x)", "2n(5)(12) = 377", "abs(3-5) = 2", "100 + (100*2 = 300",
        "2 m = 6", "5 g - 2 = 4", "3 m - 2 kg = 5", "2 m * 3 = 7 m",
        "3 subtracted from 5 + 2 = 4", ".8 + . 84 + .82 = 2.46", "2 dozen * 3 = 7",
    ],
)  # fmt: skip
def test_what_may_be_no_arithmetic_is_not_read_as_wrong(text: str) -> None:
    assert [equation for equation in brief(text) if not equation.endswith(": right")] == []


def test_gold_answers_state_hardly_anything_wrong(data: Data) -> None:
    lines = (data.folder / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    found = [equation for line in lines for equation in read_equations(read(json.loads(line)["answer"]))]
    assert len(found) > len(lines)
    wrong = [equation.text for equation in found if not equation.right]
    assert wrong == ([] if data.is_own else ["364 / 4 = <<3/4*364=273>>273", "32 - $20 = $300"])


def number_spellings(number: int, *, money: bool = True) -> st.SearchStrategy[str]:
    digits = [f"{number}", f"{number:,}", f"{number:,}".replace(",", "\u202f"), f"{number:,}".replace(",", "'"),
              f"${number}", f"{number}.00"]  # fmt: skip
    spellings = [*digits, num2words(number).replace(",", "")]
    return st.sampled_from([one for one in spellings if money or "$" not in one])


SIGNS = {
    "+": ["+", " + ", " plus "],
    "-": ["-", " - ", " − ", " – ", " minus "],
    "*": ["*", " * ", "×", " × ", " · ", " times ", r" \times "],
    "/": ["/", " / ", " ÷ ", " divided by "],
}
UNITS = ["", " apples", " hours", " ft.", " sq ft", " dollars each"]


@st.composite
def facts(draw: st.DrawFn) -> tuple[str, str, int]:
    """Draw a true equation in one of its spellings: its left side, its equals sign, its result."""
    sign = draw(st.sampled_from(sorted(SIGNS)))
    a, b = draw(st.integers(1, 60)), draw(st.integers(1, 3000))
    if sign in "-/":
        a, b = (a + b, b) if sign == "-" else (a * b, b)
    result = {"+": a + b, "-": a - b, "*": a * b, "/": a // b}[sign]
    unit = draw(st.sampled_from(UNITS))  # hours and dollars are not added
    left, right = (draw(number_spellings(number, money=not unit)) for number in (a, b))
    between = draw(st.sampled_from(SIGNS[sign]))
    if left[-1].isalpha() or right[0].isalpha():
        between = f" {between.strip()} "
    equals = draw(st.sampled_from(["=", " = ", " equals " if sign in "+*" else " = "]))
    return f"{left}{unit} {between.strip()} {right}" if unit else f"{left}{between}{right}", equals, result


@settings(max_examples=examples(400))
@given(facts(), st.integers(1, 9), st.data())
def test_a_true_fact_is_right_in_every_spelling_and_wrong_with_another_result(
    fact: tuple[str, str, int], change: int, data: st.DataObject
) -> None:
    left, equals, result = fact
    money = not any(unit and unit in left for unit in UNITS)
    right = read_equations(read(f"So: {left}{equals}{data.draw(number_spellings(result, money=money))}."))
    assert [verdict(one) for one in right] == ["right"], left
    wrong = read_equations(read(f"So: {left}{equals}{data.draw(number_spellings(result + change, money=money))}."))
    assert [verdict(one) for one in wrong] == ["wrong"], left


@settings(max_examples=examples(300))
@given(st.integers(-10_000, 10_000), st.integers(1, 9999), st.sampled_from("+-*/"))
def test_what_floating_point_makes_of_decimals_is_not_wrong(a: int, b: int, sign: str) -> None:
    first, second = a / 100, b / 100
    result = {"+": first + second, "-": first - second, "*": first * second, "/": first / second}[sign]
    (found,) = read_equations(read(f"{first}{sign}{second}={result}"))
    assert found.right or result == 0
    if result:
        (other,) = read_equations(read(f"{first}{sign}{second}={result * 1.01 + (1 if result > 0 else -1)}"))
        assert not other.right


@given(st.integers(0, 999_999))
def test_numbers_in_words(number: int) -> None:
    words = num2words(number).replace(",", "").split()
    assert spelled_number([*words, "apples"]) == (number, len(words))


@pytest.mark.parametrize(
    ("unit", "other", "expected"),
    [
        ("weeks", "day", 7),
        ("min.", "hour", Fraction(1, 60)),
        ("yd.", "feet", 3),
        ("Dollars", "cents", 100),
        ("feet", "hours", None),
    ],
)
def test_units(unit: str, other: str, expected: Fraction | None) -> None:
    assert times_as_many(unit_of(unit), unit_of(other)) == expected
    assert unit_of("apple") == ""


@pytest.mark.parametrize(
    ("number", "unit", "other_number", "other", "holds"),
    [
        (1, "hour", 60, "minutes", True), (1, "hour", 100, "minutes", False),
        (90, "min", Fraction(3, 2), "hours", True),
        (2, "years", 104, "weeks", True), (1, "year", 366, "days", True), (30, "days", 1, "month", True),
        (1, "month", 7, "days", False), (2, "dozen", 24, "eggs", True), (1, "dozen", 10, "eggs", False),
        (1, "dollar", 3, "apples", False), (1, "foot", 12, "hours", False),
    ],
)  # fmt: skip
def test_conversions(number: int, unit: str, other_number: int | Fraction, other: str, holds: bool) -> None:
    assert is_conversion(Fraction(number), unit, Fraction(other_number), other) is holds
