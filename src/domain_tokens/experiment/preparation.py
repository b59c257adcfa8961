"""Checks that need the heavy libraries, made in a separate process before the first stage starts.

    python preparation.py ANSWER.json CONFIG_FILE RECIPE_ARGUMENTS...

`CONFIG_FILE` may be empty. Each of `RECIPE_ARGUMENTS` is a JSON list with one recipe's arguments. The runner does not
import the libraries itself because that takes seconds; a child of the warm process already has them.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from domain_tokens.recipe import RecipeError, load_recipe, parse_trainers
from domain_tokens.runs.files import read_json, write_json


@dataclass(frozen=True)
class Preparation:
    """The result of the checks.

    Attributes:
        error (`str`, *optional*): the error in a trainer section of a recipe.
        has_gpu (`bool`): whether torch sees a GPU.
        environment (`dict[str, str]`, *optional*): the variables that accelerate's launcher would set for a training
            script with one process; None if the launcher must start several processes.
    """

    error: str | None
    has_gpu: bool
    environment: dict[str, str] | None


def read_preparation(path: Path) -> Preparation:
    """Read the result of the checks."""
    return Preparation(**read_json(path))


def _launch_environment(config_file: str) -> dict[str, str] | None:
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_simple_launcher_cmd_env

    chosen = ["--config_file", config_file] if config_file else []
    arguments, _, _ = _validate_launch_command(launch_command_parser().parse_args([*chosen, "script.py"]))
    several = (
        arguments.multi_gpu, arguments.use_deepspeed, arguments.use_fsdp, arguments.use_megatron_lm, arguments.tpu,
        (arguments.num_processes or 1) > 1, (arguments.num_machines or 1) > 1, arguments.mpirun_hostfile,
    )  # fmt: skip
    if any(several):
        return None
    _, environment = prepare_simple_launcher_cmd_env(arguments)
    return {name: value for name, value in environment.items() if os.environ.get(name) != value}


def main() -> None:
    """Run the checks and write their result."""
    answer, config_file, *recipes = sys.argv[1:]
    import torch

    from domain_tokens.training.chat_data import check_training_data

    error = None
    try:
        for recipe in recipes:
            loaded = load_recipe(json.loads(recipe))
            parse_trainers(loaded)
            check_training_data(loaded)
    except RecipeError as found:
        error = str(found)
    preparation = Preparation(error, torch.cuda.is_available(), None if error else _launch_environment(config_file))
    write_json(Path(answer), asdict(preparation))


if __name__ == "__main__":
    main()
