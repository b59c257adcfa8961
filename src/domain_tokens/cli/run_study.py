"""The command line of `scripts/run_study.py`."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from domain_tokens.cli.common import new_parser, slow_steps_said, to_rich, wide_console
from domain_tokens.cli.options import above_zero, fraction, local_path, number_of_processes, seed, whole_number
from domain_tokens.recipe import RecipeError, user_errors
from domain_tokens.recipe.values.overrides import layered
from domain_tokens.runs.progress import begin
from domain_tokens.training.devices import PEAK_FLOPS, TRAINING_MFU

if TYPE_CHECKING:
    from domain_tokens.experiment.tasks import TaskFailed
    from domain_tokens.studies.declaration import Study
    from domain_tokens.studies.points import Point

_WIDTH = 150
_HOUR = 3600.0


def main(description: str | None) -> None:
    """Run `scripts/run_study.py`: run what is missing, then write the table, the fits and the plots.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_args()
    with user_errors():
        sys.exit(_main(arguments))


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    parser.add_argument(
        "study", type=local_path, metavar="STUDY", help="for example recipes/studies/scaling_width.yaml"
    )
    add_variations(parser)
    parser.add_argument("--only", nargs="+", default=[], metavar="POINT", help="run these points alone")
    parser.add_argument("--dry-run", action="store_true", help="print the table of points; change nothing")
    parser.add_argument("--skip-invalid", action="store_true", help="run the other points although some are invalid")
    parser.add_argument("--only-table", action="store_true", help="run nothing; read the results that exist")
    parser.add_argument(
        "--copy-to", type=local_path, metavar="DIR", help="copy study, table, fits and pictures into this folder too"
    )
    parser.add_argument("--only-data", action="store_true", help="prepare the data of the points, and train nothing")
    parser.add_argument(
        "--slurm", action="store_true", help="submit an array of jobs, one for each point, and one for the table"
    )
    parser.add_argument("--jobs", type=number_of_processes, metavar="N", help="how many runs to do at a time")
    parser.add_argument("--threads", type=number_of_processes, metavar="N", help="threads per stage")
    parser.add_argument("--device", choices=PEAK_FLOPS, help="estimate time for devices of this type")
    parser.add_argument("--devices", type=whole_number, default=1, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument(
        "--mfu", type=fraction, default=TRAINING_MFU, metavar="X",
        help="fraction of peak FLOP/s reached in training (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--price", type=above_zero, metavar="P", help="price of one device-hour, in any currency")
    return parser


def add_variations(parser: argparse.ArgumentParser) -> None:
    """Add the options that vary a study from what its file declares; `declared` reads them."""
    parser.add_argument("--seeds", nargs="+", type=seed, default=[], metavar="N", help="in place of the file's")
    parser.add_argument(
        "--set", action="extend", nargs="+", default=[], dest="overrides", metavar="KEY=VALUE",
        help="overrides for every point, e.g. pretrain.max_steps=50",
    )  # fmt: skip
    parser.add_argument("--name", help="of the study, in place of the file's, for a try beside it")


def declared(arguments: argparse.Namespace, file: Path) -> "Study":
    """Return a study as its file and the options of `add_variations` declare it. Raises `RecipeError` if it is wrong.

    Args:
        arguments: of the command line.
        file (`Path`): the study's file.
    """
    from domain_tokens.studies.declaration import load_study

    study = load_study(file)
    study = replace(
        study,
        study=arguments.name or study.study,
        seeds=arguments.seeds or study.seeds,
        overrides=layered(study.overrides, arguments.overrides),
    )
    study.check(str(file))
    return study


def _main(arguments: argparse.Namespace) -> int:
    from domain_tokens.studies.declared import declare
    from domain_tokens.studies.points import points_of

    if arguments.slurm and (arguments.only_data or arguments.only_table):
        raise RecipeError("--slurm: submits data, points and table; expected it without --only-data and --only-table")
    study = declared(arguments, arguments.study)
    warnings.filterwarnings("ignore", category=FutureWarning)  # the libraries' own, of deprecated names
    with slow_steps_said():
        begin("reading the recipe of every point")
        every = points_of(study, str(arguments.study))
        chosen = _chosen(every, arguments.only)
        if not arguments.only_table:
            from domain_tokens.studies.checking import checked

            chosen = checked(study, chosen)
    if arguments.only_table:
        _write(study, every, arguments.copy_to)
        return 0
    if arguments.dry_run:
        return _show_points(arguments, study, chosen)
    if (invalid := [point for point in chosen if point.problem]) and not arguments.skip_invalid:
        raise RecipeError(
            f"{invalid[0].name}: {invalid[0].problem}; {len(invalid)} of {len(chosen)} points are invalid "
            "(--dry-run lists them); change the grid, or run the others with --skip-invalid"
        )
    declare(study, every)
    if arguments.slurm:
        return _submit(arguments, study, chosen)
    failed = _run(arguments, study, every, chosen)
    if arguments.only_data:
        return _say_failed(failed)
    found = {point.name: point for point in chosen}
    _write(study, [found.get(point.name, point) for point in every], arguments.copy_to)
    return _say_failed(failed)


def _say_failed(failed: "list[TaskFailed]") -> int:
    """Name what failed, and return the exit code."""
    for one in failed:
        lines = (
            one.task.log.read_text(encoding="utf-8", errors="replace").splitlines() if one.task.log.is_file() else []
        )
        why = next((line for line in reversed(lines) if line.startswith("error: ")), f"exit code {one.code}")
        sys.stderr.write(f"failed: {one.task.name}: {why.removeprefix('error: ')}; its log: {one.task.log}\n")
    if failed:
        sys.stderr.write("runs that did not need these went on; the same command runs what is missing again\n")
    return 1 if failed else 0


def _chosen(points: "list[Point]", names: Sequence[str]) -> "list[Point]":
    known = [point.name for point in points]
    if unknown := [name for name in names if name not in known]:
        raise RecipeError(f"--only: no point {unknown[0]!r}; expected one of {', '.join(known)}")
    return [point for point in points if not names or point.name in names]


def _run(
    arguments: argparse.Namespace, study: "Study", every: "list[Point]", chosen: "list[Point]"
) -> "list[TaskFailed]":
    from domain_tokens.cli.running import running_experiments
    from domain_tokens.experiment import Options
    from domain_tokens.studies.running import run_study

    config_file = None if study.config_file is None else Path(study.config_file)
    options = Options(config_file, jobs=arguments.jobs, threads=arguments.threads)
    with running_experiments(announces=False) as display:
        return run_study(study, every, chosen, options, display, arguments.only_data)


def _submit(arguments: argparse.Namespace, study: "Study", points: "list[Point]") -> int:
    """Submit the jobs and print their numbers."""
    from domain_tokens.studies.running import source_of
    from domain_tokens.studies.slurm import submit
    from domain_tokens.studies.table import missing_runs

    own = [point for point in points if point.is_run and missing_runs(study, [point])]
    if not own:
        raise RecipeError("--slurm: every point is complete; --only-table writes the table")
    sources = list({one.name: one for one in (source_of(point, own) for point in own)}.values())
    same = ["--name", study.study, "--seeds", *map(str, study.seeds), "--skip-invalid"]
    same += ["--set", *arguments.overrides] if arguments.overrides else []
    for option in ("jobs", "threads"):
        if (value := getattr(arguments, option)) is not None:
            same += [f"--{option}", str(value)]
    copies = [] if arguments.copy_to is None else ["--copy-to", str(arguments.copy_to)]
    jobs = submit(study, arguments.study, own, sources, same, copies)
    console = wide_console(_WIDTH)
    console.print(f"data    {', '.join(jobs.data.values())}", markup=False)
    console.print(f"points  {', '.join(f'{name}: {job}' for name, job in jobs.points.items())}", markup=False)
    console.print(f"table   {jobs.table}, when all have ended", markup=False)
    console.print(f"output  {jobs.folder}", markup=False)
    return 0


def _show_points(arguments: argparse.Namespace, study: "Study", points: "list[Point]") -> int:
    """Print what each point is and takes; the exit code is 2 if one is invalid."""
    from domain_tokens.analysis.report.tables.table import Table
    from domain_tokens.studies.sizes import measured_speed, size_of
    from domain_tokens.studies.table import missing_runs, runs_of_others

    speed, source = measured_speed(study, points), "measured in this study's finished runs"
    if arguments.device is not None:
        speed = PEAK_FLOPS[arguments.device] * arguments.mfu * arguments.devices
        source = f"{arguments.devices} x {arguments.device} at {arguments.mfu:.0%} of the peak, assumed"
    rows, total = [], 0.0
    for point in points:
        if not point.is_run:
            rows.append([point.name, *[""] * 5, "invalid" if point.problem else f"the same as {point.same_as}"])
            continue
        size, left = size_of(point), len(missing_runs(study, [point]))
        flops = size.flops * len(point.recipes) * len(study.seeds)
        total += flops
        rows.append([
            point.name, f"{size.non_embedding:,}", f"{size.parameters:,}", f"{size.tokens:,.0f}", f"{size.flops:.2e}",
            "" if speed is None else _hours(flops / speed),
            ("complete" if not left else f"{_number(left, 'run')} to do") + (", held out" if point.held_out else ""),
        ])  # fmt: skip
    header = ["point", "N", "parameters", "tokens", "FLOPs of a run", "time", "runs"]
    console = wide_console(_WIDTH)
    if study.question:
        console.print(study.question, markup=False)
    note = f"{_scope(study, points)} {_time(arguments, speed, source, total)}"
    console.print(to_rich(Table(study.study, header, rows, note, labels=1)))
    for point in points:
        if point.problem:
            console.print(f"invalid: {point.name}: {point.problem}", markup=False)
    for line in runs_of_others(study, points):
        console.print(f"would be refused: {line}", markup=False)
    console.print("Dry run: nothing was changed.", markup=False)
    return 2 if any(point.problem for point in points) else 0


def _scope(study: "Study", points: "list[Point]") -> str:
    names = list(dict.fromkeys(recipe.condition for point in points for recipe in point.recipes))
    conditions, seeds = _number(len(names), "condition"), _number(len(study.seeds), "seed")
    return f"N: parameters without embeddings. {conditions} ({', '.join(names)}), {seeds}."


def _time(arguments: argparse.Namespace, speed: float | None, source: str, flops: float) -> str:
    if speed is None:
        return "Time: unknown before a run is finished; --device estimates it for one of a type."
    together = _hours(flops / speed)
    text = f"Time: of all runs of a point, one after the other, training alone; {source}. Together {together}"
    if arguments.price is None:
        return f"{text}."
    cost = flops / speed / _HOUR * arguments.devices * arguments.price
    return f"{text}, {cost:,.2f} at {arguments.price:g} a device-hour."


def _number(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _hours(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * _HOUR else f"{seconds / _HOUR:,.1f} h"


def _write(study: "Study", points: "list[Point]", copy_to: Path | None) -> None:
    """Write the table, the plots and the fits, print a line for each run, and copy what was written."""
    from domain_tokens.analysis.report.tables.table import Table
    from domain_tokens.studies.points import varied_keys
    from domain_tokens.studies.results import copy_results, fit_study, plot_study
    from domain_tokens.studies.table import missing_runs, rows_of, runs_of_others, write_table

    rows, keys = rows_of(study, points), varied_keys(points)
    if not rows:
        raise RecipeError(f"{study.folder}: no run is complete, so there is no table; run the study first")
    files = [*write_table(study, rows, keys), *plot_study(study, rows, keys)]
    console = wide_console(_WIDTH)
    shown = [
        [
            str(row["point"]), str(row["condition"]), str(row["seed"]), f"{row['non_embedding_parameters']:,}",
            f"{row['tokens']:,}", f"{row['bits_per_byte']:.4f}", f"{row['bits_per_byte_model']:.4f}",
            f"{row['perplexity']:.3f}",
        ]
        for row in rows
        if row["final"]
    ]  # fmt: skip
    header = ["point", "condition", "seed", "N", "tokens", "bits/byte", "of the model alone", "perplexity"]
    note = "bits/byte count what the tokenizer drops from the text too. Perplexity is per token: one condition's own."
    console.print(to_rich(Table(study.study, header, shown, note, labels=3)))
    for line in runs_of_others(study, points):
        console.print(f"left out, {line}", markup=False)
    if missing := missing_runs(study, points):
        console.print(f"not complete: {_number(len(missing), 'run')}, the first: {missing[0]}", markup=False)
    if study.fits:
        found = fit_study(study, points, rows)
        files += found.files
        for line in found.lines:
            console.print(line, markup=False)
    if copy_to is not None:
        copy_results(study, files, copy_to)
        files = [copy_to]
    for file in files:
        if file.suffix != ".svg":
            console.print(str(file), markup=False)
