"""Frames on a pipe: four bytes of length, then JSON."""

import json
import os
from collections.abc import Iterator

from domain_tokens.jail.outcomes import Json

MAX_RESULT_BYTES = 1 << 20
"""The longest frame that a child may send."""

_HEADER = 4
_CHUNK = 1 << 16


def encode(value: Json) -> bytes:
    """Return the JSON of a value; characters that are not ASCII, lone surrogates too, are escaped.

    Raises:
        ValueError: if it holds NaN or an infinity, or contains itself.
        TypeError: if it is no JSON.
    """
    return json.dumps(value, allow_nan=False).encode("ascii")


def send(descriptor: int, body: bytes) -> None:
    """Write a frame."""
    view = memoryview(len(body).to_bytes(_HEADER, "big") + body)
    while view:
        view = view[os.write(descriptor, view) :]


def receive(descriptor: int) -> bytes | None:
    """Read a frame from a trusted process; None if the pipe ended."""
    header = _read_exactly(descriptor, _HEADER)
    return None if header is None else _read_exactly(descriptor, int.from_bytes(header, "big"))


def _read_exactly(descriptor: int, length: int) -> bytes | None:
    parts = []
    while length > 0:
        part = os.read(descriptor, min(length, 1 << 20))
        if not part:
            return None
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


class Frames:
    """Cuts what a child sends into frames. It trusts nothing: a frame that claims to be too long is an error."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def add(self, data: bytes) -> Iterator[bytes]:
        """Take in what was read, and yield the frames that it completes.

        Raises:
            ValueError: if a frame claims more than `MAX_RESULT_BYTES`.
        """
        self._buffer += data
        while len(self._buffer) >= _HEADER:
            length = int.from_bytes(self._buffer[:_HEADER], "big")
            if length > MAX_RESULT_BYTES:
                raise ValueError(f"a frame of {length} bytes")
            if len(self._buffer) < _HEADER + length:
                return
            yield bytes(self._buffer[_HEADER : _HEADER + length])
            del self._buffer[: _HEADER + length]

    @property
    def is_between(self) -> bool:
        """Whether nothing is left of an unfinished frame."""
        return not self._buffer


def read_some(descriptor: int) -> bytes:
    """Read what is there, up to 64 KiB; empty at the end."""
    return os.read(descriptor, _CHUNK)
