"""What every task is made of."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from lighteval.models.model_output import ModelResponse
from lighteval.tasks.lighteval_task import LightevalTaskConfig
from lighteval.tasks.requests import Doc
from transformers import PreTrainedTokenizerFast

from domain_tokens.evaluation.answers.answer import AnswerReader
from domain_tokens.recipe import Recipe, RecipeError, Source
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.tokenization.facts import END_OF_TEXT, TOKEN_NAME
from domain_tokens.tokenization.patterns import MARK, SENTINEL

Row = dict[str, Any]
Item = dict[str, Any]

EVALUATION_SEED = 0  # of generated test data: the same items for every condition and every seed of a run
SPLIT = "test"
_TOKEN_NAME = re.compile(f"{re.escape(END_OF_TEXT)}|{TOKEN_NAME}|[{MARK}{SENTINEL}]")


@dataclass(frozen=True)
class Reader:
    """Reads what one model wrote.

    Attributes:
        tokenizer: the model's.
        answers: expands the tokens of the model's answers, and holds the table in whose terms equations are counted.
    """

    tokenizer: PreTrainedTokenizerFast
    answers: AnswerReader


class Task(ABC):
    """One task.

    Attributes:
        name: the task's name in a recipe, in the names of its result files and of the file that defines it.
        version: raised whenever prompts or scoring change, so that older results are not taken for current ones.
        data: the key of `evaluation.data` under which its data is named, or `None` if it makes its own.
        outcomes: for each metric the key of an item that says whether it counts as right; the main metric first.
    """

    name: str
    version: int = 1
    data: str | None = None
    outcomes: dict[str, str]

    @abstractmethod
    def read_rows(self, recipe: Recipe) -> list[Row]:
        """Read and check the task's data, in its fixed order. Raises `RecipeError` naming source, row and column."""

    @abstractmethod
    def config(self, evaluation: Evaluation, answers: AnswerReader) -> LightevalTaskConfig:
        """Return the task as lighteval knows it.

        Args:
            evaluation (`Evaluation`): the recipe's section.
            answers (`AnswerReader`): expands the tokens of an answer before it is scored.
        """

    @abstractmethod
    def generation(self, evaluation: Evaluation) -> dict[str, Any] | None:
        """Return how answers are generated, for the results; `None` where none are."""

    @abstractmethod
    def num_tokens(self, row: Row, evaluation: Evaluation, tokenizer: PreTrainedTokenizerFast) -> tuple[int, int]:
        """Return the tokens of a row's prompt, and of the longest text that may follow it."""

    @abstractmethod
    def item(self, doc: Doc, response: ModelResponse, scores: dict[str, Any], reader: Reader) -> Item:
        """Return one line of the items file."""

    def is_scored(self, item: Item) -> bool:
        """Return whether an item counts; one that does not is written to a file of its own."""
        return True

    def complete(self, items: list[Item]) -> list[Item]:
        """Return the items with what follows from several of them."""
        return items

    @abstractmethod
    def summarize(self, items: list[Item], excluded: list[Item]) -> dict[str, Any]:
        """Return `metrics`, `groups` and counts: of the items that count, and of those set apart."""

    def source(self, recipe: Recipe) -> Source:
        """Return where the task's data is. Raises `RecipeError` if the recipe does not say it."""
        assert self.data is not None
        if self.data not in recipe.evaluation.data:
            raise RecipeError(
                f"evaluation.data.{self.data}: the task {self.name} is listed but its data is not named; expected a "
                "source, for example {name: mine, kind: file, path: data/test.jsonl}"
            )
        return recipe.evaluation.data[self.data]


def check_text(text: str, where: str) -> None:
    """Refuse a text that spells out a token's name: it would be read as that token, and in one condition only.

    Raises:
        RecipeError: naming the row.
    """
    match = _TOKEN_NAME.search(text)
    if match:
        raise RecipeError(f"{where}: the text holds {match.group()!r}, the name of a token; remove the row")


def mean(values: list[float]) -> float:
    return sum(values) / len(values)
