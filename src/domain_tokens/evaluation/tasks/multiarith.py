"""MultiArith (Roy and Roth 2015, https://aclanthology.org/D15-1202): problems of two or more steps.

The columns are those of the data set on the Hub, `ChilleD/MultiArith`.
"""

from domain_tokens.evaluation.tasks._base import Problem, RawRow
from domain_tokens.evaluation.tasks._word_problems import WordProblems, joined


class MultiArith(WordProblems):
    """Rows of `question` and `final_ans`."""

    name = "multiarith"
    data = "multiarith"
    columns = ("question", "final_ans")

    def read(self, raw: RawRow) -> Problem:
        """Return the question of a row."""
        return {"question": joined(raw["question"]), "gold": str(raw["final_ans"]), "group": None, "steps": ""}


TASK = MultiArith()
