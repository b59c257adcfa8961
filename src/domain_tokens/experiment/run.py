"""Runs an experiment from its recipes to its comparison."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import psutil

from domain_tokens.evaluation.modes import check_tasks
from domain_tokens.experiment import preparation
from domain_tokens.experiment.comparison import Comparison
from domain_tokens.experiment.lines import Lines, duration
from domain_tokens.experiment.preparation import Preparation, read_preparation
from domain_tokens.experiment.processes import Starter, task_environment
from domain_tokens.experiment.steps import SCRIPTS, Step, steps_of
from domain_tokens.experiment.tasks import Display, Event, Failed, Task, Updated, run_tasks
from domain_tokens.recipe import Recipe, RecipeError, load_recipe
from domain_tokens.runs.files import read_json
from domain_tokens.runs.layout import LOGS, MANIFEST
from domain_tokens.warm_process import THREADS, WarmProcess, WarmProcessError

STAGE_MODULES = (
    "domain_tokens.corpora.prepare",
    "domain_tokens.training.pretrain",
    "domain_tokens.training.sft",
    "domain_tokens.training.grpo",
    "domain_tokens.evaluation.evaluate",
    "domain_tokens.evaluation.checkpoints",
    "domain_tokens.evaluation.models.lighteval_adapter",
    "domain_tokens.cli.stages",
    "domain_tokens.cli.display",
)
"""What the stages import, themselves and by way of their libraries: all that is slow about starting one."""


@dataclass(frozen=True)
class Options:
    """How an experiment is run. Nothing here changes a result, apart from `threads`, which is the same for all.

    Attributes:
        config_file (`Path`, *optional*): accelerate's configuration.
        in_process (`bool`): fork stages from a process that has imported the libraries, where that is possible.
        jobs (`int`, *optional*): runs side by side; as many as the cores allow if not given.
        threads (`int`, *optional*): of each stage. Sums depend on it in their last digits, so it does not depend on
            `jobs`: what finished stages of the experiment used, else half of the cores, because two conditions run
            side by side.
    """

    config_file: Path | None = None
    in_process: bool = sys.platform == "linux"
    jobs: int | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Experiment:
    """What an experiment consists of.

    Attributes:
        recipes (`list[Path]`): one recipe a condition, the reference first.
        overlays (`list[Path]`): overlays of every recipe.
        seeds (`list[int]`): the seeds of the runs.
        overrides (`list[str]`): dotted overrides of every recipe.
    """

    recipes: list[Path]
    overlays: list[Path]
    seeds: list[int]
    overrides: list[str]

    def arguments(self) -> list[list[str]]:
        """Return the arguments of each condition's recipe, without a seed."""
        return [[str(recipe), *map(str, self.overlays), *self.overrides] for recipe in self.recipes]


def run_experiment(experiment: Experiment, options: Options, display: Display) -> Path:
    """Run all stages that are not complete, then compare each condition with the first.

    Returns:
        The experiment's folder.

    Raises:
        RecipeError: if a recipe or the set of recipes is wrong.
        TaskFailed: if a stage fails; the others have been ended.
    """
    if options.config_file is not None and not options.config_file.is_file():
        raise RecipeError(f"{options.config_file}: no such file; expected one of accelerate_configs/")
    arguments = experiment.arguments()
    loaded = [load_recipe(one) for one in arguments]
    _check_together(loaded)
    for recipe in loaded:
        check_tasks(recipe)
    runs = [list(steps_of([*one, f"seed={seed}"])) for seed in experiment.seeds for one in arguments]
    logs = loaded[0].experiment_dir / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    comparison = _comparison_of(loaded)
    tasks = _tasks_of(runs, comparison, logs)
    started = time.monotonic()
    with (logs / "experiment.log").open("a", encoding="utf-8", buffering=1) as log:
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(sys.argv)}\n")
        lines = Lines(lambda line: log.write(f"{time.strftime('%H:%M:%S')} {line}\n"))

        def show(event: Event) -> None:
            lines(event)
            display(event)

        if all(step.is_complete() for run in runs for step in run):
            run_tasks(tasks, Starter(task_environment(None)), 1, show)
        else:
            with _stages(arguments, runs, options, log, show, len(tasks)) as (starter, jobs):
                run_tasks(tasks, starter, jobs, show)
        if comparison is not None and not comparison.is_current():
            comparison.record()
        log.write(f"{len(tasks)} stages in {duration(time.monotonic() - started)}\n")
    return loaded[0].experiment_dir


def _check_together(recipes: list[Recipe]) -> None:
    conditions = [recipe.condition for recipe in recipes]
    if len(set(conditions)) < len(conditions):
        raise RecipeError(
            f"the recipes name a condition twice: {', '.join(conditions)}; expected one recipe a condition"
        )
    if len({recipe.experiment_dir for recipe in recipes}) > 1:
        raise RecipeError("the recipes name different experiments or output folders; the conditions of one share both")


def _comparison_of(recipes: list[Recipe]) -> Comparison | None:
    if len(recipes) == 1:
        return None
    folders = tuple(recipe.condition_dir for recipe in recipes)
    return Comparison(recipes[0].experiment_dir, folders, Path(recipes[0].prereg or "recipes/prereg.yaml"))


def _tasks_of(runs: list[list[Step]], comparison: Comparison | None, logs: Path) -> list[Task]:
    """Return every stage as a task that needs the one before it in its run, and the comparison, which needs all.

    Data is prepared for one run after another: conditions share their documents, seeds may share all of it.
    """
    tasks: list[Task] = []
    prepared: tuple[int, ...] = ()
    for run in runs:
        needs = prepared
        for step in run:
            recipe, here = step.recipe, len(tasks)
            name = f"{recipe.condition}, seed {recipe.seed}: {step.stage}"
            log = logs / f"{recipe.condition}_seed{recipe.seed}_{step.stage}.log"
            command = (str(SCRIPTS / step.script), *step.arguments)
            tasks.append(Task(step.stage, name, command, needs, log, step.is_complete, step.distributed))
            prepared = (here,) if step is run[0] else prepared
            needs = (here,)
    if comparison is not None:
        folders = map(str, comparison.conditions)
        command = (str(SCRIPTS / "compare.py"), *folders, "--prereg", str(comparison.prereg))
        needs = tuple(range(len(tasks)))
        tasks.append(Task("compare", "comparison", command, needs, logs / "compare.log", comparison.is_current))
    return tasks


@contextmanager
def _stages(
    arguments: list[list[str]],
    runs: list[list[Step]],
    options: Options,
    log: IO[str],
    display: Display,
    total: int,
) -> Iterator[tuple[Starter, int]]:
    """Prepare what stages need; gives what starts them and how many may run side by side."""
    logs = runs[0][0].recipe.experiment_dir / LOGS

    def show(event: Event) -> None:  # what comes before the first stage counts as none of them
        if isinstance(event, Updated):
            display(replace(event, total=total))
        elif isinstance(event, Failed):
            display(event)

    with ExitStack() as stack:
        environment = task_environment(None)
        warm = None
        try:
            if options.in_process:
                messages = stack.enter_context((logs / "warm_process.log").open("ab"))
                warm = stack.enter_context(WarmProcess(STAGE_MODULES, environment, messages))
            answer = _prepare(arguments, Starter(environment, warm=warm), options, logs, show)
        except WarmProcessError as error:
            log.write(f"every stage gets a process of its own: {error}\n")
            warm = None
            answer = _prepare(arguments, Starter(environment), options, logs, show)
        threads, jobs = _share_cores(options, answer, runs)
        log.write(f"{jobs} stages side by side, {threads or 'default'} threads each, in process: {warm is not None}\n")
        yield Starter(task_environment(threads), options.config_file, answer.environment, warm), jobs


def _prepare(
    arguments: list[list[str]], starter: Starter, options: Options, logs: Path, display: Display
) -> Preparation:
    path = logs / "preparation.json"
    command = (
        str(preparation.__file__), str(path), str(options.config_file or ""), *(json.dumps(one) for one in arguments)
    )  # fmt: skip
    task = Task("preparation", "importing the libraries", command, (), logs / "preparation.log", lambda: False)
    path.unlink(missing_ok=True)
    run_tasks([task], starter, 1, display)
    answer = read_preparation(path)
    path.unlink()
    if answer.error is not None:
        raise RecipeError(answer.error)
    return answer


def _share_cores(options: Options, answer: Preparation, runs: list[list[Step]]) -> tuple[int | None, int]:
    """Return the threads of each stage, None for the libraries' own choice, and the runs side by side."""
    if answer.environment is None and (options.jobs or 1) > 1:
        raise RecipeError("--jobs: stages of several processes are run one at a time; leave it out")
    if answer.environment is None or answer.has_gpu:
        return options.threads, options.jobs or 1
    cores = _num_cores()
    recorded = {threads for run in runs for step in run if (threads := _threads_of(step)) is not None}
    chosen = options.threads or next((int(os.environ[name]) for name in THREADS if name in os.environ), None)
    if chosen is not None and recorded - {chosen}:
        used = ", ".join(map(str, sorted(recorded)))
        raise RecipeError(
            f"{chosen} threads (--threads or OMP_NUM_THREADS), but finished stages of this experiment used {used}; "
            "results depend on it in their last digits; leave it out, or give the experiment another name"
        )
    threads = chosen or min(recorded, default=max(1, cores // 2))
    return threads, options.jobs or min(len(runs), max(1, cores // threads))


def _num_cores() -> int:
    physical = psutil.cpu_count(logical=False) or 1
    return min(physical, len(os.sched_getaffinity(0))) if sys.platform == "linux" else physical


def _threads_of(step: Step) -> int | None:
    manifest = step.folder / MANIFEST
    if not manifest.is_file():
        return None
    threads: int | None = read_json(manifest).get("environment", {}).get("threads")
    return threads
