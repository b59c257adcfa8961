"""The number that a text gives as its answer: the one definition, of the rewards of GRPO and of the evaluation.

An answer is the number after `####`. Numbers are read as exact fractions and never as floats, under one grammar for
every condition. The functions here read plain text: data sets, and the `text` of an `Answer`, in which tokens are
written as what they stand for, so a token and its digits earn the same.
"""

import re
from fractions import Fraction
from functools import lru_cache

from domain_tokens.evaluation.answers.notation import NUMBER, fold, is_unit, other_number, plain, sign_of, value
from domain_tokens.recipe import RecipeError
from domain_tokens.tokenization.facts import END_OF_TEXT

_MARK = "####"
# What a model that did not stop writes next: another example of the training set, or another turn.
_NEXT_EXAMPLE = re.compile(
    rf"{re.escape(END_OF_TEXT)}|</s>|<eos>|\[/INST\]|<\|(?:im_end|eot_id|end)\|>|<end_of_turn>|\nUser:|^[^\w\n]*Question:"
    rf"|(?P<answer>{_MARK}(?:(?!{_MARK})[^\n])*?)Question:",  # elsewhere in a line it is a word: the Question: is
    re.MULTILINE,
)
_END_OF_LINE = re.compile("[\n\r\v\f\x85\u2028\u2029]")
_REMEMBERED = 10_000  # right answers are read once for each reward, and answers once for each scorer
_MAX_CHARACTERS = 2000  # of the line with the answer; Python itself refuses integers of more than 4,300 digits
_MAX_EXPONENT = 400
_CUT = re.compile(r"\s*\.\.")  # the ellipsis of 0.333...
_MAX_MENTIONED = 30  # characters of a number in prose

# What stands before a number, the number, and what stands behind it. No two repetitions can share characters, so
# matching takes one pass.
_ANSWER = re.compile(
    rf"(?P<before>[^0-9(]*)(?P<opening>\()?(?:(?P<whole>[0-9]+)[ ]+(?=[0-9]+/[0-9]))?(?P<number>{NUMBER})"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,3})|/(?P<denominator>[0-9]+))?(?(opening)\))(?P<behind>.*)",
    re.DOTALL,
)
_MENTION = re.compile(rf"(?:(?<![\w).])(?<![\w).]\s)-)?(?<![\d.,])(?:{NUMBER}|\.[0-9]+)(?!\d|[.,]\d)")


def extract_answer(text: str) -> Fraction | None:
    r"""Return the number that a text gives as its answer, or `None` if it gives none or more than one.

    The text ends at the end-of-text token and where another question begins. All `####` in it have to give the same
    number. Never raises, and takes time linear in the length of the text.

    Args:
        text (`str`): plain text, without tokens. A model's answer has the number as `Answer.number`.

    Example:
    ```python
    >>> extract_answer("6*9=54\n#### $1,234.50 in all")
    Fraction(2469, 2)
    >>> extract_answer("#### 72 or 73") is None
    True
    ```
    """
    return _agreed([_first_line(part) for part in own_text(text).split(_MARK)[1:]])


def read_gold(solution: str) -> str | None:
    r"""Return the right number of a worked solution, as it is written there.

    Returns:
        `str`, *optional*: what follows the last `####`; `None` unless this is one number and the end of the solution,
            and every other `####` gives the same number.

    Example:
    ```python
    >>> read_gold("6*9=54\n#### 1,234 ")
    '1,234'
    >>> read_gold("#### 18\n\nShe has 18 eggs.") is None
    True
    ```
    """
    _, *parts = solution.split(_MARK)
    if not parts:
        return None
    gold = parts.pop().strip()
    return None if _agreed([*map(_first_line, parts), gold]) is None else gold


def require_gold(solution: str, where: str) -> str:
    """Return the right number of a worked solution, as `read_gold`.

    Args:
        solution (`str`): a worked solution.
        where (`str`): its source, row and column.

    Raises:
        RecipeError: if there is none: no answer to such a question could ever be right.
    """
    gold = read_gold(solution)
    if gold is None:
        line = _first_line(solution.rpartition(_MARK)[2])
        number = re.match(rf"[^0-9]*{NUMBER}", line)
        other = other_number(line[number.end() :]) if number else ""
        reason = f"; {other!r} makes another number of it" if other else ""
        raise RecipeError(
            f"{where}: expected an answer that ends with `#### <number>`, one number and nothing after it but its "
            f"unit, got {solution[-60:]!r}{reason}"
        )
    return gold


def own_text(text: str) -> str:
    """Return a text up to its end-of-text token and to where another question begins: what belongs to its answer."""
    end = _NEXT_EXAMPLE.search(text)
    return text if end is None else text[: max(end.start(), end.end("answer"))]


@lru_cache(maxsize=_REMEMBERED)
def read_number(line: str) -> Fraction | None:
    """Return the number that a line consists of, its unit aside; `None` if it is anything else or several lines."""
    line = line.strip()
    if len(line) > _MAX_CHARACTERS or _END_OF_LINE.search(line):
        return None
    line = plain(fold(line))
    match = _ANSWER.fullmatch(line)
    if match is None:
        return None
    before, digits, behind = match["before"], match["number"], match["behind"]
    ends = digits.endswith(".") and match.end("number") == match.start("behind")  # 54. Twice that is 108
    if not is_unit(f".{behind}" if ends else behind):
        return None
    if before.endswith(".") and sign_of(before) is None:
        before, digits = before[:-1], f".{digits}"  # .5 and $.5, but Rs.5
    sign = sign_of(before)
    if sign is None or (match["opening"] and not (sign or match["denominator"])):
        return None  # (54) is -54 to an accountant
    if _CUT.match(behind) and "." in digits.rstrip("."):
        return None
    if digits.count(".") > 1 or (match["denominator"] and ("." in digits or not int(match["denominator"]))):
        return None
    number = value(digits)
    if match["exponent"]:
        exponent = int(match["exponent"])
        if abs(exponent) > _MAX_EXPONENT:
            return None
        number *= Fraction(10) ** exponent
    if match["denominator"]:
        number /= int(match["denominator"])
    if match["whole"]:
        if not 0 < number < 1:
            return None
        number += int(match["whole"])  # 1 1/2
    return -number if sign == "-" else number


def mentions(text: str, number: Fraction) -> bool:
    """Return whether a number stands anywhere in a text, read with the signs and spaces of an answer."""
    return any(
        len(match.group()) <= _MAX_MENTIONED and _signed(match.group()) == number
        for line in _END_OF_LINE.split(text)
        for match in _MENTION.finditer(fold(line))
    )


def _agreed(lines: list[str]) -> Fraction | None:
    """Return the number that all lines give; `None` if one gives none or they give several."""
    found: Fraction | None = None
    for line in lines:
        number = read_number(line)
        if number is None or found not in (None, number):
            return None
        found = number
    return found


def _first_line(text: str) -> str:
    return _END_OF_LINE.split(text, maxsplit=1)[0]


def _signed(number: str) -> Fraction:
    return -value(number[1:]) if number.startswith("-") else value(number)
