"""Checks shared by several sections. Each raises `RecipeError` with the key, what was expected and what was found."""

import itertools
import math
import os
import re
import unicodedata
from collections.abc import Collection, Sequence
from pathlib import Path

from domain_tokens.recipe.errors import RecipeError, suggest

MAX_SEED = 2**32 - 1
"""The largest seed that numpy takes."""

LOWEST_TEMPERATURE = 0.01
"""Of drawn answers: logits divided by a much smaller number are infinite."""

_MAX_PART = 255
_MAX_NAME = 80  # a log's name holds a condition, a seed and a stage; file systems allow 255 bytes
# Folders beside or below an experiment's; an experiment of such a name would write into them.
_OWN_FOLDERS = re.compile(
    r"exp_.*|seed_\d+|(?:documents|corpus)_\d+|base_vocabulary|tokenizer|eval|checkpoints|plots|logs|learning_rate"
    r"|(?:pretrain|sft|grpo)_final",
    re.IGNORECASE,
)
# Folders that the system fills itself.
_OF_THE_SYSTEM = ("/proc", "/sys", "/dev")
_IN_MEMORY = "/dev/shm"
_OF_WINDOWS = re.compile(r"[A-Za-z]:(?:[\\/]|$)|\\\\")  # a drive, or a share of the network
# Ends of names under which unfinished work is kept.
_UNFINISHED = (".partial", ".weights", ".work", ".lock")


def check_name(where: str, name: str) -> None:
    """Check that a text can name a folder beside the project's own."""
    if not re.fullmatch(r"[\w.+-]+", name) or name.startswith(".") or name.endswith("."):
        raise RecipeError(
            f"{where}: expected letters, digits, '_', '-', '+' and '.', and no '.' at an end, got {name!r}"
        )
    if len(name.encode()) > _MAX_NAME:
        raise RecipeError(f"{where}: expected a name of at most {_MAX_NAME} bytes, got {len(name.encode())}: {name!r}")
    if name.endswith(_UNFINISHED):
        raise RecipeError(f"{where}: {name!r} ends like the name of unfinished work; use another name")


def check_not_own(where: str, name: str) -> None:
    """Check that a folder of a name is none that the project itself writes."""
    if _OWN_FOLDERS.fullmatch(name):
        raise RecipeError(f"{where}: {name!r} is a folder that the project itself writes; use another name")


def check_seed(where: str, seed: int) -> None:
    """Check that a seed is one that every library takes."""
    if not 0 <= seed <= MAX_SEED:
        raise RecipeError(f"{where}: expected a whole number from 0 to {MAX_SEED} (2**32 - 1), got {seed}")


def check_seeds(where: str, seeds: Sequence[int]) -> None:
    """Check that there are seeds, that none occurs twice, and that every library takes them."""
    check_filled(where, seeds)
    for seed in seeds:
        check_seed(where, seed)
        if seeds.count(seed) > 1:
            raise RecipeError(f"{where}: expected different seeds, got {seed} twice")


def check_at_least(where: str, value: int | None, least: int) -> None:
    """Check that a whole number is not too small; None passes."""
    if value is not None and value < least:
        raise RecipeError(f"{where}: expected a whole number of at least {least}, got {value}")


def check_at_most(where: str, value: int, most: int) -> None:
    """Check that a whole number is not larger than anybody can mean."""
    if value > most:
        raise RecipeError(f"{where}: expected a whole number of at most {most:,}, got {value:,}")


def check_above_zero(where: str, value: float | None) -> None:
    """Check that a number is above 0 and finite; None passes."""
    if value is not None and not 0 < value < math.inf:
        raise RecipeError(f"{where}: expected a number above 0, got {value}")


def check_temperature(where: str, value: float) -> None:
    """Check that answers can be drawn at a temperature."""
    if not LOWEST_TEMPERATURE <= value < math.inf:
        raise RecipeError(f"{where}: expected a number of at least {LOWEST_TEMPERATURE}, got {value}")


def check_fraction(where: str, value: float) -> None:
    """Check that a number lies between 0 and 1, both excluded."""
    if not 0 < value < 1:
        raise RecipeError(f"{where}: expected a number between 0 and 1, got {value}")


def check_among(where: str, name: str, allowed: Collection[str]) -> None:
    """Check that a name is one of the allowed ones, and suggest the closest."""
    if name not in allowed:
        raise RecipeError(f"{where}: expected one of {', '.join(allowed)}, got {name!r}{suggest(name, list(allowed))}")


def check_unique(where: str, names: Sequence[str]) -> None:
    """Check that no name occurs twice."""
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"{where}: the name {name!r} occurs twice; expected unique names")


def check_folders(where: str, names: Sequence[str]) -> None:
    """Check that no two names are the same folder on any file system: some do not tell `A` from `a`."""
    check_unique(where, names)
    for first, second in itertools.combinations(names, 2):
        if _folded(first) == _folded(second):
            raise RecipeError(f"{where}: {first!r} and {second!r} are one folder on some file systems; rename one")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def check_folder(where: str, path: Path) -> None:
    """Check that a folder can be written to, or created: what exists of its path is a folder that takes files."""
    if os.name != "nt" and _OF_WINDOWS.match(str(path)):
        raise RecipeError(f"{where}: {path} is a path of Windows; expected a folder of this machine")
    if any(len(os.fsencode(part)) > _MAX_PART for part in path.parts):
        raise RecipeError(
            f"{where}: a part of the path is longer than {_MAX_PART} bytes; expected a shorter one: {path}"
        )
    try:
        found = next((one for one in (path, *path.parents) if os.path.lexists(one)), Path())
        real = Path(os.path.realpath(path))
        is_folder = found.is_dir()
    except (OSError, ValueError) as error:
        raise RecipeError(f"{where}: {str(path)!r} is no path here: {error}; expected a folder") from error
    if not is_folder:
        kind = "a link to nothing" if found.is_symlink() and not found.exists() else "a file"
        raise RecipeError(f"{where}: {found} is {kind}; expected a folder, or a path that does not exist yet")
    if any(real.is_relative_to(one) for one in _OF_THE_SYSTEM) and not real.is_relative_to(_IN_MEMORY):
        raise RecipeError(f"{where}: {path} belongs to the system and keeps no files; expected a folder on a disk")
    if not os.access(found, os.W_OK | os.X_OK):
        raise RecipeError(
            f"{where}: {found} cannot be written to by this user; expected another folder, or other permissions"
        )


def check_path(where: str, path: str | list[str] | None) -> None:
    """Check that a path, or each of a list, says something; None passes."""
    if path == []:
        raise RecipeError(f"{where}: empty; expected at least one path")
    for one in path if isinstance(path, list) else [path]:
        if one is not None:
            check_word(where, one)


def check_word(where: str, text: str | None) -> None:
    """Check that a text is not blank; None passes."""
    if text is not None and not text.strip():
        raise RecipeError(f"{where}: empty; expected text, got {text!r}")


def check_filled(where: str, items: Collection[object]) -> None:
    """Check that a list has at least one entry."""
    if not items:
        raise RecipeError(f"{where}: empty; expected at least one")
