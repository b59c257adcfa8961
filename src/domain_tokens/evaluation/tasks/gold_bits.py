"""The bits per byte of GSM8K's worked solutions, given the question: an endpoint with room where accuracy is near 0.

A model that never reaches the right number may still find the right solution more or less likely. Nothing is written.
The metrics are means over problems, each of which counts alike, per byte of the solution as the data has it.

`bits_per_byte` counts the model's bits and those of what rewriting dropped, `model_bits_per_byte` the model's alone:
the first is too many and the second too few, so that a claim about a condition that rewrites rests on both.
`sites_bits_per_byte` and `others_bits_per_byte` are the two parts of the first, of the facts in a solution and of the
rest of it. `models/answer_bits.py` says where they are parted.
"""

from typing import TYPE_CHECKING

from domain_tokens.corpora.examples import read_examples
from domain_tokens.evaluation.tasks._base import (
    EVALUATION_SEED,
    SPLIT,
    BaseTask,
    Evaluated,
    SolvedRow,
    check_question,
    check_text,
    mean,
)
from domain_tokens.recipe import Recipe
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.runs.records import AnswerBitsItem, GroupResult, TaskSummary
from domain_tokens.tokenization.prompts import render_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from domain_tokens.evaluation.models.answer_bits import AnswerBits, EncodedAnswer

UNIT = "bits per byte"
WITH_SITES, WITHOUT_SITES = "with sites", "without sites"


class GoldBits(BaseTask[SolvedRow, AnswerBitsItem]):
    """Problems and solutions from the source `evaluation.data.gsm8k`; a group is whether the solution has sites."""

    name = "gold_bits"
    data = "gsm8k"
    outcomes = {
        key: key
        for key in (
            "bits_per_byte",
            "model_bits_per_byte",
            "sites_bits_per_byte",
            "sites_model_bits_per_byte",
            "others_bits_per_byte",
        )
    }
    units = dict.fromkeys(outcomes, UNIT)
    lower_is_better = tuple(outcomes)
    needs_side_code = True

    def read_rows(self, recipe: Recipe) -> list[SolvedRow]:
        """Read questions and solutions, annotations as the source says. Raises `RecipeError` naming source and row."""
        source = self.source(recipe)
        rows: list[SolvedRow] = []
        for index, example in enumerate(read_examples(source, EVALUATION_SEED, SPLIT)):
            question, answer = example.question, example.answer
            where = f"evaluation.data.{self.data}: source {source.name}: row {index}"
            check_text(question, where)
            check_question(question, f"{where}: column {source.question_key!r}")
            check_text(answer, where)
            rows.append({"id": str(index), "question": question, "answer": answer.strip()})
            if example.cluster is not None:
                rows[-1]["cluster"] = example.cluster
        return rows

    def texts(self, row: SolvedRow) -> list[str]:
        """Return the prompt of a row."""
        return [render_prompt(row["question"])]

    def generation(self, evaluation: Evaluation) -> None:
        """Nothing is generated."""
        return None

    def num_tokens(
        self, row: SolvedRow, evaluation: Evaluation, tokenizer: "PreTrainedTokenizerFast"
    ) -> tuple[int, int]:
        """Return the tokens of a row's prompt, and those of its solution with its end."""
        return len(tokenizer.encode(self.texts(row)[0])), len(tokenizer.encode(f" {row['answer']}")) + 1

    def run(self, rows: list[SolvedRow], evaluated: Evaluated) -> list[AnswerBitsItem]:
        """Measure the solutions."""
        from domain_tokens.evaluation.models.answer_bits import AnswerEncoder, measure_answers

        reader = evaluated.reader
        encoder = AnswerEncoder(reader.tokenizer, reader.answers.table, evaluated.side_code)
        answers = [encoder.encode(self.texts(row)[0], row["answer"]) for row in rows]
        found = measure_answers(evaluated.model, answers)
        return [_item(*parts) for parts in zip(rows, answers, found, strict=True)]

    def summarize(self, items: list[AnswerBitsItem], excluded: list[AnswerBitsItem]) -> TaskSummary:
        """Return the means over all problems, and the main metric's over those with and without sites."""
        main = next(iter(self.outcomes))
        groups = {
            name: [item.value(main) for item in items if item.group == name]
            for name in dict.fromkeys(item.group for item in items)
            if name is not None
        }
        return TaskSummary(
            num_items=len(items),
            metrics={metric: mean([item.value(key) for item in items]) for metric, key in self.outcomes.items()},
            groups={name: GroupResult(accuracy=mean(found), num_items=len(found)) for name, found in groups.items()},
            facts_per_response=None,
            tokens_per_response=mean([item.num_tokens for item in items]),
            unfinished=None,
        )


def _item(row: SolvedRow, answer: "EncodedAnswer", bits: "AnswerBits") -> AnswerBitsItem:
    total, sites = bits.all + answer.side_bits, bits.sites + answer.site_side_bits
    return AnswerBitsItem(
        id=row["id"],
        group=WITH_SITES if answer.num_sites else WITHOUT_SITES,
        cluster=row.get("cluster"),
        question=row["question"],
        gold=row["answer"],
        num_bytes=answer.num_bytes,
        num_tokens=len(answer.ids) - answer.num_prompt,
        num_sites=answer.num_sites,
        model_bits=bits.all,
        side_bits=answer.side_bits,
        site_model_bits=bits.sites,
        site_side_bits=answer.site_side_bits,
        bits_per_byte=total / answer.num_bytes,
        model_bits_per_byte=bits.all / answer.num_bytes,
        sites_bits_per_byte=sites / answer.num_bytes,
        sites_model_bits_per_byte=bits.sites / answer.num_bytes,
        others_bits_per_byte=(total - sites) / answer.num_bytes,
    )


TASK = GoldBits()
