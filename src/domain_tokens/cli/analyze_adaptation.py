"""The command line of `scripts/analyze_adaptation.py`."""

import argparse
import sys
from pathlib import Path

from domain_tokens.cli.common import new_parser, reader_may_leave, to_rich, wide_console
from domain_tokens.cli.options import local_path
from domain_tokens.recipe import RecipeError, user_errors
from domain_tokens.recipe.checks import check_folder

_WIDTH = 175
_FOLDER = "adaptation"


def main(description: str | None) -> None:
    """Run `scripts/analyze_adaptation.py`: analyse, print tables and sentences, and the path of the page.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_args()
    with user_errors():
        # Imported after parsing, so that --help and usage errors appear at once.
        from domain_tokens.seal.analysis.analyze import analyze
        from domain_tokens.seal.analysis.reading import AdaptedRun, read_runs
        from domain_tokens.seal.analysis.report.page import lines, write
        from domain_tokens.seal.analysis.report.tables import tables

        if arguments.output is not None:
            check_folder("--output", arguments.output)
        runs: list[AdaptedRun] = read_runs(arguments.runs)
        output = arguments.output or _beside([run.run for run in runs])
        check_folder("--output", output)
        found = analyze(runs)
        page = write(found, output)
    with reader_may_leave():
        console = wide_console(_WIDTH)
        with console.capture() as shown:  # the console itself would end the program if nobody reads it
            for table in tables(found):
                console.print(to_rich(table))
        sys.stdout.write(shown.get())
        for line in lines(found):
            sys.stdout.write(f"{line}\n")
        sys.stdout.write(f"{page}\n")


def _beside(runs: list[Path]) -> Path:
    """Return where results go: into the folder of one run, or that of the experiment of several."""
    if len(runs) == 1:
        return runs[0] / _FOLDER
    experiments = {run.parents[1] for run in runs}
    if len(experiments) > 1:
        raise RecipeError("the runs belong to several experiments; say with --output where the results go")
    return experiments.pop() / _FOLDER


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    parser.add_argument(
        "runs",
        nargs="+",
        type=local_path,
        metavar="RUN",
        help="an adapted run, outputs/<experiment>/exp_<condition>/seed_<n>, or its folder seal",
    )
    parser.add_argument(
        "--output",
        type=local_path,
        metavar="DIR",
        help="output folder (default: adaptation/ in the folder of one run, or of the experiment of several)",
    )
    return parser
