"""The number that a text shows: read in the jailed child, by the rules of the converter."""

import sys

import pytest

from domain_tokens.jail.client import Jail
from domain_tokens.jail.outcomes import Reason, Refusal
from domain_tokens.jail.results import number_in

SHOWN = {
    "Packs needed: 13": 13, "He earns 18 dollars.": 18, "Total: $1,250.50": 1250.5, "$ 300.0": 300.0,
    "54": 54, "54-": 54, ".5": 0.5, "Answer: .5 kg": 0.5, "5_400 pens": 5400, "Sum = 1.5e+16": 1.5e16,
    "50% are left": 50,
    "-5 degrees": -5, "Profit: -$5": -5, "Profit: $-5": -5, "a change of +5": 5, "Loss: \N{MINUS SIGN}5.5": -5.5,
    "Total - $5": 5, "x=-5": -5, "27/2": 13.5, "-27/2": -13.5,
    "step 6\n6 boxes \nPacks needed: 13\n\n": 13, "共 54 元": 54, "The answer is **54**!": 54, "[Step] 54": 54,
}  # fmt: skip
SEVERAL = [
    "6 and 9", "6, 9", "1,2", "12,34 pens", "1.2.3", "1,00,000 pens", "8:5", "27/2 pens", "0x36", "5_4",
    "m\N{SUPERSCRIPT TWO}: 5", "5\N{VULGAR FRACTION ONE HALF}", "٥٤", "Answer-54", "--5", "-$-5", "$$5", "Total..5",
    "v.5", "[54]", "see [54] there", "(54,)", "{54}",
    "9" * 4001 + " pens",
]  # fmt: skip
NONE = ["", " \n", "many", "nan", "inf", "True", "None", "-", "<"]


def test_one_number_is_read_and_what_is_in_doubt_is_not() -> None:
    found = {text: number_in(text) for text in SHOWN}
    assert found == SHOWN
    assert [type(number) for number in found.values()] == [type(number) for number in SHOWN.values()]
    for text in SEVERAL:
        assert number_in(text).reason is Reason.SEVERAL_NUMBERS, text
    for text in NONE:
        assert number_in(text).reason is Reason.NOT_A_NUMBER, text
    for text in ("1/0", "9" * 400 + "/2"):
        assert number_in(text).reason is Reason.NOT_FINITE, text


def test_a_number_of_the_program_itself_is_not_its_result() -> None:
    text = "A dozen for $5 is the better deal."
    assert number_in(text) == 5
    assert isinstance(number_in(text, ["a", text]), Refusal)
    assert isinstance(number_in(text, ["A dozen for $5 is "]), Refusal)
    assert number_in(text, ["5", "$5 and 6", "is the better deal."]) == 5


PROGRAMS = {
    "print(f'Packs needed: {6 + 7}')": 13,
    "def simple_math_problem():\n    return f'${6 * 9.5:,.2f}'": 57.0,
    "def simple_math_problem():\n    print('pens:', 6 * 9)": 54,
    "def simple_math_problem(boxes, pens):\n    return boxes * pens\nprint('pens:', simple_math_problem(6, 9))": 54,
    "def main():\n    print('pens:', 6 * 9)": 54,
    "from fractions import Fraction\nresult = Fraction(27, 2)": 13.5,
    "from decimal import Decimal\nresult = Decimal('13.5')": 13.5,
    "def solve():\n    return 54\ndef last():\n    return 45": 54,
    "def double(n=2):\n    return 2 * n\nanswer = double(27)": 54,
    "def answer():\n    return 54": 54,
    "final_answer = 54": 54,
}
WITHOUT = {
    "print('Only 5 are left')": Reason.NOT_A_NUMBER,
    "print(6, 9)": Reason.SEVERAL_NUMBERS,
    "print('a lot')": Reason.NOT_A_NUMBER,
    "result = [54]": Reason.NOT_A_NUMBER,
    "from fractions import Fraction\nresult = Fraction(10) ** 400": Reason.NOT_FINITE,
    "from decimal import Decimal\nresult = Decimal('nan')": Reason.NOT_FINITE,
    "print('9' * 90_000 + ' pens', '.' * 9_000)": Reason.SEVERAL_NUMBERS,
    "print('-' * 99_000 + 'a')": Reason.NOT_A_NUMBER,
    "print('.' * 99_000 + '5')": Reason.SEVERAL_NUMBERS,
}


@pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's filter of system calls")
def test_a_program_has_the_number_that_it_shows_if_that_is_asked_for() -> None:
    with Jail() as jail:
        assert dict(zip(PROGRAMS, jail.run_all(PROGRAMS, reads_texts=True), strict=True)) == PROGRAMS
        refused = list(jail.run_all(WITHOUT, reads_texts=True))
        strict = list(jail.run_all(list(PROGRAMS)[:3]))
    assert [outcome.reason for outcome in refused] == list(WITHOUT.values())
    assert [outcome.reason for outcome in strict] == [Reason.NOT_A_NUMBER] * 3
