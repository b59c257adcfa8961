"""Reads the log of a runner: which stages it started, finished, and saw fail, and how long they took."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from domain_tokens.stopping.signals import INTERRUPTED

_COMMAND = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:[+-]\d{4})?) (.*)")
_JOBS = re.compile(r"jobs: (\d+), threads per stage: .*")
_LINE = re.compile(r"(\d\d:\d\d:\d\d) (.*)")
_STARTED = re.compile(r"(.+): (?:started|resumes .*), log: .+")
_DONE = re.compile(r"(.+): done in ([\d:]+) \((\d+) of (\d+) stages done\)")
_SKIPPED = re.compile(r"(.+): complete, skipped \((\d+) of (\d+) stages done\)")
_FAILED = re.compile(r"(.+): failed with exit code (-?\d+), log: .+")
_ENDED = re.compile(r"(?:(.+), )?ended(?:: .*)?")
_UPDATE = re.compile(r"(.+?): .*\((\d+) of (\d+) stages done.*\)")

_SET_BACK = timedelta(hours=2)

Outcome = Literal["started", "done", "skipped", "failed", "interrupted"]


@dataclass(frozen=True)
class Logged:
    """What the log says of one stage of one run.

    Attributes:
        outcome: what became of it last.
        at: when.
        seconds: how long it took, if it is done.
        code: its exit code, if it failed.
    """

    outcome: Outcome
    at: datetime
    seconds: float | None = None
    code: int | None = None


@dataclass
class RunnerLog:
    """What a runner has logged.

    Attributes:
        command: the last command.
        began: when it began.
        jobs: how many stages run at a time.
        done, total: how many stages are done, of all; `None` before the log says so.
        tasks: by name, such as `mul_tokens, seed 0: sft`, what became of a stage.
        durations: by name, how long a stage took that the runner has seen to its end, with any command.
        ended: for which points of a study the last command has ended; the empty name is that of an experiment.
    """

    command: str = ""
    began: datetime | None = None
    jobs: int = 1
    done: int | None = None
    total: int | None = None
    tasks: dict[str, Logged] = field(default_factory=dict)
    durations: dict[str, float] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    @property
    def has_ended(self) -> bool:
        """Whether the runner wrote that its command has ended, however it did."""
        return "" in self.ended

    def of_point(self, point: str) -> "RunnerLog":
        """Return what a study's log says of one point, under the names that the point's own log would have."""
        start = f"{point}, "
        return replace(
            self,
            tasks={name.removeprefix(start): one for name, one in self.tasks.items() if name.startswith(start)},
            durations={
                name.removeprefix(start): one for name, one in self.durations.items() if name.startswith(start)
            },
            ended={""} if point in self.ended else set(),
        )


def read_study_log(lines: Sequence[str]) -> RunnerLog:
    """Read the lines of `study.log`, into which several commands may write at a time, each for points of its own."""
    return read_log(lines, is_only_one=False)


def read_log(lines: Sequence[str], is_only_one: bool = True) -> RunnerLog:
    """Read the lines of `experiment.log`. A new command forgets what failed under the one before.

    Args:
        lines (`Sequence[str]`): of the log, whole.
        is_only_one (`bool`, *optional*, defaults to `True`): whether a command that begins shows that the one before
            has ended, with all that it had started.
    """
    log = RunnerLog()
    stays = ("done", "skipped") if is_only_one else ("done", "skipped", "started")
    now = datetime(2000, 1, 1).astimezone()  # before the first command, no line should be
    for line in lines:
        if command := _COMMAND.fullmatch(line):
            now = _aware(datetime.fromisoformat(command[1]))
            log.command, log.began, log.done, log.total, log.ended = command[2], now, None, None, set()
            log.tasks = {name: one for name, one in log.tasks.items() if one.outcome in stays}
        elif jobs := _JOBS.fullmatch(line):
            log.jobs = max(1, int(jobs[1]))
        elif timed := _LINE.fullmatch(line):
            now = _later(now, timed[1])
            _read_event(log, now, timed[2])
    return log


def _aware(at: datetime) -> datetime:
    """Return a moment with its zone: that of the machine that wrote it, or this one's, if it wrote none."""
    return at if at.tzinfo is not None else at.astimezone()


def _read_event(log: RunnerLog, now: datetime, text: str) -> None:
    if found := _STARTED.fullmatch(text):
        log.tasks[found[1]] = Logged("started", now)
    elif found := _DONE.fullmatch(text):
        seconds = _seconds(found[2])
        log.tasks[found[1]] = Logged("done", now, seconds)
        log.durations[found[1]] = seconds
        log.done, log.total = int(found[3]), int(found[4])
    elif found := _SKIPPED.fullmatch(text):
        log.tasks[found[1]] = Logged("skipped", now)
        log.done, log.total = int(found[2]), int(found[3])
    elif found := _FAILED.fullmatch(text):
        code = int(found[2])
        log.tasks[found[1]] = Logged("interrupted" if code in INTERRUPTED else "failed", now, code=code)
    elif found := _ENDED.fullmatch(text):
        log.ended.add(found[1] or "")
    elif found := _UPDATE.fullmatch(text):
        log.done, log.total = int(found[2]), int(found[3])


def _later(before: datetime, clock: str) -> datetime:
    """Return the next moment with a time of day, in the zone of the one before.

    A line is never earlier than the one before, but for a clock that was set back a little, as in autumn.
    """
    hours, minutes, seconds = map(int, clock.split(":"))
    if hours > 23 or minutes > 59 or seconds > 59:
        return before
    at = before.replace(hour=hours, minute=minutes, second=seconds)
    return at + timedelta(days=1) if at < before - _SET_BACK else at


def _seconds(duration: str) -> float:
    """Return the seconds of `0:07`, `12:30` or `3:04:05`."""
    seconds = 0.0
    for part in duration.split(":"):
        seconds = 60 * seconds + int(part or 0)
    return seconds
