"""HellaSwag (Zellers et al. 2019, https://arxiv.org/abs/1905.07830): which of four endings follows, by log-likelihood.

Context, choices and both scores are those of lm-evaluation-harness: `acc` compares the log-probabilities of the
endings, `acc_norm` divides them by the number of characters first. Choices are scored as plain text, without the chat
template.

A tokenizer that knows products gives the right one away: `6*9=54` is one token and `6*9=55` five, so that even an
untrained model finds the right choice by its length (measured: 100% of 40 items). Items with a product in one of their
endings are therefore excluded, in every condition, by a rule that looks at the text alone, and enter no score.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from domain_tokens.corpora.sources import read_rows
from domain_tokens.evaluation.answers.answer import AnswerReader
from domain_tokens.evaluation.tasks._base import (
    EVALUATION_SEED,
    SPLIT,
    ChoiceRow,
    RawRow,
    Reader,
    Task,
    check_text,
    mean,
)
from domain_tokens.evaluation.tasks._columns import Columns
from domain_tokens.recipe import Recipe, Source
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.runs.records import ChoiceItem, TaskSummary
from domain_tokens.tokenization.numerals import ANY_ENGLISH, CHINESE_NUMERAL

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from domain_tokens.evaluation.models._lighteval import Doc, LightevalTaskConfig, ModelResponse

# Whatever might be read as a product or a sum, and more: the rule has to be wider than every rewriting rule.
# What follows up to the next word belongs to it: a context that ends in `6*9 =` is completed by its endings.
_NUMBER = rf"(?:\d|{ANY_ENGLISH}|[{CHINESE_NUMERAL}])"
_SIGN = r"(?:[*×·⋅∙✕✖x+＋]|\\times|\\cdot|times|multiplied by|plus|乘以|乘|加上|加)"
_RHYME = f"[{CHINESE_NUMERAL}]{{2}}得?[{CHINESE_NUMERAL}]"
_PRODUCT = re.compile(rf"{_NUMBER}\s*{_SIGN}\s*{_NUMBER}\W*|{_RHYME}", re.IGNORECASE)
_HEADER = re.compile(r"\[.*?\]")


class HellaSwag(Task[ChoiceRow, ChoiceItem]):
    """Endings from the source `evaluation.data.hellaswag`."""

    name = "hellaswag"
    data = "hellaswag"
    outcomes = {"acc_norm": "correct_norm", "acc": "correct"}

    def read_rows(self, recipe: Recipe) -> list[ChoiceRow]:
        """Read contexts and endings. Raises `RecipeError` naming source, row and column."""
        source = self.source(recipe)
        return [_row(index, raw, source) for index, raw in enumerate(read_rows(source, EVALUATION_SEED, SPLIT))]

    def config(self, evaluation: Evaluation, answers: AnswerReader) -> "LightevalTaskConfig":
        """Return the task as lighteval knows it."""
        from domain_tokens.evaluation.models.lighteval_adapter import choice_config

        return choice_config(self.name, self.version, self.prompt)

    def prompt(self, row: ChoiceRow, task_name: str) -> "Doc":
        """Return a context and its endings, each with the space that separates it from the context."""
        from domain_tokens.evaluation.models._lighteval import Doc

        return Doc(
            query=row["question"],
            choices=[f" {choice}" for choice in row["choices"]],
            gold_index=row["label"],
            task_name=task_name,
            specific=dict(row),
        )

    def texts(self, row: ChoiceRow) -> list[str]:
        """Return the context and its endings."""
        return [row["question"], *(f" {choice}" for choice in row["choices"])]

    def generation(self, evaluation: Evaluation) -> None:
        """Nothing is generated."""
        return None

    def num_tokens(
        self, row: ChoiceRow, evaluation: Evaluation, tokenizer: "PreTrainedTokenizerFast"
    ) -> tuple[int, int]:
        """Return the tokens of a row's context, and those of its longest ending."""
        longest = max(len(tokenizer.encode(f" {choice}")) for choice in row["choices"])
        return len(tokenizer.encode(row["question"])), longest

    def item(
        self, row: ChoiceRow, response: "ModelResponse", scores: Mapping[str, float], reader: Reader
    ) -> ChoiceItem:
        """Return the likelihood of each ending, and which of them is the likeliest."""
        by_character = [
            logprob / len(choice) for logprob, choice in zip(response.logprobs, row["choices"], strict=True)
        ]
        return ChoiceItem(
            id=row["id"],
            cluster=row.get("cluster"),
            question=row["question"],
            choices=tuple(row["choices"]),
            label=row["label"],
            logprobs=tuple(response.logprobs),
            prediction=response.logprobs.index(max(response.logprobs)),
            prediction_norm=by_character.index(max(by_character)),
            correct=bool(scores["acc"]),
            correct_norm=bool(scores["acc_norm"]),
            has_product=has_product(row["question"], row["choices"]),
        )

    def is_scored(self, item: ChoiceItem) -> bool:
        """Return whether no ending holds a product."""
        return not item.has_product

    def summarize(self, items: list[ChoiceItem], excluded: list[ChoiceItem]) -> TaskSummary:
        """Return both accuracies, of the items that count and of those excluded."""
        return TaskSummary(
            num_items=len(items),
            metrics=_accuracies(items),
            groups={},
            facts_per_response=None,
            tokens_per_response=None,
            unfinished=None,
            num_items_with_products=len(excluded),
            metrics_with_products=_accuracies(excluded) if excluded else None,
        )


def has_product(context: str, choices: list[str]) -> bool:
    """Return whether an ending, read after its context, holds or completes what might be a multiplication."""
    return any(match.end() > len(context) for choice in choices for match in _PRODUCT.finditer(f"{context} {choice}"))


def preprocess(text: str) -> str:
    """Remove HellaSwag's headers of WikiHow articles, as lm-evaluation-harness does."""
    text = text.strip().replace(" [title]", ". ")
    return _HEADER.sub("", text).replace("  ", " ")


def _accuracies(items: list[ChoiceItem]) -> dict[str, float]:
    return {
        "acc": mean([item.correct for item in items]),
        "acc_norm": mean([item.correct_norm for item in items]),
    }


def _row(index: int, raw: RawRow, source: Source) -> ChoiceRow:
    where = f"evaluation.data.hellaswag: source {source.name}: row {index}"
    columns = Columns(raw, where)
    columns.check_names(("activity_label", "ctx", "endings", "label"))
    context = columns.text("ctx")
    if columns.has("ctx_a") and columns.has("ctx_b"):
        # With the spaces around them, as lm-evaluation-harness reads them.
        second = columns.text("ctx_b", may_be_empty=True, stripped=False)
        context = f"{columns.text('ctx_a', stripped=False)} {second.capitalize()}"
    if not any(map(str.isalnum, preprocess(context))):
        raise columns.error("ctx", "a context that holds more than a header", raw["ctx"])
    question = preprocess(f"{columns.text('activity_label')}: {context}")
    endings = columns.texts("endings")
    choices = [preprocess(ending) for ending in endings]
    for text in (question, *choices):
        check_text(text, where)
    if not all(choices):
        raise columns.error("endings", "endings that hold more than a header", endings)
    if len({choice.strip() for choice in choices}) < len(choices):
        raise columns.error("endings", "endings that differ", endings)
    label = columns.index("label", len(choices))
    row: ChoiceRow = {"id": str(index), "question": question, "choices": choices, "label": label}
    return {**row, "cluster": str(raw["cluster"])} if source.kind == "synthetic" else row


TASK = HellaSwag()
