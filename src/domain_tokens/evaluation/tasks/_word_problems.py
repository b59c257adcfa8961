"""Word problems other than GSM8K's, each data set with its own columns."""

import logging
from abc import abstractmethod

from domain_tokens.corpora.sources import read_rows
from domain_tokens.evaluation.answers.extraction import extract_answer
from domain_tokens.evaluation.tasks._base import EVALUATION_SEED, SPLIT, Problem, RawRow, Row, check_text
from domain_tokens.evaluation.tasks._generative import GenerativeTask
from domain_tokens.recipe import Recipe, RecipeError

logger = logging.getLogger(__name__)


class WordProblems(GenerativeTask):
    """A data set of problems, each with one number as its answer.

    Attributes:
        columns: the columns that a row has to have.
    """

    columns: tuple[str, ...]

    @abstractmethod
    def read(self, raw: RawRow) -> Problem:
        """Return the question of a row that has all columns, with the right answer as the data has it."""

    def read_rows(self, recipe: Recipe) -> list[Row]:
        """Read the problems that one number answers. Raises `RecipeError` naming source, row and column."""
        source = self.source(recipe)
        rows: list[Row] = []
        num_left_out = 0
        for index, raw in enumerate(read_rows(source, EVALUATION_SEED, SPLIT)):
            where = f"evaluation.data.{self.data}: source {source.name}: row {index}"
            for column in self.columns:
                if column not in raw:
                    raise RecipeError(f"{where} has no column {column!r}; it has {', '.join(map(repr, raw))}")
            problem = self.read(raw)
            check_text(problem["question"], where)
            number = extract_answer(f"#### {problem['gold']}")
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


def joined(*parts: object) -> str:
    """Return the parts of a question as one text."""
    return " ".join(str(part).strip() for part in parts if str(part).strip())
