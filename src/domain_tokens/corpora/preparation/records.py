"""What a prepared corpus says of itself: its shards, and what it was made of."""

from collections.abc import Mapping

from pydantic import Field

from domain_tokens.runs.records import Record

SHARDS = "shards.json"  # in a corpus
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
