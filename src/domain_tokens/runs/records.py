"""The JSON that a run leaves on disk: one type for each file, and the functions that read and write them.

A record keeps the keys that it does not know, so a file of a later version loads too. A field with a default is one
that some tasks, stages or earlier versions do not write; when a record is written, only the fields that were given
appear. Where a file's key is older than the name used in the code (`way` for the mode, `measured_as` for the canonical
table), the field says so.

A damaged file raises `RecipeError` with the file, the line and the key.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import read_json, write_json, write_text
from domain_tokens.runs.layout import Mode

Fields = Mapping[str, JsonValue]
"""Free-form values, nested to any depth, that are compared or shown leaf by leaf (`recipe.flatten`)."""

Number = int | float
"""A number that is shown as it was written: `3` stays `3`, and `3.0` stays `3.0`."""


class Record(BaseModel):
    """One JSON object on disk: immutable, unknown keys kept."""

    model_config = ConfigDict(frozen=True, extra="allow", validate_by_name=True, serialize_by_alias=True)

    @classmethod
    def parse(cls, value: object, where: Path | str) -> Self:
        """Return the record that a JSON value holds.

        Args:
            value (`object`): what `json.loads` returned.
            where (`Path | str`): the file, and the line where there are several, for messages.

        Raises:
            RecipeError: naming the file, and the first key that is missing or has a wrong type.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise RecipeError(_describe(error, where)) from error

    def as_json(self) -> dict[str, JsonValue]:
        """Return the record as it stands in its file: the fields that were given, under their keys on disk."""
        return self.model_dump(mode="json", exclude_unset=True)


R = TypeVar("R", bound=Record)


# --- Folders of stages -----------------------------------------------------------------------------------------------


class Environment(Record):
    """What a run depends on beside its recipe; `None` for what was not recorded."""

    python: str | None = None
    """Version, for example `3.11.9`."""
    packages: Mapping[str, str | None] = Field(default_factory=dict)
    """Versions of the libraries, `None` where one is not installed."""
    git_commit: str | None = None
    """Of this repository; `None` where there is no git."""
    git_dirty: bool | None = None
    """Whether tracked files differed from the commit."""
    machine: str | None = None
    """Architecture, for example `x86_64`."""
    system: str | None = None
    """`Linux` or `Darwin`."""
    threads: int | None = None
    """Of torch; sums depend on it in their last digits."""
    command: str | None = None
    """The script's name, without its folder."""
    time_utc: str | None = None
    """When the file was written, ISO 8601, to the second."""


class PreregRecord(Record):
    """The preregistration that a run was started with."""

    file: str
    """Its name, without the folder."""
    sha256: str
    declared: Fields
    """What it says, and `test`, the test of the primary endpoint."""


class SourceRecord(Record):
    """A source of documents or examples, as the inputs of a stage record it; its other fields are those of the recipe.

    `corpora.sources.describe` makes it.
    """

    name: str
    """Its name in the recipe."""
    kind: str
    """`synthetic`, `file` or `hub`."""
    path: JsonValue = None
    """A file, a folder or a data set on the Hub; of `synthetic` none."""
    config: str | None = None
    """The configuration of a data set on the Hub."""
    split: str | None = None
    """The split of a data set on the Hub."""
    sha256: tuple[tuple[str, str], ...] = ()
    """Of `file`: the name and the sha256 of each file."""


class LedgerEntry(Record):
    """What one stage of training consumed, and with which settings; all stages have the same fields."""

    stage: str
    """`pretrain`, `sft/<name>` or `grpo`."""
    steps: int
    """Optimizer steps."""
    tokens: int
    """Positions that the model was trained on, padding among them: what the hardware computes."""
    padding_tokens: int
    """Those of `tokens` that were padding."""
    generated_tokens: int
    """Tokens that the model sampled during training, without padding; 0 outside GRPO."""
    examples: int
    """Sequences, question-answer pairs, or completions trained on."""
    source_bytes: int
    """UTF-8 bytes of the text before any rewriting, without template and end-of-text tokens.

    In GRPO those of the question, counted once for every completion."""
    dataset_tokens: int
    """Tokens of the stage's whole data as this condition encodes it, each example counted once."""
    flops: Number
    """Of training; evaluations in between are not counted."""
    order_sha256: str
    """Hash of the order of the documents or examples."""
    initial_weights_sha256: str
    """Hash of the weights that the stage began with."""
    seeds: Fields
    """`run`, `offset`, `training`, `data` and `corpus`, as they were in force."""
    precision: Fields
    """`mixed` and `tf32`."""
    optimizer: Fields
    """The trainer's arguments of the optimizer, by the library's names."""
    schedule: Fields
    """The trainer's arguments of the schedule, and `max_steps`."""
    wall_time_s: Number
    """Seconds inside the training loop, those before an interruption included."""

    @property
    def kind(self) -> str:
        """`pretrain`, `sft` or `grpo`."""
        return self.stage.partition("/")[0]


class Manifest(Record):
    """`manifest.json`: what a finished stage was made from and what it consumed.

    A folder with a manifest is complete. Corpora and tokenizers have one too, without `ledger` and `matched`.
    """

    stage: str
    condition: str
    seed: int
    """The run's seed, without `seed_offset`."""
    tokenizer_sha256: str | None = None
    """Of the file `tokenizer.json`; only in a tokenizer's folder."""
    neutralized_markers: int | None = None
    """How many names of tokens were made harmless in the text; only in a folder of documents."""
    ledger: tuple[LedgerEntry, ...] = ()
    """One entry for each stage of training behind the folder; fine-tuning has several."""
    matched: Fields = Field(default_factory=dict)
    """What must be equal in every condition."""
    reported: Fields = Field(default_factory=dict)
    """What may differ, and is shown: losses, counts, `weights_sha256`, `seed_offset`."""
    inputs: Fields
    """What the folder was made from; a stage whose inputs differ from these refuses to run."""
    prereg: PreregRecord | None = None
    environment: Environment
    wall_time_s: Number
    """Seconds of the process that finished the folder."""
    files: Mapping[str, str]
    """The sha256 of each file, by its path inside the folder."""

    @property
    def weights_sha256(self) -> str | None:
        """One hash of all weights in the folder, `None` for a folder without a model."""
        value = self.reported.get("weights_sha256")
        return None if value is None else str(value)


class CorpusAccount(Record):
    """What a corpus consists of, as its manifest reports it: the training split, and each split under its name."""

    documents: int
    source_bytes: int
    """UTF-8 bytes of the documents before any rewriting."""
    tokens: int
    """End-of-text tokens included."""
    facts: int
    """How many of them are facts."""
    facts_by_token: Mapping[str, int] = Field(default_factory=dict)
    rare_facts: tuple[str, ...] = ()
    """The names of those that hardly occur."""


class EvaluationManifest(Record):
    """`manifest.json` of a folder of results: written when all results of a run are there."""

    stage: str
    inputs: Fields
    """`weights` (a hash for each model), `sources` (the tasks' data) and `tasks` (a hash for each external task)."""


class Counts(Record):
    """`counts.json` of a checkpoint: what its stage had consumed, summed over processes and completed steps."""

    tokens: int
    padding_tokens: int
    generated_tokens: int
    examples: int
    source_bytes: int
    squared_lengths: int
    """The squared lengths of all rows, which is what attention costs."""
    seconds: Number
    """Inside the training loop."""


class MetricsRow(Record):
    """One line of `metrics.jsonl`: what a trainer logged at a step, under the trainer's own names.

    Losses are in nats a token; `memory_bytes`, `step_time_s`, `tokens_per_s` and `mfu` (a fraction of the device's
    peak) carry their units in their names.
    """

    __pydantic_extra__: dict[str, JsonValue]

    step: int
    """Optimizer steps of the stage so far."""
    stage: str | None = None
    """The name of the stage of fine-tuning; absent elsewhere."""

    def value(self, metric: str) -> Number | None:
        """Return a logged number, `None` where this row has none."""
        found = self.__pydantic_extra__.get(metric)
        return found if isinstance(found, int | float) else None


# --- Evaluation ------------------------------------------------------------------------------------------------------


class GroupResult(Record):
    """The accuracy of one group of items, a fraction of 1."""

    accuracy: float
    num_items: int


class TaskSummary(Record):
    """What a task computes from its items."""

    num_items: int
    """Items that count."""
    metrics: Mapping[str, float]
    """Means over the items that count, as fractions of 1; the main metric first."""
    groups: Mapping[str, GroupResult] = Field(default_factory=dict)
    """The same for each group of items, where there are groups."""
    facts_per_response: float | None = None
    """The mean number of facts written in an answer; `None` where nothing is written."""
    tokens_per_response: float | None = None
    """The mean length of an answer, in tokens."""
    unfinished: int | None = None
    """How many answers reached the limit without an end."""
    num_items_with_products: int | None = None
    """Of HellaSwag: how many items are excluded because an ending holds a product."""
    metrics_with_products: Mapping[str, float] | None = None
    """Of HellaSwag: the metrics of the excluded items."""


class TaskIdentity(Record):
    """What was run and how; other values make a result stale."""

    task: str
    mode: Mode = Field(validation_alias=AliasChoices("way", "mode"), serialization_alias="way")
    task_version: int = 1
    """Raised by a task when prompts or scoring change, so that older results are made anew."""
    task_sha256: str | None = None
    """Of the file that defines the task, where it lies outside the package."""
    outcomes: Mapping[str, str]
    """For each metric the key of an item that says whether it counts as right; the main metric first."""
    data_sha256: str
    """Hash of the items' rows: questions and right answers."""
    max_samples: int | None
    """Only this many items were run; `None` for all."""
    canonical_table_sha256: str | None = Field(
        default=None,
        validation_alias=AliasChoices("measured_as", "canonical_table_sha256"),
        serialization_alias="measured_as",
    )
    """Of the file in whose terms equations are counted; `None` for the experiment's own table."""
    generation: Fields | None
    """How answers are generated; `None` where a task chooses among given texts."""


class ModelIdentity(Record):
    """The model that was evaluated; other values make a result stale."""

    condition: str
    seed: int
    model: str
    """`sft_final`, or the name of a checkpoint."""
    weights_sha256: str
    tokenizer_sha256: str


# On disk the fields of the last base come first.
class TaskResult(TaskSummary, ModelIdentity, TaskIdentity):
    """`<task>_results.json`: one task of one model, run in one mode."""

    num_too_long: int = 0
    """Items whose prompt or answer does not fit into the model's context and is cut."""
    environment: Environment | None = None
    wall_time_s: Number = 0.0
    """Seconds that it took to run."""


class Item(Record):
    """One line of `<task>_items.jsonl`: a question, and what the model made of it.

    Tasks add keys of their own, and `TaskResult.outcomes` names those that say whether an item is right.
    """

    id: Annotated[str, BeforeValidator(str)]
    group: str | None = None
    """The group of items that this one belongs to, if any."""
    question: str

    def is_right(self, key: str) -> bool:
        """Return whether the item counts as right.

        Args:
            key (`str`): a value of `TaskResult.outcomes`.
        """
        return bool(getattr(self, key))


class EquationRecord(Record):
    """An equation that an answer states; `evaluation.equations.Equation` says what the values mean."""

    start: int
    """Its first character in the answer."""
    end: int
    """Behind its last character."""
    text: str
    right: bool
    rounded: bool
    kind: str
    """`product`, `sum`, `difference`, `quotient` or `mixed`."""
    pair: tuple[int, int] | None
    """The operands, the smaller one first, if the equation is one of the table."""
    form: str
    """`fact`, `digits` or `named`."""
    origin: str
    """`computed` or `copied`."""
    in_table: bool


class GenerativeItem(Item):
    """A question that the model answered in writing."""

    gold: str
    """The right answer."""
    answer: str
    """What the model wrote, in its own tokens."""
    number: str | None = None
    """The number read from the answer, if there is one."""
    correct: bool
    """By the definition that the rewards use."""
    correct_original: bool | None = None
    correct_strict: bool | None = None
    correct_flexible: bool | None = None
    num_tokens: int | None = None
    """The length of the answer."""
    num_facts: int | None = None
    """How many of these tokens are facts."""
    finished: bool | None = None
    """Whether the model ended its answer."""
    error_type: str | None = Field(
        default=None, validation_alias=AliasChoices("mistake", "error_type"), serialization_alias="mistake"
    )
    """`right`, `unfinished`, `format`, `arithmetic` or `reasoning`."""
    equations: tuple[EquationRecord, ...] | None = None
    """Every equation that the answer states, in order."""
    facts_needed: tuple[tuple[int, int], ...] | None = Field(
        default=None, validation_alias=AliasChoices("needed", "facts_needed"), serialization_alias="needed"
    )
    """The pairs of the table that the worked solution multiplies; `None` where the data has no solution."""
    samples: tuple[str, ...] | None = None
    """Of mode `sampled`: all answers drawn."""
    num_right: int | None = None
    """How many of them are right."""
    majority_correct: bool | None = None
    """Whether the commonest number among them is right."""
    consistent: bool | None = None
    """Of `notations`: whether all forms of the question were given one number."""
    commutes: bool | None = None
    """Of `notations`: whether `a*b` and `b*a` were."""


class ChoiceItem(Item):
    """A context, and the endings of which the model finds one the likeliest."""

    choices: tuple[str, ...]
    label: int
    """The index of the right ending."""
    logprobs: tuple[float, ...]
    """The log-probability of each ending, in nats."""
    prediction: int
    """The index of the likeliest ending."""
    prediction_norm: int
    """The same after dividing by the number of characters."""
    correct: bool
    correct_norm: bool
    has_product: bool = False
    """Of HellaSwag: whether an ending holds a product, so that the item is excluded."""


# --- Checkpoints -----------------------------------------------------------------------------------------------------


class DocumentBits(Record):
    """One line of `documents.jsonl`: what it takes to send one document of the validation text."""

    id: str
    source: str
    bytes: int
    """UTF-8 bytes of the text before any rewriting."""
    tokens: int
    """Tokens, the end of the document included."""
    sites: int
    """Places that the canonical table rewrites."""
    dropped: int
    """Entries of the tokenizer's own side record."""
    model_bits: float
    side_bits: float
    """Bits of the side record, coded after those of the documents before."""


class BitsSummary(Record):
    """Sums over documents, and bits per source byte."""

    documents: int
    bytes: int
    tokens: int
    sites: int
    dropped: int
    model_bits: float
    side_bits: float
    bits_per_byte: float | None
    """`(model_bits + side_bits) / bytes`; `None` where there are no bytes."""


class PlainTextBits(BitsSummary):
    """The same over documents without a site, whose losses compare between conditions."""

    loss_nats: float | None
    """The mean loss of a token."""
    num_rewritten: int
    """How many of these documents the tokenizer rewrites all the same."""
    tokens_sha256: str
    """Hash of their tokens: equal where two conditions read the same."""


class BitsTotals(Record):
    """Bits per byte of one model on the validation text."""

    all: BitsSummary
    with_sites: BitsSummary
    without_sites: PlainTextBits
    window: int
    """Positions that the model reads at a time."""
    stride: int
    """How far apart windows begin."""


class FactNorm(Record):
    """The norm of one fact's row."""

    id: int
    token: str | None
    """The token's name; `None` where the id is reserved."""
    norm: float


class Spread(Record):
    """The spread of the L2 norms of some rows; `None` where there are no rows."""

    rows: int
    mean: float | None
    sd: float | None
    """Of the rows, not of an estimate."""
    min: float | None
    max: float | None


class FactSpread(Spread):
    """The same of the facts' rows, and each of them."""

    by_id: tuple[FactNorm, ...]


class RowNorms(Record):
    """L2 norms of a model's embedding rows, which are those of its tied head."""

    facts: FactSpread
    reserved: Spread
    ordinary: Spread


class FactProbabilitiesAtFacts(Record):
    """Mean probabilities where the text has a fact next; `None` where it never has."""

    positions: int
    fact_mass: float | None
    reserved_mass: float | None
    true_fact: float | None
    """Of the very fact that comes."""
    bits: float | None
    """`-log2` of it."""


class FactProbabilities(Record):
    """Mean probabilities over all positions of the validation text."""

    positions: int
    fact_mass: float | None
    """Of all facts' ids together."""
    reserved_mass: float | None
    """Of all reserved ids together."""
    at_facts: FactProbabilitiesAtFacts


class EmbeddingRows(Record):
    """Whether a model's added rows are alive."""

    norms: RowNorms
    probabilities: FactProbabilities


class TextIdentity(Record):
    """The validation text, and how one condition reads it."""

    documents_sha256: str
    tokenizer_sha256: str
    canonical_table_sha256: str = Field(
        validation_alias=AliasChoices("measured_as_sha256", "canonical_table_sha256"),
        serialization_alias="measured_as_sha256",
    )


class CheckpointIdentity(TextIdentity):
    """What a checkpoint's numbers were made from; other values make them stale."""

    version: int
    inputs_sha256: str
    weights_sha256: str


class CheckpointTaskIdentity(Record):
    """What was run on a checkpoint and how, as in `TaskIdentity`."""

    task_version: int = 1
    task_sha256: str | None = None
    data_sha256: str
    max_samples: int | None
    generation: Fields | None


class CheckpointTask(TaskSummary, CheckpointTaskIdentity):
    """What a learning curve keeps of a task's result."""


class CheckpointResult(Record):
    """`eval/checkpoints/<stage>-<step>.json`: one point of a run's learning curves."""

    condition: str
    seed: int
    stage_number: int
    """The index of the stage in the run, from 0."""
    stage: str
    """`pretrain`, `sft_<name>` or `grpo`, as the folders of checkpoints are named."""
    step: int
    """Optimizer steps of that stage."""
    tokens_seen: int
    """Tokens that this stage has trained on, without padding."""
    is_final: bool
    """Whether the stage ended there."""
    identity: CheckpointIdentity
    bits: BitsTotals
    embedding_rows: EmbeddingRows = Field(
        validation_alias=AliasChoices("fact_rows", "embedding_rows"), serialization_alias="fact_rows"
    )
    environment: Environment
    tasks: Mapping[str, CheckpointTask]
    metrics: Mapping[str, float | None]
    """What the learning curves show, by name; `None` where there was nothing to measure."""
    wall_time_s: Number


# --- Files -----------------------------------------------------------------------------------------------------------


def read_record(path: Path, kind: type[R]) -> R:
    """Read one record. Raises `RecipeError` naming the file, and the key that is missing or wrong."""
    return kind.parse(read_json(path), path)


def write_record(path: Path, record: Record) -> None:
    """Write one record so that the file is either the old one or the new one."""
    write_json(path, record.as_json())


def read_rows(path: Path, kind: type[R]) -> Iterator[R]:
    """Yield the records of a file with one JSON object a line, in order; empty lines are skipped.

    Raises:
        RecipeError: naming the file, the line and the key.
    """
    for where, value in _lines(path):
        yield kind.parse(value, where)


def read_items(path: Path) -> Iterator[tuple[str, Item]]:
    """Yield the items of a file, each after the file and line that messages name.

    All items of a file are of one kind: those with `choices` are `ChoiceItem`, others `GenerativeItem`.

    Raises:
        RecipeError: naming the file, the line and the key.
    """
    kind: type[Item] | None = None
    for where, value in _lines(path):
        if kind is None:
            kind = ChoiceItem if isinstance(value, dict) and "choices" in value else GenerativeItem
        yield where, kind.parse(value, where)


def write_rows(path: Path, rows: list[R]) -> None:
    """Write records, one JSON object a line, so that the file is either the old one or the new one."""
    write_text(path, "".join(json.dumps(row.as_json(), ensure_ascii=False) + "\n" for row in rows))


def _lines(path: Path) -> Iterator[tuple[str, object]]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                where = f"{path}, line {number}"
                try:
                    yield where, json.loads(line)
                except json.JSONDecodeError as error:
                    raise RecipeError(f"{where}: damaged ({error}); run the stage again") from error


def _describe(error: ValidationError, where: Path | str) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    todo = "run the stage that writes it again"
    if first["type"] == "missing":
        return f"{where}: {key} is missing; {todo}"
    if not first["loc"]:
        return f"{where}: damaged (expected a JSON object); {todo}"
    return f"{where}: {key}: {first['msg']}, got {first['input']!r:.80}; {todo}"
