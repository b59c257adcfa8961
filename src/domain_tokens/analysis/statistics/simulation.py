"""Simulated outcomes of known truth: two conditions with several runs each, and the same questions for all.

Questions differ in difficulty, runs in skill, and a question may suit one condition better than the other. All three
are normal on the logit scale, and the intercepts are such that the expected accuracies are exactly those asked for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

Outcomes = NDArray[np.bool_]


@dataclass(frozen=True)
class Shared:
    """What items of one group gain together in a condition.

    Attributes:
        groups: the group of each item, whole numbers from 0 up, shape (num_items,).
        sd: of what a group gains in a condition, in all its runs alike, on the logit scale.
    """

    groups: NDArray[np.int64]
    sd: float

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return what each item gains in one condition."""
        return rng.normal(0, self.sd, int(self.groups.max()) + 1)[self.groups]


def simulate(
    num_seeds: int,
    num_items: int,
    accuracy: float,
    effect: ArrayLike,
    between_run_sd: float,
    item_sd: float,
    rng: np.random.Generator,
    response_sd: float = 0.0,
    shared: Sequence[Shared] = (),
) -> tuple[Outcomes, Outcomes]:
    """Return the outcomes of the reference and of the other condition, each of shape (num_seeds, num_items).

    Args:
        accuracy (`float`): the reference's expected accuracy, a fraction of 1.
        effect: what is added to it in the other condition, a fraction of 1: for all items, or of shape (num_items,).
        between_run_sd (`float`): of the skill of the runs, on the logit scale; every run of either condition has a
            skill of its own. At 30% accuracy 0.1 are about 1.5 points, at 2% about 0.2 points.
        item_sd (`float`): of the items' difficulty, on the logit scale; the same for all runs.
        response_sd (`float`, *optional*, defaults to 0): of what an item gains in a condition, in all its runs alike,
            on the logit scale. With 0 and no effect the two conditions are the same (A/A).
        shared (*optional*): what items gain together: those of one template, or with one template and its numbers.

    Raises:
        ValueError: if an expected accuracy is not between 0 and 1.
    """
    spread = math.sqrt(between_run_sd**2 + item_sd**2 + response_sd**2 + sum(one.sd**2 for one in shared))
    difficulty = rng.normal(0, item_sd, num_items)
    sides = []
    for added in (np.zeros(1), np.atleast_1d(np.asarray(effect, dtype=float))):
        kinds, kind = np.unique(added, return_inverse=True)
        intercept = np.array([_intercept(accuracy + float(value), spread) for value in kinds])[kind]
        gained = sum((one.draw(rng) for one in shared), rng.normal(0, response_sd, num_items))
        of_items = np.exp(intercept + difficulty + gained)
        odds = np.exp(rng.normal(0, between_run_sd, (num_seeds, 1))) * of_items
        sides.append(rng.random((num_seeds, num_items)) * (1 + odds) < odds)
    return sides[0], sides[1]


@cache
def _intercept(accuracy: float, spread: float) -> float:
    """Return the mean of a normal distribution on the logit scale whose expected chance is the accuracy."""
    if not 0 < accuracy < 1:
        raise ValueError(f"an expected accuracy is {accuracy:g}; expected a fraction between 0 and 1")
    points, weights = np.polynomial.hermite_e.hermegauss(101)
    weights = weights / weights.sum()

    def excess(mean: float) -> float:
        return float(weights @ (1 / (1 + np.exp(-(mean + spread * points))))) - accuracy

    return float(optimize.brentq(excess, -60, 60))
