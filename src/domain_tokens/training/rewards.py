"""Rewards of GRPO: pure functions of an answer's text and the right answer.

Every function that measures a text reads it in canonical form: facts of a table, as tokens or in any notation, are
written `6*9=54` first, by the same table in every condition. So the same answer earns the same whether it was written
with tokens or with digits; lengths are counted in characters for the same reason.
"""

import functools
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from domain_tokens.evaluation.answers.extraction import extract_answer, is_correct
from domain_tokens.recipe import Rewards
from domain_tokens.tokenization.facts import count_facts
from domain_tokens.tokenization.intervention import Intervention
from domain_tokens.tokenization.rewriter import canonical, expand

# Answers of up to the first length earn the whole of `brevity`, of the second and more none of it.
_BRIEF_CHARACTERS = 300
_LONG_CHARACTERS = 900
_EQUATION = re.compile(r"(?<![\d.])(\d{1,9})\s*([-+*/x×])\s*(\d{1,9})\s*=\s*(\d{1,9})(?![\d.]*\d)")
_NUMBER = re.compile(r"(?<![\d.])\d{1,12}(?![\d.]*\d)")
_REPEATED_WORDS = 4


def exact_match(text: str, gold: str, table: Intervention | None = None) -> float:
    """Return 1 if the answer is right, else 0."""
    return float(is_correct(text, gold))


def partial_credit(text: str, gold: str, table: Intervention | None = None) -> float:
    """Return 1 for a right answer, a quarter each for an answer in the right form and for naming the right number."""
    if is_correct(text, gold):
        return 1.0
    right = extract_answer(f"#### {gold}")
    named = right is not None and any(Fraction(number) == right for number in _NUMBER.findall(canonical(text, table)))
    return 0.25 * (extract_answer(text) is not None) + 0.25 * named


def shows_steps(text: str, gold: str, table: Intervention | None = None) -> float:
    """Return the share of the equations in the answer that are right; 0 if it has none."""
    checks = [_is_right(*match.groups()) for match in _EQUATION.finditer(canonical(text, table))]
    return sum(checks) / len(checks) if checks else 0.0


def brevity(text: str, gold: str, table: Intervention | None = None) -> float:
    """Return 1 for a brief answer, falling to 0 for a long one; by characters of its canonical form."""
    excess = (len(canonical(text, table)) - _BRIEF_CHARACTERS) / (_LONG_CHARACTERS - _BRIEF_CHARACTERS)
    return min(1.0, max(0.0, 1.0 - excess))


def repetition(text: str, gold: str, table: Intervention | None = None) -> float:
    """Return minus the share of four-word sequences in the answer that repeat an earlier one: 0 to -1."""
    words = canonical(text, table).split()
    runs = [tuple(words[start : start + _REPEATED_WORDS]) for start in range(len(words) - _REPEATED_WORDS + 1)]
    return -(1.0 - len(set(runs)) / len(runs)) if runs else 0.0


def reward_functions(
    weights: Rewards, written_by: Intervention | None = None, table: Intervention | None = None
) -> tuple[list[Callable[..., list[float]]], list[float]]:
    """Return the reward functions that TRL calls, with their weights.

    The last one has no weight: it counts the fact tokens of each completion, so that TRL logs them with the rewards.

    Args:
        weights (`Rewards`): the recipe's weights; 0 leaves a function out.
        written_by (`Intervention`, *optional*): the intervention of the model's tokenizer, whose tokens are expanded
            before any reward reads them. The experiment's own if not given.
        table (`Intervention`, *optional*): the intervention whose facts are read in canonical form, the same in every
            condition. The experiment's own if not given.
    """
    functions = [exact_match, partial_credit, shows_steps, brevity, repetition]
    weighted = [(function, getattr(weights, function.__name__)) for function in functions]
    used = [(_for_trl(function, written_by, table), weight) for function, weight in weighted if weight]
    return [*(function for function, _ in used), facts_per_completion], [*(weight for _, weight in used), 0.0]


def facts_per_completion(completion_ids: list[list[int]], **columns: Any) -> list[float]:
    """Return how many fact tokens each completion holds."""
    return [float(count_facts(ids)) for ids in completion_ids]


def _for_trl(
    reward: Callable[..., float], written_by: Intervention | None, table: Intervention | None
) -> Callable[..., list[float]]:
    @functools.wraps(reward)
    def batched(completions: list[list[dict[str, str]]], gold: list[str], **columns: Any) -> list[float]:
        texts = [expand(completion[0]["content"], written_by) for completion in completions]
        return [reward(text, right, table) for text, right in zip(texts, gold, strict=True)]

    return batched


def _is_right(left: str, sign: str, right: str, stated: str) -> bool:
    a, b, c = Fraction(left), Fraction(right), Fraction(stated)
    if sign == "/":
        return b != 0 and a / b == c
    return {"+": a + b, "-": a - b}.get(sign, a * b) == c
