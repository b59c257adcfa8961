"""Counts what the tasks of the preparation read while they read it, for a display in another process."""

import time
from pathlib import Path

from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from domain_tokens.corpora.sizes import BYTES_PER_ID
from domain_tokens.runs.progress import Amount

_EVERY_S = 0.5


class CountDocuments(PipelineStep):
    """The datatrove step that lets documents pass and keeps a file with their number and size, one for each task.

    Args:
        folder (`Path`): where the files are.
    """

    name = "count"
    type = "progress"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        """Yield the documents of one task."""
        assert data is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{rank:05d}"
        documents = num_bytes = 0
        due = 0.0
        for document in data:
            yield document
            documents += 1
            num_bytes += len(document.text.encode())
            if (now := time.monotonic()) >= due:
                due = now + _EVERY_S
                _write(file, documents, num_bytes)
        _write(file, documents, num_bytes)


def _write(file: Path, documents: int, num_bytes: int) -> None:
    partial_file = file.with_name(f"{file.name}.partial")
    partial_file.write_text(f"{documents} {num_bytes}", encoding="utf-8")
    partial_file.replace(file)


def counted(folder: Path, tokens: Path | None = None) -> Amount:
    """Return what all tasks have read so far.

    Args:
        folder (`Path`): of their counts.
        tokens (`Path`, *optional*): where they write token ids.
    """
    counts = [file.read_text(encoding="utf-8").split() for file in folder.glob("[0-9]*") if not file.suffix]
    num_tokens = None if tokens is None else _tokens(tokens)
    return Amount(sum(int(one[1]) for one in counts), sum(int(one[0]) for one in counts), num_tokens)


def _tokens(folder: Path) -> int:
    """Return how many ids are written; while a task shuffles its file, that is there twice and counts once."""
    sizes: dict[str, int] = {}
    for file in folder.glob("*.ds"):
        try:
            size = file.stat().st_size
        except FileNotFoundError:  # removed after it was shuffled
            continue
        task = file.name.partition("_")[0]
        sizes[task] = max(size, sizes.get(task, 0))
    return sum(sizes.values()) // BYTES_PER_ID
