"""The 2 x 2 of a transplant: where a difference between two conditions enters, before the transplanted model or after.

Equal compute holds over the four cells by construction: a crossed cell has one condition's pretraining, which was not
run again, and the other's later stages, with the same steps, examples and seeds. What it does confound is said beside
the table: it meets, after the transplant, tokens that no text of its pretraining had used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain_tokens.analysis.measures.outcomes import PairedOutcomes, difference, outcomes_at
from domain_tokens.analysis.results_model import (
    EXPLORATORY,
    PRIMARY,
    ResultRow,
    Transplant,
    TransplantCell,
    TransplantEffect,
    TransplantRow,
)
from domain_tokens.analysis.statistics.crossed import crossed_factorial
from domain_tokens.runs.layout import MODELS
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

    Args:
        conditions: all conditions of the report, the reference first.
        rows: the rows of one of its pairs, which has the same endpoints as the others.
    """
    found = _find(conditions)
    if found is None:
        return None
    reference, other = found.cells[0, 0], found.cells[1, 1]
    declared = [row for row in rows if row.role != EXPLORATORY and _is_after(row.model, found.model)]
    return Transplant(
        reference=reference.name,
        other=other.name,
        model=found.model,
        num_seeds=len(reference.seeds),
        rows=tuple(_row(found.cells, row) for row in sorted(declared, key=lambda row: row.role != PRIMARY)),
    )


def _find(conditions: Sequence[Condition]) -> _Found | None:
    """Return the cells: two conditions that train all of their stages, and two that change from one to the other.

    A run ends as the condition whose tokenizer it has.
    """
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
    """Return whether a condition begins with one condition's model and goes on with the other's tokenizer."""
    tokenizer = _tokenizer(cell.first_run)
    return cell.start is not None and cell.start.condition == begun.name and tokenizer == _tokenizer(ended.first_run)


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
