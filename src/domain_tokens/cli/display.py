"""Progress display for stages and experiments: live in a terminal, otherwise one line every 30 seconds."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from domain_tokens.experiment.lines import EVERY_S, Lines, describe, duration, duration_left, stages_done, whole_left
from domain_tokens.experiment.tasks import Display, Ended, Event, Failed, Noted, Running, Skipped, Started, Updated
from domain_tokens.runs.progress import PROGRESS_FILE, Progress, ProgressFile, listening

logger = logging.getLogger(__name__)

_TAIL_LINES = 20  # of a failed stage's log
_BAR_WIDTH = 20


@contextmanager
def stage_progress(name: str) -> Iterator[None]:
    """Show the progress of the stage that runs in this process.

    A stage started by the runner reports to the runner and logs a line every 30 seconds.

    Args:
        name (`str`): the stage's name.
    """
    if PROGRESS_FILE in os.environ:
        with listening(ProgressFile(Path(os.environ[PROGRESS_FILE]))), listening(_HalfMinutes()):
            yield
    elif sys.stderr.isatty():
        with _LiveStage(name) as live, listening(live):
            yield
    else:
        with listening(_HalfMinutes()):
            yield


@contextmanager
def experiment_display() -> Iterator[Display]:
    """Yield the display of a running experiment: live in a terminal, lines of text elsewhere."""
    if sys.stdout.isatty():
        with _LiveExperiment() as display:
            yield display
    else:
        console = Console(highlight=False, soft_wrap=True)
        lines = Lines(lambda line: console.print(line, markup=False))

        def show(event: Event) -> None:
            lines(event)
            if isinstance(event, Failed):
                _show_failure(event)

        yield show


class _HalfMinutes:
    """Logs the first report, one every 30 seconds, and the last."""

    def __init__(self) -> None:
        self._due = 0.0
        self._started = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now >= self._due or progress.done == progress.total:
            self._due = now + EVERY_S
            logger.info("%s (%s)", describe(progress, None), duration(now - self._started))


class _LiveStage:
    """One live line: bar, loss, tokens per second, time left."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._started = time.monotonic()
        self._first: tuple[Progress, float] | None = None
        self._live = Live(Text(name), console=Console(stderr=True), refresh_per_second=4, transient=True)

    def __enter__(self) -> "_LiveStage":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._first is None or self._first[0].part != progress.part:
            self._first = (progress, now)
        first, since = self._first
        left = None
        if progress.total is not None and progress.done > first.done:
            left = (now - since) / (progress.done - first.done) * (progress.total - progress.done)
        self._live.update(_row_table([_row(self._name, progress, now - self._started, left)]))


class _LiveExperiment:
    """A live line for each running stage and one for the total; a permanent line for each finished stage."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "_LiveExperiment":
        self._started = time.monotonic()
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case Skipped(_, _, task):
                self._console.print(Text.assemble(("  - ", "dim"), (f"{task.name}: complete, skipped", "dim")))
            case Ended(_, _, running):
                self._console.print(
                    Text.assemble(("  ✓ ", "green"), running.task.name, ("  " + _summary(running), "dim"))
                )
            case Started(task, resumes) if resumes:
                self._console.print(Text.assemble(("  > ", "cyan"), f"{task.name}: resumes {resumes}"))
            case Updated():
                self._live.update(self._rows(event))
            case Noted(text):
                self._console.print(text, markup=False)
            case Failed():
                self._live.stop()
                _show_failure(event)

    def _rows(self, event: Updated) -> Table:
        rows = [_row(one.task.name, one.progress, one.seconds, one.seconds_left) for one in event.running]
        passed = duration(time.monotonic() - self._started)
        whole = f"{stages_done(event.done, event.total)}, {passed}{whole_left(event.seconds_left)}"
        return _row_table(
            [*rows, (Text("  "), Text("all"), ProgressBar(event.total, event.done, _BAR_WIDTH), Text(whole))]
        )


_Row = tuple[Spinner | Text, Text, ProgressBar | Text, Text]

_SPINNER = Spinner("dots")


def _row(name: str, progress: Progress | None, seconds: float, left: float | None) -> _Row:
    if progress is None:
        words = f"{duration(seconds)}{duration_left(left)}"
        return _SPINNER, Text(name), ProgressBar(None, 0, _BAR_WIDTH, pulse=True), Text(words)
    bar = ProgressBar(progress.total, progress.done, _BAR_WIDTH, pulse=progress.total is None)
    return _SPINNER, Text(name), bar, Text(describe(progress, left))


def _row_table(rows: list[_Row]) -> Table:
    table = Table.grid(padding=(0, 1))
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*row)
    return table


def _summary(running: Running) -> str:
    loss = None if running.progress is None else running.progress.loss
    return duration(running.seconds) + ("" if loss is None else f", loss {loss:.3f}")


def _show_failure(event: Failed) -> None:
    """Show the end of a failed task's log and the path of the log."""
    lines = event.task.log.read_text(encoding="utf-8", errors="replace").splitlines()
    tail = "\n".join(lines[-_TAIL_LINES:])
    sys.stderr.write(
        f"{tail}\n\n{event.task.name}: failed with exit code {event.code}; the lines above are the end of "
        f"{event.task.log}\nFinished stages are kept; run the same command again to resume.\n"
    )
