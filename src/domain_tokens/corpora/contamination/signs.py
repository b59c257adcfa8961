"""The digits and signs of arithmetic in a text, by which short questions are compared beside their words.

Words alone would make `(2 + 3) * 4` a copy of `2 + 3 * 4`, and `20%` one of `20`. A sign counts between two operands,
a minus before one, a bracket around a calculation; a hyphen, a bullet or an asterisk of emphasis does not.
"""

import re
import unicodedata

from domain_tokens.corpora.contamination.markup import plain_text

_BULLET = re.compile(r"^[ \t>|]*[-*+•·–] +(?=\S)", re.MULTILINE)
_EMPHASIS = re.compile(r"(?<![\w)*])(\*{1,3})(?=[^\s*])([^*\n]+?)(?<=\S)\1(?![\w*])|[_~`]")
_CURRENCY = re.compile(r"[$€£¥₹]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_VARIABLE = r"(?<![^\W\d_])[^\W\d_](?![^\W\d_])"
_LEFT, _RIGHT = rf"(?:[\d)%!]|{_VARIABLE})", rf"(?:[\d(√]|{_VARIABLE})"
_READ = re.compile(
    r"(?P<number>\d+(?:[.,:]\d+)*)|(?<=\d) ?(?P<percent>%)|(?<=[\d)])(?P<factorial>!)(?=\s*[?)+*/^=-])|(?P<root>√)"
    r"|(?P<bracket>[()])|(?P<sign>\*\*|[-+*/^=<>])"
)
_BEFORE, _AFTER = re.compile(rf"{_LEFT}\s*\Z"), re.compile(rf"\s*-?{_RIGHT}")
_MINUS = re.compile(rf"-{_RIGHT}")
_ONE_SIGN = str.maketrans(
    {**dict.fromkeys("−‐‑‒–—", "-"), **dict.fromkeys("×·⋅∗", "*"), **dict.fromkeys("÷∕⁄", "/")}
)  # fmt: skip
_CALCULATION = frozenset(("-", "+", "*", "/", "^", "**"))


def signs_of(text: str) -> str:
    """Return the numbers and signs of arithmetic in a text, in its order."""
    plain = unicodedata.normalize("NFKC", _BULLET.sub("", plain_text(text)))
    plain = _THOUSANDS.sub("", _CURRENCY.sub("", _EMPHASIS.sub(r"\2", plain)).translate(_ONE_SIGN))
    found = [
        match.group().strip().replace("**", "^")
        for match in _READ.finditer(plain)
        if match.lastgroup != "sign" or _is_sign(match, plain)
    ]
    if _CALCULATION.isdisjoint(found):  # a bracket of prose
        return " ".join(one for one in found if one not in "()")
    while _are_enclosed(found):
        found = found[1:-1]
    return " ".join(found)


def _is_sign(match: "re.Match[str]", text: str) -> bool:
    if _AFTER.match(text, match.end()) is None:
        return False
    is_between = _BEFORE.search(text[max(match.start() - 8, 0) : match.start()]) is not None
    return is_between or _MINUS.match(text, match.start()) is not None


def _are_enclosed(found: list[str]) -> bool:
    """Return whether the first bracket is closed by the last, and so says nothing."""
    depth = 0
    for index, one in enumerate(found):
        depth += (one == "(") - (one == ")")
        if depth == 0:
            return index == len(found) - 1 and found[0] == "("
    return False
