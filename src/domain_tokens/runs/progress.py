"""Progress reports of a stage, sent to a display in its own process or to a file that the runner reads."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

PROGRESS_FILE = "DOMAIN_TOKENS_PROGRESS"
"""The environment variable with the path of the file to which a stage reports."""


@dataclass(frozen=True)
class Progress:
    """The progress of a stage.

    Attributes:
        part (`str`): the part of the stage to which `done` and `total` refer, for example an evaluation task.
        done (`int`): steps, items or MB.
        total (`int`, *optional*): all of them; `None` if only reading would tell.
        unit (`str`): `step`, `item` or `MB`.
        loss (`float`, *optional*): the latest training loss in nats.
        tokens_per_s (`float`, *optional*): tokens per second in this run since the last report.
        documents_per_s, mb_per_s (`float`, *optional*): text that this process and its helpers have read, per second.
        tokens (`int`, *optional*): tokens that are written.
        documents (`int`, *optional*): documents that are read, where the total is unknown.
        seconds_left (`float`, *optional*): an estimate, where the stage has a better one than from `done` and `total`.
    """

    part: str
    done: int
    total: int | None
    unit: str
    loss: float | None = None
    tokens_per_s: float | None = None
    documents_per_s: float | None = None
    mb_per_s: float | None = None
    tokens: int | None = None
    seconds_left: float | None = None
    documents: int | None = None


@dataclass(frozen=True)
class Amount:
    """How much of a corpus is done, in bytes of text, documents and tokens."""

    num_bytes: int
    documents: int
    tokens: int | None = None


_WRITE_EVERY_S = 0.2
_WATCH_EVERY_S = 0.5

Listener = Callable[[Progress], None]

_listeners: list[Listener] = []
_hearing_of_parts: list[Callable[[str], None]] = []


def report(progress: Progress) -> None:
    """Send a report to every listener."""
    for listener in _listeners:
        listener(progress)


def begin(part: str) -> None:
    """Say to whoever listens that a part of the work begins, whose length is not known."""
    for listener in _hearing_of_parts:
        listener(part)


@contextmanager
def hearing_of_parts(listener: Callable[[str], None]) -> Iterator[None]:
    """Tell a listener of every part that begins while the context is active."""
    _hearing_of_parts.append(listener)
    try:
        yield
    finally:
        _hearing_of_parts.remove(listener)


class Work:
    """Counts finished units of a known total and reports the progress.

    Args:
        total (`int`): the total number of units.
        unit (`str`): the unit.
    """

    def __init__(self, total: int, unit: str) -> None:
        self._total = total
        self._unit = unit
        self._done = 0

    def advance(self, number: int) -> None:
        """Add finished units and report the progress."""
        self._done += number
        report(Progress("", self._done, self._total, self._unit))


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send every report to a listener while the context is active."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def watching(part: str, measure: Callable[[], Amount], expected_bytes: float | None) -> Iterator[None]:
    """Report how much text has been read while the context is active, and all of it at its end.

    For work in other processes, such as those of datatrove, which report nothing.

    Args:
        part (`str`): what is written, for the display.
        measure (`Callable`): returns how much is done, what earlier processes did included.
        expected_bytes (`float`, *optional*): an estimate of the whole; without one, what is done is reported alone.
    """
    total = None if expected_bytes is None else max(1, round(expected_bytes / 1e6))
    first, started, finished = measure(), time.monotonic(), threading.Event()

    def at_present(amount: Amount, done: int, total: int | None) -> Progress:
        seconds, num_bytes = max(1e-9, time.monotonic() - started), amount.num_bytes - first.num_bytes
        left = None
        if expected_bytes is not None and num_bytes > 0 and done != total:
            left = max(0.0, seconds * (expected_bytes - amount.num_bytes) / num_bytes)
        return Progress(
            part,
            done,
            total,
            "MB",
            documents_per_s=(amount.documents - first.documents) / seconds,
            mb_per_s=num_bytes / 1e6 / seconds,
            tokens=amount.tokens,
            seconds_left=left,
            documents=amount.documents if expected_bytes is None else None,
        )

    def watch() -> None:
        while not finished.wait(_WATCH_EVERY_S):
            amount = measure()
            done = int(amount.num_bytes / 1e6)
            # The end is reported once, after the last byte, however wrong the estimate was.
            report(at_present(amount, done if total is None else min(total - 1, done), total))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
    last = measure()
    whole = max(1, round(last.num_bytes / 1e6)) if total is None else total
    report(at_present(last, whole, whole))


class ProgressFile:
    """A listener that keeps the latest report in a file, for the process that started the stage.

    Args:
        path (`Path`): the file. It is written at most a few times per second, without fsync.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._due = 0.0

    def __call__(self, progress: Progress) -> None:
        """Write the report, unless the previous one was written a moment ago."""
        now = time.monotonic()
        if now >= self._due or progress.done == progress.total:
            self._due = now + _WRITE_EVERY_S
            partial = self._path.with_name(f"{self._path.name}.partial")
            partial.write_text(json.dumps(asdict(progress)), encoding="utf-8")
            partial.replace(self._path)


def read_progress(path: Path) -> Progress | None:
    """Read the latest report. Returns None if there is none yet."""
    with suppress(FileNotFoundError):
        return Progress(**json.loads(path.read_text(encoding="utf-8")))
    return None
