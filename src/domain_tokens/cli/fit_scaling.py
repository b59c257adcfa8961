"""The command line of `scripts/fit_scaling.py`."""

import argparse
import sys
from pathlib import Path

from domain_tokens.cli.common import new_parser, to_rich, wide_console
from domain_tokens.cli.options import above_zero, local_path
from domain_tokens.recipe import user_errors

_ROLES = (
    "parameters", "tokens", "flops", "context", "loss", "condition", "point", "seed", "run", "step", "final",
    "held_out",
)  # fmt: skip
_WIDTH = 150


def main(description: str | None) -> None:
    """Run `scripts/fit_scaling.py`. A user's mistake ends the program with a single error message.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_args()
    with user_errors():
        # Imported after parsing, so that --help and usage errors appear at once.
        from domain_tokens.analysis.scaling.analyze import Options, analyze
        from domain_tokens.analysis.scaling.records import Analysis
        from domain_tokens.analysis.scaling.report.page import (
            fit_table,
            multiplier_table,
            prediction_table,
            read_words,
        )

        options = Options(
            columns={role: named for role in _ROLES if (named := getattr(arguments, role)) is not None},
            forms=() if "all" in arguments.form else tuple(arguments.form),
            huber_delta=arguments.huber_delta,
            reference=arguments.reference,
        )
        output: Path = arguments.output or arguments.table.parent / "fits"
        files = analyze(arguments.table, output, options)
        found = Analysis.model_validate_json(files[0].read_text(encoding="utf-8"))
    for line in (read_words(found), *found.notes, *(f"not fitted: {reason}" for reason in found.refused)):
        sys.stdout.write(f"{line}\n")
    console = wide_console(_WIDTH)
    for table in (fit_table(found.fits), prediction_table(found), *map(multiplier_table, found.pairs)):
        if table.rows:
            console.print(to_rich(table))
    for pair in found.pairs:
        sys.stdout.write(f"{pair.sentence}\n")
    sys.stdout.write(f"{output}\n")


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = new_parser(description)
    parser.add_argument("table", type=local_path, metavar="CSV", help="a row for each finished model")
    parser.add_argument(
        "--output", type=local_path, metavar="DIR", help="folder of the fits (default: fits/ beside CSV)"
    )
    parser.add_argument(
        "--form",
        nargs="+",
        default=["all"],
        choices=["N", "D", "C", "T", "joint", "all"],
        help="forms: in parameters, tokens, FLOPs, context, or parameters and tokens (default: all that CSV allows)",
    )
    parser.add_argument(
        "--huber-delta",
        type=above_zero,
        metavar="X",
        help="residual of log L at which the loss turns linear (default: 1.345 robust standard deviations)",
    )
    parser.add_argument("--reference", metavar="NAME", help="the condition to compare with (default: CSV's first)")
    for role in _ROLES:
        parser.add_argument(
            f"--{role.replace('_', '-')}",
            metavar="COLUMN",
            help=f"column of {role.replace('_', ' ')}, if its name does not tell",
        )
    return parser
