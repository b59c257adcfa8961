"""Questions that a model answers in writing until it ends its answer or reaches the limit."""

from collections import Counter
from math import comb
from typing import Any

import numpy as np
from lighteval.metrics.metrics_sample import SampleLevelComputation
from lighteval.metrics.utils.metric_utils import SampleLevelMetric
from lighteval.models.model_output import ModelResponse
from lighteval.tasks.lighteval_task import LightevalTaskConfig
from lighteval.tasks.requests import Doc, SamplingMethod
from transformers import PreTrainedTokenizerFast

from domain_tokens.evaluation.answers.answer import Answer, AnswerReader, is_correct
from domain_tokens.evaluation.answers.extraction import extract_answer
from domain_tokens.evaluation.answers.scorers import score
from domain_tokens.evaluation.equations import in_table_products, read_equations
from domain_tokens.evaluation.error_types import classify
from domain_tokens.evaluation.tasks._base import SPLIT, Item, Reader, Row, Task, mean
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.tokenization.facts import count_facts
from domain_tokens.tokenization.prompts import render_prompt

STOP = "\nUser:"  # a model that does not end its answer goes on with the next question
ACCURACY = "accuracy"


class AnswerIsCorrect(SampleLevelComputation):
    """1 for a right answer, 0 for a wrong one, by the definition that the rewards use too."""

    def __init__(self, beginning: str, answers: AnswerReader) -> None:
        self.beginning = beginning
        self.answers = answers

    def compute(self, doc: Doc, model_response: ModelResponse, **_: Any) -> int:
        answer = self.answers.read(self.beginning + model_response.final_text[0])
        return int(is_correct(answer, doc.choices[0]))


class GenerativeTask(Task):
    """A task whose rows are `{"id", "group", "question", "gold"}` and, where there is a worked solution, `"steps"`.

    Attributes:
        beginning: how every answer begins: written into the prompt, and part of the answer when it is scored.
        max_new_tokens: the longest answer where it is shorter than the recipe's.
    """

    outcomes = {ACCURACY: "correct"}
    beginning: str = ""
    max_new_tokens: int | None = None

    def config(self, evaluation: Evaluation, answers: AnswerReader) -> LightevalTaskConfig:
        return LightevalTaskConfig(
            name=self.name,
            prompt_function=self.prompt,
            hf_repo="",
            hf_subset="",
            hf_avail_splits=[SPLIT],
            evaluation_splits=[SPLIT],
            metrics=[
                SampleLevelMetric(
                    metric_name=ACCURACY,
                    higher_is_better=True,
                    category=SamplingMethod.GENERATIVE,
                    sample_level_fn=AnswerIsCorrect(self.beginning, answers),
                    corpus_level_fn=np.mean,
                )
            ],
            generation_size=self._limit(evaluation),
            stop_sequence=[STOP],
            version=self.version,
        )

    def prompt(self, row: Row, task_name: str) -> Doc:
        """Return a question in the chat template's format, with its right answer as the only choice."""
        return Doc(
            query=self._text(row),
            choices=[row["gold"]],
            gold_index=0,
            task_name=task_name,
            specific=dict(row),
        )

    def generation(self, evaluation: Evaluation) -> dict[str, Any]:
        begun = {"beginning": self.beginning} if self.beginning else {}
        return {"max_new_tokens": self._limit(evaluation), "temperature": 0, "stop": [STOP]} | begun

    def num_tokens(self, row: Row, evaluation: Evaluation, tokenizer: PreTrainedTokenizerFast) -> tuple[int, int]:
        return len(tokenizer.encode(self._text(row))), self._limit(evaluation)

    def item(self, doc: Doc, response: ModelResponse, scores: dict[str, Any], reader: Reader) -> Item:
        row: Row = doc.specific or {}
        token_ids, finished = trim(response.output_tokens[0], reader.tokenizer)
        answers = [reader.answers.read(self.beginning + text) for text in response.text]
        answer = answers[0]
        equations = read_equations(answer, row["question"])
        item = {
            **{key: row[key] for key in ("id", "group", "question", "gold")},
            "answer": answer.written,
            "number": None if answer.number is None else str(answer.number),
            **score(answer, row["gold"]),
            "correct": bool(scores[ACCURACY]),
            "num_tokens": len(token_ids),
            "num_facts": count_facts(token_ids),
            "finished": finished,
            "mistake": classify(answer, row["gold"], finished, equations),
            "equations": [equation.as_json() for equation in equations],
            # The facts that a worked solution needs; `None` where none is given.
            "needed": in_table_products(row["steps"], reader.answers.table) if row.get("steps") else None,
        }
        if len(answers) > 1:
            item |= _samples(answers, row["gold"])
        return item

    def summarize(self, items: list[Item], excluded: list[Item]) -> dict[str, Any]:
        metrics = {metric: mean([item[key] for item in items]) for metric, key in self.outcomes.items()}
        groups = {
            name: [item["correct"] for item in items if item["group"] == name]
            for name in dict.fromkeys(item["group"] for item in items)
            if name is not None
        }
        if "num_right" in items[0]:
            metrics |= _sample_metrics(items)
        return {
            "metrics": metrics,
            "groups": {name: {"accuracy": mean(found), "num_items": len(found)} for name, found in groups.items()},
            "facts_per_response": mean([item["num_facts"] for item in items]),
            "tokens_per_response": mean([item["num_tokens"] for item in items]),
            "unfinished": sum(not item["finished"] for item in items),
        }

    def _text(self, row: Row) -> str:
        return render_prompt(row["question"]) + (f" {self.beginning}" if self.beginning else "")

    def _limit(self, evaluation: Evaluation) -> int:
        return min(evaluation.max_new_tokens, self.max_new_tokens or evaluation.max_new_tokens)


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


def pass_at_k(num_samples: int, num_right: int, k: int) -> float:
    """Return the chance that one of `k` answers drawn from these is right: `1 - C(n - c, k) / C(n, k)`.

    The unbiased estimator of Chen et al. 2021, https://arxiv.org/abs/2107.03374.
    """
    return 1 - comb(num_samples - num_right, k) / comb(num_samples, k)


def _samples(answers: list[Answer], gold: str) -> Item:
    numbers = Counter(answer.number for answer in answers if answer.number is not None)
    # The commonest number, the one that was drawn first among equals.
    majority = numbers.most_common(1)[0][0] if numbers else None
    return {
        "samples": [answer.written for answer in answers],
        "num_right": sum(is_correct(answer, gold) for answer in answers),
        "majority_correct": majority is not None and majority == extract_answer(f"#### {gold}"),
    }


def _sample_metrics(items: list[Item]) -> dict[str, float]:
    num_samples = len(items[0]["samples"])
    powers = [k for k in (2**exponent for exponent in range(num_samples.bit_length())) if k <= num_samples]
    passed = {
        f"pass@{k}": mean([pass_at_k(num_samples, item["num_right"], k) for item in items])
        for k in dict.fromkeys((*powers, num_samples))
    }
    return passed | {f"maj@{num_samples}": mean([item["majority_correct"] for item in items])}
