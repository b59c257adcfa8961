"""How well the rules keep to the truth: precision and recall on labelled sentences, option by option.

`audit_set.jsonl` holds sentences in which somebody has marked every product of two whole numbers from 1 to 9, and hard
negatives: sentences without one that look as if they had. The marks say what a sentence means, not what the rules do,
so the table shows both what the rules rewrite wrongly and what they miss. The page of `page.py` shows what the rules
do to any text.
"""

import importlib.resources
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from scipy.stats import binomtest

from domain_tokens.recipe import RecipeError
from domain_tokens.tokenization.intervention import OPERATORS, Intervention
from domain_tokens.tokenization.rewriter import Site, find

FORMS = ("*", "×", "x", "bare x", "·", "\\times", "\\cdot", "words", "chinese")


@dataclass(frozen=True)
class Product:
    """A product that a sentence states: the span of the expression without its result, and its spelling."""

    start: int
    end: int
    form: str


@dataclass(frozen=True)
class Sentence:
    """A sentence of the audit set; `kind` is `product` or `hard_negative`."""

    text: str
    kind: str
    category: str
    products: tuple[Product, ...]


@dataclass(frozen=True)
class Mistake:
    """A site rewritten without a product (`false alarm`), or a product that no site covers (`miss`)."""

    kind: str
    sentence: str
    start: int
    end: int
    reason: str


@dataclass(frozen=True)
class Score:
    """How one option does on the audit set.

    Attributes:
        option: its name.
        num_rewritten: sites that are rewritten.
        num_right: those that cover a product.
        num_products: products in the spellings that the option is meant to read.
        num_found: those that a rewritten site covers.
        mistakes: the false alarms and the misses.
    """

    option: str
    num_rewritten: int
    num_right: int
    num_products: int
    num_found: int
    mistakes: tuple[Mistake, ...]

    @property
    def precision(self) -> float | None:
        """The share of rewritten sites that cover a product; `None` if nothing is rewritten."""
        return self.num_right / self.num_rewritten if self.num_rewritten else None

    @property
    def recall(self) -> float | None:
        """The share of products that a rewritten site covers; `None` if there are none."""
        return self.num_found / self.num_products if self.num_products else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's 95% interval of the precision."""
        if not self.num_rewritten:
            return None
        bounds = binomtest(self.num_right, self.num_rewritten).proportion_ci(0.95, method="wilson")
        return float(bounds.low), float(bounds.high)


def load_audit_set() -> list[Sentence]:
    """Read the labelled sentences that come with the package."""
    content = (
        importlib.resources.files("domain_tokens.tokenization.audit").joinpath("sentences.jsonl").read_text("utf-8")
    )
    rows = (json.loads(line) for line in content.splitlines())
    return [Sentence(**row | {"products": tuple(Product(**one) for one in row["products"])}) for row in rows]


def score_options(intervention: Intervention, sentences: list[Sentence]) -> list[Score]:
    """Score each spelling alone and whole sets of rules, all variants of one intervention.

    Args:
        intervention (`Intervention`): its facts are the products of 1 to 9.
        sentences (`list[Sentence]`): the audit set.

    Raises:
        RecipeError: if the intervention has other facts.
    """
    facts = intervention.facts
    if facts is None or (facts.operation, facts.operands) != ("*", (1, 9)):
        raise RecipeError(
            f"{intervention.name}: the audit set holds products of 1 to 9, and these are not its facts; "
            "name a FILE to see what it does to a text"
        )

    def variant(**rules: Any) -> list[list[Site]]:
        changed = replace(intervention, rules=replace(intervention.rules, **rules), tokens=())
        return [find(sentence.text, changed) for sentence in sentences]

    def alone(**rules: Any) -> list[list[Site]]:
        return variant(**{"mode": "weak", "operators": [], "bare_x": True, "words": False, "chinese": False} | rules)

    x, spaced_x = alone(operators=["x"]), alone(operators=["x"], bare_x=False)
    signs = [(f"{sign} alone", (sign,), alone(operators=[sign])) for sign in OPERATORS["*"] if sign != "x"]
    name, rules = intervention.name, intervention.rules
    own = [*rules.operators, *(["bare x"] if "x" in rules.operators else [])]
    own += [*(["words"] if rules.words else []), *(["chinese"] if rules.chinese else [])]
    everything = {"mode": "weak", "operators": list(OPERATORS["*"]), "bare_x": True, "words": True, "chinese": True}
    options = [
        *signs,
        ("x alone", ("x", "bare x"), x),
        ("x alone, bare_x off", ("x",), spaced_x),
        ("bare x (the difference)", ("bare x",), _difference(x, spaced_x)),
        ("words alone", ("words",), alone(words=True)),
        ("chinese alone", ("chinese",), alone(chinese=True)),
        (name, own, variant()),
        (f"{name}, bare_x off", own, variant(bare_x=False)),
        (f"{name}, strict", own, variant(mode="strict")),
        ("everything on", FORMS, variant(**everything)),
        ("everything on, strict", FORMS, variant(**everything | {"mode": "strict"})),
    ]
    return [score(option, forms, sentences, sites) for option, forms, sites in options]


def score(option: str, forms: Iterable[str], sentences: list[Sentence], sites: list[list[Site]]) -> Score:
    """Compare sites with the products that the sentences state.

    Args:
        option (`str`): a name for the table.
        forms (`Iterable[str]`): the spellings that the option is meant to read, for the recall.
        sentences (`list[Sentence]`): the labelled sentences.
        sites (`list[list[Site]]`): what `find` lists for each of them.
    """
    num_rewritten = num_right = num_products = num_found = 0
    mistakes = []
    for sentence, found in zip(sentences, sites, strict=True):
        rewritten = [site for site in found if site.verdict == "rewritten"]
        for site in rewritten:
            num_rewritten += 1
            if any(_covers(site, product) for product in sentence.products):
                num_right += 1
            else:
                mistakes.append(Mistake("false alarm", sentence.text, site.start, site.end, site.reason))
        for product in sentence.products:
            if product.form not in forms:
                continue
            num_products += 1
            if any(_covers(site, product) for site in rewritten):
                num_found += 1
            else:
                reasons = [site.reason for site in found if site.start < product.end and product.start < site.end]
                reason = reasons[0] if reasons else "not seen"
                mistakes.append(Mistake("miss", sentence.text, product.start, product.end, reason))
    return Score(option, num_rewritten, num_right, num_products, num_found, tuple(mistakes))


def _covers(site: Site, product: Product) -> bool:
    return site.start <= product.start and product.end <= site.end


def _difference(sites: list[list[Site]], less: list[list[Site]]) -> list[list[Site]]:
    """Return the sites without those that are rewritten in `less` too."""
    taken = [{site.start for site in found if site.verdict == "rewritten"} for found in less]
    return [[site for site in found if site.start not in starts] for found, starts in zip(sites, taken, strict=True)]
