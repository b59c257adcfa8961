"""Number types for `argparse`. Each error states the expected and the actual value."""

import argparse
import math


def whole_number(text: str) -> int:
    """Parse an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def from_zero(text: str) -> float:
    """Parse a finite number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text!r}")
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
