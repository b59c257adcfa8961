"""SVAMP (Patel et al. 2021, https://arxiv.org/abs/2103.07191): one-step problems that differ in small ways."""

from domain_tokens.evaluation.tasks._base import Problem, RawRow
from domain_tokens.evaluation.tasks._word_problems import WordProblems, joined


class SVAMP(WordProblems):
    """Rows of `Body`, `Question`, `Equation`, `Answer`, `Type`; a group is the kind of operation."""

    name = "svamp"
    data = "svamp"
    columns = ("Body", "Question", "Equation", "Answer", "Type")

    def read(self, raw: RawRow) -> Problem:
        """Return the question of a row."""
        return {
            "question": joined(raw["Body"], raw["Question"]),
            "gold": str(raw["Answer"]),
            # One of the 1,000 published rows misspells its kind.
            "group": str(raw["Type"]).replace("Divison", "Division"),
            "steps": f"{raw['Equation']} = {raw['Answer']}",
        }


TASK = SVAMP()
