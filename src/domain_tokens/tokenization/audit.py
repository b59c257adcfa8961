"""How well the rules keep to the truth: precision and recall on labelled sentences, option by option.

`audit_set.jsonl` holds sentences in which somebody has marked every product of two whole numbers from 1 to 9, and hard
negatives: sentences without one that look as if they had. The marks say what a sentence means, not what the rules do,
so the table shows both what the rules rewrite wrongly and what they miss. The page of `audit_page.py` shows what the
rules do to a text of one's own.
"""

import argparse
import importlib.resources
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from scipy.stats import binomtest

from domain_tokens.recipe import RecipeError, user_errors
from domain_tokens.tokenization.audit_page import read_file, to_html
from domain_tokens.tokenization.intervention import (
    OPERATORS,
    Intervention,
    default_intervention,
    load_intervention,
)
from domain_tokens.tokenization.sites import Site, find

FORMS = ("*", "×", "x", "bare x", "·", "\\times", "\\cdot", "words", "chinese")
_NOTE = """\
A site is right if it covers a product that the set marks. Recall counts the products in the spellings that an option
is meant to read. The interval is Wilson's, at 95%, for sentences like these: more than half of them were written to
mislead the rules, so precision on ordinary text is higher."""


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
        return self.num_right / self.num_rewritten if self.num_rewritten else None

    @property
    def recall(self) -> float | None:
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
    content = importlib.resources.files("domain_tokens.tokenization").joinpath("audit_set.jsonl").read_text("utf-8")
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
    if facts is None or (facts.operation, list(facts.operands)) != ("*", [1, 9]):
        raise RecipeError(
            f"{intervention.name}: the audit set holds products of 1 to 9, and these are not its facts; "
            "name a FILE to see what it does to a text"
        )

    def variant(**rules: Any) -> list[list[Site]]:
        changed = replace(intervention, rules=replace(intervention.rules, **rules), tokens=[])
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


def _print_table(scores: list[Score], sentences: list[Sentence], console: Console) -> None:
    kinds = Counter(sentence.kind for sentence in sentences)
    table = Table(
        title=f"{len(sentences)} sentences: {kinds['product']} with products, {kinds['hard_negative']} hard negatives"
    )
    table.add_column("option")
    for header in ("rewritten", "right", "precision", "95% interval", "products", "found", "recall"):
        table.add_column(header, justify="right")
    for one in scores:
        interval = "–" if one.interval is None else f"{100 * one.interval[0]:.1f} to {100 * one.interval[1]:.1f}"
        precise = (str(one.num_rewritten), str(one.num_right), _percent(one.precision), interval)
        complete = (str(one.num_products), str(one.num_found), _percent(one.recall))
        table.add_row(Text(one.option), *precise, *complete)
    console.print(table)
    console.print(_NOTE, markup=False)


def _print_mistakes(scores: list[Score], console: Console) -> None:
    """Print every false alarm and every miss once, with the options that make it."""
    made_by: dict[Mistake, list[str]] = {}
    for one in scores:
        for mistake in one.mistakes:
            made_by.setdefault(mistake, []).append(one.option)
    for mistake in sorted(made_by, key=lambda mistake: mistake.kind):
        site = mistake.sentence[mistake.start : mistake.end]
        line = f"{mistake.kind}: {site} in {mistake.sentence!r} ({mistake.reason}) [{'; '.join(made_by[mistake])}]"
        console.print(line, markup=False)


def _percent(fraction: float | None) -> str:
    return "–" if fraction is None else f"{100 * fraction:.1f}%"


def main(description: str | None) -> None:
    """Read the command line of `scripts/audit.py`; print the audit set's table, or write the page for files.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="text, .jsonl or .parquet; none: a table")
    parser.add_argument("--intervention", type=Path, metavar="YAML", help="whose rules (default: those of mul_tokens)")
    parser.add_argument("--output", type=Path, default=Path("outputs/audit.html"), help="the page (%(default)s)")
    parser.add_argument(
        "--max-lines", type=int, default=1000, metavar="N", help="lines shown of each file (default: %(default)s)"
    )
    parser.add_argument("--list", action="store_true", help="list the false alarms and the misses below the table")
    arguments = parser.parse_args()
    if arguments.max_lines < 0:
        parser.error(f"--max-lines: expected a whole number from 0, got {arguments.max_lines}")
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, 120)  # a table is not cut in a file or a narrow terminal
    with user_errors():
        path = arguments.intervention
        intervention = default_intervention() if path is None else load_intervention(path)
        if arguments.files:
            _write_page(arguments.files, intervention, arguments.max_lines, arguments.output, console)
            return
        sentences = load_audit_set()
        scores = score_options(intervention, sentences)
        _print_table(scores, sentences, console)
        if arguments.list:
            _print_mistakes(scores, console)


def _write_page(files: list[Path], intervention: Intervention, max_lines: int, output: Path, console: Console) -> None:
    if output.resolve() in [file.resolve() for file in files]:
        raise RecipeError(f"--output: {output} is one of the files to read; name another")
    readings = [read_file(file, intervention, max_lines) for file in files]
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(to_html(readings, intervention), encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"--output: {output}: {error.strerror}; name a file that can be written") from error
    for one in readings:
        counts = f"{one.count('rewritten'):,} sites rewritten, {one.count('left'):,} left"
        console.print(f"{one.name}: {one.num_texts:,} texts, {counts}", markup=False)
    console.print(str(output), markup=False)
