"""Functions that tests apply in a jail."""

import ast
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from domain_tokens.jail.outcomes import Json

CALLS: list[str] = []


def num_nodes(text: str) -> int:
    """Return the number of nodes of a program, or -1."""
    try:
        return sum(1 for _ in ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return -1


def misbehave(text: str) -> Json:
    """Do what a text names, or return the text."""
    return MISDEEDS[text]() if text in MISDEEDS else text


def remember(text: str) -> Json:
    """Return what this process was given so far."""
    CALLS.append(text)
    return list(CALLS)


@cache
def first_line(path: str) -> str:
    """Return the first line of a file, which is read once."""
    return Path(path).read_text().splitlines()[0]


def slow(text: str) -> str:
    """Take 10 ms of processor time."""
    sum(range(600_000))
    return text


def _loop() -> Json:
    while True:
        pass


def _recurse() -> Json:
    return _recurse()


def _raise() -> Json:
    raise ValueError("what\nelse\x1b[31m?")


def _exit() -> Json:
    os._exit(0)


def _forge() -> Json:
    os.write(3, b"\xff" * 99)
    return _loop()


def _forge_text(body: bytes) -> Json:
    os.write(3, len(body).to_bytes(4, "big") + body)
    os._exit(0)


MISDEEDS: dict[str, Callable[[], object]] = {
    "loop": _loop,
    "recurse": _recurse,
    "raise": _raise,
    "exit": _exit,
    "forge": _forge,
    "memory": lambda: len(bytearray(1 << 30)),
    "much": lambda: "x" * (1 << 21),
    "call": os.getppid,
    "open": lambda: Path("/etc/passwd").read_text(),
    "abort": os.abort,
    "nan": lambda: [float("nan")],
    "bytes": lambda: b"",
    "surrogate": lambda: "\ud800",
    "forged surrogate": lambda: _forge_text(rb'{"value": "\uD800"}'),
    "forged key": lambda: _forge_text(rb'{"value": {"\uDc00": 1}}'),
    "forged bytes": lambda: _forge_text(b'{"value": "\xed\xa0\x80"}'),
}
