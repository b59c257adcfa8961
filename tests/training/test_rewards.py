"""Rewards on literal cases: what earns what, and that tokens and digits earn the same."""

import itertools
import json

import pytest
from answers import read, reader
from hypothesis import given
from hypothesis import strategies as st

from domain_tokens.corpora.sources import strip_annotations
from domain_tokens.evaluation.answers.answer import is_correct
from domain_tokens.recipe import Rewards
from domain_tokens.tokenization.facts import GPT2_IDS
from domain_tokens.training import rewards
from domain_tokens.training.rewards import (
    brevity,
    exact_match,
    partial_credit,
    repetition,
    reward_functions,
    shows_steps,
)

ALL = (exact_match, partial_credit, shows_steps, brevity, repetition)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("6*9=54\n#### 54", 1), ("#### 54", 1), ("#### 55", 0), ("54", 0), ("", 0), ("#### <MUL_6_9_54>", 0)],
)
def test_exact_match(text: str, expected: float) -> None:
    assert exact_match(read(text), "54") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("#### 54", 1.0), ("#### 55", 0.25), ("it is 54", 0.25), ("54, so #### 55", 0.5), ("9 x 6", 0.25),
     ("nothing", 0.0), ("154", 0.0), ("<MUL_6_9_54>", 0.25), ("5.54", 0.0)],
)  # fmt: skip
def test_partial_credit(text: str, expected: float) -> None:
    assert partial_credit(read(text), "54") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("6*9=54", 1.0), ("6*9=55", 0.0), ("6*9=54\n54+1=56", 0.5), ("<MUL_6_9_54>\n54+1=55", 1.0), ("54", 0.0),
     ("8/2 = 4", 1.0), ("5+3+2=10", 1.0), ("20 / 8 = $2.50", 1.0), ("10/3=3.33", 1.0),
     ("8/0=4", 0.0), ("7/2=2", 0.0), ("7/2=3", 1.0), ("9-12=3", 0.0), ("6 x 9 = 54", 1.0), ("1.6*9=54", 0.0)],
)  # fmt: skip
def test_shows_steps(text: str, expected: float) -> None:
    assert shows_steps(read(text), "54") == expected


def test_brevity_falls_with_characters() -> None:
    assert brevity(read("a" * 300), "1") == 1.0
    assert brevity(read("a" * 600), "1") == pytest.approx(0.5)
    assert brevity(read("a" * 2000), "1") == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a b c d e", 0.0), ("a b c", 0.0), ("", 0.0), ("a a a a a", -0.5), ("a b c d a b c d", -0.2)],
)
def test_repetition(text: str, expected: float) -> None:
    assert repetition(read(text), "1") == pytest.approx(expected)


pieces = st.lists(
    st.sampled_from(
        ["6*9=54", "9 x 6", "2*3", "3 × 4 = 12", "6*9+5=59", "#### 54", "\n", " ", "54", "+1", "=55", "so"]
    ),
    max_size=12,
)


@given(pieces.map("".join))
def test_an_answer_earns_the_same_written_with_tokens_and_with_digits(tokenizer, text: str) -> None:
    with_tokens = tokenizer.decode(tokenizer.encode(text))
    for reward in ALL:
        assert reward(read(with_tokens), "54") == reward(read(text), "54"), (reward.__name__, with_tokens)


@pytest.fixture(scope="module")
def tokenizer(tokenizers):
    return tokenizers["mul_tokens"]


def test_gold_answers_earn_the_same_written_with_tokens_and_with_digits(shared_data, tokenizers) -> None:
    with (shared_data / "gsm8k" / "train.jsonl").open() as lines:
        answers = [strip_annotations(json.loads(line)["answer"]) for line in itertools.islice(lines, 1500)]
    tokenizer = tokenizers["mul_tokens"]
    rewritten = [tokenizer.decode(tokenizer.encode(answer)) for answer in answers]
    assert sum(one != two for one, two in zip(answers, rewritten, strict=True)) > 100
    for one, two in zip(answers, rewritten, strict=True):
        gold = one.rpartition("####")[2].strip()
        for reward in ALL:
            assert reward(read(one), gold) == reward(read(two), gold), (reward.__name__, two)


@given(st.text(max_size=300), st.integers(-100, 100))
def test_rewards_are_bounded_for_any_text(text: str, gold: int) -> None:
    for reward in ALL:
        assert -1.0 <= reward(read(text), str(gold)) <= 1.0


def test_rewards_and_evaluation_share_the_definition_of_right() -> None:
    assert rewards.is_correct is is_correct


def test_trl_gets_the_weighted_functions_and_a_count_of_facts() -> None:
    functions, weights = reward_functions(
        Rewards(exact_match=1.0, shows_steps=0.1, repetition=0.0), reader(), GPT2_IDS
    )
    assert [function.__name__ for function in functions] == ["exact_match", "shows_steps", "facts_per_completion"]
    assert weights == [1.0, 0.1, 0.0]
    completions = [[{"role": "assistant", "content": text}] for text in ("#### 5", "#### 6")]
    columns = {"completions": completions, "gold": ["5", "5"], "completion_ids": [[50304, 7], [7]], "prompts": []}
    assert [function(**columns) for function in functions] == [[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]
