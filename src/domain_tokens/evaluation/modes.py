"""Lists the tasks and modes that a recipe requests, before any model is loaded.

Reading tasks imports neither torch nor lighteval, so a recipe is checked within a second.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from domain_tokens.corpora.sources import describe
from domain_tokens.evaluation.tasks import load_task
from domain_tokens.evaluation.tasks._base import AnyTask
from domain_tokens.evaluation.tasks._generative import GenerativeTask
from domain_tokens.recipe import Recipe, RecipeError, Source, load_prereg
from domain_tokens.recipe.checks import check_among
from domain_tokens.recipe.prereg import Prereg
from domain_tokens.recipe.schema import Evaluation, shipped_tasks
from domain_tokens.runs.files import sha256_file, sha256_json
from domain_tokens.runs.layout import Mode
from domain_tokens.runs.records import Fields, TaskIdentity
from domain_tokens.tokenization.facts import IdRanges
from domain_tokens.tokenization.side_record.code import SideCode

ITEMS_VERSION = 3
"""Increase this when what items say of an answer changes, whatever the task; version 1 is that of release 0.3.0.

Version 3 reads more spellings of equations, and signs, spaces and units around a number by one table.
"""

# What an answer and its score depend on: all of this package, the tokenizers with their rules and their side record,
# and what of the corpora the tasks read.
_SCORER = (
    "evaluation/**/*.py", "tokenization/*.py", "local_data/*.py", "corpora/contamination/*.py",
    *(f"tokenization/{room}/*.py" for room in ("batches", "bpe", "guards", "side_record")),
    "corpora/lessons/**/*.py", "corpora/preparation/mixture.py", "corpora/preparation/executors.py",
    "corpora/worlds/*.py", "corpora/pipeline/folders.py", "corpora/renumbering/records.py",
    *(
        f"corpora/{name}.py"
        for name in (
            "__init__", "documents", "examples", "forms", "held_out", "hub", "shards", "sources", "synthetic",
        )
    ),
)  # fmt: skip


LAST_MODEL_ALONE = (Mode.FORBIDDEN, Mode.EXCHANGED)
"""Ablations belong to a run's last model; they say whether what was trained uses its tokens."""


@dataclass(frozen=True)
class TaskRun:
    """One task run in one mode.

    Attributes:
        task: the task.
        mode: the mode.
        rows: the questions, as the task read them.
        side_code: of the side record; empty if the task does not ask for one.
    """

    task: AnyTask
    mode: Mode
    rows: list[Any]
    side_code: SideCode = field(default_factory=SideCode)

    @property
    def name(self) -> str:
        """The name of its files: `gsm8k`, or `gsm8k.facts_forbidden` for a mode other than the plain one."""
        return self.task.name if self.mode is Mode.PLAIN else f"{self.task.name}.{self.mode}"

    def identify(self, recipe: Recipe) -> TaskIdentity:
        """Return what was run and how, as a results file records it."""
        table = recipe.canonical_table
        identity = TaskIdentity(
            task=self.task.name,
            mode=self.mode,
            task_version=self.task.version,
            items_version=ITEMS_VERSION,
            outcomes=self.task.outcomes,
            data_sha256=sha256_json(self.rows),
            max_samples=recipe.evaluation.max_samples,
            canonical_table_sha256=None if table is None else sha256_file(Path(table)),
            generation=self._generation(recipe),
        )
        # Only where they say something, so that they make no other result stale.
        more: dict[str, object] = {}
        if self.task.units:
            more |= {"units": self.task.units, "lower_is_better": self.task.lower_is_better}
        if self.task.needs_side_code:
            more["side_code_sha256"] = self.side_code.sha256()
        if (found := tasks_sha256(recipe).get(self.task.name)) is not None:
            more["task_sha256"] = found
        return identity.model_copy(update=more)

    def _generation(self, recipe: Recipe) -> Fields | None:
        generation = self.task.generation(recipe.evaluation)
        if generation is not None:
            generation = {**generation, **recipe.evaluation.repetition.as_fields()}
        sampling = recipe.evaluation.sampling
        first = IdRanges(recipe.base_vocabulary.num_ids).first_added
        changed: dict[Mode, Fields] = {
            Mode.SAMPLED: {
                "temperature": sampling.temperature,
                "num_samples": sampling.num_samples,
                "seed": sampling.seed,
            },
            Mode.FORBIDDEN: {"forbidden": f"every id from {first} on"},
            Mode.EXCHANGED: {"exchanged": f"every written id from {first} on is read as the next one"},
            Mode.PLAIN_QUESTION: {"question": "encoded without the rules"},
            Mode.REWRITTEN_QUESTION: {"question": "facts of the table written with their results, in digits"},
        }
        return generation if self.mode is Mode.PLAIN else {**(generation or {}), **changed[self.mode]}


@cache
def scorer_sha256() -> str:
    """Return a hash of the code that asks, generates, reads and scores, with the tokenizers' rules and side record.

    Comments and layout do not count.
    """
    folder = Path(__file__).parents[1]
    paths = [path for name in _SCORER for path in sorted(folder.glob(name))]
    return sha256_json(
        [[path.relative_to(folder).as_posix(), ast.unparse(ast.parse(path.read_bytes()))] for path in paths]
    )


def tasks_sha256(recipe: Recipe) -> dict[str, str]:
    """Return a hash of the file of each of the recipe's external tasks, by the task's name."""
    return {name: sha256_file(path) for name, path in recipe.evaluation.external_tasks().items()}


def evaluation_inputs(recipe: Recipe, weights: Mapping[str, str | None]) -> Fields:
    """Return what results are made from, as their manifest records it.

    Args:
        recipe (`Recipe`): the run.
        weights (`Mapping[str, str | None]`): a hash for each model, `None` for one that is not there.
    """
    sources: list[JsonValue] = [describe(source) for source in recipe.evaluation.data.values()]
    inputs: dict[str, JsonValue] = {"weights": {**weights}, "sources": sources}
    if recipe.canonical_table is not None:
        inputs["canonical_table_sha256"] = sha256_file(Path(recipe.canonical_table))
    if external := tasks_sha256(recipe):
        inputs["tasks"] = {**external}
    return inputs


def load_tasks(recipe: Recipe) -> dict[str, AnyTask]:
    """Return the recipe's tasks by their names.

    Raises:
        RecipeError: if an external task's file cannot be imported or holds no task.
    """
    external = recipe.evaluation.external_tasks()
    return {name: load_task(name, external.get(name)) for name in recipe.evaluation.task_names()}


def check_tasks(recipe: Recipe) -> None:
    """Load the recipe's tasks, and check that the declaration knows them and their data is named; no data is read.

    Raises:
        RecipeError: naming the task and what is wrong.
    """
    tasks = load_tasks(recipe)
    _check_generative(recipe, tasks)
    if recipe.prereg is not None:
        _check_declaration(recipe.prereg, load_prereg(Path(recipe.prereg)), tasks)
    task_sources(recipe)
    # A recipe may name data of tasks that it does not run, but not of tasks that do not exist.
    read = {task.data for task in tasks.values() if task.data is not None}
    for name in recipe.evaluation.data:
        check_among("evaluation.data", name, sorted({*shipped_tasks(), *read}))


def task_sources(recipe: Recipe) -> list[Source]:
    """Return the data sets of the recipe's tasks. Raises `RecipeError` if one is not named."""
    return [task.source(recipe) for task in load_tasks(recipe).values() if task.data is not None]


def read_task_runs(recipe: Recipe) -> list[TaskRun]:
    """Read the data of the recipe's tasks and return each task once for every mode in which it is run.

    Raises:
        RecipeError: as `read_questions`, or if a task needs the code of the side record and the corpus has none.
    """
    return [replace(run, side_code=_side_code(recipe, run.task)) for run in read_questions(recipe)]


def read_questions(recipe: Recipe, *, local: bool = False) -> list[TaskRun]:
    """Return what `read_task_runs` returns, without what comes from the corpus: known before the first stage.

    Args:
        recipe (`Recipe`): the run.
        local (`bool`, *optional*): leave out tasks whose data is on the Hub, where reading it may download it.

    Raises:
        RecipeError: if data is not named, missing or damaged, or a mode is asked for that a task does not have.
    """
    settings, tasks = recipe.evaluation, load_tasks(recipe)
    _check_generative(recipe, tasks)
    task_runs = []
    for name, task in tasks.items():
        if local and task.data is not None and task.source(recipe).kind == "hub":
            continue
        rows = task.rows(recipe)[: settings.max_samples]
        task_runs += [TaskRun(task, mode, rows) for mode in modes_of(name, settings)]
    return task_runs


def modes_of(task: str, settings: Evaluation) -> list[Mode]:
    """Return the modes in which a task is run."""
    modes = [Mode.PLAIN]
    if task in settings.ablation_tasks:
        modes += LAST_MODEL_ALONE
    if task in settings.encoding_tasks:
        modes += [Mode.PLAIN_QUESTION, Mode.REWRITTEN_QUESTION]
    if task in settings.sampling.tasks:
        modes.append(Mode.SAMPLED)
    return modes


def _side_code(recipe: Recipe, task: AnyTask) -> SideCode:
    if not task.needs_side_code:
        return SideCode()
    from domain_tokens.evaluation.models.side_codes import answer_side_code  # imports a tokenizer's libraries

    return answer_side_code(recipe)


def _check_declaration(where: str, declared: Prereg, tasks: Mapping[str, AnyTask]) -> None:
    """Check that a declaration names tasks, metrics and a positive control that exist.

    A task of this package that the recipe does not run is reported as a departure, not refused.
    """
    for endpoint in declared.endpoints:
        check_among(f"{where}: endpoints: task", endpoint.task, sorted({*tasks, *shipped_tasks()}))
        if (task := tasks.get(endpoint.task)) is not None:
            check_among(f"{where}: endpoints: {endpoint.task}: metric", endpoint.metric, task.outcomes)
    if declared.positive_control is not None:
        modes = [mode for mode in Mode if mode is not Mode.PLAIN]
        check_among(f"{where}: positive_control", declared.positive_control, [*declared.contrasts, *modes])
    if named := sorted(declared.contrasts.keys() & set(Mode)):
        raise RecipeError(f"{where}: contrasts.{named[0]}: is the name of an evaluation mode; use another name")


def _check_generative(recipe: Recipe, tasks: dict[str, AnyTask]) -> None:
    settings = recipe.evaluation
    of_generative = {
        "ablation_tasks": settings.ablation_tasks,
        "encoding_tasks": settings.encoding_tasks,
        "sampling.tasks": settings.sampling.tasks,
    }
    for key, names in of_generative.items():
        for name in names:
            if not isinstance(tasks.get(name), GenerativeTask):
                raise RecipeError(
                    f"evaluation.{key}: {name} is not among evaluation.tasks, or is not answered in writing"
                )
