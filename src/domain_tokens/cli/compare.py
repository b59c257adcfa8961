"""The command line of `scripts/compare.py`."""

import argparse
from pathlib import Path

from domain_tokens.cli.common import new_parser, to_rich, wide_console
from domain_tokens.recipe import RecipeError, user_errors


def main(description: str | None) -> None:
    """Read the command line of `scripts/compare.py`, compare, and print the tables and the files' paths.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_args()
    # Imported after the command line was read, so that help and errors in it come at once.
    from domain_tokens.analysis.compare import compare_all
    from domain_tokens.analysis.report import tables

    with user_errors():
        output_dir = arguments.output or _common_folder(arguments.reference, *arguments.others)
        comparisons, overview = compare_all(arguments.reference, arguments.others, output_dir, arguments.prereg)
    console = wide_console(150)
    for comparison in comparisons:
        results = comparison.results
        if overview is None:
            for make in (tables.result_table, tables.use_table, tables.text_table):
                console.print(to_rich(make(results)))
        for departure in results.preregistration.departures:
            console.print(f"Departs from the preregistration: {departure}", style="red", markup=False)
        console.print(results.verdict.sentence, markup=False)
        for path in comparison.files:
            console.print(str(path), markup=False)
    if overview is not None:
        for table in (tables.overview_table(overview), tables.factor_table(overview)):
            if table.rows:
                console.print(to_rich(table))
        console.print(str(output_dir / "report.html"), markup=False)


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    parser.add_argument("reference", type=Path, metavar="EXP_A", help="the reference, like outputs/demo/exp_baseline")
    parser.add_argument("others", type=Path, nargs="+", metavar="EXP_B", help="the conditions to compare with it")
    parser.add_argument("--output", type=Path, help="where to write (default: the folder that holds the conditions)")
    parser.add_argument(
        "--prereg",
        type=Path,
        default=Path("recipes/prereg.yaml"),
        help="the preregistration as it is now (default: recipes/prereg.yaml); the runs recorded it as it was",
    )
    return parser


def _common_folder(reference: Path, *others: Path) -> Path:
    for other in others:
        if reference.resolve().parent != other.resolve().parent:
            raise RecipeError(
                f"{reference} and {other} lie in different folders; give the folder to write to with --output DIR"
            )
    return reference.parent
