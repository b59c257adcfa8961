"""The whole of a verifier's work for one run: sample, label, train, rank, and compare with the other conditions."""

import logging
from collections.abc import Iterator

from domain_tokens.analysis.report.plots import render
from domain_tokens.analysis.report.tables.table import to_markdown
from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.files import write_text
from domain_tokens.runs.layout import VERIFIERS
from domain_tokens.runs.preregistration import record_look
from domain_tokens.training.stage import num_processes, start_process
from domain_tokens.verifier.comparison import Comparison, read_comparison, tables
from domain_tokens.verifier.evaluating import choose, read_tasks
from domain_tokens.verifier.figure import by_samples
from domain_tokens.verifier.sampling import check_others
from domain_tokens.verifier.training import VerifierTraining

logger = logging.getLogger(__name__)


def train_and_choose(recipe: Recipe, allow_change: bool = False) -> list[Comparison]:
    """Train a run's verifier and let it choose among samples; returns the comparisons of its experiment by task.

    What is complete is skipped, and what was interrupted goes on. Everything that can be refused is checked before the
    first sample is drawn.

    Args:
        recipe (`Recipe`): the run, whose model has been trained.
        allow_change (`bool`, *optional*, defaults to `False`): see `TrainingRun.execute`.

    Raises:
        RecipeError: if the model, a data set or a setting is missing or does not fit.
    """
    start_process()
    if num_processes() > 1:
        raise RecipeError("scripts/run_verifier.py samples in one process; start it with python, without a launcher")
    wanted = read_tasks(recipe)
    for one in wanted:
        check_others(recipe, one.part)
    training = VerifierTraining(recipe, allow_change)
    generator = training.generator
    _ = training.examples
    training.execute(allow_change)
    record_look(recipe.experiment_dir, "evaluation", [recipe.condition], [recipe.seed])
    for one in wanted:
        choose(one, generator, allow_change)
    return list(compare(recipe))


def compare(recipe: Recipe) -> Iterator[Comparison]:
    """Write table and figure of all conditions that have a verifier, for each of the recipe's tasks, and yield it."""
    for task in recipe.verifier.tasks:
        if (comparison := read_comparison(recipe.experiment_dir, task)) is None:
            continue
        name = f"{VERIFIERS}_{task}"
        text = "\n\n".join(map(to_markdown, tables(comparison)))
        write_text(recipe.experiment_dir / f"{name}.md", f"{text}\n")
        for file, content in render({name: by_samples(comparison)}, ["png"]).items():
            (recipe.experiment_dir / file).write_bytes(content)
        yield comparison
