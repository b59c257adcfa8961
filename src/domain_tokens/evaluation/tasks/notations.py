"""Each fact of the multiplication table asked in five ways: does a model know a product, or only one way to ask it?

`consistent` says of an item that all ways of asking its fact were given one and the same number; `commutes`, that
`6*9` and `9*6` were.
"""

from num2words import num2words

from domain_tokens.corpora.synthetic import cluster_of
from domain_tokens.evaluation.tasks._base import Row, mean
from domain_tokens.evaluation.tasks._generative import ACCURACY, GenerativeTask
from domain_tokens.recipe import Recipe
from domain_tokens.runs.records import GenerativeItem, TaskSummary
from domain_tokens.tokenization.facts import FACTS

PLAIN, MIRRORED = "a*b", "b*a"


class Notations(GenerativeTask):
    """Questions such as `What is six times nine?`; a square has no mirrored form."""

    name = "notations"
    outcomes = {ACCURACY: "correct", "consistency": "consistent"}

    def read_rows(self, recipe: Recipe) -> list[Row]:
        """Make the questions, the same for every condition and every seed."""
        rows: list[Row] = []
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
                {
                    "id": f"{a}*{b} as {form}",
                    "group": form,
                    "question": f"What is {text}?",
                    "gold": str(fact.product),
                    "cluster": cluster_of("product", a, b),
                }
                for form, text in asked.items()
                if form != MIRRORED or a != b
            ]
        return rows

    def complete(self, items: list[GenerativeItem]) -> list[GenerativeItem]:
        """Return the items with `consistent` and `commutes`, which compare the forms of a fact."""
        facts: dict[str, dict[str | None, str | None]] = {}
        for item in items:
            facts.setdefault(_fact(item), {})[item.group] = item.number
        return [_compared(item, facts[_fact(item)]) for item in items]

    def summarize(self, items: list[GenerativeItem], excluded: list[GenerativeItem]) -> TaskSummary:
        """Return what every generative task does, and how often `a*b` and `b*a` were given one number."""
        summary = super().summarize(items, excluded)
        mirrored = [item.commutes for item in items if item.group == MIRRORED and item.commutes is not None]
        if not mirrored:
            return summary
        return summary.model_copy(update={"metrics": {**summary.metrics, "commutativity": mean(mirrored)}})


def _fact(item: GenerativeItem) -> str:
    return item.id.partition(" as ")[0]


def _compared(item: GenerativeItem, numbers: dict[str | None, str | None]) -> GenerativeItem:
    found = {"consistent": None not in numbers.values() and len(set(numbers.values())) == 1}
    if PLAIN in numbers and MIRRORED in numbers:
        found["commutes"] = numbers[PLAIN] is not None and numbers[PLAIN] == numbers[MIRRORED]
    return item.model_copy(update=found)


TASK = Notations()
