r"""MATH (Hendrycks et al. 2021, https://arxiv.org/abs/2103.03874): competition problems, those that a number answers.

The columns are those of the data set on the Hub, `EleutherAI/hendrycks_math`. The right answer is what the solution
puts into its last `\boxed{}`; problems whose answer is an expression, an interval or a word are left out.
"""

import re

from domain_tokens.evaluation.task import Row
from domain_tokens.evaluation.word_problems import WordProblems

_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{(\d+)\}\s*\{(\d+)\}|(\d)\s*(\d))")
_SPACING = re.compile(r"\\[!,;: ]|\\(?:left|right|quad)\b|\\\$")


class HendrycksMath(WordProblems):
    """Rows of `problem`, `solution`, `level`, `type`; a group is the subject."""

    name = "hendrycks_math"
    data = "hendrycks_math"
    columns = ("problem", "solution", "level", "type")

    def read(self, raw: Row) -> Row:
        return {
            "question": str(raw["problem"]).strip(),
            "gold": _as_text(_boxed(str(raw["solution"]))),
            "group": str(raw["type"]),
            "steps": str(raw["solution"]),
        }


def _boxed(solution: str) -> str:
    r"""Return what the last `\boxed{...}` holds, up to its own closing brace; nothing if there is none."""
    _, mark, rest = solution.rpartition("\\boxed")
    if not mark:
        return ""
    if not rest.startswith("{"):
        return rest.lstrip()[:1]  # \boxed 5
    depth = 0
    for end, character in enumerate(rest):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return rest[1:end]
    return ""


def _as_text(answer: str) -> str:
    r"""Return an answer without LaTeX where that is spelling alone: `\frac{1}{2}` is 1/2, `10,\!000` is 10,000."""
    answer = _SPACING.sub("", answer).strip().strip("$")
    return _FRACTION.sub(lambda match: "/".join(group for group in match.groups() if group), answer)


TASK = HendrycksMath()
