"""Answers are read strictly and never raise; numbers and equations are compared exactly."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from misbehaving_server import MODEL, completion, good_content

from domain_tokens.corpora.endpoint.acceptance import accept, is_same
from domain_tokens.corpora.endpoint.answers import Unusable, read_answer, same_model, usage_of
from domain_tokens.corpora.endpoint.checking.reaching import Reader
from domain_tokens.corpora.endpoint.prompts import WorkedSolution, response_format
from domain_tokens.corpora.endpoint.requests import Problem

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["choices", "message"]), inner),
    max_leaves=8,
)


def asked(executed: float) -> Problem:
    return Problem("Ann has 2 and 2 bags of 7 pens. Ben has 56 pens, Cem 112.", "return (2 + 2) * 7", executed)


@given(raw=st.text() | JSON.map(json.dumps) | JSON.map(lambda content: json.dumps(completion(content))))
def test_reading_never_raises(raw: str) -> None:
    assert isinstance(read_answer(raw, MODEL), Unusable)
    usage_of(raw)


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "54", '{"steps": ["a"]}', '{"steps": [], "final_answer": 1}', '{"steps": "a", "final_answer": 1}',
        '{"steps": ["a"], "final_answer": NaN}', '{"steps": ["a"], "final_answer": true}',
        '{"steps": [1], "final_answer": 1}',
        '{"steps": ["a"], "final_answer": 1, "more": 2}', '{"steps": ["a"], "steps": ["b"], "final_answer": 1}',
        '{"steps": ["a"], "final_answer": 1} ok', '```json\n{"steps": ["a"], "final_answer": 1}\n```',
        "[" * 100_000, '{"steps": ["a"], "final_answer": 1e99999999999999999999}',
        '{"steps": ' + json.dumps(["a"] * 31) + ', "final_answer": 1}',
        '{"steps": ["a"], "final_answer": ' + "9" * 5000,
    ],
)  # fmt: skip
def test_what_is_not_of_the_form_is_refused(content: str) -> None:
    found = read_answer(json.dumps(completion(content)), MODEL)
    assert isinstance(found, Unusable)
    assert found.reason in ("not one JSON object", "not of the schema", "not a chat completion")


@pytest.mark.parametrize(
    ("written", "number"), [("54", "54"), ("54.0", "54"), ("0.50", "0.5"), ("-3", "-3"), ("1e2", "100")]
)
def test_the_form_is_read(written: str, number: str, read: Reader) -> None:
    content = f' {{"final_answer": {written}, "steps": ["It is {number} + 0 = {number}."]}}\n'
    solution = read_answer(json.dumps(completion(content)), MODEL)
    assert isinstance(solution, WorkedSolution)
    problem = Problem(f"There are {number}.", "", float(written))
    assert accept(solution, problem, read) == f"It is {number} + 0 = {number}.\n#### {number}"


GOOD = good_content("4 boxes hold 7 pens")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (completion(GOOD, choices=[]), "empty choices"),
        (completion(None), "null content"),
        (completion(GOOD, finish_reason="length"), "cut by length"),
        (completion(GOOD, finish_reason="content_filter"), "content filter"),
        (completion(None, refusal="I cannot help with that."), "refusal"),
        (completion(GOOD, model="another"), "answered by another model"),
        (completion([{"type": "text", "text": GOOD}]), "not a chat completion"),
        (completion(f"Here you are: {GOOD}"), "not one JSON object"),
        (completion(GOOD * 2), "not one JSON object"),
        (completion('{"steps": ["a"], "final_answer": "54"}'), "not of the schema"),
    ],
)  # fmt: skip
def test_reasons_of_answers_without_a_solution(raw: object, reason: str) -> None:
    assert isinstance(read_answer(json.dumps(completion(GOOD)), MODEL), WorkedSolution)
    assert read_answer(json.dumps(raw), MODEL) == Unusable(reason)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("There are 28 pens.", "no equation"), ("4 × 7 pens are 28 pens.", None), ("4 × 7 = 28 pens.", None),
        ("pen_count = 28, 4 × 7 = 28.", "code in the prose"), ("4 × 7 = 28, and 28 + 1 = 28.", "a wrong equation"),
    ],
)  # fmt: skip
def test_reasons_of_solutions_that_are_not_accepted(step: str, reason: str | None, read: Reader) -> None:
    found = accept(WorkedSolution(steps=[step], final_answer=Decimal(28)), asked(28), read)
    assert found == (Unusable(reason) if reason else f"{step}\n#### 28")


def test_the_schema_is_the_form() -> None:
    schema = response_format("schema")["json_schema"]["schema"]
    assert schema["required"] == list(schema["properties"]) == list(WorkedSolution.model_fields)


@pytest.mark.parametrize(
    ("answered", "asked", "same"),
    [
        ("gpt-4.1-mini-2025-04-14", "gpt-4.1-mini", True),
        ("/models/tiny@main", "/models/tiny", True),
        ("gpt-4.1-mini", "openai/gpt-4.1-mini", True),
        ("openai/gpt-4.1-mini-2025-04-14", "gpt-4.1-mini", True),
        ("Qwen3:8b", "qwen3", True),
        ("gpt-4.1", "gpt-4.1-mini", False),
        ("gpt-4o", "gpt-4", False),
        ("gpt-4-turbo", "gpt-4", False),
        ("", "gpt-4", False),
    ],
)  # fmt: skip
def test_names_of_one_model(answered: str, asked: str, same: bool) -> None:
    assert same_model(answered, asked) is same


@pytest.mark.parametrize(
    ("number", "executed", "same"),
    [
        ("54", 54, True), ("54", 54.0, True), ("0.3", 0.1 + 0.2, True), ("33.33", 100 / 3, False), ("53", 54, False),
        ("-54", 54, False), ("0", 0, True), ("1e400", 1e300, False), ("1E+999999999", 1, False), ("NaN", 1, False),
        ("12345678901234567890", 12345678901234567890, True), ("1000000001", 1000000003, False), ("0.00001", 0, False),
    ],
)  # fmt: skip
def test_numbers_are_compared_exactly_but_for_errors_of_floats(number: str, executed: float, same: bool) -> None:
    assert is_same(Decimal(number), executed) is same


@given(number=st.integers(-(10**15), 10**15) | st.floats(-1e11, 1e11).filter(lambda one: not 0 < abs(one) < 1e-30))
def test_a_number_is_its_own(number: float) -> None:
    assert is_same(Decimal(str(number)), number)
    assert not is_same(Decimal(str(number)) + 1, number)


@pytest.mark.parametrize(
    "step",
    [
        "",
        " ",
        "\ud800",
        "x" * 501,
        "a\u200bb 1 + 1 = 2",
        "`1 + 1 = 2`",
        "#### 2",
        "box_count + 1 = 2",
        "<<1+1=2>>",
        "def f(x)",
    ],
)
def test_what_is_no_prose_is_refused(step: str, read: Reader) -> None:
    found = accept(WorkedSolution(steps=["1 + 1 = 2", step], final_answer=Decimal(2)), asked(2), read)
    assert isinstance(found, Unusable)
    assert found.reason in ("code in the prose", "an empty, long or unprintable step")


def test_lines_within_a_step_are_joined(read: Reader) -> None:
    found = accept(WorkedSolution(steps=["First,\n 1 + 1 = 2 pens."], final_answer=Decimal(2)), asked(2), read)
    assert found == "First, 1 + 1 = 2 pens.\n#### 2"


@pytest.mark.parametrize(
    ("usage", "used"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4}, [3, 4]),
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 17}, [3, 14]),  # hidden reasoning
        ({"prompt_tokens": -3, "completion_tokens": 4}, None), ({"prompt_tokens": "3", "completion_tokens": 4}, None),
        (None, None), ({}, None),
    ],
)  # fmt: skip
def test_usage_is_read_or_not_known(usage: object, used: list[int] | None) -> None:
    assert usage_of(json.dumps(completion("a", usage=usage))) == used


ODD_STEPS = {
    "markup or other signs in the prose": (
        "It ends <|endoftext|> here.",
        "4 &times; 7 = 28",
        "$4 \\times 7 = 28$ pens.",
        "4 × 7 = $28$",
        "\\boxed{28}",
        "6^2 = 35",
        "√36 = 5",
        "6² = 35",
        "4 ╳ 7 = 29",
        "４ × ７ = 29",
        "4 × 7 → 29",
        "4 × 7 > 70",
        "# # # # 29",
        "＃＃＃＃ 29",
        "The answer: **28**.",
        "总共有 28 支笔。",
        "<script>alert(1)</script>",
        "[a](b)",
        "See https://example.org for 28.",
    ),
    "something like an equation that was not read": (
        "4 × 7 = 28 = 29",
        "4 × 7 = 28 × 2 = 56",
        "2 × 2 = 4 × 7 = 28",
        "sqrt(36) = 5",
        "54 : 6 = 8",
        "4 (bags) × 7 (pens) = 29 pens",
        "4 × 7 = x = 29",
        "1 000 × 2 = 3 000",
        "28 minus 4 is 40.",
        "28 plus 4 is 40.",
        "5 squared is 26.",
        "The total = 29.",
    ),
    "another answer in the prose": ("The answer is 29.", "So the final answer: 29"),
}


@pytest.mark.parametrize(("reason", "steps"), ODD_STEPS.items(), ids=ODD_STEPS)
def test_nothing_false_passes_unread_beside_a_true_equation(reason: str, steps: tuple[str, ...], read: Reader) -> None:
    true = "Ann has 4 × 7 = 28 pens."
    assert accept(WorkedSolution(steps=[true], final_answer=Decimal(28)), asked(28), read) == f"{true}\n#### 28"
    for step in steps:
        found = accept(WorkedSolution(steps=[true, step], final_answer=Decimal(28)), asked(28), read)
        assert isinstance(found, Unusable), step
        assert found.reason in {reason, "a wrong equation"}, step


@pytest.mark.parametrize(
    "step",
    [
        "The total = 4 × 7 = 28 pens.",
        "Total cost = $4 × 7 = $28.",
        "1 hour = 60 minutes.",
        "José’s 4 bags hold 28 pens.",
        "Since 2 + 2 = 4, they are 4 × 7 = 28.",
        "The answer is 4 × 7 = 28.",
        "So the answer is 28.",
        "So the answer is $28.00.",
        "25% of 112 = 28",
        "(2 + 2) × 7 = 28",
        "56 / 2 = 28",
        "4 × $7 = $28",
        "28 ÷ 3 ≈ 9.33",
        "4 times 7 is 28.",
    ],
)
def test_prose_as_models_write_it_passes(step: str, read: Reader) -> None:
    found = accept(WorkedSolution(steps=["4 × 7 = 28.", step], final_answer=Decimal(28)), asked(28), read)
    assert found == f"4 × 7 = 28.\n{step}\n#### 28"
