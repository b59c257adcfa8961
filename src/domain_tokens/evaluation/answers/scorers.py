"""Published scorers of GSM8K beside our own, so that an accuracy can be compared with the literature.

`correct` is the headline for every condition: the definition of `answers`. The others follow
- `correct_original`: https://github.com/openai/grade-school-math, `dataset.py` (Cobbe et al. 2021);
- `correct_strict`, `correct_flexible`: `strict-match` and `flexible-extract` of lm-evaluation-harness 0.4.13, task
  `gsm8k`, version 3.

They read digits wherever they stand, inside a token's name too, so facts are written as the text they stand for before
any scorer reads an answer.
"""

import re

from domain_tokens.evaluation.answers.extraction import is_correct
from domain_tokens.tokenization.intervention import Intervention
from domain_tokens.tokenization.rewriter import expand

SCORES = ("correct", "correct_original", "correct_strict", "correct_flexible")

_AFTER_MARK = re.compile(r"#### (-?[0-9.,]+)")
_NUMBER = re.compile(r"-?[$0-9.,]{2,}|-?[0-9]+")


def score(text: str, gold: str, written_by: Intervention | None = None) -> dict[str, bool]:
    """Return whether an answer is right, by each scorer. Never raises on any text.

    Args:
        text (`str`): what a model wrote, with fact tokens or without.
        gold (`str`): the right number, as it stands after `#### ` in the data set.
        written_by (`Intervention`, *optional*): the intervention of the model's tokenizer, whose tokens are expanded
            first. The experiment's own tokens are expanded in any case.

    Example:

    ```python
    >>> score("<MUL_8_9_72>\\n#### 72.0", "72")
    {'correct': True, 'correct_original': False, 'correct_strict': False, 'correct_flexible': False}
    ```
    """
    stated = expand(expand(text, written_by))
    found = (is_correct(stated, gold), original(stated, gold), lm_eval_strict(stated, gold))
    return dict(zip(SCORES, (*found, lm_eval_flexible(stated, gold)), strict=True))


def original(text: str, gold: str) -> bool:
    """Return whether the first number after `#### ` is spelled like the right one, commas aside."""
    answer, right = _AFTER_MARK.search(text), _AFTER_MARK.search(f"#### {gold}")
    return answer is not None and right is not None and answer[1].replace(",", "") == right[1].replace(",", "")


def lm_eval_strict(text: str, gold: str) -> bool:
    """Return whether the first number after `#### ` matches; a final point and dollar signs do not count."""
    answer = _AFTER_MARK.search(text)
    return answer is not None and _plain(answer[1]) == _plain(gold.rpartition("#### ")[2])


def lm_eval_flexible(text: str, gold: str) -> bool:
    """Return whether the last number of the text, wherever it stands, matches."""
    numbers = _NUMBER.findall(text)
    return bool(numbers) and _plain(numbers[-1]) == _plain(gold.rpartition("#### ")[2])


def _plain(number: str) -> str:
    """Return a number as the harness compares it: without commas, dollar signs and a final point."""
    return number.replace(",", "").replace("$", "").removesuffix(".")
