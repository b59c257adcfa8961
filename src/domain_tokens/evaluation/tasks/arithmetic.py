"""Arithmetic in the wording of the training drills: the multiplication table, products beyond it, sums, differences.

The table is asked in full, in both orders: it is what the facts are about, and every condition has seen all of it, and
so is the table up to 20. The products of two digits and one, and the sums, belong to the generator's test split, which
no generated training text holds; products of two digits each and differences are a sample that no lesson states.
"""

import re

from domain_tokens.corpora.lessons.splits import probes
from domain_tokens.corpora.synthetic import cluster_of, split_of_product
from domain_tokens.evaluation.tasks._base import SPLIT, Row
from domain_tokens.evaluation.tasks._generative import GenerativeTask
from domain_tokens.recipe import Recipe
from domain_tokens.runs.records import GenerativeItem, TaskSummary
from domain_tokens.tokenization.facts import MAX_FACTOR
from domain_tokens.tokenization.prompts import product_question, sum_question

TABLE = "table"
TABLE_20 = "table_to_20"
PRODUCTS = "two_digits_times_one"
LARGE_PRODUCTS = "two_digits_times_two"
SUMS = "two_digit_sums"
DIFFERENCES = "two_digit_differences"
_TEMPLATES = {"*": "product", "+": "sum", "-": "difference"}


class Arithmetic(GenerativeTask):
    """Questions such as `What is 6 times 9?`, in six groups."""

    name = "arithmetic"
    version = 3

    def read_rows(self, recipe: Recipe) -> list[Row]:
        """Make the questions, the same for every condition and every seed."""
        small, teens = range(1, MAX_FACTOR + 1), range(1, 21)
        table = [(a, b) for a in small for b in small]
        to_20 = [(a, b) for a in teens for b in teens if max(a, b) > MAX_FACTOR]
        products = [(a, b) for a in range(10, 100) for b in range(2, 10) if split_of_product(a, b) == SPLIT]
        sums, large, differences = probes()
        return [
            *(_row(TABLE, f"{a}*{b}", product_question(a, b), a * b) for a, b in table),
            *(_row(TABLE_20, f"{a}*{b} to 20", product_question(a, b), a * b) for a, b in to_20),
            *(_row(PRODUCTS, f"{a}*{b}", product_question(a, b), a * b) for a, b in products),
            *(_row(LARGE_PRODUCTS, f"{a}*{b}", product_question(a, b), a * b) for a, b in large),
            *(_row(SUMS, f"{a}+{b}", sum_question(a, b), a + b) for a, b in sums),
            *(_row(DIFFERENCES, f"{a}-{b}", f"What is {a} minus {b}?", a - b) for a, b in differences),
        ]

    def summarize(self, items: list[GenerativeItem], excluded: list[GenerativeItem]) -> TaskSummary:
        """Return what every generative task does, and the accuracy on the table."""
        summary = super().summarize(items, excluded)
        if TABLE not in summary.groups:
            return summary
        return summary.model_copy(
            update={"metrics": {**summary.metrics, "table_accuracy": summary.groups[TABLE].accuracy}}
        )


def _row(group: str, name: str, question: str, answer: int) -> Row:
    left, sign, right = re.split(r"([*+-])", name.removesuffix(" to 20"))
    # A product and a sum ask the same in both orders.
    numbers = (int(left), int(right)) if sign == "-" else tuple(sorted((int(left), int(right))))
    cluster = cluster_of(_TEMPLATES[sign], *numbers)
    return {"id": name, "group": group, "question": question, "gold": str(answer), "cluster": cluster}


TASK = Arithmetic()
