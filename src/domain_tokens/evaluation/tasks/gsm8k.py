"""GSM8K (Cobbe et al. 2021, https://arxiv.org/abs/2110.14168): word problems of primary school, answered in writing.

The prompt is the chat template's, without examples; an answer is right if the number after its `####` equals the one
after the `####` of the data set.
"""

from domain_tokens.corpora.sources import read_examples
from domain_tokens.evaluation.answers import extract_answer
from domain_tokens.evaluation.tasks.base import EVALUATION_SEED, SPLIT, Row, check_text
from domain_tokens.evaluation.tasks.written import WrittenTask
from domain_tokens.recipe import Recipe, RecipeError


class GSM8K(WrittenTask):
    """Word problems from the source `evaluation.gsm8k`."""

    name = "gsm8k"

    def read_rows(self, recipe: Recipe) -> list[Row]:
        source = recipe.evaluation.gsm8k
        if source is None:
            raise RecipeError("evaluation.gsm8k: the task gsm8k is listed but its data is not named")
        rows = []
        for index, (question, answer) in enumerate(read_examples(source, EVALUATION_SEED, SPLIT)):
            where = f"evaluation.gsm8k: source {source.name}: row {index}"
            check_text(question, f"{where}: column {source.question_key!r}")
            if extract_answer(answer) is None:
                raise RecipeError(
                    f"{where}: column {source.answer_key!r}: expected an answer that ends with `#### <number>`, "
                    f"got {answer[-60:]!r}"
                )
            gold = answer.rpartition("####")[2].strip()
            rows.append({"id": str(index), "group": None, "question": question, "gold": gold})
        return rows
