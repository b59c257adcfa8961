"""The one family of tests from which every sentence of a verdict comes: in pairs, overviews and contrasts alike.

1. The main comparisons at the primary endpoint, with Holm's correction for their number. A declaration with one main
   comparison tests it at the full alpha.
2. Only if all of them show a difference: the other endpoints of the main comparisons and the other contrasts at the
   primary endpoint, with Holm's correction for the number of all these.

The chance of any false rejection is at most alpha (`paired.gatekeeping`). The numbers of tests are those of the
declaration, of the conditions that were frozen with it: a comparison of conditions that were never planned counts
nowhere, and one that was planned and not run counts as not significant, so leaving a condition out weakens no
correction. Where nothing was frozen, every declared comparison counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain_tokens.analysis.measures.outcomes import outcomes_at, p_value
from domain_tokens.analysis.preregistration import Preregistration
from domain_tokens.analysis.results_model import DECLARED, PRIMARY, Endpoint, Role
from domain_tokens.analysis.statistics.paired import gatekeeping
from domain_tokens.recipe.prereg import counted_main
from domain_tokens.runs.results import Condition, Pair

Comparison = frozenset[str]
"""The names of two conditions; which of them is the reference does not matter to a two-sided test."""


@dataclass(frozen=True)
class Family:
    """The declared tests and their corrected p-values.

    Attributes:
        alpha: the rate of false positives over the family.
        main: the declared main comparisons that count; where none are declared, each condition against the reference.
        contrasts: the other declared contrasts that count, without the positive control.
        num_gated: how many tests the second step has.
        p_values: the corrected p-value of each test that could be made. H0 is rejected if it is below alpha.
    """

    alpha: float
    main: tuple[Comparison, ...]
    contrasts: tuple[Comparison, ...]
    num_gated: int
    p_values: Mapping[tuple[Comparison, Endpoint], float]

    @property
    def main_alpha(self) -> float:
        """The level at which the first step begins, for which power is computed."""
        return self.alpha / len(self.main)

    @property
    def gated_alpha(self) -> float:
        """The level at which the second step begins."""
        return self.alpha / max(self.num_gated, 1)

    def p_value(self, pair: Pair, endpoint: Endpoint) -> float | None:
        """Return the corrected p-value of a test; `None` if it is not in the family or cannot be made."""
        return self.p_values.get((names(pair), endpoint))

    def level(self, pair: Pair, role: Role) -> float:
        """Return the level at which a row is tested first; for a row outside the family, alpha without correction."""
        if role == PRIMARY and self.is_declared(pair):
            return self.main_alpha if self.is_main(pair) else self.gated_alpha
        return self.gated_alpha if role == DECLARED and self.is_main(pair) else self.alpha

    def is_main(self, pair: Pair) -> bool:
        """Return whether a pair is a main comparison."""
        return names(pair) in self.main

    def is_declared(self, pair: Pair) -> bool:
        """Return whether a pair is in the family."""
        return names(pair) in (*self.main, *self.contrasts)


def names(pair: Pair) -> Comparison:
    """Return the names of a pair's conditions."""
    return frozenset((pair.reference.name, pair.other.name))


def declared_pairs(declared: Preregistration) -> dict[str, tuple[str, str]]:
    """Return the declared contrasts by name: the condition with a factor, and the one without it."""
    return {} if declared.record is None else dict(declared.record.declared.contrasts)


def declared_family(conditions: Sequence[Condition], declared: Preregistration) -> Family:
    """Return the family of a report, tested on the conditions that it has.

    Args:
        conditions: the reference and then the others.
        declared: what was declared. Without main comparisons, the first step is every condition against the reference.
    """
    by_name = {condition.name: condition for condition in conditions}
    pairs = declared_pairs(declared)
    record = None if declared.record is None else declared.record.declared
    planned = declared.planned
    main = [frozenset(pairs[name]) for name in counted_main(record.main, pairs, planned)] if record else []
    if not main:
        main = [frozenset((conditions[0].name, other.name)) for other in conditions[1:]]
    control = record.positive_control if record else None
    contrasts = [
        frozenset(pair)
        for name, pair in pairs.items()
        if name != control and frozenset(pair) not in main and (planned is None or set(pair) <= planned)
    ]
    contrasts = list(dict.fromkeys(contrasts))
    primary, *others = declared.endpoints

    def tested(comparison: Comparison, endpoint: Endpoint) -> float | None:
        if not all(name in by_name for name in comparison):
            return None
        pair = Pair(*(condition for condition in conditions if condition.name in comparison))
        return p_value(outcomes_at(pair, endpoint))

    first = [(comparison, primary) for comparison in main]
    second = [(comparison, endpoint) for comparison in main for endpoint in others]
    second += [(comparison, primary) for comparison in contrasts]
    num_gated = len(main) * max(declared.num_endpoints - 1, len(others)) + len(contrasts)
    found = [[tested(*test) for test in step] for step in (first, second)]
    corrected = gatekeeping(found[0], found[1], len(first), num_gated)
    p_values = {
        test: value
        for step, values, known in zip((first, second), corrected, found, strict=True)
        for test, value, p in zip(step, values, known, strict=True)
        if p is not None
    }
    return Family(declared.alpha, tuple(main), tuple(contrasts), num_gated, p_values)
