"""Lessons: solutions execute to their answers, what is written is what was executed, and the splits are apart."""

import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from answers import read
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from domain_tokens.corpora import gallery, synthetic
from domain_tokens.corpora.examples import read_examples
from domain_tokens.corpora.lessons import making
from domain_tokens.corpora.lessons.draw import Draw, Weighted
from domain_tokens.corpora.lessons.kinds import columns
from domain_tokens.corpora.lessons.kinds.chinese import rhyme
from domain_tokens.corpora.lessons.lesson import Asked, Lesson, Step, defects, execute, parts
from domain_tokens.corpora.lessons.notation import COMPACT
from domain_tokens.corpora.lessons.problems.filling import TEMPLATES
from domain_tokens.corpora.lessons.splits import (
    PROBED,
    TAUGHT,
    belongs,
    difference_asked,
    product_asked,
    quotient_asked,
    split_of_asked,
    sum_asked,
)
from domain_tokens.corpora.sources import (
    check_distinct,
    check_files,
    describe,
    read_documents,
    read_rows,
)
from domain_tokens.evaluation.answers.answer import is_correct
from domain_tokens.evaluation.equations.reading import read_equations
from domain_tokens.evaluation.tasks import arithmetic
from domain_tokens.recipe import LESSON_KINDS, Recipe, RecipeError, Source, load_recipe
from domain_tokens.recipe.sections.sources import check_sources
from domain_tokens.runs.files import sha256_json
from domain_tokens.tokenization.facts import FIRST_FACT_ID
from domain_tokens.tokenization.intervention import OPERATORS, load_intervention
from domain_tokens.tokenization.rewriter import rewriter_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/DATA.md"
EXAMPLES = ROOT / "docs/GENERATED.md"
EVEN = dict.fromkeys(LESSON_KINDS, 1.0)

seeds = st.integers(0, 2**32 - 1)
indices = st.integers(0, 2**40)
lessons = st.builds(
    lambda seed, split, index, kind: making.lesson(seed, split, index, {kind: 1.0}),
    seeds, st.sampled_from(synthetic.STORY_SPLITS), indices, st.sampled_from(sorted(LESSON_KINDS)),
)  # fmt: skip


def lessons_of(kind: str, number: int, split: str = "train", seed: int = 0) -> list[Lesson]:
    return [making.lesson(seed, split, index, {kind: 1.0}) for index in range(number)]


@settings(max_examples=examples(300))
@given(lessons)
def test_every_solution_executes_to_its_answer_and_every_written_equation_is_right(lesson: Lesson) -> None:
    assert lesson.steps
    assert list(defects(lesson)) == []
    if lesson.kind == "chinese":
        return
    equations = read_equations(read(lesson.solution or lesson.text))
    assert [equation.text for equation in equations if not equation.right] == []
    # `72 is 8x9` names a product and states no equation to the reader.
    assert len(equations) >= len(set(lesson.steps)) or lesson.group == "fact"


@settings(max_examples=examples(200))
@given(seeds, st.sampled_from(synthetic.STORY_SPLITS), st.sampled_from(making.ASKING))
def test_answers_follow_from_what_is_asked_without_the_steps(seed: int, split: str, kind: str) -> None:
    (example,) = making.examples(1, seed, split, "", {kind: 1.0})
    number = example.answer.rpartition("#### ")[2]
    assert is_correct(read(example.answer), number)
    template, _, shown = example.cluster.partition(":")
    assert int(number) == answer_of(template, [int(one) for one in shown.split(",")])


ANSWERS = {
    "product": lambda a, b: a * b,
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: a - b,
    "quotient": lambda a, b: a / b,
    "remainder": lambda a, b: a % b,
    "groups": lambda a, b: a // b,
    "missing addend": lambda a, b: b,
    "product and sum": lambda a, b, c: a * b + c,
    "product and difference": lambda a, b, c: a * b - c,
    "three factors": lambda a, b, c: a * b * c,
}
BY_NAME = {template.name: template for template in TEMPLATES}


def answer_of(template: str, numbers: list[int]) -> float:
    if template in ANSWERS:
        return ANSWERS[template](*numbers)
    found = BY_NAME[template]
    return eval(found.formula, dict(zip(found.needed, numbers, strict=True)))


def test_a_defect_of_a_solution_is_found() -> None:
    sound = Lesson("drills", "", (), (6, 9, 4), (Step("*", (6, 9), 54), Step("-", (54, 4), 50)), 50, "", "", "")
    assert list(defects(sound)) == []
    for steps, said in (
        ((Step("*", (6, 9), 56),), "step 1 does not hold"),
        ((Step("*", (6, 8), 48),), r"step 1 uses \[8\], which nothing gives"),
        ((Step("-", (4, 6), -2), Step("+", (4, 9), 13)), "step 1 has a negative number"),
        ((Step("*", (6, 9), 54),), "the steps do not arrive at 50"),
        ((), "the steps do not arrive at 50"),
        ((Step("/", (9, 4), 2),), "step 1 does not hold"),
        ((Step("/", (9, 0), 9),), "step 1 does not hold"),
    ):
        assert re.search(said, "\n".join(defects(sound._replace(steps=steps))))


@given(st.integers(0, 10**6))
def test_the_parts_of_a_number_are_written_in_it(number: int) -> None:
    assert {number, *(int(digit) for digit in str(number))} <= parts(number) | {0}
    assert all(str(part).rstrip("0") in str(number) for part in parts(number))


@given(st.integers(0, 999), st.integers(0, 999))
def test_only_exact_quotients_are_executed(a: int, b: int) -> None:
    assert execute("/", a, b) == (a // b if b and not a % b else None)


# Splits


@settings(max_examples=examples(8))
@given(seeds)
def test_no_split_asks_what_another_asks(seed: int) -> None:
    asked = {}
    for split, number in zip(synthetic.STORY_SPLITS, (300, 50, 50, 100), strict=True):
        made = [making.lesson(seed, split, index, EVEN) for index in range(number)]
        asked[split] = {one.cluster for lesson in made for one in lesson.asked if split_of_asked(one) != TAUGHT}
    assert min(map(len, asked.values())) > 30
    assert sum(map(len, asked.values())) == len(set().union(*asked.values()))


def test_lessons_that_train_state_nothing_that_the_probes_ask() -> None:
    rows = arithmetic.TASK.read_rows(Recipe())
    # The questions are those that were asked before lessons existed.
    assert sha256_json(rows) == "7f85d6c6f408f01189d39280afe610f5f2b567dfd5de47c05b61e3a2fed40811"
    asked = {
        re.sub(r"\D", " ", row["id"]).strip().replace(" ", row["id"][2])
        for row in rows
        if row["group"] not in (arithmetic.TABLE, arithmetic.TABLE_20)
    }
    assert len(asked) == len(rows) - 400
    assert {"*", "+", "-"} == {re.sub(r"\d", "", one) for one in asked}
    stated = Counter()
    for split, number in (("train", 2500), (synthetic.PROMPTS, 300)):
        for index in range(number):
            for sign, operands, _ in making.lesson(0, split, index, EVEN).steps:
                if len(operands) == 2:
                    a, b = operands
                    stated[f"{a}{sign}{b}"] += 1
                    stated[f"{b}{sign}{a}" if sign in "*+" else ""] += 1
    assert len(stated) > 3000
    assert asked.isdisjoint(stated)
    # Others of these kinds are stated, often.
    assert sum(1 for one in stated if re.fullmatch(r"\d\d\*\d\d", one)) > 150
    assert sum(1 for one in stated if re.fullmatch(r"\d\d-\d\d", one)) > 150


@given(st.integers(2, 99), st.integers(10, 99))
def test_sums_and_products_have_the_split_of_the_other_generator(a: int, b: int) -> None:
    for asked, other in (
        (sum_asked(a, b), synthetic.split_of_sum(a, b)),
        (product_asked(a, b), synthetic.split_of_product(a, b)),
    ):
        split = split_of_asked(asked)
        assert split in (other, PROBED) or (split, other) == (synthetic.PROMPTS, "train")
    undone = {split_of_asked(quotient_asked(a * b, a)), split_of_asked(quotient_asked(a * b, b))}
    assert undone == {split_of_asked(product_asked(a, b))}
    assert split_of_asked(difference_asked(a + b, b)) in (split_of_asked(sum_asked(a, b)), PROBED)


@pytest.mark.parametrize("zeros", [1, 10])
def test_a_held_out_product_is_stated_in_no_place_and_in_no_order(zeros: int) -> None:
    a, b = next((a, b) for a in range(11, 100) for b in range(3, 10) if synthetic.split_of_product(a, b) == "test")
    product = a * b * zeros
    for step in (Step("*", (a, b * zeros), product), Step("*", (b * zeros, a), product), Step("/", (product, b), 0)):
        one = step if step.sign == "*" else step._replace(result=a * zeros)
        assert not belongs("train", (), (one,))
        assert belongs("test", (), (one,))
    assert belongs("train", (), (Step("*", (6, 9), 54), Step("+", (7, 95), 102)))


def test_a_lesson_does_not_depend_on_those_before_it_nor_on_the_workers() -> None:
    alone = [making.lesson(7, "train", index).text for index in range(60)]
    assert [text for _, text in making.documents(60, 7, "train")] == alone
    shared = [found for rank in range(3) for found in making.documents(60, 7, "train", None, rank, 3)]
    assert [text for _, text in sorted(shared)] == alone
    assert alone != [making.lesson(8, "train", index).text for index in range(60)]
    assert alone != [making.lesson(7, "prompts", index).text for index in range(60)]
    assert len(set(alone)) > 50


# Kinds


def test_every_notation_that_interventions_know_is_written_as_they_read_it() -> None:
    texts = "\n\n".join(lesson.text for lesson in lessons_of("statements", 400))
    table = load_intervention(ROOT / "recipes/interventions/mul_tokens.yaml")
    for operation, operators in OPERATORS.items():
        text = f"{{a}}{operation}{{b}}={{c}}"
        facts = replace(table.facts, operation=operation, token="<FACT_{a}_{b}_{c}>", text=text)
        rules = replace(table.rules, mode="strict", operators=tuple(operators), words=True)
        found = rewriter_of(replace(table, facts=facts, rules=rules)).rewrite(texts).edits
        signs = Counter(re.split(r"[\d ]+|=", edit.source)[1] or edit.source.split()[1] for edit in found)
        words = {"times", "multiplied"} if operation == "*" else {"plus"}
        for sign in (*operators, *words):
            assert signs[sign] >= 10, (sign, signs)


def test_chinese_is_written_as_interventions_read_it_and_only_if_asked_for() -> None:
    table = load_intervention(ROOT / "recipes/interventions/mul_tokens.yaml")
    chinese = rewriter_of(replace(table, rules=replace(table.rules, chinese=True)))
    for lesson in lessons_of("chinese", 100):
        products = [one for one in lesson.steps if one.sign == "*"]
        found = chinese.rewrite(lesson.text).edits
        assert len(found) == len(products) * (3 if lesson.group == "fact" else 1), lesson.text
    assert [rhyme(a, b) for a, b in ((6, 9), (3, 2), (2, 5), (4, 3))] == [
        "六九五十四",
        "二三得六",
        "二五一十",
        "三四十二",
    ]
    made = [making.lesson(0, "train", index) for index in range(600)]
    assert {lesson.kind for lesson in made} == {kind for kind in LESSON_KINDS if kind != "chinese"}
    assert all(
        lesson.text.replace("×", "").replace("÷", "").replace("·", "").replace("＋", "").isascii() for lesson in made
    )


def test_kinds_come_in_their_shares() -> None:
    shares = {"problems": 3.0, "drills": 1.0, "chinese": 0.0}
    found = Counter(making.lesson(0, "train", index, shares).kind for index in range(2000))
    assert set(found) == {"problems", "drills"}
    assert abs(found["problems"] / 2000 - 0.75) < 4 * math.sqrt(0.75 * 0.25 / 2000)
    assert set(making.KINDS) == set(LESSON_KINDS)


@given(st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=1, max_size=5).filter(any), seeds)
def test_nothing_without_weight_is_drawn(weights: list[float], seed: int) -> None:
    draw = Draw(seed, "train", 0)
    assert weights[draw.weighted(Weighted(*enumerate(weights)))] > 0


METHODS = {
    "multiplication": {"partial products", "grid", "column", "near number", "doubling"},
    "addition": {"carry", "by place", "near number"},
    "subtraction": {"borrow", "by place", "near number", "counting up"},
    "division": {"table", "partial quotients", "inverse", "long division", "remainder"},
}


@pytest.mark.parametrize("kind", METHODS)
def test_arithmetic_is_worked_by_every_method_with_numbers_of_every_length(kind: str) -> None:
    made = lessons_of(kind, 400)
    assert {lesson.group for lesson in made} == METHODS[kind]
    assert {len(str(lesson.given[0])) for lesson in made} >= {2, 3}


# Zeros in the middle, where a borrow goes over several places, are rare in any choice of numbers.
with_zeros = st.one_of(st.integers(10, 9999), st.sampled_from([100, 200, 1000, 1003, 2000, 5002, 7010, 9000]))


@settings(max_examples=examples(200))
@given(with_zeros, st.integers(10, 9999))
def test_carries_and_borrows_are_those_of_the_digits(one: int, other: int) -> None:
    a, b = max(one, other), min(one, other)
    places = [10**place for place in range(1, len(str(a)))]
    for work, sign, result, lent in (
        (columns.add_with_carries, "+", a + b, [a % place + b % place >= place for place in places]),
        (columns.subtract_with_borrows, "-", a - b, [a % place < b % place for place in places]),
    ):
        worked = work(a, b)
        assert (worked is not None) == any(lent)
        if worked is None:
            continue
        lines = worked.write(COMPACT)
        written = [int(digit) for line in lines for digit in re.findall(r"Write (\d+)", line)]
        assert int("".join(map(str, reversed(written)))) == result
        assert len(re.findall("carry 1|1 was lent|lends 1", "\n".join(lines))) == sum(lent)
        assert worked.steps[-1] == Step(sign, (a, b), result)
        given_numbers = (a, b, *worked.given)
        lesson = Lesson("addition", "", (), given_numbers, worked.steps, result, "", "\n".join(lines), "")
        assert list(defects(lesson)) == []


# In recipes


def source(**settings: object) -> Source:
    return Source(**{"name": "mine", "kind": "synthetic", "what": "lessons", "max_items": 200, **settings})


def test_documents_and_examples_of_a_source_are_lessons_of_its_kinds() -> None:
    documents = list(read_documents(source(), 3, 0.1, 0, 1))
    assert [text for _, text, _ in documents[:180]] == [making.lesson(3, "train", index).text for index in range(180)]
    assert [held for _, _, held in documents] == [False] * 180 + [True] * 20
    workers = [document for rank in range(2) for document in read_documents(source(), 3, 0.1, rank, 2)]
    assert sorted(workers) == sorted(documents)
    problems = source(kinds={"problems": 1.0})
    for split in synthetic.STORY_SPLITS:
        found = read_examples(problems, 0, split, "use")
        assert len(found) == 200
        assert {example.group for example in found} <= {"one step", "two steps", "three steps", "four steps"}
        assert {split_of_asked(asked_of(example.cluster)) for example in found} == {split}
    assert read_examples(problems, 0, "train", "use") != read_examples(problems, 0, "train", "other use")
    assert "kinds" not in describe(source())
    assert describe(problems)["kinds"] == {"problems": 1.0}


def asked_of(cluster: str) -> Asked:
    template, _, numbers = cluster.partition(":")
    return Asked(template, tuple(map(int, numbers.split(","))))


def test_items_of_a_test_set_are_distinct_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    few = source(kinds={"drills": 1.0}, max_items=300)
    clusters = [row["cluster"] for row in read_rows(few, 0, "test")]
    assert len(set(clusters)) == len(clusters) == 300
    monkeypatch.setattr(making, "_PATIENCE", 2)
    with pytest.raises(RecipeError, match=r"source mine: max_items: the generator found [\d,]+ different questions"):
        read_rows(replace(few, max_items=100_000), 0, "test")


def test_kinds_that_ask_nothing_are_no_questions() -> None:
    with pytest.raises(
        RecipeError, match="source mine: kinds: statements, chinese ask no questions; expected some of"
    ):
        check_distinct(source(kinds={"statements": 1.0, "chinese": 1, "drills": 1.0}), "train")
    check_distinct(source(kinds={"statements": 0.0, "drills": 1.0}), "train")
    assert len(read_rows(source(), 0, "train")) == 200


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kinds": {"poems": 1.0}}, "kinds: expected some of statements, .*, got 'poems'"),
        ({"kinds": {"drills": -1.0}}, "kinds.drills: expected a share of at least 0, got -1"),
        ({"kinds": {"drills": math.nan}}, "kinds.drills: expected a share of at least 0, got nan"),
        ({"kinds": {"drills": math.inf}}, "kinds.drills: expected a share of at least 0, got inf"),
        ({"kinds": {"drills": 0.0}}, "kinds: expected a share above 0 for at least one kind"),
        ({"kinds": {}}, "kinds: expected a share above 0 for at least one kind"),
        (
            {"what": "text", "kinds": {"drills": 1.0}},
            "kinds: only lessons have kinds; expected what: lessons, got 'text'",
        ),
        (
            {"kind": "file", "path": "a.txt", "kinds": {"drills": 1.0}},
            "kinds: only a source of kind synthetic has one",
        ),
    ],
)
def test_kinds_that_cannot_be_are_refused(settings: dict[str, object], said: str) -> None:
    refused = source(**settings)
    with pytest.raises(RecipeError, match=f"^here.mine.{said}"):
        check_sources("here", [refused])
    check_sources("here", [source(kinds={"drills": 2, "chinese": 0.5})])


def test_a_recipe_names_kinds_and_their_shares_in_every_place_of_data(tmp_path: Path) -> None:
    lessons = "{name: mine, kind: synthetic, what: lessons, kinds: {problems: 3, drills: 1}, max_items: 50}"
    overlay = tmp_path / "lessons.yaml"
    overlay.write_text(
        f"corpus: {{sources: [{lessons}]}}\nsft_stages: [{{name: all, sources: [{lessons}]}}]\n"
        f"grpo_prompts: [{lessons}]\nevaluation: {{data: {{gsm8k: {lessons}}}}}\n"
    )
    recipe = load_recipe(["recipes/mul_tokens.yaml", "recipes/scales/demo.yaml", str(overlay)])
    check_files(recipe)
    sources = [
        *recipe.corpus.sources,
        *recipe.sft_stages[0].sources,
        *recipe.grpo_prompts,
        recipe.evaluation.data["gsm8k"],
    ]
    assert [one.kinds for one in sources] == [{"problems": 3.0, "drills": 1.0}] * 4
    overlay.write_text(overlay.read_text().replace("drills", "poems"))
    with pytest.raises(RecipeError, match="got 'poems'"):
        load_recipe(["recipes/mul_tokens.yaml", "recipes/scales/demo.yaml", str(overlay)])


# What the documentation says


def test_a_small_corpus_has_as_many_tokens_and_facts_as_the_page_says(tokenizers) -> None:
    rows = []
    for name, kinds in [("lessons`, default shares", None), *((f"{kind}`", {kind: 1.0}) for kind in LESSON_KINDS)]:
        small = source(max_items=100 if kinds else 400, kinds=kinds)
        texts = [text for _, text, _ in read_documents(small, 0, 0.0, 0, 1)]
        ids = {condition: tokenizer(texts)["input_ids"] for condition, tokenizer in tokenizers.items()}
        tokens = [sum(len(one) + 1 for one in ids[condition]) for condition in ("baseline", "mul_tokens")]
        assert max(max(one) for one in ids["baseline"]) < FIRST_FACT_ID
        facts = sum(number >= FIRST_FACT_ID for one in ids["mul_tokens"] for number in one)
        rows.append(f"| `{name} | {tokens[0]:,} | {tokens[1]:,} | {facts:,} |")
    assert "\n".join(rows) in PAGE.read_text(encoding="utf-8")


def test_the_examples_on_the_page_are_those_that_are_made() -> None:
    """After a change: `make show-generated`, and read them."""
    section = gallery.section()
    assert section.count("<details>") == len(gallery.kinds()) == 9 + len(LESSON_KINDS)
    assert section.count("\n[10]\n") == len(gallery.kinds())
    assert section in EXAMPLES.read_text(encoding="utf-8")


def test_a_page_without_a_place_for_the_examples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such page; run the command in the project's folder"):
        gallery.update_page(tmp_path / "none.md")
    page = tmp_path / "page.md"
    page.write_text("Nothing here.")
    with pytest.raises(RecipeError, match="expected the lines '<!-- generated examples -->'"):
        gallery.update_page(page)
    page.write_text("Before.\n<!-- generated examples -->\nold\n<!-- end of generated examples -->\nAfter.")
    gallery.update_page(page)
    assert page.read_text() == f"Before.\n{gallery.section()}\nAfter."
