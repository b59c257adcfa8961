"""The rows without a solution: one line each, kept with their shard, and put together at the end."""

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from domain_tokens.corpora.solutions.problems import Problem
from domain_tokens.corpora.solutions.records import REJECTED, SHARD_RECORDS, RejectedRow
from domain_tokens.corpora.solutions.route import Rejected

_LONGEST = 200  # characters of a detail
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # of an object in memory: another one in every process


def line_of(problem: Problem, outcome: Rejected) -> str:
    """Return the line of a row that has no solution. It is the same in every process."""
    detail = _ADDRESS.sub("", " ".join(outcome.detail.split()))[:_LONGEST]
    return RejectedRow(id=str(problem.row), reason=outcome.reason, detail=detail).model_dump_json() + "\n"


def rejected_in_shard(folder: Path, shard: str) -> Path:
    """Return where the rows of a shard are listed that have no solution; `shard` is its name without a suffix."""
    return folder / SHARD_RECORDS / f"{shard}.{REJECTED}"


def write_rejected(folder: Path, shards: Iterable[str]) -> None:
    """Write the rows without a solution of all shards into one file, whole or not at all."""
    partial = folder / f".{REJECTED}.partial"
    with partial.open("wb") as file:
        for shard in shards:
            with rejected_in_shard(folder, shard).open("rb") as part:
                shutil.copyfileobj(part, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / REJECTED)
