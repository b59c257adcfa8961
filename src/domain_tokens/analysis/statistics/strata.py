"""Is the difference larger for items that need facts of the table?

If the intervention works as intended, items whose solution needs a product of the table gain more than the others, and
the gain grows with the number of such products. Both are contrasts of the items' paired differences, with an interval
for other questions and, given several seeds, for other runs (`crossed.crossed_regression`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from domain_tokens.analysis.results_model import MOST_FACTS
from domain_tokens.analysis.statistics.crossed import Estimate, crossed_difference, crossed_regression, paired_outcomes


@dataclass(frozen=True)
class Stratum:
    """One kind of items.

    Attributes:
        count: how many facts the items need (`MOST_FACTS` means that many or more), or 0 or 1 for a mask.
        num_items: how many there are.
        reference, other: the accuracies, means over items and seeds, as fractions of 1.
        difference: of the two, as `crossed_difference` gives it; `None` for a single cluster of items.
    """

    count: int
    num_items: int
    reference: float
    other: float
    difference: Estimate | None


def strata(
    reference: ArrayLike,
    other: ArrayLike,
    counts: ArrayLike,
    most: int = MOST_FACTS,
    clusters: ArrayLike | None = None,
) -> list[Stratum]:
    """Return one stratum for each count of facts that occurs, in ascending order.

    Args:
        reference, other: right or wrong, shape (num_seeds, num_items), or (num_items,) for one seed.
        counts: how many facts each item needs, shape (num_items,); or a mask of truth values for two strata.
        most (`int`, *optional*, defaults to 3): larger counts are treated as this one.
        clusters (*optional*): the cluster of each item, as in `crossed.crossed_regression`.

    Raises:
        ValueError: if the outcomes are not paired, or there is not one count from 0 up for each item.
    """
    num_items = paired_outcomes(reference, other).shape[1]
    clipped = _clipped(counts, num_items, most)
    sides = np.atleast_2d(reference).astype(bool), np.atleast_2d(other).astype(bool)
    table = []
    for count in np.unique(clipped):
        first, second = (side[:, clipped == count] for side in sides)
        groups = np.arange(num_items)[clipped == count] if clusters is None else np.asarray(clusters)[clipped == count]
        difference = crossed_difference(first, second, groups) if len(np.unique(groups)) > 1 else None
        table.append(Stratum(int(count), first.shape[1], float(first.mean()), float(second.mean()), difference))
    return table


def difference_in_differences(
    reference: ArrayLike, other: ArrayLike, mask: ArrayLike, clusters: ArrayLike | None = None
) -> Estimate:
    """Return by how much the difference of the marked items exceeds that of the others.

    Args:
        reference, other, clusters: as in `strata`.
        mask: which items are expected to gain, truth values of shape (num_items,).

    Raises:
        ValueError: if the outcomes are not paired, or fewer than two items are marked, or fewer than two are not.
    """
    differences = paired_outcomes(reference, other)
    marked = _clipped(mask, differences.shape[1], most=1)
    return crossed_regression(differences, np.column_stack([np.ones(len(marked)), marked]), clusters)


def slope(
    reference: ArrayLike,
    other: ArrayLike,
    counts: ArrayLike,
    most: int = MOST_FACTS,
    clusters: ArrayLike | None = None,
) -> Estimate:
    """Return by how much the difference grows with each further fact that an item needs, by least squares.

    Args and errors: as in `strata`; in addition the counts have to differ.
    """
    differences = paired_outcomes(reference, other)
    clipped = _clipped(counts, differences.shape[1], most)
    return crossed_regression(differences, np.column_stack([np.ones(len(clipped)), clipped]), clusters)


def _clipped(counts: ArrayLike, num_items: int, most: int) -> NDArray[np.int64]:
    values = np.asarray(counts)
    if values.shape != (num_items,) or values.dtype.kind not in "bui" or values.astype(int).min() < 0:
        raise ValueError(
            f"counts of shape {values.shape} and type {values.dtype}; expected one whole number from 0 up, or one "
            f"truth value, for each of the {num_items} items"
        )
    return np.minimum(values.astype(np.int64), most)
