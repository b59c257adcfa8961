"""Published scorers of GSM8K beside our own, so that an accuracy can be compared with the literature.

`correct` is the headline for every condition: the definition of `is_correct`. The others follow
- `correct_original`: https://github.com/openai/grade-school-math, `dataset.py` (Cobbe et al. 2021);
- `correct_strict`, `correct_flexible`: `strict-match` and `flexible-extract` of lm-evaluation-harness 0.4.13, task
  `gsm8k`, version 3.

They read digits anywhere, inside a token's name too, so all of them read the `text` of an `Answer`.
"""

import re

from domain_tokens.evaluation.answers.answer import Answer, is_correct

SCORES = ("correct", "correct_original", "correct_strict", "correct_flexible")

_AFTER_MARK = re.compile(r"#### (-?[0-9.,]+)")
_NUMBER = re.compile(r"-?[$0-9.,]{2,}|-?[0-9]+")


def score(answer: Answer, gold: str) -> dict[str, bool]:
    r"""Return whether an answer is right, by each scorer. Never raises on any text.

    Args:
        answer (`Answer`): a model's answer.
        gold (`str`): the right number, as the data set has it after `#### `.

    Example:
    ```python
    >>> score(reader.read("<MUL_8_9_72>\n#### 72.0"), "72")
    {'correct': True, 'correct_original': False, 'correct_strict': False, 'correct_flexible': False}
    ```
    """
    published = (scorer(answer.text, gold) for scorer in (original, lm_eval_strict, lm_eval_flexible))
    return dict(zip(SCORES, (is_correct(answer, gold), *published), strict=True))


def original(text: str, gold: str) -> bool:
    """Return whether the first number after `#### ` is spelled like the right one, commas aside."""
    answer, right = _AFTER_MARK.search(text), _AFTER_MARK.search(f"#### {gold}")
    return answer is not None and right is not None and answer[1].replace(",", "") == right[1].replace(",", "")


def lm_eval_strict(text: str, gold: str) -> bool:
    """Return whether the first number after `#### ` matches; a final point and dollar signs do not count."""
    answer = _AFTER_MARK.search(text)
    return answer is not None and _plain(answer[1]) == _plain(gold.rpartition("#### ")[2])


def lm_eval_flexible(text: str, gold: str) -> bool:
    """Return whether the last number of the text, wherever it is, matches."""
    numbers = _NUMBER.findall(text)
    return bool(numbers) and _plain(numbers[-1]) == _plain(gold.rpartition("#### ")[2])


def _plain(number: str) -> str:
    """Return a number as the harness compares it: without commas, dollar signs and a final point."""
    return number.replace(",", "").replace("$", "").removesuffix(".")
