"""Types of numbers and paths for `argparse`. Each error states the expected and the actual value."""

import argparse
import math
from pathlib import Path

from domain_tokens.recipe.checks import LOWEST_TEMPERATURE, MAX_SEED
from domain_tokens.recipe.errors import RecipeError
from domain_tokens.recipe.loading import expand

_MOST_PROCESSES = 1024
_LAST_PORT = 65_535


def whole_number(text: str) -> int:
    """Parse an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def number_of_processes(text: str) -> int:
    """Parse a number of processes or threads that a machine could have."""
    if (value := whole_number(text)) > _MOST_PROCESSES:
        raise argparse.ArgumentTypeError(f"expected at most {_MOST_PROCESSES:,}, got {value:,}")
    return value


def from_zero(text: str) -> float:
    """Parse a finite number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text!r}")
    return value + 0.0  # -0 is 0


def temperature(text: str) -> float:
    """Parse 0, for the likeliest answer, or a temperature at which answers can be drawn."""
    if 0 < (value := from_zero(text)) < LOWEST_TEMPERATURE:
        raise argparse.ArgumentTypeError(f"expected 0, or a number of at least {LOWEST_TEMPERATURE}, got {text!r}")
    return value


def penalty(text: str) -> float:
    """Parse a finite number of at least 1, which is no penalty."""
    if (value := from_zero(text)) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text!r}")
    return value


def above_zero(text: str) -> float:
    """Parse a finite number above 0."""
    if (value := from_zero(text)) == 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def fraction(text: str) -> float:
    """Parse a number above 0 and at most 1."""
    if (value := above_zero(text)) > 1:
        raise argparse.ArgumentTypeError(f"expected a number of at most 1, got {text!r}")
    return value


def seed(text: str) -> int:
    """Parse a seed that every library takes: a whole number from 0 to 2**32 - 1."""
    if not (text.isascii() and text.isdecimal()) or int(text) > MAX_SEED:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to {MAX_SEED}, got {text!r}")
    return int(text)


def port(text: str) -> int:
    """Parse a port of this machine, or 0 for one that is free."""
    if not (text.isascii() and text.isdecimal()) or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to {_LAST_PORT}, got {text!r}")
    return int(text)


def local_path(text: str) -> Path:
    """Parse a path; `~` at its beginning is the home folder, where the shell has not replaced it."""
    try:
        return Path(expand(text, "path"))
    except RecipeError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
