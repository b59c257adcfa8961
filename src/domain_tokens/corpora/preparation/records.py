"""What a prepared corpus says of itself: its shards, and what it was made of."""

from collections.abc import Mapping

from pydantic import Field

from domain_tokens.runs.records import Record

SHARDS = "shards.json"  # in a corpus
DATA_REPORT = "data_report.json"  # in a corpus
DOCUMENT_IDS = "documents.txt.gz"  # in each split of a corpus: the ids of its documents, in the order of the shards


class SourceOrigin(Record):
    """Where a source of a corpus came from."""

    name: str
    kind: str
    """`synthetic`, `file` or `hub`."""
    path: tuple[str, ...] = ()
    """The files' names without their folders, or the data set on the Hub."""
    config: str | None = None
    split: str | None = None
    revision: str | None = None
    """The commit that was read of a data set on the Hub; the generator's version of generated text."""
    sha256: tuple[str, ...] = ()
    """The sha256 of each local file."""
    licence: str | None = None
    """As the recipe has it; `None` if it has none."""


class ShardRecord(Record):
    """One file of token ids."""

    file: str
    """Its path in the corpus, such as `train/000_train.ds`."""
    sha256: str
    bytes: int
    documents: int
    tokens: int
    """End-of-text tokens included."""
    documents_by_source: Mapping[str, int]
    facts_by_id: Mapping[int, int]
    """How often each id of the intervention's tokens occurs, those that never do included."""


class ShardsRecord(Record):
    """`shards.json` of a corpus."""

    tokenizer_sha256: str
    certificate_sha256: str
    """The seal of the tokenizer's certificate."""
    sources: tuple[SourceOrigin, ...]
    shards: tuple[ShardRecord, ...] = Field(default_factory=tuple)


class LengthsRecord(Record):
    """How many tokens the documents have, end-of-text tokens included."""

    mean: float
    quantiles: Mapping[str, int]
    """By share: `0.5` is the median."""
    at_most: Mapping[int, int]
    """How many documents have at most so many tokens, and more than the number before it."""
    longer_than_context: float
    """The share of documents that fill more than one of the model's sequences; none is cut off."""


class ShareRecord(Record):
    """What one source is of a split."""

    weight: float | None
    """As the recipe has it, of 1; `None` without weights."""
    share_of_bytes: float
    """What the weight became."""
    share_of_tokens: float
    documents: int
    source_bytes: int
    tokens: int
    epochs: float
    """How often its documents are in the split, on average."""


class BudgetRecord(Record):
    """What `corpus.num_tokens` takes of the training documents in the order of the shards; seeds have their own."""

    tokens: int
    documents: int
    """The last one, which may be cut, included."""
    source_bytes: int
    """Of the cut document, in proportion to its tokens."""
    documents_cut: int
    """How many of them are read in part: one, or none if the last ends where the budget does."""
    documents_unread: int
    """How many lie beyond, of which nothing is read."""
    share_cut: float
    """`documents_cut` as a share of all training documents."""
    share_unread: float
    """`documents_unread` as a share of all training documents."""


class SplitReport(Record):
    """What a split of a corpus is in one condition."""

    documents: int
    source_bytes: int
    characters: int
    tokens: int
    lengths: LengthsRecord
    sources: Mapping[str, ShareRecord]
    budget: BudgetRecord | None = None
    """Only of the training split, with `corpus.num_tokens`."""


class DataReport(Record):
    """`data_report.json` of a corpus."""

    condition: str
    train: SplitReport
    validation: SplitReport
