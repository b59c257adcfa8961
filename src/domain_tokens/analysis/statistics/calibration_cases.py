"""The cases of the calibration table: which method is tried at which sizes, and the simulations of all of them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from domain_tokens.analysis.statistics import calibration
from domain_tokens.analysis.statistics.calibration import Method, Rates, Setting, measure, measure_family, too_many
from domain_tokens.analysis.statistics.paired import ALPHA
from domain_tokens.analysis.statistics.smallest_effect import in_points

EFFECT = 0.03
RUNS_VARY, ITEMS_RESPOND = 0.3, 0.5  # standard deviations on the logit scale


@dataclass(frozen=True)
class Case:
    """One row of the table: a method at one size.

    Attributes:
        null: a setting in which every rejection is an error.
        effect: the same with an effect; `None` where only errors are counted.
        method: `None` for a family of tests.
        truth: what the method's interval should contain.
        used: whether the report draws conclusions from the method in such a setting.
    """

    title: str
    null: Setting
    effect: Setting | None
    method: Method | None
    truth: Callable[[Setting], float] = calibration.true_difference
    used: bool = True

    @property
    def nominal(self) -> float:
        """The share of intervals that should miss."""
        claims = calibration.equivalence_claim, calibration.equivalence_on_the_logit_scale
        return 2 * ALPHA if self.method in claims else ALPHA


def cases() -> Iterator[Case]:
    """Yield every row of the table."""
    for num_items in (40, 312, 1319, 10042):
        for accuracy in (0.02, 0.3, 0.9):
            null = Setting(1, num_items, accuracy)
            method = calibration.items_of_one_seed
            yield Case("one seed: McNemar, Newcombe", null, replace(null, effect=EFFECT), method)
    for num_seeds in (2, 3, 5, 10):
        for num_items in (40, 312, 1319, 10042) if num_seeds == 3 else (40, 1319):
            for accuracy in (0.02, 0.3):
                for runs, items in ((0.0, 0.0), (RUNS_VARY, 0.0), (RUNS_VARY / 2, ITEMS_RESPOND)):
                    null = Setting(num_seeds, num_items, accuracy, runs, items)
                    effect = replace(null, effect=EFFECT)
                    yield Case("several seeds: runs and items", null, effect, calibration.runs_and_items)
    for num_seeds in (2, 3, 5, 10):
        null = Setting(num_seeds, 1319, 0.02, RUNS_VARY)
        yield Case("several seeds: paired t", null, replace(null, effect=EFFECT), calibration.t_over_seeds)
    for num_seeds in (1, 3, 5):
        for accuracy in (0.02, 0.3):
            none = Setting(num_seeds, 1319, accuracy, RUNS_VARY / 2 if num_seeds > 1 else 0.0)
            edge = replace(none, effect=calibration.MARGIN)
            yield Case("equivalence, 90% interval", edge, none, calibration.equivalence_claim)
    for num_seeds in (3, 5):
        for accuracy in (0.02, 0.3):
            none = Setting(num_seeds, 1319, accuracy, RUNS_VARY / 2)
            edge = replace(none, effect=in_points("logit", calibration.LOGIT_MARGIN, accuracy))
            yield Case("equivalence, margin 0.3 logit", edge, none, calibration.equivalence_on_the_logit_scale)
    contrasts = (
        ("difference in differences", calibration.marked_items, calibration.true_excess),
        ("slope by number of facts", calibration.by_facts, calibration.true_slope),
    )
    for title, method, truth in contrasts:
        for num_seeds in (1, 3, 5):
            for num_items in (81, 1319):
                for accuracy in (0.02, 0.3):
                    null = Setting(num_seeds, num_items, accuracy, RUNS_VARY if num_seeds > 1 else 0.0)
                    yield Case(title, null, replace(null, gain=EFFECT), method, truth)
    yield from _families()
    yield from _clusters()
    method = calibration.percentile_bootstrap
    for num_seeds in (3, 10):
        for runs in (0.0, RUNS_VARY):
            null = Setting(num_seeds, 1319, 0.3, runs)
            yield Case("not used: percentile bootstrap", null, None, method, used=False)
    null = Setting(10, 1319, 0.3, response_sd=ITEMS_RESPOND)
    yield Case("not used: paired t, for other items", null, None, calibration.t_over_seeds, used=False)
    null = Setting(1, 1319, 0.3, RUNS_VARY)
    yield Case("not used: McNemar, for other runs", null, None, calibration.items_of_one_seed, used=False)


def _families() -> Iterator[Case]:
    for num_seeds in (3, 5):
        null = Setting(num_seeds, 312, 0.3, RUNS_VARY)
        yield Case("a family: no effect anywhere", null, None, None)
        yield Case("a family: an effect in the main test", replace(null, effect=3 * EFFECT), None, None)


def _clusters() -> Iterator[Case]:
    """Yield the cases of generated questions: 100 items, 65 problems, 8 templates."""
    problems = (0.0, 0.0), (1.0, 0.0), (2.0, 0.0)
    templates = (1.0, 1.0), (0.0, 1.0), (0.0, 2.0)
    kinds = (
        ("clusters: items of one template", calibration.runs_and_templates, (*problems, *templates), True),
        ("clusters: template and numbers", calibration.runs_and_problems, problems, True),
        ("not used: clusters ignored", calibration.runs_and_items, (*problems, *templates), False),
        ("not used: numbers, for other templates", calibration.runs_and_problems, templates, False),
    )
    for title, method, shared, used in kinds:
        for num_seeds in (3, 10):
            for problem_sd, template_sd in shared:
                null = Setting(num_seeds, 100, 0.36, RUNS_VARY / 2, problem_sd=problem_sd, template_sd=template_sd)
                yield Case(title, null, replace(null, effect=4 * EFFECT) if used else None, method, used=used)
    for problem_sd in (0.0, 1.0, 2.0):
        null = Setting(1, 100, 0.36, problem_sd=problem_sd)
        effect = replace(null, effect=4 * EFFECT)
        yield Case("one seed: sign test over clusters", null, effect, calibration.problems_of_one_seed)


@dataclass(frozen=True)
class Measured:
    """A case and its rates: without an effect, and with one where the case has one."""

    case: Case
    null: Rates
    effect: Rates | None

    @property
    def is_high(self) -> bool:
        """Whether the method errs more often than chance explains: false positives, or intervals that miss."""
        errors = too_many(self.null.rejected, self.null.total) or too_many(
            self.null.missed, self.null.total, self.case.nominal
        )
        return errors or (
            self.effect is not None and too_many(self.effect.missed, self.effect.total, self.case.nominal)
        )


def measure_all(simulations: int, seed: int, processes: int) -> list[Measured]:
    """Simulate every case. The same seed gives the same rates for any number of processes."""
    wanted = list(cases())
    seeds = np.random.SeedSequence(seed).spawn(len(wanted))
    tasks = list(zip(wanted, [simulations] * len(wanted), seeds, strict=True))
    with ProcessPoolExecutor(processes) as pool:
        return list(tqdm(pool.map(_measure, tasks), total=len(wanted), disable=None, desc="calibrating"))


def _measure(task: tuple[Case, int, np.random.SeedSequence]) -> Measured:
    case, simulations, seed = task
    rng = np.random.default_rng(seed)
    if case.method is None:
        return Measured(case, measure_family(case.null, simulations, rng), None)
    null = measure(case.method, case.null, simulations, rng, case.truth)
    if case.effect is None:
        return Measured(case, null, None)
    return Measured(case, null, measure(case.method, case.effect, simulations, rng, case.truth))
