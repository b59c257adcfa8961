"""How well the reward of an edit can be repeated: with another inner seed, and with other questions.

An edit is compared with the other edits for the same passage, so passages are no part of the variance. With `x` the
value of an edit `e` of passage `p` with inner seed `s`, the model is the one-way random effects model within passages,
`x[p, e, s] = m[p] + b[p, e] + w[p, e, s]`.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from domain_tokens.seal.analysis.averages import bounded
from domain_tokens.seal.analysis.edits import (
    Edit,
    Measure,
    Proposals,
    chosen_drop,
    reward,
    scored_drop,
    validation_rise,
)
from domain_tokens.seal.analysis.results import Halves, Reliability

WANTED = 0.8
_MEASURES: dict[str, Measure] = {
    "reward": reward,
    "drop in the choosing half": chosen_drop,
    "drop in the scoring half": scored_drop,
}
_FORGETTING = "rise on held-out text"


def reliabilities(runs: Sequence[Proposals]) -> list[Reliability]:
    """Return the reliability of the reward and of what it is made of, over all rounds of the runs of a condition.

    Edits of one round and passage are compared with one another; measures that are missing are left out.
    """
    measures = dict(_MEASURES)
    edits = [edit for proposals in runs for own in proposals.values() for edit in own]
    if edits and all(row.validation is not None for edit in edits for row in edit.rows):
        measures[_FORGETTING] = validation_rise
    return [found for name, measure in measures.items() if (found := _reliability(name, runs, measure)) is not None]


def _reliability(name: str, runs: Sequence[Proposals], measure: Measure) -> Reliability | None:
    groups = [
        (passage, [[measure(row) for row in edit.rows] for edit in own])
        for proposals in runs
        for (_, passage), own in proposals.items()
        if len(own) > 1
    ]
    if not groups:
        return None
    columns = sums_of_squares(groups)
    one = bounded(intraclass_correlation, columns)
    sizes = [len(values) for _, own in groups for values in own]
    seeds = fmean(sizes)

    def of_mean(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return spearman_brown(intraclass_correlation(sums), seeds)

    return Reliability(
        measure=name,
        edits=len(sizes),
        passages=len(columns),
        seeds=seeds,
        one=one,
        one_consistent=bounded(intraclass_correlation, sums_of_squares(groups, seeds_in_common=True)),
        mean=bounded(of_mean, columns),
        seeds_needed=seeds_needed(one.value),
    )


def sums_of_squares(
    groups: Iterable[tuple[str, Sequence[Sequence[float]]]], seeds_in_common: bool = False
) -> NDArray[np.float64]:
    """Return of each passage what it adds to an analysis of variance of edits within passages.

    Args:
        groups: a passage, and for each of its edits the values of its inner seeds. A passage may come several times,
            with edits that are not to be compared with those of the other times.
        seeds_in_common (*optional*): whether what an inner seed does to all edits of a passage alike is taken out of
            the sum within edits: the correlation is then that of consistency, ICC(3, 1). Passages whose edits have
            different numbers of seeds are left out.

    Returns:
        Shape `(num_passages, 5)`: the sum of squares between edits and its degrees of freedom, the sum within edits
        and its degrees of freedom, and by how much the variance between edits adds to the first sum.
    """
    found: dict[str, NDArray[np.float64]] = {}
    for passage, edits in groups:
        sizes = np.array([len(values) for values in edits], dtype=float)
        if seeds_in_common and len(set(sizes)) > 1:
            continue
        means = np.array([fmean(values) for values in edits])
        total = sizes.sum()
        mean = (sizes * means).sum() / total
        between = float((sizes * (means - mean) ** 2).sum())
        within = sum(float(((np.array(values) - fmean(values)) ** 2).sum()) for values in edits)
        within_df = total - len(edits)
        if seeds_in_common:
            within -= len(edits) * float(((np.array(edits).mean(axis=0) - mean) ** 2).sum())
            within_df -= sizes[0] - 1
        multiple = total - (sizes**2).sum() / total
        added = np.array([between, len(edits) - 1, within, within_df, multiple], dtype=float)
        found[passage] = found.get(passage, 0) + added
    return np.array(list(found.values())).reshape(-1, 5)


def intraclass_correlation(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ICC(1, 1) from sums over passages, the last axis as `sums_of_squares` gives it.

    With mean squares `B` between edits and `W` within, and k inner seeds, it is `(B - W) / (B + (k - 1) W)` (Shrout
    and Fleiss 1979, Psychological Bulletin 86:420, equation for case 1). Where edits have different numbers of seeds,
    k is the number by which the variance between edits is multiplied in the expectation of B (Searle, Casella and
    McCulloch 1992, Variance Components, section 3.6). It is the generalizability coefficient of inner seeds nested in
    edits (Brennan 2001, Generalizability Theory, chapter 2). It may be below 0 by chance. With the sums of
    `seeds_in_common` it is their ICC(3, 1), the coefficient of relative decisions where seeds and edits are crossed.
    """
    between, between_df, within, within_df, multiple = np.moveaxis(np.asarray(sums, dtype=float), -1, 0)
    b, w, k = between / between_df, within / within_df, multiple / between_df
    return np.asarray((b - w) / (b + (k - 1) * w))


def spearman_brown(one: NDArray[np.float64] | float, seeds: float) -> NDArray[np.float64]:
    """Return the reliability of the mean of several values from that of one: `n r / (1 + (n - 1) r)`.

    Spearman and Brown (1910). For equal numbers of seeds it is Shrout and Fleiss' ICC(1, n), `(B - W) / B`.
    """
    return np.asarray(seeds * one / (1 + (seeds - 1) * one))


def seeds_needed(one: float | None, wanted: float = WANTED) -> int | None:
    """Return how many inner seeds make the mean as reliable as wanted; `None` if one of them tells nothing."""
    if one is None or one <= 0:
        return None
    if one >= 1:
        return 1
    return max(1, math.ceil(wanted * (1 - one) / (one * (1 - wanted)) - 1e-9))


def halves(runs: Sequence[Proposals]) -> Halves | None:
    """Return the correlation, among the edits of a passage, of the mean drops in the two halves of its questions.

    Deviations from the mean of the passage and round are pooled, as in an analysis of covariance. Both halves are
    measured after the same inner loops, so luck of an inner seed is in both: it says how far the questions matter.
    """
    groups = [(passage, own) for proposals in runs for (_, passage), own in proposals.items() if len(own) > 1]
    if not groups:
        return None
    found: dict[str, NDArray[np.float64]] = {}
    for passage, own in groups:
        found[passage] = found.get(passage, 0) + _products(own)
    columns = np.array(list(found.values()))
    return Halves(
        edits=sum(len(own) for _, own in groups),
        passages=len(columns),
        correlation=bounded(lambda sums: sums[..., 0] / np.sqrt(sums[..., 1] * sums[..., 2]), columns),
    )


def _products(edits: Sequence[Edit]) -> NDArray[np.float64]:
    x, y = (np.array([edit.mean(measure) for edit in edits]) for measure in (chosen_drop, scored_drop))
    x, y = x - x.mean(), y - y.mean()
    return np.array([x @ y, x @ x, y @ y])
