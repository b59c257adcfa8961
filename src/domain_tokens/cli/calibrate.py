"""The command line of `scripts/calibrate.py`: what is simulated, in which sizes, and the table of rates."""

import argparse
import gc
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from rich.table import Table
from tqdm import tqdm

from domain_tokens.analysis.statistics import calibration
from domain_tokens.analysis.statistics.calibration import Method, Rates, Setting, measure, measure_holm, too_many
from domain_tokens.analysis.statistics.paired import ALPHA
from domain_tokens.cli.common import wide_console

EFFECT = 0.03
RUNS_VARY, ITEMS_RESPOND = 0.3, 0.5  # standard deviations on the logit scale
NOTE = f"""\
False positives: without an effect; for equivalence, at the margin of {100 * calibration.MARGIN:g} points. Power and \
missed, intervals that do not
hold the truth: with an effect of {100 * EFFECT:g} points; with as much for each fact needed; for equivalence, with \
none. ±: Monte Carlo standard error.
No answer: nothing varied. HIGH: errors above 5% (10% of 90% intervals) by more than chance explains (1 in 1,000).
Not used: what the report does not rest on, and why."""


@dataclass(frozen=True)
class Line:
    """One line of the table: a method at one size.

    Attributes:
        null: a setting in which every rejection is an error.
        effect: the same with an effect; `None` where only errors are counted.
        method: `None` for Holm's correction over several endpoints.
        truth: what the method's interval should hold.
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
        return 2 * ALPHA if self.method is calibration.equivalence_claim else ALPHA


def lines() -> Iterator[Line]:
    """Yield every line of the table."""
    for num_items in (40, 312, 1319, 10042):
        for accuracy in (0.02, 0.3, 0.9):
            null = Setting(1, num_items, accuracy)
            method = calibration.items_of_one_seed
            yield Line("one seed: McNemar, Newcombe", null, replace(null, effect=EFFECT), method)
    for num_seeds in (2, 3, 5, 10):
        for num_items in (40, 312, 1319, 10042) if num_seeds == 3 else (40, 1319):
            for accuracy in (0.02, 0.3):
                for runs, items in ((0.0, 0.0), (RUNS_VARY, 0.0), (RUNS_VARY / 2, ITEMS_RESPOND)):
                    null = Setting(num_seeds, num_items, accuracy, runs, items)
                    effect = replace(null, effect=EFFECT)
                    yield Line("several seeds: runs and items", null, effect, calibration.runs_and_items)
    for num_seeds in (2, 3, 5, 10):
        null = Setting(num_seeds, 1319, 0.02, RUNS_VARY)
        yield Line("several seeds: paired t", null, replace(null, effect=EFFECT), calibration.t_over_seeds)
    for num_seeds in (1, 3, 5):
        for accuracy in (0.02, 0.3):
            none = Setting(num_seeds, 1319, accuracy, RUNS_VARY / 2 if num_seeds > 1 else 0.0)
            edge = replace(none, effect=calibration.MARGIN)
            yield Line("equivalence, 90% interval", edge, none, calibration.equivalence_claim)
    contrasts = (
        ("difference in differences", calibration.marked_items, calibration.true_excess),
        ("slope by number of facts", calibration.by_facts, calibration.true_slope),
    )
    for title, method, truth in contrasts:
        for num_seeds in (1, 3, 5):
            for num_items in (81, 1319):
                for accuracy in (0.02, 0.3):
                    null = Setting(num_seeds, num_items, accuracy, RUNS_VARY if num_seeds > 1 else 0.0)
                    yield Line(title, null, replace(null, gain=EFFECT), method, truth)
    for num_seeds in (3, 5):
        yield Line(
            f"Holm over {calibration.NUM_ENDPOINTS} endpoints", Setting(num_seeds, 312, 0.3, RUNS_VARY), None, None
        )
    method = calibration.percentile_bootstrap
    for num_seeds in (3, 10):
        for runs in (0.0, RUNS_VARY):
            null = Setting(num_seeds, 1319, 0.3, runs)
            yield Line("not used: percentile bootstrap", null, None, method, used=False)
    null = Setting(10, 1319, 0.3, response_sd=ITEMS_RESPOND)
    yield Line("not used: paired t, for other items", null, None, calibration.t_over_seeds, used=False)
    null = Setting(1, 1319, 0.3, RUNS_VARY)
    yield Line("not used: McNemar, for other runs", null, None, calibration.items_of_one_seed, used=False)


def main(description: str | None) -> None:
    """Read the command line of `scripts/calibrate.py`, simulate, and print the table.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--simulations", type=int, default=1000, metavar="N", help="of each case (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the simulations (default: 0)")
    parser.add_argument(
        "--processes", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="default: one for each core"
    )
    arguments = parser.parse_args()
    for name in ("simulations", "processes"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name}: expected a whole number from 1 up, got {getattr(arguments, name)}")
    if arguments.seed < 0:
        parser.error(f"--seed: expected a whole number from 0 up, got {arguments.seed}")
    console = wide_console(150)
    table = calibrate(arguments.simulations, arguments.seed, arguments.processes)
    console.print(table)
    console.print(NOTE)


def calibrate(simulations: int, seed: int, processes: int) -> Table:
    """Measure every line and return the table. The same seed gives the same table for any number of processes."""
    rows = list(lines())
    seeds = np.random.SeedSequence(seed).spawn(len(rows))
    tasks = list(zip(rows, [simulations] * len(rows), seeds, strict=True))
    with ProcessPoolExecutor(processes, initializer=gc.freeze) as pool:
        # statsmodels collects garbage in every multiple test: 60 ms each, unless what is there already is set aside
        measured = list(tqdm(pool.map(_measure, tasks), total=len(rows), disable=None, desc="calibrating"))
    table = Table(title=f"Calibration: percent of {simulations:,} simulated comparisons")
    setting = ("method", "seeds", "items", "accuracy", "runs\nvary", "items\nrespond")
    for heading in (*setting, "false\npositives", "power", "missed", "no\nanswer", ""):
        table.add_column(heading, justify="left" if heading == "method" else "right", no_wrap=True)
    for index, (line, cases) in enumerate(zip(rows, measured, strict=True)):
        last = index + 1 == len(rows) or rows[index + 1].title != line.title
        table.add_row(*_cells(line, *cases), end_section=last)
    return table


def _measure(task: tuple[Line, int, np.random.SeedSequence]) -> tuple[Rates, Rates | None]:
    line, simulations, seed = task
    rng = np.random.default_rng(seed)
    if line.method is None:
        return measure_holm(line.null, simulations, rng), None
    null = measure(line.method, line.null, simulations, rng, line.truth)
    return null, None if line.effect is None else measure(line.method, line.effect, simulations, rng, line.truth)


def is_high(line: Line, null: Rates, effect: Rates | None) -> bool:
    """Return whether a line errs more often than chance explains: false positives, or intervals that miss."""
    errors = too_many(null.rejected, null.total) or too_many(null.missed, null.total, line.nominal)
    return errors or (effect is not None and too_many(effect.missed, effect.total, line.nominal))


def _cells(line: Line, null: Rates, effect: Rates | None) -> list[str]:
    shown = null if effect is None else effect
    setting = line.null
    return [
        line.title,
        str(setting.num_seeds),
        f"{setting.num_items:,}",
        f"{setting.accuracy:.0%}",
        f"{setting.between_run_sd:g}",
        f"{setting.response_sd:g}",
        _percent(null, null.rejected),
        "" if effect is None else _percent(effect, effect.rejected),
        "" if line.method is None else _percent(shown, shown.missed),
        f"{100 * shown.silent / shown.total:.1f}" if shown.silent else "",
        "HIGH" if is_high(line, null, effect) else "",
    ]


def _percent(rates: Rates, count: int) -> str:
    return f"{100 * count / rates.total:.1f} ± {100 * rates.se(count):.1f}"
