"""Means over passages with their intervals, paired differences, and the bootstrap over passages.

The unit is the passage. Several runs answer about the same passages, so seeds and passages are crossed as seeds and
questions are elsewhere in the project (`analysis.statistics.crossed`); for one run it is a t interval over passages.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from domain_tokens.analysis.statistics.crossed import crossed_difference
from domain_tokens.analysis.statistics.paired import ALPHA
from domain_tokens.seal.analysis.edits import ByPassage, by_passage
from domain_tokens.seal.analysis.results import Average, Bounded

_RESAMPLES = 2000
_LEAST_USABLE = 0.99


def average(by_seed: Sequence[ByPassage]) -> Average | None:
    """Return the mean over the passages that all runs have; `None` if there is none.

    Args:
        by_seed (`Sequence[ByPassage]`): of each run, a value for each passage.
    """
    passages = [name for name in by_seed[0] if all(name in own for own in by_seed)] if by_seed else []
    if not passages:
        return None
    values = np.array([[own[name] for name in passages] for own in by_seed])
    if len(passages) < 2:
        return Average(mean=float(values.mean()), low=None, high=None, p_value=None, passages=len(passages))
    found = crossed_difference(np.zeros_like(values), values)
    low, high = found.interval() or (None, None)
    return Average(mean=found.value, low=low, high=high, p_value=found.p_value(), passages=len(passages))


def pooled(by_seed: Sequence[ByPassage]) -> Average | None:
    """Return the mean over passages of which each may be in some runs alone: runs are averaged within a passage."""
    values = by_passage((name, value) for own in by_seed for name, value in own.items())
    return average([values]) if values else None


def less(first: Sequence[ByPassage], second: Sequence[ByPassage]) -> list[ByPassage]:
    """Return first less second, run by run, for the passages that both have."""
    return [
        {name: own[name] - other[name] for name in own if name in other}
        for own, other in zip(first, second, strict=True)
    ]


def bounded(statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]], columns: NDArray[np.float64]) -> Bounded:
    """Return a function of sums over passages with its 95% percentile interval of the bootstrap over passages.

    Whole passages are resampled (Davison and Hinkley 1997, Bootstrap Methods, section 2.4), always with the same
    random numbers. The interval is left out if more than 1% of the resamples have no value.

    Args:
        statistic: from sums of shape `(..., num_columns)` to values of shape `(...)`; NaN where there is none.
        columns: what each passage adds to the sums, shape `(num_passages, num_columns)`.
    """
    if not len(columns):
        return Bounded(value=None, low=None, high=None)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(columns.sum(axis=0)))
        if not np.isfinite(value):
            return Bounded(value=None, low=None, high=None)
        num_passages = len(columns)
        shares = np.full(num_passages, 1 / num_passages)
        weights = np.random.default_rng(0).multinomial(num_passages, shares, size=_RESAMPLES)
        found = statistic(weights @ columns)
    usable = found[np.isfinite(found)]
    if num_passages < 2 or len(usable) < _LEAST_USABLE * _RESAMPLES:
        return Bounded(value=value, low=None, high=None)
    low, high = np.quantile(usable, (ALPHA / 2, 1 - ALPHA / 2))
    return Bounded(value=value, low=float(low), high=float(high))
