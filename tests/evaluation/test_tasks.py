"""Rows, prompts and scores of the tasks, without a model."""

import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import combinations
from operator import add, mul, sub
from pathlib import Path
from typing import Any

import answers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_data import Data
from transformers import PreTrainedTokenizerFast

from domain_tokens.corpora import sources, synthetic
from domain_tokens.corpora.lessons.stories import ONE_PRODUCT, PRODUCT_AND_SUM, SUM_OR_DIFFERENCE
from domain_tokens.evaluation.models._lighteval import ModelResponse
from domain_tokens.evaluation.modes import TaskRun
from domain_tokens.evaluation.tasks import load_task
from domain_tokens.evaluation.tasks._base import Reader
from domain_tokens.evaluation.tasks._generative import pass_at_k, trim
from domain_tokens.evaluation.tasks.hellaswag import has_product, preprocess
from domain_tokens.local_data.row import Row
from domain_tokens.recipe import Recipe, RecipeError, Source, load_prereg, load_recipe
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.runs.layout import Mode
from domain_tokens.tokenization import contract, find
from domain_tokens.tokenization.builder import build_tokenizer
from domain_tokens.tokenization.facts import FACTS, FIRST_FACT_ID, GPT2_IDS, count_facts
from domain_tokens.tokenization.intervention import Facts, Intervention, Rules
from domain_tokens.tokenization.prompts import user_message

ENDINGS = {"activity_label": "Cooking", "ctx": "A cook stirs.", "endings": ["He eats.", "He flies."], "label": "1"}
QUESTION = {"question": "How many?", "answer": "6*9=54\n#### 54"}


@cache
def mul_tokens() -> PreTrainedTokenizerFast:
    """Return the tokenizer of the table, for tests whose examples hypothesis makes."""
    return build_tokenizer(Intervention(name="mul_tokens", facts=Facts(), rules=Rules(operators=["*", "×", "x", "·"])))


def test_prompts_are_the_chat_templates(condition: str, tokenizer_dirs: dict[str, Path]) -> None:
    tokenizer = contract.load_tokenizer(tokenizer_dirs[condition])
    row = {"id": "0", "group": None, "question": " Ann has 6 * 9 pens.\nHow many? ", "gold": "54"}
    document = load_task("gsm8k").prompt(row, "gsm8k")
    template = tokenizer.apply_chat_template(user_message(row["question"]), add_generation_prompt=True, tokenize=False)
    assert document.query == template == "User: Ann has 6 * 9 pens.\nHow many?\nAssistant:"


def test_arithmetic_asks_the_whole_table_and_held_out_questions() -> None:
    rows = load_task("arithmetic").read_rows(Recipe())
    groups = {
        name: [row for row in rows if row["group"] == name] for name in dict.fromkeys(row["group"] for row in rows)
    }
    assert [row["question"] for row in groups["table"]] == [
        f"What is {a} times {b}?" for a in range(1, 10) for b in range(1, 10)
    ]
    assert {name: len(found) for name, found in groups.items()} == {
        "table": 81, "table_to_20": 319, "two_digits_times_one": 52, "two_digits_times_two": 60, "two_digit_sums": 60,
        "two_digit_differences": 60,
    }  # fmt: skip
    for row in rows:
        left, sign, right = row["question"].removeprefix("What is ").removesuffix("?").split(" ")
        assert int(row["gold"]) == {"times": mul, "plus": add, "minus": sub}[sign](int(left), int(right))
    assert len({row["id"] for row in rows}) == len(rows)
    beyond = {row["question"] for row in rows if not row["group"].startswith("table")}
    trained = {example.question for example in synthetic.drills(20000, seed=1, split="train")}
    assert not beyond & trained
    clusters = {name: {row["cluster"] for row in found} for name, found in groups.items()}
    assert len(clusters["table"]) == 45  # 6 times 9 and 9 times 6 ask the same
    assert "product:6,9" in clusters["table"]
    assert {name.partition(":")[0] for name in set.union(*clusters.values())} == {"product", "sum", "difference"}
    assert "difference:9,6" not in clusters["two_digit_differences"]
    assert {row["cluster"] for row in load_task("notations").read_rows(Recipe())} == clusters["table"]


def test_generated_rows_have_a_cluster_and_published_ones_none(
    tmp_path: Path, write_source: Callable[..., Source]
) -> None:
    problems = Source(name="problems", kind="synthetic", what="problems", max_items=100)
    scenes = Source(name="scenes", kind="synthetic", what="cloze", max_items=40)
    published = write_source(tmp_path, [{"question": "How many?", "answer": "#### 1"}])
    for task, source in (("gsm8k", problems), ("gsm8k_direct", problems), ("hellaswag", scenes)):
        rows = load_task(task).read_rows(
            Recipe(evaluation=Evaluation(tasks=[task], data={task.removesuffix("_direct"): source}))
        )
        assert len({row["cluster"] for row in rows}) == len(rows) == source.max_items
        if source is problems:
            assert Counter(row["group"] for row in rows).keys() == {ONE_PRODUCT, PRODUCT_AND_SUM, SUM_OR_DIFFERENCE}
    (row,) = load_task("gsm8k").read_rows(Recipe(evaluation=Evaluation(tasks=["gsm8k"], data={"gsm8k": published})))
    assert "cluster" not in row
    assert row["group"] is None


@pytest.mark.parametrize(("scale", "number"), [("demo", 600), ("null_pipeline", 251), ("assay", 600)])
def test_a_declared_endpoint_on_generated_problems_has_items(root: Path, scale: str, number: int) -> None:
    recipe = load_recipe([str(root / "recipes/baseline.yaml"), str(root / f"recipes/scales/{scale}.yaml")])
    primary = load_prereg(root / str(recipe.prereg)).endpoints[0]
    rows = load_task(primary.task).read_rows(recipe)
    assert primary.group == ONE_PRODUCT
    assert sum(row["group"] == primary.group for row in rows) == number


def test_gsm8k_rows_have_the_number_after_the_mark(tmp_path: Path, write_source: Callable[..., Source]) -> None:
    rows = [QUESTION, {"question": "And now?", "answer": "It is <<2*617=1234>>1234.\n#### 1,234"}]
    recipe = Recipe(evaluation=Evaluation(tasks=["gsm8k"], data={"gsm8k": write_source(tmp_path, rows)}))
    assert load_task("gsm8k").read_rows(recipe) == [
        {"id": "0", "group": None, "question": "How many?", "gold": "54", "steps": "6*9=54"},
        {
            "id": "1",
            "group": None,
            "question": "And now?",
            "gold": "1,234",
            "steps": "It is <<2*617=1234>>1234.",
        },
    ]


def test_hellaswag_rows_are_preprocessed(tmp_path: Path, write_source: Callable[..., Source]) -> None:
    raw = {
        "activity_label": "Shaving", "ctx_a": "[header] How to shave [title] Wet it.", "ctx_b": "next you",
        "ctx": "unused", "endings": ["use  a [substeps]razor.", "sleep."], "label": 0,
    }  # fmt: skip
    recipe = Recipe(
        evaluation=Evaluation(tasks=["hellaswag"], data={"hellaswag": write_source(tmp_path, [raw, ENDINGS])})
    )
    assert load_task("hellaswag").read_rows(recipe) == [
        {
            "id": "0",
            "question": "Shaving: How to shave. Wet it. Next you",
            "choices": ["use a razor.", "sleep."],
            "label": 0,
        },
        {"id": "1", "question": "Cooking: A cook stirs.", "choices": ["He eats.", "He flies."], "label": 1},
    ]
    assert preprocess(" a [title] b [x] c") == "a. b c"


@pytest.mark.parametrize(
    ("task", "row", "message"),
    [
        ("gsm8k", {"question": "How many?"}, "line 1 has no column 'answer'"),
        ("gsm8k", QUESTION | {"answer": "54"}, "row 0: column 'answer': expected an answer that ends with"),
        (
            "gsm8k",
            QUESTION | {"question": "<|endoftext|>"},
            "row 0: column 'question': the text holds '<|endoftext|>'",
        ),
        (
            "svamp",
            {"body": "Six", "Question": "How many?"},
            "evaluation.data.svamp: source rows: row 0 has no column 'Body'; it has 'body', 'Question'",
        ),
        ("asdiv", {"body": "Six", "question": "How many?"}, "row 0 has no column 'solution_type'"),
        ("multiarith", {"question": "How many?", "answer": "1"}, "row 0 has no column 'final_ans'"),
        (
            "multiarith",
            {"question": "<MUL_6_9_54>?", "final_ans": "1"},
            "row 0: column 'question': the text holds '<MUL_6_9_54>'",
        ),
        (
            "multiarith",
            {"question": "\ud83d alone?", "final_ans": "1"},
            "row 0: column 'question': '\\ud83d' is half of a surrogate pair",
        ),
        (
            "hellaswag",
            ENDINGS | {"endings": ["He eats.", "\udc00"]},
            "column 'endings': '\\udc00' is half of a surrogate pair",
        ),
        ("hellaswag", {"ctx": "A", "endings": ["b"], "label": "0"}, "row 0 has no column 'activity_label'"),
        ("hellaswag", ENDINGS | {"label": "2"}, "row 0: column 'label': expected a whole number below 2, got str '2'"),
        ("hellaswag", ENDINGS | {"label": ""}, "row 0: column 'label': expected a whole number below 2, got str ''"),
        ("hellaswag", ENDINGS | {"endings": ["He eats.", " "]}, "none of them empty"),
        (
            "hellaswag",
            ENDINGS | {"endings": ["He eats.", "<MUL_6_9_54>"]},
            "column 'endings': the text holds '<MUL_6_9_54>'",
        ),
    ],
)
def test_a_bad_row_is_named(
    task: str, row: dict[str, Any], message: str, tmp_path: Path, write_source: Callable[..., Source]
) -> None:
    evaluation = Evaluation(tasks=[task], data={task: write_source(tmp_path, [row])})
    with pytest.raises(RecipeError) as error:
        load_task(task).read_rows(Recipe(evaluation=evaluation))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


ROWS = {
    "gsm8k": QUESTION,
    "gsm8k_direct": QUESTION,
    "gold_bits": QUESTION,
    "svamp": {"Body": "Six", "Question": "How many?", "Equation": "6*9", "Answer": 54.0, "Type": "Multiplication"},
    "asdiv": {
        "body": "Six", "question": "How many?", "solution_type": "Sum", "answer": "54 (figs)", "formula": "6*9=54",
    },
    "multiarith": {"question": "How many?", "final_ans": "54"},
    "hendrycks_math": {"problem": "What?", "solution": r"$\boxed{54}$", "level": "Level 1", "type": "Algebra"},
    "hellaswag": ENDINGS,
}  # fmt: skip
TEXTS = {
    "gsm8k": ("question", "answer"), "gsm8k_direct": ("question", "answer"), "gold_bits": ("question", "answer"),
    "svamp": ("Body", "Question", "Equation", "Type"), "asdiv": ("body", "question", "solution_type", "formula"),
    "multiarith": ("question",), "hendrycks_math": ("problem", "solution", "type"),
    "hellaswag": ("activity_label", "ctx"),
}  # fmt: skip
QUESTIONS = ("question", "Question", "problem", "ctx")
CONTEXTS = {"hellaswag": "Cooking: A cook stirs."}
ANSWERS = {"svamp": "Answer", "asdiv": "answer", "multiarith": "final_ans", "hellaswag": "label"}
BAD = [(task, column, value) for task, columns in TEXTS.items() for column in columns for value in (None, 5, ["a"])]
BAD += [
    (task, column, value)
    for task, columns in TEXTS.items()
    for column in columns
    if column in QUESTIONS
    for value in ("", " ", "\u200b", "None", "nan", "???")
]
MISSING = ("None", "nan", "#REF!", "#N/A", "(none)", '"null"', "NULL;", "undefined", " NaN\n")
MAY_BE_EMPTY = {"svamp": ("Body",), "asdiv": ("body", "formula"), "hellaswag": ("activity_label", "ctx_b")}
BAD += [(task, column, value) for task, columns in MAY_BE_EMPTY.items() for column in columns for value in MISSING]
BAD += [(task, column, value) for task in TEXTS for column in TEXTS[task] if column in QUESTIONS for value in MISSING]
BAD += [("hellaswag", "ctx", value) for value in ("[header]", "[header] [title]", "[step] .")]
BAD += [("hellaswag", "endings", value) for value in (["a", "a"], ["a ", " a"], ["[x] a", "a"], ["a", "#REF!"])]
BAD += [(task, column, value) for task, column in ANSWERS.items() for value in (None, True, [54], float("nan"), "")]
BAD += [("svamp", "Answer", "two"), ("multiarith", "final_ans", "12 dozen"), ("gsm8k", "answer", "#### two")]
BAD += [("gsm8k", "answer", "#### 18\n\nso"), ("gsm8k_direct", "answer", "18"), ("hellaswag", "label", "-1")]
BAD += [
    ("hellaswag", "endings", value)
    for value in (json.dumps(["a", "b"]), None, ["a", None], ["a", 5], ["a"], [], {"a": "b"}, ["a", "[x]"])
]


@pytest.mark.parametrize("task", ROWS)
def test_a_good_row_is_read(task: str, read: Callable[..., list[dict[str, Any]]]) -> None:
    (row,) = read(task, [ROWS[task]])
    questions = {"svamp": "Six How many?", "asdiv": "Six How many?", "hendrycks_math": "What?", **CONTEXTS}
    assert row["question"] == questions.get(task, "How many?")
    assert row.get("gold") == (None if task in ("hellaswag", "gold_bits") else "54")


@pytest.mark.parametrize(("task", "column", "value"), BAD)
def test_a_value_of_another_kind_is_refused_with_its_row_and_column(
    task: str, column: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(name="rows", kind="file", path="rows.jsonl")
    good = ROWS[task] | ({"ctx_a": "A cook stirs.", "ctx_b": ""} if column == "ctx_b" else {})
    rows = [Row.at("row 0", good), Row.at("row 1", good | {column: value})]
    monkeypatch.setattr(sources, "rows_in_order", lambda source, *_: iter(rows))
    loaded = load_task(task)
    recipe = Recipe(evaluation=Evaluation(tasks=[task], data={str(loaded.data): source}))
    with pytest.raises(RecipeError, match=rf"source rows: .*row 1.*{column}"):
        loaded.rows(recipe)


def test_a_minus_sign_before_brackets_belongs_to_the_number(read: Callable[..., list[dict[str, Any]]]) -> None:
    answers = ["-(1/3)", "-(1/3) (miles)", "−(1/3)", "(1/3)", "3 (1/3 cups)", "-5 (degrees)"]
    rows = read("asdiv", [ROWS["asdiv"] | {"answer": answer} for answer in answers])
    assert [row["gold"] for row in rows] == ["-1/3", "-1/3", "-1/3", "1/3", "3", "-5"]


@pytest.mark.parametrize(
    ("task", "changed", "part"),
    [
        ("arithmetic", {"gold": "two"}, "gold: expected one number as text, got 'two'"),
        ("notations", {"gold": 54}, "gold: expected one number as text, got 54"),
        ("notations", {"question": ""}, "question: expected text with letters or digits"),
        ("arithmetic", {"question": None}, "question: expected text, got NoneType"),
        ("hellaswag", {"choices": "ab"}, "choices: expected two texts or more"),
        ("hellaswag", {"choices": ["a", " a"]}, "choices: expected texts that differ"),
        ("hellaswag", {"label": 4}, "label: expected a whole number below 4, got 4"),
    ],
)
def test_rows_of_every_task_are_checked(
    task: str, changed: dict[str, Any], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that a task outside the package makes, or reads by itself."""
    loaded = load_task(task)
    data = {"hellaswag": Source(name="scenes", kind="synthetic", what="cloze", max_items=2)}
    recipe = Recipe(evaluation=Evaluation(tasks=[task], data=data))
    rows = loaded.rows(recipe)
    monkeypatch.setattr(type(loaded), "read_rows", lambda self, recipe: [*rows[:1], rows[1] | changed])
    with pytest.raises(RecipeError) as error:
        loaded.rows(recipe)
    assert str(error.value).startswith(f"task {task}: row {rows[1]['id']!r}: {part}")


@pytest.mark.parametrize(
    ("context", "choice", "expected"),
    [
        ("He writes", "6*9=54 on it.", True),
        ("He writes", "6 x 9 on it.", True),
        ("He writes", "6 times 9 on it.", True),
        ("He writes 6", "* 9 on it.", True),
        ("He writes 6 *", "9 on it.", True),
        ("He writes 6*9", "= 54 on it.", True),
        ("He writes 6*9 =", "54 on it.", True),
        ("He writes 2*3", "*4 on it.", True),
        ("He writes 6*9=54", "on it.", False),
        ("He carries a 2x4. He puts", "paint on it.", False),
        ("He writes", "6 boxes of 9 on it.", False),
        ("He drives", "a 4x4 car.", True),
    ],
)
def test_products_among_the_choices_are_found_in_the_text(context: str, choice: str, expected: bool) -> None:
    assert has_product(context, ["on it.", choice] if expected else [choice]) is expected


def test_choices_are_normalized_by_their_characters_without_the_space_before() -> None:
    row = {"id": "0", "question": "A", "choices": ["b", "cc"], "label": 1}
    document = load_task("hellaswag").prompt(row, "hellaswag")
    response = ModelResponse(logprobs=[-2.0, -3.1], output_tokens=[[1], [2, 3]])
    acc, acc_norm = load_task("hellaswag").config(Evaluation(), answers.reader()).metrics
    assert acc.compute_sample(doc=document, model_response=response) == {"acc": 0}
    assert acc_norm.compute_sample(doc=document, model_response=response) == {"acc_norm": 1}  # -2.0 < -3.1 / 2


PIECES = st.sampled_from(["6", "9", "54", "=", " ", " ", "*", "×", "x", "·", "a", ".", "(", "$", "3"])


@given(st.lists(PIECES, min_size=1, max_size=12).map("".join))
def test_no_choice_with_a_fact_token_counts(choice: str) -> None:
    if count_facts(mul_tokens().encode(f" {choice}"), GPT2_IDS):
        assert has_product("He writes", [choice])


WIDEST = Rules(operators=["*", "×", "x", "·", "\\times", "\\cdot"], words=True, chinese=True)
SPELLED = st.sampled_from(
    [
        "six",
        "times",
        "nine",
        "multiplied by",
        "is",
        "fifty-four",
        "六",
        "九",
        "乘",
        "五十四",
        "得",
        "6",
        "9",
        "+",
        "plus",
    ]
    + ["加", "\\times", "⋅", "\u00a0", " ", " ", "=", "15", "12"]
)


@given(st.lists(SPELLED, min_size=1, max_size=9).map("".join))
def test_the_rule_is_wider_than_every_intervention(choice: str) -> None:
    sums = Rules(operators=["+", "＋"], words=True, chinese=True)
    widest = Intervention(name="products", facts=Facts(), rules=WIDEST)
    for intervention in (widest, Intervention(name="sums", facts=Facts(operation="+"), rules=sums)):
        if any(site.verdict == "rewritten" for site in find(f" {choice}", intervention)):
            assert has_product("He writes", [choice])


@pytest.mark.parametrize("fact", FACTS, ids=str)
def test_a_stated_fact_never_counts(fact) -> None:
    for stated in (fact.text, f"it is = {fact.b} × {fact.a}", f"{fact.a} x {fact.b} = {fact.product}"):
        assert count_facts(mul_tokens().encode(f" so {stated}."), GPT2_IDS) == 1
        assert has_product("He writes", [f"so {stated}."])


def _score(
    task_name: str, rows: list[dict[str, Any]], texts: dict[str, list[str]]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the items and the summary of answers that no model wrote."""
    task, items = load_task(task_name), []
    reader = Reader(mul_tokens(), answers.reader())
    (metric,) = task.config(Evaluation(), reader.answers).metrics
    for row in rows:
        document = task.prompt(row, task_name)
        written = [text.removeprefix(task.beginning) for text in texts[row["id"]]]
        response = ModelResponse(text=written, output_tokens=[[220, 50256]] * len(written))
        scores = metric.compute_sample(doc=document, model_response=response)
        items.append(task.item(row, response, scores, reader))
    items = task.complete(items)
    assert all(task.is_scored(item) for item in items)
    return [item.as_json() for item in items], task.summarize(items, []).as_json()


SVAMP_ROW = {"ID": "1", "Body": "Six bags hold 9 dvds each", "Question": "How many dvds?", "Equation": "( 6.0 * 9.0 )",
             "Answer": 54.0, "Type": "Multiplication"}  # fmt: skip
ASDIV_ROW = {"body": "Six bags hold 9 figs each.", "question": "How many figs?", "solution_type": "Multiplication",
             "answer": "54 (figs)", "formula": "6*9=54"}  # fmt: skip
MULTIARITH_ROW = {"question": " Six bags hold 9 figs each. How many figs? ", "final_ans": "54"}
MATH_ROW = {"problem": "Six bags hold 9 figs each. How many figs?", "level": "Level 1", "type": "Prealgebra",
            "solution": "There are $6*9=54$ figs, so the answer is $\\boxed{54}$."}  # fmt: skip
WRITTEN = ["gsm8k", "gsm8k_direct", "arithmetic", "notations", "svamp", "asdiv", "multiarith", "hendrycks_math"]


@pytest.fixture
def read(tmp_path: Path, write_source: Callable[..., Source]) -> Callable[..., list[dict[str, Any]]]:
    """Return a function that gives a task's rows, of a few made-up ones if no others are given."""
    some = {
        "gsm8k": [QUESTION, {"question": "And now?", "answer": "2*617=1234\n#### 1,234"}],
        "svamp": [SVAMP_ROW, SVAMP_ROW | {"Answer": 1.5, "Type": "Common-Division"}],
        "asdiv": [ASDIV_ROW, ASDIV_ROW | {"answer": "1/3", "solution_type": "Ratio"}],
        "multiarith": [MULTIARITH_ROW, MULTIARITH_ROW | {"final_ans": "-7"}],
        "hendrycks_math": [MATH_ROW, MATH_ROW | {"solution": "$\\boxed{\\frac{1}{12}}$", "type": "Algebra"}],
    }

    def rows_of(task_name: str, raw: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
        task = load_task(task_name)
        data = {task.data: write_source(tmp_path, raw or some[task.data])} if task.data else {}
        return task.read_rows(Recipe(evaluation=Evaluation(tasks=[task_name], data=data)))

    return rows_of


@pytest.mark.parametrize("task_name", WRITTEN)
def test_the_oracle_is_always_right(task_name: str, read: Callable[..., list[dict[str, Any]]]) -> None:
    rows = read(task_name)
    items, summary = _score(task_name, rows, {row["id"]: [f"#### {row['gold']}"] for row in rows})
    assert set(summary["metrics"]) >= {"accuracy"}
    assert set(summary["metrics"].values()) == {1.0}
    assert {group["accuracy"] for group in summary["groups"].values()} <= {1.0}
    assert sum(group["num_items"] for group in summary["groups"].values()) in (0, len(rows))
    assert summary["unfinished"] == 0
    assert summary["tokens_per_response"] == 1
    assert {(item["correct"], item["mistake"]) for item in items} == {(True, "right")}


def test_the_tasks_have_the_metrics_that_they_declare(read: Callable[..., list[dict[str, Any]]]) -> None:
    found = {}
    for task_name in WRITTEN:
        rows = read(task_name)
        found[task_name] = set(_score(task_name, rows, {row["id"]: ["#### 1"] for row in rows})[1]["metrics"])
    scorers = {"accuracy", "original", "lm_eval_strict", "lm_eval_flexible"}
    assert found == {
        "gsm8k": scorers, "gsm8k_direct": scorers, "arithmetic": {"accuracy", "table_accuracy"},
        "notations": {"accuracy"}, "svamp": {"accuracy"}, "asdiv": {"accuracy"},
        "multiarith": {"accuracy"}, "hendrycks_math": {"accuracy"},
    }  # fmt: skip


@pytest.mark.parametrize("task_name", WRITTEN)
def test_a_constant_answer_is_right_as_often_as_its_number(
    task_name: str, read: Callable[..., list[dict[str, Any]]]
) -> None:
    rows = read(task_name)
    for constant in ("54", "12"):
        metrics = _score(task_name, rows, {row["id"]: [f"#### {constant}"] for row in rows})[1]["metrics"]
        assert metrics["accuracy"] == sum(row["gold"] == constant for row in rows) / len(rows)


def test_a_constant_answer_is_right_by_chance_alone() -> None:
    rows = load_task("arithmetic").read_rows(Recipe())
    metrics = _score("arithmetic", rows, {row["id"]: ["#### 12"] for row in rows})[1]["metrics"]
    assert metrics["table_accuracy"] == 4 / 81  # 2*6, 3*4, 4*3, 6*2


def test_knowing_a_product_in_one_notation_is_not_knowing_it() -> None:
    rows = load_task("notations").read_rows(Recipe())
    assert len(rows) == 45 * 6 - 2 * 9  # a square has no mirrored form
    assert len({row["problem"] for row in rows}) == 45
    by_words = {row["id"]: [f"#### {row['gold']}" if row["group"] == "words" else " I do not know"] for row in rows}
    items, summary = _score("notations", rows, by_words)
    assert summary["metrics"] == {"accuracy": 45 / 252}
    assert summary["groups"]["words"] == {"accuracy": 1.0, "num_items": 45}
    assert [item["problem"] for item in items] == [row["problem"] for row in rows]


def test_a_fact_token_earns_what_its_text_earns() -> None:
    rows = load_task("arithmetic").read_rows(Recipe())
    stated = {row["id"]: [f"6*9=54\n#### {row['gold']}"] for row in rows}
    written = {id: [text.replace("6*9=54", "<MUL_6_9_54>")] for id, (text,) in stated.items()}
    assert _score("arithmetic", rows, written)[1] == _score("arithmetic", rows, stated)[1]


def test_svamp_rows(read: Callable[..., list[dict[str, Any]]]) -> None:
    assert read("svamp", [SVAMP_ROW]) == [
        {
            "id": "0",
            "question": "Six bags hold 9 dvds each How many dvds?",
            "gold": "54",
            "group": "Multiplication",
            "steps": "( 6.0 * 9.0 ) = 54.0",
        }
    ]


def test_the_facts_that_a_problem_needs_are_counted(read: Callable[..., list[dict[str, Any]]]) -> None:
    for task_name in ("gsm8k", "svamp", "asdiv", "hendrycks_math"):
        rows = read(task_name)[:1]
        items, _ = _score(task_name, rows, {"0": ["#### 54"]})
        assert [list(pair) for pair in items[0]["needed"]] == [[6, 9]], task_name
    rows = read("multiarith")
    assert _score("multiarith", rows, {row["id"]: [""] for row in rows})[0][0]["needed"] is None


def test_asdiv_problems_without_one_number_are_left_out(
    read: Callable[..., list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    answers = ["9 (apples)", "5 (dimes); 3 (nickels)", "2:3", "Ann", "1/3", "12"]
    others = ["12 (dozen)", "5 (hundred dollars)", "3 (2/5)", "3 (and a half)", "5 (million)", "2 (thirds)"]
    units = ["8(pens)", "5 (10-dollar bills)", "45 (cm^2)", "3 (quarters)", "5 (%)"]
    with caplog.at_level("INFO", logger="domain_tokens"):
        rows = read("asdiv", [ASDIV_ROW | {"answer": answer} for answer in (*answers, *others, *units)])
    assert [(row["id"], row["gold"]) for row in rows] == [
        ("0", "9"), ("4", "1/3"), ("5", "12"), ("12", "8"), ("13", "5"), ("14", "45"), ("15", "3"), ("16", "5"),
    ]  # fmt: skip
    assert "asdiv: skipped 9 problems whose answer is not a single number" in caplog.text
    with pytest.raises(RecipeError, match="no row has one number as its answer"):
        read("asdiv", [ASDIV_ROW | {"answer": "Ann"}])


@pytest.mark.parametrize(
    ("solution", "gold"),
    [
        (r"First \boxed{3}, and then $\boxed{12}$.", "12"),
        (r"$\boxed{\frac{1}{12}}$", "1/12"),
        (r"$\boxed{-\dfrac{7}{2}}$", "-7/2"),
        (r"$\boxed{\frac 34}$", "3/4"),
        (r"$\boxed{10,\!000}$", "10000"),
        (r"$\boxed{\$32}$", "32"),
        (r"$\boxed 5$.", "5"),
        (r"$\boxed{ -2.50 }$", "-5/2"),
        (r"$\boxed{x^{2}+1}$", None),
        (r"$\boxed{\frac{x}{2}}$", None),
        (r"$\boxed{(1,2)}$", None),
        (r"$\boxed{2\sqrt{3}}$", None),
        (r"$\boxed{\text{Ann}}$", None),
        (r"$\boxed{1{,}234}$", "1234"),
        (r"$\boxed{50\%}$", "50"),
        (r"$\boxed{.5}$", "1/2"),
        (r"$\boxed{3/4}$", "3/4"),
        (r"$\boxed{2\frac{1}{2}}$", None),
        (r"$\boxed{\frac{3}{4}5}$", None),
        (r"$\boxed{\frac123}$", None),
        (r"$\boxed{1 - i}$", None),
        (r"$\boxed{4 a}$", None),
        (r"$\boxed{5!}$", None),
        (r"$\boxed{5 (base six)}$", None),
        (r"$\boxed{225,\ 144}$", None),
        (r"$\boxed{5,\,100}$", None),
        (r"$\boxed{3\ 100}$", None),
        (r"$\boxed{10\quad 200}$", None),
        (r"$\boxed{12_3}$", None),
        (r"$\boxed 10$", None),
        (r"$\boxed{}$", None),
        (r"$\boxed{-}$", None),
        (r"$\boxed{12", None),
        ("It is 12.", None),
    ],
)
def test_competition_problems_that_a_number_answers(
    read: Callable[..., list[dict[str, Any]]], solution: str, gold: str | None
) -> None:
    rows = read("hendrycks_math", [MATH_ROW, MATH_ROW | {"solution": solution}])
    assert [row["gold"] for row in rows[1:]] == ([] if gold is None else [gold])


def test_multiarith_rows(read: Callable[..., list[dict[str, Any]]]) -> None:
    assert read("multiarith", [MULTIARITH_ROW]) == [
        {"id": "0", "question": "Six bags hold 9 figs each. How many figs?", "gold": "54", "group": None, "steps": ""}
    ]


def test_a_list_of_problems_in_one_json_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "SVAMP.json").write_text(json.dumps([SVAMP_ROW, SVAMP_ROW], indent=4), encoding="utf-8")
    data = {"svamp": Source(name="svamp", kind="file", path=str(tmp_path / "SVAMP.json"))}
    rows = load_task("svamp").read_rows(Recipe(evaluation=Evaluation(tasks=["svamp"], data=data)))
    assert [row["gold"] for row in rows] == ["54", "54"]


def test_all_of_svamp_is_read_and_can_be_answered(data: Data) -> None:
    source = Source(name="svamp", kind="file", path=str(data.folder / "svamp" / "SVAMP.json"))
    rows = load_task("svamp").read_rows(Recipe(evaluation=Evaluation(tasks=["svamp"], data={"svamp": source})))
    assert len(rows) == (10 if data.is_own else 1000)
    _, summary = _score("svamp", rows, {row["id"]: [f"#### {row['gold']}"] for row in rows})
    assert summary["metrics"] == {"accuracy": 1.0}
    own = {"Subtraction": 3, "Addition": 2, "Common-Division": 3, "Multiplication": 2}
    real = {"Subtraction": 531, "Addition": 195, "Common-Division": 166, "Multiplication": 108}
    assert {name: group["num_items"] for name, group in summary["groups"].items()} == (own if data.is_own else real)


@pytest.mark.parametrize("num_samples", [1, 2, 5, 8])
def test_pass_at_k_is_the_share_of_draws_with_a_right_answer(num_samples: int) -> None:
    for num_right in range(num_samples + 1):
        answers = [True] * num_right + [False] * (num_samples - num_right)
        for k in range(1, num_samples + 1):
            draws = list(combinations(answers, k))
            assert pass_at_k(num_samples, num_right, k) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_drawn_answers_are_scored_together() -> None:
    rows = load_task("arithmetic").read_rows(Recipe())[:4]  # 1, 2, 3, 4
    texts = {
        rows[0]["id"]: ["#### 1", "#### 1", "#### 1.0", "#### 01"],
        rows[1]["id"]: ["#### 7", "#### 2", "#### 2", "#### 5"],
        rows[2]["id"]: ["#### 9", "#### 3", "so 3", "#### 9"],
        rows[3]["id"]: ["so", "so 4", "", "#### 4 or 5"],
    }
    items, summary = _score("arithmetic", rows, texts)
    assert [item["num_right"] for item in items] == [4, 2, 1, 0]
    assert [item["majority_correct"] for item in items] == [True, True, False, False]
    assert [item["samples"] for item in items] == list(texts.values())
    metrics = summary["metrics"]
    assert metrics["accuracy"] == 1 / 4  # the first answers
    assert metrics["pass@1"] == pytest.approx((1 + 1 / 2 + 1 / 4) / 4)
    assert metrics["pass@1"] <= metrics["pass@2"] <= metrics["pass@4"] == 3 / 4
    assert metrics["maj@4"] == 2 / 4


@pytest.mark.parametrize(
    ("text", "kept", "finished"),
    [
        ("so 54<|endoftext|><|endoftext|>", "so 54", True),
        ("so 54\nUser: and now?", "so 54", True),
        ("so 54\nUser", "so 54\nUser", False),
        ("", "", False),
    ],
)
def test_an_answer_ends_where_the_model_ends_it(text: str, kept: str, finished: bool) -> None:
    assert trim(mul_tokens().encode(text), mul_tokens()) == (mul_tokens().encode(kept), finished)


def test_a_reserved_id_ends_an_answer_and_a_fact_does_not() -> None:
    fact = FIRST_FACT_ID
    assert trim([fact, 50300, fact], mul_tokens()) == ([fact], True)
    assert trim([fact, fact], mul_tokens()) == ([fact, fact], False)


def test_the_hash_of_the_data_covers_the_rows_and_not_only_their_number(root: Path) -> None:
    recipe = load_recipe([str(root / "recipes/baseline.yaml"), "canonical_table=null"])
    rows = [{"question": "6*9?", "answer": "#### 54"}], [{"question": "6*9?", "answer": "#### 55"}]
    task = load_task("gsm8k")
    one, same, other = (TaskRun(task, Mode.PLAIN, data).identify(recipe) for data in (rows[0], rows[0], rows[1]))
    assert one.data_sha256 == same.data_sha256 != other.data_sha256
