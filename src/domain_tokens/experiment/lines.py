"""Reports an experiment's progress as lines of text, for its log and for output that is not a terminal."""

import time
from collections.abc import Callable

from domain_tokens.experiment.tasks import Ended, Event, Failed, Noted, Skipped, Started, Updated
from domain_tokens.runs.progress import Progress

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
            case Skipped(number, total, task):
                self._write(f"[{number}/{total}] {task.name}: complete, skipped")
            case Started(number, total, task):
                self._write(f"[{number}/{total}] {task.name}: started, log: {task.log}")
            case Ended(number, total, running):
                self._write(f"[{number}/{total}] {running.task.name}: done in {duration(running.seconds)}")
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
                left = duration_left(event.left.seconds, event.left.at_least)
                whole = f"{event.done} of {event.total} stages complete{left}"
                self._write(f"{one.task.name}: {describe(one.progress, one.seconds_left)} ({whole})")


def describe(progress: Progress, seconds_left: float | None) -> str:
    """Format a progress report: `step 120 of 400, loss 3.214, 1,234 tokens/s, 2:10 left`."""
    part = f"{progress.part}, " if progress.part else ""
    words = [f"{part}{progress.unit} {progress.done:,} of {progress.total:,}"]
    if progress.loss is not None:
        words.append(f"loss {progress.loss:.3f}")
    if progress.tokens_per_s is not None:
        words.append(f"{progress.tokens_per_s:,.0f} tokens/s")
    return ", ".join(words) + (duration_left(seconds_left, False) if seconds_left is not None else "")


def duration_left(seconds: float, at_least: bool) -> str:
    """Format the time left: `, 2:10 left`, `, at least 2:10 left`, or nothing if it is unknown."""
    if at_least and seconds < 1:
        return ""
    return f", {'at least ' if at_least else ''}{duration(seconds)} left"


def duration(seconds: float) -> str:
    """Format a duration: `0:07`, `12:30` or `3:04:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
