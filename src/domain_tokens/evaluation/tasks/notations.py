"""Each fact of the multiplication table asked in six ways: does a model know a product, or only one way to ask it?

`a times b`, `b times a` and `words` are spellings that no shipped intervention rewrites; to one that rewrites the
others, `a*b`, `b*a` and `a × b` may be one and the same prompt. Whether a model answers all spellings alike is
therefore computed where both conditions are known, by `analysis.measures.spellings`.
"""

from num2words import num2words

from domain_tokens.corpora.synthetic import cluster_of
from domain_tokens.evaluation.tasks._base import Row
from domain_tokens.evaluation.tasks._generative import GenerativeTask
from domain_tokens.recipe import Recipe
from domain_tokens.tokenization.facts import FACTS

MIRRORED = ("b*a", "b times a")


class Notations(GenerativeTask):
    """Questions such as `What is six times nine?`; a square has no mirrored form."""

    name = "notations"
    version = 2

    def read_rows(self, recipe: Recipe) -> list[Row]:
        """Make the questions, the same for every condition and every seed."""
        rows: list[Row] = []
        for fact in FACTS:
            a, b, problem = fact.a, fact.b, f"{fact.a}*{fact.b}"
            asked = {
                "a*b": f"{a}*{b}",
                "b*a": f"{b}*{a}",
                "a × b": f"{a} × {b}",
                "a times b": f"{a} times {b}",
                "b times a": f"{b} times {a}",
                "words": f"{num2words(a)} times {num2words(b)}",
            }
            rows += [
                {
                    "id": f"{problem} as {form}",
                    "group": form,
                    "question": f"What is {text}?",
                    "gold": str(fact.product),
                    "problem": problem,
                    "cluster": cluster_of("product", a, b),
                }
                for form, text in asked.items()
                if form not in MIRRORED or a != b
            ]
        return rows


TASK = Notations()
