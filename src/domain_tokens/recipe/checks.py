"""Checks shared by several sections. Each raises `RecipeError` with the key, what was expected and what was found."""

import math
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from domain_tokens.recipe.errors import RecipeError, suggest


def check_name(where: str, name: str) -> None:
    """Check that a text is a valid folder name: letters, digits and `_ - + .`, not starting with a dot."""
    if not re.fullmatch(r"[\w.+-]+", name) or name.startswith("."):
        raise RecipeError(f"{where}: expected letters, digits, '_', '-', '+' and '.', got {name!r}")


def check_at_least(where: str, value: int | None, least: int) -> None:
    """Check that a whole number is not too small; None passes."""
    if value is not None and value < least:
        raise RecipeError(f"{where}: expected a whole number of at least {least}, got {value}")


def check_above_zero(where: str, value: float | None) -> None:
    """Check that a number is above 0 and finite; None passes."""
    if value is not None and not 0 < value < math.inf:
        raise RecipeError(f"{where}: expected a number above 0, got {value}")


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


def check_folder(where: str, path: Path) -> None:
    """Check that a folder exists or can be created: nothing above it is a file."""
    found = next((one for one in (path, *path.parents) if one.exists()), None)
    if found is not None and not found.is_dir():
        raise RecipeError(f"{where}: {found} is a file; expected a folder, or a path that does not exist yet")


def check_filled(where: str, items: Collection[object]) -> None:
    """Check that a list has at least one entry."""
    if not items:
        raise RecipeError(f"{where}: empty; expected at least one")
