"""Checks that need the heavy libraries, made in a separate process before the first stage starts.

    python preparation.py ANSWER.json CONFIG_FILE TRAINS RECIPE_ARGUMENTS...

`CONFIG_FILE` may be empty, and `TRAINS` is empty if no training stage is left to run. Each of `RECIPE_ARGUMENTS` is a
JSON list with one recipe's arguments. The runner does not import the libraries itself because that takes seconds; a
child of the warm process already has them.
"""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from domain_tokens.recipe import RecipeError, load_recipe
from domain_tokens.runs.files import read_json, write_json


@dataclass(frozen=True)
class Preparation:
    """The result of the checks.

    Attributes:
        error (`str`, *optional*): what is wrong with a recipe or the launcher's file.
        has_gpu (`bool`): whether torch sees a GPU.
        environment (`dict[str, str]`, *optional*): the variables that accelerate's launcher would set for a training
            script with one process; None if the launcher must start several processes.
        num_processes (`int`): the processes of a training stage.
    """

    error: str | None
    has_gpu: bool
    environment: dict[str, str] | None
    num_processes: int


def read_preparation(path: Path) -> Preparation:
    """Read the result of the checks."""
    return Preparation(**read_json(path))


def main() -> None:
    """Run the checks and write their result."""
    answer, config_file, trains, *arguments = sys.argv[1:]
    import torch

    from domain_tokens.planning.launcher import read_launch
    from domain_tokens.planning.whole_recipe import check_recipes

    error, environment, num_processes = None, None, 1
    try:
        launch = read_launch(config_file)
        environment, num_processes = launch.environment, launch.num_processes
        check_recipes([load_recipe(json.loads(one)) for one in arguments], launch, trains_here=bool(trains))
    except RecipeError as found:
        error = str(found)
    preparation = Preparation(error, torch.cuda.is_available(), environment, num_processes)
    write_json(Path(answer), asdict(preparation))


if __name__ == "__main__":
    main()
