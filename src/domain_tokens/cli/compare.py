"""The command line of `scripts/compare.py`."""

import argparse
from pathlib import Path

from rich.console import Console

from domain_tokens.analysis.compare import compare_conditions
from domain_tokens.analysis.matching import match
from domain_tokens.analysis.overview import write_overview
from domain_tokens.analysis.report import tables
from domain_tokens.recipe import RecipeError, user_errors
from domain_tokens.runs.results import Condition, Pair, load_condition


def main(description: str | None) -> None:
    """Read the command line of `scripts/compare.py`, compare, and print the tables and the files' paths.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path, metavar="EXP_A", help="the reference, like outputs/demo/exp_baseline")
    parser.add_argument("others", type=Path, nargs="+", metavar="EXP_B", help="the conditions to compare with it")
    parser.add_argument("--output", type=Path, help="where to write (default: the folder that holds the conditions)")
    parser.add_argument(
        "--prereg",
        type=Path,
        default=Path("recipes/prereg.yaml"),
        help="the declaration as it stands now (default: recipes/prereg.yaml); the runs recorded it as it was",
    )
    arguments = parser.parse_args()
    with user_errors():
        output_dir = arguments.output or _common_folder(arguments.reference, *arguments.others)
        compare_all(arguments.reference, arguments.others, output_dir, arguments.prereg)


def compare_all(reference_dir: Path, other_dirs: list[Path], output_dir: Path, prereg: Path | None) -> None:
    """Compare each condition with the first, and print the tables; with several others, write an overview too."""
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, 150)  # a table is not cut in a file or a narrow terminal
    reference, *others = (load_condition(folder) for folder in (reference_dir, *other_dirs))
    _check_apart(others)
    for other in others:  # all of them before anything is written
        Pair(reference, other)  # refuses what does not pair
        match(reference, other)
    found = {}
    for other in others:
        name = f"{reference.folder.name}_{other.folder.name}".replace("exp_", "")
        folder = output_dir if len(other_dirs) == 1 else output_dir / name
        results = compare_conditions(reference, other, folder, prereg)
        found[name] = results
        if len(other_dirs) == 1:
            makers = (tables.result_table, tables.use_table, tables.text_table)
            for table in (make(results) for make in makers):
                console.print(tables.to_rich(table))
        for departure in results["declaration"]["departures"]:
            console.print(f"Declared otherwise: {departure}", style="red", markup=False)
        console.print(results["verdict"]["sentence"], markup=False)
        for written in ("results.json", "results.md", "report.html", "plots"):
            console.print(str(folder / written), markup=False)
    if len(other_dirs) > 1:
        overview = write_overview(found, [reference, *others], output_dir)
        for table in (tables.overview_table(overview), tables.factor_table(overview)):
            if table.rows:
                console.print(tables.to_rich(table))
        console.print(str(output_dir / "report.html"), markup=False)


def _check_apart(others: list[Condition]) -> None:
    """Check that no condition and no folder's name comes twice: one report would take the other's place."""
    for index, other in enumerate(others):
        for before in others[:index]:
            if other.name == before.name:
                raise RecipeError(f"{before.folder} and {other.folder}: both hold the condition {other.name!r}")
            if other.folder.name == before.folder.name:
                raise RecipeError(
                    f"{before.folder} and {other.folder}: their reports would be written to one folder; rename one"
                )


def _common_folder(reference: Path, *others: Path) -> Path:
    for other in others:
        if reference.resolve().parent != other.resolve().parent:
            raise RecipeError(
                f"{reference} and {other} lie in different folders: say where to write with --output DIR"
            )
    return reference.parent
