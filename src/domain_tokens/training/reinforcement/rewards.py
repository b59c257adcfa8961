"""The rewards of GRPO: pure functions of an answer, the correct number and the question.

An answer is read as the text that its tokens stand for, so equal text earns an equal reward in every condition.
Functions that measure text use its canonical form, in which facts have one spelling; lengths count characters. One
function asks whether a fact was written as a token, `fact_token_bonus`, and no recipe uses it that does not say
`rewards.bonus: mul_only`. None is told which condition it judges.

Equal text does not make equal incentives. Three differences remain, none of which a function of the text can remove: a
token is one choice where its digits are several; its result is right by construction, so a step written as a token can
only fail by its operands; and a tokenizer that was taught `6 x 9` as a token for `6*9=54` writes the result of a
product wherever it names one, while digits may name it alone and then earn nothing for it.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

from domain_tokens.evaluation.answers.answer import Answer, AnswerReader, is_correct
from domain_tokens.evaluation.answers.extraction import mentions, read_gold, read_number
from domain_tokens.evaluation.equations import Equation, on_the_way, read_equations
from domain_tokens.recipe import Rewards
from domain_tokens.tokenization.facts import IdRanges, count_facts

Reward = Callable[[Answer, str, str], float]
"""Takes an answer, the correct number and the question."""

# `brevity` is 1 up to the first length and 0 from the second length.
_BRIEF_CHARACTERS = 300
_LONG_CHARACTERS = 900
_REPEATED_WORDS = 4
# `near_number` is 0 from this error on, as a share of the right number, and below 0.5 of a wrong one.
_NEAR = Fraction(1, 5)
_MOST_NEAR = 0.5
_MOST_FACTS = 3  # different ones that are paid in one answer


def exact_match(answer: Answer, gold: str, question: str) -> float:
    """Return 1 if the answer is right, else 0."""
    return float(is_correct(answer, gold))


def near_number(answer: Answer, gold: str, question: str) -> float:
    """Return 1 for the right number, less than 0.5 for one within a fifth of it, the less the farther away, else 0.

    The distance is a share of the right number, or of 1 if that is larger: next to 5 nothing whole is near, next to 54
    are 44 to 64.
    """
    if is_correct(answer, gold):
        return 1.0
    right = read_number(gold)
    if answer.number is None or right is None:
        return 0.0
    error = abs(answer.number - right) / max(abs(right), Fraction(1))
    return _MOST_NEAR * float(1 - error / _NEAR) if error < _NEAR else 0.0


def partial_credit(answer: Answer, gold: str, question: str) -> float:
    """Return 1 for a correct answer, else 0.25 each for the right format and for mentioning the correct number."""
    if is_correct(answer, gold):
        return 1.0
    right = read_number(gold)
    named = right is not None and mentions(answer.canonical, right)
    return 0.25 * (answer.number is not None) + 0.25 * named


def answer_format(answer: Answer, gold: str, question: str) -> float:
    """Return 1 if the answer ends with `#### ` and one number, else 0. A right answer that runs on earns nothing."""
    return float(read_gold(answer.text) is not None)


def shows_steps(answer: Answer, gold: str, question: str) -> float:
    """Return the fraction of the answer's steps that are right for the item, read as in evaluation; 0 without a step.

    A step is an equation with a result that is not copied. It is right for the item if its result is right, its
    operands are the question's numbers or what earlier right steps arrive at, and the answer goes on from its result:
    a later step uses it, or the number after `####` does and is right. Tokens and digits are judged alike.

    This looks one step ahead: of a chain of facts that begins with a number of the question every step but the last is
    paid, wherever it leads.
    """
    steps = [one for one in read_equations(answer, question, gold) if one.has_result and one.origin == "computed"]
    return sum(step.right_for_item for step in steps) / len(steps) if steps else 0.0


def brevity(answer: Answer, gold: str, question: str) -> float:
    """Return 1 for a short answer, falling to 0 for a long one, by characters in canonical form."""
    excess = (len(answer.canonical) - _BRIEF_CHARACTERS) / (_LONG_CHARACTERS - _BRIEF_CHARACTERS)
    return min(1.0, max(0.0, 1.0 - excess))


def repetition(answer: Answer, gold: str, question: str) -> float:
    """Return the negated fraction of four-word sequences that repeat an earlier one: 0 to -1."""
    words = answer.canonical.split()
    runs = [tuple(words[start : start + _REPEATED_WORDS]) for start in range(len(words) - _REPEATED_WORDS + 1)]
    return -(1.0 - len(set(runs)) / len(runs)) if runs else 0.0


def fact_parity_bonus(answer: Answer, gold: str, question: str) -> float:
    """Return how many different facts of the table lie on the answer's way to the right number: 0 to 3, in thirds.

    A wrong number earns nothing, nor does a fact from which no right steps lead to the right one (`on_the_way`). A
    longer way than is needed, through more facts, is paid if its number is right. Tokens and digits earn the same.
    """
    return _paid_facts(on_the_way(answer, question, gold))


def fact_token_bonus(answer: Answer, gold: str, question: str) -> float:
    """Return the same for facts that are written as tokens alone, which a condition without tokens cannot earn."""
    return _paid_facts(one for one in on_the_way(answer, question, gold) if one.form == "fact")


def _paid_facts(equations: Iterable[Equation]) -> float:
    facts = {one.pair for one in equations if one.in_table}
    return min(len(facts), _MOST_FACTS) / _MOST_FACTS


FUNCTIONS: Mapping[str, Reward] = {
    one.__name__: one
    for one in (exact_match, near_number, partial_credit, answer_format, shows_steps, brevity, repetition)
}
"""The functions that a recipe gives weights to by name. Which one `fact_bonus` is, `rewards.bonus` says."""

BONUSES: Mapping[str, Reward] = {"parity": fact_parity_bonus, "mul_only": fact_token_bonus}


def reward_functions(
    weights: Rewards, answers: AnswerReader, ids: IdRanges
) -> tuple[list[Callable[..., list[float]]], list[float]]:
    """Return the reward functions for TRL with their weights.

    The last one has weight 0: it counts the fact tokens of each completion, so that TRL logs them with the rewards.

    Args:
        weights (`Rewards`): the recipe's weights; a function with weight 0 is left out.
        answers (`AnswerReader`): expands the tokens of completions and converts facts to canonical form, with the same
            table in every condition.
        ids (`IdRanges`): those of the model's tokenizer.
    """
    named = {**FUNCTIONS, "fact_bonus": BONUSES.get(weights.bonus)}
    used = [_for_trl(function, answers) for name in weights.weights if (function := named[name]) is not None]
    return [*used, fact_counter(ids)], [*weights.weights.values(), 0.0]


def fact_counter(ids: IdRanges) -> Callable[..., list[float]]:
    """Return the function that counts the fact tokens in each completion; TRL logs it under its name."""

    def facts_per_completion(completion_ids: list[list[int]], **columns: Any) -> list[float]:
        return [float(count_facts(completion, ids)) for completion in completion_ids]

    return facts_per_completion


def _for_trl(reward: Reward, answers: AnswerReader) -> Callable[..., list[float]]:
    """Adapt a reward to TRL, which passes batches and the columns of the data set as arguments."""

    @functools.wraps(reward)
    def batched(
        prompts: list[list[dict[str, str]]], completions: list[list[dict[str, str]]], gold: list[str], **columns: Any
    ) -> list[float]:
        read = [answers.read(completion[0]["content"]) for completion in completions]
        questions = [prompt[-1]["content"] for prompt in prompts]
        return [reward(*asked) for asked in zip(read, gold, questions, strict=True)]

    return batched
