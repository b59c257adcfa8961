"""What a specification curve holds: the contrast under each variation, in order, and the count of agreements.

Every variation is judged by the declaration of the headline: the same endpoint, level, smallest effect and rule, as if
it were the only comparison. Nothing is corrected for the number of variations, so no outcome but the headline's is a
test; the curve says how far the headline depends on settings that could have been chosen otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from domain_tokens.analysis.assay import check_assay
from domain_tokens.analysis.family import declared_family
from domain_tokens.analysis.measures.accuracy import result_rows
from domain_tokens.analysis.measures.answers.facts_stated import FactsPerAnswer
from domain_tokens.analysis.preregistration import Preregistration
from domain_tokens.analysis.results_model import Accuracy, Count, Outcome, Record, ResultRow, primary_row
from domain_tokens.analysis.verdict import Evidence, decide
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.results import Condition, Pair

EQUAL_STEPS: Final = "steps"


class RowsRead(Record):
    """What a stage of fine-tuning read; the same in every condition and, but for what its gate removes, every run."""

    rows: Count
    """Different rows."""
    steps: Count
    """Optimizer steps."""
    examples: Count
    """Rows read, each as often as it was trained on."""


class RowsAxis(Record):
    """The setting that is a number of rows, and what is equal at every size."""

    setting: str
    stage: str
    """Of fine-tuning."""
    equal: str
    """`steps` or `epochs`."""


class Specification(Record):
    """The contrast under one variation."""

    name: str
    words: str
    """What differs from the headline."""
    settings: Mapping[str, str]
    """The value of every setting that some variation changes, this one's and the headline's alike."""
    reference: str
    other: str
    """The conditions; the difference is other less reference."""
    outcome: Outcome
    """By the headline's rule, as if this were the only comparison."""
    row: ResultRow
    """The primary endpoint."""
    values: Mapping[str, tuple[float, ...]] = {}
    """The same of every condition that was run, by seed; the reference first."""
    floors: Mapping[str, tuple[float, ...]] = {}
    """By condition and seed, what exchanged answers reach, where the questions form problems of several."""
    accuracies: Mapping[str, Accuracy] = {}
    """The same with an interval, of every condition that was run."""
    facts: Mapping[str, FactsPerAnswer] = {}
    """By condition, the facts in the answers from which the endpoint is computed; of those that have written ones."""
    rows_read: RowsRead | None = None
    """`None` if the declaration varies no number of rows."""


class Agreement(Record):
    """How many variations agree with the headline, which is not among them."""

    num_variations: Count
    same_sign: Count
    """A difference of exactly 0 agrees with a headline of exactly 0 alone."""
    same_outcome: Count


class SpecificationCurve(Record):
    """What `robustness.json` holds."""

    headline: str
    verdict: str
    """The headline's verdict as its own report states it, departures from its declaration included."""
    seeds: tuple[int, ...]
    specifications: tuple[Specification, ...]
    """From the lowest difference to the highest, the headline among them."""
    agreement: Agreement
    not_run: tuple[str, ...]
    """The declared variations without results."""
    rows_axis: RowsAxis | None = None
    """`None` if the declaration varies no number of rows."""

    @property
    def main(self) -> Specification:
        """The headline."""
        return next(one for one in self.specifications if one.name == self.headline)


def only_seeds(condition: Condition, seeds: Sequence[int]) -> Condition:
    """Return a condition with some of its seeds.

    Raises:
        RecipeError: if it lacks one.
    """
    missing = [seed for seed in seeds if seed not in condition.seeds]
    if missing:
        raise RecipeError(f"{condition.folder}: has no results of seed {missing[0]}; run it with the same seeds first")
    return replace(condition, seeds={seed: condition.seeds[seed] for seed in seeds})


def judge(pair: Pair, declared: Preregistration) -> tuple[ResultRow, Outcome]:
    """Return the primary endpoint of a pair and its outcome by a declaration, as if it were the only comparison.

    Args:
        pair (`Pair`): the conditions.
        declared (`Preregistration`): of the headline. It declares no contrasts, so that any pair is a main comparison.
    """
    family = declared_family(pair.sides, declared)
    primary = primary_row(result_rows(pair, declared, family))
    assay = check_assay(pair, primary, declared, family, pair.sides)
    return primary, decide(primary, Evidence(pair, declared, family, assay))[0]


def assemble_curve(
    specifications: Sequence[Specification], headline: str, verdict: str, not_run: Sequence[str]
) -> SpecificationCurve:
    """Return the curve: sorted by difference, with the count of agreements.

    Args:
        specifications: all that were run, the headline among them.
        headline, verdict (`str`): the headline's name, and its verdict in words.
        not_run: the names of those that were declared and not run.
    """
    main = next(one for one in specifications if one.name == headline)
    others = [one for one in specifications if one is not main]
    agreement = Agreement(
        num_variations=len(others),
        same_sign=sum(_sign(one) == _sign(main) for one in others),
        same_outcome=sum(one.outcome == main.outcome for one in others),
    )
    return SpecificationCurve(
        headline=headline,
        verdict=verdict,
        seeds=tuple(seed.seed for seed in main.row.by_seed),
        specifications=tuple(sorted(specifications, key=lambda one: (one.row.delta, one.name))),
        agreement=agreement,
        not_run=tuple(not_run),
    )


def _sign(one: Specification) -> int:
    return (one.row.delta > 0) - (one.row.delta < 0)
