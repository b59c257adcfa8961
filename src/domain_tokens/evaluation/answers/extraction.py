"""The number that a text gives as its answer: the one definition, of the rewards of GRPO and of the evaluation.

An answer is the number after `####`. Numbers are read as exact fractions and never as floats, under one grammar for
every condition. The functions here read plain text: data sets, and the `text` of an `Answer`, in which tokens are
written as what they stand for, so a token and its digits earn the same.
"""

import re
import unicodedata
from fractions import Fraction

from domain_tokens.tokenization.facts import END_OF_TEXT

# What a model that did not stop writes next: another example of the training set, or another turn.
_NEXT_EXAMPLE = re.compile(f"{re.escape(END_OF_TEXT)}|Question:|\nUser:")
_MARK = "####"
_MAX_CHARACTERS = 2000  # of the line with the answer; Python itself refuses integers of more than 4,300 digits
_MAX_EXPONENT = 400

# An optional sign and dollar sign, a number, and what follows it. No two repetitions can share characters, so matching
# takes one pass.
_ANSWER = re.compile(
    r"(?P<prefix>[+\-$ ]{0,4})"
    r"(?P<number>(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]{1,3}(?: [0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+)"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,3})|/(?P<denominator>[0-9]+))?"
    r"(?P<rest>.*)",
    re.DOTALL,
)
_PREFIXES = ("", "+", "-", "$", "+$", "-$", "$+", "$-")
# A unit: nothing at all, a symbol (72%, 72$, 72.), or words after a space. It holds no digit and no operator, since
# `72 or 73` and `72 + x` are no answers, and does not change the size of the number, as `72 thousand` does.
_UNIT = re.compile(
    r"(?:\s*[%$€£¢°])?(?:[.,;:!?)]*)(?:\s(?!\s*(?:hundred|thousand|million|billion|trillion)\b)[^\d=+*×÷<>^#|\\]*)?",
    re.IGNORECASE,
)
# Characters whose plain form means something else: 10² is not 102, 1½ is not 11/2.
_NOT_FOLDED = ("<super>", "<sub>", "<fraction>", "<circle>")


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
    found: Fraction | None = None
    for part in own_text(text).split(_MARK)[1:]:
        number = read_number(part.partition("\n")[0])
        if number is None or found not in (None, number):
            return None
        found = number
    return found


def own_text(text: str) -> str:
    """Return a text up to its end-of-text token and to where another question begins: what belongs to its answer."""
    return _NEXT_EXAMPLE.split(text, maxsplit=1)[0]


def read_number(line: str) -> Fraction | None:
    """Return the number that a line consists of, a unit behind it aside; `None` if it is anything else."""
    if len(line) > _MAX_CHARACTERS:
        return None
    line = "".join(_fold(character) for character in line).strip().strip("*_").strip()
    match = _ANSWER.fullmatch(line)
    if match is None or not _UNIT.fullmatch(match["rest"]):
        return None
    prefix = match["prefix"].replace(" ", "")
    if prefix not in _PREFIXES:
        return None
    number = Fraction(match["number"].replace(",", "").replace(" ", "").rstrip("."))
    if match["exponent"]:
        exponent = int(match["exponent"])
        if abs(exponent) > _MAX_EXPONENT:
            return None
        number *= Fraction(10) ** exponent
    if match["denominator"]:
        if "." in match["number"] or not int(match["denominator"]):
            return None
        number /= int(match["denominator"])
    return -number if "-" in prefix else number


def _fold(character: str) -> str:
    if character == "−":  # U+2212
        return "-"
    if character.isascii() or unicodedata.decomposition(character).startswith(_NOT_FOLDED):
        return character
    return unicodedata.normalize("NFKC", character)
