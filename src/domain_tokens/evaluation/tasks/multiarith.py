"""MultiArith (Roy and Roth 2015, https://aclanthology.org/D15-1202): problems of two or more steps.

The columns are those of the data set on the Hub, `ChilleD/MultiArith`.
"""

from domain_tokens.evaluation.tasks._base import Problem
from domain_tokens.evaluation.tasks._columns import Columns
from domain_tokens.evaluation.tasks._word_problems import WordProblems


class MultiArith(WordProblems):
    """Rows of `question` and `final_ans`."""

    name = "multiarith"
    data = "multiarith"
    columns = ("question", "final_ans")
    answer_column = "final_ans"

    def read(self, row: Columns) -> Problem:
        """Return the question of a row."""
        return {"question": row.text("question"), "gold": row.number("final_ans"), "group": None, "steps": ""}


TASK = MultiArith()
