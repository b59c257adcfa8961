"""The command line of `scripts/preregister.py`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from domain_tokens.cli.common import new_parser, wide_console
from domain_tokens.recipe import RecipeError, load_recipe, user_errors
from domain_tokens.runs.layout import PREREGISTRATION

if TYPE_CHECKING:
    from domain_tokens.runs.preregistration import FrozenContent, FrozenEntry

_WIDTH = 125


def main(description: str | None) -> None:
    """Run `scripts/preregister.py`: show what would be frozen or what is frozen, and write it.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _parser(description).parse_args()
    with user_errors():
        _run(arguments)


def _run(arguments: argparse.Namespace) -> None:
    from domain_tokens.experiment.preregister import content_of, find_frozen, refuse_contradictions
    from domain_tokens.planning.questions import endpoint_questions
    from domain_tokens.planning.sensitivity import power_line
    from domain_tokens.runs.preregistration import amend, code_differences, content_differences, freeze
