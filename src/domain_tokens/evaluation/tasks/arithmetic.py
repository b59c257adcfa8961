"""Arithmetic in the wording of the training drills: the multiplication table, products beyond it, and sums.

The table is asked in full, in both orders: it is what the facts are about, and every condition has seen all of it. The
other questions belong to the generator's test split, which no generated training text holds.
"""

import random
from typing import Any

from domain_tokens.corpora.synthetic import split_of_product, split_of_sum
from domain_tokens.evaluation.tasks.base import EVALUATION_SEED, SPLIT, Item, Row
from domain_tokens.evaluation.tasks.written import WrittenTask
from domain_tokens.recipe import Recipe
from domain_tokens.tokenization.facts import MAX_FACTOR
from domain_tokens.tokenization.prompts import product_question, sum_question

NUM_SUMS = 60
TABLE = "table"
PRODUCTS = "two_digits_times_one"
SUMS = "two_digit_sums"


class Arithmetic(WrittenTask):
    """Questions such as `What is 6 * 9?`, in three groups."""

    name = "arithmetic"

    def read_rows(self, recipe: Recipe) -> list[Row]:
        table = [(a, b) for a in range(1, MAX_FACTOR + 1) for b in range(1, MAX_FACTOR + 1)]
        products = [(a, b) for a in range(10, 100) for b in range(2, 10) if split_of_product(a, b) == SPLIT]
        sums = [(a, b) for a in range(10, 100) for b in range(10, 100) if split_of_sum(a, b) == SPLIT]
        chosen = random.Random(EVALUATION_SEED).sample(sums, NUM_SUMS)
        return [
            *(_row(TABLE, f"{a}*{b}", product_question(a, b), a * b) for a, b in table),
            *(_row(PRODUCTS, f"{a}*{b}", product_question(a, b), a * b) for a, b in products),
            *(_row(SUMS, f"{a}+{b}", sum_question(a, b), a + b) for a, b in chosen),
        ]

    def summarize(self, items: list[Item], set_apart: list[Item]) -> dict[str, Any]:
        summary = super().summarize(items, set_apart)
        if TABLE in summary["groups"]:
            summary["metrics"]["table_accuracy"] = summary["groups"][TABLE]["accuracy"]
        return summary


def _row(group: str, name: str, question: str, answer: int) -> Row:
    return {"id": name, "group": group, "question": question, "gold": str(answer)}
