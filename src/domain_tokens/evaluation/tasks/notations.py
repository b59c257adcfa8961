"""Each fact of the multiplication table asked in five ways: does a model know a product, or only one way to ask it?

`consistent` says of an item that all ways of asking its fact were given one and the same number; `commutes`, that
`6*9` and `9*6` were.
"""

from typing import Any

from num2words import num2words

from domain_tokens.evaluation.tasks._base import Item, Row, mean
from domain_tokens.evaluation.tasks._generative import ACCURACY, GenerativeTask
from domain_tokens.recipe import Recipe
from domain_tokens.tokenization.facts import FACTS

PLAIN, MIRRORED = "a*b", "b*a"


class Notations(GenerativeTask):
    """Questions such as `What is six times nine?`; a square has no mirrored form."""

    name = "notations"
    outcomes = {ACCURACY: "correct", "consistency": "consistent"}

    def read_rows(self, recipe: Recipe) -> list[Row]:
        rows = []
        for fact in FACTS:
            a, b = fact.a, fact.b
            asked = {
                PLAIN: f"{a}*{b}",
                MIRRORED: f"{b}*{a}",
                "a × b": f"{a} × {b}",
                "a times b": f"{a} times {b}",
                "words": f"{num2words(a)} times {num2words(b)}",
            }
            rows += [
                {"id": f"{a}*{b} as {form}", "group": form, "question": f"What is {text}?", "gold": str(fact.product)}
                for form, text in asked.items()
                if form != MIRRORED or a != b
            ]
        return rows

    def complete(self, items: list[Item]) -> list[Item]:
        facts: dict[str, dict[str, Any]] = {}
        for item in items:
            facts.setdefault(_fact(item), {})[item["group"]] = item["number"]
        for item in items:
            numbers = facts[_fact(item)]
            item["consistent"] = None not in numbers.values() and len(set(numbers.values())) == 1
            if PLAIN in numbers and MIRRORED in numbers:
                item["commutes"] = numbers[PLAIN] is not None and numbers[PLAIN] == numbers[MIRRORED]
        return items

    def summarize(self, items: list[Item], excluded: list[Item]) -> dict[str, Any]:
        summary = super().summarize(items, excluded)
        mirrored = [item["commutes"] for item in items if item["group"] == MIRRORED and "commutes" in item]
        if mirrored:
            summary["metrics"]["commutativity"] = mean(mirrored)
        return summary


def _fact(item: Item) -> str:
    return str(item["id"]).partition(" as ")[0]


TASK = Notations()
