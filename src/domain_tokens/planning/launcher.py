"""How accelerate's launcher would start the training stages, from its configuration file."""

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from domain_tokens.recipe import RecipeError, first_line, flatten
from domain_tokens.recipe.files import read_file
from domain_tokens.runs.launcher import AUTO, Launcher

# Keys of a launcher's file whose value is a word, `no` among them.
_WORDS = (
    "backend", "compute_environment", "distributed_type", "dynamo_backend", "dynamo_mode", "mixed_precision", "mode",
    "rdzv_backend",
)  # fmt: skip

_NUMBERS = ("num_processes", "num_machines", "machine_rank")


@dataclass(frozen=True)
class Launch:
    """How training stages are started.

    Attributes:
        num_processes: processes of a stage.
        launcher: the settings that would overrule a recipe's.
        environment: the variables that the launcher would set for a stage with one process; None if it must start
            several processes.
    """

    num_processes: int
    launcher: Launcher
    environment: dict[str, str] | None


def read_launch(config_file: str) -> Launch:
    """Read a launcher's file as the launcher does. Imports accelerate and torch.

    Args:
        config_file (`str`): the file; if empty, the one that `accelerate config` wrote, or the launcher's defaults.

    Raises:
        RecipeError: if the launcher refuses the file.
    """
    from accelerate.commands.config.config_args import default_config_file
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_simple_launcher_cmd_env

    if config_file or Path(default_config_file).is_file():
        _check_values(Path(config_file or default_config_file))
    logging.getLogger("accelerate.commands.launch").setLevel(logging.ERROR)  # it lists its defaults
    chosen = ["--config_file", config_file] if config_file else []
    try:
        arguments, _, _ = _validate_launch_command(launch_command_parser().parse_args([*chosen, "script.py"]))
        several = _starts_several(arguments)
        environment = None if several else prepare_simple_launcher_cmd_env(arguments)[1]
    except (
        ValueError, TypeError, KeyError, AttributeError, RuntimeError, AssertionError, yaml.YAMLError
    ) as error:  # fmt: skip
        where = config_file or "the launcher's default file"
        raise RecipeError(
            f"{where}: accelerate cannot read it: {first_line(error)}; expected a file like those of "
            "accelerate_configs/"
        ) from error
    if environment is not None:
        environment = {name: value for name, value in environment.items() if os.environ.get(name) != value}
    # Without a file, or a number in it, accelerate has None, 0 or -1 here and starts one process.
    number = arguments.num_processes
    number = 1 if number in (None, -1) or (number == 0 and not config_file) else number
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise RecipeError(f"{config_file}: num_processes: expected a whole number of at least 1, got {number}")
    return Launch(number if several else 1, _launcher(arguments), environment)


def _check_values(path: Path) -> None:
    """Check what accelerate would pass over, or answer in Python's words.

    That is a file without settings, a key that is there twice, a word that is a truth value to YAML, and a number in
    quotes.

    Raises:
        RecipeError: naming the file and the key.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError):
        return  # accelerate says it
    if values is None or values == {}:
        raise RecipeError(f"{path}: empty; expected settings as in the files of accelerate_configs/, or no file")
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: expected keys with values, got {type(values).__name__}; see accelerate_configs/")
    read_file(path)  # refuses a key that is there twice
    for key, value in flatten(values).items():
        if key in _NUMBERS and isinstance(value, str):
            raise RecipeError(
                f"{path}: {key}: expected a whole number, got the text {value!r}; write it without quotes"
            )
        if key.rpartition(".")[2] in _WORDS and isinstance(value, bool):
            words = "no, off or false" if value is False else "yes, on or true"
            raise RecipeError(
                f"{path}: {key}: expected text, but unquoted {words} is a truth value in YAML; quote it, for example "
                f'{key.rpartition(".")[2]}: "no"'
            )


def _starts_several(arguments: Any) -> bool:
    return any((
        arguments.multi_gpu, arguments.use_deepspeed, arguments.use_fsdp, arguments.use_megatron_lm, arguments.tpu,
        (arguments.num_processes or 1) > 1, (arguments.num_machines or 1) > 1, arguments.mpirun_hostfile,
    ))  # fmt: skip


def _launcher(arguments: Any) -> Launcher:
    used = {
        "DeepSpeed": arguments.use_deepspeed,
        "FSDP": arguments.use_fsdp,
        "Megatron-LM": arguments.use_megatron_lm,
    }
    return Launcher(
        str(arguments.mixed_precision or "no"),
        str(arguments.dynamo_backend or "no"),
        next((name for name, flag in used.items() if flag), ""),
        *(
            default if value is None else str(value)
            for value, default in (
                (arguments.zero_stage, "2"),
                (arguments.gradient_accumulation_steps, AUTO),
                (arguments.gradient_clipping, AUTO),
                (arguments.deepspeed_config_file, "none"),
            )
        ),
    )
