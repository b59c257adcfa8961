"""The 2 x 2 of a transplant: where a difference between two conditions enters, before the transplanted model or after.

A crossed cell has one condition's pretraining, which was not run again, and the other's later stages, so steps and
seeds are equal over the four cells, and the examples after the transplant. What is not equal is said beside the table
(`analysis/report/tables/transplant.py`): above all, the text that was read in pretraining, and that a crossed cell
meets tokens that no text of its pretraining had used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain_tokens.analysis.measures.outcomes import PairedOutcomes, difference, outcomes_at
from domain_tokens.analysis.results_model import (
    EXPLORATORY,
    OTHER_BOUND,
    PRIMARY,
    ResultRow,
    Transplant,
    TransplantCell,
    TransplantEffect,
    TransplantRow,
)
from domain_tokens.analysis.statistics.crossed import crossed_factorial
from domain_tokens.runs.layout import MODELS
from domain_tokens.runs.ledger import differences, settings_that_differ
from domain_tokens.runs.records import Manifest
from domain_tokens.runs.results import Condition, Pair, SeedRun

Cells = Mapping[tuple[int, int], Condition]
"""By what a run began as and what it ended as: 0 for the reference, 1 for the other condition."""


@dataclass(frozen=True)
class _Found:
    """The four cells, and the model that the crossed ones start with."""

    cells: Cells
    model: str


def transplant(conditions: Sequence[Condition], rows: Sequence[ResultRow]) -> Transplant | None:
    """Return the 2 x 2 at every declared endpoint, if a report has the four cells; `None` if it has not.

    Of an endpoint in bits, the bound that was not declared follows the declared one.

    Args:
        conditions: all conditions of the report, the reference first.
        rows: the rows of one of its pairs, which has the same endpoints as the others.
    """
    found = _find(conditions)
    if found is None:
        return None
    reference, other = found.cells[0, 0], found.cells[1, 1]
    declared = [row for row in rows if row.role != EXPLORATORY and _is_after(row.model, found.model)]
    declared.sort(key=lambda row: row.role != PRIMARY)
    return Transplant(
        reference=reference.name,
        other=other.name,
        model=found.model,
        num_seeds=len(reference.seeds),
        rows=tuple(_row(found.cells, row) for row in _with_both_bounds(declared, reference.first_run)),
    )


def _with_both_bounds(declared: Sequence[ResultRow], run: SeedRun) -> list[ResultRow]:
    """Return the rows and, after each in bits, its other bound as an exploratory one unless it is among them."""
    endpoints = [row.endpoint for row in declared]
    rows = []
    for row in declared:
        rows.append(row)
        bound = row.model_copy(update={"metric": OTHER_BOUND.get(row.metric, ""), "role": EXPLORATORY})
        if bound.metric in run.evaluations[row.model, row.task].outcome_keys and bound.endpoint not in endpoints:
            rows.append(bound)
    return rows


def _find(conditions: Sequence[Condition]) -> _Found | None:
    """Return the cells: two conditions that train all of their stages, and two that change from one to the other."""
    whole = [one for one in conditions if one.start is None]
    crossed = [one for one in conditions if one.start is not None]
    for first in whole:
        for second in whole[whole.index(first) + 1 :]:
            there = [one for one in crossed if _is_crossed(one, first, second)]
            back = [one for one in crossed if _is_crossed(one, second, first)]
            for one, two in ((one, two) for one in there for two in back if _model(one) == _model(two)):
                cells = {(0, 0): first, (0, 1): one, (1, 0): two, (1, 1): second}
                return _Found(cells, _model(one))
    return None


def _is_crossed(cell: Condition, begun: Condition, ended: Condition) -> bool:
    """Return whether a condition begins with one condition's model and goes on as the other.

    It goes on as a condition if its later stages have that condition's tokenizer, and differ in nothing else that
    must be equal or that a recipe declares: conditions such as `mul_tokens` and `mul_tokens_equal_flops` have one
    tokenizer.
    """
    if cell.start is None or cell.start.condition != begun.name:
        return False
    mine, theirs = cell.first_run, ended.first_run
    later = [name for name in theirs.stages if _is_after(name, cell.start.model)]
    return _tokenizer(mine) == _tokenizer(theirs) and all(
        name in mine.stages and _differ_in_start_alone(mine.stages[name].manifest, theirs.stages[name].manifest)
        for name in later
    )


def _differ_in_start_alone(mine: Manifest, theirs: Manifest) -> bool:
    settings = {name for name, _ in settings_that_differ(mine.matched, theirs.matched)}
    return settings <= {"start_from"} and not differences(mine.matched, theirs.matched)


def _model(cell: Condition) -> str:
    return "" if cell.start is None else cell.start.model


def _tokenizer(run: SeedRun) -> object:
    """Return the hash of the tokenizer with which the last stage was trained."""
    return list(run.stages.values())[-1].manifest.inputs.get("tokenizer_sha256")


def _is_after(model: str, transplanted: str) -> bool:
    """Return whether a model is trained after the transplanted one: those before it are the same in both cells."""
    kinds = [name.partition("_")[0] for name in MODELS]
    places = [kinds.index(name.partition("_")[0]) for name in (model, transplanted)]
    return places[0] > places[1] or (places[0] == places[1] and model != transplanted)


def _row(cells: Cells, row: ResultRow) -> TransplantRow:
    reference = cells[0, 0]
    found: dict[tuple[int, int], PairedOutcomes] = {
        where: outcomes_at(Pair(reference, cell), row.endpoint) for where, cell in cells.items() if where != (0, 0)
    }
    values = {(0, 0): found[1, 1].reference} | {where: one.other for where, one in found.items()}
    y = np.array([[values[i, j] for j in (0, 1)] for i in (0, 1)], dtype=float)
    names = reference.name, cells[1, 1].name
    return TransplantRow(
        model=row.model,
        task=row.task,
        metric=row.metric,
        group=row.group,
        role=row.role,
        num_items=row.num_items,
        unit=row.unit,
        lower_is_better=row.lower_is_better,
        source=row.source,
        cells=tuple(
            TransplantCell(
                condition=cells[i, j].name,
                begun=names[i],
                ended=names[j],
                value=float(y[i, j].mean()),
                by_seed=tuple(map(float, y[i, j].mean(axis=-1))),
            )
            for i in (0, 1)
            for j in (0, 1)
        ),
        effects=_effects(y, found[1, 1]),
    )


def _effects(y: NDArray[np.float64], whole: PairedOutcomes) -> tuple[TransplantEffect, ...]:
    """Return the whole difference and what it consists of.

    There is no interval where there are too few independent items to say anything of others.
    """
    means = y.mean(axis=-1)  # by seed
    by_seed = {
        "whole": means[1, 1] - means[0, 0],
        "before": (means[1] - means[0]).mean(axis=0),
        "after": (means[:, 1] - means[:, 0]).mean(axis=0),
        "interaction": (means[1, 1] - means[1, 0]) - (means[0, 1] - means[0, 0]),
    }
    intervals = {"whole": difference(whole.reference, whole.other, whole.clusters).interval}  # as the pair's own row
    if whole.num_clusters > 1:
        found = crossed_factorial(y, whole.clusters)
        parts = {"before": found.first, "after": found.second, "interaction": found.interaction}
        intervals |= {name: estimate.interval() for name, estimate in parts.items()}
    made = []
    for name, seeds in by_seed.items():
        interval = intervals.get(name)
        if interval is not None and not whole.are_values:  # a t interval of two seeds reaches beyond what can be
            most = 2.0 if name == "interaction" else 1.0
            interval = max(interval[0], -most), min(interval[1], most)
        values = {"effect": name, "value": float(seeds.mean()), "interval": interval, "by_seed": seeds.tolist()}
        made.append(TransplantEffect.model_validate(values))
    return tuple(made)
