"""Passages that were learned one after another: what is left of the earlier ones."""

from collections.abc import Sequence

from domain_tokens.seal.analysis.averages import average
from domain_tokens.seal.analysis.edits import (
    ByPassage,
    Edit,
    Measure,
    by_passage,
    earlier_rise,
    edits_of,
    scored_drop,
    validation_rise,
)
from domain_tokens.seal.analysis.results import ChainResult
from domain_tokens.seal.records import ARMS, CHAIN, AdaptRow


def chain_results(runs: Sequence[Sequence[AdaptRow]]) -> list[ChainResult]:
    """Return what learning passages in a row did to earlier ones, by arm: over all places, then place by place.

    Passages of one chain are not independent, so the unit is the chain, and its places are averaged first; a single
    chain has no interval.

    Args:
        runs (`Sequence[Sequence[AdaptRow]]`): the rows of each run of a condition.
    """
    found = []
    for arm in ARMS:
        edits = [[edit for edit in edits_of(rows, CHAIN) if edit.first.arm == arm] for rows in runs]
        places = sorted({edit.first.place or 0 for own in edits for edit in own} - {0})
        found += [
            one
            for place in (None, *(places if len(places) > 1 else ()))
            if (one := _place(edits, arm, place)) is not None
        ]
    return found


def _place(edits: Sequence[Sequence[Edit]], arm: str, place: int | None) -> ChainResult | None:
    later = [[edit for edit in own if _has_earlier(edit) and place in (None, edit.first.place)] for own in edits]
    forgetting = average([_by_chain(own, earlier_rise) for own in later])
    if forgetting is None:
        return None
    return ChainResult(
        arm=arm,
        place=place,
        chains=forgetting.passages,
        forgetting=forgetting,
        gain=average([_by_chain(own, scored_drop) for own in later]),
        held_out=average([_by_chain(own, validation_rise) for own in later]) if _has_held_out(later) else None,
    )


def _has_earlier(edit: Edit) -> bool:
    return all(row.earlier is not None for row in edit.rows)


def _has_held_out(edits: Sequence[Sequence[Edit]]) -> bool:
    return all(row.validation is not None for own in edits for edit in own for row in edit.rows)


def _by_chain(edits: Sequence[Edit], measure: Measure) -> ByPassage:
    return by_passage((str(edit.first.chain or 0), edit.mean(measure)) for edit in edits)
