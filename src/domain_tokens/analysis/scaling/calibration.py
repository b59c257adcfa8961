"""Do intervals and verdicts of scaling fits have their nominal error rates? Counts errors where the truth is known.

Tables of runs are simulated from `L = E + A / N^alpha` with normal noise of log L, in pairs whose noise is correlated,
and fitted by the functions that `analyze` calls. An interval contains the truth if the test of the true value does not
reject it, which takes one more fit instead of a search for both ends.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from tqdm import tqdm

from domain_tokens.analysis.scaling.fitting import Fitted, Quantity
from domain_tokens.analysis.scaling.forms import Array, Axis
from domain_tokens.analysis.scaling.pairs import OWN, SHARED, Joint, fit_pair, is_shared, match, measured_range
from domain_tokens.analysis.scaling.points import Point
from domain_tokens.analysis.scaling.single import Single, component, fit_condition, log_loss_at, noise_of_mean
from domain_tokens.analysis.statistics.calibration import too_many
from domain_tokens.analysis.statistics.paired import ALPHA

FLOOR, AMPLITUDE, EXPONENT = (
    0.9,
    0.45,
    0.35,
)  # of L at `_MIDDLE` parameters: losses from 1.8 to 1.2, as of small models
_MIDDLE: Final = 2e5
_SMALLEST, _REACH = 5e4, 20.0  # sizes: the smallest, and the largest as its multiple
_HELD_OUT: Final = 2.5  # times the largest
SAME: Final = 0.8  # correlation of the noise of a pair
EFFECT: Final = 1.1  # a multiplier to be found
_LOSS: Final = "loss"

FOUND: Final = "found"
QUANTITIES: Final = ("E", "exponent", "prediction", "multiplier", "better or worse", "own exponents", FOUND)
"""What is counted: four intervals that miss, two false positives, and how often `EFFECT` is found."""


@dataclass(frozen=True)
class Setting:
    """What is simulated.

    Attributes:
        noise: standard deviation of log L of a run.
        multiplier: true.
        points_per_run: models that share a run's noise; more than one are annealed at several numbers of tokens.
        within: correlation of the noise of one run's points.
        outliers: share of runs whose log loss is 10 standard deviations too high.
    """

    num_sizes: int
    num_seeds: int
    noise: float
    multiplier: float = 1.0
    points_per_run: int = 1
    within: float = 0.0
    outliers: float = 0.0

    def draw(self, rng: np.random.Generator) -> tuple[list[Point], list[Point]]:
        """Return the points of both conditions."""
        sides: tuple[list[Point], list[Point]] = ([], [])
        for size in self.sizes():
            for seed in range(self.num_seeds):
                noise = self._noise(rng)
                for side, multiplier in enumerate((1.0, self.multiplier)):
                    name = f"{size:.0f}/{side}/{seed}"
                    for index in range(self.points_per_run):
                        values: dict[Axis, float] = {"N": float(size), "D": _tokens(index)}
                        loss = math.exp(log_loss(size * multiplier, index, self.points_per_run) + noise[side, index])
                        point = Point(0, str(side), f"{size:.0f}", str(seed), name, False, values, {_LOSS: loss})
                        sides[side].append(point)
        return sides

    def sizes(self) -> Array:
        """Return the numbers of parameters."""
        return np.geomspace(_SMALLEST, _REACH * _SMALLEST, self.num_sizes)

    def held_out(self, rng: np.random.Generator) -> float:
        """Return the mean log loss of as many new runs at the held-out size as there are seeds."""
        size = _HELD_OUT * _REACH * _SMALLEST
        return log_loss(size) + float(rng.normal(0, self.noise, self.num_seeds).mean())

    def _noise(self, rng: np.random.Generator) -> Array:
        """Return the noise of a pair's points, shape (2, points_per_run)."""
        shape = 2, self.points_per_run
        whole = rng.normal(0, 1, (2, 1)), rng.normal(0, 1, (1, 1))
        each = rng.normal(0, 1, shape), rng.normal(0, 1, (1, self.points_per_run))
        parts = [math.sqrt(1 - SAME) * own + math.sqrt(SAME) * shared for own, shared in (whole, each)]
        noise = math.sqrt(self.within) * parts[0] + math.sqrt(1 - self.within) * parts[1]
        return self.noise * (noise + 10.0 * (rng.random((2, 1)) < self.outliers))


def _tokens(index: int) -> float:
    return 1e6 * 3.0**index


def log_loss(size: float, index: int = 0, points_per_run: int = 1) -> float:
    """Return the true log loss; several points of a run differ in their tokens, which add `B / D^beta`."""
    by_tokens = 0.5 * (_tokens(index) / 1e7) ** -0.3 if points_per_run > 1 else 0.0
    return math.log(FLOOR + AMPLITUDE * (size / _MIDDLE) ** -EXPONENT + by_tokens)


def trial(setting: Setting, rng: np.random.Generator) -> Counter[str]:
    """Simulate one table and return which of `QUANTITIES` erred; of `FOUND`, whether it was found."""
    errors: Counter[str] = Counter()
    points, others = setting.draw(rng)
    axes: tuple[Axis, ...] = ("N",) if setting.points_per_run == 1 else ("N", "D")
    single = fit_condition(points, _LOSS, axes)
    errors["E"] += _rejects(single.fitted, component(0), FLOOR)
    errors["exponent"] += _rejects(single.fitted, component(2), EXPONENT)
    if setting.points_per_run == 1:
        errors["prediction"] += _misses(single, setting, rng)
    joint = fit_pair(match(points, others), _LOSS, axes, levels=(SHARED, OWN))
    errors["better or worse"] += claims(joint) != 0
    errors["own exponents"] += is_shared(joint) is False
    points, others = replace(setting, multiplier=EFFECT).draw(rng)
    joint = fit_pair(match(points, others), _LOSS, axes, levels=(SHARED, OWN))
    errors["multiplier"] += _rejects(joint.fits[SHARED], joint.log_multiplier, math.log(EFFECT), joint.group)
    errors[FOUND] += claims(joint) > 0
    return errors


def _rejects(fitted: Fitted, quantity: Quantity, truth: float, group: int = 0) -> bool:
    return fitted.has_intervals(group) and fitted.test(quantity, truth, group)[0] < ALPHA


def _misses(single: Single, setting: Setting, rng: np.random.Generator) -> bool:
    measured, fitted = setting.held_out(rng), single.fitted
    if not fitted.has_intervals():
        return False
    quantity = log_loss_at(single.form, {"N": _HELD_OUT * _REACH * _SMALLEST})
    return fitted.test(quantity, measured, noise=noise_of_mean(fitted, setting.num_seeds))[0] < ALPHA


def claims(joint: Joint) -> int:
    """Return 1 if the verdict is `better`, -1 if `worse`, and 0 if undecided, by tests of a multiplier of 1.

    It is the rule of `comparison.decide`: an interval excludes 1 where the test rejects it.
    """
    if is_shared(joint) is not False:
        return _direction(joint.fits[SHARED], joint.log_multiplier, joint.group)
    ends = [joint.log_multiplier_at(OWN, scale) for scale in measured_range(joint)]
    signs = {_direction(joint.fits[OWN], end, joint.group) for end in ends}
    return signs.pop() if len(signs) == 1 else 0


def _direction(fitted: Fitted, quantity: Quantity, group: int) -> int:
    if not _rejects(fitted, quantity, 0.0, group):
        return 0
    return 1 if quantity(fitted.parameters)[0] > 0 else -1


@dataclass(frozen=True)
class Measured:
    """How often each quantity erred in a setting."""

    setting: Setting
    total: int
    errors: Counter[str]

    def rates(self) -> list[float | None]:
        """Return the shares in the order of `QUANTITIES`; `None` for what is not counted in the setting."""
        counted = [one for one in QUANTITIES if one != "prediction" or self.setting.points_per_run == 1]
        return [self.errors[one] / self.total if one in counted else None for one in QUANTITIES]

    @property
    def is_high(self) -> bool:
        """Whether something errs more often than chance explains."""
        return any(too_many(self.errors[one], self.total) for one in QUANTITIES if one != FOUND)


def settings() -> Iterator[Setting]:
    """Yield the settings of the table."""
    for num_sizes in (4, 5, 6):
        for num_seeds in (1, 2, 3, 5):
            for noise in (0.002, 0.005, 0.02):
                yield Setting(num_sizes, num_seeds, noise)
    for num_seeds in (3, 5):
        yield Setting(5, num_seeds, 0.005, outliers=0.05)
    for within in (0.0, 0.5, 0.9):
        yield Setting(6, 3, 0.005, points_per_run=4, within=within)


def measure_all(wanted: Sequence[Setting], simulations: int, seed: int, processes: int) -> list[Measured]:
    """Simulate every setting. The same seed gives the same rates for any number of processes."""
    seeds = np.random.SeedSequence(seed).spawn(len(wanted))
    tasks = list(zip(wanted, [simulations] * len(wanted), seeds, strict=True))
    with ProcessPoolExecutor(processes) as pool:
        return list(tqdm(pool.map(_measure, tasks), total=len(wanted), disable=None, desc="scaling fits"))


def _measure(task: tuple[Setting, int, np.random.SeedSequence]) -> Measured:
    setting, simulations, seed = task
    rng = np.random.default_rng(seed)
    errors: Counter[str] = Counter()
    for _ in range(simulations):
        errors += trial(setting, rng)
    return Measured(setting, simulations, errors)
