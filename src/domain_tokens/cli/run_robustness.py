"""The command line of `scripts/run_robustness.py`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from domain_tokens.cli.common import new_parser, to_rich, wide_console
from domain_tokens.cli.options import local_path, number_of_processes, seed
from domain_tokens.recipe import user_errors

if TYPE_CHECKING:
    from domain_tokens.experiment.robustness import Planned, Robustness

_WIDTH = 160  # of the table


def main(description: str | None) -> None:
    """Run `scripts/run_robustness.py`: run what is missing, then write the specification curve.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_args()
    with user_errors():
        _main(arguments)


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    parser.add_argument(
        "--file", type=local_path, default=Path("recipes/robustness.yaml"), help="default: %(default)s"
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="run the headline and these variations alone"
    )
    parser.add_argument("--seeds", nargs="+", type=seed, default=[], metavar="N", help="in place of the file's")
    parser.add_argument("--jobs", type=number_of_processes, metavar="N", help="how many runs to do at a time")
    parser.add_argument(
        "--dry-run", action="store_true", help="list the variations and the stages that each needs; change nothing"
    )
    parser.add_argument("--only-curve", action="store_true", help="run nothing; read the results that exist")
    parser.add_argument("--update-page", action="store_true", help="write the curve into the file's page too")
    return parser


def _main(arguments: argparse.Namespace) -> None:
    # Imported after parsing, so that --help and usage errors appear at once.
    from domain_tokens.experiment.robustness import check_page, load_robustness, plan, read_curve, write_curve

    robustness = load_robustness(arguments.file, arguments.seeds)
    chosen = plan(robustness, arguments.only)
    if arguments.dry_run:
        _show_plans(robustness, chosen)
        return
    if arguments.update_page:
        check_page(robustness)
    if not arguments.only_curve:
        _run(arguments, robustness, chosen)
    curve = read_curve(robustness, chosen if not arguments.only else plan(robustness, []))
    files = write_curve(robustness, curve, arguments.update_page)
    from domain_tokens.analysis.specification.page import curve_table, sentence

    console = wide_console(_WIDTH)
    console.print(to_rich(curve_table(curve)))
    console.print(sentence(curve), markup=False)
    for file in files:
        console.print(str(file), markup=False)


def _run(arguments: argparse.Namespace, robustness: "Robustness", chosen: "list[Planned]") -> None:
    from domain_tokens.cli.running import running_experiments
    from domain_tokens.experiment import Options
    from domain_tokens.experiment.robustness import run_robustness

    config_file = None if robustness.config_file is None else Path(robustness.config_file)
    with running_experiments() as display:
        run_robustness(robustness, chosen, Options(config_file, jobs=arguments.jobs), display)


def _show_plans(robustness: "Robustness", chosen: "list[Planned]") -> None:
    """Print for every variation what differs and which stages its runs share with the headline."""
    console = wide_console(_WIDTH)
    num_seeds = len(robustness.seeds)
    for one in chosen:
        variation = robustness.variations.get(one.name)
        words = "as declared" if variation is None else variation.words
        console.print(f"{one.name}: {words}", markup=False)
        for line in one.describe(num_seeds):
            console.print(f"    {line}", markup=False)
    console.print("Dry run: nothing was changed.", markup=False)
