"""Published scorers of GSM8K beside ours: the same cells as theirs, and the same for a token as for its text."""

import json
import random
import time
from pathlib import Path

import pytest
from answers import read
from hypothesis import given
from hypothesis import strategies as st
from real_data import Data

from domain_tokens.evaluation.answers.answer import is_correct
from domain_tokens.evaluation.answers.scorers import SCORES, lm_eval_flexible, lm_eval_strict, original, score
from domain_tokens.tokenization.facts import FACTS
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.tokenization.rewriter import expand

NINES = "9" * 400
# What a model wrote, the right number, and which scorers take it: ours, the original one, and those of
# lm-evaluation-harness 0.4.13, strict and flexible. The last three cells are what those programs themselves answered.
TABLE = [
    ("#### 72", "72", "1111"),
    ("#### 72.", "72", "1011"),
    ("#### 72.0", "72", "1000"),
    ("#### 72.00", "72", "1000"),
    ("#### $72", "72", "1001"),
    ("#### 72 dollars", "72", "1111"),
    ("####72", "72", "1001"),
    ("####  72", "72", "1001"),
    ("#### 1,234", "1234", "1111"),
    ("#### 1 234", "1234", "1000"),
    ("#### 1.234,50", "1234.5", "0000"),
    ("#### -5", "-5", "1111"),
    ("#### −5", "-5", "1000"),
    ("#### - 5", "-5", "1000"),
    ("#### +5", "5", "1001"),
    ("#### 5", "-5", "0000"),
    ("#### 0.5", "0.5", "1111"),
    ("#### .5", "0.5", "1000"),
    ("#### 1/2", "0.5", "1000"),
    ("#### 3/4 cups", "0.75", "1000"),
    ("#### 50%", "50", "1111"),
    ("#### 50 %", "50", "1111"),
    ("#### 0.5", "50", "0000"),
    ("#### 1e3", "1000", "1000"),
    ("#### 72\n#### 73", "73", "0001"),
    ("#### 72\n#### 73", "72", "0110"),
    ("#### 72\nQuestion: how many?\n#### 5", "72", "1110"),
    ("The answer is 72.", "72", "0001"),
    (r"The answer is \boxed{72}.", "72", "0001"),
    ("48+24 = <<48+24=72>>72 clips", "72", "0001"),
    ("48+24 = <<48+24=72", "72", "0001"),
    ("#### ", "72", "0000"),
    ("", "72", "0000"),
    ("#### seventy-two", "72", "0000"),
    ("#### 072", "72", "1000"),
    ("#### 7 2", "72", "0000"),
    ("#### ７２", "72", "1000"),
    ("#### ٧٢", "72", "0000"),
    ("#### 72abc", "72", "0111"),
    ("#### 72<|endoftext|>garbage 9", "72", "1110"),
    ("#### 1,2,3,4", "1234", "0111"),
    ("#### 12.34.56", "12.34", "0000"),
    ("#### ...", "0", "0000"),
    ("#### inf", "inf", "0000"),
    ("#### nan", "nan", "0000"),
    (f"#### {NINES}", NINES, "1111"),
    ("#### 100000000000000000001", "100000000000000000000", "0000"),
    ("#### 72\u00a0", "72", "1111"),
    ("#### 2:30", "2", "0110"),
    ("#### 10^3", "1000", "0000"),
    ("#### <MUL_8_9_72>", "72", "0001"),
    ("8 * 9 = <MUL_8_9_72>72\n#### 72", "72", "1111"),
    ("#### x = 72", "72", "0001"),
    ("#### 72 or 73", "72", "0110"),
    ("**#### 72**", "72", "1111"),
]
INTERVENTIONS = Path(__file__).parents[2] / "recipes" / "interventions"


@pytest.mark.parametrize(("text", "gold", "expected"), TABLE, ids=range(1, len(TABLE) + 1))
def test_table(text: str, gold: str, expected: str) -> None:
    published = [scorer(text, gold) for scorer in (original, lm_eval_strict, lm_eval_flexible)]
    found = [is_correct(read(text), gold), *published]
    assert "".join(str(int(right)) for right in found) == expected


def test_the_table_is_whole() -> None:
    assert len(TABLE) == 55


@pytest.mark.parametrize(
    ("text", "gold", "expected"),
    [
        ("#### 1,234.", "1,234", "1011"),
        ("#### $72.", "$72", "1001"),
        ("so 72$", "72", "0001"),
        ("#### 72..", "72.", "1000"),
        ("#### 72", "[invalid]", "0000"),
        ("nothing", "[invalid]", "0000"),
        ("a 5-3", "-3", "0001"),
    ],
)
def test_odd_golds_and_numbers(text: str, gold: str, expected: str) -> None:
    assert list(score(read(text), gold)) == list(SCORES)
    assert "".join(str(int(right)) for right in score(read(text), gold).values()) == expected


def test_a_fact_is_text_before_it_is_scored() -> None:
    # In the token's name the harness would find 72; in its text, 8*9=72, the original scorer finds 8.
    assert score(read("#### <MUL_8_9_72>"), "8")["correct_original"]
    assert not score(read("#### <MUL_8_9_72>"), "MUL")["correct_original"]
    bare = load_intervention(INTERVENTIONS / "mul_bare.yaml")
    assert score(read("#### <MUL_8_9>", bare), "9") == score(read("#### 8*9"), "9")
    none = load_intervention(INTERVENTIONS / "none.yaml")
    assert score(read("#### <MUL_8_9_72>", none), "72")["correct_flexible"]


PIECES = [
    "####",
    "#### ",
    " ",
    "\n",
    "7",
    "72",
    "-",
    ".",
    ",",
    "$",
    "<<",
    ">>",
    "=",
    "Question:",
    "<|endoftext|>",
    "x",
]


@given(
    st.lists(st.one_of(st.sampled_from(FACTS), st.sampled_from(PIECES), st.text(max_size=3)), max_size=20),
    st.sampled_from(["72", "7", "54", "-5", "1,234"]),
)
def test_a_token_and_its_text_score_the_same(pieces: list, gold: str) -> None:
    tokens = "".join(piece if isinstance(piece, str) else piece.token for piece in pieces)
    digits = "".join(piece if isinstance(piece, str) else piece.text for piece in pieces)
    assert score(read(tokens), gold) == score(read(digits), gold)
    assert score(read(expand(tokens)), gold) == score(read(digits), gold)


def test_every_gsm8k_gold_is_right_for_every_scorer(data: Data) -> None:
    for name, size in (("test", 20), ("train", 36)) if data.is_own else (("test", 1319), ("train", 7473)):
        lines = (data.folder / "gsm8k" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        answers = [json.loads(line)["answer"] for line in lines]
        assert len(answers) == size
        for answer in answers:
            assert score(read(answer), answer.split("#### ")[1]) == dict.fromkeys(SCORES, True)


def test_fuzzed_answers_are_scored_in_time() -> None:
    rng = random.Random(0)
    alphabet = [*PIECES, *(fact.token for fact in FACTS), "٧", "−", "²", "\u202e", "e9", "1" * 50, " " * 50, "(", "\\"]
    seconds = []
    for _ in range(3000):
        text = "".join(rng.choice(alphabet) for _ in range(rng.randrange(60)))
        start = time.process_time()
        assert set(score(read(text), rng.choice(["72", "1,234", "-5"])).values()) <= {True, False}
        seconds.append(time.process_time() - start)
    assert sorted(seconds)[int(len(seconds) * 0.99)] < 0.01


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["1", "#### 1", "#", "1,", "$", "-", "<MUL_8_9_72>", "#### ", "\n"])
def test_a_megabyte_is_scored_in_time(piece: str) -> None:
    text = piece * (10**6 // len(piece))
    assert set(score(read(text), "5").values()) == {False}
