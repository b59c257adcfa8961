"""The command line of `scripts/check_study.py`."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from domain_tokens.cli.common import new_parser
from domain_tokens.cli.options import local_path
from domain_tokens.cli.run_study import add_variations, declared
from domain_tokens.recipe import RecipeError, user_errors

_HOLDS, _MISSING = "  holds    ", "  missing  "
_SHOWN = 5  # problems of one claim


def main(description: str | None) -> None:
    """Run `scripts/check_study.py`: print what of a study holds and what does not.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    parser = new_parser(description)
    parser.add_argument(
        "studies", type=local_path, nargs="+", metavar="STUDY", help="for example recipes/studies/scaling_width.yaml"
    )
    add_variations(parser)
    arguments = parser.parse_args()
    if arguments.name is not None and len(arguments.studies) > 1:
        parser.error("--name: of one study; expected only one STUDY beside it")
    with user_errors():
        lines = [line for path in arguments.studies for line in _lines(arguments, path)]
    sys.stdout.write("\n".join([*lines, ""]))
    sys.exit(1 if any(line.startswith(_MISSING) for line in lines) else 0)


def _lines(arguments: argparse.Namespace, path: Path) -> Iterator[str]:
    from domain_tokens.studies.acceptance import claims_of
    from domain_tokens.studies.points import points_of

    study = declared(arguments, path)
    if not study.folder.is_dir():
        raise RecipeError(f"{study.folder}: no such folder; run scripts/run_study.py {path} first")
    yield f"{study.study}: {study.folder}"
    for claim in claims_of(study, points_of(study, str(path))):
        yield f"{_MISSING if claim.problems else _HOLDS}{claim.says}"
        yield from (f"{' ' * len(_HOLDS)}  {problem}" for problem in claim.problems[:_SHOWN])
        if (more := len(claim.problems) - _SHOWN) > 0:
            yield f"{' ' * len(_HOLDS)}  and {more} more"
