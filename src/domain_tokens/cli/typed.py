"""Lines that are typed at a command, or come through a pipe."""

import io
import sys
from collections.abc import Iterator


def typed_lines(greeting: str) -> Iterator[str]:
    """Yield the lines of standard input that are not empty, without their ends; in a terminal, with a prompt.

    Bytes that cannot be decoded are replaced. In a terminal, Ctrl-D ends.

    Args:
        greeting (`str`): what a terminal shows first.
    """
    if not sys.stdin.isatty():
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")
        yield from (line.rstrip("\n") for line in sys.stdin if line.strip())
        return
    import readline  # noqa: F401  (importing it gives `input` history and line editing)

    sys.stdout.write(f"{greeting}\n")
    while True:
        try:
            line = input("> ")
        except EOFError:
            sys.stdout.write("\n")
            return
        if line.strip():
            yield line
