"""Progress of data preparation, whose steps run in processes of datatrove: the size of the files that they write."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domain_tokens.runs.progress import Progress, report

_EVERY_S = 0.5


@contextmanager
def watching(part: str, folder: Path, pattern: str, expected_bytes: float | None) -> Iterator[None]:
    """Report how many MB of files are written while the context is active, and all of them at its end.

    Args:
        part (`str`): what is written, for the display.
        folder (`Path`): where; it may not be there yet.
        pattern (`str`): a glob pattern of the files.
        expected_bytes (`float`, *optional*): an estimate of their size; nothing is reported without one.
    """
    if expected_bytes is None:
        yield
        return
    total, finished = max(1, round(expected_bytes / 1e6)), threading.Event()

    def watch() -> None:
        while not finished.wait(_EVERY_S):
            written = sum(file.stat().st_size for file in folder.glob(pattern))
            # The end is reported once, after the last byte, however wrong the estimate was.
            report(Progress(part, min(total - 1, int(written / 1e6)), total, "MB"))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
    report(Progress(part, total, total, "MB"))
