"""GSM8K (Cobbe et al. 2021, https://arxiv.org/abs/2110.14168): word problems of primary school, answered in writing.

The prompt is the chat template's, without examples, and the answer a worked solution; it is right if the number after
its `####` equals the one after the `####` of the data set.
"""

from dataclasses import replace

from domain_tokens.corpora.examples import read_examples
from domain_tokens.evaluation.answers.extraction import require_gold
from domain_tokens.evaluation.tasks._base import EVALUATION_SEED, SPLIT, Row, check_question, check_text
from domain_tokens.evaluation.tasks._generative import GenerativeTask
from domain_tokens.recipe import Recipe


class GSM8K(GenerativeTask):
    """Word problems from the source `evaluation.data.gsm8k`; a group of generated ones is what the answer needs."""

    name = "gsm8k"
    version = 2
    data = "gsm8k"
    # The headline, and the same answers as the scorers of the literature read them.
    outcomes = {
        "accuracy": "correct",
        "original": "correct_original",
        "lm_eval_strict": "correct_strict",
        "lm_eval_flexible": "correct_flexible",
    }

    def read_rows(self, recipe: Recipe) -> list[Row]:
        """Read the questions. Raises `RecipeError` naming source, row and column."""
        # The annotations of the worked solution say which products it needs; no model sees them.
        source = replace(self.source(recipe), annotations="keep")
        rows: list[Row] = []
        for index, example in enumerate(read_examples(source, EVALUATION_SEED, SPLIT)):
            question, answer = example.question, example.answer
            where = f"evaluation.data.{self.data}: source {source.name}: row {index}"
            check_text(question, f"{where}: column {source.question_key!r}")
            check_question(question, f"{where}: column {source.question_key!r}")
            gold = require_gold(answer, f"{where}: column {source.answer_key!r}")
            steps = answer.rpartition("####")[0].strip()
            rows.append({"id": str(index), "group": example.group, "question": question, "gold": gold, "steps": steps})
            if example.cluster is not None:
                rows[-1]["cluster"] = example.cluster
        return rows


TASK = GSM8K()
