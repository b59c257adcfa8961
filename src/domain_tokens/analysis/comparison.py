"""The comparison of two conditions: read, check, compute, write results.json, results.md, report.html and plots."""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from domain_tokens.analysis import plots, report, tables
from domain_tokens.analysis.ablations import ablation_rows, sample_rows
from domain_tokens.analysis.answers import paired_answers
from domain_tokens.analysis.curves import bits_rows, curve_rows
from domain_tokens.analysis.declaration import declaration
from domain_tokens.analysis.equation_use import equation_rows, mistake_rows
from domain_tokens.analysis.formats import plain
from domain_tokens.analysis.matching import match
from domain_tokens.analysis.needs import need_rows
from domain_tokens.analysis.origins import injection, provenance, reference_results, reproduce
from domain_tokens.analysis.outcomes import PRIMARY, further_looks, result_rows
from domain_tokens.analysis.overview import write_overview
from domain_tokens.analysis.results import Condition, check_pairs, load_condition
from domain_tokens.analysis.usage import text_and_compute, token_use
from domain_tokens.analysis.verdict import success_criteria, verdict
from domain_tokens.recipe import RecipeError, user_errors

SCHEMA_VERSION = 2


def compare(reference_dir: Path, other_dir: Path, output_dir: Path, prereg: Path | None = None) -> dict[str, Any]:
    """Compare two conditions and write `results.json`, `results.md`, `report.html` and `plots/` to `output_dir`.

    Args:
        reference_dir (`Path`): `outputs/<experiment>/exp_<condition>`; differences are the other's less this one's.
        other_dir (`Path`): the condition to compare with it.
        output_dir (`Path`): where the files are written. The same inputs give the same bytes.
        prereg (`Path`, *optional*): the declaration as it stands now, compared with the one that the runs recorded.

    Returns:
        `dict`: what `results.json` holds; accuracies and differences are fractions of 1.

    Raises:
        RecipeError: if results are missing, damaged or not paired, or if the runs are not compute-matched. Nothing is
            written then.
    """
    reference, other = load_condition(reference_dir), load_condition(other_dir)
    check_pairs(reference, other)
    return _write(reference, other, output_dir, prereg)


def _write(reference: Condition, other: Condition, output_dir: Path, prereg: Path | None) -> dict[str, Any]:
    results = assemble(reference, other, prereg)
    images = plots.render(plots.draw(reference, other, results))
    markdown, html = report.to_markdown(results), report.to_html(results, images)
    report.write_files(output_dir, "results", results, markdown, html, images)
    return results


def assemble(reference: Condition, other: Condition, prereg: Path | None = None) -> dict[str, Any]:
    """Return the whole comparison as plain values: what `results.json` holds, and `results_schema.json` describes."""
    ledger = match(reference, other)
    declared = declaration(reference, other, prereg)
    rows = result_rows(reference, other, declared)
    (primary,) = (row for row in rows if row["role"] == PRIMARY)
    num_seeds = len(reference.seeds)
    return plain(
        {
            "schema_version": SCHEMA_VERSION,
            "experiment": reference.folder.resolve().parent.name,
            "label": "pilot, one seed" if num_seeds == 1 else f"{num_seeds} seeds",
            "seeds": list(reference.seeds),
            "reference": reference.name,
            "other": other.name,
            "primary_endpoint": {key: primary[key] for key in ("model", "task", "metric", "group")},
            "declaration": {
                "is_declared": declared.is_declared,
                "departures": declared.departures,
                "record": declared.record,
            },
            "verdict": verdict(primary, declared, reference.name, other.name),
            "success_criteria": success_criteria(rows, reference, other),
            "rows": rows,
            "further_looks": further_looks(reference, other, primary),
            "needs": need_rows(reference, other),
            "equations": equation_rows(reference, other),
            "mistakes": mistake_rows(reference, other),
            "ablations": ablation_rows(reference, other),
            "samples": sample_rows(reference, other),
            "bits_per_byte": bits_rows(reference, other),
            "curves": curve_rows(reference, other),
            "text_and_compute": text_and_compute(reference, other),
            "token_use": token_use(reference, other),
            "answers": paired_answers(reference, other, primary["model"], primary["task"]),
            "ledger": ledger,
            "injection": injection(reference, other),
            "provenance": provenance(reference, other),
            "reference_results": reference_results(),
            "reproduce": reproduce(reference, other),
        }
    )


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
        check_pairs(reference, other)
        match(reference, other)
    found = {}
    for other in others:
        name = f"{reference.folder.name}_{other.folder.name}".replace("exp_", "")
        folder = output_dir if len(other_dirs) == 1 else output_dir / name
        results = _write(reference, other, folder, prereg)
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
