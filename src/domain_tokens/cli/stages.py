"""The command line that every stage's script shares.

Libraries are imported only when the command line and the recipe have been read, so that help and mistakes are
answered at once.
"""

import argparse
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from domain_tokens.cli.common import new_parser
from domain_tokens.recipe import Recipe, load_recipe, user_errors

if TYPE_CHECKING:
    from domain_tokens.planning.preview import StageName

_ARGUMENTS = """arguments:
  RECIPE          a YAML or JSON file, for example recipes/mul_tokens.yaml
  OVERLAY         what changes, for example recipes/scales/demo.yaml; any number of them
  KEY.PATH=VALUE  an override, for example pretrain.max_steps=50; any number of them
"""


def run_stage(name: "StageName", description: str | None) -> None:
    """Read the recipe from the command line and run one stage, or say what it would do; an error ends in one message.

    Args:
        name (`str`): the stage.
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _read_command_line(description)
    with user_errors():
        recipe = load_recipe(arguments.recipe)
        if arguments.dry_run:
            from domain_tokens.cli.dry_run import show_stage

            sys.exit(show_stage(recipe, name))
        with _imports_alone():
            stage = _import_stage(name)
            from domain_tokens.cli.display import stage_progress
        with stage_progress(name):
            stage(recipe)


def _read_command_line(description: str | None) -> argparse.Namespace:
    parser = new_parser(description)
    parser.usage = "%(prog)s [-h] [--dry-run] RECIPE [OVERLAY ...] [KEY.PATH=VALUE ...]"
    parser.epilog = _ARGUMENTS
    parser.add_argument("recipe", nargs="+", metavar="RECIPE", help=argparse.SUPPRESS)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the resolved recipe, what follows from it and what would be done; touch nothing",
    )
    return parser.parse_intermixed_args()


@contextmanager
def _imports_alone() -> Iterator[None]:
    """Import without the search for garbage, and leave what was imported out of every later search.

    The libraries' million objects stay until the process ends. Searched a dozen times while they are imported, they
    cost 0.7 CPU-seconds, and each later search of all objects another 0.2.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _import_stage(name: "StageName") -> Callable[[Recipe], object]:
    # Each import takes up to 6 CPU-seconds.
    if name == "prepare_data":
        from domain_tokens.corpora.prepare import prepare_data

        return prepare_data
    if name == "pretrain":
        from domain_tokens.training.pretrain import pretrain

        return pretrain
    if name == "sft":
        from domain_tokens.training.sft import sft

        return sft
    if name == "grpo":
        from domain_tokens.training.grpo import grpo

        return grpo
    if name == "evaluate":
        from domain_tokens.evaluation.evaluate import evaluate

        return evaluate
    from domain_tokens.evaluation.checkpoints import evaluate_checkpoints

    return evaluate_checkpoints
