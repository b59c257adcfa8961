"""Runs an experiment, from the recipes to the comparison."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO

import psutil

from domain_tokens.corpora.hub import check_hub
from domain_tokens.corpora.sources import check_files, sources_to_train
from domain_tokens.evaluation.modes import check_tasks, task_sources
from domain_tokens.experiment import preparation
from domain_tokens.experiment.comparison import Comparison
from domain_tokens.experiment.designs.transplant import check_starts, crossed_arguments, link_data, sharing
from domain_tokens.experiment.lines import Lines, duration, end_logged
from domain_tokens.experiment.preparation import Preparation, read_preparation
from domain_tokens.experiment.preregister import announcement, frozen_content, questions
from domain_tokens.experiment.processes import Starter, task_environment
from domain_tokens.experiment.steps import SCRIPTS, Step, steps_of
from domain_tokens.experiment.tasks import Display, Event, Failed, Noted, Task, TaskFailed, Updated, run_tasks
from domain_tokens.recipe import Recipe, RecipeError, load_recipe
from domain_tokens.recipe.arguments import MICRO_BATCH
from domain_tokens.recipe.checks import check_folders, check_not_own, check_seed, check_seeds
from domain_tokens.recipe.errors import suggest_file
from domain_tokens.recipe.micro_batch import auto_stages
from domain_tokens.runs.files import lock, make_folder, read_json
from domain_tokens.runs.layout import LOCK, LOGS, MANIFEST
from domain_tokens.runs.micro_batches import found_micro_batches
from domain_tokens.runs.preregistration import record_look
from domain_tokens.runs.settings import check_learning_rates
from domain_tokens.training.fitting.search import Sharing, describe, find_micro_batches
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
"""The modules that the stages import, directly or indirectly. Importing them takes most of a stage's start-up time."""

SEVERAL_EXPERIMENTS = "it is found for one experiment, and here several share stages; expected a number"


@dataclass(frozen=True)
class Options:
    """How to run an experiment. Only `threads` affects results, and it is the same for every stage.

    Attributes:
        config_file (`Path`, *optional*): the accelerate configuration.
        in_process (`bool`): whether to fork stages from a process that has imported the libraries, where possible.
        jobs (`int`, *optional*): how many runs to do at a time, defaults to as many as the cores allow.
        threads (`int`, *optional*): threads per stage. Results depend on it in their last digits, so it is independent
            of `jobs`. Defaults to what the experiment's finished stages used, else half of the cores, because two
            conditions run at a time.
        allow_change (`bool`): whether stages go on with unfinished work although something that their results depend
            on has changed.
        force (`bool`): whether GRPO trains although a fine-tuned model solves too few of its prompts.
    """

    config_file: Path | None = None
    in_process: bool = sys.platform == "linux"
    jobs: int | None = None
    threads: int | None = None
    allow_change: bool = False
    force: bool = False


@dataclass(frozen=True)
class Experiment:
    """The recipes and seeds of an experiment.

    Attributes:
        recipes (`list[Path]`): one recipe per condition, the reference first.
        overlays (`list[Path]`): overlays applied to every recipe.
        seeds (`list[int]`): the seeds of the runs.
        overrides (`list[str]`): dotted overrides applied to every recipe.
        transplant (`bool`): whether the two crossed cells are run beside the two conditions.
    """

    recipes: list[Path]
    overlays: list[Path]
    seeds: list[int]
    overrides: list[str]
    transplant: bool = False

    def arguments(self) -> list[list[str]]:
        """Return the recipe arguments of each condition, without a seed; the crossed cells come last.

        Raises:
            RecipeError: if a recipe or an overlay is no file, or an override is none, or if cells cannot be crossed.
        """
        for path in (*self.recipes, *self.overlays):
            if not path.is_file():
                raise RecipeError(
                    f"{path}: no such file; expected a recipe or an overlay in YAML or JSON, and overrides after "
                    f"--set{suggest_file(path)}"
                )
        for override in self.overrides:
            if "=" not in override:
                raise RecipeError(f"--set {override}: expected key.path=value, and recipes and overlays before it")
        given = [[str(recipe), *map(str, self.overlays), *self.overrides] for recipe in self.recipes]
        return [*given, *(self._crossed if self.transplant else [])]

    @cached_property
    def _crossed(self) -> list[list[str]]:
        return crossed_arguments(replace(self, transplant=False).arguments())  # which reads both recipes

    def runs(self) -> list[list[Step]]:
        """Return the stages of each run: every condition with the first seed, then with the next."""
        return [list(steps_of([*one, f"seed={seed}"])) for seed in self.seeds for one in self.arguments()]


def run_experiment(experiment: Experiment, options: Options, display: Display) -> Path:
    """Run all incomplete stages, then compare each condition with the first.

    Returns:
        The experiment's folder.

    Raises:
        RecipeError: if a recipe is invalid or the recipes do not fit together.
        TaskFailed: if a stage fails. All other stages have been ended by then.
    """
    if options.config_file is not None and not options.config_file.is_file():
        raise RecipeError(f"{options.config_file}: no such file; expected a file from accelerate_configs/")
    arguments, loaded = experiment.arguments(), load_experiment(experiment)
    runs = experiment.runs()
    logs = loaded[0].experiment_dir / LOGS
    make_folder(logs)
    lock(logs / LOCK)
    if experiment.transplant:
        link_data(loaded)
    comparison = _comparison_of(loaded)
    tasks = tasks_of(runs, comparison, logs, options.allow_change, options.force)
    started = time.monotonic()
    with (logs / "experiment.log").open("a", encoding="utf-8", buffering=1) as log, end_logged(log):
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S%z')} {' '.join(sys.argv)}\n")
        lines = Lines(lambda line: log.write(f"{time.strftime('%H:%M:%S')} {line}\n"))

        def show(event: Event) -> None:
            lines(event)
            display(event)

        if all(step.is_complete() for run in runs for step in run):
            run_tasks(tasks, Starter(task_environment(None)), 1, show)
        else:
            check_hub([one for recipe in loaded for one in (*sources_to_train(recipe), *task_sources(recipe))])
            content = frozen_content(loaded, arguments, experiment.seeds)
            with running_stages(arguments, runs, options, log, show, len(tasks)) as (starter, jobs):
                for line in announcement(loaded, content, experiment.seeds):
                    show(Noted(line))
                record_look(loaded[0].experiment_dir, "run", [one.condition for one in loaded], experiment.seeds)
                run_tasks(tasks, starter, jobs, show)
        if comparison is not None and not comparison.is_current():
            comparison.record()
        log.write(f"{len(tasks)} stages in {duration(time.monotonic() - started)}\n")
    return loaded[0].experiment_dir


def announced(experiment: Experiment, recipes: list[Recipe]) -> list[str]:
    """Return in lines what `run_experiment` would say before the first step; nothing is written.

    Args:
        experiment (`Experiment`): what would be run.
        recipes (`list[Recipe]`): what `load_experiment` returned.

    Raises:
        RecipeError: if the command contradicts what is frozen.
    """
    seeds, shared = experiment.seeds, sharing(recipes) if experiment.transplant else []
    if all(step.is_complete() for run in experiment.runs() for step in run):
        return [*shared, *questions(recipes, len(seeds), local=True)]
    content = frozen_content(recipes, experiment.arguments(), seeds, local=True)
    return [*shared, *announcement(recipes, content, seeds, dry_run=True)]


def load_experiment(experiment: Experiment) -> list[Recipe]:
    """Return the recipe of each condition, without a seed, after checking all that can be known before work begins.

    Raises:
        RecipeError: saying what is wrong or does not fit.
    """
    _check_seeds(experiment)
    loaded = [load_recipe(one) for one in experiment.arguments()]
    for recipe in loaded:
        check_seed("--seeds: seed + seed_offset", max(experiment.seeds) + recipe.seed_offset)
    check_together(loaded)
    # Imports datatrove, for which a misspelled key need not wait.
    from domain_tokens.corpora.preparation.mixture import check_files_suffice, with_limits

    for recipe in loaded:
        check_tasks(recipe)
        check_files(recipe)
        check_files_suffice(with_limits(recipe.corpus))
        check_learning_rates(recipe)
    _check_references(loaded, experiment.seeds)
    check_starts(loaded, experiment.seeds)
    return loaded


def _check_references(recipes: list[Recipe], seeds: list[int]) -> None:
    """Check that each condition that `budget.equal_to` names is among the recipes, or trained with every seed."""
    given = {recipe.condition for recipe in recipes}
    named = [(one, one.budget.equal_to) for one in recipes if one.budget.equal_to is not None]
    for recipe, name in [(one, name) for one, to in named for name in (to.reference, to.measured_on)]:
        runs = [replace(recipe, seed=seed).run_dir_of(name) for seed in seeds]
        models = recipe.model_folders.values()
        missing = [run for run in runs if any(not (run / model / MANIFEST).is_file() for model in models)]
        if name not in given and missing:
            raise RecipeError(
                f"{recipe.condition}: budget.equal_to names {name}, which is not among the recipes and not trained "
                f"({missing[0]}); expected its recipe before this one"
            )


def _check_seeds(experiment: Experiment) -> None:
    check_seeds("--seeds", experiment.seeds)
    for override in experiment.overrides:
        if override.partition("=")[0] == "seed":
            raise RecipeError(f"--set {override}: expected the seeds of the runs after --seeds")


def check_together(recipes: list[Recipe]) -> None:
    """Check that recipes are those of one experiment. Raises `RecipeError` saying what does not fit."""
    conditions = [recipe.condition for recipe in recipes]
    if len(set(conditions)) < len(conditions):
        raise RecipeError(
            f"several recipes have the same condition: {', '.join(conditions)}; expected one recipe per condition"
        )
    check_folders("condition", conditions)
    for other in conditions[1:]:
        check_not_own("condition: the comparison's folder", f"{conditions[0]}_{other}")
    for index, recipe in enumerate(recipes):
        equal_to = recipe.budget.equal_to
        for name in () if equal_to is None else (equal_to.reference, equal_to.measured_on):
            if name in conditions[index:]:
                raise RecipeError(
                    f"{recipe.condition}: budget.equal_to names {name}; expected its recipe before this one"
                )
    if len({recipe.experiment_dir for recipe in recipes}) > 1:
        raise RecipeError(
            "the recipes have different experiment names or output folders; expected the same in every recipe"
        )


def _comparison_of(recipes: list[Recipe]) -> Comparison | None:
    if len(recipes) == 1:
        return None
    folders = tuple(recipe.condition_dir for recipe in recipes)
    return Comparison(recipes[0].experiment_dir, folders, Path(recipes[0].prereg or "recipes/prereg.yaml"))


def tasks_of(
    runs: list[list[Step]],
    comparison: Comparison | None,
    logs: Path,
    allow_change: bool = False,
    force: bool = False,
) -> list[Task]:
    """Return one task per stage, each depending on the previous stage of its run, and the comparison at the end.

    Data is prepared for one run at a time, because conditions share documents and seeds may share all data. A run with
    `budget.equal_to` is pretrained after the runs that it names have been trained, and a run with `start_from` trains
    after the stage that makes the model that it names.
    """
    tasks: list[Task] = []
    prepared: tuple[int, ...] = ()
    trained: dict[tuple[str, int], int] = {}
    ends: dict[tuple[str, int, str], int] = {}
    for run in runs:
        needs = prepared
        for step in run:
            recipe, here = step.recipe, len(tasks)
            name = f"{recipe.condition}, seed {recipe.seed}: {step.stage}"
            log = logs / f"{recipe.condition}_seed{recipe.seed}_{step.stage}.log"
            allowed: tuple[str, ...] = ("--allow-change",) if allow_change and step.distributed else ()
            allowed += ("--force",) if force and step.stage == "grpo" else ()
            command = (str(SCRIPTS / step.script), *allowed, *step.arguments)
            if step.stage == "pretrain" and (equal_to := recipe.budget.equal_to) is not None:
                others = ((name, recipe.seed) for name in (equal_to.reference, equal_to.measured_on))
                needs += tuple(trained[other] for other in others if other in trained)
            if step.distributed and (start := recipe.start_from) is not None:
                made = ends.get((start.condition, recipe.seed, start.model.partition("_")[0]))
                needs += () if made is None else (made,)
            ends[recipe.condition, recipe.seed, step.stage] = here
            tasks.append(
                Task(step.stage, name, command, needs, log, step.is_complete, step.distributed, resumes=step.resumes)
            )
            prepared = (here,) if step is run[0] else prepared
            if step.distributed:  # in the end, the last stage that trains
                trained[recipe.condition, recipe.seed] = here
            needs = (here,)
    if comparison is not None:
        folders = map(str, comparison.conditions)
        command = (str(SCRIPTS / "compare.py"), *folders, "--prereg", str(comparison.prereg))
        needs = tuple(range(len(tasks)))
        log = logs / "compare.log"
        tasks.append(Task("compare", "comparison", command, needs, log, comparison.is_current, is_brief=True))
    return tasks


@contextmanager
def running_stages(
    arguments: list[list[str]],
    runs: list[list[Step]],
    options: Options,
    log: IO[str],
    display: Display,
    total: int,
) -> Iterator[tuple[Starter, int]]:
    """Run the preparation; yield the starter of the stages and the number of jobs to run at a time."""
    logs = runs[0][0].recipe.experiment_dir / LOGS
    seed = max(step.recipe.seed for run in runs for step in run)
    arguments = [[*one, f"seed={seed}"] for one in arguments]
    trains = any(step.distributed and not step.is_complete() for run in runs for step in run)

    def show(event: Event) -> None:  # the preparation does not count as a stage
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
            answer = _prepare(arguments, trains, Starter(environment, warm=warm), options, logs, show)
        except WarmProcessError as error:
            log.write(f"stages run in fresh processes: {error}\n")
            warm = None
            answer = _prepare(arguments, trains, Starter(environment), options, logs, show)
        threads, jobs = share_cores(options, answer, runs[0][0].recipe.experiment_dir, len(runs))
        log.write(f"jobs: {jobs}, threads per stage: {threads or 'default'}, in process: {warm is not None}\n")
        if trains:
            alone = Starter(task_environment(threads), warm=warm)
            _find_micro_batches(arguments, runs, alone, Sharing(answer.num_processes, jobs), display)
        yield Starter(task_environment(threads), options.config_file, answer.environment, warm), jobs


def _find_micro_batches(
    arguments: list[list[str]], runs: list[list[Step]], starter: Starter, sharing: Sharing, display: Display
) -> None:
    """Find what recipes leave to the machine, so that every stage of every condition reads one number."""
    recipe = load_recipe(arguments[0])
    if not (stages := auto_stages(recipe)):
        return
    if any(step.recipe.experiment_dir != recipe.experiment_dir for run in runs for step in run):
        raise RecipeError(f"{stages[0]}: {MICRO_BATCH}: auto: {SEVERAL_EXPERIMENTS}")

    def start(command: Sequence[str], log: Path) -> int:
        task = Task("micro_batch", "finding the micro batch", tuple(command), (), log, lambda: False)
        try:
            run_tasks([task], starter, 1, lambda event: None)
        except TaskFailed as failed:
            return failed.code
        return 0

    if missing := [stage for stage in stages if stage not in found_micro_batches(recipe)]:
        display(Noted(f"tries which micro batch fits and is fast on this machine: {', '.join(missing)}"))
    found = find_micro_batches(arguments, start, sharing)
    for stage, one in found.items():
        display(Noted(describe(stage, one)))


def _prepare(
    arguments: list[list[str]], trains: bool, starter: Starter, options: Options, logs: Path, display: Display
) -> Preparation:
    path = logs / "preparation.json"
    command = (
        str(preparation.__file__), str(path), str(options.config_file or ""), "trains" if trains else "",
        *(json.dumps(one) for one in arguments),
    )  # fmt: skip
    task = Task("preparation", "importing the libraries", command, (), logs / "preparation.log", lambda: False)
    path.unlink(missing_ok=True)
    run_tasks([task], starter, 1, display)
    answer = read_preparation(path)
    path.unlink()
    if answer.error is not None:
        raise RecipeError(answer.error)
    return answer


def share_cores(options: Options, answer: Preparation, experiment_dir: Path, num_runs: int) -> tuple[int | None, int]:
    """Return the threads per stage (None for the libraries' own choice) and the number of jobs.

    Args:
        options (`Options`): what the user chose.
        answer (`Preparation`): what is known of the launcher and the devices.
        experiment_dir (`Path`): its finished stages, of all conditions, fix the number of threads.
        num_runs (`int`): conditions times seeds.

    Raises:
        RecipeError: if the stages would not all use the same number of threads.
    """
    if answer.environment is None and (options.jobs or 1) > 1:
        raise RecipeError(
            "--jobs: stages with several processes run one at a time; expected 1, or leave the option out"
        )
    if answer.environment is None or answer.has_gpu:
        return options.threads, options.jobs or 1
    cores = _num_cores()
    recorded = _recorded_threads(experiment_dir)
    chosen = options.threads or _threads_of_environment()
    used = ", ".join(map(str, sorted(recorded)))
    if len(recorded) > 1:
        raise RecipeError(
            f"{experiment_dir}: finished stages used different numbers of threads ({used}); results "
            "depend on it in their last digits, so they are not compared; use another experiment name"
        )
    if chosen is not None and recorded - {chosen}:
        raise RecipeError(
            f"--threads or OMP_NUM_THREADS: got {chosen}, but finished stages of this experiment used {used}; results "
            "depend on the number of threads in their last digits; leave it out, or use another experiment name"
        )
    threads = chosen or min(recorded, default=max(1, cores // 2))
    return threads, options.jobs or min(num_runs, max(1, cores // threads))


def _num_cores() -> int:
    physical = psutil.cpu_count(logical=False) or 1
    return min(physical, len(os.sched_getaffinity(0))) if sys.platform == "linux" else physical


def _threads_of_environment() -> int | None:
    for name in THREADS:
        if value := os.environ.get(name):
            if not value.isdecimal() or int(value) < 1:
                raise RecipeError(
                    f"{name}: expected a whole number of at least 1, got {value!r}; unset it or use --threads"
                )
            return int(value)
    return None


def _recorded_threads(experiment: Path) -> set[int]:
    """Return the numbers of threads that the finished stages of all conditions and seeds of an experiment recorded."""
    manifests = (read_json(path) for path in experiment.glob(f"exp_*/seed_*/*_final/{MANIFEST}"))
    found = (manifest.get("environment", {}).get("threads") for manifest in manifests)
    return {threads for threads in found if threads is not None}
