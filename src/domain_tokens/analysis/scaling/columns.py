"""Finds the columns of a table of runs, whoever made it, and reads its cells."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.errors import suggest

SPELLINGS: Final[dict[str, tuple[str, ...]]] = {
    "parameters": (
        "non_embedding_parameters", "non_embedding_params", "model_size", "parameters", "params", "num_parameters",
        "num_params", "n_params", "n_parameters", "n",
    ),
    "tokens": ("tokens", "training_tokens", "train_tokens", "tokens_seen", "num_tokens", "n_tokens", "d"),
    "flops": ("flops", "training_flop", "training_flops", "train_flops", "total_flops", "flop", "compute", "c"),
    "context": (
        "model_n_positions", "context", "context_length", "sequence_length", "seq_len", "n_positions", "n_ctx",
    ),
    "loss": (
        "bits_per_byte", "bpb", "loss", "final_loss", "validation_loss", "val_loss", "valid_loss", "eval_loss",
        "test_loss", "l",
    ),
    "condition": ("condition", "arm", "variant"),
    "point": ("point", "point_id"),
    "seed": ("seed",),
    "run": ("run", "run_id", "run_name"),
    "step": ("step", "steps"),
    "final": ("final", "is_final"),
    "held_out": ("held_out", "is_held_out"),
}  # fmt: skip
"""What a column may be called, the first of them first. Case, spaces and signs do not count."""

_UNMISTAKABLE: Final = {"parameters": "non_embedding_parameters", "loss": "bits_per_byte"}
"""Columns that are taken whatever else might have the role: their names say what is in them."""
_SUFFIXES: Final = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
_NUMBER: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([kmbgt]?)", re.IGNORECASE)
_YES, _NO = ("true", "1", "yes"), ("false", "0", "no", "")


def find_columns(path: Path, header: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the column of each role that the table has.

    Args:
        path (`Path`): of the table, for messages.
        header (`Sequence[str]`): its columns.
        given (`Mapping[str, str]`): columns that were named, by role.

    Raises:
        RecipeError: if a named column, the loss, or every axis is missing, or if two columns have
            one name or one role.
    """
    listed = f"the table has {', '.join(header)}"
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise RecipeError(f"{path}: two columns are called {min(twice)!r}; expected a name of its own for each")
    found = {}
    for role, spellings in SPELLINGS.items():
        if role in given:
            if given[role] not in header:
                hint = suggest(given[role], list(header))
                raise RecipeError(f"--{role}: {path} has no column {given[role]!r}{hint}; {listed}")
            found[role] = given[role]
            continue
        if fitting := _candidates(role, spellings, header):
            if len(fitting) > 1:
                raise RecipeError(
                    f"{path}: {' and '.join(map(repr, fitting))} may each be the column of {role.replace('_', ' ')}; "
                    f"name the one that is by --{role.replace('_', '-')}"
                )
            found[role] = fitting[0]
    if "loss" not in found:
        raise RecipeError(f"{path}: has no column of losses (bits_per_byte, loss, ...); name it by --loss; {listed}")
    if not {"parameters", "tokens", "flops"} & found.keys():
        raise RecipeError(
            f"{path}: has no column of parameters, tokens or FLOPs; name two of them by --parameters, --tokens and "
            f"--flops; {listed}"
        )
    return found


def _candidates(role: str, spellings: Sequence[str], header: Sequence[str]) -> list[str]:
    """Return the columns that may have a role."""
    plain = set(map(_plain, spellings))
    fitting = [name for name in header if _plain(name) in plain]
    certain = [name for name in fitting if _plain(name) == _plain(_UNMISTAKABLE.get(role, ""))]
    return certain or fitting


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def read_number(where: str, text: str, suffixes: bool = True) -> float:
    """Return a cell's number, which is finite and above 0; `70M` and `1.4B` are numbers too.

    Args:
        where (`str`): file, line and column, for the message.
        text (`str`): the cell.
        suffixes (`bool`, *optional*, defaults to `True`): whether a letter may stand for thousands, millions, ...
    """
    match = _NUMBER.fullmatch(text.strip())
    example = "such as 70000000, 7e7 or 70M" if suffixes else "such as 1.234"
    if match is None or (match[2] and not suffixes):
        raise RecipeError(f"{where} is {text!r}; expected a number {example}. Correct the cell, or remove the line")
    value = float(match[1]) * _SUFFIXES[match[2].lower()]
    if not 0 < value < math.inf:
        raise RecipeError(
            f"{where} is {text!r}; expected a finite number above 0. Correct the cell, or remove the line"
        )
    return value


def read_flag(where: str, text: str) -> bool:
    """Return a cell's yes or no; an empty one is no."""
    if (word := text.strip().lower()) not in (*_YES, *_NO):
        raise RecipeError(f"{where} is {text!r}; expected true or false")
    return word in _YES
