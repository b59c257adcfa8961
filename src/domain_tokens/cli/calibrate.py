"""The command line of `scripts/calibrate.py` and its table of error rates."""

import argparse
import os
from typing import TYPE_CHECKING

from rich.table import Table

from domain_tokens.cli.common import new_parser, wide_console
from domain_tokens.cli.options import number_of_processes, seed, whole_number

if TYPE_CHECKING:
    from domain_tokens.analysis.scaling.calibration import Measured as MeasuredFits
    from domain_tokens.analysis.statistics.calibration import Rates
    from domain_tokens.analysis.statistics.calibration_cases import Measured

ANSWERS, SCALING = "answers", "scaling"
_FITS_SHARE = 5  # a table of runs is fitted several times, so fewer are simulated
_FITS_NOTE = """\
Missed: 95% intervals without the true value, of E and the exponent of one condition, of a held-out size, and of a
multiplier of {effect:g}. False: verdicts "better" or "worse" where the multiplier is 1, and exponents that are taken
for each condition's own where they are shared. Found: a multiplier of {effect:g} called better. Noise: standard
deviation of log L; that of a pair has a correlation of {same:g}. Points: of a run, correlated as "within" says.
Outliers: share of runs that are 10 standard deviations too high.
HIGH: above 5% by more than chance explains (1 in 1,000)."""
_NOTE = """\
False positives are simulated without an effect; for equivalence, at its margin: {margin:g} points, or 0.3 on the logit
scale. Power and missed (intervals that do not contain the true value) are simulated with an effect of {effect:g}
points, or as much per fact needed, or four times as much for clusters; for equivalence, without an effect. ±: Monte
Carlo standard error. No answer: nothing varied. Problems, templates: sd of what items of one template with the same
numbers, or of one template, gain together.
HIGH: errors above 5% (10% for 90% intervals) by more than chance explains (1 in 1,000).
Not used: methods that the report does not rely on, and why."""


def main(description: str | None) -> None:
    """Run `scripts/calibrate.py`: simulate and print the table.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = new_parser(description)
    parser.add_argument(
        "--simulations",
        type=whole_number,
        default=1000,
        metavar="N",
        help="simulations per case (default: %(default)s)",
    )
    parser.add_argument("--seed", type=seed, default=0, help="random seed (default: 0)")
    parser.add_argument(
        "--processes",
        type=number_of_processes,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="number of processes (default: one per core)",
    )
    parser.add_argument(
        "--part",
        nargs="+",
        choices=[ANSWERS, SCALING],
        default=[ANSWERS, SCALING],
        help=f"{ANSWERS}: tests of right and wrong answers; {SCALING}: fits of losses over sizes, each with a fifth "
        "of the simulations (default: both)",
    )
    arguments = parser.parse_args()
    if ANSWERS in arguments.part:
        _show_answers(arguments)
    if SCALING in arguments.part:
        _show_fits(arguments)


def _show_answers(arguments: argparse.Namespace) -> None:
    # Imported after parsing, so that --help and usage errors appear at once.
    from domain_tokens.analysis.statistics.calibration import MARGIN
    from domain_tokens.analysis.statistics.calibration_cases import EFFECT, measure_all

    table = _table(measure_all(arguments.simulations, arguments.seed, arguments.processes), arguments.simulations)
    console = wide_console(165)
    console.print(table)
    console.print(_NOTE.format(margin=100 * MARGIN, effect=100 * EFFECT))


def _show_fits(arguments: argparse.Namespace) -> None:
    from domain_tokens.analysis.scaling.calibration import EFFECT, SAME, measure_all, settings

    simulations = max(arguments.simulations // _FITS_SHARE, 1)
    measured = measure_all(list(settings()), simulations, arguments.seed, arguments.processes)
    console = wide_console(150)
    console.print(_fits_table(measured, simulations))
    console.print(_FITS_NOTE.format(effect=EFFECT, same=SAME))


def _fits_table(measured: "list[MeasuredFits]", simulations: int) -> Table:
    table = Table(title=f"Scaling fits: percent of {simulations:,} simulated tables of runs")
    setting = ("sizes", "seeds", "noise", "points", "within", "outliers")
    counted = ("E\nmissed", "exponent\nmissed", "held-out\nmissed", "multiplier\nmissed", "false\nverdict")
    for heading in (*setting, *counted, "false own\nexponents", "found", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in measured:
        one = row.setting
        table.add_row(
            str(one.num_sizes),
            str(one.num_seeds),
            f"{one.noise:.1%}",
            str(one.points_per_run),
            f"{one.within:g}" if one.points_per_run > 1 else "",
            f"{one.outliers:.0%}" if one.outliers else "",
            *("" if rate is None else f"{100 * rate:.1f}" for rate in row.rates()),
            "HIGH" if row.is_high else "",
        )
    return table


def _table(measured: "list[Measured]", simulations: int) -> Table:
    table = Table(title=f"Calibration: percent of {simulations:,} simulated comparisons")
    setting = ("method", "seeds", "items", "accuracy", "runs\nvary", "items\nrespond", "problems,\ntemplates")
    for heading in (*setting, "false\npositives", "power", "missed", "no\nanswer", ""):
        table.add_column(heading, justify="left" if heading == "method" else "right", no_wrap=True)
    for index, row in enumerate(measured):
        last = index + 1 == len(measured) or measured[index + 1].case.title != row.case.title
        table.add_row(*_cells(row), end_section=last)
    return table


def _cells(row: "Measured") -> list[str]:
    case, setting = row.case, row.case.null
    shown = row.null if row.effect is None else row.effect
    return [
        case.title,
        str(setting.num_seeds),
        f"{setting.num_items:,}",
        f"{setting.accuracy:.0%}",
        f"{setting.between_run_sd:g}",
        f"{setting.response_sd:g}",
        f"{setting.problem_sd:g}, {setting.template_sd:g}" if setting.problem_sd or setting.template_sd else "",
        _percent(row.null, row.null.rejected),
        "" if row.effect is None else _percent(row.effect, row.effect.rejected),
        "" if case.method is None else _percent(shown, shown.missed),
        f"{100 * shown.silent / shown.total:.1f}" if shown.silent else "",
        "HIGH" if row.is_high else "",
    ]


def _percent(rates: "Rates", count: int) -> str:
    return f"{100 * count / rates.total:.1f} ± {100 * rates.se(count):.1f}"
