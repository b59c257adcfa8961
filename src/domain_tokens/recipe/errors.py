"""User errors, and how a program exits on one."""

import difflib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domain_tokens.stopping.signals import GO_ON, Interrupted, ignore_signals


class RecipeError(ValueError):
    """A user error. The message says what is wrong and where, what was expected, and what to do."""


REFUSED = 2
"""The exit code of a program that refuses what a user gave it, as argparse's."""

UNFINISHED = 75
"""The exit code of a program whose work goes on elsewhere; 75 is "try again later"."""

NOT_PUBLISHED = 69
"""The exit code of a stage that is complete and was not published; 69 is "a service is unavailable"."""


class NotPublished(Exception):
    """A stage is complete on this machine, but the Hub was not reached or refused it; the message says why."""


class Unfinished(Exception):
    """The work goes on elsewhere; the message says where, and what to do when it has ended."""


@contextmanager
def user_errors() -> Iterator[None]:
    """End the program with a `RecipeError`'s message and exit code 2, without a traceback.

    A stage that is complete and was not published ends it with exit code 69 (`NOT_PUBLISHED`): no result is missing.
    Work that goes on elsewhere ends it with exit code 75 ("try again later"), so that nothing is started after it. A
    signal ends it with 128 and the signal's number, as in a shell: 130 for SIGINT, 143 for SIGTERM.
    """
    try:
        yield
    except RecipeError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(REFUSED)
    except NotPublished as error:
        sys.stderr.write(f"not published: {error}\n")
        sys.exit(NOT_PUBLISHED)
    except Unfinished as unfinished:
        sys.stderr.write(f"{unfinished}\n")
        sys.exit(UNFINISHED)
    except Interrupted as interrupted:
        ignore_signals()
        sys.stderr.write(f"{interrupted}\n" if str(interrupted) else "")
        sys.exit(interrupted.code)
    except KeyboardInterrupt:
        sys.stderr.write(f"{GO_ON}\n")
        sys.exit(130)


def suggest(key: str, known: list[str]) -> str:
    """Return `; did you mean 'x'?` if a known name is close to the key, otherwise an empty string."""
    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def suggest_file(path: Path) -> str:
    """Return `; did you mean 'x'?` if a file beside the path has a name like its own, otherwise an empty string."""
    beside = [one.name for one in path.parent.iterdir() if one.is_file()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, beside, n=1)
    return f"; did you mean '{path.with_name(close[0])}'?" if close else ""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its type if the message is empty."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
