"""Several conditions against one reference, and the declared contrasts between control conditions."""

from collections.abc import Sequence

from domain_tokens.analysis.family import Family, declared_family, declared_pairs
from domain_tokens.analysis.matching import outside_tokenizer
from domain_tokens.analysis.measures.accuracy import result_row
from domain_tokens.analysis.preregistration import Preregistration, read_preregistration
from domain_tokens.analysis.results_model import (
    EXPLORATORY,
    PRIMARY,
    FactorRow,
    Overview,
    OverviewPair,
    OverviewRow,
    ResultRow,
    Results,
)
from domain_tokens.analysis.statistics.paired import holm
from domain_tokens.runs.results import Condition, Pair


def assemble_overview(found: dict[str, Results], conditions: Sequence[Condition]) -> Overview:
    """Return the declared endpoints of every condition against the reference, and the factors that controls separate.

    `p_family` is the corrected p-value of the declared family, from which the verdicts come. `p_holm` of a row
    corrects its primary endpoint's p-value for the number of conditions, that of a factor for the number of factors;
    both are exploratory. A factor is a declared contrast of two conditions at the primary endpoint: one of them has
    the factor and the other has not. It is left out if one of the two was not run.

    Args:
        found (`dict[str, Results]`): the results of each pair by the name of its folder.
        conditions (`Sequence[Condition]`): the reference and then the others.
    """
    first = next(iter(found.values()))
    declared = read_preregistration(Pair(*conditions[:2]))
    return Overview(
        experiment=first.experiment,
        label=first.label,
        reference=first.reference,
        about={one.name: one.about for one in conditions if one.about is not None},
        pairs=tuple(
            OverviewPair(
                condition=results.other,
                folder=folder,
                verdict=results.verdict.sentence,
                departures=results.preregistration.departures,
                not_tokenizer_only=tuple(dict.fromkeys(row.reason for row in results.not_tokenizer_only)),
            )
            for folder, results in found.items()
        ),
        primary_endpoint=first.primary_endpoint,
        rows=_rows(found),
        transplant=first.transplant,
        factors=_factors(first, conditions, declared, declared_family(conditions, declared)),
    )


def _rows(found: dict[str, Results]) -> tuple[OverviewRow, ...]:
    p_holm = iter(holm([results.primary.p_value for results in found.values()]))
    return tuple(
        OverviewRow(
            condition=results.other,
            folder=folder,
            outcome=results.verdict.outcome,
            model=row.model,
            task=row.task,
            metric=row.metric,
            group=row.group,
            role=row.role,
            num_items=row.num_items,
            source=row.source,
            control_moved=None if results.own_control is None else results.own_control.moved,
            margin=_margin(results, row),
            unit=row.unit,
            lower_is_better=row.lower_is_better,
            reference=row.reference,
            other=row.other,
            delta=row.delta,
            interval=row.interval,
            p_value=row.p_value,
            p_holm=next(p_holm) if row.role == PRIMARY else None,
            p_family=row.p_family,
            smallest_detectable=row.smallest_detectable,
            with_tokenizer=row.with_tokenizer,
        )
        for folder, results in found.items()
        for row in results.rows
        if row.role != EXPLORATORY
    )


def _margin(results: Results, row: ResultRow) -> float | None:
    if row.equivalence is None or len(results.seeds) == 1 or not results.preregistration.is_declared:
        return None
    return row.equivalence.margin


def _factors(
    first: Results, conditions: Sequence[Condition], declared: Preregistration, family: Family
) -> tuple[FactorRow, ...]:
    """Return the declared contrasts between conditions that were run, each tested as a pair of its own."""
    by_name = {condition.name: condition for condition in conditions}
    tested: list[tuple[str, Pair, ResultRow, bool]] = []
    for factor, (with_factor, without) in declared_pairs(declared).items():
        if with_factor in by_name and without in by_name:
            pair = Pair(by_name[without], by_name[with_factor])
            departs = bool(read_preregistration(pair).departures)
            tested.append((factor, pair, result_row(pair, first.primary_endpoint, declared, family), departs))
    corrected = holm([row.p_value for _, _, row, _ in tested])
    return tuple(
        FactorRow(
            factor=f"{factor} (not tokenizer only)" if outside_tokenizer(pair) else factor,
            with_factor=pair.other.name,
            without=pair.reference.name,
            exploratory=exploratory,
            unit=row.unit,
            lower_is_better=row.lower_is_better,
            reference=row.reference,
            other=row.other,
            delta=row.delta,
            interval=row.interval,
            p_value=row.p_value,
            p_holm=p_holm,
            p_family=row.p_family,
            smallest_detectable=row.smallest_detectable,
            with_tokenizer=row.with_tokenizer,
        )
        for (factor, pair, row, exploratory), p_holm in zip(tested, corrected, strict=True)
    )
