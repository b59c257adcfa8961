"""The JSON files that a run leaves on disk: one type per file, with functions that read and write them.

A record keeps unknown keys, so files from later versions load too. A field has a default if some tasks, stages or
earlier versions do not write it; a record is written with only the fields that were set. If a key on disk is older
than the name in the code (`way` for the mode, `measured_as` for the canonical table), the field declares both.

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
"""Free-form values, nested to any depth, compared or shown leaf by leaf (`recipe.flatten`)."""

Number = int | float
"""A number shown exactly as in the file: `3` stays `3`, and `3.0` stays `3.0`."""


class Record(BaseModel):
    """One JSON object on disk. Immutable; unknown keys are kept."""

    model_config = ConfigDict(frozen=True, extra="allow", validate_by_name=True, serialize_by_alias=True)

    @classmethod
    def parse(cls, value: object, where: Path | str) -> Self:
        """Validate a JSON value and return it as a record.

        Args:
            value (`object`): the result of `json.loads`.
            where (`Path | str`): the file, and the line if there are several, for messages.

        Raises:
            RecipeError: if a key is missing or has a wrong type; the message names the file and the key.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise RecipeError(_describe(error, where)) from error

    def as_json(self) -> dict[str, JsonValue]:
        """Return the record as in its file: only the fields that were set, with their keys on disk."""
        return self.model_dump(mode="json", exclude_unset=True)


R = TypeVar("R", bound=Record)


# --- Folders of stages -----------------------------------------------------------------------------------------------


class Environment(Record):
    """What a run depends on besides its recipe; `None` for anything that was not recorded."""

    python: str | None = None
    """Version, for example `3.11.9`."""
    packages: Mapping[str, str | None] = Field(default_factory=dict)
    """Versions of the libraries; `None` if one is not installed."""
    git_commit: str | None = None
    """Commit of this repository; `None` without git."""
    git_dirty: bool | None = None
    """Whether tracked files differed from the commit, or untracked files lay among the code and the recipes."""
    code_sha256: str | None = None
    """Hash of this project's code that makes data, trains and evaluates; absent in records of earlier versions."""
    machine: str | None = None
    """Architecture, for example `x86_64`."""
    system: str | None = None
    """`Linux` or `Darwin`."""
    device: str | None = None
    """Name of the GPU that was used, for example `NVIDIA A100-SXM4-80GB`; `None` on a CPU, and in earlier records."""
    threads: int | None = None
    """Number of torch threads; sums depend on it in their last digits."""
    command: str | None = None
    """The script's name, without its folder."""
    time_utc: str | None = None
    """When the file was written, ISO 8601, to the second."""


class PreregRecord(Record):
    """The declaration as it was when a stage began."""

    file: str
    """File name, without the folder."""
    sha256: str
    declared: Fields
    """Its content, and `test`, the test of the primary endpoint."""
    recorded_utc: str | None = None
    """When it was read, ISO 8601; `None` in records of earlier versions, made when a stage ended."""
    frozen_sha256: str | None = None
    """Hash of the experiment's frozen preregistration then; `None` if nothing was frozen."""

    @property
    def seeds(self) -> list[int]:
        """The declared seeds."""
        found = self.declared.get("seeds")
        return [seed for seed in found if isinstance(seed, int)] if isinstance(found, list) else []


class SourceRecord(Record):
    """A source of documents or examples, as recorded in a stage's inputs. Other fields are those of the recipe.

    Created by `corpora.sources.describe`.
    """

    name: str
    """Its name in the recipe."""
    kind: str
    """`synthetic`, `file` or `hub`."""
    path: JsonValue = None
    """A file, a folder or a data set on the Hub; absent for `synthetic`."""
    config: str | None = None
    """The configuration of a data set on the Hub."""
    split: str | None = None
    """The split of a data set on the Hub."""
    revision: str | None = None
    """The branch, tag or commit of a data set on the Hub, as the recipe has it; absent if it has none."""
    sha256: tuple[tuple[str, str], ...] = ()
    """For `file`: the name and the sha256 of each file."""


class Removal(Record):
    """A line of `contamination.jsonl`: a question of an evaluation set that stood in a text that trains."""

    source: str
    """The training source."""
    place: str
    """The file and its line or row."""
    document: str | None = None
    """The id of a document of a corpus."""
    whole: bool
    """Whether the whole text was removed, not only the passage."""
    evaluation_set: str
    """The key in `evaluation.data`."""
    question: str
    """Where the question stands in it."""
    kind: str
    """How much of the question stood there: `exact`, `13-gram` or `masked`."""


class PortionRecord(Record):
    """What one source of a mixture of examples was to give, and gave."""

    weight: float
    """As the recipe has it, of 1."""
    drawn: int
    """How many examples were drawn by it. What is left out of them is not made up for."""
    used: int
    """How many of these fit and may train; those that are held out for validation included."""
    share: float
    """What the weight became: of all that are used."""


class RemovalsOfTask(Record):
    """A file of unfinished documents: what one of the tasks that read them removed."""

    questions_sha256: str
    """A hash of the questions that it looked for."""
    texts: Mapping[str, int]
    """How many documents it read, by source."""
    removals: tuple[Removal, ...]
    warnings: int


class Contamination(Record):
    """What was compared with the questions of evaluation sets, and what was removed because it held one."""

    questions: Mapping[str, int]
    """How many questions were looked for, by evaluation set."""
    questions_sha256: str
    """A hash of them. If an evaluation set changes, what trains is compared again."""
    texts: Mapping[str, int] = Field(default_factory=dict)
    """From how many documents or examples something was removed, by source."""
    whole: int = 0
    """How many of these were removed as a whole."""
    kinds: Mapping[str, int] = Field(default_factory=dict)
    """How many removals there are of each kind; `contamination.jsonl` lists them."""
    warnings: int = 0
    """How many texts share no more than a phrase with a question. They train."""
    taught: Mapping[str, int] = Field(default_factory=dict)
    """How many of the generator's questions in each evaluation set are taught on purpose, and so not held out."""
    held_out: Mapping[str, int] = Field(default_factory=dict)
    """How many are in no text that trains, by template and numbers."""
    compared_later: tuple[str, ...] = ()
    """Hashes of other questions that were looked for after the documents were complete, and not found."""


class LedgerEntry(Record):
    """What one training stage consumed, and its settings. All stages have the same fields."""

    stage: str
    """`pretrain`, `sft/<name>` or `grpo`."""
    steps: int
    """Optimizer steps."""
    tokens: int
    """Positions that the model was trained on, including padding: what the hardware computes."""
    padding_tokens: int
    """How many of `tokens` were padding."""
    generated_tokens: int
    """Tokens sampled by the model during training, without padding; 0 outside GRPO."""
    examples: int
    """Sequences, question-answer pairs, or completions trained on."""
    source_bytes: int
    """UTF-8 bytes of the text before rewriting, without template and end-of-text tokens.

    In GRPO, the bytes of the question, counted once per completion."""
    question_facts: int | None = None
    """Fact tokens in questions: in fine-tuning, of each example as often as it was trained on; in GRPO, of each
    completion's prompt. `None` in pretraining and for a verifier; absent before version 0.4."""
    answer_facts: int | None = None
    """Fact tokens in answers: in fine-tuning, those trained on; in GRPO, those generated. Likewise."""
    dataset_tokens: int
    """Tokens of the stage's whole data set as encoded in this condition, each example counted once."""
    flops: Number
    """FLOPs of training, without intermediate evaluations."""
    order_sha256: str
    """Hash of the order of the documents or examples."""
    initial_weights_sha256: str
    """Hash of the stage's initial weights."""
    seeds: Fields
    """`run`, `offset`, `weights`, `order`, `sampling`, `corpus` and `documents`.

    Up to version 0.3, `sampling` was called `training`, `order` was `data`, and the others of these were not recorded.
    """
    precision: Fields
    """`mixed` and `tf32`."""
    optimizer: Fields
    """The trainer's optimizer arguments, with the library's names."""
    schedule: Fields
    """The trainer's schedule arguments, and `max_steps`."""
    wall_time_s: Number
    """Seconds inside the training loop, including those before an interruption."""
    packed: bool = False
    """Whether examples were packed into rows of one length, so that a step is a number of tokens."""
    trained_parameters: int | None = None
    """Number of parameters that were trained, where adapters were: the others are frozen, and `flops` are fewer."""

    @property
    def kind(self) -> str:
        """`pretrain`, `sft`, `sft (packed)` or `grpo`: the key of `ledger.MAY_DIFFER`."""
        return self.stage.partition("/")[0] + (" (packed)" if self.packed else "")


class AnswerEnds(Record):
    """How many greedy answers to a stage's training prompts end, with the models before and after the stage."""

    num_prompts: int
    """Evenly spaced among the stage's examples, the same in every condition."""
    prompts_sha256: str
    max_new_tokens: int
    """The longest answer; a longer one counts as one that does not end."""
    before: int
    """How many answers of the model from which the stage started end."""
    after: int

    @property
    def falls(self) -> bool:
        """Whether fewer answers end after the stage than before it."""
        return self.after < self.before

    def describe(self) -> str:
        """Return both shares in words."""
        text = (
            f"of {self.num_prompts} greedy answers to its training prompts, {self.before} end within "
            f"{self.max_new_tokens} tokens before this stage, and {self.after} after it"
        )
        return f"{text}: fewer than before, so the model unlearns to stop" if self.falls else text


class Change(Record):
    """What `--allow-change` let differ when an unfinished stage went on."""

    time_utc: str
    differences: tuple[str, ...]
    """In words, each with the recorded value and the new one."""


class StartRecord(Record):
    """From which other condition's model a run started: `inputs.start_from` of its first stage's manifest."""

    condition: str
    folder: str
    """The model's folder, relative to that of the experiment: `exp_baseline/seed_0/pretrain_final`."""
    weights_sha256: str
    tokenizer_sha256: str
    """The hash of the tokenizer with which it was trained, which is not the run's own."""

    @property
    def model(self) -> str:
        """The name of the model's folder, `pretrain_final`."""
        return Path(self.folder).name


class PushedRecord(Record):
    """`pushed.json`: where a finished stage was published, because its recipe asks for it."""

    repository: str
    """`namespace/name` on the Hub."""
    commit: str
    manifest_sha256: str
    """Hash of the manifest of the folder that was published."""
    checkpoints: bool = False
    """Whether its checkpoints were published too."""


class Manifest(Record):
    """`manifest.json`: the inputs of a finished stage and what it consumed.

    A folder with a manifest is complete. Corpora and tokenizers also have one, without `ledger` and `matched`.
    """

    stage: str
    condition: str
    seed: int
    """The run's seed, without `seed_offset`."""
    tokenizer_sha256: str | None = None
    """Hash of `tokenizer.json`; only in a tokenizer's folder."""
    neutralized_markers: int | None = None
    """Number of token names in the text that were broken up; only in a folder of documents."""
    contamination: Contamination | None = None
    """What was compared with evaluation sets; in a folder of documents, and of a stage that reads examples."""
    mixture: Mapping[str, PortionRecord] | None = None
    """By source, what its weight became; only of a stage whose examples are a mixture."""
    hub_commits: Mapping[str, str] | None = None
    """The commit that was read of each source on the Hub, by the source's name; in a folder of documents, and of a
    stage that reads examples, since version 0.4. Not an input: a commit may change no data."""
    micro_batch: Fields | None = None
    """How the micro batch was found; only of a stage whose recipe says `auto` (`runs.micro_batches`)."""
    answer_ends: AnswerEnds | None = None
    """How many answers end before and after a stage of fine-tuning or GRPO; since version 0.4."""
    ledger: tuple[LedgerEntry, ...] = ()
    """One entry per training stage that led to the folder; fine-tuning has several."""
    matched: Fields = Field(default_factory=dict)
    """What must be equal in every condition."""
    reported: Fields = Field(default_factory=dict)
    """What may differ between conditions: losses, counts, `weights_sha256`, `seed_offset`."""
    inputs: Fields
    """The stage's inputs. A stage whose inputs differ from these refuses to run."""
    changes: tuple[Change, ...] = ()
    """What was changed while the stage was unfinished, by `--allow-change`; since version 0.4."""
    prereg: PreregRecord | None = None
    environment: Environment
    wall_time_s: Number
    """Seconds of the process that finished the folder."""
    files: Mapping[str, str]
    """The sha256 of each file, by its path relative to the folder."""

    @property
    def weights_sha256(self) -> str | None:
        """One hash of all weights in the folder; `None` for a folder without a model."""
        value = self.reported.get("weights_sha256")
        return None if value is None else str(value)

    @property
    def start(self) -> StartRecord | None:
        """From which other condition's model the stage started; `None` if from none or from its own run's."""
        found = self.inputs.get("start_from")
        return None if found is None else StartRecord.parse(found, "inputs.start_from")


class SourceDose(Record):
    """The sites of one source of a corpus."""

    tokens: int
    """Tokens of its documents that were searched."""
    sites: int
    per_million_tokens: Mapping[str, float]
    """Sites per million tokens by spelling, such as `bare x without result`."""


class Dose(Record):
    """How often the texts of a corpus say what an intervention rewrites."""

    counted_as: str
    """The intervention whose sites these are; for one without sites, the canonical table's."""
    share_searched: float
    """The share of the documents that were searched, chosen by a hash of their ids."""
    sources: Mapping[str, SourceDose]
    """By the name of the source."""


class Savings(Record):
    """What a placebo saves of the training documents, and what the intervention saves that it matches."""

    matched: str
    """The name of that intervention."""
    documents: int
    """How many documents were read."""
    plain_tokens: int
    """Their tokens under the base vocabulary alone."""
    matched_saved: int
    saved: int


class CorpusAccount(Record):
    """The account of a corpus in its manifest: the training split, and each split under its name."""

    documents: int
    source_bytes: int
    """UTF-8 bytes of the documents before rewriting."""
    tokens: int
    """Number of tokens, including end-of-text tokens."""
    facts: int
    """How many of them are facts."""
    facts_by_token: Mapping[str, int] = Field(default_factory=dict)
    rare_facts: tuple[str, ...] = ()
    """The names of facts that hardly occur."""
    sites: Dose | None = None
    """How often its texts say what the intervention rewrites; of the training documents, since version 0.4."""
    savings: Savings | None = None
    """Of a placebo: what it saves of the training documents; since version 0.4."""


class GroupsOfDigits(Record):
    """How numbers were cut, by an intervention that cuts them into groups of digits."""

    groups: int
    fallen_apart: int
    """Groups that are no token of the vocabulary, and so several tokens."""
    share: float
    """Their share of all groups."""


class CorpusStatistics(Record):
    """`train_stats.json` and `validation_stats.json` of a corpus: its tokens and facts."""

    tokens: int
    share: float
    """Facts per token."""
    facts: Mapping[str, int]
    """The count of each fact's token."""
    rare_below: int
    rare: tuple[str, ...]
    """The facts that occur fewer than `rare_below` times."""
    numbers: GroupsOfDigits | None = None
    sites: Dose | None = None
    """Of the training documents."""


class EvaluationManifest(Record):
    """`manifest.json` of a folder of results, written once all results of a run are complete."""

    stage: str
    inputs: Fields
    """`weights` (one hash per model), `sources` (the tasks' data), `tasks` (one hash per external task), and
    `canonical_table_sha256` if the recipe names a table."""
    files: tuple[str, ...] = ()
    """Every file of results, by its path inside the folder."""
    hub_commits: Mapping[str, str] | None = None
    """The commit that was read of each data set on the Hub, by the source's name; since version 0.4."""


class LearningRateTry(Record):
    """One run of a search for a learning rate."""

    learning_rate: float
    folder: str
    """The folder of the run, relative to the record."""
    validation_loss: float
    """Nats per token at the end, on text or examples that were not trained on; comparable within a condition only."""
    weights_sha256: str


class LearningRateChoice(Record):
    """The tries of one condition, and the learning rate with the lowest validation loss."""

    learning_rate: float
    at_edge: bool
    """Whether it is the lowest or highest of the values, so that a better one may lie outside."""
    tries: tuple[LearningRateTry, ...]


class LearningRateSearch(Record):
    """A search over the same values, with the same budget and seed, in every condition."""

    values: tuple[float, ...]
    """In ascending order."""
    seed: int
    budget: Fields
    """What each try consumed, for example `steps` and `tokens`; the same for every value and condition."""
    conditions: Mapping[str, LearningRateChoice]


class LearningRates(Record):
    """`learning_rates.json` in an experiment's folder: the searches by stage, `pretrain` or `sft`."""

    searches: Mapping[str, LearningRateSearch] = Field(default_factory=dict)


class Counts(Record):
    """`counts.json` of a checkpoint: what the stage had consumed, summed over processes and completed steps."""

    tokens: int
    padding_tokens: int
    generated_tokens: int
    examples: int
    source_bytes: int
    squared_lengths: int
    """Sum of the squared lengths of all rows, to which the cost of attention is proportional."""
    question_facts: int = 0
    answer_facts: int = 0
    seconds: Number
    """Seconds inside the training loop."""


class MetricsRow(Record):
    """One line of `metrics.jsonl`: the values logged by the trainer at a step, with the trainer's names.

    Losses are in nats per token; `memory_bytes`, `step_time_s`, `tokens_per_s`, `examples_per_s` and, in GRPO,
    `generated_tokens_per_s` have their units in their names. `mfu` is a fraction of the device's peak in bf16, or null
    where that is unknown. Files before 0.4.0 have speeds of pretraining alone.
    """

    __pydantic_extra__: dict[str, JsonValue]

    step: int
    """Optimizer steps of the stage so far."""
    stage: str | None = None
    """The name of the fine-tuning stage; absent in other stages."""

    def value(self, metric: str) -> Number | None:
        """Return a logged number, or `None` if this row does not have it."""
        found = self.__pydantic_extra__.get(metric)
        return found if isinstance(found, int | float) else None


class PromptRate(Record):
    """How often a model answered one prompt right."""

    source: str
    place: str
    """The file and its line or row."""
    question_sha256: str
    num_samples: int
    num_right: int


class PassRates(Record):
    """`pass_rates.json`: how often the fine-tuned model solved GRPO's prompts before training."""

    measured: Fields
    """What the rates depend on: weights, tokenizer, sampling, and which prompts."""
    prompts: tuple[PromptRate, ...]
    """In the order of the prompts; fewer than `measured.num_prompts` if the measurement was interrupted."""
    forced: bool = False
    """Whether training went on by `--force` although they were too low."""


class Completion(Record):
    """A line of `completions.jsonl`: an answer that GRPO sampled at a step, and what it earned."""

    step: int
    """The optimizer step, from 1, that trained on it first."""
    prompt: int
    """Which of the step's prompts, from 0. It is the same question in every condition."""
    question: str
    gold: str
    completion: str
    """As the model wrote it, with tokens."""
    rewards: Mapping[str, float | None]
    """By the name of the function, without its weight."""
    advantage: float | None
    """`None` if it was no number."""


class SampledText(Record):
    """A line of `samples.jsonl` of pretraining: a continuation that the model drew at an evaluation."""

    step: int
    """The optimizer steps before it."""
    document: str
    """The id of the validation document whose beginning is the prompt."""
    prompt: str
    """The same text in every condition."""
    text: str
    """As the model wrote it, with tokens, without the end."""
    ended: bool
    """Whether it wrote the end of the text."""
    temperature: float
    seed: int


# --- Evaluation ------------------------------------------------------------------------------------------------------


class GroupResult(Record):
    """The accuracy of one group of items, a fraction of 1."""

    accuracy: float
    num_items: int
    num_rewritten: int | None = None
    """Number of items whose prompt the tokenizer rewrites; `None` in files before 0.4.0, as the next."""
    num_identical: int | None = None
    """Number of items whose prompt becomes the same token ids as that of another item of the group."""


class TaskSummary(Record):
    """What a task computes from its items."""

    num_items: int
    """Number of items, without excluded ones."""
    metrics: Mapping[str, float]
    """Means over these items, as fractions of 1; the main metric first."""
    groups: Mapping[str, GroupResult] = Field(default_factory=dict)
    """The same for each group of items, if there are groups."""
    facts_per_response: float | None = None
    """Mean number of fact tokens per answer; `None` if nothing is generated."""
    tokens_per_response: float | None = None
    """Mean length of an answer, in tokens."""
    unfinished: int | None = None
    """Number of answers that reached the length limit."""
    num_rewritten: int | None = None
    """Number of items whose prompt the tokenizer rewrites."""
    num_identical: int | None = None
    """Number of items whose prompt becomes the same token ids as that of another item."""
    num_items_with_products: int | None = None
    """HellaSwag only: number of items excluded because an ending contains a product."""
    metrics_with_products: Mapping[str, float] | None = None
    """HellaSwag only: the metrics of the excluded items."""


class TaskIdentity(Record):
    """Which task was run and how. A result with other values is stale."""

    task: str
    mode: Mode = Field(validation_alias=AliasChoices("way", "mode"), serialization_alias="way")
    task_version: int = 1
    """Increased by a task when its prompts or scoring change, so that older results are recomputed."""
    items_version: int = 1
    """Increased when what items say of an answer changes (equations, error types, encodings), so that older results
    are made anew."""
    task_sha256: str | None = None
    """Hash of the file that defines the task, if it is outside the package."""
    outcomes: Mapping[str, str]
    """For each metric, the item key that says whether an item is right; the main metric first."""
    units: Mapping[str, str] = Field(default_factory=dict)
    """The unit of each metric that is a mean of the items' values; all others are shares of right items."""
    lower_is_better: tuple[str, ...] = ()
    """The metrics of which a lower value is better."""
    data_sha256: str
    """Hash of the task's rows: questions and correct answers."""
    side_code_sha256: str | None = None
    """Hash of the code of the side record; `None` for a task that counts no bits."""
    max_samples: int | None
    """Maximum number of items; `None` for all."""
    canonical_table_sha256: str | None = Field(
        default=None,
        validation_alias=AliasChoices("measured_as", "canonical_table_sha256"),
        serialization_alias="measured_as",
    )
    """Hash of the canonical table used to count equations; `None` for the experiment's own table."""
    generation: Fields | None
    """Generation settings; `None` for a task that chooses among given texts."""


class ModelIdentity(Record):
    """The evaluated model. A result with other values is stale."""

    condition: str
    seed: int
    model: str
    """`sft_final`, or the name of a checkpoint."""
    weights_sha256: str
    tokenizer_sha256: str


# On disk, the fields of the last base class come first.
class TaskResult(TaskSummary, ModelIdentity, TaskIdentity):
    """`<task>_results.json`: one task of one model, run in one mode."""

    source: str | None = None
    """The name of the data source in the recipe, `generated <name>` for generated data; `generated` for a task that
    makes its own items."""
    scorer_sha256: str | None = None
    """Hash of the code that read and scored the answers; `None` in results of earlier versions."""
    num_too_long: int = 0
    """Number of items whose prompt or answer was cut to fit the model's context."""
    environment: Environment | None = None
    wall_time_s: Number = 0.0
    """Run time in seconds."""


def template_of(cluster: str) -> str:
    """Return the template of a generated question, of whose cluster it is the part without the numbers."""
    return cluster.partition(":")[0]


class Item(Record):
    """One line of `<task>_items.jsonl`: a question and the model's result.

    Tasks add their own keys; `TaskResult.outcomes` names those that say whether an item is right.
    """

    id: Annotated[str, BeforeValidator(str)]
    group: str | None = None
    """The item's group, if any."""
    cluster: str | None = None
    """Template and numbers of a generated question, `boxes:6,9`; items of one cluster are not independent. `None` for
    published data sets, and in results of version 0.3."""
    question: str
    rewritten: bool | None = None
    """Whether the model's tokenizer rewrites the prompt or, for a choice, an ending; `None` before 0.4.0."""
    encoding: str | None = None
    """A hash of the prompt's token ids: items with the same one are the same question to the model."""

    @property
    def template(self) -> str | None:
        """The template of a generated question: its cluster without the numbers."""
        return None if self.cluster is None else template_of(self.cluster)

    def is_right(self, key: str) -> bool:
        """Return whether the item counts as right.

        Args:
            key (`str`): a value of `TaskResult.outcomes`.
        """
        return bool(getattr(self, key))

    def value(self, key: str) -> float:
        """Return the item's value of a metric, 1 or 0 for one that is right or wrong.

        Args:
            key (`str`): as for `is_right`.
        """
        return float(getattr(self, key))


class EquationRecord(Record):
    """An equation in an answer; `evaluation.equations.Equation` explains the values."""

    start: int
    """Index of its first character in the answer."""
    end: int
    """Index after its last character."""
    text: str
    right: bool
    rounded: bool
    kind: str
    """`product`, `sum`, `difference`, `quotient` or `mixed`."""
    pair: tuple[int, int] | None
    """The operands, the smaller one first, if the equation is in the table."""
    form: str
    """`fact`, `mixed`, `digits` or `named`."""
    origin: str
    """`computed` or `copied`."""
    in_table: bool
    has_result: bool | None = None
    """Whether its result is written; `None` in files before 0.4.0."""
    of_item: bool | None = None
    """Whether its operands are the question's numbers or earlier right results; `None` in files before 0.4.0."""
    used: bool | None = None
    """Whether the answer goes on from its result; `None` in files before 0.4.0."""

    @property
    def right_for_item(self) -> bool:
        """Whether it states a right result of operands of the item, from which the answer goes on."""
        return bool(self.right and self.has_result and self.of_item and self.used)


class GenerativeItem(Item):
    """A question with a generated answer."""

    gold: str
    """The correct answer."""
    answer: str
    """The generated text, in the model's own tokens."""
    number: str | None = None
    """The number extracted from the answer, if any."""
    correct: bool
    """Whether the answer is correct, by the definition that the rewards also use."""
    correct_original: bool | None = None
    correct_strict: bool | None = None
    correct_flexible: bool | None = None
    num_tokens: int | None = None
    """Length of the answer in tokens."""
    num_facts: int | None = None
    """How many of these tokens are facts."""
    finished: bool | None = None
    """Whether the model ended its answer."""
    error_type: str | None = Field(
        default=None, validation_alias=AliasChoices("mistake", "error_type"), serialization_alias="mistake"
    )
    """`right`, `unfinished`, `format`, `operands`, `arithmetic` or `reasoning`; without `operands` before 0.4.0."""
    equations: tuple[EquationRecord, ...] | None = None
    """Every equation in the answer, in order."""
    facts_needed: tuple[tuple[int, int], ...] | None = Field(
        default=None, validation_alias=AliasChoices("needed", "facts_needed"), serialization_alias="needed"
    )
    """The pairs of the table that the worked solution multiplies; `None` if the data has no solution."""
    samples: tuple[str, ...] | None = None
    """Mode `sampled` only: all sampled answers."""
    num_right: int | None = None
    """How many of them are right."""
    majority_correct: bool | None = None
    """Whether the most frequent number among them is right."""
    problem: str | None = None
    """The same for items that ask the same in different spellings; their groups name the spellings."""


class ChoiceItem(Item):
    """A context with endings, among which the model selects the most likely one."""

    choices: tuple[str, ...]
    label: int
    """The index of the correct ending."""
    logprobs: tuple[float, ...]
    """The log-probability of each ending, in nats."""
    prediction: int
    """The index of the most likely ending."""
    prediction_norm: int
    """The same after dividing log-probabilities by the number of characters."""
    correct: bool
    correct_norm: bool
    has_product: bool = False
    """HellaSwag only: whether an ending contains a product, which excludes the item."""


class AnswerBitsItem(Item):
    """A question with the bits that the model needs for a given answer."""

    gold: str
    """The given answer: the worked solution."""
    num_bytes: int
    """UTF-8 bytes of the answer."""
    num_tokens: int
    """Length of the answer in tokens, its end included."""
    num_sites: int
    """Sites in the answer, by the canonical table."""
    model_bits: float
    """Bits of the answer's tokens and its end."""
    side_bits: float
    """Bits of what rewriting dropped from the answer."""
    site_model_bits: float
    """The part of `model_bits` that belongs to sites."""
    site_side_bits: float
    """The part of `side_bits` that belongs to sites."""
    bits_per_byte: float
    """`(model_bits + side_bits) / num_bytes`, an upper bound."""
    model_bits_per_byte: float
    """`model_bits / num_bytes`, a lower bound."""
    sites_bits_per_byte: float
    """The part of `bits_per_byte` that belongs to sites: per byte of the whole answer."""
    sites_model_bits_per_byte: float
    """The part of `model_bits_per_byte` that belongs to sites."""
    others_bits_per_byte: float
    """The rest of `bits_per_byte`."""


# --- Checkpoints -----------------------------------------------------------------------------------------------------


class SideCodeRecord(Record):
    """`corpus_<seed>/side_code.json`: what the code of the side record learned from the training split."""

    version: int
    documents: int
    source_bytes: int
    """How much text it learned from; of a large corpus, a sample."""
    counts: tuple[tuple[str, str, str, str, int], ...]
    """How often each form was seen: the form before, the characters behind and in front, the form, and the count."""


class DocumentBits(Record):
    """One line of `documents.jsonl`: the code length of one validation document."""

    id: str
    source: str
    bytes: int
    """UTF-8 bytes of the text before rewriting."""
    tokens: int
    """Number of tokens, including the end of the document."""
    sites: int
    """Number of sites that the canonical table rewrites."""
    dropped: int
    """Number of replacements by the tokenizer's own rules."""
    model_bits: float
    side_bits: float
    """Bits of the side record."""


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
    """`(model_bits + side_bits) / bytes`, an upper bound; `None` if there are no bytes."""
    model_bits_per_byte: float | None = None
    """`model_bits / bytes`, a lower bound; absent before version 0.4."""


class PlainTextBits(BitsSummary):
    """The same over documents without a site, whose losses are comparable between conditions."""

    loss_nats: float | None
    """Mean loss per token."""
    num_rewritten: int
    """How many of these documents this tokenizer rewrites nevertheless."""
    tokens_sha256: str
    """Hash of their tokens, equal if two conditions read the same tokens."""


class BitsTotals(Record):
    """Bits per byte of one model on the validation text."""

    all: BitsSummary
    with_sites: BitsSummary
    without_sites: PlainTextBits
    window: int
    """Window length in positions."""
    stride: int
    """Distance between the starts of two windows."""


class FactNorm(Record):
    """The norm of one fact's embedding row."""

    id: int
    token: str | None
    """The token's name; `None` if the id is reserved."""
    norm: float


class Spread(Record):
    """The spread of the L2 norms of some rows; values are `None` if there are no rows."""

    rows: int
    mean: float | None
    sd: float | None
    """Standard deviation over the rows, not a standard error."""
    min: float | None
    max: float | None


class FactSpread(Spread):
    """The spread of the facts' rows, and the norm of each row."""

    by_id: tuple[FactNorm, ...]


class RowNorms(Record):
    """L2 norms of a model's embedding rows, which are also the rows of its head where that is tied."""

    facts: FactSpread
    reserved: Spread
    ordinary: Spread


class FactProbabilitiesAtFacts(Record):
    """Mean probabilities at positions where the next token is a fact; `None` if there are none."""

    positions: int
    fact_mass: float | None
    reserved_mass: float | None
    true_fact: float | None
    """Mean probability of the correct fact."""
    bits: float | None
    """Mean `-log2` of that probability."""


class FactProbabilities(Record):
    """Mean probabilities over all positions of the validation text."""

    positions: int
    fact_mass: float | None
    """Total probability of the facts' ids."""
    reserved_mass: float | None
    """Total probability of the reserved ids."""
    at_facts: FactProbabilitiesAtFacts


class EmbeddingRows(Record):
    """Whether a model uses its added embedding rows: their norms and probabilities."""

    norms: RowNorms
    probabilities: FactProbabilities


class TextIdentity(Record):
    """The validation text and how one condition encodes it."""

    documents_sha256: str
    tokenizer_sha256: str
    canonical_table_sha256: str = Field(
        validation_alias=AliasChoices("measured_as_sha256", "canonical_table_sha256"),
        serialization_alias="measured_as_sha256",
    )
    side_code_sha256: str | None = None
    """Hash of the code of the side record; absent before version 0.4, whose code began without knowledge."""


class CheckpointIdentity(TextIdentity):
    """The inputs of a checkpoint's results. Results with other values are stale."""

    version: int
    inputs_sha256: str
    weights_sha256: str


class CheckpointTaskIdentity(Record):
    """Which task was run on a checkpoint and how, as in `TaskIdentity`."""

    task_version: int = 1
    task_sha256: str | None = None
    data_sha256: str
    max_samples: int | None
    generation: Fields | None


class CheckpointTask(TaskSummary, CheckpointTaskIdentity):
    """The part of a task's result that a learning curve keeps."""


class CheckpointResult(Record):
    """`eval/checkpoints/<stage>-<step>.json`: one point of a run's learning curves."""

    condition: str
    seed: int
    stage_number: int
    """The index of the stage in the run, from 0."""
    stage: str
    """`pretrain`, `sft_<name>` or `grpo`, like the folders of checkpoints."""
    step: int
    """Optimizer steps of that stage."""
    tokens_seen: int
    """Tokens that this stage has trained on, without padding."""
    is_final: bool
    """Whether this is the end of the stage."""
    identity: CheckpointIdentity
    bits: BitsTotals
    embedding_rows: EmbeddingRows = Field(
        validation_alias=AliasChoices("fact_rows", "embedding_rows"), serialization_alias="fact_rows"
    )
    environment: Environment
    tasks: Mapping[str, CheckpointTask]
    metrics: Mapping[str, float | None]
    """The values of the learning curves, by name; `None` if there was nothing to measure."""
    wall_time_s: Number


# --- Files -----------------------------------------------------------------------------------------------------------


def read_record(path: Path, kind: type[R]) -> R:
    """Read one record. Raises `RecipeError`, naming the file and the key, if a key is missing or wrong."""
    return kind.parse(read_json(path), path)


def write_record(path: Path, record: Record) -> None:
    """Write one record atomically."""
    write_json(path, record.as_json())


def read_rows(path: Path, kind: type[R]) -> Iterator[R]:
    """Yield the records of a file with one JSON object per line, in order. Empty lines are skipped.

    Raises:
        RecipeError: if a line is invalid; the message names the file, the line and the key.
    """
    for where, value in _lines(path):
        yield kind.parse(value, where)


_ITEM_KINDS: Mapping[str, type[Item]] = {"choices": ChoiceItem, "model_bits": AnswerBitsItem}


def read_items(path: Path) -> Iterator[tuple[str, Item]]:
    """Yield the items of a file, each with its file and line for messages.

    All items of a file have the same type: `ChoiceItem` if they have `choices`, `AnswerBitsItem` if they have
    `model_bits`, otherwise `GenerativeItem`.

    Raises:
        RecipeError: if a line is invalid; the message names the file, the line and the key.
    """
    kind: type[Item] | None = None
    for where, value in _lines(path):
        if kind is None:
            keys = value if isinstance(value, dict) else {}
            kind = next((kind for key, kind in _ITEM_KINDS.items() if key in keys), GenerativeItem)
        yield where, kind.parse(value, where)


def write_rows(path: Path, rows: list[R]) -> None:
    """Write records atomically, one JSON object per line."""
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
    todo = "run the stage again"
    if first["type"] == "missing":
        return f"{where}: {key} is missing; {todo}"
    if not first["loc"]:
        return f"{where}: damaged (expected a JSON object); {todo}"
    return f"{where}: {key}: {first['msg']}, got {first['input']!r:.80}; {todo}"
