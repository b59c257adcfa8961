"""Runs what a study lacks: data once for points that share it, and every run of every point.

Each point is an experiment of its own in the study's folder. What is complete is skipped, so the same command goes on
where another ended, however it ended. A stage that fails ends only the run that it belongs to.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from domain_tokens.experiment.lines import Lines, duration, end_logged
from domain_tokens.experiment.processes import Starter, task_environment
from domain_tokens.experiment.run import SEVERAL_EXPERIMENTS, Options, running_stages, tasks_of
from domain_tokens.experiment.sharing import first_own_stage, link_documents, link_stages, shares_documents
from domain_tokens.experiment.steps import Step
from domain_tokens.experiment.tasks import Display, Event, Task, TaskFailed, run_tasks
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.arguments import MICRO_BATCH
from domain_tokens.recipe.micro_batch import auto_stages
from domain_tokens.runs.files import lock, make_folder
from domain_tokens.runs.layout import LOCK, LOGS
from domain_tokens.studies.declaration import Study
from domain_tokens.studies.points import Point

LOG = "study.log"


def run_study(
    study: Study,
    points: Sequence[Point],
    chosen: Sequence[Point],
    options: Options,
    display: Display,
    only_data: bool = False,
) -> list[TaskFailed]:
    """Run everything that is missing of the chosen points.

    Args:
        study (`Study`): the study.
        points (`Sequence[Point]`): all its points.
        chosen (`Sequence[Point]`): those to run; those that cannot be run and duplicates are passed over.
        options (`Options`): how to run the stages.
        display: receives the events.
        only_data (`bool`): whether only the data is prepared.

    Returns:
        What failed; the runs that did not need it are complete.

    Raises:
        RecipeError: if a recipe leaves something to the machine that one point cannot share with another.
        TaskFailed: if a stage was asked to stop.
    """
    own = [point for point in chosen if point.is_run]
    check_micro_batches(own)
    for point in own:  # two commands may run different points of one study
        make_folder(logs_of(point))
        lock(logs_of(point) / LOCK)
    names = {point.name for point in own}
    readable = [point for point in points if point.name in names or (point.is_run and has_data(study, point))]
    share_data(own, readable)
    runs = {point.name: point.runs(study.seeds) for point in own}
    if only_data:
        runs = {name: [run[:1] for run in one] for name, one in runs.items()}
    tasks = tasks_of_points(own, readable, runs)
    make_folder(study.folder / LOGS)
    opened = (study.folder / LOGS / LOG).open("a", encoding="utf-8", buffering=1)
    with opened as log, end_logged(log, [point.name for point in own]):
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S%z')} {' '.join(sys.argv)}\n")
        lines = Lines(lambda line: log.write(f"{time.strftime('%H:%M:%S')} {line}\n"))

        def show(event: Event) -> None:
            lines(event)
            display(event)

        return _run_tasks(own, runs, tasks, options, log, show)


def _run_tasks(
    own: Sequence[Point],
    runs: Mapping[str, list[list[Step]]],
    tasks: Sequence[Task],
    options: Options,
    log: IO[str],
    show: Display,
) -> list[TaskFailed]:
    every, started = [run for one in runs.values() for run in one], time.monotonic()
    if all(step.is_complete() for run in every for step in run):
        return run_tasks(tasks, Starter(task_environment(None)), 1, show, keeps_going=True)
    arguments = [one for point in own for one in point.arguments]
    with running_stages(arguments, every, options, log, show, len(tasks)) as (starter, jobs):
        failed = run_tasks(tasks, starter, jobs, show, keeps_going=True)
    log.write(f"{len(tasks)} stages in {duration(time.monotonic() - started)}, {len(failed)} failed\n")
    return failed


def logs_of(point: Point) -> Path:
    """Return the folder of a point's logs, in which its lock lies."""
    return point.recipes[0].experiment_dir / LOGS


def has_data(study: Study, point: Point) -> bool:
    """Return whether the data of all conditions of a point is prepared."""
    first = point.runs(study.seeds[:1])
    return all(step.is_complete() for run in first for step in run if step.stage == "prepare_data")


def check_micro_batches(points: Sequence[Point]) -> None:
    """Check that no point leaves its micro batch to the machine. Raises `RecipeError` naming the key."""
    for point in points:
        if stages := auto_stages(point.recipes[0]):
            raise RecipeError(f"{point.name}: {stages[0]}: {MICRO_BATCH}: auto: {SEVERAL_EXPERIMENTS}")


def share_data(points: Sequence[Point], readable: Sequence[Point]) -> None:
    """Link the documents and shards of each point to those of the first point that reads the same ones."""
    for point in points:
        made = source_of(point, readable)
        if made.name != point.name:
            link_documents(made.recipes[0], point.recipes[0])
            for mine, theirs in zip(made.recipes, point.recipes, strict=True):
                if first_own_stage(mine, theirs) > 0:
                    link_stages(mine, theirs, 1, ())


def source_of(point: Point, points: Sequence[Point]) -> Point:
    """Return the first point that reads the same documents as this one, which may be this one."""
    for one in points:
        pairs = zip(one.recipes, point.recipes, strict=True)
        if one.name == point.name or all(shares_documents(mine, theirs) for mine, theirs in pairs):
            return one
    return point


def tasks_of_points(
    points: Sequence[Point], readable: Sequence[Point], runs: dict[str, list[list[Step]]]
) -> list[Task]:
    """Return the tasks of points; data that points share is prepared by the first of them.

    Args:
        points (`Sequence[Point]`): those to run.
        readable (`Sequence[Point]`): these, and those whose data is prepared.
        runs (`dict[str, list[list[Step]]]`): the stages of each point's runs, by its name.
    """
    tasks: list[Task] = []
    prepared: dict[str, tuple[int, ...]] = {}
    for point in points:
        logs = logs_of(point)
        before = prepared.get(source_of(point, readable).name, ())
        offset = len(tasks)
        for task in tasks_of(runs[point.name], None, logs):
            needs = tuple(need + offset for need in task.needs)
            needs += before if task.kind == "prepare_data" else ()
            tasks.append(replace(task, name=f"{point.name}, {task.name}", needs=needs))
        made = tuple(index for index in range(offset, len(tasks)) if tasks[index].kind == "prepare_data")
        prepared[point.name] = made
    return tasks
