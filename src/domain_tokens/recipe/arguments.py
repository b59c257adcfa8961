"""The trainers' sections: checked, and read by the libraries' own parser."""

import json
import math
import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

from domain_tokens.recipe.argument_table import Kind, known_arguments
from domain_tokens.recipe.errors import RecipeError, first_line, suggest

TrainerSection = dict[str, Any]
"""Arguments of a library's class by name: the sections `pretrain`, `sft`, `grpo` and `model`, whose keys and types the
library defines."""

T = TypeVar("T")

# Ranges that the libraries do not check themselves: (argument, test, what is expected).
_RANGES: list[tuple[str, Callable[[Any], bool], str]] = [
    ("learning_rate", lambda value: value > 0, "a number above 0"),
    ("weight_decay", lambda value: value >= 0, "a number of at least 0"),
    ("max_grad_norm", lambda value: value >= 0, "a number of at least 0"),
    ("adam_beta1", lambda value: 0 <= value < 1, "a number from 0 to below 1"),
    ("adam_beta2", lambda value: 0 <= value < 1, "a number from 0 to below 1"),
    ("adam_epsilon", lambda value: value > 0, "a number above 0"),
    ("warmup_steps", lambda value: value >= 0, "a number of at least 0"),
    ("num_train_epochs", lambda value: value > 0, "a number above 0"),
    ("per_device_train_batch_size", lambda value: value >= 1, "a whole number of at least 1"),
    ("per_device_eval_batch_size", lambda value: value >= 1, "a whole number of at least 1"),
    ("max_length", lambda value: value >= 2, "a whole number of at least 2"),
    ("max_completion_length", lambda value: value >= 1, "a whole number of at least 1"),
    ("num_generations", lambda value: value >= 2, "a whole number of at least 2"),
    ("temperature", lambda value: value > 0, "a number above 0"),
    ("beta", lambda value: value >= 0, "a number of at least 0"),
]
# Arguments that follow from other parts of the recipe.
_DERIVED = {
    "gradient_accumulation_steps": "it follows from the budget section",
    "output_dir": "it follows from output_dir, experiment, condition and seed",
    "seed": "it is the recipe's own seed",
    "data_seed": "it is the recipe's own seed",
    "hub_token": "secrets come from the environment alone: set HF_TOKEN",
}
_DERIVED_OF_MODEL = dict.fromkeys(
    ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id"), "it follows from the tokenizer"
) | {"use_cache": "training has no use for it, and generation turns it on"}


def check_section(values: TrainerSection, section: str, kind: Kind) -> None:
    """Check the names of a section's arguments, and ranges that its library does not check. Imports no library.

    Args:
        values (`TrainerSection`): argument names and values.
        section (`str`): the section's key in the recipe, for messages.
        kind: the name of the class that takes the arguments.

    Raises:
        RecipeError: naming the key and what was expected.
    """
    derived = _DERIVED_OF_MODEL if kind == "GPT2Config" else _DERIVED
    for key in values:
        if key in derived:
            raise RecipeError(f"{section}.{key}: cannot be set in a recipe: {derived[key]}; remove it")
    check_known(values, section, kind, sorted(known_arguments(kind)))
    for key, test, expected in _RANGES:
        if values.get(key) is None:
            continue
        try:
            number = float(values[key])
        except (TypeError, ValueError):
            raise RecipeError(f"{section}.{key}: expected {expected}, got {values[key]!r}") from None
        if not math.isfinite(number) or not test(number):
            raise RecipeError(f"{section}.{key}: expected {expected}, got {values[key]!r}")


def check_known(values: TrainerSection, section: str, kind: str, known: list[str]) -> None:
    """Raise `RecipeError` for the first argument that the class does not have, with the closest that it has."""
    for key in values:
        if key not in known:
            raise RecipeError(f"{section}.{key}: {kind} has no such argument{suggest(str(key), known)}")


def parse_arguments(kind: type[T], values: TrainerSection, section: str, derived: TrainerSection) -> T:
    """Read a trainer's section with the library's own parser.

    `HfArgumentParser` casts `"6e-4"` and rejects misspelled names, wrong types and bad choices; the argument class
    then checks its own ranges. `check_section` has checked those that it lets through.

    Args:
        kind: `TrainingArguments`, `SFTConfig` or `GRPOConfig`.
        values (`TrainerSection`): argument names and values.
        section (`str`): the section's name in the recipe, for messages.
        derived (`TrainerSection`): arguments that follow from the rest of the recipe.

    Raises:
        RecipeError: naming the key and what was expected.
    """
    from transformers import HfArgumentParser

    check_section(values, section, cast(Kind, kind.__name__))
    parser = HfArgumentParser(kind)

    def fail(message: str) -> None:
        message = re.sub(r"argument --(\w+)(/\S+)?", rf"{section}.\1:", message).replace("::", ":")
        raise RecipeError(message if message.startswith(section) else f"{section}: {message}")

    parser.error = fail
    try:
        (parsed,) = parser.parse_args_into_dataclasses(args=_to_argv(values | derived), look_for_args_file=False)
    except RecipeError:
        raise
    except (ValueError, TypeError) as error:
        raise RecipeError(f"{section}: {first_line(error)}") from error
    return parsed


def _to_argv(values: TrainerSection) -> list[str]:
    argv = []
    for key, value in values.items():
        if value is None:
            continue
        argv.append(f"--{key}")
        if isinstance(value, dict):
            argv.append(json.dumps(value))
        elif isinstance(value, list):
            argv.extend(str(item) for item in value)
        else:
            argv.append(str(value))
    return argv


def accumulation_steps(per_step: int, micro_batch: int, num_processes: int, what: str) -> int:
    """Return the micro steps whose sum is one optimizer step.

    Args:
        per_step (`int`): tokens, examples or completions of one optimizer step, over all processes.
        micro_batch (`int`): how many of them one process handles at a time.
        num_processes (`int`): processes of the run.
        what (`str`): the key of `per_step`, for the message.
    """
    steps, rest = divmod(per_step, micro_batch * num_processes)
    if rest or steps == 0:
        raise RecipeError(
            f"{what}: {per_step} does not divide into micro batches of {micro_batch} on {num_processes} process(es); "
            f"expected a multiple of {micro_batch * num_processes}: change {what} or the section's "
            "per_device_train_batch_size"
        )
    return steps
