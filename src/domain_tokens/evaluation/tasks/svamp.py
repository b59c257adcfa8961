"""SVAMP (Patel et al. 2021, https://arxiv.org/abs/2103.07191): one-step problems that differ in small ways."""

from domain_tokens.evaluation.tasks._base import Problem
from domain_tokens.evaluation.tasks._columns import Columns
from domain_tokens.evaluation.tasks._word_problems import WordProblems, joined


class SVAMP(WordProblems):
    """Rows of `Body`, `Question`, `Equation`, `Answer`, `Type`; a group is the kind of operation."""

    name = "svamp"
    data = "svamp"
    columns = ("Body", "Question", "Equation", "Answer", "Type")
    answer_column = "Answer"

    def read(self, row: Columns) -> Problem:
        """Return the question of a row."""
        answer = row.number("Answer")
        return {
            "question": joined(row.text("Body", may_be_empty=True), row.text("Question")),
            "gold": answer,
            # One of the 1,000 published rows misspells its kind.
            "group": row.text("Type").replace("Divison", "Division"),
            "steps": f"{row.text('Equation')} = {answer}",
        }


TASK = SVAMP()
