"""Rewards of GRPO: pure functions of an answer and the right number.

Every function that measures a text reads it in canonical form: facts of a table, as tokens or in any notation, are
written `6*9=54` first, by the same table in every condition. So the same answer earns the same whether it was written
with tokens or with digits; lengths are counted in characters for the same reason.
"""

import functools
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from domain_tokens.evaluation.answers.answer import Answer, AnswerReader, is_correct
from domain_tokens.evaluation.answers.extraction import extract_answer
from domain_tokens.evaluation.equations import read_equations
from domain_tokens.recipe import Rewards
from domain_tokens.tokenization.facts import count_facts

Reward = Callable[[Answer, str], float]

# Answers of up to the first length earn the whole of `brevity`, of the second and more none of it.
_BRIEF_CHARACTERS = 300
_LONG_CHARACTERS = 900
_NUMBER = re.compile(r"(?<![\d.])\d{1,12}(?![\d.]*\d)")
_REPEATED_WORDS = 4


def exact_match(answer: Answer, gold: str) -> float:
    """Return 1 if the answer is right, else 0."""
    return float(is_correct(answer, gold))


def partial_credit(answer: Answer, gold: str) -> float:
    """Return 1 for a right answer, a quarter each for an answer in the right form and for naming the right number."""
    if is_correct(answer, gold):
        return 1.0
    right = extract_answer(f"#### {gold}")
    numbers = _NUMBER.findall(answer.canonical.text)
    named = right is not None and any(Fraction(number) == right for number in numbers)
    return 0.25 * (answer.number is not None) + 0.25 * named


def shows_steps(answer: Answer, gold: str) -> float:
    """Return the share of the answer's equations that are right, as evaluation reads them; 0 if there are none."""
    equations = read_equations(answer)
    return sum(equation.right for equation in equations) / len(equations) if equations else 0.0


def brevity(answer: Answer, gold: str) -> float:
    """Return 1 for a brief answer, falling to 0 for a long one; by characters of its canonical form."""
    excess = (len(answer.canonical.text) - _BRIEF_CHARACTERS) / (_LONG_CHARACTERS - _BRIEF_CHARACTERS)
    return min(1.0, max(0.0, 1.0 - excess))


def repetition(answer: Answer, gold: str) -> float:
    """Return minus the share of four-word sequences in the answer that repeat an earlier one: 0 to -1."""
    words = answer.canonical.text.split()
    runs = [tuple(words[start : start + _REPEATED_WORDS]) for start in range(len(words) - _REPEATED_WORDS + 1)]
    return -(1.0 - len(set(runs)) / len(runs)) if runs else 0.0


def reward_functions(weights: Rewards, answers: AnswerReader) -> tuple[list[Callable[..., list[float]]], list[float]]:
    """Return the reward functions that TRL calls, with their weights.

    The last one has no weight: it counts the fact tokens of each completion, so that TRL logs them with the rewards.

    Args:
        weights (`Rewards`): the recipe's weights; 0 leaves a function out.
        answers (`AnswerReader`): expands the tokens of the completions, and holds the table whose facts are read in
            canonical form, the same in every condition.
    """
    functions = [exact_match, partial_credit, shows_steps, brevity, repetition]
    weighted = [(function, getattr(weights, function.__name__)) for function in functions]
    used = [(_for_trl(function, answers), weight) for function, weight in weighted if weight]
    return [*(function for function, _ in used), facts_per_completion], [*(weight for _, weight in used), 0.0]


def facts_per_completion(completion_ids: list[list[int]], **columns: Any) -> list[float]:
    """Return how many fact tokens each completion holds."""
    return [float(count_facts(ids)) for ids in completion_ids]


def _for_trl(reward: Reward, answers: AnswerReader) -> Callable[..., list[float]]:
    """Return a reward as TRL calls it: by batches, with the columns of the data set as arguments."""

    @functools.wraps(reward)
    def batched(completions: list[list[dict[str, str]]], gold: list[str], **columns: Any) -> list[float]:
        read = [answers.read(completion[0]["content"]) for completion in completions]
        return [reward(answer, right) for answer, right in zip(read, gold, strict=True)]

    return batched
