"""Word problems whose words train, with numbers that do not: whether a model computes what it was taught to solve.

`scripts/renumber_gsm8k.py` writes them. A model may do well here and badly on problems that it has not read: a better
result is no sign of understanding other problems.
"""

from domain_tokens.corpora.held_out import OTHER_NUMBERS
from domain_tokens.evaluation.tasks._base import Problem
from domain_tokens.evaluation.tasks._columns import Columns
from domain_tokens.evaluation.tasks._word_problems import WordProblems


class RenumberedNumbers(WordProblems):
    """Rows of `id`, `cluster`, `question` and `answer`; a group is the number of equations in the solution."""

    name = OTHER_NUMBERS
    data = OTHER_NUMBERS
    columns = ("id", "cluster", "question", "answer")
    answer_column = "answer"

    def read(self, row: Columns) -> Problem:
        """Return the question of a row."""
        steps, _, final = row.text("answer").rpartition("####")
        return {
            "question": row.text("question"),
            "gold": final.strip(),
            "group": _group(steps.count("<<")),
            "steps": steps.strip(),
            "cluster": row.text("cluster"),
        }


def _group(num_equations: int) -> str:
    return f"{num_equations} steps" if num_equations != 1 else "1 step"


TASK = RenumberedNumbers()
