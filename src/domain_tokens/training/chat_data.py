"""Questions and answers in the trainers' format: the same examples in the same order for every condition."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

from datasets import Dataset
from transformers import PreTrainedTokenizerFast

from domain_tokens.corpora.documents import neutralize
from domain_tokens.corpora.held_out import held_out_questions, refuse_held_out, refuse_test_data
from domain_tokens.corpora.sources import read_examples
from domain_tokens.corpora.synthetic import PROMPTS, Example
from domain_tokens.evaluation.answers.extraction import require_gold
from domain_tokens.evaluation.modes import load_tasks
from domain_tokens.recipe import Recipe, RecipeError, Source
from domain_tokens.runs.files import sha256_json
from domain_tokens.tokenization.builder import base_encoder
from domain_tokens.tokenization.facts import END_OF_TEXT
from domain_tokens.tokenization.prompts import assistant_message, render_prompt, user_message

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExampleAccount:
    """The account of a stage's examples in its manifest.

    Attributes:
        examples: number of examples used.
        examples_too_long: number of examples left out.
        examples_held_out: number of examples that were kept for validation (`sft_stages.validation_items`).
        neutralized_markers: number of token names in the texts that were broken up.
        example_order_sha256: hash of the examples in order.
    """

    examples: int
    examples_too_long: int
    neutralized_markers: int
    example_order_sha256: str
    examples_held_out: int = 0


def training_examples(
    recipe: Recipe,
    sources: list[Source],
    stage: str,
    tokenizer: PreTrainedTokenizerFast,
    max_length: int,
    prompts_alone: bool = False,
) -> tuple[list[Example], ExampleAccount]:
    """Read the examples of a stage and seed. Those that do not fit are left out, the same ones in every condition.

    An example fits if its question and answer take at most `max_length` tokens of the base vocabulary, without the
    condition's rules, so the selection does not depend on the condition. No example is cut; each ends with the
    end-of-text token. With `prompts_alone`, answers are only used for comparison, and only the prompts have to fit.

    Returns:
        `tuple[list[Example], ExampleAccount]`: the examples, and an account of them for the manifest.

    Raises:
        RecipeError: if a source is a test set, holds a question of one or is missing, or no example fits; with
            `prompts_alone`, if an answer does not end with a number.
    """
    if not sources:
        raise RecipeError(f"{stage}: no sources; expected at least one data set of questions and answers")
    refuse_test_data(recipe, sources, stage)
    examples, num_neutralized = [], 0
    for example in _read(recipe, sources, stage, prompts_alone):
        (question, in_question), (answer, in_answer) = neutralize(example.question), neutralize(example.answer)
        num_neutralized += in_question + in_answer
        examples.append(example._replace(question=question, answer=answer))
    plain = base_encoder(tokenizer.backend_tokenizer.to_str())
    prompts = [render_prompt(example.question) for example in examples]
    answers = ["" if prompts_alone else f" {example.answer.strip()}{END_OF_TEXT}" for example in examples]
    texts = [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)]
    lengths = [len(encoding.ids) for encoding in plain.encode_batch_fast(texts)]
    fitting = [example for example, length in zip(examples, lengths, strict=True) if length <= max_length]
    if not fitting:
        raise RecipeError(f"{stage}: none of the {len(examples)} examples fits in {max_length} tokens")
    if len(fitting) < len(examples):
        left_out = len(examples) - len(fitting)
        logger.info(
            "%s: left out %d of %d examples, longer than %d tokens", stage, left_out, len(examples), max_length
        )
    account = ExampleAccount(
        examples=len(fitting),
        examples_too_long=len(examples) - len(fitting),
        neutralized_markers=num_neutralized,
        example_order_sha256=sha256_json([(example.question, example.answer) for example in fitting]),
    )
    return fitting, account


def _read(recipe: Recipe, sources: list[Source], stage: str, prompts_alone: bool) -> Iterator[Example]:
    """Yield the examples of a stage as its sources have them; those on the Hub are compared with test sets here."""
    for source in sources:
        split, check = (PROMPTS, require_gold) if prompts_alone else ("train", None)
        examples = read_examples(source, recipe.data_seed, split, f"{stage}.{source.name}", check)
        if source.kind == "hub":
            questions = held_out_questions(recipe, local=False)
            for example in examples:
                texts = (example.question, example.answer)
                refuse_held_out(questions, texts, f"{stage}: source {source.name}: a row")
        yield from examples


def check_training_data(recipe: Recipe) -> None:
    """Check before the first stage what would stop a later one: local evaluation sets, and local examples that train.

    Raises:
        RecipeError: if a row of an evaluation set is damaged, a source of fine-tuning or GRPO holds a question of one,
            or an answer of GRPO's prompts does not end with a number.
    """
    for task in load_tasks(recipe).values():
        if task.data is not None and task.source(recipe).kind == "file":
            task.rows(recipe)
    for stage in recipe.sft_stages:
        refuse_test_data(recipe, stage.sources, f"sft_stages.{stage.name}", local=False)
    refuse_test_data(recipe, recipe.grpo_prompts, "grpo_prompts", local=False)
    for source in recipe.grpo_prompts:
        if source.kind == "file":
            every_row = replace(source, max_items=None)
            read_examples(every_row, recipe.data_seed, PROMPTS, f"grpo_prompts.{source.name}", require_gold)


def prompt_completion(examples: list[Example]) -> Dataset:
    """Return examples for `SFTTrainer`, which computes the loss only on the completion."""
    return Dataset.from_list(
        [
            {"prompt": user_message(example.question), "completion": assistant_message(example.answer)}
            for example in examples
        ]
    )


def prompts_with_gold(examples: list[Example]) -> Dataset:
    """Return prompts for `GRPOTrainer`, with the correct answer in the column `gold`.

    Raises:
        RecipeError: if an answer does not end with `#### <number>`.
    """
    rows = []
    for example in examples:
        gold = require_gold(example.answer, "grpo_prompts")
        rows.append({"prompt": user_message(example.question), "gold": gold})
    return Dataset.from_list(rows)
