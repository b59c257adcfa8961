"""Signs, spaces and units around a number: the same in a right answer and in a model's, on either side of it."""

import re
import sys
import unicodedata
from fractions import Fraction

import pytest
from answers import read
from hypothesis import given
from hypothesis import strategies as st

from domain_tokens.evaluation.answers.answer import is_correct
from domain_tokens.evaluation.answers.extraction import extract_answer, mentions, read_gold, require_gold
from domain_tokens.evaluation.answers.notation import INVISIBLE, LOOK_ALIKES
from domain_tokens.recipe import RecipeError
from domain_tokens.tokenization.guards.currencies import CURRENCY_CODES

MINUS_SIGNS = ["-", *LOOK_ALIKES["-"], "－", "﹣"]
SPACES = ["", " ", "\u00a0", "\u2009", "\u202f", "\u3000", "\u200b", "\u2060", "\ufeff"]
UNITS = ["$", "€", "£", "¥", "₹", "￥", "US$", "R$", "%", "％", "Rs.", "Rs", "kr", "zł", "元", *CURRENCY_CODES.split()]


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("–5", -5), ("− 5", -5), ("—5", -5), ("$–5", -5), ("–$5", -5),
        ("USD −5", -5), ("18\u200b", 18), ("\ufeff18", 18),
        ("18\u00a0", 18), ("1\u200b8", 18), ("€54", 54), ("£54", 54), ("¥54", 54),
        ("Rs. 54", 54), ("Rs.54/-", 54),
        ("USD 54", 54), ("54USD", 54), ("54 CHF", 54), ("CHF54", 54), ("％54", 54), ("54%", 54), ("５４", 54),
        ("－５４", -54), ("1\u2009234", 1234), ("1\u202f234,", 1234), ("1，234", 1234),
        ("1’234.50", Fraction(2469, 2)),
        ("“54”", 54), ("`54`", 54), ("54。", 54), ("3⁄4", Fraction(3, 4)),
        ("Rs..5", Fraction(1, 2)), ("$.5", Fraction(1, 2)),
        ("-(1/3)", Fraction(-1, 3)), ("−(1/3)", Fraction(-1, 3)), ("(1/3)", Fraction(1, 3)),
        ("54 ℃", 54), ("72 m²", 72),
        ("5 dollars per dozen", 5), ("3 boxes of a dozen eggs", 3), ("12. That is a dozen.", 12),
        ("5 M&M candies", 5),
        ("5 m", 5), ("54 (USD)", 54),
        ("1 1/2", Fraction(3, 2)), ("-1 1/2", Fraction(-3, 2)), ("1½", Fraction(3, 2)), ("72 ½", Fraction(145, 2)),
        ("½", Fraction(1, 2)), ("5 1/2 hours", Fraction(11, 2)), ("54\\%", 54), ("\\$54", 54), ("\\boxed{54}", 54),
        ("54\\text{ cm}", 54), ("\\(54\\)", 54), ("10\\,000", 10_000), ("1\\frac{1}{2}", Fraction(3, 2)),
        ("**54**.", 54), ("**54**!", 54),
        ("**54** cups", 54), ("**$54** in all.", 54), ("_54_,", 54), ("*54*", 54), ("`54`.", 54),
        ("54 T-shirts", 54), ("54 T shirts", 54), ("54 B vitamins", 54), ("54 K-pop fans", 54), ("54 M&Ms", 54),
        ("3 quarters", 3), ("2 pairs", 2), ("54 scores", 54), ("2 second graders", 2), ("2 third graders", 2),
        ("3 grand pianos", 3), ("54 half-dollars", 54), ("54 times", 54), ("5 hours one way", 5), ("54 apples!", 54),
        ("54 (fifty-four)", 54), ("54 per thousand", 54), ("54. Twice that is too much", 54),
        ("1{,}234", 1234), (r"\frac12", Fraction(1, 2)), (r"\frac{-1}{2}", Fraction(-1, 2)),
        (r"\boxed{54 \text{ apples}}", 54), (r"$$\boxed{\$54}$$.", 54), ("$$54$$", 54), (r"54^\circ", 54),
        (r"54^{\circ}", 54), ("54º", 54), ("54 ft^2", 54), ("54 cm^{2}", 54), ("54 meters squared", 54),
        ("54!!!", 54), ("$54/person", 54), ("$5/dozen", 5), ("54 <br>", 54), ("<b>54</b>", 54), ("Answer: 54", 54),
        ("**Answer:** 54", 54), ("Answer: **54**", 54), (r"54\ \text{ft}^2", 54),
        ("The final answer is $54.", 54), ("54 **apples**", 54), ("54...", 54),
        ("5 six-packs", 5), ("4 twenty-five-dollar bills", 4),
    ],
)  # fmt: skip
def test_what_is_read(line: str, number: Fraction) -> None:
    assert extract_answer(f"so\n#### {line}") == number
    assert is_correct(read(f"#### {line}"), str(number))
    assert is_correct(read(f"#### {number}"), line)


@pytest.mark.parametrize(
    "line",
    ["12 dozen", "12 dozens.", "12 (dozen)", "12 full dozen eggs", "12\u00a0dozen",
     "5 million", "$5 million", "₹5 lakh",
     "5 k", "$5 M", "5万", "5 万", "5 and a half", "5 and one third", "72 or seventy-three",
     "10²", "(54)", "2 thirds", "3 halves", "3 half", "5 tenths", "10 hundredths.", "1 third", "3 quarters of it",
     "12 gross", "2 score", "5 grand", "$5 grand", "5 thou", "5 mio", "5 Mio.", "5 Mrd", "5 quadrillion", "5百",
     "5 squared", "5 cubed", "5!", "5 !", "5! ways", "5 factorial", "5 to the power of two", "5 raised to the third",
     "5 hours thirty minutes", "5 hours and thirty minutes", "5 feet six", "5 pounds, five ounces", "5 dollars fifty",
     "5 hours one minute", "5 & a half", "5 (and a half)", "5 doubled", "5 divided by two", "5 degrees below zero",
     "5 negative", "5 minus", "5 B dollars", "5 M people", "5 k races", "54* 3", "*5* 4", "54* x", "1 3/2", "1 1/0",
     "54\\x", "12 {dozen}",
     "5.333...", "5.333…", "5.3 ...", "5.3 repeating", "5.3 (recurring).", "5.3 and so on",
     "54 x two", "54 over two", "54 by two", "54 less two", "54 point five", "54 remainder two", "54 to fifty-six",
     "54 times a hundred", "54 times a thousand", "54 dz", "54 x one", "54, fifty-five", "54 in two baskets", "54 TWO",
     "54 out of a hundred", "54/two", "54/hundred", "54/x", "54 x^2", "54^2", "54 ft^2 + 3", "54!!", "72<br>73",
     "5<br>234", "54 *x*", r"5\frac{-1}{2}", r"\frac{54}{1}3",
     "+−5", "−−5", "\u202e54", "۷۲", "54kg", "top 54", "1.5.5", "72 · x", "72 ≈ 70", "18\nso"],
)  # fmt: skip
def test_what_is_no_single_number(line: str) -> None:
    first_line = extract_answer(f"#### {line}")
    assert first_line == (18 if line == "18\nso" else None)
    assert read_gold(f"#### {line}") is None
    assert not any(is_correct(read(f"#### {number}"), line) for number in ("12", "5", "72", "54", "18"))


@given(
    st.integers(0, 10**9),
    st.sampled_from(["", *MINUS_SIGNS]),
    st.sampled_from(UNITS),
    st.sampled_from(SPACES),
    st.sampled_from(["{}", "{:,}", "{:,}.00"]),
    st.sampled_from([",", "\u2009", "\u202f", "'", "’"]),
)
def test_a_unit_is_read_on_both_sides(
    number: int, minus: str, unit: str, space: str, form: str, separator: str
) -> None:
    digits = form.format(number).replace(",", separator)
    gold = str(-number if minus else number)
    for written in (
        f"{minus}{digits}{space}{unit}", f"{minus}{space}{unit}{space}{digits}", f"{unit}{space}{minus}{digits}",
    ):  # fmt: skip
        assert is_correct(read(f"6*9=54\n#### {written}"), gold), written
        assert is_correct(read(f"#### {gold}"), written), written
        assert not is_correct(read(f"#### {written}"), str(number + 1)), written
        assert read_gold(f"6*9=54\n#### {written}") == written.strip()


@pytest.mark.parametrize(
    "text",
    ["#### 54</s>", "#### 54<|im_end|>", "Let me answer the Question: it is\n#### 54", "#### 54 Question: x\n#### 5",
     "#### 54\n **Question: x\n#### 5"],
)  # fmt: skip
def test_where_an_answer_ends(text: str) -> None:
    assert extract_answer(text) == 54


def test_the_signs_of_currency_are_those_of_unicode() -> None:
    of_unicode = {chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Sc"}
    missing = {
        sign for sign in of_unicode if extract_answer(f"#### {sign}54") != 54 != extract_answer(f"#### 54{sign}")
    }
    assert len(of_unicode) >= 63
    assert not missing


def test_what_cannot_be_seen_is_not_read() -> None:
    invisible = [chr(code) for code in range(0x110, 0x10000) if re.match(f"[{INVISIBLE}]", chr(code))]
    assert len(invisible) >= 18
    for character in invisible:
        assert extract_answer(f"#### {character}5{character}4{character}") == 54
    for override in "\u202d\u202e":
        assert extract_answer(f"#### {override}54") is None


@pytest.mark.parametrize(
    ("solution", "gold"),
    [
        ("6*9=54\n#### 54", "54"), ("#### 1,234 \n\n", "1,234"), ("#### –5", "–5"),
        ("#### 54 apples", "54 apples"),
        ("#### 18\n\nShe has them.", None), ("#### 18\r\nso", None), ("#### 18\u2028so", None),
        ("#### two", None),
        ("#### ", None), ("54", None), ("", None), ("#### 17\n#### 18", None), ("#### 18, so\n#### 18", "18"),
        ("#### 12 dozen", None), ("#### 18<|endoftext|>", None), ("Question: 5\n#### 18", "18"),
    ],
)  # fmt: skip
def test_gold(solution: str, gold: str | None) -> None:
    assert read_gold(solution) == gold
    if gold is None:
        with pytest.raises(RecipeError) as error:
            require_gold(solution, "row 3")
        reason = "; 'dozen' makes another number of it" if "dozen" in solution else ""
        assert str(error.value) == (
            "row 3: expected an answer that ends with `#### <number>`, one number and nothing after it but its unit, "
            f"got {solution!r}{reason}"
        )
    else:
        assert require_gold(solution, "row 3") == gold
        assert is_correct(read(f"#### {gold}"), gold)


@pytest.mark.parametrize(
    ("text", "number", "expected"),
    [("it is 54, so", "54", True), ("154", "54", False), ("5.54", "54", False), ("1,234 x", "1234", True),
     ("1\u2009234 x", "1234", True), ("= –5.", "-5", True), ("1,2345", "2345", False), ("9 - 5", "-5", False),
     ("9 - 5", "5", True), ("-5", "5", False), ("1\n234", "1234", False), ("2.5 x", "5/2", True),
     ("６４", "64", True), ("54/9", "54", True)],
)  # fmt: skip
def test_a_number_is_mentioned(text: str, number: str, expected: bool) -> None:
    assert mentions(text, Fraction(number)) is expected
