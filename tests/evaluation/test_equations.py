"""Equations: read, checked, told apart, and the same for tokens as for digits."""

import dataclasses
import json
import re
from fractions import Fraction
from pathlib import Path

import pytest
from answers import OWN, read
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples
from real_data import Data

from domain_tokens.evaluation.equations import Equation, in_table_products, read_equations
from domain_tokens.evaluation.equations.operands import numbers_of
from domain_tokens.tokenization.facts import END_OF_TEXT, FACTS
from domain_tokens.tokenization.intervention import Facts, Intervention, Rules, load_intervention
from domain_tokens.tokenization.rewriter import expand, inject

_FILES = Path(__file__).parents[2] / "recipes" / "interventions"
INTERVENTIONS = {path.stem: load_intervention(path) for path in _FILES.glob("*.yaml")}
SUMS = Intervention(
    "sums", facts=Facts(operation="+", token="<ADD_{a}_{b}_{c}>", text="{a}+{b}={c}"), rules=Rules(operators=("+",))
)


def brief(equation: Equation) -> str:
    """Return an equation as the tables below write it: its text, `right` or not, and what is not the usual."""
    words = ["rounded" if equation.rounded else "right" if equation.right else "wrong", equation.kind]
    words += ["{}*{}".format(*equation.pair)] if equation.pair else []
    words += [equation.form] if equation.form != "digits" else []
    words += ["copied"] if equation.origin == "copied" else []
    return f"{equation.text}: {' '.join(words)}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6*9=54", ["6*9=54: right product 6*9"]),
        ("9 x 6 = 54", ["9 x 6 = 54: right product 6*9"]),
        ("6×9=54", ["6×9=54: right product 6*9"]),
        ("6 × 9 = 55", ["6 × 9 = 55: wrong product 6*9"]),
        ("6 times 9 is 54", ["6 times 9 is 54: right product 6*9"]),
        (r"\(6 \times 9 = 54\)", [r"6 \times 9 = 54: right product 6*9"]),
        ("12*9=108", ["12*9=108: right product"]),
        ("2*3*4=24", ["2*3*4=24: right mixed"]),
        ("2*3*4=12", ["2*3*4=12: wrong mixed"]),
        ("12+7-3=16", ["12+7-3=16: right mixed"]),
        ("1+2+3=6", ["1+2+3=6: right sum"]),
        ("10-3-2=4", ["10-3-2=4: wrong difference"]),
        ("48/2=24", ["48/2=24: right quotient"]),
        ("1/2*10=5", ["1/2*10=5: right mixed"]),
        ("$5 * 3 = $15", ["5 * 3 = $15: right product 3*5"]),
        ("7*5=$35.00", ["7*5=$35.00: right product 5*7"]),
        ("1,200*2=2,400.", ["1,200*2=2,400: right product"]),
        ("0.1+0.2=0.3", ["0.1+0.2=0.3: right sum"]),
        (".5*4=2", [".5*4=2: right product"]),
        ("20% * 50 = 10", ["20% * 50 = 10: right product"]),
        ("20% of 50 is 10", ["20% of 50 is 10: right product"]),
        ("20/50*100 = 40%", ["20/50*100 = 40%: right mixed"]),
        ("(2+3)*4=20", ["(2+3)*4=20: right mixed"]),
        ("2(3+4)=14", ["2(3+4)=14: right mixed"]),
        ("[2+(3-1)]/4=1", ["[2+(3-1)]/4=1: right mixed"]),
        ("-5+3=-2", ["-5+3=-2: right sum"]),
        ("6*-9=-54", ["6*-9=-54: right product"]),
        ("3*+6=18", ["3*+6=18: right product 3*6"]),
        ("5 - -3 = 8", ["5 - -3 = 8: right difference"]),
        ("60 / 3/4 = 80", ["60 / 3/4 = 80: right quotient"]),
        ("54 = 6*9", ["54 = 6*9: right product 6*9"]),
        ("55 = 6*9", ["55 = 6*9: wrong product 6*9"]),
        ("2*6 = 3*4", ["2*6 = 3*4: right product 2*6", "3*4: right product 3*4 named"]),
        ("2*3*4 = 6*4 = 24", ["2*3*4 = 6*4 = 24: right mixed", "6*4 = 24: right product 4*6"]),
        ("12*9=108 + 5 = 113", ["12*9=108: right product", "108 + 5 = 113: right sum"]),
        ("1/2 = 50% * 2 = 1", ["1/2 = 50%: right quotient", "50% * 2 = 1: right product"]),
        ("10 - 3 = 7 - 2 = 6", ["10 - 3 = 7: right difference", "7 - 2 = 6: wrong difference"]),
    ],
)
def test_signs_and_numbers(text: str, expected: list[str]) -> None:
    assert [brief(equation) for equation in read_equations(read(text))] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10/3=3.33", "rounded"),
        ("10/3=3.3", "rounded"),
        ("10/3=3", "rounded"),
        ("10/3=3.34", "wrong"),
        ("10/3=3.30", "wrong"),
        ("20/3=6", "rounded"),
        ("20/3=5", "wrong"),
        ("20/3=7", "rounded"),
        ("5/2=2", "rounded"),
        ("5/2=3", "rounded"),
        ("5/2=2.50", "right"),
        ("1/3=0", "wrong"),
        ("1/3=33.3%", "rounded"),
        ("1/3=33.4%", "wrong"),
        ("-10/3=-3.33", "rounded"),
        ("-10/3=3.33", "wrong"),
        ("10/3=3.33*2=6.66", "rounded"),
        ("99*98=9700", "wrong"),
    ],
)
def test_rounding(text: str, expected: str) -> None:
    equation = read_equations(read(text))[0]
    assert ("rounded" if equation.rounded else "right" if equation.right else "wrong") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<MUL_6_9_54>", ["<MUL_6_9_54>: right product 6*9 fact"]),
        ("<MUL_6_9_54> = 54", ["<MUL_6_9_54> = 54: right product 6*9 mixed"]),
        ("<MUL_6_9_54> = 55", ["<MUL_6_9_54> = 55: wrong product 6*9 mixed"]),
        ("$<MUL_6_9_54> = $54", ["<MUL_6_9_54> = $54: right product 6*9 mixed"]),
        ("<MUL_6_9_54>+5=59", ["<MUL_6_9_54>: right product 6*9 fact", "<MUL_6_9_54>+5=59: right sum"]),
        ("6*9 + 5 = 59", ["6*9: right product 6*9 named", "6*9 + 5 = 59: right sum"]),
        ("5 + 6*9 = 58", ["5 + 6*9 = 58: wrong sum", "6*9: right product 6*9 named"]),
        ("6*9 apples", ["6*9: right product 6*9 named"]),
        ("6*9=<<6*9=54>>54", ["6*9=<<6*9=54>>54: right product 6*9"]),
        ("6*9=<<<MUL_6_9_54>>>54", ["6*9=<<<MUL_6_9_54>>>54: right product 6*9 fact"]),
        ("<MUL_6_9_54>=<<6*9=54>>54", ["<MUL_6_9_54>=<<6*9=54>>54: right product 6*9 fact"]),
        ("6*9=<<6*9=54>>55", ["6*9=<<6*9=54>>55: wrong product 6*9"]),
        ("6*9=<<6*9=55>>55", ["6*9=<<6*9=55>>55: wrong product 6*9"]),
        ("2 weeks * 5 = <<14*5=70>>70", ["2 weeks * 5 = <<14*5=70>>70: right product"]),
        ("500/ 1/10 = <<500/1/10=50>>50", ["500/ 1/10 = <<500/1/10=50>>50: right quotient"]),
        ("half is <<10/2=5>>5", ["10/2=5: right quotient"]),
        ("$<<4*3=12>>12 + $<<2*2=4>>4 = $16", ["4*3=12: right product 3*4", "12 + $<<2*2=4>>4 = $16: right sum",
                                              "2*2=4: right product 2*2"]),
        ("48+24 = <<48+24=72", ["48+24=72: right sum"]),
        ("<<5=5>>5", []),
        ("2*<MUL_6_9_54> = 108", ["2*<MUL_6_9_54>: wrong mixed mixed"]),
        ("<MUL_6_9_54>0", ["<MUL_6_9_54>0: wrong product 6*9 mixed"]),
        ("<MUL_6_9_55> <MUL_9_6_54>", []),
    ],
)  # fmt: skip
def test_facts_and_annotations(text: str, expected: list[str]) -> None:
    assert [brief(equation) for equation in read_equations(read(text))] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("48 clips + 24 clips = 72 clips", ["48 clips + 24 clips = 72: right sum"]),
        ("5 hours * $3/hour = $15", ["5 hours * $3/hour = $15: right product 3*5"]),
        ("6 days/week * 4 weeks/month = 24 days/month", ["6 days/week * 4 weeks/month = 24: right product 4*6"]),
        ("2 bags of rice * 3 = 6", ["2 bags of rice * 3 = 6: right product 2*3"]),
        ("a total of 5 + 3 = 8", ["5 + 3 = 8: right sum"]),
        ("Monday - 5*3=15, Tuesday - 2+2=5", ["5*3=15: right product 3*5", "2+2=5: wrong sum"]),
        ("1. 6*9=54\n- 5+3=8\n* 2+2=5", ["6*9=54: right product 6*9", "5+3=8: right sum", "2+2=5: wrong sum"]),
        ("x = 5 + 3 = 8", ["5 + 3 = 8: right sum"]),
        ("(12*9=108)+5=113", ["12*9=108: right product"]),
        ("5 + 3 = 8 (in all)", ["5 + 3 = 8: right sum"]),
        ("= 15 20+3=23", ["20+3=23: right sum"]),
        ("**5*3 = 15**, 12*2 = **24**", ["5*3 = 15: right product 3*5", "12*2 = **24: right product"]),
        ("a) 5 + 3 = 8 m", ["5 + 3 = 8: right sum"]),
        ("plan A 5 + 3 = 8", ["5 + 3 = 8: right sum"]),
        ("at $5/hour 300 + 4 = 304", ["300 + 4 = 304: right sum"]),
        ("5 + 3 equals 8", ["5 + 3 equals 8: right sum"]),
    ],
)
def test_words_between_numbers(text: str, expected: list[str]) -> None:
    assert [brief(equation) for equation in read_equations(read(text))] == expected


@pytest.mark.parametrize(
    "text",
    [
        "x + 5 + 3 = 20", "2x + 3 = 11", "3A + 2 = 35", "2 + 3 = 5x", "twice 5 + 3 = 13", "3 times as many as 5+2=21",
        "8 + 3 is 8 more than 3", "5^2*3=75", "2**3=8", "2:30+1=3", "1.2.3+1=2", "1/4 cup = 2 ounces",
        "5! + 1 = 121", "the 5th * 3 = 15", "COVID-19 + 1 = 20", "1,5*2=3", "5 / 0 = 0", "5 + = 5", "= 5 = 5", "72",
        "", "5 apples\n+ 3 = 8", "the answer is 54", "6 > 5 = 5", "1" * 40 + " + 1 = 2", "10 - 4 is 5",
        "1+" * 60 + "0=60", "-6*9", "6*9=*54", "5 of them * 3 = 15", "5 big red round shiny new cheap pens + 3 = 8",
        f"Total:{' ' * 9}- 5 + 3 = 8",
    ],
)  # fmt: skip
def test_what_is_not_certainly_an_equation_is_not_read(text: str) -> None:
    assert read_equations(read(text)) == []


def test_other_questions_and_what_follows_the_end_are_not_read() -> None:
    for end in ("<|endoftext|>", "</s>", "\nQuestion: ", "\nUser: "):
        assert [equation.text for equation in read_equations(read(f"2+2=4{end}3+3=7"))] == ["2+2=4"]


def test_copied_equations() -> None:
    def origins(answer: str, question: str = "") -> list[str]:
        return [equation.origin for equation in read_equations(read(answer), question)]

    assert origins("6*9=54, <MUL_6_9_54>, 9 x 6 = 54, 6*9=55, 6*9=55") == [
        "computed", "copied", "copied", "computed", "copied",
    ]  # fmt: skip
    assert origins("54 = 6*9, 6*9=54, 55 = 6*9, 6*9=55") == ["computed", "copied"] * 2
    assert origins("10-(3-2)=9, 10-3-2=9") == ["computed", "computed"]
    assert origins("2+3=5, 3 + 2 = 5, 3-2=1, 2-3=1") == ["computed", "copied", "computed", "computed"]
    assert origins("6*9=54 and 12*2=24", "Given 12*2=24, what is 6*9?") == ["computed", "copied"]


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("6 rows of 9", "6*9=54, 54+9=63", [True, True]),
        ("6 rows of 9", "<MUL_6_9_54>, 54+9=63", [True, True]),
        ("6 rows of 9", "6*9=55, 55+9=64", [True, False]),
        ("6 rows of 9", "2*5=10, 10+6=16", [False, False]),
        ("6 rows of 9", "<MUL_2_5_10> + 6 = 16", [False, False]),
        ("6 rows of 9", "9*6*6=54*6=324", [True, True]),
        ("6 rows of 9", "6*6=36, 36*36=1296", [True, True]),
        ("6 rows of 9", "6 - 9 = -3, 3*9=27", [True, True]),
        ("six rows of nine", "6*9=54", [True]),
        ("20% of 50", "20%*50=10, 0.2*50=10, 20/100*50=10, 50-10=40", [True, True, True, True]),
        ("a third of 12", "12/3=4, 1/3*12=4, 12*2=24", [True, True, False]),
        ("2 1/2 hours", "2.5*60=150, 150/3=50", [True, False]),
        ("half of 10 for two weeks", "10/2=5, 7*2=14", [True, True]),
        ("10 for 3", "10/3=3.33, 3.33*3=9.99", [True, True]),
        ("", "6*9=54", [False]),
    ],
)
def test_operands_of_the_item(question: str, answer: str, expected: list[bool]) -> None:
    assert [equation.of_item for equation in read_equations(read(answer), question)] == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("1,234.50 and .5", "2469/2 1/2"),
        ("two hundred and five, and six", "205 6"),
        ("3 million; two thousand and five", "3000000 2005"),
        ("twenty-one boys", "21"),
        ("20 five-dollar bills", "20 5"),
        ("two dozen", "2 12 24"),
        ("3/4 cup", "3 4 3/4"),
        ("two thirds", "2 3 2/3"),
        ("two and a half", "2 1 1/2 5/2"),
        ("20% or fifty percent", "20 1/5 50 1/2 100 1/100"),
        ("2½ feet", "2 1 1/2 5/2 12"),
        ("twice a week", "2 7"),
        ("0/0", "0 1"),
        ("no number", ""),
    ],
)
def test_numbers_of_a_question(question: str, expected: str) -> None:
    assert numbers_of(question) == {Fraction(number) for number in expected.split()}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("6*9=54, 54+6=60 #### 60", [True, True]),
        ("6*9=54, 54+6=60 #### 54", [True, False]),
        ("6*9=54, 54+6=60", [True, False]),
        ("<MUL_6_9_54>" + " <MUL_6_9_54>" * 3, [False] * 4),
        ("<MUL_1_2_2> <MUL_1_2_2>", [False, False]),
        ("<MUL_6_9_54>+6=60 #### 60", [True, True]),
        ("6 + 9*6 = 60 #### 60", [True, True]),
        ("12*9=108 + 5 = 113 #### 113", [True, True]),
        ("10-16=-6, 6*9=54 #### -54", [True, True]),
        ("20/50*100 = 40% #### 40", [True]),
    ],
)
def test_whether_an_answer_goes_on_from_a_result(answer: str, expected: list[bool]) -> None:
    assert [equation.used for equation in read_equations(read(answer))] == expected


def test_what_an_answer_does_not_say_is_not_stated() -> None:
    found = read_equations(read("6*9 pens, <MUL_6_9_54>\n#### 54"), "6 rows of 9")
    assert [(one.form, one.has_result, one.right_for_item) for one in found] == [
        ("named", False, False),
        ("fact", True, True),
    ]


def test_tokens_of_other_interventions() -> None:
    bare = INTERVENTIONS["mul_bare"]
    answer = "<MUL_6_9> = 54, <MUL_6_9> = 55, <MUL_2_3>, 5 + <MUL_2_4> = 13"
    assert [brief(equation) for equation in read_equations(read(answer, bare))] == [
        "<MUL_6_9> = 54: right product 6*9 mixed",
        "<MUL_6_9> = 55: wrong product 6*9 mixed",
        "<MUL_2_3>: right product 2*3 fact",
        "5 + <MUL_2_4> = 13: right sum",
        "<MUL_2_4>: right product 2*4 fact",
    ]
    phrases = INTERVENTIONS["placebo"]
    assert [brief(equation) for equation in read_equations(read("5 + 3<PLACEBO_12> = 8", phrases))] == [
        "5 + 3<PLACEBO_12> = 8: right sum"
    ]


def test_a_larger_table() -> None:
    mul_20 = INTERVENTIONS["mul_20"]
    answer = "<MUL_12_13_156>, 20*3=60, 21*3=63, 5+3=8"
    pairs = [equation.pair for equation in read_equations(read(answer, mul_20, mul_20))]
    assert pairs == [(12, 13), (3, 20), None, None]
    assert [equation.pair for equation in read_equations(read("12*13=156, 6*9=54"))] == [None, (6, 9)]


def test_tables_of_sums_and_words() -> None:
    found = read_equations(read("<ADD_3_5_8>, 5 + 3 = 9, 6*9=54", SUMS, SUMS))
    assert [(one.kind, one.pair, one.right, one.form) for one in found] == [
        ("sum", (3, 5), True, "fact"),
        ("sum", (3, 5), False, "digits"),
        ("product", None, True, "digits"),
    ]
    words = Intervention("words", facts=Facts(), rules=Rules(words=True))
    assert brief(read_equations(read("six times nine is fifty-four", table=words))[0]).endswith(": right product 6*9")
    assert not any(one.in_table for one in read_equations(read("6*9=54", table=INTERVENTIONS["placebo"])))


PIECES = st.sampled_from(
    ["6", "9", "54", "3", "12", "2.5", "*", " x ", "×", "+", " - ", "/", "=", " = ", "(", ")", "<<", ">>", "$", "%",
     " ", "\n", ". ", ",", " apples", " is ", " of ", " times ", "x", "#### ", "\\frac{", "{", "}", "}{", " cents",
     "==", "...", "! ", "Day 2 - ",
     "6*9", "6 * 9 = 54", "9*6=54", "=54"]
)  # fmt: skip
MIXED = st.lists(st.one_of(PIECES, st.sampled_from(FACTS), st.text(max_size=2)), max_size=16)


def without_form(equations: list[Equation], **same: bool) -> list[Equation]:
    return [dataclasses.replace(equation, start=0, end=0, text="", form="", **same) for equation in equations]


@settings(max_examples=examples(300))
@given(MIXED, st.sampled_from(["", "6*9=54 and 3+2=5, so?"]))
def test_tokens_and_the_text_they_stand_for_state_the_same(pieces: list, question: str) -> None:
    tokens = "".join(piece if isinstance(piece, str) else piece.token for piece in pieces)
    found = read_equations(read(tokens), question)
    assert without_form(found) == without_form(read_equations(read(expand(tokens)), question))
    for equation in found:
        assert equation.right or equation.form != "fact"  # a token alone cannot be wrong
        assert equation.text == tokens[equation.start : equation.end]
        assert json.loads(json.dumps(equation.as_record().as_json()))["in_table"] == equation.in_table


@settings(max_examples=examples(300))
@given(
    st.lists(PIECES, max_size=16).map("".join),
    st.sampled_from(["mul_tokens", "mul_tokens_strict", "mul_81", "mul_bare", "mul_20", "sums"]),
)
def test_what_a_tokenizer_writes_states_what_was_written(text: str, name: str) -> None:
    intervention = SUMS if name == "sums" else INTERVENTIONS[name]
    table = intervention if name in ("mul_20", "sums") else OWN
    plain = read_equations(read(text, INTERVENTIONS["none"], table))
    written = read_equations(read(inject(text, intervention), intervention, table))
    # What the text does not say, a token may: the result of a product that is named.
    assert all(theirs.has_result for ours, theirs in zip(plain, written, strict=True) if ours.has_result)
    assert without_form(plain, has_result=True) == without_form(written, has_result=True)
    assert not any(equation.form in ("fact", "mixed") for equation in plain)


# Behind the end of a text nothing is read; hypothesis knows that name from the package's own constants.
@settings(max_examples=examples(200))
@given(st.text().filter(lambda text: END_OF_TEXT not in text))
def test_any_text_is_read_without_an_error(text: str) -> None:
    *_, last = read_equations(read(f"{text[:1000]}\n\n2+2=4"), text)
    assert (last.text, last.kind, last.right) == ("2+2=4", "sum", True)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("piece", "num_equations"),
    [
        ("6*9=", 5000), ("(1+", 0), ("1)", 0), ("<MUL_6_9_54> ", 2857), ("a-a1", 0), ("is 5 a ", 0), ("<<6*9=", 3333),
        ("x    ", 0), ("9", 0), ("\ud800", 0), ("{", 0), ("\\frac{", 0), ("{1+1}", 0), ("1- ", 0),
        ("$1 and 1 cents ", 0), ("2+3=5. ", 2857), ("\\frac{1+1}{2} = 1. ", 1052),
    ],
)  # fmt: skip
def test_a_megabyte_is_read_in_time(piece: str, num_equations: int) -> None:
    """Of which the first 20,000 characters count."""
    found = read_equations(read(piece * (10**6 // len(piece))))
    assert len(found) == num_equations
    assert all(equation.right for equation in found)


@pytest.mark.parametrize(("name", "num_items", "num_own"), [("test", 312, 11), ("train", 1627, 24)])
def test_gsm8k(data: Data, name: str, num_items: int, num_own: int) -> None:
    """Every annotation that is an equation is right, and as many items need a product of the table as is known."""
    lines = (data.folder / "gsm8k" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    answers = [json.loads(line)["answer"] for line in lines]
    assert sum(bool(in_table_products(answer, OWN)) for answer in answers if "<<" in answer) == (
        num_own if data.is_own else num_items
    )
    annotations = [part.split(">>")[0] for answer in answers for part in answer.split("<<")[1:]]
    numbers = []  # an annotation such as <<5=5>> states nothing
    for batch in (annotations[start : start + 500] for start in range(0, len(annotations), 500)):
        text = "\n".join(f"<<{annotation}>>" for annotation in batch)
        found = read_equations(read(text))
        assert [equation.text for equation in found if not equation.right] == []
        stated = {text.count("\n", 0, equation.start) for equation in found}
        numbers += [annotation for place, annotation in enumerate(batch) if place not in stated]
    assert numbers == [one for one in annotations if re.fullmatch(r"[-+]?[\d.]+=-?[\d.]+", one)]


def test_needed_products() -> None:
    steps = "9*6=<<9*6=54>>54\n7*5=<<7*5=35.00>>35\n<<54+2*3=60>>\n3*4=<<3*4=12>>12, <<6*9=54>>\n#### 60"
    assert in_table_products(steps, OWN) == [(6, 9), (3, 4), (6, 9)]
    assert in_table_products("6*9 = 54, 12*3 = 36, 2*2=5\n#### 54", OWN) == [(6, 9)]
    assert in_table_products("<<12*13=156>>", INTERVENTIONS["mul_20"]) == [(12, 13)]
    assert in_table_products("", INTERVENTIONS["none"]) == []


@pytest.mark.parametrize("text", ["20+30*4=140", "200-30*4=80", "7+40/8=12", "30*4+20=140", "2*30+4*50=260"])
def test_products_beyond_the_table_bind_before_sums(text: str) -> None:
    """Products of the table are read as one number each, so that only larger ones show how signs bind."""
    (equation,) = read_equations(read(text))
    assert (equation.right, equation.kind) == (True, "mixed")
