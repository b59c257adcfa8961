"""Learns from the training split how facts are spelled, for the code of the side record.

A large corpus is sampled at fixed places of its files, the same for every condition: it takes seconds, and a code with
a few hundred contexts learns no more from more text.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import orjson

from domain_tokens.runs.records import SideCodeRecord
from domain_tokens.tokenization.batches.rewriting import batch_rewriter_of
from domain_tokens.tokenization.edits import Rewriting
from domain_tokens.tokenization.intervention import Intervention
from domain_tokens.tokenization.rewriter import rewriter_of
from domain_tokens.tokenization.side_record.code import SideCode
from domain_tokens.tokenization.side_record.record import record_of

MAX_BYTES = 64_000_000
_BATCH = 500  # documents
_PLACES = 64  # in each file, evenly spaced


def learn_side_code(documents: Path, intervention: Intervention, max_bytes: int = MAX_BYTES) -> SideCodeRecord:
    """Return what the code of the side record learns from documents.

    Args:
        documents (`Path`): the folder of the training split, `recipe.documents_dir / "train"`.
        intervention (`Intervention`): the condition's.
        max_bytes (`int`, *optional*): read about this much of the files.
    """
    code, rewriter, batch_rewriter = SideCode(), rewriter_of(intervention), batch_rewriter_of(intervention)
    num_documents = num_bytes = 0
    sample = sample_texts(documents, max_bytes)
    while texts := list(islice(sample, _BATCH)):
        for text, may_change in zip(texts, batch_rewriter.may_rewrite(texts), strict=True):
            rewriting = rewriter.rewrite(text) if may_change else Rewriting(text)
            code.learn(rewriting.text, record_of(rewriting, intervention))
            num_documents += 1
            num_bytes += len(text.encode())
    return code.record(num_documents, num_bytes)


def sample_texts(documents: Path, max_bytes: int) -> Iterator[str]:
    """Yield the documents of a folder, or of evenly spaced stretches of its files if these are larger than the limit.

    Args:
        documents (`Path`): holds the split's `.jsonl` files.
        max_bytes (`int`): of the files, not of the texts; every file has an equal share.
    """
    files = sorted(documents.glob("*.jsonl"))
    share = max_bytes // max(len(files), 1)
    for file in files:
        for line in _lines(file, share):
            yield orjson.loads(line)["text"]


def _lines(file: Path, share: int) -> Iterator[bytes]:
    size = file.stat().st_size
    with file.open("rb") as lines:
        if size <= share:
            yield from lines
            return
        end = 0
        for place in range(_PLACES):
            start = max(place * size // _PLACES, end)
            lines.seek(start)
            if start and start != end:
                lines.readline()  # begins in the middle of a document
            while lines.tell() < start + share // _PLACES and (line := lines.readline()):
                yield line
            end = lines.tell()
