"""Tasks whose answers are generated, until the model ends its answer or reaches the token limit."""

from collections.abc import Mapping
from math import comb
from typing import TYPE_CHECKING

from domain_tokens.evaluation.answers.answer import Answer, AnswerReader, is_correct, majority
from domain_tokens.evaluation.answers.extraction import read_number
from domain_tokens.evaluation.answers.scorers import score
from domain_tokens.evaluation.equations import in_table_products, read_equations
from domain_tokens.evaluation.error_types import classify
from domain_tokens.evaluation.tasks._base import Reader, Row, Task, mean
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.runs.records import Fields, GenerativeItem, GroupResult, TaskSummary
from domain_tokens.tokenization.contract import id_ranges
from domain_tokens.tokenization.facts import count_facts
from domain_tokens.tokenization.prompts import render_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from domain_tokens.evaluation.models._lighteval import Doc, LightevalTaskConfig, ModelResponse

STOP = "\nUser:"  # a model that does not end its answer continues with the next question
ACCURACY = "accuracy"


class GenerativeTask(Task[Row, GenerativeItem]):
    """A task whose questions are answered in writing, right if the number after `####` is.

    Attributes:
        beginning: how every answer begins: written into the prompt, and part of the answer when it is scored.
        max_new_tokens: the longest answer where it is shorter than the recipe's.
    """

    outcomes = {ACCURACY: "correct"}
    beginning: str = ""
    max_new_tokens: int | None = None

    def config(self, evaluation: Evaluation, answers: AnswerReader) -> "LightevalTaskConfig":
        """Return the task as lighteval knows it."""
        from domain_tokens.evaluation.models.lighteval_adapter import generative_config

        def is_right(written: str, gold: str) -> bool:
            return is_correct(answers.read(self.beginning + written), gold)

        return generative_config(
            self.name, self.version, self.prompt, ACCURACY, is_right, self._limit(evaluation), STOP
        )

    def prompt(self, row: Row, task_name: str) -> "Doc":
        """Return a question in the chat template's format, with its right answer as the only choice."""
        from domain_tokens.evaluation.models._lighteval import Doc

        return Doc(
            query=self._text(row),
            choices=[row["gold"]],
            gold_index=0,
            task_name=task_name,
            specific=dict(row),
        )

    def check_row(self, row: Row, where: str) -> None:
        """Check that a row asks something, and that an answer can be right."""
        super().check_row(row, where)
        gold = row.get("gold")
        if not isinstance(gold, str) or read_number(gold) is None:
            raise RecipeError(f"{where}: gold: expected one number as text, got {gold!r:.80}")

    def texts(self, row: Row) -> list[str]:
        """Return the prompt."""
        return [self._text(row)]

    def generation(self, evaluation: Evaluation) -> Fields:
        """Return the longest answer, the temperature, the texts that end an answer, and how it begins."""
        begun: Fields = {"beginning": self.beginning} if self.beginning else {}
        return {"max_new_tokens": self._limit(evaluation), "temperature": 0, "stop": [STOP], **begun}

    def num_tokens(self, row: Row, evaluation: Evaluation, tokenizer: "PreTrainedTokenizerFast") -> tuple[int, int]:
        """Return the tokens of a row's prompt, and those of the longest answer."""
        return len(tokenizer.encode(self._text(row))), self._limit(evaluation)

    def item(self, row: Row, response: "ModelResponse", scores: Mapping[str, float], reader: Reader) -> GenerativeItem:
        """Return what the model wrote, by every scorer, and the equations in it."""
        token_ids, finished = trim(response.output_tokens[0], reader.tokenizer)
        answers = [reader.answers.read(self.beginning + text) for text in response.text]
        answer = answers[0]
        equations = read_equations(answer, row["question"], row["gold"])
        scored = score(answer, row["gold"])
        steps = row.get("steps")
        item = GenerativeItem(
            id=row["id"],
            group=row["group"],
            cluster=row.get("cluster"),
            question=row["question"],
            gold=row["gold"],
            answer=answer.written,
            number=None if answer.number is None else str(answer.number),
            correct=bool(scores[ACCURACY]),
            correct_original=scored["correct_original"],
            correct_strict=scored["correct_strict"],
            correct_flexible=scored["correct_flexible"],
            num_tokens=len(token_ids),
            num_facts=count_facts(token_ids, id_ranges(reader.tokenizer)),
            finished=finished,
            error_type=classify(answer, row["gold"], finished, equations),
            equations=tuple(equation.as_record() for equation in equations),
            facts_needed=tuple(in_table_products(steps, reader.answers.table)) if steps else None,
        )
        if "problem" in row:
            item = item.model_copy(update={"problem": row["problem"]})
        return item if len(answers) == 1 else _with_samples(item, answers)

    def summarize(self, items: list[GenerativeItem], excluded: list[GenerativeItem]) -> TaskSummary:
        """Return the share of right answers by each scorer and in each group, and means over the answers."""
        metrics = {metric: mean([item.is_right(key) for item in items]) for metric, key in self.outcomes.items()}
        groups = {
            name: [item.correct for item in items if item.group == name]
            for name in dict.fromkeys(item.group for item in items)
            if name is not None
        }
        if items[0].samples is not None:
            metrics |= _sample_metrics(items)
        return TaskSummary(
            num_items=len(items),
            metrics=metrics,
            groups={name: GroupResult(accuracy=mean(found), num_items=len(found)) for name, found in groups.items()},
            facts_per_response=mean([item.num_facts or 0 for item in items]),
            tokens_per_response=mean([item.num_tokens or 0 for item in items]),
            unfinished=sum(not item.finished for item in items),
        )

    def _text(self, row: Row) -> str:
        return render_prompt(row["question"]) + (f" {self.beginning}" if self.beginning else "")

    def _limit(self, evaluation: Evaluation) -> int:
        return min(evaluation.max_new_tokens, self.max_new_tokens or evaluation.max_new_tokens)


def trim(token_ids: list[int], tokenizer: "PreTrainedTokenizerFast") -> tuple[list[int], bool]:
    """Return the tokens of an answer alone, and whether the model ended it.

    Generation continues until the last answer of a batch has ended: what follows the end-of-text token or the stop
    text does not belong to the answer.

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


def _with_samples(item: GenerativeItem, answers: list[Answer]) -> GenerativeItem:
    commonest = majority(answer.number for answer in answers)
    return item.model_copy(
        update={
            "samples": tuple(answer.written for answer in answers),
            "num_right": sum(is_correct(answer, item.gold) for answer in answers),
            "majority_correct": commonest is not None and commonest == read_number(item.gold),
        }
    )


def _sample_metrics(items: list[GenerativeItem]) -> dict[str, float]:
    num_samples = len(items[0].samples or ())
    powers = [k for k in (2**exponent for exponent in range(num_samples.bit_length())) if k <= num_samples]
    passed = {
        f"pass@{k}": mean([pass_at_k(num_samples, item.num_right or 0, k) for item in items])
        for k in dict.fromkeys((*powers, num_samples))
    }
    return passed | {f"maj@{num_samples}": mean([bool(item.majority_correct) for item in items])}
