"""What has to be known before the first stage starts, asked of the libraries in a process of its own.

    python preparation.py ANSWER.json CONFIG_FILE RECIPE_ARGUMENTS...

`CONFIG_FILE` may be empty, and each of `RECIPE_ARGUMENTS` is the JSON list of one recipe's arguments. The libraries
take seconds to import, so the runner does not import them itself; a child of the warm process has them already.
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
    """The answer.

    Attributes:
        error (`str`, *optional*): what is wrong with a trainer's section of a recipe.
        has_gpu (`bool`): whether torch sees a GPU.
        environment (`dict[str, str]`, *optional*): what accelerate's launcher would set for a training script that
            needs one process; None if a launcher has to start several.
    """

    error: str | None
    has_gpu: bool
    environment: dict[str, str] | None


def read_preparation(path: Path) -> Preparation:
    """Read the answer."""
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
    """Write the answer."""
    answer, config_file, *recipes = sys.argv[1:]
    import torch

    error = None
    try:
        for recipe in recipes:
            parse_trainers(load_recipe(json.loads(recipe)))
    except RecipeError as found:
        error = str(found)
    preparation = Preparation(error, torch.cuda.is_available(), None if error else _launch_environment(config_file))
    write_json(Path(answer), asdict(preparation))


if __name__ == "__main__":
    main()
