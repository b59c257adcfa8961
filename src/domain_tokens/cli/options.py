"""Kinds of numbers on a command line, for `argparse`: each says what it expected and what it got."""

import argparse
import math


def whole_number(text: str) -> int:
    """Read a whole number from 1 up."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 up, got {text!r}")
    return int(text)


def from_zero(text: str) -> float:
    """Read a finite number, 0 or above."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number from 0 up, got {text!r}")
    return value


def above_zero(text: str) -> float:
    """Read a finite number above 0."""
    if (value := from_zero(text)) == 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def fraction(text: str) -> float:
    """Read a number above 0 and up to 1."""
    if (value := above_zero(text)) > 1:
        raise argparse.ArgumentTypeError(f"expected a fraction of 1, got {text!r}")
    return value
