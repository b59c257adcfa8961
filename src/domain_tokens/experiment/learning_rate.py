"""Searches for the learning rate of a stage: the same values, budget and seed in every condition.

The value with the lowest validation loss is chosen for each condition alone, and every try is recorded.

Every value is tried in an experiment of its own below `outputs/<experiment>/learning_rate/`, in which all conditions
must be matched as in any experiment. What the tries share, the data and for fine-tuning the pretrained model, is made
once and linked. No try reads an evaluation set, and each is marked by `purpose: learning_rate_search`.
"""

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from domain_tokens.experiment.lines import Lines
from domain_tokens.experiment.processes import Starter, task_environment
from domain_tokens.experiment.run import Experiment, Options, check_together, running_stages
from domain_tokens.experiment.steps import SCRIPTS, Step, steps_of
from domain_tokens.experiment.tasks import Display, Event, Task, run_tasks
from domain_tokens.recipe import Recipe, RecipeError, load_recipe
from domain_tokens.recipe.loading import overlaid
from domain_tokens.runs.files import link_folder, lock
from domain_tokens.runs.layout import LEARNING_RATES, LOCK, LOGS, MANIFEST, SEARCHES
from domain_tokens.runs.records import (
    LearningRateChoice,
    LearningRates,
    LearningRateSearch,
    LearningRateTry,
    Manifest,
    read_record,
    write_record,
)

Searched = Literal["pretrain", "sft"]

MIN_VALUES = 3
"""With fewer values, the best one is always at the edge of the range."""

_SHARED = "shared"
_MODEL = {"pretrain": "pretrain_final", "sft": "sft_final"}


@dataclass(frozen=True)
class Search:
    """What is searched.

    Attributes:
        stage: whose learning rate. That of GRPO is not searched: its reward is no validation loss.
        values: the learning rates, at least three.
        seed: of all tries.
        validation_items: number of examples that each stage of fine-tuning holds out.
        shared_from_experiment: whether the experiment's own data and pretrained models are used, and made where they
            are missing, instead of separate ones. Saves a second pretraining.
    """

    stage: Searched
    values: tuple[float, ...]
    seed: int
    validation_items: int = 200
    shared_from_experiment: bool = False

    def __post_init__(self) -> None:
        # By their names, which are those of the folders: of two equal ones the second would read the first's model.
        names = {f"{value:g}" for value in self.values if 0 < value < math.inf}
        if len(names) < max(MIN_VALUES, len(self.values)):
            raise RecipeError(
                f"--values: expected at least {MIN_VALUES} different learning rates above 0 (in six digits), got "
                f"{' '.join(map(repr, self.values))}"
            )


def search_learning_rates(experiment: Experiment, search: Search, options: Options, display: Display) -> Path:
    """Try every value in every condition and write the record from which `learning_rates` of a recipe takes its rates.

    What is complete is skipped, so the same command goes on with an interrupted search.

    Args:
        experiment (`Experiment`): the conditions, overlays and overrides; its seeds are not used.
        search (`Search`): the stage, the values and the seed.
        options (`Options`): how to run the stages.
        display: receives the events.

    Returns:
        The record, `outputs/<experiment>/learning_rates.json`.

    Raises:
        RecipeError: if a recipe is invalid, or the tries did not have the same budget.
        TaskFailed: if a stage fails.
    """
    arguments = [overlaid([*one, f"seed={search.seed}"], _held_out(one, search)) for one in experiment.arguments()]
    loaded = [load_recipe(one) for one in arguments]
    check_together(loaded)
    folder = loaded[0].experiment_dir
    logs = folder / SEARCHES / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    lock(logs / LOCK)
    shared = [
        one if search.shared_from_experiment else overlaid(one, _elsewhere(folder, _SHARED)) for one in arguments
    ]
    runs, tasks = _tasks_of(shared, arguments, search, folder, logs)
    (runs[0][0].recipe.experiment_dir / LOGS).mkdir(parents=True, exist_ok=True)
    with (logs / "search.log").open("a", encoding="utf-8", buffering=1) as log:
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(sys.argv)}\n")
        lines = Lines(lambda line: log.write(f"{time.strftime('%H:%M:%S')} {line}\n"))

        def show(event: Event) -> None:
            lines(event)
            display(event)

        if all(task.is_complete() for task in tasks):
            run_tasks(tasks, Starter(task_environment(None)), 1, show)
        else:
            with running_stages(arguments, runs, options, log, show, len(tasks)) as (starter, jobs):
                run_tasks(tasks, starter, jobs, show)
    return _record(folder, search, [recipe.condition for recipe in loaded])


def choose(tries: Sequence[LearningRateTry]) -> LearningRateChoice:
    """Return the try with the lowest validation loss; of equal ones, that with the lowest learning rate.

    Raises:
        RecipeError: if a validation loss is no finite number, which no other can be compared with.
    """
    for one in tries:
        if not math.isfinite(one.validation_loss):
            raise RecipeError(
                f"{one.folder}: validation loss {one.validation_loss}; expected a finite number. "
                f"Search again without the learning rate {one.learning_rate:g}"
            )
    ordered = sorted(tries, key=lambda one: one.learning_rate)
    best = min(ordered, key=lambda one: one.validation_loss)
    edges = ordered[0].learning_rate, ordered[-1].learning_rate
    return LearningRateChoice(
        learning_rate=best.learning_rate, at_edge=best.learning_rate in edges, tries=tuple(ordered)
    )


def _held_out(arguments: list[str], search: Search) -> list[str]:
    if search.stage == "pretrain":
        return []
    number = len(load_recipe(arguments).sft_stages)
    if not number:
        raise RecipeError("sft_stages: empty, so there is no learning rate of fine-tuning to search for")
    return [f"sft_stages.{index}.validation_items={search.validation_items}" for index in range(number)]


def _elsewhere(folder: Path, name: str) -> list[str]:
    """Return the overrides of a run that belongs to the search and declares nothing."""
    return [
        f"output_dir={folder / SEARCHES}", f"experiment={name}", "purpose=learning_rate_search", "prereg=null"
    ]  # fmt: skip


def _name(search: Search, value: float) -> str:
    return f"{search.stage}_{value:g}"


def _tasks_of(
    shared: list[list[str]], arguments: list[list[str]], search: Search, folder: Path, logs: Path
) -> tuple[list[list[Step]], list[Task]]:
    """Return the runs and their tasks: first what all tries share, condition by condition, then every try."""
    before = ("prepare_data",) if search.stage == "pretrain" else ("prepare_data", "pretrain")
    tasks: list[Task] = []
    runs: list[list[Step]] = []
    made: list[Recipe] = []
    for one in shared:
        steps = [step for step in steps_of(one) if step.stage in before]
        runs.append(steps)
        made.append(steps[0].recipe)
        for step in steps:
            needs = (len(tasks) - 1,) if tasks else ()
            tasks.append(_task(step, needs, logs, _SHARED))
    ready = (len(tasks) - 1,)
    for value in search.values:
        for one, recipe in zip(arguments, made, strict=True):
            overrides = [*_elsewhere(folder, _name(search, value)), f"{search.stage}.learning_rate={value!r}"]
            overrides.append("learning_rates=null")  # which would overrule the value that is tried
            (step,) = [step for step in steps_of(overlaid(one, overrides)) if step.stage == search.stage]
            _link(recipe, step.recipe, search)
            runs.append([step])
            tasks.append(_task(step, ready, logs, _name(search, value)))
    return runs, tasks


def _task(step: Step, needs: tuple[int, ...], logs: Path, name: str) -> Task:
    label = f"{step.recipe.condition}, {name}: {step.stage}"
    log = logs / f"{step.recipe.condition}_{name}_{step.stage}.log"
    command = (str(SCRIPTS / step.script), *step.arguments)
    return Task(step.stage, label, command, needs, log, step.is_complete, step.distributed, resumes=step.resumes)


def _link(made: Recipe, tried: Recipe, search: Search) -> None:
    """Link what the tries share into the folders of one try; the targets may not exist yet."""
    pairs = [
        (made.documents_dir, tried.documents_dir),
        (made.tokenizer_dir, tried.tokenizer_dir),
        (made.corpus_dir, tried.corpus_dir),
    ]
    if search.stage == "sft":
        pairs.append((made.run_dir / _MODEL["pretrain"], tried.run_dir / _MODEL["pretrain"]))
    for target, link in pairs:
        link_folder(target, link)


def _record(folder: Path, search: Search, conditions: list[str]) -> Path:
    """Write the tries and the choices of one stage beside those of the other."""
    path = folder / LEARNING_RATES
    budgets: dict[str, dict[str, int]] = {}
    chosen = {}
    for condition in conditions:
        tries = []
        for value in search.values:
            run = Path(SEARCHES) / _name(search, value) / f"exp_{condition}" / f"seed_{search.seed}"
            model = run / _MODEL[search.stage]
            manifest = read_record(folder / model / MANIFEST, Manifest)
            budgets[str(model)] = _budget(manifest)
            loss = manifest.reported.get("validation_loss")
            if not isinstance(loss, int | float) or manifest.weights_sha256 is None:
                raise RecipeError(f"{folder / model}: reports no validation loss; expected one to choose by")
            tries.append(
                LearningRateTry(
                    learning_rate=value,
                    folder=str(model),
                    validation_loss=loss,
                    weights_sha256=manifest.weights_sha256,
                )  # fmt: skip
            )
        chosen[condition] = choose(tries)
    first, budget = next(iter(budgets.items()))
    for one, other in budgets.items():
        if other != budget:
            raise RecipeError(f"{folder}: {one} had the budget {other}, but {first} had {budget}; expected the same")
    found = LearningRateSearch(
        values=tuple(sorted(search.values)), seed=search.seed, budget=dict(budget), conditions=chosen
    )
    before = read_record(path, LearningRates).searches if path.is_file() else {}
    write_record(path, LearningRates(searches={**before, search.stage: found}))
    return path


def _budget(manifest: Manifest) -> dict[str, int]:
    """Return what a try consumed, as far as it is equal in all conditions: steps, and tokens or examples."""
    steps = sum(entry.steps for entry in manifest.ledger)
    if manifest.ledger[0].kind == "pretrain":
        return {"steps": steps, "tokens": sum(entry.tokens for entry in manifest.ledger)}
    return {"steps": steps, "examples": sum(entry.examples for entry in manifest.ledger)}
