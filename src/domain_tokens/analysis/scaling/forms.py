"""Power laws of the loss in parameters, tokens or compute, with their derivatives and a grid of starting points.

A form is `L = E + sum over axes of A / x^a`. Parameters are kept as `(E, log A, a, log B, b)`, without `E` where the
form has none, with the amplitudes at the geometric mean of each axis, so that amplitudes and exponents are nearly
uncorrelated. Starting points come from a grid over the exponents: for each, the loss is linear in `E`, `A` and `B`,
which non-negative least squares find. No published value is a starting point.

Source of the joint form: Hoffmann et al. (2022), arXiv:2203.15556, approach 3; residuals of log L under Huber's loss
are theirs too.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

Axis = Literal["N", "D", "C", "T"]
Array = NDArray[Any]

AXES: Final[dict[Axis, str]] = {
    "N": "non-embedding parameters",
    "D": "training tokens",
    "C": "training FLOPs",
    "T": "tokens of context",
}
_LETTERS: Final[dict[Axis, tuple[str, str]]] = {
    "N": ("A", "alpha"),
    "D": ("B", "beta"),
    "C": ("A", "alpha"),
    "T": ("A", "alpha"),
}
EXPONENT_GRID: Final = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5)
FLOPS_PER_PARAMETER_AND_TOKEN: Final = 6.0


@dataclass(frozen=True)
class Form:
    """A power law.

    Attributes:
        axes: what the loss depends on.
        with_floor: whether the loss approaches `E` rather than 0.
        centers: log of each axis at which the amplitudes are taken.
    """

    axes: tuple[Axis, ...]
    with_floor: bool
    centers: tuple[float, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, in order."""
        floor = ("E",) if self.with_floor else ()
        return (*floor, *(name for axis in self.axes for name in (f"log_{_LETTERS[axis][0]}", _LETTERS[axis][1])))

    @property
    def num_parameters(self) -> int:
        """The number of parameters."""
        return self.with_floor + 2 * len(self.axes)

    @property
    def words(self) -> str:
        """The form as a formula."""
        terms = [f"{_LETTERS[axis][0]} / {axis}^{_LETTERS[axis][1]}" for axis in self.axes]
        return f"L = {' + '.join(['E'] * self.with_floor + terms)}"

    def amplitude(self, index: int) -> int:
        """Return where the amplitude of an axis is among the parameters; its exponent follows."""
        return self.with_floor + 2 * index

    def evaluate(self, parameters: Array, x: Array) -> tuple[Array, Array]:
        """Return log L and its derivatives.

        Args:
            parameters: shape (num_parameters,).
            x: log of each axis less its center, shape (num_points, num_axes).

        Returns:
            Shapes (num_points,) and (num_points, num_parameters).
        """
        first = int(self.with_floor)
        terms = np.exp(parameters[first::2] - parameters[first + 1 :: 2] * x)
        loss = terms.sum(axis=1) + (parameters[0] if self.with_floor else 0.0)
        slopes = np.empty((len(x), self.num_parameters))
        slopes[:, first::2] = terms / loss[:, None]
        slopes[:, first + 1 :: 2] = -x * slopes[:, first::2]
        if self.with_floor:
            slopes[:, 0] = 1 / loss
        return np.log(loss), slopes

    def place(self, values: Mapping[Axis, float]) -> Array:
        """Return one point's `x`, shape (1, num_axes), from the values of its axes."""
        return np.array([[np.log(values[axis]) - at for axis, at in zip(self.axes, self.centers, strict=True)]])

    def starts(self, x: Array, log_loss: Array) -> list[Array]:
        """Return a starting point for each combination of exponents of the grid.

        Args:
            x: as in `evaluate`.
            log_loss: shape (num_points,).
        """
        loss = np.exp(log_loss)
        floor = [np.ones((len(x), 1))] if self.with_floor else []
        found = []
        for exponents in itertools.product(EXPONENT_GRID, repeat=len(self.axes)):
            columns = np.hstack([*floor, np.exp(-np.array(exponents) * x)])
            linear = optimize.nnls(columns / loss[:, None], np.ones(len(x)))[0]
            start = np.empty(self.num_parameters)
            first = int(self.with_floor)
            start[first::2] = np.log(np.maximum(linear[first:], 1e-6 * loss.min()))
            start[first + 1 :: 2] = exponents
            if self.with_floor:
                start[0] = min(linear[0], 0.99 * loss.min())
            found.append(start)
        return found

    def uncentered(self, parameters: Array, index: int) -> float:
        """Return log A or log B as usually written: at a value of 1 of its axis instead of the center."""
        at = self.amplitude(index)
        return float(parameters[at] + parameters[at + 1] * self.centers[index])


def new_form(axes: Sequence[Axis], with_floor: bool, values: Mapping[Axis, Array]) -> Form:
    """Return a form whose amplitudes are taken at the geometric means.

    Args:
        values: of every point, by axis.
    """
    return Form(tuple(axes), with_floor, tuple(float(np.log(values[axis]).mean()) for axis in axes))


def frontier(form: Form, parameters: Array) -> tuple[float, float]:
    """Return log K and the exponent of the compute-optimal frontier `E + K / C^c` of a joint form, with C = 6 N D.

    Source: Hoffmann et al. (2022), equation 4, put back into the form.
    """
    log_a, log_b = form.uncentered(parameters, 0), form.uncentered(parameters, 1)
    a, b = float(parameters[form.amplitude(0) + 1]), float(parameters[form.amplitude(1) + 1])
    log_g = (np.log(a / b) + log_a - log_b) / (a + b)
    exponent = a * b / (a + b)
    log_k = np.logaddexp(log_a - a * log_g, log_b + b * log_g)
    return float(log_k + exponent * np.log(FLOPS_PER_PARAMETER_AND_TOKEN)), float(exponent)


def scales_of(values: Mapping[Axis, Array]) -> Array:
    """Return what a curve runs along at each point: its only axis, or 6 N D in the joint form."""
    if len(values) == 1:
        return next(iter(values.values()))
    return FLOPS_PER_PARAMETER_AND_TOKEN * values["N"] * values["D"]
