"""Questions that a model answers in writing, greedily, until it ends its answer or reaches the limit."""

from typing import Any

import numpy as np
import torch
from lighteval.metrics.metrics_sample import SampleLevelComputation
from lighteval.metrics.utils.metric_utils import SampleLevelMetric
from lighteval.models.model_output import ModelResponse
from lighteval.tasks.lighteval_task import LightevalTaskConfig
from lighteval.tasks.requests import Doc, SamplingMethod
from transformers import PreTrainedTokenizerFast

from domain_tokens.evaluation.answers import is_correct
from domain_tokens.evaluation.tasks.base import SPLIT, Item, Row, Task, mean
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.tokenization.facts import count_facts
from domain_tokens.tokenization.intervention import Intervention
from domain_tokens.tokenization.prompts import render_prompt
from domain_tokens.tokenization.sites import expand

STOP = "\nUser:"  # a model that does not end its answer goes on with the next question


class AnswerIsCorrect(SampleLevelComputation):
    """1 for a right answer, 0 for a wrong one, by the definition that the rewards use too."""

    def __init__(self, written_by: Intervention | None = None) -> None:
        self.written_by = written_by

    def compute(self, doc: Doc, model_response: ModelResponse, **_: Any) -> int:
        return int(is_correct(expand(model_response.final_text[0], self.written_by), doc.choices[0]))


ACCURACY = "accuracy"


def accuracy(written_by: Intervention | None) -> SampleLevelMetric:
    """Return the share of right answers as a metric of lighteval."""
    return SampleLevelMetric(
        metric_name=ACCURACY,
        higher_is_better=True,
        category=SamplingMethod.GENERATIVE,
        sample_level_fn=AnswerIsCorrect(written_by),
        corpus_level_fn=np.mean,
    )


def prompt(row: Row, task_name: str) -> Doc:
    """Return a question in the prompt format of the chat template, with its right answer as the only choice."""
    return Doc(
        query=render_prompt(row["question"]),
        choices=[row["gold"]],
        gold_index=0,
        task_name=task_name,
        specific=dict(row),
    )


class WrittenTask(Task):
    """A task whose rows are `{"id", "group", "question", "gold"}`."""

    def config(self, evaluation: Evaluation, written_by: Intervention | None = None) -> LightevalTaskConfig:
        # The limit belongs to the task: given as a generation parameter, lighteval 0.13 cuts every prompt to it too.
        return LightevalTaskConfig(
            name=self.name,
            prompt_function=prompt,
            hf_repo="",
            hf_subset="",
            hf_avail_splits=[SPLIT],
            evaluation_splits=[SPLIT],
            metrics=[accuracy(written_by)],
            generation_size=evaluation.max_new_tokens,
            stop_sequence=[STOP],
            version=self.version,
        )

    def generation(self, evaluation: Evaluation) -> dict[str, Any]:
        return {"max_new_tokens": evaluation.max_new_tokens, "temperature": 0, "stop": [STOP]}

    def num_tokens(self, row: Row, evaluation: Evaluation, tokenizer: PreTrainedTokenizerFast) -> tuple[int, int]:
        return len(tokenizer.encode(render_prompt(row["question"]))), evaluation.max_new_tokens

    def item(
        self, doc: Doc, response: ModelResponse, scores: dict[str, Any], tokenizer: PreTrainedTokenizerFast
    ) -> Item:
        row: Row = doc.specific or {}
        token_ids, finished = trim(torch.as_tensor(response.output_tokens[0]).tolist(), tokenizer)
        return {
            **{key: row[key] for key in ("id", "group", "question", "gold")},
            "answer": response.text[0],
            "correct": bool(scores[ACCURACY]),
            "num_tokens": len(token_ids),
            "num_facts": count_facts(token_ids),
            "finished": finished,
        }

    def summarize(self, items: list[Item], set_apart: list[Item]) -> dict[str, Any]:
        groups = {
            name: [item["correct"] for item in items if item["group"] == name]
            for name in dict.fromkeys(item["group"] for item in items)
            if name is not None
        }
        return {
            "metrics": {"accuracy": mean([item["correct"] for item in items])},
            "groups": {name: {"accuracy": mean(found), "num_items": len(found)} for name, found in groups.items()},
            "facts_per_response": mean([item["num_facts"] for item in items]),
            "tokens_per_response": mean([item["num_tokens"] for item in items]),
            "unfinished": sum(not item["finished"] for item in items),
        }


def trim(token_ids: list[int], tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], bool]:
    """Return the tokens of an answer alone, and whether the model ended it.

    Generation goes on until the last answer of a batch has ended: what follows the end-of-text token or the stop text
    does not belong to the answer.

    Args:
        token_ids (`list[int]`): what was generated, padding included.
        tokenizer: the tokenizer of the model.
    """
    finished = tokenizer.eos_token_id in token_ids
    if finished:
        token_ids = token_ids[: token_ids.index(tokenizer.eos_token_id)]
    # The name of a reserved id holds the end-of-text marker: an untrained model writes it, and it ends an answer too.
    text = tokenizer.decode(token_ids)
    kept = text.split(STOP)[0].split(tokenizer.eos_token)[0]
    if kept != text:
        finished = True
        while len(tokenizer.decode(token_ids)) > len(kept):
            token_ids = token_ids[:-1]
    return token_ids, finished
