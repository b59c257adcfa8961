"""What the command lines share."""

import argparse


def new_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that shows a script's docstring as it is.

    Args:
        description (`str`): the script's docstring.
    """
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
