"""Runs tasks with dependencies, several at a time, until all are complete or one fails."""

import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from domain_tokens.recipe.errors import NOT_PUBLISHED
from domain_tokens.runs.progress import Progress, read_progress
from domain_tokens.stopping.signals import INTERRUPTED

_GRACE_S = 120  # for the end of a step and a checkpoint


@dataclass(frozen=True)
class Task:
    """One process of an experiment.

    Attributes:
        kind (`str`): the script's name; tasks of one kind take about equally long.
        name (`str`): for example `mul_tokens, seed 0: sft`.
        arguments (`tuple[str, ...]`): the script's path and its arguments.
        needs (`tuple[int, ...]`): the indices of the tasks that must be complete before it starts.
        log (`Path`): receives the output of the process.
        is_complete: returns whether there is nothing left to do; called once all tasks in `needs` are complete.
        distributed (`bool`): whether it may need accelerate's launcher.
        is_brief (`bool`): whether it takes so little that an estimate of the time left does not count it.
        resumes: returns in words which unfinished work it goes on with, and from where; nothing if it begins anew.
    """

    kind: str
    name: str
    arguments: tuple[str, ...]
    needs: tuple[int, ...]
    log: Path
    is_complete: Callable[[], bool]
    distributed: bool = False
    is_brief: bool = False
    resumes: Callable[[], str] = lambda: ""

    @property
    def progress_file(self) -> Path:
        """The file in which the process reports its progress."""
        return self.log.with_suffix(".progress")


class Process(Protocol):
    """A process that leads a process group: a fresh one or a child of the warm process."""

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the process and return its exit code. Raises `subprocess.TimeoutExpired`."""
        ...

    def signal_group(self, number: int) -> None:
        """Send a signal to the process and its children."""
        ...


@dataclass
class Running:
    """A running task.

    Attributes:
        seconds (`float`): time since it started.
        progress (`Progress`, *optional*): its latest report.
        seconds_left (`float`, *optional*): estimated time left of what it reports; None if unknown. A process may
            report several loops one after another, such as the stages of fine-tuning.
        whole_left (`float`, *optional*): estimated time left of the whole task; None before one of its kind is done.
    """

    task: Task
    process: Process
    started: float
    seconds: float = 0.0
    progress: Progress | None = None
    seconds_left: float | None = None
    whole_left: float | None = None
    _first: tuple[Progress, float] | None = field(default=None, repr=False)

    def refresh(self, now: float, usual: float | None) -> None:
        """Read the latest report and estimate the time left.

        Args:
            now (`float`): monotonic time in seconds.
            usual (`float`, *optional*): duration of an earlier task of this kind, in seconds.
        """
        self.seconds = now - self.started
        self.progress = read_progress(self.task.progress_file)
        self.whole_left = None if usual is None else max(0.0, usual - self.seconds)
        self.seconds_left = self.whole_left
        if self.progress is None:
            return
        if self._first is None or _is_another_loop(self._first[0], self.progress):
            self._first = (self.progress, now)  # a resumed stage does not start at 0
        first, since = self._first
        if self.progress.total is not None and self.progress.done > first.done:
            per_unit = (now - since) / (self.progress.done - first.done)
            self.seconds_left = per_unit * (self.progress.total - self.progress.done)


def _is_another_loop(before: Progress, now: Progress) -> bool:
    return before.part != now.part or before.total != now.total or before.done > now.done


@dataclass(frozen=True)
class Skipped:
    """A task was already complete; `done` counts it."""

    done: int
    total: int
    task: Task


@dataclass(frozen=True)
class Started:
    """A task has started; `resumes` is as in `Task`."""

    task: Task
    resumes: str = ""


@dataclass(frozen=True)
class Updated:
    """The progress of the running tasks; sent several times per second.

    Attributes:
        seconds_left (`float`, *optional*): estimated time until all tasks are complete; None if it is unknown.
    """

    running: tuple[Running, ...]
    seconds_left: float | None
    done: int
    total: int


@dataclass(frozen=True)
class Ended:
    """A task has succeeded; `done` counts it."""

    done: int
    total: int
    running: Running


@dataclass(frozen=True)
class Failed:
    """A task exited with a non-zero code."""

    task: Task
    code: int


@dataclass(frozen=True)
class Noted:
    """Something to say about the experiment, in one line."""

    text: str


Event = Skipped | Started | Updated | Ended | Failed | Noted
Display = Callable[[Event], None]
"""Shows an experiment's progress; called with every event."""


class TaskFailed(Exception):
    """A task exited with a non-zero code."""

    def __init__(self, task: Task, code: int) -> None:
        super().__init__(f"{task.name}: exit code {code}")
        self.task = task
        self.code = code


def run_tasks(
    tasks: Sequence[Task],
    start: Callable[[Task], Process],
    jobs: int,
    display: Display,
    poll_s: float = 0.2,
    keeps_going: bool = False,
) -> list[TaskFailed]:
    """Run all tasks in order of dependency, several at a time, and skip those that are complete.

    Args:
        tasks (`Sequence[Task]`): each depends only on tasks before it. The first task that is ready starts first.
        start: starts a task's process.
        jobs (`int`): maximum number of processes at a time.
        display (`Display`): receives every event.
        poll_s (`float`): polling interval in seconds.
        keeps_going (`bool`): whether one that fails ends only those that need it. One that was asked to stop ends all.

    Returns:
        The tasks that failed, if it `keeps_going`.

    Raises:
        TaskFailed: if a process fails, other than to publish. As on any exception, all others have been ended by then.
    """
    done, failed, running, durations = set[int](), dict[int, TaskFailed](), dict[int, Running](), dict[str, float]()
    try:
        while len(over := done | _in_need_of(failed, tasks)) < len(tasks):
            index = _next(tasks, over, running, done) if len(running) < jobs else None
            if index is not None and tasks[index].is_complete():
                done.add(index)
                display(Skipped(len(done), len(tasks), tasks[index]))
                continue
            if index is not None:
                running[index] = _begin(tasks[index], start, display)
                continue
            time.sleep(poll_s)
            for one in running.values():
                one.refresh(time.monotonic(), durations.get(one.task.kind))
            for ended in [number for number, one in running.items() if one.process.poll() is not None]:
                one = running.pop(ended)
                if (failure := _finish(one, durations, display, keeps_going)) is None:
                    done.add(ended)
                    display(Ended(len(done), len(tasks), one))
                else:
                    failed[ended] = failure
            left = time_left(tasks, over | done, _time_left_of(running), durations, jobs)
            display(Updated(tuple(running.values()), left, len(done), len(tasks)))
    finally:
        _end([one.process for one in running.values()])
    return list(failed.values())


def time_left(
    tasks: Sequence[Task],
    done: Collection[int],
    running: Mapping[int, float | None],
    durations: Mapping[str, float],
    jobs: int,
) -> float | None:
    """Estimate the seconds until all tasks are complete from the durations of earlier tasks of the same kind.

    The estimate is the larger of two bounds: the longest chain of dependent tasks, and the total divided by `jobs`.

    Args:
        tasks (`Sequence[Task]`): all of them.
        done (`Collection[int]`): the indices of those that are complete.
        running (`Mapping[int, float | None]`): the estimated time left of those that run.
        durations (`Mapping[str, float]`): how long one of each kind takes, in seconds.
        jobs (`int`): how many run at a time.

    Returns:
        `None` as long as no task of some kind has been completed: what is known then would be far too little.
    """
    ends: list[float] = []
    total = 0.0
    for index, task in enumerate(tasks):
        seconds: float | None = durations.get(task.kind)
        if index in done or task.is_brief:
            seconds = 0.0
        elif index in running:
            seconds = running[index]
        if seconds is None:
            return None
        total += seconds
        ends.append(seconds + max((ends[need] for need in task.needs), default=0.0))
    return max(*ends, total / jobs, 0.0)


def _time_left_of(running: Mapping[int, Running]) -> dict[int, float | None]:
    return {index: one.whole_left for index, one in running.items()}


def _next(tasks: Sequence[Task], ended: set[int], running: dict[int, Running], done: set[int]) -> int | None:
    open_tasks = (index for index in range(len(tasks)) if index not in ended and index not in running)
    return next((index for index in open_tasks if done.issuperset(tasks[index].needs)), None)


def _in_need_of(failed: Collection[int], tasks: Sequence[Task]) -> set[int]:
    """Return tasks with all that need them, directly or through others; a task needs only tasks before it."""
    lost = set(failed)
    for index, task in enumerate(tasks if lost else ()):
        if lost.intersection(task.needs):
            lost.add(index)
    return lost


def _begin(task: Task, start: Callable[[Task], Process], display: Display) -> Running:
    task.progress_file.unlink(missing_ok=True)
    display(Started(task, task.resumes()))
    return Running(task, start(task), time.monotonic())


def _finish(ended: Running, durations: dict[str, float], display: Display, keeps_going: bool) -> TaskFailed | None:
    """Record that a process has ended; return or raise its failure."""
    ended.task.progress_file.unlink(missing_ok=True)
    code = ended.process.wait()
    if code == NOT_PUBLISHED:  # no result is missing, so the tasks after it go on
        display(Noted(f"{ended.task.name}: complete, but not published; {ended.task.log} says why"))
    elif code != 0:
        display(Failed(ended.task, code))
        failure = TaskFailed(ended.task, code)
        if not keeps_going or code in INTERRUPTED:
            raise failure
        return failure
    durations[ended.task.kind] = ended.seconds
    return None


def _end(processes: list[Process]) -> None:
    # Ending a stage at any moment is safe: finished results are kept, and a partly written checkpoint is detected.
    deadline = time.monotonic() + _GRACE_S
    try:
        for process in processes:
            process.signal_group(signal.SIGTERM)
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
    finally:  # after that time, or at once if the user asks again
        for process in processes:
            process.signal_group(signal.SIGKILL)
        for process in processes:
            process.wait()
