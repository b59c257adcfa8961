"""The base class of all tasks, and the types of their rows."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NotRequired, TypedDict, TypeVar

from domain_tokens.corpora.synthetic import EVALUATION_SEED as EVALUATION_SEED
from domain_tokens.evaluation.answers.answer import AnswerReader
from domain_tokens.local_data.row import check_characters, check_present
from domain_tokens.recipe import Recipe, RecipeError, Source
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.runs.records import Fields, Item, TaskSummary
from domain_tokens.tokenization.facts import END_OF_TEXT, TOKEN_NAME
from domain_tokens.tokenization.patterns import NONCHARACTERS
from domain_tokens.tokenization.side_record.code import SideCode

if TYPE_CHECKING:  # these imports take seconds, and a recipe's tasks are checked before any stage runs
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from domain_tokens.evaluation.encodings import Encode
    from domain_tokens.evaluation.models._lighteval import Doc, LightevalTaskConfig, ModelResponse
    from domain_tokens.evaluation.models.inference import Decoding

SPLIT = "test"
_TOKEN_NAME = re.compile(f"{re.escape(END_OF_TEXT)}|{TOKEN_NAME}|[{NONCHARACTERS}]")

RawRow = Mapping[str, object]
"""One row of a data set, with the columns of its publishers."""


class Problem(TypedDict):
    """A question and its right answer, as a data set gives them."""

    group: str | None
    question: str
    gold: str
    steps: NotRequired[str]
    """A worked solution; absent or empty where there is none."""
    problem: NotRequired[str]
    """The same for questions that ask the same in different spellings."""
    cluster: NotRequired[str]
    """What the question shares with others that ask the same: template and numbers; absent where nothing is shared."""


class Row(Problem):
    """A question to answer in writing; its id is unique within the task."""

    id: str


class SolvedRow(TypedDict):
    """A question and its worked solution."""

    id: str
    question: str
    answer: str
    cluster: NotRequired[str]


class ChoiceRow(TypedDict):
    """A context and its endings; `label` is the index of the right one."""

    id: str
    question: str
    choices: list[str]
    label: int
    cluster: NotRequired[str]


RowType = TypeVar("RowType", bound=Mapping[str, object])
ItemType = TypeVar("ItemType", bound=Item)


@dataclass(frozen=True)
class Reader:
    """Reads what one model wrote.

    Attributes:
        tokenizer: the model's.
        answers: expands the tokens of the model's answers, and holds the table in whose terms equations are counted.
    """

    tokenizer: "PreTrainedTokenizerFast"
    answers: AnswerReader


@dataclass(frozen=True)
class Evaluated:
    """A model and how a task runs it.

    Attributes:
        model: the model.
        settings: the recipe's section.
        decoding: how answers are written.
        encode: how prompts are encoded.
        reader: reads what the model writes.
        side_code: of the side record, for tasks that ask for one.
    """

    model: "PreTrainedModel"
    settings: Evaluation
    decoding: "Decoding"
    encode: "Encode"
    reader: Reader
    side_code: SideCode


class BaseTask(ABC, Generic[RowType, ItemType]):
    """One task: its rows, how a model is run on them, and how the result is scored.

    Attributes:
        name: the task's name in a recipe, in the names of its result files and of the file that defines it.
        version: raised whenever prompts or scoring change, so that older results are not taken for current ones.
        data: the key of `evaluation.data` under which its data is named, or `None` if it makes its own.
        outcomes: for each metric the key of an item that says whether it counts as right, or gives its value; the main
            metric first.
        units: the unit of each metric that is a mean of values and not of right items.
        lower_is_better: the metrics of which a lower value is better.
        needs_side_code: whether it counts what rewriting drops from a text.
    """

    name: str
    version: int = 1
    data: str | None = None
    outcomes: dict[str, str]
    units: Mapping[str, str] = {}
    lower_is_better: tuple[str, ...] = ()
    needs_side_code: bool = False

    @abstractmethod
    def read_rows(self, recipe: Recipe) -> list[RowType]:
        """Read and check the task's data, in its fixed order. Raises `RecipeError` naming source, row and column."""

    def rows(self, recipe: Recipe) -> list[RowType]:
        """Read the task's data and check what every row must have, those of tasks outside the package too.

        Raises:
            RecipeError: naming source or task, row, and column or key.
        """
        rows = self.read_rows(recipe)
        for row in rows:
            self.check_row(row, f"task {self.name}: row {row.get('id')!r}")
        return rows

    def check_row(self, row: RowType, where: str) -> None:
        """Check that a row asks something, and that its choices are texts. Raises `RecipeError` naming row and key."""
        question, choices, label = row.get("question"), row.get("choices"), row.get("label")
        if not isinstance(question, str):
            raise RecipeError(f"{where}: question: expected text, got {type(question).__name__}")
        check_question(question, f"{where}: question")
        if choices is None:
            return
        if not isinstance(choices, list) or len(choices) < 2 or not all(map(_is_filled_text, choices)):
            raise RecipeError(f"{where}: choices: expected two texts or more, none of them empty, got {choices!r:.80}")
        if len({choice.strip() for choice in choices}) < len(choices):
            raise RecipeError(f"{where}: choices: expected texts that differ, got {choices!r:.80}")
        if type(label) is not int or not 0 <= label < len(choices):
            raise RecipeError(f"{where}: label: expected a whole number below {len(choices)}, got {label!r}")

    @abstractmethod
    def run(self, rows: list[RowType], evaluated: Evaluated) -> list[ItemType]:
        """Run a model on rows and return one line of the items file for each, in their order."""

    @abstractmethod
    def texts(self, row: RowType) -> list[str]:
        """Return the texts of a row that the model's tokenizer encodes: the prompt, or a context and its endings."""

    @abstractmethod
    def generation(self, evaluation: Evaluation) -> Fields | None:
        """Return how answers are generated, for the results; `None` where none are."""

    @abstractmethod
    def num_tokens(
        self, row: RowType, evaluation: Evaluation, tokenizer: "PreTrainedTokenizerFast"
    ) -> tuple[int, int]:
        """Return the tokens of a row's prompt, and of the longest text that may follow it."""

    def is_scored(self, item: ItemType) -> bool:
        """Return whether an item counts; one that does not is written to a file of its own."""
        return True

    def complete(self, items: list[ItemType]) -> list[ItemType]:
        """Return the items with what follows from several of them."""
        return items

    @abstractmethod
    def summarize(self, items: list[ItemType], excluded: list[ItemType]) -> TaskSummary:
        """Return metrics, groups and counts, of the items that count and of those excluded."""

    def source_name(self, recipe: Recipe) -> str:
        """Return the name of the task's data source, `generated <name>` if the generator made it.

        A task that makes its own items has no source: `generated`.
        """
        if self.data is None:
            return "generated"
        source = self.source(recipe)
        return f"generated {source.name}" if source.kind == "synthetic" else source.name

    def source(self, recipe: Recipe) -> Source:
        """Return where the task's data is. Raises `RecipeError` if the recipe does not say it."""
        assert self.data is not None
        if self.data not in recipe.evaluation.data:
            raise RecipeError(
                f"evaluation.data.{self.data}: missing; the task {self.name} is listed in evaluation.tasks; expected "
                "a source, for example {name: mine, kind: file, path: data/test.jsonl}"
            )
        return recipe.evaluation.data[self.data]


class Task(BaseTask[RowType, ItemType]):
    """A task that lighteval runs: answered in writing, or by the likeliest of several texts."""

    @abstractmethod
    def config(self, evaluation: Evaluation, answers: AnswerReader) -> "LightevalTaskConfig":
        """Return the task as lighteval knows it.

        Args:
            evaluation (`Evaluation`): the recipe's section.
            answers (`AnswerReader`): expands the tokens of an answer before it is scored.
        """

    @abstractmethod
    def prompt(self, row: RowType, task_name: str) -> "Doc":
        """Return what the model is asked, and the choices with the index of the right one."""

    @abstractmethod
    def item(self, row: RowType, response: "ModelResponse", scores: Mapping[str, float], reader: Reader) -> ItemType:
        """Return one line of the items file.

        Args:
            row: the question.
            response (`ModelResponse`): what the model wrote, or how likely it finds each choice.
            scores (`Mapping[str, float]`): what the metrics of `config` gave, by their names.
            reader (`Reader`): reads what the model wrote.
        """

    def texts(self, row: RowType) -> list[str]:
        """Return the prompt of a row."""
        return [self.prompt(row, self.name).query]

    def run(self, rows: list[RowType], evaluated: Evaluated) -> list[ItemType]:
        """Run a model on rows through lighteval."""
        from domain_tokens.evaluation.models.lighteval_adapter import run_task

        settings, reader = evaluated.settings, evaluated.reader
        config = self.config(settings, reader.answers)
        details = run_task(
            config, rows, evaluated.model, reader.tokenizer, settings.batch_size, evaluated.decoding, evaluated.encode
        )
        return [
            self.item(row, detail.model_response, detail.metric, reader)
            for row, detail in zip(rows, details, strict=True)
        ]


AnyTask = BaseTask[Any, Any]
"""A task with any type of rows and items."""


def check_text(text: str, where: str) -> None:
    """Refuse a text that spells out a token's name: it would be read as that token, and in one condition only.

    Nor may it hold half of a surrogate pair, which no tokenizer takes.

    Raises:
        RecipeError: naming the row.
    """
    check_characters(text, where)
    match = _TOKEN_NAME.search(text)
    if match:
        raise RecipeError(f"{where}: the text holds {match.group()!r}, the name of a token; remove the row")


def check_question(text: str, where: str) -> None:
    """Refuse a text that asks nothing: without a letter or digit, or the name of a missing value.

    Raises:
        RecipeError: naming the row.
    """
    if not any(character.isalnum() for character in text):
        raise RecipeError(f"{where}: expected text with letters or digits, got {text[:80]!r}; remove the row")
    check_present(text, where)


def _is_filled_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def mean(values: Sequence[float]) -> float:
    """Return the mean of at least one number or truth value."""
    return sum(values) / len(values)
