"""Word problems other than GSM8K's, each data set with its own columns."""

import logging
from abc import abstractmethod

from domain_tokens.corpora.sources import read_rows
from domain_tokens.evaluation.answers.extraction import read_number
from domain_tokens.evaluation.tasks._base import EVALUATION_SEED, SPLIT, Problem, Row, check_text
from domain_tokens.evaluation.tasks._columns import Columns
from domain_tokens.evaluation.tasks._generative import GenerativeTask
from domain_tokens.recipe import Recipe, RecipeError

logger = logging.getLogger(__name__)


class WordProblems(GenerativeTask):
    """A data set of problems, each with one number as its answer.

    Attributes:
        columns: the columns that a row has to have.
        answer_column: the one with the right answer.
        some_have_no_number: whether the published data has problems that no single number answers. They are left out;
            elsewhere such a row is a mistake in the file, and refused.
    """

    columns: tuple[str, ...]
    answer_column: str
    some_have_no_number: bool = False

    @abstractmethod
    def read(self, row: Columns) -> Problem:
        """Return the question of a row, with the right answer as the data has it."""

    def read_rows(self, recipe: Recipe) -> list[Row]:
        """Read the problems that one number answers. Raises `RecipeError` naming source, row and column."""
        source = self.source(recipe)
        rows: list[Row] = []
        num_left_out = 0
        for index, raw in enumerate(read_rows(source, EVALUATION_SEED, SPLIT)):
            row = Columns(raw, f"evaluation.data.{self.data}: source {source.name}: row {index}")
            row.check_names(self.columns)
            problem = self.read(row)
            check_text(problem["question"], row.where)
            number = read_number(problem["gold"])
            if number is None and not self.some_have_no_number:
                raise row.error(self.answer_column, "one number", raw[self.answer_column])
            if number is None:
                num_left_out += 1  # two numbers, a ratio, a word
                continue
            rows.append({"id": str(index), **problem, "gold": str(number)})
        if not rows:
            raise RecipeError(
                f"evaluation.data.{self.data}: source {source.name}: no row has one number as its answer"
            )
        if num_left_out:
            logger.info("%s: skipped %d problems whose answer is not a single number", self.name, num_left_out)
        return rows


def joined(*parts: str) -> str:
    """Return the parts of a question as one text, without those that are empty."""
    return " ".join(part for part in parts if part)
