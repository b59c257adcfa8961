"""What stands beside the solutions of a data set: where they came from, and what became of every row."""

from collections.abc import Mapping

from domain_tokens.local_data.files import RECORDS_OF_SOLUTIONS, REJECTED_OF_SOLUTIONS
from domain_tokens.runs.records import Record

METADATA = "metadata.json"
"""The record of the whole folder; a name that is no data where the folder is read."""

REJECTED = REJECTED_OF_SOLUTIONS
"""The rows without a solution, one a line; passed over where the folder is read."""

SHARD_RECORDS = RECORDS_OF_SOLUTIONS
"""The folder of the records of single shards."""


class Counts(Record):
    """What became of rows.

    Attributes:
        rows: how many were read.
        solved: how many have a solution.
        rejected: how many have none, by reason.
        facts_before, facts_after: products in the programs and in the solutions of the solved rows, as the
            intervention would tokenize them.
        solutions_with_facts: solutions with at least one.
        characters: of all solutions.
    """

    rows: int
    solved: int
    rejected: Mapping[str, int]
    facts_before: int
    facts_after: int
    solutions_with_facts: int
    characters: int


class SolutionShard(Record):
    """One file of solutions."""

    file: str
    sha256: str
    first_row: int
    """Of the data set, from 0."""
    counts: Counts
    rejected_sha256: str = ""
    """Of the list of its rows without a solution; empty in a record of a version that wrote none."""


class RejectedRow(Record):
    """A row without a solution, one line of `rejected.jsonl`."""

    id: str
    """Its number in the data set, from 0, as in the shards."""
    reason: str
    """As it is counted."""
    detail: str
    """What was found, in a few words; may be empty."""


class SolutionSettings(Record):
    """All that the content of a folder depends on."""

    source: Mapping[str, object]
    """As `corpora.sources.describe` has it: columns, files with their sha256 or the commit on the Hub."""
    licence: str | None
    """Of the data set."""
    route: Mapping[str, str | int | bool]
    """The route's name, version and options."""
    rows_per_shard: int
    counted_as: str
    """The intervention whose facts are counted. The solutions do not depend on it."""


class SolutionsRecord(Record):
    """`metadata.json` of a folder of solutions."""

    settings: SolutionSettings
    counts: Counts
    shards: tuple[SolutionShard, ...]
