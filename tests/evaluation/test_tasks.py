"""Rows, prompts and scores of the tasks, without a model."""

from collections.abc import Callable
from operator import add, mul, sub
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lighteval.models.model_output import ModelResponse

from domain_tokens.corpora import synthetic
from domain_tokens.evaluation.task import Reader
from domain_tokens.evaluation.tasks import hellaswag, load_task
from domain_tokens.evaluation.tasks.hellaswag import has_product, preprocess
from domain_tokens.evaluation.written import trim
from domain_tokens.recipe import Recipe, RecipeError, Source
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.tokenization import contract, find
from domain_tokens.tokenization.builder import build_tokenizer
from domain_tokens.tokenization.facts import FACTS, FIRST_FACT_ID, count_facts
from domain_tokens.tokenization.intervention import Facts, Intervention, Rules
from domain_tokens.tokenization.prompts import user_message

ENDINGS = {"activity_label": "Cooking", "ctx": "A cook stirs.", "endings": ["He eats.", "He flies."], "label": "1"}
QUESTION = {"question": "How many?", "answer": "6*9=54\n#### 54"}
MUL_TOKENS = build_tokenizer(
    Intervention(name="mul_tokens", facts=Facts(), rules=Rules(operators=["*", "×", "x", "·"]))
)


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
        f"What is {a} * {b}?" for a in range(1, 10) for b in range(1, 10)
    ]
    assert {name: len(found) for name, found in groups.items()} == {
        "table": 81, "table_to_20": 319, "two_digits_times_one": 52, "two_digits_times_two": 60, "two_digit_sums": 60,
        "two_digit_differences": 60,
    }  # fmt: skip
    for row in rows:
        left, sign, right = row["question"].removeprefix("What is ").removesuffix("?").split(" ")
        assert int(row["gold"]) == {"*": mul, "+": add, "-": sub}[sign](int(left), int(right))
    assert len({row["id"] for row in rows}) == len(rows)
    beyond = {row["question"] for row in rows if not row["group"].startswith("table")}
    trained = {example.question for example in synthetic.drills(20000, seed=1, split="train")}
    assert not beyond & trained


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
        ("gsm8k", {"question": "How many?"}, "row 0 has no column 'answer'"),
        ("gsm8k", QUESTION | {"answer": "54"}, "row 0: column 'answer': expected an answer that ends with"),
        (
            "gsm8k",
            QUESTION | {"question": "<|endoftext|>"},
            "row 0: column 'question': the text holds '<|endoftext|>'",
        ),
        ("hellaswag", {"ctx": "A", "endings": ["b"], "label": "0"}, "row 0 has no column 'activity_label'"),
        ("hellaswag", ENDINGS | {"label": "2"}, "row 0: column 'label': expected a number below 2, got '2'"),
        ("hellaswag", ENDINGS | {"label": ""}, "row 0: column 'label': expected a number below 2, got ''"),
        ("hellaswag", ENDINGS | {"endings": ["He eats.", " "]}, "none of them empty"),
        ("hellaswag", ENDINGS | {"endings": ["He eats.", "<MUL_6_9_54>"]}, "row 0: the text holds '<MUL_6_9_54>'"),
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
    document = hellaswag.prompt({"id": "0", "question": "A", "choices": ["b", "cc"], "label": 1}, "hellaswag")
    response = ModelResponse(logprobs=[-2.0, -3.1], output_tokens=[[1], [2, 3]])
    acc, acc_norm = load_task("hellaswag").config(Evaluation()).metrics
    assert acc.compute_sample(doc=document, model_response=response) == {"acc": 0}
    assert acc_norm.compute_sample(doc=document, model_response=response) == {"acc_norm": 1}  # -2.0 < -3.1 / 2


PIECES = st.sampled_from(["6", "9", "54", "=", " ", " ", "*", "×", "x", "·", "a", ".", "(", "$", "3"])


@given(st.lists(PIECES, min_size=1, max_size=12).map("".join))
def test_no_choice_with_a_fact_token_counts(choice: str) -> None:
    if count_facts(MUL_TOKENS.encode(f" {choice}")):
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


@settings(deadline=None)
@given(st.lists(SPELLED, min_size=1, max_size=9).map("".join))
def test_the_rule_is_wider_than_every_intervention(choice: str) -> None:
    sums = Rules(operators=["+", "＋"], words=True, chinese=True)
    widest = Intervention(name="products", facts=Facts(), rules=WIDEST)
    for intervention in (widest, Intervention(name="sums", facts=Facts(operation="+"), rules=sums)):
        if any(site.verdict == "rewritten" for site in find(f" {choice}", intervention)):
            assert has_product("He writes", [choice])


@pytest.mark.parametrize("fact", FACTS, ids=str)
def test_a_stated_fact_never_counts(fact) -> None:
    for stated in (fact.text, f"{fact.b} × {fact.a}", f"{fact.a} x {fact.b} = {fact.product}"):
        assert count_facts(MUL_TOKENS.encode(f" so {stated}.")) == 1
        assert has_product("He writes", [f"so {stated}."])


def _score(texts: dict[str, str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    task, items = load_task("arithmetic"), []
    (metric,) = task.config(Evaluation()).metrics
    for row in task.read_rows(Recipe()):
        document = task.prompt(row, "arithmetic")
        response = ModelResponse(text=[texts[row["id"]]], output_tokens=[[220, 50256]])
        scores = metric.compute_sample(doc=document, model_response=response)
        items.append(task.item(document, response, scores, Reader(MUL_TOKENS)))
    return items, task.summarize(items, [])


def test_the_oracle_is_always_right() -> None:
    texts = {row["id"]: f" so\n#### {row['gold']}" for row in load_task("arithmetic").read_rows(Recipe())}
    items, summary = _score(texts)
    assert summary["metrics"] == {"accuracy": 1.0, "table_accuracy": 1.0}
    assert len(summary["groups"]) == 6
    assert {group["accuracy"] for group in summary["groups"].values()} == {1.0}
    assert summary["unfinished"] == 0
    assert summary["tokens_per_response"] == 1
    assert all(item["correct"] for item in items)


def test_a_constant_answer_is_right_by_chance_alone() -> None:
    rows = load_task("arithmetic").read_rows(Recipe())
    share = sum(row["gold"] == "12" for row in rows) / len(rows)
    metrics = _score({row["id"]: "#### 12" for row in rows})[1]["metrics"]
    assert metrics == {"accuracy": share, "table_accuracy": 4 / 81}  # 2*6, 3*4, 4*3, 6*2


def test_a_fact_token_earns_what_its_text_earns() -> None:
    rows = load_task("arithmetic").read_rows(Recipe())
    stated = {row["id"]: f"6*9=54\n#### {row['gold']}" for row in rows}
    written = {id: text.replace("6*9=54", "<MUL_6_9_54>") for id, text in stated.items()}
    assert _score(written)[1] == _score(stated)[1]


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
    assert trim(MUL_TOKENS.encode(text), MUL_TOKENS) == (MUL_TOKENS.encode(kept), finished)


def test_a_reserved_id_ends_an_answer_and_a_fact_does_not() -> None:
    fact = FIRST_FACT_ID
    assert trim([fact, 50300, fact], MUL_TOKENS) == ([fact], True)
    assert trim([fact, fact], MUL_TOKENS) == ([fact, fact], False)
