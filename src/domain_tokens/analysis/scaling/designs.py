"""What a table of sizes allows: which forms, and whether the floor E can be told from them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from domain_tokens.analysis.scaling.forms import AXES, Axis
from domain_tokens.analysis.scaling.points import Point, axis_values, log_losses
from domain_tokens.analysis.statistics.paired import ALPHA

MIN_SIZES: Final = 4
MIN_RANGE: Final = 10.0
_SAME: Final = 0.01  # logs of two sizes that count as one
_FIXED: Final = 1.05  # largest over smallest value of an axis that does not vary
_OFF_LINE: Final = 0.5  # decades by which tokens must vary at a given number of parameters, for the joint form
IDENTIFIED: Final = "identified"


@dataclass(frozen=True)
class Floor:
    """Whether E can be told.

    Attributes:
        reason: why not; `identified` if it can.
        advice: what to add.
    """

    reason: str
    advice: str = ""

    @property
    def is_identified(self) -> bool:
        """Whether the form has E."""
        return self.reason == IDENTIFIED


def num_sizes(values: NDArray[Any]) -> int:
    """Return the number of different values, those within 1% counted once."""
    logs = np.sort(np.log(values))
    return int(1 + np.sum(np.diff(logs) > _SAME))


def _range(values: NDArray[Any]) -> float:
    return float(values.max() / values.min())


def off_line_decades(points: Sequence[Point]) -> float:
    """Return by how many decades the tokens vary around the line that follows the parameters."""
    logs = [np.log10(axis_values(points, axis)) for axis in ("N", "D")]
    around = logs[1] - np.polyval(np.polyfit(logs[0], logs[1], 1), logs[0])
    return float(np.ptp(around))


def forms_of(points: Sequence[Point]) -> tuple[list[tuple[Axis, ...]], list[str]]:
    """Return the axes of the forms that the points allow, and why others are not.

    Where N and D vary on their own, the joint form is fitted; a curve in one of them needs the others to be fixed, or
    to follow it on one path.
    """
    varying = [axis for axis in AXES if _varies(points, axis)]
    if "N" not in varying or "D" not in varying:
        return [(axis,) for axis in varying], [
            f"L({axis}): {AXES[axis]} have one value" for axis in AXES if axis not in varying and _known(points, axis)
        ]
    off = off_line_decades(points)
    if off >= _OFF_LINE:
        reason = "parameters and tokens vary on their own, so no curve in one of them describes the table"
        return [("N", "D")], [f"L({axis}): {reason}" for axis in AXES]
    refused = (
        f"L(N, D): tokens follow parameters on a line (they vary by {off:.2f} decades around it, expected at least "
        f"{_OFF_LINE:g}), so their effects cannot be told apart; add runs of the same sizes with a third and with "
        "three times as many tokens"
    )
    return [(axis,) for axis in varying], [refused]


def falls(points: Sequence[Point], axes: Sequence[Axis], loss: str) -> bool:
    """Return whether the log loss falls with the log of each axis by more than chance explains, by a plane through it.

    Where there are too few points to tell, it is taken to fall.
    """
    columns = np.stack([np.ones(len(points)), *(np.log(axis_values(points, axis)) for axis in axes)], axis=1)
    degrees = len(points) - columns.shape[1]
    if degrees < 1:
        return True
    observed = log_losses(points, loss)
    slopes = np.linalg.lstsq(columns, observed, rcond=None)[0]
    left = observed - columns @ slopes
    errors = np.sqrt(np.diag(np.linalg.inv(columns.T @ columns)) * float(left @ left) / degrees)
    most = float(stats.t.ppf(1 - ALPHA / 2, degrees))
    return bool(np.all(slopes[1:] + most * errors[1:] < 0))


def _known(points: Sequence[Point], axis: Axis) -> bool:
    return all(axis in point.values for point in points)


def _varies(points: Sequence[Point], axis: Axis) -> bool:
    return _known(points, axis) and _range(axis_values(points, axis)) > _FIXED


def floor_of(points: Sequence[Point], axes: Sequence[Axis]) -> Floor:
    """Return whether E can be told from the sizes of each axis: four of them, over a decade."""
    reasons, advice = [], []
    for axis in axes:
        values = axis_values(points, axis)
        number, reach = num_sizes(values), _range(values)
        if number < MIN_SIZES:
            reasons.append(f"{number} values of {axis}, expected at least {MIN_SIZES}")
            advice.append(f"{MIN_SIZES - number} more values of {axis}")
        if reach < MIN_RANGE * math.exp(-_SAME):
            reasons.append(f"{AXES[axis]} reach over a factor of {reach:.2g}, expected at least {MIN_RANGE:g}")
            low, high = values.min(), values.max()
            advice.append(f"a value of {axis} of at most {high / MIN_RANGE:.3g} or at least {MIN_RANGE * low:.3g}")
    if not reasons:
        return Floor(IDENTIFIED)
    return Floor(f"E is not fitted: {'; '.join(reasons)}", f"add {', and '.join(advice)}")
