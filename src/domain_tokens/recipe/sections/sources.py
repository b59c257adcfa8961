"""The sections of a recipe that say where data comes from."""

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from typing import Literal

from omegaconf import MISSING

from domain_tokens.recipe.checks import (
    check_above_zero,
    check_at_least,
    check_at_most,
    check_filled,
    check_fraction,
    check_path,
    check_seed,
    check_unique,
    check_word,
)
from domain_tokens.recipe.errors import RecipeError
from domain_tokens.recipe.values.types import EXPANDED

_MOST_SHARDS = 100_000  # files in a folder: 100 kB of 10B tokens each
_MOST_WORKERS = 10_000  # tasks at a time on a cluster
_DATA_FILES = (".jsonl", ".json", ".parquet", ".txt")
# By which kinds of source a key is read that has no value otherwise.
_USED_BY = {
    "path": ("file", "hub"),
    "kinds": ("synthetic",),
    "config": ("hub",),
    "document_separator": ("file",),
    "max_tokens": ("file", "hub"),
}

LESSON_KINDS = {
    "statements": 4.0,
    "multiplication": 2.0,
    "addition": 1.0,
    "subtraction": 1.0,
    "division": 1.0,
    "drills": 3.0,
    "problems": 5.0,
    "explanations": 2.0,
    "chinese": 0.0,
}
"""The kinds of lessons, with their shares where a recipe sets none."""


@dataclass
class Source:
    """Documents of a corpus, or examples of a data set.

    Attributes:
        name: unique within its list; names the source in manifests.
        kind: `synthetic` (generated), `file` (jsonl, json, parquet or txt on this machine) or `hub` (a data set on the
            Hub).
        path: for `file`, a file, a folder or a pattern, or several of them, relative to the working folder; a path
            that exists is no pattern, and no file may be named twice. For `hub`, the data set's name.
        config: the configuration of a Hub data set, for example `main`.
        split: the split of a Hub data set.
        revision: the commit of a Hub data set, or a branch or tag that names one; `main` by default. A commit is read
            whatever its publishers change later. Which commit was read is in the manifest.
        text_key: the column with the text of a corpus document. Several names (`[question, answer]`) are joined by a
            newline. A column holds text, or a list of parts `{type: text, text: ...}`.
        question_key: the column with the question of a question-and-answer data set. Several names
            (`[Body, Question]`) are joined by a space.
        answer_key: the column with its answer. Several names are joined by a newline; with `final_key`, so are the
            texts of a column that holds a list of them, the steps of a solution.
        final_key: the column with the final number, where the answer does not end with it; `#### <number>` is added.
        answers: `final` keeps only the line `#### <number>` of each answer.
        messages_key: the column with a conversation, a list of turns `{role: ..., content: ...}` or
            `{from: ..., value: ...}`, in place of questions and answers. Every answer in it is learned. What the
            system says is put before the next question. Conversations with other roles, or with turns that do not
            alternate, are left out and counted. For fine-tuning only.
        annotations: what to do with GSM8K's calculator annotations `<<6*9=54>>`: `strip` removes them, `unwrap` leaves
            what is in them, for data whose steps are nothing else.
        what: for `synthetic`, what to generate: `text` (a mixed corpus of mathematical text),
            `text_without_products` (the same without documents that state a product), `drills` (questions on the
            multiplication table and sums), `problems` (word problems with worked steps), `cloze` (HellaSwag-like
            endings to choose from), `lessons` (documents or questions of the kinds below, with worked solutions) or
            `worlds` (documents about invented people; for a corpus only).
        kinds: for `lessons`, the share of each kind, of any sum; kinds that are not named are left out. The kinds are
            those of `LESSON_KINDS`; `statements`, `explanations` and `chinese` ask nothing, so no questions are made
            of them.
        max_items: read or generate at most this many documents or examples. Of a data set that is used for fine-tuning
            or GRPO, these are drawn by the run's seed; otherwise they are the first.
        max_tokens: read documents until this many tokens of 5 bytes have been seen, which are 10% more of GPT-2's.
        weight: the share of this source, relative to other weights: of `corpus.num_tokens`, in bytes of text, or of
            the `max_items` of a stage of fine-tuning.
        max_epochs: how often a source may be read over until its share is full; once, unless it says more. A document
            that is held out is held out once.
        document_separator: for `.txt` files, a regular expression that is found in the line on which a document
            begins; each line is looked at alone. Without one, paragraphs separated by an empty line are documents.
        licence: under which licence the data is published; recorded with the corpus.
    """

    name: str = MISSING
    kind: Literal["synthetic", "file", "hub"] = MISSING
    path: str | list[str] | None = field(default=None, metadata=EXPANDED)
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    text_key: str | list[str] = "text"
    question_key: str | list[str] = "question"
    answer_key: str | list[str] = "answer"
    final_key: str | None = None
    answers: Literal["final"] | None = None
    messages_key: str | None = None
    annotations: Literal["strip", "keep", "unwrap"] = "strip"
    what: Literal["text", "text_without_products", "drills", "problems", "cloze", "lessons", "worlds"] = "text"
    kinds: dict[str, float] | None = None
    max_items: int | None = None
    max_tokens: float | None = None
    weight: float | None = None
    max_epochs: int | None = None
    document_separator: str | None = None
    licence: str | None = None

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key.

        Args:
            where (`str`): the source's key in the recipe, for example `corpus.sources.fineweb-edu`.
        """
        if self.kind == "synthetic":
            if self.max_items is None and self.weight is None:
                raise RecipeError(f"{where}.max_items: missing; expected the number of items to generate")
        elif self.path is None:
            raise RecipeError(f"{where}.path: missing; a source of kind {self.kind} has a path")
        self._check_kinds(f"{where}.kinds")
        if self.revision is not None and self.kind != "hub":
            raise RecipeError(f"{where}.revision: only a data set on the Hub has revisions; this one is {self.kind}")
        self._check_words(where)
        paths = [one for one in (self.path if isinstance(self.path, list) else [self.path]) if one is not None]
        if self.kind == "synthetic" and any(one.lower().endswith(_DATA_FILES) for one in paths):
            raise RecipeError(
                f"{where}.path: {paths[0]} would not be read, because {where}.kind is synthetic; set it to file"
            )
        if self.kind == "hub" and isinstance(self.path, list):
            raise RecipeError(f"{where}.path: expected the name of one data set on the Hub, got a list: {self.path}")
        if self.document_separator is not None:
            try:
                re.compile(self.document_separator)
            except re.error as error:
                raise RecipeError(f"{where}.document_separator: not a regular expression: {error}") from error
            if "\n" in self.document_separator or "\\n" in self.document_separator:
                raise RecipeError(
                    f"{where}.document_separator: lines are looked at one by one; expected a pattern without \\n"
                )
        if "[" in self.split:
            raise RecipeError(
                f"{where}.split: expected the name of a split, got {self.split!r}; use max_items for a part"
            )
        if self.messages_key is not None and (self.kind == "synthetic" or self.final_key or self.answers):
            raise RecipeError(
                f"{where}.messages_key: a conversation has no final number and is not generated; remove messages_key, "
                "or final_key and answers"
            )
        check_above_zero(f"{where}.max_items", self.max_items)
        check_above_zero(f"{where}.max_tokens", self.max_tokens)
        check_above_zero(f"{where}.weight", self.weight)
        check_above_zero(f"{where}.max_epochs", self.max_epochs)
        if self.weight is None and self.max_epochs is not None:
            raise RecipeError(f"{where}.max_epochs: a source without a weight is read once; expected a weight, too")
        if self.kind == "synthetic" and self.max_epochs is not None:
            raise RecipeError(f"{where}.max_epochs: the generator makes new documents; expected none")

    def check_used(self, where: str) -> None:
        """Check that what is given is used: `path` beside `kind: synthetic` would be passed over without a word.

        For lists of sources. A data set of the evaluation keeps the keys of the recipe that an overlay changes.
        """
        for key, kinds in _USED_BY.items():
            if (value := getattr(self, key)) is not None and self.kind not in kinds:
                raise RecipeError(
                    f"{where}.{key}: only a source of kind {' or '.join(kinds)} has one, and this one is {self.kind}; "
                    f"set {where}.kind, or {key}: null (got {value!r})"
                )

    def _check_words(self, where: str) -> None:
        """Check that names are names, and that no column is read twice."""
        check_path(f"{where}.path", self.path)
        for key in (
            "name",
            "config",
            "split",
            "revision",
            "document_separator",
            "final_key",
            "messages_key",
            "licence",
        ):
            check_word(f"{where}.{key}", getattr(self, key))
        for key in ("text_key", "question_key", "answer_key"):
            value = getattr(self, key)
            columns = value if isinstance(value, list) else [value]
            check_filled(f"{where}.{key}", columns)
            for column in columns:
                check_word(f"{where}.{key}", column)
            check_unique(f"{where}.{key}", columns)
        answers = self.answer_key if isinstance(self.answer_key, list) else [self.answer_key]
        if self.final_key in answers and self.answers is None:
            raise RecipeError(f"{where}.final_key: expected another column than answer_key, got {self.final_key!r}")
        if self.question_key == self.answer_key:
            raise RecipeError(
                f"{where}.question_key and answer_key: expected two columns, got {self.question_key!r} for both"
            )

    def _check_kinds(self, where: str) -> None:
        if self.kinds is None:
            return
        if self.kind == "synthetic" and self.what != "lessons":
            raise RecipeError(f"{where}: only lessons have kinds; expected what: lessons, got {self.what!r}")
        for kind, share in self.kinds.items():
            if kind not in LESSON_KINDS:
                raise RecipeError(f"{where}: expected some of {', '.join(LESSON_KINDS)}, got {kind!r}")
            if not 0 <= share < math.inf:  # also refuses NaN
                raise RecipeError(f"{where}.{kind}: expected a share of at least 0, got {share}")
        if not sum(self.kinds.values()) > 0:
            raise RecipeError(f"{where}: expected a share above 0 for at least one kind")


@dataclass
class Cluster:
    """What the preparation asks of a cluster, with `--executor slurm` or `ray`. It changes no result.

    Attributes:
        partition: of Slurm's jobs.
        time: the limit of a task on Slurm.
        mem_per_cpu_gb: the memory of a task; each has one core.
        qos: the quality of service of Slurm's jobs.
        sbatch_args: further options of Slurm's `sbatch`, without dashes: `{account: lab}`.
    """

    partition: str | None = None
    time: str = "24:00:00"
    mem_per_cpu_gb: int = 4
    qos: str | None = None
    sbatch_args: dict[str, str] = field(default_factory=dict)

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key."""
        check_at_least(f"{where}.mem_per_cpu_gb", self.mem_per_cpu_gb, 1)


@dataclass
class Corpus:
    """The pretraining documents. At one seed, all conditions read the same documents in the same order.

    Attributes:
        seed: seeds the generator's documents and the order in which documents are stored.
        per_seed: whether the run's seed decides what is read: which documents in which order, and which examples of
            fine-tuning and GRPO. If not, all seeds read the same, and differ in initial weights and sampling alone.
        sample: the share of the training documents that a seed draws; only with `per_seed`.
        epochs: how often pretraining may read its documents; a run that would need more is refused.
        sources: where the documents come from.
        validation_fraction: the share of documents that is held out, chosen by a hash of their text. The split depends
            on the text alone, so a duplicate is never on both sides.
        num_tokens: pretraining reads this many tokens of its documents, not one more, in every condition. The sources
            are read until there is enough text, each its share by `weight`. Without it, each source says how much of
            it is read, and `pretrain.max_steps` how many tokens.
        num_shards: into how many shards the documents are written and tokenized in parallel.
        num_workers: how many processes tokenize at a time.
        encoder: `auto` encodes with a faster library whose ids are checked against the tokenizer's; `reference` with
            the tokenizer itself.
        cluster: what is asked of a cluster.
    """

    seed: int = 0
    per_seed: bool = True
    sample: float = 1.0
    epochs: float = 1.0
    sources: list[Source] = field(default_factory=list)
    num_tokens: float | None = None
    validation_fraction: float = 0.01
    num_shards: int = 1
    num_workers: int = 1
    encoder: Literal["auto", "reference"] = "auto"
    cluster: Cluster = field(default_factory=Cluster)

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key."""
        check_seed(f"{where}.seed", self.seed)
        check_fraction(f"{where}.validation_fraction", self.validation_fraction)
        if not 0 < self.sample <= 1:
            raise RecipeError(f"{where}.sample: expected a share above 0 and up to 1, got {self.sample}")
        if self.sample < 1 and not self.per_seed:
            raise RecipeError(f"{where}.sample: a sample is drawn by the run's seed; expected 1 or per_seed: true")
        check_above_zero(f"{where}.epochs", self.epochs)
        check_at_least(f"{where}.num_shards", self.num_shards, 1)
        check_at_most(f"{where}.num_shards", self.num_shards, _MOST_SHARDS)
        check_at_least(f"{where}.num_workers", self.num_workers, 1)
        check_at_most(f"{where}.num_workers", self.num_workers, _MOST_WORKERS)
        check_sources(f"{where}.sources", self.sources, ("weight", "max_epochs"), OF_EXAMPLES)
        check_single(f"{where}.sources", self.sources)
        self._check_mixture(where)
        self.cluster.check(f"{where}.cluster")
        for source in self.sources:
            if source.kind == "synthetic" and source.what == "cloze":
                raise RecipeError(
                    f"{where}.sources.{source.name}.what: expected text, text_without_products, drills, problems, "
                    "lessons or worlds for a corpus, got 'cloze'"
                )

    def _check_mixture(self, where: str) -> None:
        weighted = [source.name for source in self.sources if source.weight is not None]
        if self.num_tokens is None:
            if weighted:
                raise RecipeError(f"{where}.num_tokens: missing; the weights of {', '.join(weighted)} divide it")
            return
        check_above_zero(f"{where}.num_tokens", self.num_tokens)
        if self.num_tokens != int(self.num_tokens):
            raise RecipeError(f"{where}.num_tokens: expected a whole number, got {self.num_tokens}")
        if self.sample < 1:
            raise RecipeError(f"{where}.sample: num_tokens says how much is read; expected only one of the two")
        for source in self.sources:
            key = f"{where}.sources.{source.name}.weight"
            if source.weight is None:
                raise RecipeError(f"{key}: missing; with num_tokens every source has one")
            if (source.max_items, source.max_tokens) != (None, None):
                raise RecipeError(
                    f"{key}: it says how much of the source is read; expected neither max_items nor max_tokens"
                )


def check_single(where: str, sources: list[Source]) -> None:
    """Check that no source holds conversations, where only single questions or documents can be used."""
    for source in sources:
        if source.messages_key is not None:
            raise RecipeError(f"{where}.{source.name}.messages_key: conversations are for stages of fine-tuning only")


OF_DOCUMENTS = ("text_key", "max_tokens")
"""Keys of a source that are read of a corpus alone."""

OF_EXAMPLES = ("question_key", "answer_key", "final_key", "answers")
"""Keys of a source that are read of questions and answers alone."""


def check_sources(
    where: str, sources: list[Source], shares: Collection[str] = (), unread: Collection[str] = ()
) -> None:
    """Check each source of a list, and that their names are unique.

    Args:
        where (`str`): the list's key in the recipe.
        sources (`list[Source]`): the sources.
        shares (`Collection[str]`, *optional*): which of `weight` and `max_epochs` say something in this list.
        unread (`Collection[str]`, *optional*): keys that nobody reads in this list.
    """
    usual = {one.name: one.default for one in fields(Source)}
    for source in sources:
        source.check(f"{where}.{source.name}")
        source.check_used(f"{where}.{source.name}")
        for key in ("weight", "max_epochs"):
            if getattr(source, key) is not None and key not in shares:
                raise RecipeError(f"{where}.{source.name}.{key}: no shares are taken of this list; remove the key")
        beside = OF_EXAMPLES if source.messages_key is not None else ()
        for key in (*unread, *beside):
            if getattr(source, key) != usual[key]:
                why = "it is not read beside messages_key" if key in beside else "it is not read here"
                raise RecipeError(f"{where}.{source.name}.{key}: {why}; remove the key")
    check_unique(where, [source.name for source in sources])
