"""The sections of a recipe as dataclasses, and the checks that concern more than one field."""

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domain_tokens.recipe.arguments import check_section
from domain_tokens.recipe.errors import RecipeError, suggest

# A task is a file; its name is checked here, before any stage runs, and the file is read when it is run.
_TASKS = Path(__file__).parents[1] / "evaluation" / "tasks"


@dataclass
class Source:
    """Documents of a corpus, or examples of a data set.

    Attributes:
        name: unique within its list; names the source in manifests.
        kind: `synthetic` (generated here), `file` (jsonl, parquet or txt on this machine) or `hub` (a data set's
        name).
        path: a file or folder, a glob (`file`), or the data set's name on the Hub (`hub`). Relative paths are relative
        to
            the working folder.
        config: the configuration of a Hub data set, for example `main`.
        split: the split of a Hub data set.
        text_key: the column that holds the text of a corpus document; with several names (`[question, answer]`) the
            columns are joined by a newline.
        question_key, answer_key: the columns of a question-and-answer data set.
        annotations: what to do with GSM8K's calculator annotations `<<6*9=54>>`: `strip` or `keep`.
        what: for `synthetic`, what to generate: `text` (a mixed corpus of mathematical text), `drills` (questions of
        the
            multiplication table and sums), `problems` (word problems with worked steps) or `cloze` (HellaSwag-like
            endings to choose from).
        max_items: read or generate at most this many documents or examples.
        max_tokens: read documents until about this many baseline tokens (4 bytes each) have been seen.
        document_separator: for `.txt` files: a regular expression that matches the line on which a document begins.
            Without one, paragraphs separated by an empty line are documents.
    """

    name: str = "???"
    kind: str = "???"
    path: Any = None
    config: str | None = None
    split: str = "train"
    text_key: Any = "text"
    question_key: str = "question"
    answer_key: str = "answer"
    annotations: str = "strip"
    what: str = "text"
    max_items: int | None = None
    max_tokens: float | None = None
    document_separator: str | None = None

    def check(self, where: str) -> None:
        _one_of(f"{where}.kind", self.kind, ("synthetic", "file", "hub"))
        _one_of(f"{where}.annotations", self.annotations, ("strip", "keep"))
        if self.kind == "synthetic":
            _one_of(f"{where}.what", self.what, ("text", "drills", "problems", "cloze"))
            if self.max_items is None:
                raise RecipeError(f"{where}.max_items: a synthetic source needs the number of items to generate")
        elif self.path is None:
            raise RecipeError(f"{where}.path: a source of kind {self.kind} needs a path")
        if self.document_separator is not None:
            try:
                re.compile(self.document_separator)
            except re.error as error:
                raise RecipeError(f"{where}.document_separator: not a regular expression: {error}") from error
        for key in ("max_items", "max_tokens"):
            value = getattr(self, key)
            if value is not None and value <= 0:
                raise RecipeError(f"{where}.{key}: expected a number above 0, got {value}")


@dataclass
class Corpus:
    """The pretraining documents. Both conditions read the same documents in the same order.

    Attributes:
        seed: seeds the generator and the order of the documents, independently of the run's seed.
        sources: where the documents come from.
        validation_fraction: the share of documents, chosen by a hash of their text, that is held out. The split
        depends
            on the text alone, so a duplicate never stands on both sides.
        num_shards: into how many shards the documents are written and tokenized in parallel.
        num_workers: how many processes tokenize at a time.
        encoder: `auto` encodes by a faster way that is checked against the tokenizer, `reference` by the tokenizer.
    """

    seed: int = 0
    sources: list[Source] = field(default_factory=list)
    validation_fraction: float = 0.01
    num_shards: int = 1
    num_workers: int = 1
    encoder: str = "auto"


@dataclass
class Budget:
    """What one optimizer step consumes. Gradient accumulation follows from it, the micro batch and the processes."""

    pretrain_tokens_per_step: int = 524288
    sft_examples_per_step: int = 64
    grpo_completions_per_step: int = 512


@dataclass
class SFTStage:
    """One stage of supervised fine-tuning: its data, and what differs from the `sft` section."""

    name: str = "???"
    sources: list[Source] = field(default_factory=list)
    args: dict[str, Any] = field(default_factory=dict)


@dataclass
class Rewards:
    """Weights of the reward functions in GRPO; 0 leaves a function out."""

    exact_match: float = 1.0
    partial_credit: float = 0.0
    shows_steps: float = 0.0
    brevity: float = 0.0
    repetition: float = 0.0


@dataclass
class Sampling:
    """Answers that are drawn and not the likeliest, several a question, for pass@k and maj@k.

    Attributes:
        tasks: which of the evaluation's written tasks are run this way too.
        num_samples: answers a question.
        temperature: above 0.
        seed: of the draws, the same in every condition.
    """

    tasks: list[str] = field(default_factory=list)
    num_samples: int = 8
    temperature: float = 0.8
    seed: int = 0


@dataclass
class Evaluation:
    """Which tasks are run and how.

    Attributes:
        models: the folders of a run that are evaluated, any of `pretrain_final`, `sft_final`, `grpo_final`.
        tasks: names of files in `evaluation/tasks`, for example `gsm8k`.
        data: the tasks' data by name, for example `gsm8k`: a file, a folder or a Hub data set.
        ablation_tasks: which of the written tasks the last model is given twice more: with the facts' tokens forbidden
            and with each read as the next.
        checkpoint_tasks: which of the tasks every checkpoint is given, beside bits per byte; cheap ones.
        sampling: which tasks are answered several times by drawing.
        batch_size: texts at a time; fewer as long as they do not fit into memory.
        max_new_tokens: the longest answer, in tokens.
        max_samples: evaluate only the first items of each task; recorded in the results.
    """

    models: list[str] = field(default_factory=lambda: ["sft_final", "grpo_final"])
    tasks: list[str] = field(default_factory=lambda: ["arithmetic"])
    data: dict[str, Source] = field(default_factory=dict)
    ablation_tasks: list[str] = field(default_factory=list)
    checkpoint_tasks: list[str] = field(default_factory=list)
    sampling: Sampling = field(default_factory=Sampling)
    batch_size: int = 64
    max_new_tokens: int = 256
    max_samples: int | None = None


@dataclass
class Recipe:
    """A whole run, resolved.

    Attributes:
        experiment: names the folder under `output_dir` that both conditions share.
        condition: names the run within the experiment.
        tokenizer: the intervention file; together with `condition` the whole of the A/B difference.
        canonical_table: the intervention file in whose terms rewards read answers, the same in both conditions:
            `6 x 9`, `6*9=54` and a token measure the same. If not given, the experiment's own multiplication table.
        prereg: the file that declares what will be tested; every manifest records it.
        seed: names the run, and with `seed_offset` added seeds the initial weights and the trainers.
        seed_offset: for a control that is the same condition again with other seeds.
        output_dir: where outputs are written.
        model: arguments of `GPT2Config`, without the vocabulary.
        pretrain, sft, grpo: arguments of `TrainingArguments`, `SFTConfig` and `GRPOConfig`.
    """

    experiment: str = "???"
    condition: str = "???"
    tokenizer: str = "???"
    canonical_table: str | None = None
    prereg: str | None = None
    seed: int = 0
    seed_offset: int = 0
    output_dir: str = "outputs"
    model: dict[str, Any] = field(default_factory=dict)
    corpus: Corpus = field(default_factory=Corpus)
    budget: Budget = field(default_factory=Budget)
    pretrain: dict[str, Any] = field(default_factory=dict)
    sft: dict[str, Any] = field(default_factory=dict)
    sft_stages: list[SFTStage] = field(default_factory=list)
    grpo: dict[str, Any] = field(default_factory=dict)
    grpo_prompts: list[Source] = field(default_factory=list)
    rewards: Rewards = field(default_factory=Rewards)
    evaluation: Evaluation = field(default_factory=Evaluation)

    @property
    def training_seed(self) -> int:
        """What seeds the initial weights and the trainers."""
        return self.seed + self.seed_offset

    @property
    def experiment_dir(self) -> Path:
        """`outputs/<experiment>`: what both conditions share."""
        return Path(self.output_dir) / self.experiment

    @property
    def condition_dir(self) -> Path:
        """`outputs/<experiment>/exp_<condition>`: what the seeds of one condition share."""
        return self.experiment_dir / f"exp_{self.condition}"

    @property
    def run_dir(self) -> Path:
        """`outputs/<experiment>/exp_<condition>/seed_<n>`: one run."""
        return self.condition_dir / f"seed_{self.seed}"

    @property
    def tokenizer_dir(self) -> Path:
        return self.condition_dir / "tokenizer"

    @property
    def corpus_dir(self) -> Path:
        """The token shards of one condition and one order of the documents."""
        return self.condition_dir / f"corpus_{self.corpus.seed}"

    @property
    def documents_dir(self) -> Path:
        """The documents, as text; shared by the conditions."""
        return self.experiment_dir / f"documents_{self.corpus.seed}"


def check_recipe(recipe: Recipe) -> None:
    for key in ("experiment", "condition"):
        value = getattr(recipe, key)
        if not re.fullmatch(r"[\w.+-]+", value) or value.startswith("."):
            raise RecipeError(f"{key}: expected letters, digits, '_', '-', '+' and '.', got {value!r}")
    if recipe.seed_offset < 0:
        raise RecipeError(f"seed_offset: expected a whole number of at least 0, got {recipe.seed_offset}")
    if recipe.seed < 0:
        raise RecipeError(f"seed: expected a whole number of at least 0, got {recipe.seed}")
    if not 0 < recipe.corpus.validation_fraction < 1:
        raise RecipeError(
            f"corpus.validation_fraction: expected a number between 0 and 1, got {recipe.corpus.validation_fraction}"
        )
    _one_of("corpus.encoder", recipe.corpus.encoder, ("auto", "reference"))
    for key in ("num_shards", "num_workers"):
        if getattr(recipe.corpus, key) < 1:
            raise RecipeError(f"corpus.{key}: expected a whole number of at least 1")
    for key, value in dataclasses.asdict(recipe.budget).items():
        if value < 1:
            raise RecipeError(f"budget.{key}: expected a whole number of at least 1, got {value}")
    lists: dict[str, list[Source]] = {"corpus.sources": recipe.corpus.sources, "grpo_prompts": recipe.grpo_prompts}
    lists |= {f"sft_stages.{stage.name}.sources": stage.sources for stage in recipe.sft_stages}
    for where, sources in lists.items():
        for source in sources:
            source.check(f"{where}.{source.name}")
        _unique(where, [source.name for source in sources])
    _unique("sft_stages", [stage.name for stage in recipe.sft_stages])
    for model in recipe.evaluation.models:
        _one_of("evaluation.models", model, ("pretrain_final", "sft_final", "grpo_final"))
    tasks = sorted(path.stem for path in _TASKS.glob("[!_]*.py"))
    for task in recipe.evaluation.tasks:
        _one_of("evaluation.tasks", task, tuple(tasks))
    for task in recipe.evaluation.checkpoint_tasks:
        _one_of("evaluation.checkpoint_tasks", task, tuple(recipe.evaluation.tasks))
    for key, source in recipe.evaluation.data.items():
        source.check(f"evaluation.data.{key}")
    sampling = recipe.evaluation.sampling
    if sampling.num_samples < 2 or sampling.temperature <= 0:
        raise RecipeError("evaluation.sampling: expected num_samples of at least 2 and a temperature above 0")
    for key in ("tasks", "models"):
        if not getattr(recipe.evaluation, key):
            raise RecipeError(f"evaluation.{key}: empty; expected at least one")
    for key in ("batch_size", "max_new_tokens", "max_samples"):
        if (getattr(recipe.evaluation, key) or 1) < 1 or getattr(recipe.evaluation, key) == 0:
            raise RecipeError(f"evaluation.{key}: expected a whole number of at least 1")
    for section in ("pretrain", "sft", "grpo"):
        check_section(getattr(recipe, section), section)
    for stage in recipe.sft_stages:
        check_section(stage.args, f"sft_stages.{stage.name}.args")


def _one_of(where: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise RecipeError(
            f"{where}: expected one of {', '.join(allowed)}, got {value!r}{suggest(value, list(allowed))}"
        )


def _unique(where: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"{where}: the name {name!r} stands there twice; names are unique")
