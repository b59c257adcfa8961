"""Progress reports of a stage, sent to a display in its own process or to a file that the runner reads."""

import json
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
        done, total (`int`): steps, items or MB.
        unit (`str`): `step`, `item` or `MB`.
        loss (`float`, *optional*): the latest training loss in nats.
        tokens_per_s (`float`, *optional*): tokens per second in this run since the last report.
    """

    part: str
    done: int
    total: int
    unit: str
    loss: float | None = None
    tokens_per_s: float | None = None


_WRITE_EVERY_S = 0.2

Listener = Callable[[Progress], None]

_listeners: list[Listener] = []


def report(progress: Progress) -> None:
    """Send a report to every listener."""
    for listener in _listeners:
        listener(progress)


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
