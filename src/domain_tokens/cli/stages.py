"""The command line that every stage's script shares."""

import sys
from collections.abc import Callable

from domain_tokens.recipe.errors import user_errors
from domain_tokens.recipe.loading import load_recipe
from domain_tokens.recipe.schema import Recipe

_USAGE = """usage: SCRIPT RECIPE.yaml [OVERLAY.yaml ...] [key.path=value ...]

  RECIPE.yaml     a recipe, for example recipes/mul_tokens.yaml
  OVERLAY.yaml    what changes, for example recipes/scales/demo.yaml
  key.path=value  an override, for example pretrain.max_steps=50
"""


def run_stage(stage: Callable[[Recipe], object], description: str | None) -> None:
    """Read the recipe from the command line and run one stage; a user's mistake ends in one message.

    Args:
        stage: the stage's function.
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = sys.argv[1:]
    if not arguments or {"-h", "--help"} & set(arguments):
        sys.stdout.write(f"{(description or '').strip()}\n\n{_USAGE}")
        sys.exit(0 if arguments else 2)
    with user_errors():
        stage(load_recipe(arguments))
