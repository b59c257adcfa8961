"""The types of what a scaling analysis leaves on disk: `fits.json`, and the same as `fits.yaml`.

`None` (`null`) means that a value cannot be computed, or that the data do not bound it. Intervals are at 95%.
"""

from typing import Final, Literal

from domain_tokens.analysis.results_model import Count, PValue, Record

SCHEMA_VERSION: Final = 1

MultiplierOutcome = Literal["better", "worse", "undecided"]


class Estimate(Record):
    """A number with its interval."""

    value: float
    low: float | None
    """`None` if the data do not bound it from below, or if there are not more runs than parameters."""
    high: float | None


class Parameter(Record):
    """A parameter of a form, as the formula has it: E, A, alpha, B, beta."""

    name: str
    estimate: Estimate


class Variant(Record):
    """The parameters by another loss function, or from other points."""

    words: str
    values: dict[str, float]


class Start(Record):
    """Where the search began."""

    num_starts: Count
    """Points of the grid, all of which were tried; the best were refined."""
    chosen: dict[str, float]
    """The one that led to the estimates: the floor, and logs of amplitudes at the geometric mean of the axis."""


class Outlier(Record):
    """A run far from the fit."""

    line: Count
    """Of the table."""
    run: str
    residual: float
    """Of log L."""


class Derived(Record):
    """A quantity that follows from the parameters."""

    words: str
    estimate: Estimate


class CurvePoint(Record):
    """The fitted loss at one scale."""

    scale: float
    """Of the axis; of the joint form, compute that is divided between parameters and tokens as well as possible."""
    extrapolated: bool
    """Beyond the fitted range."""
    loss: Estimate
    """Of the mean: the runs' own noise is not in it."""


class Fit(Record):
    """One form, fitted to one condition."""

    condition: str
    loss: str
    """The column."""
    axes: tuple[str, ...]
    """`N`, `D` or `C`; two of them in the joint form."""
    formula: str
    floor: str
    """`identified`, or in words why E is not; a form without E describes the measured range alone."""
    advice: str
    """What would identify it; may be empty."""
    parameters: tuple[Parameter, ...]
    derived: tuple[Derived, ...]
    """Of the joint form: how the best number of parameters grows with compute."""
    covariance_names: tuple[str, ...]
    covariance: tuple[tuple[float, ...], ...]
    """Of the parameters as they are fitted, amplitudes as logs at the geometric mean of the axis."""
    num_points: Count
    num_runs: Count
    degrees_of_freedom: int
    """Runs less parameters. Below 1 there are no intervals."""
    residual_sd: float | None
    """Robust, of log L: the share by which a run departs from the fit. `None` without degrees of freedom."""
    correlation_within_runs: float
    huber_delta: float | None
    """The residual of log L at which the loss turns linear; `None` for least squares."""
    r_squared: float
    """Of log L."""
    lack_of_fit_p: PValue | None
    """Small if the sizes' means depart from the form by more than the runs of a size do; `None` without repetition."""
    residuals: dict[str, float]
    """Of log L, by line of the table."""
    scale: str
    """What the curve runs along: `N`, `D` or `C`."""
    curve: tuple[CurvePoint, ...]
    start: Start
    variants: tuple[Variant, ...]
    outliers: tuple[Outlier, ...]
    """Beyond four robust standard deviations; none are looked for among fewer than ten points."""


class Prediction(Record):
    """A held-out size: what the other sizes predict, and what was measured there."""

    condition: str
    """Or `other / reference`: the ratio of two losses."""
    point: str
    axes: dict[str, float]
    predicted: Estimate
    """Of the mean of as many new runs as were measured: the fit's uncertainty and that of the runs."""
    measured: float
    """The mean over runs."""
    by_run: dict[str, float]
    error: float
    """Measured over predicted, less 1."""
    inside: bool | None
    """Whether the measured mean lies in the interval; `None` without one."""


class MultiplierAt(Record):
    """The multiplier at one scale, with exponents of each condition's own."""

    scale: float
    """Of the axis."""
    extrapolated: bool
    """Beyond the measured range."""
    own: Estimate | None
    """`None` where the reference never reaches the other's loss."""


class MeasuredMultiplier(Record):
    """The multiplier that one pair of runs shows, read off the reference's fitted curve."""

    scale: float
    value: float
    held_out: bool


class Level(Record):
    """How much two conditions share."""

    name: str
    words: str
    parameters: dict[str, float]
    p_value: PValue | None
    """Of the sharing, within the level in which nothing is shared; `None` of that level itself."""


class Multiplier(Record):
    """How much compute the other condition is worth, by one loss and one form."""

    words: str
    loss: str
    estimate: Estimate
    """The reference needs this many times the compute, parameters or tokens for the same loss."""
    p_value: PValue | None
    """Of a multiplier of 1."""


class PairFit(Record):
    """Two conditions, fitted together."""

    reference: str
    other: str
    loss: str
    axes: tuple[str, ...]
    scale: str
    """What is multiplied: `N`, `D` or `C`."""
    formula: str
    floor: str
    paired: bool
    """Whether runs of both conditions share a point and a seed."""
    num_pairs: Count
    """Of runs, each of which may have several points."""
    unpaired: Count
    """Points without a partner; they are in the fits of single conditions alone."""
    degrees_of_freedom: int
    residual_sd_mean: float | None
    residual_sd_difference: float | None
    """Robust, of log L: of the means of pairs and of their differences."""
    levels: tuple[Level, ...]
    multiplier: Multiplier
    shared: bool | None
    """Whether one multiplier describes all scales, by the test at 5%; `None` without a test."""
    by_scale: tuple[MultiplierAt, ...]
    measured: tuple[MeasuredMultiplier, ...]
    """By pair of runs; empty for the joint form, whose curve is not that of single runs, and without pairs."""
    outcome: MultiplierOutcome
    sentence: str
    notes: tuple[str, ...]
    variants: tuple[Multiplier, ...]
    """By other losses, loss functions and points."""


class Source(Record):
    """The table."""

    path: str
    sha256: str
    columns: dict[str, str]
    """By role."""
    computed: tuple[str, ...]
    """Axes that follow from the others by C = 6 N D."""
    num_fitted: Count
    num_held_out: Count
    num_unfinished: Count
    num_repeated: Count
    """Left out."""


class Analysis(Record):
    """What `fits.json` holds."""

    schema_version: int = SCHEMA_VERSION
    source: Source
    conditions: tuple[str, ...]
    refused: tuple[str, ...]
    """Forms that the table does not allow or whose fit failed, and why."""
    notes: tuple[str, ...] = ()
    """What was done with rows of the table, and what was not predicted, and why."""
    fits: tuple[Fit, ...]
    predictions: tuple[Prediction, ...]
    pairs: tuple[PairFit, ...]
