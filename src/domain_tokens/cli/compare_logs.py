"""The command line of `scripts/compare_logs.py`."""

import argparse
import sys
from pathlib import Path

from domain_tokens.cli.common import new_parser, reader_may_leave, to_rich, wide_console
from domain_tokens.cli.options import above_zero, local_path
from domain_tokens.recipe import user_errors
from domain_tokens.recipe.checks import check_folder

_WIDTH = 160


def main(description: str | None) -> None:
    """Run `scripts/compare_logs.py`: compare, then print what was found and the path of the page.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_args()
    with user_errors():
        # Imported after parsing, so that --help and usage errors appear at once.
        from domain_tokens.logs.comparison import Options, compare_logs
        from domain_tokens.logs.page import FILES, difference_table, write
        from domain_tokens.logs.runs import parse_runs, read_mapping

        output: Path = arguments.output
        check_folder("--output", output)
        named, reference = read_mapping(arguments.runs) if arguments.runs else (parse_runs(arguments.run), None)
        options = Options(
            reference=arguments.reference or reference,
            tasks=arguments.task,
            metrics=arguments.metric,
            margin=arguments.margin,
        )
        found = compare_logs(named, options)
        write(found, output)
    with reader_may_leave():
        for line in (found.headline, *(f"{note.about}: {note.text}" for note in found.notes)):
            sys.stdout.write(f"{line}\n")
        console = wide_console(_WIDTH)
        with console.capture() as table:  # the console itself would end the program if nobody reads it
            console.print(to_rich(difference_table(found)))
        sys.stdout.write(f"{table.get()}{output / FILES[-1]}\n")


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    named = parser.add_mutually_exclusive_group(required=True)
    named.add_argument(
        "--run",
        action="append",
        metavar="NAME:SEED=PATH",
        help="a log, or a folder with a log for each task, of the run with this seed of this condition; once for each "
        "run. Without :SEED, the only run of its condition",
    )
    named.add_argument("--runs", type=local_path, metavar="YAML", help="a file that names the runs instead")
    parser.add_argument("--reference", metavar="NAME", help="the condition that is subtracted (default: the first)")
    parser.add_argument(
        "--task", action="append", default=[], metavar="TASK", help="a task to compare; may be repeated (default: all)"
    )
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="METRIC",
        help="the metric to compare, where a task has several; may be repeated, for tasks with different ones",
    )
    parser.add_argument(
        "--margin",
        type=above_zero,
        metavar="X",
        help="a smaller difference does not matter: percentage points for scores from 0 to 1, otherwise in the unit "
        "of the metric (default: equivalence is not tested)",
    )
    parser.add_argument(
        "--output",
        type=local_path,
        default=Path("comparison"),
        metavar="DIR",
        help="output folder (default: %(default)s)",
    )
    return parser
