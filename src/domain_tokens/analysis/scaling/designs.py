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
_NEAR: Final = 0.1  # decades around its path within which an axis counts as following another
_FOLLOWS: Final = 0.9  # share of an axis' variance that another must explain, where it strays further from its path
_NO_FALL: Final = 1e-9  # of log L over the whole axis: rounding
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


@dataclass(frozen=True)
class Path:
    """The line that an axis follows along another, in decades.

    Attributes:
        line: slope and intercept; the slope is 0 where the axis does not vary.
        around: of each point, how far from the line it is.
        explained: share of the axis' variance.
    """

    along: Axis
    axis: Axis
    line: tuple[float, float]
    around: NDArray[Any]
    explained: float

    @property
    def decades(self) -> float:
        """By how many decades the axis varies around the line."""
        return float(np.ptp(self.around))

    @property
    def is_followed(self) -> bool:
        """Whether the axis has hardly a value of its own."""
        return self.decades <= _NEAR or (self.decades < _OFF_LINE and self.explained >= _FOLLOWS)

    def holds(self, point: Point) -> bool:
        """Return whether a point is as near to the line as those that were fitted are, or nearly.

        A fixed axis may differ by 5%. One that follows may leave the line by a factor of 1.6 beyond the fitted range,
        because a path is no straight line of logs: FLOPs of a width are `a N + b sqrt(N)`.
        """
        slack = _SLACK if self.line[0] == 0 else _PATH_SLACK
        off = math.log10(point.values[self.axis]) - np.polyval(self.line, math.log10(point.values[self.along]))
        return bool(self.around.min() - slack <= off <= self.around.max() + slack)


_SLACK: Final = math.log10(_FIXED)
_PATH_SLACK: Final = 0.2  # decades


def path_of(points: Sequence[Point], axis: Axis, along: Axis) -> Path:
    """Return the line that an axis follows along another one."""
    x, y = (np.log10(axis_values(points, one)) for one in (along, axis))
    line = np.polyfit(x, y, 1) if _varies(points, axis) and _varies(points, along) else np.array([0.0, y.mean()])
    around = y - np.polyval(line, x)
    explained = 1 - float(around @ around) / max(float(np.sum((y - y.mean()) ** 2)), 1e-300)
    return Path(along, axis, (float(line[0]), float(line[1])), around, explained)


def comparable(
    fitted: Sequence[Point], held_out: Sequence[Point], axes: Sequence[Axis]
) -> tuple[tuple[Point, ...], str | None]:
    """Return the held-out points that a form of some axes may predict, and why it may not predict others.

    What the form does not have must be as it was among the fitted points: fixed, or on its path along the form's axis.
    """
    others = [axis for axis in AXES if axis not in ("C", *axes) and _known([*fitted, *held_out], axis)]
    paths = [path_of(fitted, axis, axes[0]) for axis in others]
    kept = tuple(point for point in held_out if all(path.holds(point) for path in paths))
    if len(kept) == len(held_out):
        return kept, None
    differing = [path.axis for path in paths if not all(map(path.holds, held_out))]
    return kept, (
        f"L({', '.join(axes)}): {len(held_out) - len(kept)} held-out runs are not predicted: "
        f"{' and '.join(AXES[axis] for axis in differing)} are not as in the fitted runs, and the form does not "
        "have them"
    )


def forms_of(points: Sequence[Point]) -> tuple[list[tuple[Axis, ...]], list[str]]:
    """Return the axes of the forms that the points allow, and why others are not.

    Where N and D vary on their own, the joint form is fitted; a curve in one of them needs the others to be fixed, or
    to follow it on one path.
    """
    varying = [axis for axis in AXES if _varies(points, axis)]
    if "N" not in varying or "D" not in varying:
        fixed = [axis for axis in AXES if axis not in varying and _known(points, axis)]
        allowed, refused = _curves(points, varying)
        return allowed, [*(f"L({axis}): {AXES[axis]} have one value" for axis in fixed), *refused]
    path = path_of(points, "D", "N")
    if path.decades >= _OFF_LINE:
        why = "parameters and tokens vary on their own, so no curve in one of them describes the table"
        return [("N", "D")], [f"L({axis}): {why}" for axis in AXES]
    how = "tokens follow parameters on a line" if path.is_followed else "tokens vary too little beside the parameters"
    reason = (
        f"L(N, D): {how} (they vary by {path.decades:.2f} decades around their line, expected at least "
        f"{_OFF_LINE:g}), so their effects cannot be told apart; add runs of the same sizes with a third and with "
        "three times as many tokens"
    )
    allowed, refused = _curves(points, varying)
    return allowed, [reason, *refused]


def _curves(points: Sequence[Point], varying: Sequence[Axis]) -> tuple[list[tuple[Axis, ...]], list[str]]:
    """Return the curves in one axis that points allow: where all else that varies follows that axis on one path."""
    own: list[Axis] = [axis for axis in varying if axis != "C"]
    free: dict[Axis, list[Axis]] = {
        axis: [other for other in own if not path_of(points, other, axis).is_followed] for axis in own
    }
    reasons = [
        f"L({axis}): {' and '.join(AXES[other] for other in free[axis])} vary beside {AXES[axis]} and do not follow "
        "them on one path; keep the runs in which they do"
        for axis in own
        if free[axis]
    ]
    allowed = [axis for axis in own if not free[axis]]
    if "C" in varying and (allowed or not own):
        allowed = [axis for axis in varying if axis in allowed or axis == "C"]
    elif "C" in varying:
        reasons.append("L(C): what compute consists of does not follow one path")
    return [(axis,) for axis in allowed], reasons


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
    return bool(np.all((slopes[1:] + most * errors[1:]) * np.ptp(columns[:, 1:], axis=0) < -_NO_FALL))


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
