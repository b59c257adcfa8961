"""Bits per source byte as an interval: from the model's bits alone to those and the side record's bits.

The model's bits leave out how the source spelled what the tokenizer rewrote, so they are too few; with the side record
they are too many, because its code knows less than the model does. The loss lies between the two. Where nothing is
rewritten both are the same number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from domain_tokens.analysis.measures.curves import curve_rows
from domain_tokens.analysis.results_model import LossRow, LossText, RawBits
from domain_tokens.analysis.statistics.paired import Interval, ratio_intervals
from domain_tokens.runs.records import BitsSummary, BitsTotals, DocumentBits
from domain_tokens.runs.results import Condition, Pair

_TEXTS: tuple[tuple[LossText, Callable[[BitsTotals], BitsSummary], Callable[[DocumentBits], bool]], ...] = (
    ("all", lambda bits: bits.all, lambda document: True),
    ("with sites", lambda bits: bits.with_sites, lambda document: document.sites > 0),
    ("without sites", lambda bits: bits.without_sites, lambda document: document.sites == 0),
)


@dataclass(frozen=True)
class _Sums:
    """Bits and bytes of each document, summed over seeds: of the model alone, and with the side record."""

    model: NDArray[np.float64]
    total: NDArray[np.float64]


def loss_rows(pair: Pair) -> tuple[LossRow, ...]:
    """Return the losses at each stage's last evaluated checkpoint, of all documents, those with sites and the others.

    A loss is a mean over seeds. The intervals come from a bootstrap over documents, the same ones in both conditions;
    they do not speak of other runs.
    """
    last = {row.stage: row.step for row in curve_rows(pair)}
    return tuple(row for stage, step in last.items() for row in _rows_at(pair, stage, step))


def _rows_at(pair: Pair, stage: str, step: int) -> list[LossRow]:
    reference, other = (_bits(condition, stage, step) for condition in pair.sides)
    first, second = (_documents(condition, stage, step) for condition in pair.sides)
    shared = [id for id in first if id in second]
    rows = []
    for text, summary_of, belongs in _TEXTS:
        summaries = [[summary_of(bits) for bits in side] for side in (reference, other)]
        losses = [_loss(side) for side in summaries]
        if losses[0] is None or losses[1] is None:
            continue
        (low, high), (other_low, other_high) = losses[0], losses[1]
        rows.append(
            LossRow(
                stage=stage,
                step=step,
                text=text,
                reference=(low, high),
                other=(other_low, other_high),
                delta=(other_low - high, other_high - low),
                interval=_interval(*(_sums(side, shared, belongs) for side in (first, second))),
                reference_bits=_raw(summaries[0]),
                other_bits=_raw(summaries[1]),
            )
        )
    return rows


def _bits(condition: Condition, stage: str, step: int) -> list[BitsTotals]:
    return [
        checkpoint.result.bits
        for run in condition.seeds.values()
        for checkpoint in run.checkpoints
        if (checkpoint.result.stage, checkpoint.result.step) == (stage, step)
    ]


def _documents(condition: Condition, stage: str, step: int) -> dict[str, list[DocumentBits]]:
    found: dict[str, list[DocumentBits]] = {}
    for run in condition.seeds.values():
        for checkpoint in run.checkpoints:
            if (checkpoint.result.stage, checkpoint.result.step) == (stage, step):
                for document in checkpoint.documents:
                    found.setdefault(document.id, []).append(document)
    return found


def _loss(summaries: list[BitsSummary]) -> Interval | None:
    """Return the mean over seeds of the bits per byte, of the model alone and with the side record."""
    if not summaries or any(one.bytes == 0 for one in summaries):
        return None
    model = float(np.mean([one.model_bits / one.bytes for one in summaries]))
    return model, float(np.mean([(one.model_bits + one.side_bits) / one.bytes for one in summaries]))


def _raw(summaries: list[BitsSummary]) -> RawBits:
    return RawBits(**{name: fmean(getattr(one, name) for one in summaries) for name in RawBits.model_fields})


def _sums(documents: dict[str, list[DocumentBits]], ids: list[str], belongs: Callable[[DocumentBits], bool]) -> _Sums:
    """Return what counts of each document, in the order of `ids`; nothing of one that does not belong to the text."""
    kept = [[one for one in documents[id] if belongs(one)] for id in ids]
    num_bytes = [sum(one.bytes for one in group) for group in kept]
    model = [sum(one.model_bits for one in group) for group in kept]
    total = [sum(one.model_bits + one.side_bits for one in group) for group in kept]
    return _Sums(np.array([model, num_bytes], dtype=float).T, np.array([total, num_bytes], dtype=float).T)


def _interval(reference: _Sums, other: _Sums) -> Interval | None:
    """Return from the lower end of the interval of the least difference to the upper end of that of the largest."""
    if len(reference.model) < 2:
        return None
    least, most = ratio_intervals([(reference.total, other.model), (reference.model, other.total)])
    return None if least is None or most is None else (least[0], most[1])
