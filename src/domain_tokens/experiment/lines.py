"""Reports an experiment's progress as lines of text, for its log and for output that is not a terminal."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from domain_tokens.experiment.tasks import Ended, Event, Failed, Noted, Skipped, Started, Updated
from domain_tokens.recipe.errors import first_line
from domain_tokens.runs.progress import Progress
from domain_tokens.stopping.signals import GO_ON

EVERY_S = 30.0


class Lines:
    """Writes a line for every event, and one per running task every 30 seconds.

    Args:
        write: receives each line.
        every_s (`float`): seconds between two lines about a running task.
    """

    def __init__(self, write: Callable[[str], object], every_s: float = EVERY_S) -> None:
        self._write = write
        self._every_s = every_s
        self._due: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Write an event. A running task gets a line at its first report and then every 30 seconds."""
        match event:
            case Skipped(done, total, task):
                self._write(f"{task.name}: complete, skipped ({stages_done(done, total)})")
            case Started(task, resumes):
                self._write(f"{task.name}: {f'resumes {resumes}' if resumes else 'started'}, log: {task.log}")
            case Ended(done, total, running):
                self._write(f"{running.task.name}: done in {duration(running.seconds)} ({stages_done(done, total)})")
            case Failed(task, code):
                self._write(f"{task.name}: failed with exit code {code}, log: {task.log}")
            case Noted(text):
                self._write(text)
            case Updated():
                self._update(event)

    def _update(self, event: Updated) -> None:
        now = time.monotonic()
        for one in event.running:
            if one.progress is not None and now >= self._due.get(one.task.name, 0.0):
                self._due[one.task.name] = now + self._every_s
                whole = f"{stages_done(event.done, event.total)}{whole_left(event.seconds_left)}"
                self._write(f"{one.task.name}: {describe(one.progress, one.seconds_left)} ({whole})")


@contextmanager
def end_logged(log: IO[str], points: Sequence[str] = ()) -> Iterator[None]:
    """Write into a runner's log that its command has ended, and why if it did not do all that it was asked to.

    Args:
        log (`IO[str]`): the log, into which several commands of a study may write at a time.
        points (`Sequence[str]`, *optional*): which of a study's points the command runs; each gets a line.
    """
    why = ""
    try:
        yield
    except BaseException as error:
        why = f": {GO_ON if isinstance(error, KeyboardInterrupt) else first_line(error)}"
        raise
    finally:
        with suppress(OSError):  # as of a full disk, which may be why it ended
            for start in [f"{point}, " for point in points] or [""]:
                log.write(f"{time.strftime('%H:%M:%S')} {start}ended{why}\n")


def describe(progress: Progress, seconds_left: float | None) -> str:
    """Format a progress report: `step 120 of 400, loss 3.214, 1,234 tokens/s, about 2:10 left`."""
    part = f"{progress.part}, " if progress.part else ""
    whole = "" if progress.total is None else f" of {progress.total:,}"
    words = [f"{part}{progress.unit} {progress.done:,}{whole}"]
    if progress.loss is not None:
        words.append(f"loss {progress.loss:.3f}")
    if progress.tokens_per_s is not None:
        words.append(f"{progress.tokens_per_s:,.0f} tokens/s")
    if progress.documents is not None:
        words.append(f"{progress.documents:,} documents")
    if progress.documents_per_s is not None and progress.mb_per_s is not None:
        words.append(f"{progress.documents_per_s:,.0f} documents/s, {progress.mb_per_s:,.1f} MB/s")
    if progress.tokens is not None:
        words.append(f"{progress.tokens:,} tokens")
    return ", ".join(words) + duration_left(progress.seconds_left if seconds_left is None else seconds_left)


def stages_done(done: int, total: int) -> str:
    """Format how far an experiment is: `12 of 40 stages done`."""
    return f"{done} of {total} stages done"


def duration_left(seconds: float | None) -> str:
    """Format the time left: `, about 2:10 left`, or nothing if it is unknown or over."""
    return "" if seconds is None or seconds < 1 else f", about {duration(seconds)} left"


def whole_left(seconds: float | None) -> str:
    """Format the time left of an experiment, and why there is no estimate if there is none."""
    return ", time left unknown until one of each stage is done" if seconds is None else duration_left(seconds)


def duration(seconds: float) -> str:
    """Format a duration: `0:07`, `12:30` or `3:04:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
