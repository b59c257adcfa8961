"""Rewards on literal cases: what earns what, and that equal text earns the same in tokens and in digits."""

import itertools
import json
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from answers import OWN, read, reader
from hypothesis import given
from hypothesis import strategies as st
from real_data import Data

from domain_tokens.corpora.sources import without_annotations
from domain_tokens.corpora.synthetic import drills, problems
from domain_tokens.evaluation.answers.answer import Answer, is_correct
from domain_tokens.evaluation.equations import read_equations
from domain_tokens.recipe import RecipeError, Rewards, load_recipe
from domain_tokens.tokenization.facts import FACTS, GPT2_IDS
from domain_tokens.tokenization.intervention import Intervention, load_intervention
from domain_tokens.tokenization.rewriter import inject
from domain_tokens.training.reinforcement import rewards
from domain_tokens.training.reinforcement.rewards import (
    BONUSES,
    FUNCTIONS,
    answer_format,
    brevity,
    exact_match,
    fact_parity_bonus,
    fact_token_bonus,
    near_number,
    partial_credit,
    repetition,
    reward_functions,
    shows_steps,
)

ALL = (*FUNCTIONS.values(), fact_parity_bonus)
"""Every reward but `fact_token_bonus`, which no recipe uses that does not say `bonus: mul_only`."""
INTERVENTIONS = Path(__file__).parents[2] / "recipes" / "interventions"
NONE, BARE, TABLE_81, SPACED = (
    load_intervention(INTERVENTIONS / f"{name}.yaml") for name in ("none", "mul_bare", "mul_81", "mul_tokens_space")
)
QUESTION = "Six rows of 9 pens, 20% of 50, 8 pens for 2 boys, and 10, 5, 3, 7, 12 and 1.6; how many pens and 1 more?"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("6*9=54\n#### 54", 1), ("#### 54", 1), ("#### 55", 0), ("54", 0), ("", 0), ("#### <MUL_6_9_54>", 0)],
)
def test_exact_match(text: str, expected: float) -> None:
    assert exact_match(read(text), "54", QUESTION) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("#### 54", 1.0), ("#### 55", 0.25), ("it is 54", 0.25), ("54, so #### 55", 0.5), ("9 x 6", 0.0),
     ("9 x 6 = 54", 0.25), ("nothing", 0.0), ("154", 0.0), ("<MUL_6_9_54>", 0.25), ("5.54", 0.0), ("–54", 0.0),
     ("€54 #### 5", 0.5), ("５４", 0.25), ("54,000", 0.0)],
)  # fmt: skip
def test_partial_credit(text: str, expected: float) -> None:
    assert partial_credit(read(text), "54", QUESTION) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("6*9=54 #### 54", 1.0), ("6*9=55 #### 55", 0.0), ("6*9=54\n54+1=56", 0.5), ("54 #### 54", 0.0),
     ("<MUL_6_9_54>\n54+1=55\n#### 55", 1.0), ("8/2 = 4 #### 4", 1.0), ("5+3+2=10 #### 10", 1.0),
     ("20 / 8 = $2.50 #### 2.5", 1.0), ("10/3=3.33 #### 3.33", 1.0), ("8/0=4 #### 4", 0.0), ("7/2=2 #### 2", 0.0),
     ("7/2=3 #### 3", 1.0), ("9-12=3 #### 3", 0.0), ("6 x 9 = 54 #### 54", 1.0), ("1.6*9=54 #### 54", 0.0),
     ("6*9 #### 54", 0.0), ("6*9\n54+1=55 #### 55", 1.0), ("20%*50=10 #### 10", 1.0), ("<MUL_2_4_8> #### 8", 0.0),
     ("<MUL_2_4_8>\n8+1=9\n#### 9", 0.5), ("54+1=55 #### 55", 0.0), ("6*9=54\n6*9=54\n54+1=56", 0.5),
     ("10*10=100\n100*5=500\n#### 500", 1.0), ("11*11=121\n121*5=605\n#### 605", 0.0),
     ("6*9=54", 0.0), ("6*9=54 #### 60", 0.0), ("6*9=54\n54+1=55 #### 56", 0.5), ("6*9=54\n54+1=55 #### 54", 0.5)],
)  # fmt: skip
def test_shows_steps(text: str, expected: float) -> None:
    gold = text.rpartition("#### ")[2]  # a wrong number is asked about below
    assert shows_steps(read(text), gold, QUESTION) == expected


@pytest.mark.parametrize(
    ("text", "gold", "expected"),
    [("#### 54", "54", 1.0), ("#### 53", "54", 0.5 * (1 - 5 / 54)), ("#### 55", "54", 0.5 * (1 - 5 / 54)),
     ("#### 64", "54", 0.5 * (1 - 50 / 54)), ("#### 65", "54", 0.0), ("#### -54", "54", 0.0), ("53", "54", 0.0),
     ("#### 4", "5", 0.0), ("#### 4.5", "5", 0.25), ("#### 0.1", "0", 0.25), ("#### 1", "0", 0.0), ("", "54", 0.0),
     ("#### 1e400", "54", 0.0), ("#### -95", "-100", 0.375), ("#### 0.6", "0.5", 0.25), ("#### 54", "no number", 0.0)],
)  # fmt: skip
def test_near_number(text: str, gold: str, expected: float) -> None:
    assert near_number(read(text), gold, QUESTION) == pytest.approx(expected)


@given(st.integers(-200, 200), st.integers(-200, 200), st.integers(-200, 200))
def test_a_nearer_number_never_earns_less_and_only_the_right_one_more_than_half(gold: int, one: int, two: int) -> None:
    nearer, farther = sorted((one, two), key=lambda number: abs(number - gold))
    earned = [near_number(read(f"#### {number}"), str(gold), QUESTION) for number in (nearer, farther)]
    assert earned[0] >= earned[1]
    assert [reward > 0.5 for reward in earned] == [nearer == gold, farther == gold]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("6*9=54\n#### 54", 1.0), ("#### 5", 1.0), ("#### 54 pens", 1.0), ("#### 54\nUser: and", 0.0), ("54", 0.0),
     ("#### 54\nSo it is.", 0.0), ("#### 54 #### 54", 1.0), ("#### 54 #### 55", 0.0), ("", 0.0), ("####", 0.0),
     ("#### <MUL_6_9_54>", 0.0), ("#### 6*9=54", 0.0)],
)  # fmt: skip
def test_answer_format(text: str, expected: float) -> None:
    assert answer_format(read(text), "54", QUESTION) == expected


@pytest.mark.parametrize(
    ("text", "gold", "parity", "token"),
    [("<MUL_6_9_54> #### 54", "54", 1, 1), ("6*9=54 #### 54", "54", 1, 0), ("9 x 6 = 54 #### 54", "54", 1, 0),
     ("<MUL_6_9_54>\n" * 9 + "#### 54", "54", 1, 1), ("6*9=54\n9*6=54\n#### 54", "54", 1, 0),
     ("<MUL_6_9_54>\n54+1=55 #### 55", "55", 1, 1), ("<MUL_6_9_54> #### 55", "54", 0, 0), ("#### 54", "54", 0, 0),
     ("<MUL_2_5_10>\n#### 54", "54", 0, 0), ("6*9=55\n#### 55", "55", 0, 0), ("6*9\n#### 54", "54", 0, 0),
     ("10*10=100 #### 100", "100", 0, 0), ("<MUL_6_9_54>\n<MUL_3_7_21>\n54+21=75 #### 75", "75", 2, 2),
     ("<MUL_6_9_54>\n3*7=21\n54+21=75 #### 75", "75", 2, 1),
     ("6*9=54\n3*7=21\n5*3=15\n7*6=42\n54+21+15+42=132 #### 132", "132", 3, 0),
     ("6*9=54\n3*7=21\n54+21=75 #### 75", "76", 0, 0), ("<MUL_6_9_54>\n3*7=21\n21+5=26\n54+1=55 #### 55", "55", 1, 1),
     ("6*9=54\n3*7=21\n54+21=75\n75-21=54 #### 54", "54", 1, 0), ("3*5=15\n6*9=54\n15+54=70 #### 70", "70", 0, 0),
     ("<MUL_6_9_54> + 5 = 59 #### 59", "59", 1, 1), ("5 + <MUL_6_9_54> = 59 #### 59", "59", 1, 1),
     ("2*4=8\n8*9=72\n72-54=18 #### 18", "18", 0, 0), ("2*5=10\n10+8=18 #### 18", "18", 0, 0),
     ("6*1=6 #### 6", "6", 1, 0), ("3*3*2=9*2=18 #### 18", "18", 1, 0)],
)  # fmt: skip
def test_bonuses_count_different_facts_on_the_way_to_the_right_number(
    text: str, gold: str, parity: int, token: int
) -> None:
    assert fact_parity_bonus(read(text), gold, QUESTION) == pytest.approx(parity / 3)
    assert fact_token_bonus(read(text), gold, QUESTION) == pytest.approx(token / 3)


@pytest.mark.parametrize(
    ("gold", "text"),
    [
        ("–5", "9-14 = −5"),
        ("$1,234", "it is 1234"),
        ("1234", "it is 1\u2009234 #"),
        ("2.50", "5/2 = 2.5"),
        ("€5", "so 5 €"),
    ],
)
def test_a_number_is_read_alike_in_gold_and_answer(gold: str, text: str) -> None:
    assert partial_credit(read(text), gold, QUESTION) == 0.25
    assert exact_match(read(f"{text}\n#### {gold}"), gold, QUESTION) == 1.0
    assert partial_credit(read(f"{text}0 0"), "777", QUESTION) == 0.0


def test_brevity_falls_with_characters() -> None:
    assert brevity(read("a" * 300), "1", QUESTION) == 1.0
    assert brevity(read("a" * 600), "1", QUESTION) == pytest.approx(0.5)
    assert brevity(read("a" * 2000), "1", QUESTION) == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a b c d e", 0.0), ("a b c", 0.0), ("", 0.0), ("a a a a a", -0.5), ("a b c d a b c d", -0.2)],
)
def test_repetition(text: str, expected: float) -> None:
    assert repetition(read(text), "1", QUESTION) == pytest.approx(expected)


def test_a_constant_answer_earns_no_step() -> None:
    """What an untrained model might write: one token again and again, right as an equation and wrong for the item."""
    for answer in (
        "<MUL_2_5_10>\n" * 9,
        "2*5=10\n" * 9,
        "<MUL_2_5_10> + 10 = 20\n",
        "\n".join(fact.token for fact in FACTS),
    ):
        assert any(equation.right and equation.has_result for equation in read_equations(read(answer)))
        assert shows_steps(read(answer), "21", "What is 13 times 17?") == 0.0


def test_a_token_and_its_text_earn_the_same_and_a_product_without_its_result_earns_nothing() -> None:
    asked = "3 rows of 7 pens?"
    for answer, digits, steps in (
        ("<MUL_3_7_21>\n#### 21", "3*7=21\n#### 21", 1.0),
        ("<MUL_3_7_21>\n#### 24", "3 x 7 = 21\n#### 24", 0.0),
        ("<MUL_3_7_21>", "3 × 7 = 21", 0.0),
    ):
        in_tokens, in_digits = ([reward(read(text), "21", asked) for reward in ALL] for text in (answer, digits))
        assert in_tokens == in_digits
        assert shows_steps(read(answer), "21", asked) == steps
    assert shows_steps(read("3*7=24\n#### 24"), "21", asked) == 0.0
    for written_by in (OWN, BARE):  # the token of one stands for the product alone
        unstated = read("<MUL_3_7>" if written_by is BARE else "3*7", written_by)
        assert unstated.text == "3*7"
        assert (shows_steps(unstated, "21", asked), partial_credit(unstated, "21", asked)) == (0.0, 0.0)


pieces = st.lists(
    st.sampled_from(
        ["6*9=54", "9 x 6", "2*3", "3 × 4 = 12", "6*9+5=59", "#### 54", "\n", " ", "54", "+1", "=55", "so"]
    ),
    max_size=12,
)


@given(pieces.map("".join))
def test_equal_text_earns_the_same_written_with_tokens_and_with_digits(tokenizer, text: str) -> None:
    with_tokens = read(tokenizer.decode(tokenizer.encode(text)))
    in_digits = read(with_tokens.text, NONE)  # as the baseline's answers are read
    for reward in ALL:
        assert reward(with_tokens, "54", QUESTION) == reward(in_digits, "54", QUESTION), reward.__name__


def _bare(text: str) -> Answer:
    """A text without any record of how it was written: no tokens, no reader, no condition."""
    return Answer(text, text, (), (), OWN)


def _rewards(weights: Rewards, written: list[str], written_by: Intervention, *ids: int) -> list[list[float]]:
    """Return what each function that TRL gets makes of a batch, the counter aside."""
    *functions, _ = reward_functions(weights, reader(written_by), GPT2_IDS)[0]
    columns = {
        "completions": [[{"role": "assistant", "content": text}] for text in written],
        "prompts": [[{"role": "user", "content": QUESTION}]] * len(written),
        "gold": ["54"] * len(written),
        "completion_ids": [list(ids)] * len(written),
    }
    return [function(**columns) for function in functions]


@given(st.one_of(pieces.map("".join), st.text(max_size=80)))
def test_no_reward_sees_which_condition_it_judges(tokenizer, text: str) -> None:
    """An answer earns by its text, the question and the right number: whoever wrote it, in whatever ids."""
    in_tokens = tokenizer.decode(tokenizer.encode(text))
    plain = read(in_tokens).text
    for reward in ALL:
        earned = reward(_bare(plain), "54", QUESTION)
        for written_by in (OWN, NONE, BARE, TABLE_81, SPACED):
            assert reward(read(plain, written_by), "54", QUESTION) == earned, reward.__name__
        assert reward(read(in_tokens), "54", QUESTION) == earned, reward.__name__


@given(st.lists(pieces.map("".join), min_size=1, max_size=4))
def test_nor_do_the_functions_that_trl_gets(tokenizer, texts: list[str]) -> None:
    every = Rewards(*[1.0] * 8, bonus="parity")
    in_tokens = [tokenizer.decode(tokenizer.encode(text)) for text in texts]
    in_digits = [read(text).text for text in in_tokens]
    baseline = _rewards(every, in_digits, NONE, 7, 8)
    assert len(baseline) == len(ALL)
    assert baseline == _rewards(every, in_tokens, OWN, 50304)
    assert [one[::-1] for one in baseline] == _rewards(every, in_tokens[::-1], OWN)


def test_the_bonus_for_tokens_alone_is_the_one_reward_that_tells_them_from_digits() -> None:
    one_sided = Rewards(exact_match=0.0, fact_bonus=0.5, bonus="mul_only")
    texts = ["<MUL_6_9_54> #### 54", "6*9=54 #### 54"]
    assert _rewards(one_sided, texts, OWN) == [[pytest.approx(1 / 3), 0.0]]
    assert _rewards(Rewards(exact_match=0.0, fact_bonus=0.5, bonus="parity"), texts, OWN) == [
        [pytest.approx(1 / 3)] * 2
    ]
    assert set(BONUSES.values()) - set(ALL) == {fact_token_bonus}


@pytest.mark.parametrize(
    ("values", "message"),
    [({"fact_bonus": 0.1}, "rewards.fact_bonus: has the weight 0.1 while rewards.bonus is off"),
     ({"bonus": "mul_only"}, "rewards.bonus: is mul_only while rewards.fact_bonus is 0"),
     ({"near_number": -1.0}, "rewards.near_number: expected a weight from 0 to 1000, got -1.0")],
)  # fmt: skip
def test_a_bonus_without_a_weight_and_a_weight_without_a_bonus_are_refused(values, message: str) -> None:
    with pytest.raises(RecipeError, match=f"^{message}"):
        Rewards(**values).check("rewards")
    Rewards(fact_bonus=0.1, bonus="parity").check("rewards")


def test_rewards_that_a_recipe_names_are_those_that_there_are() -> None:
    assert {*FUNCTIONS, "fact_bonus", "bonus"} == {field.name for field in fields(Rewards)}
    assert Rewards().weights == {"exact_match": 1.0}  # no bonus, unless a recipe asks for one


@pytest.fixture(scope="module")
def tokenizer(tokenizers):
    return tokenizers["mul_tokens"]


def test_gold_answers_earn_the_same_written_with_tokens_and_with_digits(data: Data, tokenizers) -> None:
    with (data.folder / "gsm8k" / "train.jsonl").open() as lines:
        rows = [json.loads(line) for line in itertools.islice(lines, 300)]
    tokenizer = tokenizers["mul_tokens"]
    answers = [without_annotations(row["answer"], "strip") for row in rows]
    rewritten = [tokenizer.decode(tokenizer.encode(answer)) for answer in answers]
    assert sum(one != two for one, two in zip(answers, rewritten, strict=True)) > len(rows) / 15
    steps = []
    for row, one, two in zip(rows, answers, rewritten, strict=True):
        gold, question = one.rpartition("####")[2].strip(), row["question"]
        for reward in ALL:
            assert reward(read(read(two).text), gold, question) == reward(read(two), gold, question), two
        steps.append(shows_steps(read(one), gold, question))
    assert sum(steps) / len(steps) > 0.8  # what the rule asks for is what people write


def test_every_step_of_a_generated_solution_is_paid_in_tokens_and_in_digits() -> None:
    for example in (*problems(200, 0, "train"), *drills(100, 0, "train")):
        gold = example.answer.rpartition("####")[2].strip()
        for answer in (example.answer, inject(example.answer)):
            assert shows_steps(read(answer), gold, example.question) == 1.0, example


@given(st.text(max_size=300), st.integers(-100, 100))
def test_rewards_are_bounded_for_any_text(text: str, gold: int) -> None:
    for reward in ALL:
        assert -1.0 <= reward(read(text), str(gold), text) <= 1.0


def test_rewards_and_evaluation_share_the_definition_of_right() -> None:
    assert rewards.is_correct is is_correct


def test_trl_gets_the_weighted_functions_and_a_count_of_facts() -> None:
    functions, weights = reward_functions(
        Rewards(exact_match=1.0, shows_steps=0.1, repetition=0.0), reader(), GPT2_IDS
    )
    assert [function.__name__ for function in functions] == ["exact_match", "shows_steps", "facts_per_completion"]
    assert weights == [1.0, 0.1, 0.0]
    completions = [[{"role": "assistant", "content": text}] for text in ("#### 5", "7*5=35\n#### 35")]
    prompts = [[{"role": "user", "content": QUESTION}]] * 2
    columns = {
        "completions": completions,
        "gold": ["5", "35"],
        "completion_ids": [[50304, 7], [7]],
        "prompts": prompts,
    }
    assert [function(**columns) for function in functions] == [[1.0, 1.0], [0.0, 1.0], [1.0, 0.0]]


def _first_number(question: str) -> str:
    return next(iter(re.findall(r"\d+", question)), "2")


def _oracles(gold: str, other: str, question: str) -> dict[str, str]:
    """Answers that know nothing of the item but its first number, and another item's solution."""
    n = _first_number(question)
    constants = {f"{a}*{b}": f"<MUL_{a}_{b}_{a * b}>\n#### {a * b}" for a, b in ((2, 2), (2, 5), (3, 4))}
    return {"gold": gold, "shuffled": other, "neutral": f"{n}-{n}=0\n{n}+0={n}\n#### {n}", **constants}


def _scores(rows: list[tuple[str, str]]) -> dict[str, tuple[float, float]]:
    """Return of each oracle the means of `shows_steps` and `exact_match` over items."""
    found: dict[str, list[tuple[float, float]]] = {}
    for (question, answer), (_, other) in zip(rows, rows[1:] + rows[:1], strict=True):
        number = answer.rpartition("####")[2].strip()
        for name, text in _oracles(answer, other, question).items():
            asked = (read(text), number, question)
            found.setdefault(name, []).append((shows_steps(*asked), exact_match(*asked)))
    return {
        name: tuple(sum(column) / len(rows) for column in zip(*pairs, strict=True)) for name, pairs in found.items()
    }


def _check_oracles(rows: list[tuple[str, str]], gold_at_least: float) -> None:
    scores = _scores(rows)
    assert scores["gold"][0] >= gold_at_least
    assert any(
        one.right and one.has_result and one.of_item
        for question, _ in rows
        for one in read_equations(read("2*2=4\n#### 4"), question)
    )  # what is not paid below is right, by chance, of some item
    for name, (steps, exact) in scores.items():
        if name != "gold":
            assert steps <= exact + 0.03, (name, steps, exact)


def test_an_answer_that_does_not_depend_on_the_item_earns_no_more_steps_than_right_numbers() -> None:
    _check_oracles(_samples(), 0.8)
    _check_oracles([(one.question, one.answer) for one in problems(100, 0, "train")], 1.0)


def _samples() -> list[tuple[str, str]]:
    sample = Path(__file__).parents[1] / "samples" / "gsm8k"
    rows = [json.loads(line) for path in sorted(sample.glob("*.jsonl")) for line in path.open()]
    return [(row["question"], without_annotations(row["answer"], "strip")) for row in rows]


@pytest.mark.parametrize("chain", ["2*2=4\n2*4=8\n2*8=16", "<MUL_2_2_4>\n<MUL_2_4_8>\n<MUL_2_8_16>"])
@pytest.mark.parametrize("bonus", ["parity", "mul_only"])
def test_facts_written_for_their_own_sake_earn_no_bonus_and_less_than_solutions(chain: str, bonus: str) -> None:
    """A chain of facts that suits every question with a 2 and leads nowhere."""
    recipe = load_recipe([f"recipes/{name}.yaml" for name in ("baseline", "stages/grpo_shaped")])
    functions, weights = reward_functions(replace(recipe.rewards, bonus=bonus), reader(), GPT2_IDS)
    rows = _samples()

    def earned(answers: list[str]) -> dict[str, float]:
        columns = {
            "completions": [[{"content": answer}] for answer in answers],
            "prompts": [[{"content": question}] for question, _ in rows],
            "gold": [gold.rpartition("####")[2].strip() for _, gold in rows],
            "completion_ids": [[]] * len(rows),
        }
        means = {one.__name__: sum(one(**columns)) / len(rows) for one in functions}
        return means | {"all": sum(weight * mean for weight, mean in zip(weights, means.values(), strict=True))}

    gold = earned([inject(answer) for _, answer in rows])
    written_for_itself = earned([f"{chain}\n#### 7777"] * len(rows))
    assert written_for_itself["shows_steps"] > 0.2  # its steps are right for many of these questions
    assert written_for_itself[BONUSES[bonus].__name__] == 0.0
    assert gold[BONUSES[bonus].__name__] > 0.02
    assert written_for_itself["all"] < 0.2 * gold["all"]


def test_the_same_of_real_problems(data: Data) -> None:
    with (data.folder / "gsm8k" / "test.jsonl").open() as lines:
        rows = [json.loads(line) for line in itertools.islice(lines, 150)]
    _check_oracles([(row["question"], without_annotations(row["answer"], "strip")) for row in rows], 0.8)


@pytest.mark.parametrize(
    ("text", "gold", "steps"),
    [("6*9=54 #### 54", "54", 1.0), ("6*9=54 #### 54", "55", 0.0), ("6*9=54\n54+1=55 #### 55", "56", 0.5),
     ("9-9=0\n9+0=9 #### 9", "9", 0.5), ("9-9=0\n9+0=9 #### 9", "8", 0.0), ("9/9=1\n9*1=9 #### 9", "8", 0.0),
     ("6*1=6 #### 6", "6", 1.0), ("6*9=54\n54*1=54 #### 54", "54", 1.0), ("0*9=0\n0+8=8 #### 8", "8", 0.5)],
)  # fmt: skip
def test_a_wrong_number_and_a_trivial_step_use_nothing(text: str, gold: str, steps: float) -> None:
    assert shows_steps(read(text), gold, f"{QUESTION} 0") == steps


def test_a_lone_surrogate_is_read_as_a_question_mark() -> None:
    for reward in ALL:
        assert reward(read("\ud800 6*9=54 #### 54"), "54", QUESTION) == reward(
            read("? 6*9=54 #### 54"), "54", QUESTION
        )
