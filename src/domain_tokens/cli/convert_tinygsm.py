"""The command line of `scripts/convert_tinygsm.py`."""

import argparse
import itertools
import os
import time
from typing import TYPE_CHECKING

from domain_tokens.cli.common import local_copy_by, new_parser, wide_console
from domain_tokens.cli.endpoint_options import add_endpoint_options, check_options, estimate_lines, model_route
from domain_tokens.cli.options import local_path, whole_number
from domain_tokens.recipe import RecipeError, Source, user_errors

if TYPE_CHECKING:
    from rich.table import Table

    from domain_tokens.corpora.solutions.records import Counts, SolutionSettings
    from domain_tokens.corpora.solutions.route import MakeRoute

_TRIED = 1000  # rows of a dry run
_ROUTES = ("rules", "api")


def main(description: str | None) -> None:
    """Run `scripts/convert_tinygsm.py`: write solutions in prose in shards, or say what that would take.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = _parser(description)
    arguments = parser.parse_args()
    if bool(arguments.path) == bool(arguments.hub):
        parser.error("expected either files or --hub NAME")
    for name in ("config", "split", "revision"):
        if not arguments.hub and getattr(arguments, name) is not None:
            parser.error(f"--{name} is an option of --hub")
    check_options(parser, arguments)
    with user_errors(), local_copy_by("give the files of a local copy in place of --hub"):
        source = _source(arguments)
        source.check("source")
        from domain_tokens.corpora.solutions.problems import read_problems
        from domain_tokens.corpora.solutions.records import REJECTED
        from domain_tokens.corpora.solutions.shards import write_solutions

        if arguments.dry_run and arguments.route == "api":
            wide_console(100).print("\n".join(estimate_lines(arguments, source)), markup=False)
            return
        make = _route(arguments, source)
        settings = _settings(arguments, source, make)
        num_rows = arguments.rows if source.kind == "hub" else sum(1 for _ in read_problems(source))
        if arguments.dry_run:
            _dry_run(arguments, source, make, num_rows)
            return
        with make():  # what it needs is missing here, and not in a worker
            problems = read_problems(source)
        workers = min(arguments.workers, os.cpu_count() or 1)
        record = write_solutions(problems, num_rows, make, settings, arguments.output, workers)
        console = wide_console(100)
        number = len(record.shards)
        console.print(_table(record.counts, f"{arguments.output}: {number:,} {'shard' if number == 1 else 'shards'}"))
        if record.counts.rejected:
            console.print(f"{arguments.output / REJECTED}: which rows have no solution, and why", markup=False)
        if not record.counts.solved:
            raise RecipeError(f"{arguments.output}: no row has a solution; the table says why")


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    parser.add_argument("path", nargs="*", metavar="FILE", help="jsonl, json or parquet files, folders or patterns")
    parser.add_argument("--hub", metavar="NAME", help="a data set on the Hub, in place of files")
    parser.add_argument("--config", metavar="NAME", help="its configuration")
    parser.add_argument("--split", metavar="NAME", help="its split (default: train)")
    parser.add_argument("--revision", metavar="COMMIT", help="its commit (default: the newest)")
    parser.add_argument("--question-key", default="question", metavar="COLUMN", help="default: %(default)s")
    parser.add_argument("--program-key", default="code", metavar="COLUMN", help="default: %(default)s")
    parser.add_argument(
        "--licence", metavar="TEXT", help="of the data set, recorded (default: as its card on the Hub)"
    )
    parser.add_argument("--output", type=local_path, required=True, metavar="DIR", help="where the shards go")
    parser.add_argument("--rows", type=whole_number, metavar="N", help="read the first N rows (default: all)")
    parser.add_argument(
        "--rows-per-shard", type=whole_number, default=10_000, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--workers",
        type=whole_number,
        default=1,
        metavar="N",
        help="processes, at most one a processor (default: %(default)s)",
    )
    parser.add_argument(
        "--route", choices=_ROUTES, default="rules", help="how solutions are made (default: %(default)s)"
    )
    parser.add_argument(
        "--split-products", action="store_true", help="work out products of longer numbers by single digits"
    )
    parser.add_argument(
        "--verify", action="store_true", help="execute each program in the jail, too, and compare the results"
    )
    parser.add_argument(
        "--allow-without-seccomp",
        action="store_true",
        help="work where system calls cannot be filtered; only for programs whose origin you trust",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help=f"convert {_TRIED:,} rows, and estimate the others; with --route api count requests, tokens and cost",
    )
    add_endpoint_options(parser)
    return parser


def _source(arguments: argparse.Namespace) -> Source:
    columns = {"question_key": arguments.question_key, "answer_key": arguments.program_key}
    if not arguments.hub:
        return Source(
            name="programs",
            kind="file",
            path=arguments.path,
            max_items=arguments.rows,
            licence=arguments.licence,
            **columns,
        )
    from domain_tokens.corpora.hub import licence_on_hub, pinned

    source = Source(
        name="programs", kind="hub", path=arguments.hub, config=arguments.config, split=arguments.split or "train",
        revision=arguments.revision, max_items=arguments.rows, licence=arguments.licence, **columns,
    )  # fmt: skip
    source = pinned(source)
    source.licence = source.licence or licence_on_hub(source)
    return source


def _route(arguments: argparse.Namespace, source: Source) -> "MakeRoute":
    if arguments.route == "api":
        return model_route(arguments, source)
    from domain_tokens.corpora.solutions.rules import MakeRules
    from domain_tokens.evaluation.equations import all_hold

    return MakeRules(all_hold, arguments.split_products, arguments.verify, arguments.allow_without_seccomp)


def _settings(arguments: argparse.Namespace, source: Source, make: "MakeRoute") -> "SolutionSettings":
    """Return all that the shards depend on; not the number of rows, which may grow."""
    from domain_tokens.corpora.solutions.records import SolutionSettings
    from domain_tokens.corpora.sources import describe
    from domain_tokens.tokenization.intervention import default_intervention

    described = {key: value for key, value in describe(source).items() if key != "max_items"}
    return SolutionSettings(
        source=described,
        licence=source.licence,
        route=dict(make.settings),
        rows_per_shard=arguments.rows_per_shard,
        counted_as=default_intervention().name,
    )


def _dry_run(arguments: argparse.Namespace, source: Source, make: "MakeRoute", num_rows: int | None) -> None:
    """Convert the first rows, and print what all of them would come to."""
    from domain_tokens.corpora.solutions.problems import read_problems
    from domain_tokens.corpora.solutions.shards import solve

    problems = list(itertools.islice(read_problems(source), _TRIED))
    if not problems:
        raise RecipeError("no rows; expected questions with programs")
    with make() as route:
        begun = time.perf_counter()
        made = solve(problems, route)
        seconds = time.perf_counter() - begun
    console = wide_console(100)
    console.print(_table(made.counts, f"the first {len(problems):,} rows; nothing was written"))
    if num_rows is None:
        console.print("The number of rows is not known before they are read; give --rows for an estimate.")
        return
    scale = num_rows / len(problems)
    minutes = seconds * scale / arguments.workers / 60
    console.print(
        f"All {num_rows:,} rows: about {made.counts.solved * scale:,.0f} solutions, "
        f"{len(made.text.encode()) * scale / 1e6:,.1f} MB, {minutes:,.1f} minutes with --workers {arguments.workers} "
        "on this machine. Cost: none, no endpoint is asked."
    )


def _table(counts: "Counts", title: str) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title))  # a folder's name is no markup
    table.add_column("")
    table.add_column("rows", justify="right")
    table.add_column("%", justify="right")
    table.add_row("read", f"{counts.rows:,}", "")
    table.add_row("solved", f"{counts.solved:,}", _percent(counts.solved, counts.rows))
    for reason, number in sorted(counts.rejected.items(), key=lambda item: -item[1]):
        table.add_row(f"  rejected: {reason}", f"{number:,}", _percent(number, counts.rows))
    solved = max(1, counts.solved)
    table.caption = (
        f"facts per solution: {counts.facts_before / solved:.3f} in the programs, {counts.facts_after / solved:.3f} "
        f"in the prose; {_percent(counts.solutions_with_facts, solved)}% of the solutions have one"
    )
    return table


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.1f}"
