"""How far a stage is. It reports to whoever listens: a display in its own process, or a file that the runner reads."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

PROGRESS_FILE = "DOMAIN_TOKENS_PROGRESS"
"""The environment variable that names the file to which a stage reports."""


@dataclass(frozen=True)
class Progress:
    """How far a stage is.

    Attributes:
        part (`str`): the part of the stage that `done` and `total` count, for example a task of the evaluation.
        done, total (`int`): steps or items.
        unit (`str`): `step` or `item`.
        loss (`float`, *optional*): the newest training loss in nats.
        tokens_per_s (`float`, *optional*): tokens a second in this run since the last report.
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
    """Tell every listener how far the stage is; without one nothing happens."""
    for listener in _listeners:
        listener(progress)


class Work:
    """Counts what a stage has done of a known amount, and reports it.

    Args:
        total (`int`): the amount.
        unit (`str`): what is counted.
    """

    def __init__(self, total: int, unit: str) -> None:
        self._total = total
        self._unit = unit
        self._done = 0

    def advance(self, number: int) -> None:
        """Report that so many more are done."""
        self._done += number
        report(Progress("", self._done, self._total, self._unit))


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Pass every report to a listener for a while."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


class ProgressFile:
    """A listener that keeps the newest report in a file, for the process that started the stage.

    Args:
        path (`Path`): is not forced onto the disk, and is written a few times a second at most.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._due = 0.0

    def __call__(self, progress: Progress) -> None:
        """Write the report, unless the one before is from this moment."""
        now = time.monotonic()
        if now >= self._due or progress.done == progress.total:
            self._due = now + _WRITE_EVERY_S
            partial = self._path.with_name(f"{self._path.name}.partial")
            partial.write_text(json.dumps(asdict(progress)), encoding="utf-8")
            partial.replace(self._path)


def read_progress(path: Path) -> Progress | None:
    """Read the newest report, or None if there is none yet."""
    with suppress(FileNotFoundError):
        return Progress(**json.loads(path.read_text(encoding="utf-8")))
    return None
