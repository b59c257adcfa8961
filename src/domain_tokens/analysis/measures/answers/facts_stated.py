"""How many facts an answer states: written as tokens, in any form, and those that the question needs.

A condition without tokens can state a fact in digits alone, so only counts in any form can be of both conditions. The
count of all facts is no measure of computing: a token is true by construction, and a product in digits counts only if
it is right. That of the facts which the solution needs is one: a true product of other numbers does not count.
"""

from collections.abc import Callable, Sequence
from statistics import fmean

from domain_tokens.analysis.measures.answers.equation_use import needed_facts
from domain_tokens.analysis.results_model import Endpoint, Record
from domain_tokens.runs.records import EquationRecord, GenerativeItem
from domain_tokens.runs.results import ALL_ITEMS, Condition


class FactsPerAnswer(Record):
    """Facts per answer of one condition, by seed."""

    as_tokens: tuple[float, ...]
    """Fact tokens, needed by the question or not, repeated or not."""
    in_any_form: tuple[float, ...]
    """True equations of the table with their result, in digits or as tokens; those copied from the question count."""
    needed_stated: tuple[float, ...] | None
    """Products of the worked solutions that the answers state, in digits or as tokens, with their right result."""
    needed: tuple[float, ...] | None
    """Products of the table in the worked solutions; `None` if the data has no solutions."""


def facts_at(condition: Condition, endpoint: Endpoint) -> FactsPerAnswer | None:
    """Return the facts in the answers to an endpoint's questions.

    `None` if there are no written answers, if the files do not say what they state, or if the endpoint is a mean over
    several checkpoints.
    """
    found = []
    for run in condition.seeds.values():
        evaluation = run.evaluations.get((endpoint.model, endpoint.task))
        if evaluation is None or endpoint.last_checkpoints > 1:
            return None
        every = [item for item in evaluation.items.values() if endpoint.group in (ALL_ITEMS, item.group)]
        items = [item for item in every if isinstance(item, GenerativeItem)]
        if len(items) < len(every) or any(item.equations is None or item.num_facts is None for item in items):
            return None
        found.append(items)
    has_solutions = all(item.facts_needed is not None for items in found for item in items)
    return FactsPerAnswer(
        as_tokens=_means(found, lambda item: item.num_facts or 0),
        in_any_form=_means(found, lambda item: _stated(item.equations or ())),
        needed_stated=_means(found, lambda item: _of_the_solution(item)[0]) if has_solutions else None,
        needed=_means(found, lambda item: _of_the_solution(item)[1]) if has_solutions else None,
    )


def _means(seeds: Sequence[Sequence[GenerativeItem]], count: Callable[[GenerativeItem], int]) -> tuple[float, ...]:
    return tuple(fmean(map(count, items)) for items in seeds)


def _of_the_solution(item: GenerativeItem) -> tuple[int, int]:
    return needed_facts(item.equations or (), item.facts_needed or ())


def _stated(equations: Sequence[EquationRecord]) -> int:
    return sum(one.in_table and one.right and one.form != "named" for one in equations)
