"""Signal and noise of an endpoint, from a pilot: which endpoint can tell two conditions apart at all?

The signal is a difference between the conditions: the one that the pilot saw, or the smallest that would matter. The
noise is what the same difference does from run to run. An endpoint whose signal is below its noise needs many seeds;
one whose last checkpoints differ as much as its runs gains by averaging checkpoints (Heineman et al. 2025, Signal and
Noise, https://arxiv.org/abs/2508.13144, who divide the spread of models by that of last checkpoints).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain_tokens.analysis.statistics.crossed import crossed_regression

Values = NDArray[np.float64] | NDArray[np.bool_]


@dataclass(frozen=True)
class Signal:
    """Signal and noise of one endpoint, in its own unit; `None` marks what the pilot cannot show.

    Attributes:
        reference: the reference's mean over runs and items.
        difference: the mean difference, other less reference.
        smallest_effect: the smallest difference that would matter, if one was declared.
        run_sd: the standard deviation over seeds of the paired difference, items included; `None` for one seed.
        item_sd: the standard deviation that the choice of items adds to the mean difference, in all runs alike; `None`
            for one seed, which cannot tell it from noise.
        checkpoint_sd: the standard deviation of one condition's mean over the last checkpoints of a run, pooled over
            runs and conditions; `None` without at least two of them.
        num_checkpoints: how many checkpoints that is.
    """

    reference: float
    difference: float
    smallest_effect: float | None
    run_sd: float | None
    item_sd: float | None
    checkpoint_sd: float | None
    num_checkpoints: int

    @property
    def observed_ratio(self) -> float | None:
        """The observed difference over the run sd; infinite if runs do not vary and the conditions do."""
        return _ratio(abs(self.difference), self.run_sd)

    @property
    def effect_ratio(self) -> float | None:
        """The smallest effect of interest over the run sd."""
        return None if self.smallest_effect is None else _ratio(self.smallest_effect, self.run_sd)


def signal(
    reference: Values,
    other: Values,
    smallest_effect: float | None = None,
    checkpoints: Sequence[Sequence[float]] = (),
    clusters: NDArray[np.int64] | None = None,
) -> Signal:
    """Return the signal and the noise of an endpoint.

    Args:
        reference, other: the items' values, shape (num_seeds, num_items), paired by seed and item.
        smallest_effect (`float`, *optional*): the smallest difference that would matter.
        checkpoints (`Sequence[Sequence[float]]`): for each run of each condition its means at the last checkpoints.
        clusters (*optional*): the cluster of each item, as in `crossed.crossed_regression`.
    """
    differences = np.asarray(other, dtype=float) - np.asarray(reference, dtype=float)
    deltas = differences.mean(axis=1)
    num_seeds, num_items = differences.shape
    several = num_seeds > 1
    item_sd = None
    if several and (num_items if clusters is None else len(np.unique(clusters))) > 1:
        item_sd = math.sqrt(crossed_regression(differences, np.ones((num_items, 1)), clusters).item_variance)
    spreads = [float(np.var(run, ddof=1)) for run in checkpoints if len(run) > 1]
    return Signal(
        reference=float(np.mean(reference)),
        difference=float(deltas.mean()),
        smallest_effect=smallest_effect,
        run_sd=float(deltas.std(ddof=1)) if several else None,
        item_sd=item_sd,
        checkpoint_sd=math.sqrt(sum(spreads) / len(spreads)) if spreads else None,
        num_checkpoints=max((len(run) for run in checkpoints), default=0),
    )


def _ratio(size: float, noise: float | None) -> float | None:
    if noise is None or (noise == 0 and size == 0):
        return None
    return math.inf if noise == 0 else size / noise
