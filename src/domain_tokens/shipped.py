"""Where this version's scripts, recipes and launcher configurations are."""

from pathlib import Path

_PACKAGE = Path(__file__).parent
_IN_WHEEL = _PACKAGE / "_shipped"  # written by setup.py


def shipped(folder: str) -> Path:
    """Return a folder of the checkout, or its copy in a package that was installed from a wheel.

    Args:
        folder (`str`): `scripts`, `recipes` or `accelerate_configs`.
    """
    return (_IN_WHEEL if _IN_WHEEL.is_dir() else _PACKAGE.parents[1]) / folder
