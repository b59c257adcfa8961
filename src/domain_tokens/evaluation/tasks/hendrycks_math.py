r"""MATH (Hendrycks et al. 2021, https://arxiv.org/abs/2103.03874): competition problems whose answer is a number.

The columns are those of the data set on the Hub, `EleutherAI/hendrycks_math`. The right answer is what the solution
puts into its last `\boxed{}`; problems whose answer is an expression, an interval or a word are left out.
"""

import re

from domain_tokens.evaluation.tasks._base import Problem
from domain_tokens.evaluation.tasks._columns import Columns
from domain_tokens.evaluation.tasks._word_problems import WordProblems

# The box must contain a number and nothing else: a wrong gold is worse than a problem left out.
_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?%?")
_FRACTION = re.compile(r"(-?)(?:\\[dt]?frac\s*(?:\{(\d+)\}\s*\{(\d+)\}|\s(\d)\s*(\d)|(\d)(\d))|(\d+)/(\d+))")
_ONE_DIGIT = re.compile(r"\s*(\d)(?!\d|[.,/]\d)")


class HendrycksMath(WordProblems):
    """Rows of `problem`, `solution`, `level`, `type`; a group is the subject."""

    name = "hendrycks_math"
    data = "hendrycks_math"
    columns = ("problem", "solution", "level", "type")
    answer_column = "solution"
    some_have_no_number = True

    def read(self, row: Columns) -> Problem:
        """Return the question of a row."""
        solution = row.text("solution")
        return {
            "question": row.text("problem"),
            "gold": _as_text(_boxed(solution)),
            "group": row.text("type"),
            "steps": solution,
        }


def _boxed(solution: str) -> str:
    r"""Return what the last `\boxed{...}` holds, up to its own closing brace; nothing if there is none."""
    _, mark, rest = solution.rpartition("\\boxed")
    if not mark:
        return ""
    if not rest.startswith("{"):
        digit = _ONE_DIGIT.match(rest)  # \boxed 5
        return digit[1] if digit else ""
    depth = 0
    for end, character in enumerate(rest):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return rest[1:end]
    return ""


def _as_text(answer: str) -> str:
    r"""Return a number without LaTeX, `\frac{1}{2}` as 1/2 and `10,\!000` as 10,000, and nothing for all else."""
    answer = answer.replace("\\!", "").replace("{,}", ",").replace("\\%", "%").strip()
    answer = answer.removeprefix("\\$").strip()
    fraction = _FRACTION.fullmatch(answer)
    if fraction:
        sign, *parts = (part for part in fraction.groups() if part is not None)
        return sign + "/".join(parts)
    return answer if _NUMBER.fullmatch(answer) else ""


TASK = HendrycksMath()
