"""The time left of everything, from what stages of the same kind took in the same experiment."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from domain_tokens.experiment.tasks import Task, time_left
from domain_tokens.watch.files.runner_log import RunnerLog
from domain_tokens.watch.plan import PREPARE
from domain_tokens.watch.view import ExperimentView, Left, RunView, StageView, State


def usual_durations(log: RunnerLog) -> dict[str, float]:
    """Return how long a stage of each kind takes: the median of those that the runner saw to their end, in seconds."""
    by_kind: dict[str, list[float]] = {}
    for name, seconds in log.durations.items():
        by_kind.setdefault(name.rpartition(": ")[2], []).append(seconds)
    return {kind: statistics.median(found) for kind, found in by_kind.items()}


def remaining(experiments: Sequence[ExperimentView], usual: Mapping[str, Mapping[str, float]], jobs: int) -> Left:
    """Estimate the time until all stages are done; the comparison at the end is not counted.

    A kind of stage that has not ended yet takes as long as one that runs will have taken, if that can be said.

    Args:
        experiments (`Sequence[ExperimentView]`): all of them; stages of two are not taken for equally long.
        usual (`Mapping[str, Mapping[str, float]]`): by experiment and kind, how long a stage takes, in seconds.
        jobs (`int`): how many stages run at a time.
    """
    tasks: list[Task] = []
    done: set[int] = set()
    running: dict[int, float | None] = {}
    durations: dict[str, float] = {}
    for experiment in experiments:
        own = usual.get(experiment.name, {})
        durations |= {_key(experiment, kind): seconds for kind, seconds in own.items()}
        prepared: tuple[int, ...] = ()
        for run in experiment.runs:
            needs = prepared
            for kind, stages in _by_kind(run).items():
                here, key = len(tasks), _key(experiment, kind)
                tasks.append(Task(key, run.name, (), needs, Path(), lambda: False))
                needs = (here,)
                prepared = needs if kind == PREPARE else prepared
                if all(stage.state == State.DONE for stage in stages):
                    done.add(here)
                elif (one := _current(stages)) is not None:
                    running[here] = _whole_left(one, stages, own.get(kind))
                    if running[here] is not None and one.seconds is not None:
                        durations.setdefault(key, one.seconds + (running[here] or 0.0))
    return _left(tasks, done, running, durations, jobs)


def _left(
    tasks: list[Task], done: set[int], running: dict[int, float | None], durations: dict[str, float], jobs: int
) -> Left:
    if not tasks:  # which ones there are is not known yet
        return Left(None, 0.0)
    if len(done) == len(tasks):
        return Left(0.0, 0.0)
    unknown = {task.kind for index, task in enumerate(tasks) if index not in done and index not in running}
    unknown |= {tasks[index].kind for index, seconds in running.items() if seconds is None}
    without = dict.fromkeys(task.kind for task in tasks if task.kind in unknown - durations.keys())
    known = dict.fromkeys((task.kind for task in tasks), 0.0) | durations
    whole = {index: seconds or 0.0 for index, seconds in running.items()}
    return Left(
        time_left(tasks, done, running, durations, jobs),
        time_left(tasks, done, whole, known, jobs) or 0.0,
        tuple((name, kind) for name, _, kind in (one.rpartition("/") for one in without)),
    )


def _by_kind(run: RunView) -> dict[str, list[StageView]]:
    found: dict[str, list[StageView]] = {}
    for stage in run.stages:
        found.setdefault(stage.kind, []).append(stage)
    return found


def _current(stages: Sequence[StageView]) -> StageView | None:
    return next((stage for stage in stages if stage.state == State.RUNNING), None)


def _whole_left(one: StageView, stages: Sequence[StageView], usual: float | None) -> float | None:
    """Return the time left of a script: of its last part by its speed, else as long as others of its kind took.

    `None` if it takes longer than these and says nothing of its speed.
    """
    if one is stages[-1] and one.seconds_left is not None:
        return one.seconds_left
    return None if usual is None or one.seconds is None or one.seconds >= usual else usual - one.seconds


def _key(experiment: ExperimentView, kind: str) -> str:
    return f"{experiment.name}/{kind}"
