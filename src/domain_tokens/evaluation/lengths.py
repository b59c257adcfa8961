"""Whether prompts and answers fit into a model's positions: known as soon as the tokenizer is."""

import logging
from typing import TYPE_CHECKING, Any

from domain_tokens.evaluation.modes import Mode, read_questions
from domain_tokens.evaluation.tasks import AnyTask
from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.tokenization.contract import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

logger = logging.getLogger(__name__)


def check_lengths(recipe: Recipe) -> None:
    """Check before a model is trained that it can answer the recipe's questions; tasks on the Hub are left out.

    Args:
        recipe (`Recipe`): the run, whose tokenizer must exist.

    Raises:
        RecipeError: as `count_too_long`, or if a task's data is missing or damaged.
    """
    tokenizer = load_tokenizer(recipe.tokenizer_dir)
    num_positions = int(recipe.model.get("n_positions", 1024))
    for run in read_questions(recipe, local=True):
        if run.mode is Mode.PLAIN:
            count_too_long(run.task, run.rows, recipe.evaluation, tokenizer, num_positions)


def count_too_long(
    task: AnyTask, rows: list[Any], settings: Evaluation, tokenizer: "PreTrainedTokenizerFast", num_positions: int
) -> int:
    """Return how many items do not fit into a model's context: their prompts or their answers are cut.

    Args:
        task, rows: the task and its items.
        settings (`Evaluation`): the recipe's section.
        tokenizer: the condition's.
        num_positions (`int`): of the model.

    Raises:
        RecipeError: if an answer alone does not fit.
    """
    lengths = [task.num_tokens(row, settings, tokenizer) for row in rows]
    longest = max((answer for _, answer in lengths), default=0)
    if longest >= num_positions:
        raise RecipeError(
            f"evaluation: {task.name}: an answer of up to {longest} tokens does not fit into the model's "
            f"{num_positions} positions; lower evaluation.max_new_tokens or leave out the longest items"
        )
    num_too_long = sum(prompt + answer > num_positions for prompt, answer in lengths)
    if num_too_long:
        logger.warning("%s: %d of %d items do not fit into the model's context", task.name, num_too_long, len(rows))
    return num_too_long
