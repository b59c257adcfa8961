"""Draws answers to a task's questions at several temperatures, from finished runs of several conditions."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from domain_tokens.evaluation.evaluate import identify_model
from domain_tokens.evaluation.tasks import load_task
from domain_tokens.evaluation.tasks._generative import GenerativeTask
from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.recipe.checks import check_among, check_at_least, check_at_most, check_unique
from domain_tokens.runs.layout import SAMPLING, made_by
from domain_tokens.runs.ledger import differences
from domain_tokens.runs.preregistration import record_look
from domain_tokens.runs.records import ModelIdentity
from domain_tokens.runs.stage_folder import require
from domain_tokens.tokenization.contract import load_tokenizer
from domain_tokens.verifier.estimators import Samples
from domain_tokens.verifier.evaluating import questions_of
from domain_tokens.verifier.sampling import Generator, Part, Sampled, sample

logger = logging.getLogger(__name__)

GREEDY = 0.0
_MOST_SAMPLES = 8191  # of one question: the seeds of draws are this far apart


@dataclass(frozen=True)
class Wanted:
    """What is drawn, the same in every run.

    Attributes:
        model: the runs' model, `grpo_final`.
        task: one of the evaluation's tasks.
        temperatures: at which answers are drawn, ascending; one greedy answer comes before them.
        num_samples: answers to each question at each of them.
        seed: of the draws.
    """

    model: str
    task: str
    temperatures: tuple[float, ...]
    num_samples: int
    seed: int = 0

    def check(self) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the option."""
        if not self.temperatures:
            raise RecipeError("--temperatures: expected at least one above 0; greedy answers are always included")
        check_at_least("--num-samples", self.num_samples, 2)
        check_at_most("--num-samples", self.num_samples, _MOST_SAMPLES)


@dataclass(frozen=True)
class Run:
    """A finished run and its questions, checked before anything is drawn.

    Attributes:
        recipe: the run.
        identity: its model.
        task: the task.
        parts: by temperature, what is asked.
    """

    recipe: Recipe
    identity: ModelIdentity
    task: GenerativeTask
    parts: dict[float, Part]


@dataclass(frozen=True)
class Drawn:
    """The answers of one run at one temperature.

    Attributes:
        samples: of each question, in order.
        finished: the share of answers that the model ended.
    """

    samples: tuple[Samples, ...]
    finished: float


def prepare(recipes: Sequence[Recipe], wanted: Wanted) -> list[Run]:
    """Check runs and read their questions.

    Raises:
        RecipeError: if a model is missing or damaged, the task is none that is answered in writing, the recipes
            belong to several experiments, or the runs would not be asked the same.
    """
    wanted.check()
    check_unique("recipes and seeds", [f"{one.condition}, seed {one.seed}" for one in recipes])
    first = recipes[0]
    for recipe in recipes:
        if recipe.experiment_dir != first.experiment_dir:
            raise RecipeError(
                f"{recipe.experiment_dir} and {first.experiment_dir}: expected recipes of one experiment; give them "
                "one name and folder with --set experiment=NAME output_dir=FOLDER"
            )
    runs = [_prepare(recipe, wanted) for recipe in recipes]
    for run in runs[1:]:
        for temperature, part in run.parts.items():
            for difference in differences(runs[0].parts[temperature].matched, part.matched):
                raise RecipeError(
                    f"{difference.describe(str(runs[0].recipe.run_dir), str(run.recipe.run_dir))}; the two would not "
                    "be asked the same; use the same evaluation section in both recipes"
                )
    return runs


def _prepare(recipe: Recipe, wanted: Wanted) -> Run:
    settings = recipe.evaluation
    check_among("--task", wanted.task, settings.task_names())
    task = load_task(wanted.task, settings.external_tasks().get(wanted.task))
    if not isinstance(task, GenerativeTask):
        raise RecipeError(f"--task: {wanted.task} is not answered in writing; expected a task like gsm8k")
    check_among("--model", wanted.model, [*recipe.model_folders.values()])
    folder = recipe.run_dir / wanted.model
    require(folder, made_by(wanted.model))
    identity = identify_model(recipe, wanted.model, len(load_tokenizer(folder)))
    questions, limit = questions_of(recipe, task)
    parts = {
        temperature: Part(
            name=f"{wanted.task}_at_{temperature:g}",
            questions=questions,
            num_samples=1 if temperature == GREEDY else wanted.num_samples,
            max_new_tokens=limit,
            temperature=temperature,
            seed=wanted.seed,
            room=f"{SAMPLING}/{wanted.model}",
            beginning=task.beginning,
            limits=settings.repetition,
        )
        for temperature in (GREEDY, *wanted.temperatures)
    }
    return Run(recipe, identity, task, parts)


def draw(run: Run, allow_change: bool = False) -> dict[float, Drawn]:
    """Draw a run's answers, or read those that were drawn before; returns them by temperature.

    Args:
        run (`Run`): the run.
        allow_change (`bool`, *optional*, defaults to `False`): see `sample`.

    Raises:
        RecipeError: as `sample`.
    """
    recipe = run.recipe
    record_look(recipe.experiment_dir, "evaluation", [recipe.condition], [recipe.seed])
    generator = Generator(recipe, run.identity, load_tokenizer(recipe.run_dir / run.identity.model))
    return {
        temperature: _read(sample(part, generator, allow_change), generator) for temperature, part in run.parts.items()
    }


def _read(sampled: Sampled, generator: Generator) -> Drawn:
    beginning, counts = sampled.part.beginning, sampled.counts
    samples = tuple(
        Samples(
            numbers=tuple(generator.read(one, beginning).number for one in row.samples),
            right=tuple(generator.is_right(one, row.gold, beginning) for one in row.samples),
        )
        for row in sampled.rows
    )
    return Drawn(samples, 1 - counts.unfinished / counts.num_samples)
