"""Generated programs: what a conversion states is true, and it arrives at what Python arrives at."""

import keyword
import re
from fractions import Fraction

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from properties import examples

from domain_tokens.corpora.programs import Conversion, Reason, Rejection, convert
from domain_tokens.corpora.programs.wording import nouns
from domain_tokens.evaluation.answers.extraction import extract_answer
from domain_tokens.evaluation.equations import all_hold

QUESTION = "Ann has 3 bags of 25 pens, and 20% of them are red. How many pens does Ann have in week 2?"
NUMBER = r"\(?-?\d+(?:\.\d+)?(?:/\d+)?\)?"
EQUATION = re.compile(rf"({NUMBER}) ([-+×÷]) ({NUMBER}) = ({NUMBER})")
ANSWER = re.compile(
    rf"[Tt]he answer is\b.*?({NUMBER})(?: ≈ [-\d.]+)?(?: after [a-z ]+|, (?:the|as|ignoring) .*)?\.$", re.MULTILINE
)
NAMES = ("pens", "total_cost", "ann_share", "bags_per_week_2", "x", "time_in_hours", "cost_of_3_pens", "result")

numbers = st.one_of(
    st.integers(0, 12).map(str), st.integers(10, 2500).map(str), st.sampled_from(["0.5", "1.25", "0.2", "0.1", "2.75"])
)
operators = st.sampled_from(["+", "-", "*", "*", "*", "/", "//", "%"])


@st.composite
def expressions(draw: st.DrawFn, names: list[str], depth: int = 2) -> str:
    """Return an expression of names that have a value, numbers, operators and functions."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(names)) if names and draw(st.booleans()) else draw(numbers)
    left, right = draw(expressions(names, depth - 1)), draw(expressions(names, depth - 1))
    kind = draw(st.integers(0, 9))
    if kind < 6:
        return f"({left} {draw(operators)} {right})"
    return {
        6: f"round({left}, 2)",
        7: f"int({left})",
        8: f"max({left}, {right})",
        9: f"({left} if {right} > {draw(numbers)} else {right})",
    }[kind]


@st.composite
def results(draw: st.DrawFn, names: list[str]) -> str:
    """Return an expression for the end of a program; what it computes last need not be its value."""
    if draw(st.booleans()):
        return names[-1] if names else "6 * 9"
    first, second = draw(expressions(names, 1)), draw(expressions(names, 1))
    index, limit = draw(st.integers(0, 1)), draw(numbers)
    listed = f"[{first}, {second}]"
    return draw(
        st.sampled_from(
            [
                f"({first}, {second})[{index}]",
                f"sorted({listed})[{index}]",
                f"list(map(lambda n: n * 2, {listed}))[{index}]",
                f"{{0: {first}, 1: {second}}}[{index}]",
                f"{{'pens': {first}, 'bags': {second}}}['pens']",
                f"len([n for n in {listed} if n * 2 > {limit}])",
                f"sum(n for n in {listed} if n % 2 == 0)",
                f"next(n for n in range(1, 10) if n * 3 == {limit})",
                f"max({first}, {second}, key=lambda n: -n)",
                f"min({listed}, key=lambda n: n * 2)",
                f"divmod({first}, {second})[{index}]",
                f"float(len({listed}))",
                f"-({first} + {second})",
            ]
        )
    )


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Return a function of assignments, conditions and loops."""
    names: list[str] = []
    lines = []
    for _ in range(draw(st.integers(1, 5))):
        name = draw(st.sampled_from(NAMES))
        value = draw(expressions(names))
        kind = draw(st.integers(0, 9))
        if kind == 0 and name in names:
            lines.append(f"    {name} {draw(st.sampled_from(['+=', '-=', '*=']))} {value}")
        elif kind == 1 and names:
            lines += [f"    if {draw(expressions(names, 1))} >= {draw(numbers)}:", f"        {names[0]} = {value}"]
        elif kind == 2 and names:
            lines += [f"    for index in range({draw(st.integers(0, 3))}):", f"        {names[-1]} += index * {value}"]
        elif kind == 3:
            lines.append(f"    {name}, other = {value}, {draw(numbers)}")
            names.append(name)
        else:
            lines.append(f"    {name} = {value}")
            names.append(name)
    end = f"    return {draw(results(names))}"
    return "\n".join(["def simple_math_problem():", *lines, end, ""])


def python(program: str) -> int | float | None:
    """Return what CPython makes of a program of this file; `None` for an error."""
    names: dict = {}
    try:
        exec(program, names)
        return names["simple_math_problem"]()
    except (ArithmeticError, StopIteration, ValueError):
        return None


def value(text: str) -> Fraction:
    """Return a number as it is written."""
    return Fraction(text.strip("()"))


@settings(max_examples=examples(120))
@given(programs(), st.booleans())
def test_what_is_stated_is_true_and_the_result_is_pythons(program: str, split: bool) -> None:
    converted = convert(program, QUESTION, split_products=split)
    executed = python(program)
    if isinstance(converted, Rejection):
        assert converted.reason is not Reason.BROKEN
        return
    assert executed is not None
    assert abs(float(converted.number) - executed) <= 1e-9 * max(1, abs(executed))
    assert extract_answer(converted.answer) == converted.number
    for stated in ANSWER.findall(converted.answer):
        assert value(stated) == converted.number
    for left, sign, right, result in EQUATION.findall(converted.answer):
        operands = value(left), value(right)
        true = {"+": sum(operands), "-": operands[0] - operands[1], "×": operands[0] * operands[1]}
        assert true.get(sign, value(result) * operands[1] if sign == "÷" else None) == (
            operands[0] if sign == "÷" else value(result)
        )
    assert all_hold(converted.answer)


def test_most_generated_programs_convert() -> None:
    """So that the property above is not about nothing."""
    outcomes = []

    @settings(max_examples=examples(40))
    @given(programs())
    def collect(program: str) -> None:
        if python(program) is not None:
            outcomes.append(isinstance(convert(program, QUESTION), Conversion))

    collect()
    assert sum(outcomes) > 0.4 * len(outcomes)


@settings(max_examples=examples(60))
@given(st.integers(2, 999), st.integers(2, 999), st.booleans())
def test_every_product_is_stated(a: int, b: int, split: bool) -> None:
    converted = convert(f"def f():\n    pens = {a} * {b}\n    return pens", QUESTION, split_products=split)
    assert isinstance(converted, Conversion)
    assert f"{a} × {b} = {a * b}" in converted.answer
    assert extract_answer(converted.answer) == a * b


@settings(max_examples=examples(80))
@given(st.text(max_size=80), st.text(max_size=40))
def test_no_text_raises(source: str, question: str) -> None:
    assume(question.strip())
    assert isinstance(convert(source, question), Conversion | Rejection)
    assert isinstance(convert(f"def f():\n    {source}\n    return 6 * 9", question), Conversion | Rejection)


WORDS = sorted(
    {"pens", "pen", "x", "per", "2", "15", "ann", "count", "percent", "mph", "in", "week"}
    | nouns.WHOLES | nouns.TRAILING | nouns.TAILS | nouns.PREPOSITIONS | nouns.MEASURES | nouns.UNITS | nouns.PERSONS
    | nouns.ARTICLES | nouns.WEEKDAYS | nouns.TIMES | nouns.SHARES | nouns.PLURAL_MASS | set(nouns.SHORT)
)  # fmt: skip
identifiers = (
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=6)
    .map("_".join)
    .filter(lambda name: name.isidentifier() and not keyword.iskeyword(name))
)


@settings(max_examples=examples(60))
@given(identifiers, st.sampled_from([QUESTION, "Pens of Ann cost $5 each week for 2 hours."]))
def test_any_name_gives_a_sentence_whose_equation_is_read(name: str, question: str) -> None:
    converted = convert(f"def f():\n    {name} = 16 * 3\n    return {name}", question)
    assert isinstance(converted, Conversion)
    sentence = converted.answer.splitlines()[0]
    assert sentence[0].isupper()
    assert re.search(r"(?:is|are|have) 16 × 3 = 48(?: [a-z ]+)?\.", sentence)
    assert "  " not in sentence
    assert all_hold(converted.answer)
