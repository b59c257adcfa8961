"""ASDiv (Miao et al. 2020, https://aclanthology.org/2020.acl-main.92): problems of many kinds, for ages 6 to 12.

The columns are those of the data set on the Hub, `EleutherAI/asdiv`. Problems whose answer is no single number
(ratios, names, several numbers) are left out.
"""

import re

from domain_tokens.evaluation.tasks._base import Problem, RawRow
from domain_tokens.evaluation.tasks._word_problems import WordProblems, joined

_UNIT = re.compile(r"\([^()]*\)$")  # at the end: `5 (dimes); 3 (nickels)` stays two numbers


class ASDiv(WordProblems):
    """Rows of `body`, `question`, `solution_type`, `answer` (`9 (apples)`), `formula` (`7+2=9`)."""

    name = "asdiv"
    data = "asdiv"
    columns = ("body", "question", "solution_type", "answer", "formula")

    def read(self, raw: RawRow) -> Problem:
        """Return the question of a row."""
        return {
            "question": joined(raw["body"], raw["question"]),
            "gold": _UNIT.sub("", str(raw["answer"]).strip()).strip(),
            "group": str(raw["solution_type"]),
            "steps": str(raw["formula"]),
        }


TASK = ASDiv()
