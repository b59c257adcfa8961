"""The command line of `scripts/calibrate.py` and its table of error rates."""

import os
from typing import TYPE_CHECKING

from rich.table import Table

from domain_tokens.cli.common import new_parser, wide_console
from domain_tokens.cli.options import number_of_processes, seed, whole_number

if TYPE_CHECKING:
    from domain_tokens.analysis.statistics.calibration import Rates
    from domain_tokens.analysis.statistics.calibration_cases import Measured

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
    arguments = parser.parse_args()
    # Imported after parsing, so that --help and usage errors appear at once.
    from domain_tokens.analysis.statistics.calibration import MARGIN
    from domain_tokens.analysis.statistics.calibration_cases import EFFECT, measure_all

    table = _table(measure_all(arguments.simulations, arguments.seed, arguments.processes), arguments.simulations)
    console = wide_console(165)
    console.print(table)
    console.print(_NOTE.format(margin=100 * MARGIN, effect=100 * EFFECT))


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
