"""ASDiv (Miao et al. 2020, https://aclanthology.org/2020.acl-main.92): problems of many kinds, for ages 6 to 12.

The columns are those of the data set on the Hub, `EleutherAI/asdiv`. Problems whose answer is no single number
(ratios, names, several numbers) are left out.
"""

import re

from domain_tokens.evaluation.answers.notation import other_number
from domain_tokens.evaluation.tasks._base import Problem
from domain_tokens.evaluation.tasks._columns import Columns
from domain_tokens.evaluation.tasks._word_problems import WordProblems, joined

# At the end: `5 (dimes); 3 (nickels)` stays two numbers. `-(1/3)` is a number and no unit, and so is `3 (2/5)`.
_UNIT = re.compile(r"(?<=[\w%.)])\s*\((?P<unit>[^()]*[^\W\d_][^()]*)\)$")


class ASDiv(WordProblems):
    """Rows of `body`, `question`, `solution_type`, `answer` (`9 (apples)`), `formula` (`7+2=9`)."""

    name = "asdiv"
    data = "asdiv"
    columns = ("body", "question", "solution_type", "answer", "formula")
    answer_column = "answer"
    some_have_no_number = True

    def read(self, row: Columns) -> Problem:
        """Return the question of a row."""
        return {
            "question": joined(row.text("body", may_be_empty=True), row.text("question")),
            "gold": _without_unit(row.number("answer")),
            "group": row.text("solution_type"),
            "steps": row.text("formula", may_be_empty=True),
        }


def _without_unit(answer: str) -> str:
    """Return an answer without its unit; whole if the unit makes another number of it, as that of `12 (dozen)`."""
    match = _UNIT.search(answer.strip())
    return answer if match is None or other_number(f" {match['unit']}") else answer[: match.start()].strip()


TASK = ASDiv()
