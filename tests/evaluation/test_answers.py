"""The one definition of a right answer; test_scorers.py has the table of it and other scorers."""

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction

import pytest
from answers import OWN, read
from hypothesis import given
from hypothesis import strategies as st

from domain_tokens.evaluation.answers import answer
from domain_tokens.evaluation.answers.answer import AnswerReader, expand_tokens, is_correct
from domain_tokens.evaluation.answers.extraction import extract_answer, read_number
from domain_tokens.tokenization.edits import Edit, Rewriting
from domain_tokens.tokenization.facts import FACTS
from domain_tokens.tokenization.intervention import Facts, Intervention, Rules
from domain_tokens.tokenization.rewriter import expand


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#### 72\nso\n#### 72.0", Fraction(72)),
        ("#### 72 #### 72", Fraction(72)),
        ("#### 72\n####", None),
        ("#### 72\nUser: and now?\nAssistant: #### 5", Fraction(72)),
        ("#### -$1,234.50 in all", Fraction(-2469, 2)),
        ("#### $ 5", Fraction(5)),
        ("#### --5", None),
        ("#### 10²", None),
        ("#### 1½", Fraction(3, 2)),
        ("#### 72 m²", Fraction(72)),
        ("#### 5 million", None),
        ("#### 72 = 8*9", None),
        ("#### 1/0", None),
        ("#### 1.5/2", None),
        ("#### 1.5e-1", Fraction(3, 20)),
        ("#### 1e999999999", None),
        ("#### 1e999", None),
        ("#### " + "9" * 5000, None),
        ("#### 1 2345", None),
        ("#### 1,234,56", None),
        ("##### 72", None),
    ],
)
def test_extracted_number(text: str, expected: Fraction | None) -> None:
    assert extract_answer(text) == read(text).number == expected


@pytest.mark.parametrize("fact", FACTS, ids=str)
def test_a_token_counts_as_the_text_it_stands_for(fact) -> None:
    for frame in ("#### {}", "{}\n#### 72", "#### 72\n{}", "#### 72 {}"):
        written, stated = frame.format(fact.token), frame.format(fact.text)
        assert read(written).text == stated
        assert read(written).number == read(stated).number
    assert not is_correct(read(f"#### {fact.token}"), str(fact.product))


class _Written:
    """As much of a lighteval document and response as one answer takes."""

    def __init__(self, *texts: str) -> None:
        self.choices = ["54"]
        self.specific = {"id": "0", "group": None, "question": "What is 6 times 9?", "gold": "54", "steps": "6*9=54"}
        self.specific["cluster"] = "product:6,9"
        self.text, self.final_text, self.output_tokens = list(texts), list(texts), [[50304, 50256]]


def test_an_answer_is_expanded_once(tokenizers, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the metric, every scorer, the equations and the error type together; and by all rewards of a batch."""
    from domain_tokens.evaluation.tasks import load_task  # lighteval: 2 s that the other tests here do without
    from domain_tokens.evaluation.tasks._base import Reader
    from domain_tokens.recipe import Rewards
    from domain_tokens.recipe.schema import Evaluation
    from domain_tokens.tokenization.facts import GPT2_IDS
    from domain_tokens.training.reinforcement.rewards import reward_functions

    expanded: Counter[str] = Counter()

    def count(written: str, texts: Mapping[str, str]) -> tuple[str, tuple[Edit, ...]]:
        expanded[written] += 1
        return expand_tokens(written, texts)

    monkeypatch.setattr(answer, "expand_tokens", count)
    task, answers = load_task("gsm8k"), AnswerReader(OWN, OWN)
    (metric,) = task.config(Evaluation(), answers).metrics
    written = _Written("<MUL_6_9_54>\n#### 54", "6*9=54\n#### 54", "#### 5")
    correct = metric.sample_level_fn.compute(written, written)
    item = task.item(written.specific, written, {"accuracy": correct}, Reader(tokenizers["mul_tokens"], answers))
    assert (item.error_type, item.num_right, len(item.equations)) == ("right", 2, 1)
    assert (item.cluster, item.template) == ("product:6,9", "product")
    functions, _ = reward_functions(Rewards(*[1.0] * 8, bonus="parity"), answers, GPT2_IDS)
    completions = [[{"content": text}] for text in (*written.text, "<MUL_6_9_54>")]
    prompts = [[{"content": "6 rows of 9"}]] * 4
    columns = {"prompts": prompts, "completions": completions, "gold": ["54"] * 4, "completion_ids": [[1]] * 4}
    earned = [function(**columns) for function in functions]
    assert len(earned) == 9
    assert expanded == dict.fromkeys([*written.text, "<MUL_6_9_54>"], 1)


def test_tokens_of_the_model_of_the_experiment_and_of_the_table_are_expanded() -> None:
    bare = Intervention("bare", facts=Facts(token="<MUL_{a}_{b}>", text="{a}*{b}"))
    sums = Intervention(
        "sums", facts=Facts("+", token="<ADD_{a}_{b}_{c}>", text="{a}+{b}={c}"), rules=Rules(operators=("+",))
    )
    made = read("<MUL_6_9> <MUL_6_9_54> <ADD_3_4_7> <MUL_6_9_55>", bare, sums)
    assert made.text == "6*9 6*9=54 3+4=7 <MUL_6_9_55>"
    assert [made.text[start:end] for start, end in made.facts] == ["6*9"]
    assert [edit.source for edit in made.edits] == ["<MUL_6_9>", "<MUL_6_9_54>", "<ADD_3_4_7>"]
    assert Rewriting(made.text, made.edits).restore() == made.written


PIECES = st.sampled_from(
    ["####", " ", "\n", "7", "72", ",", ".", "-", "−", "/", "e", "$", "%", "Question:", "<MUL_8_9_72>", "²"]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join)))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert read(text).text == expand(text)
    assert read(text).number == extract_answer(expand(text))
    number = read_number(text)
    assert is_correct(read(text), text) == (number is not None and number == read(text).number)


@given(st.integers(-(10**12), 10**12))
def test_every_whole_number_is_found_however_it_is_written(number: int) -> None:
    for written in (f"{number}", f"{number:,}", f"{number:,}".replace(",", " "), f"{number}.00", f"${number}"):
        assert is_correct(read(f"6*9=54\n#### {written}"), str(number))
        assert not is_correct(read(f"6*9=54\n#### {written}"), str(number + 1))


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("#### " + "1" * 10**6, None), ("#### 1" + ",000" * 10**5, None), ("#### 1\n" * 10**5, 1),
        ("#### " + " " * 10**6 + "1", 1), ("#" * 10**6, None), ("#### 1" + " one" * 10**5, None),
        ("#### " + r"\frac{1}" * 10**5, None), ("#### 1 " + "a" * 1900, 1),
    ],
    ids=["digits", "groups", "answers", "spaces", "marks", "words", "fractions", "letters"],
)  # fmt: skip
def test_a_megabyte_is_read_in_time(text: str, number: int | None) -> None:
    assert read(text).number == number
