"""Lets a trained verifier choose among samples of the evaluation's questions."""

import logging
import time
from dataclasses import dataclass

import numpy as np

from domain_tokens.analysis.measures.outcomes import clusters_of
from domain_tokens.analysis.statistics.crossed import crossed_mean
from domain_tokens.evaluation.answers.answer import majority
from domain_tokens.evaluation.evaluate import identify_model
from domain_tokens.evaluation.tasks import load_task
from domain_tokens.evaluation.tasks._generative import GenerativeTask
from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.files import read_json
from domain_tokens.runs.layout import ITEMS, RESULTS, VERIFIER, VERIFIER_FINAL, task_file
from domain_tokens.runs.provenance import CODE_SHA256, environment
from domain_tokens.runs.records import Fields, ModelIdentity, write_record, write_rows
from domain_tokens.training.model import context_length, flops_per_token, num_parameters
from domain_tokens.verifier.estimators import Judged, best_of, majority_at, pass_at, ranked_pairs, sizes, verify_at
from domain_tokens.verifier.records import AtSize, ChosenIdentity, ChosenItem, ChosenResult, SampledQuestion
from domain_tokens.verifier.sampling import Generator, Part, Question, Sampled, sample
from domain_tokens.verifier.scoring import load_verifier
from domain_tokens.verifier.training import judge, label

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskPart:
    """A task of the evaluation and its questions, read and checked before anything is sampled."""

    task: GenerativeTask
    part: Part


def read_tasks(recipe: Recipe) -> list[TaskPart]:
    """Read the questions of the tasks whose samples a verifier ranks.

    Raises:
        RecipeError: if a task is not among the evaluation's, is not answered with a worked solution, or its data is
            missing or damaged; or if the run trains no model as `verifier.model` names.
    """
    trained = recipe.model_folders.values()
    if recipe.verifier.model not in trained:
        raise RecipeError(
            f"verifier.model: the run trains {', '.join(trained)}, got {recipe.verifier.model}; expected the last "
            "model of its fine-tuning or GRPO"
        )
    settings, found = recipe.evaluation, []
    for name in recipe.verifier.tasks:
        if name not in settings.task_names():
            raise RecipeError(
                f"verifier.tasks: {name} is not among evaluation.tasks ({', '.join(settings.task_names())})"
            )
        task = load_task(name, settings.external_tasks().get(name))
        if not isinstance(task, GenerativeTask) or task.beginning:
            raise RecipeError(f"verifier.tasks: {name} is not answered with a worked solution; expected another task")
        questions, limit = questions_of(recipe, task)
        one = recipe.verifier
        found.append(TaskPart(task, Part(name, questions, one.num_samples, limit, one.temperature, one.seed)))
    return found


def questions_of(recipe: Recipe, task: GenerativeTask) -> tuple[list[Question], int]:
    """Return the questions of a task, and the longest answer in tokens.

    Raises:
        RecipeError: if its data is missing or damaged, or the answer leaves no room for a prompt.
    """
    settings = recipe.evaluation
    limit = task.generation(settings)["max_new_tokens"]
    assert isinstance(limit, int)
    if limit >= context_length(recipe):
        raise RecipeError(f"evaluation.max_new_tokens: {limit} leaves no room for a prompt within model.n_positions")
    questions = [
        Question(row["id"], row["question"], row["gold"], task.texts(row)[0], row.get("cluster"))
        for row in task.rows(recipe)[: settings.max_samples]
    ]
    return questions, limit


def choose(wanted: TaskPart, generator: Generator, allow_change: bool = False) -> ChosenResult:
    """Sample the answers to a task's questions, rank them, and write results and items; a finished result is kept.

    Args:
        wanted (`TaskPart`): the task and its questions.
        generator (`Generator`): the model that writes the samples.
        allow_change (`bool`, *optional*, defaults to `False`): see `sample`.

    Raises:
        RecipeError: as `sample`, or if the verifier is missing or damaged.
    """
    recipe, task, part = generator.recipe, wanted.task, wanted.part
    sampled = sample(part, generator, allow_change)
    verifier = identify_model(recipe, VERIFIER_FINAL, len(generator.tokenizer))
    identity = _identify(sampled, generator, verifier)
    folder = recipe.run_dir / VERIFIER
    path, items = task_file(folder, task.name, RESULTS), task_file(folder, task.name, ITEMS)
    if path.is_file() and items.is_file():
        recorded = read_json(path)
        if all(recorded.get(key) == value for key, value in identity.as_json().items()):
            logger.info("verifier, %s: complete, skipped (%s)", task.name, path)
            return ChosenResult.parse(recorded, path)
    started = time.monotonic()
    judged, flops = _rank(sampled, generator)
    write_rows(items, [_item(row, one) for row, one in zip(sampled.rows, judged, strict=True)])
    clusters = clusters_of(sampled.rows)
    found: Fields = {
        "source": task.source_name(recipe),
        "num_items": len(judged),
        "sizes": [_at_size(judged, clusters, n).as_json() for n in sizes(part.num_samples)],
        "ranked_pairs": ranked_pairs(judged),
        "unfinished": sampled.counts.unfinished,
        "generated_tokens": sampled.counts.generated_tokens,
        "flops": sampled.counts.flops + flops,
        "environment": environment().as_json(),
        "wall_time_s": round(time.monotonic() - started, 2),
    }
    result = ChosenResult.parse({**identity.as_json(), **found}, path)
    write_record(path, result)
    return result


def _identify(sampled: Sampled, generator: Generator, verifier: ModelIdentity) -> ChosenIdentity:
    """Return from what a result is made."""
    recipe, part = generator.recipe, sampled.part
    return ChosenIdentity(
        condition=recipe.condition,
        seed=recipe.seed,
        task=part.name,
        model=generator.identity.model,
        weights_sha256=generator.identity.weights_sha256,
        verifier_sha256=verifier.weights_sha256,
        tokenizer_sha256=verifier.tokenizer_sha256,
        questions_sha256=part.questions_sha256,
        samples_sha256=sampled.sha256,
        code_sha256=CODE_SHA256,
        sampling=part.settings,
    )


def _rank(sampled: Sampled, generator: Generator) -> tuple[list[Judged], float]:
    """Return the samples with their scores, and the FLOPs of scoring them."""
    recipe = generator.recipe
    model = load_verifier(recipe.run_dir / VERIFIER_FINAL)
    labelled = label(sampled, generator)
    parameters = num_parameters(model) - model.get_input_embeddings().weight.numel()
    lengths = [len(one.solution.ids) for found in labelled for one in found]
    flops = sum(length * flops_per_token(model.config, parameters, length) / 3 for length in lengths)
    return judge(model, labelled, sampled.rows, generator, recipe.evaluation.batch_size), flops


def _item(row: SampledQuestion, judged: Judged) -> ChosenItem:
    commonest = majority(judged.numbers)
    return ChosenItem(
        id=row.id,
        question=row.question,
        gold=row.gold,
        cluster=row.cluster,
        answers=tuple(one.text for one in row.samples),
        numbers=tuple(None if number is None else str(number) for number in judged.numbers),
        right=judged.right,
        scores=judged.scores,
        chosen=best_of(judged.scores),
        majority=None if commonest is None else str(commonest),
    )


def _at_size(judged: list[Judged], clusters: list[str], n: int) -> AtSize:
    """Return accuracies of n samples, with the intervals of one run over questions that form clusters."""
    (verify, verify_interval), (majority_right, majority_interval), (passed, passed_interval) = (
        crossed_mean(np.array([[estimate(one, n) for one in judged]]), np.array(clusters))
        for estimate in (verify_at, majority_at, pass_at)
    )
    return AtSize(
        n=n,
        verify=verify,
        verify_interval=verify_interval,
        majority=majority_right,
        majority_interval=majority_interval,
        passed=passed,
        passed_interval=passed_interval,
    )
