"""Reads the rows of JSON files. A row is what its text says: no type is guessed for a column."""

import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import chain
from pathlib import Path

from domain_tokens.local_data.row import FOR_PANDAS, Row
from domain_tokens.local_data.text import read_lines
from domain_tokens.recipe import RecipeError

_DAMAGED = (ValueError, RecursionError)
# An error this close to the end of what was read may be a word or a number that goes on.
_UNFINISHED = 16


def read_json(path: Path) -> Iterator[Row]:
    """Yield the rows of a `.jsonl` or `.json` file, one at a time.

    A `.jsonl` file has an object on each line. A `.json` file has objects one after the other, over as many lines as
    they take. Either may be one array of objects, or of texts, which are rows with a column `text`.

    Raises:
        RecipeError: if the file cannot be read or is damaged, with the line.
    """
    lines = read_lines(path)
    first = next(((number, line) for number, line in lines if line.strip()), None)
    if first is None:
        return
    is_array = first[1].lstrip().startswith("[")
    lines = chain([first], lines)
    yield from _values(path, lines, is_array) if is_array or path.suffix.lower() == ".json" else _lines(path, lines)


def decode_json(text: str) -> object:
    """Return the value of a JSON text, whole numbers of any length in it. Raises `ValueError` or `RecursionError`."""
    return _DECODER.decode(text)


def _lines(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[Row]:
    for number, line in lines:
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        try:
            value = decode_json(line.rstrip("\r\n"))
        except _DAMAGED as error:
            why = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
            raise RecipeError(f"{place}: not readable as json: {why}; expected one object a line") from error
        yield _row(value, place)


def _values(path: Path, lines: Iterator[tuple[int, str]], is_array: bool) -> Iterator[Row]:
    text = _Text(path, lines)
    number = 0
    if is_array:
        text.peek()
        text.take()
    while character := text.peek():
        if is_array and character == "]":
            text.take()
            if text.peek():
                raise text.damaged("more text after the end of the array")
            return
        if is_array and number:
            if character != ",":
                raise text.damaged("expected a comma between two rows")
            text.take()
        number += 1
        value = text.value()
        yield _row({"text": value} if is_array and isinstance(value, str) else value, f"{path}, row {number}")
    if is_array:
        raise text.damaged("the array has no end; the file is cut short")


class _Text:
    """The text of a file, of which little more than the value being read is held."""

    def __init__(self, path: Path, lines: Iterator[tuple[int, str]]) -> None:
        self._path = path
        self._lines = lines
        self._held, self._at = "", 0
        self._line = 1  # of what comes next

    def peek(self) -> str:
        """Return the next character that is no white space, without taking it; an empty text at the end."""
        while True:
            while self._at < len(self._held):
                if not self._held[self._at].isspace():
                    return self._held[self._at]
                self.take()
            if not self._read_on():
                return ""

    def take(self, end: int | None = None) -> None:
        """Take one character, or all before an end."""
        end = self._at + 1 if end is None else end
        self._line += self._held.count("\n", self._at, end)
        self._at = end

    def value(self) -> object:
        """Take and return the next value."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._held, self._at)
            except json.JSONDecodeError as error:
                goes_on = error.msg.startswith("Unterminated") or error.pos >= len(self._held) - _UNFINISHED
                if goes_on and self._read_on():
                    continue
                self.take(error.pos)
                raise self.damaged(error.msg) from error
            except _DAMAGED as error:
                raise self.damaged(str(error)) from error
            self.take(end)
            return value

    def damaged(self, why: str) -> RecipeError:
        """Return the error for what comes next."""
        return RecipeError(f"{self._path}, line {self._line}: not readable as json: {why}")

    def _read_on(self) -> bool:
        """Read as much again as is held, so that a long value is not parsed once for each of its lines."""
        pieces, size = [self._held[self._at :]], 0
        wanted = len(pieces[0])
        for number, line in self._lines:
            if not pieces[0] and not size:
                self._line = number
            pieces.append(line)
            size += len(line)
            if size >= wanted:
                break
        self._held, self._at = "".join(pieces), 0
        return size > 0


def _object(pairs: list[tuple[str, object]]) -> Row:
    row = Row(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        row.repeated = frozenset(key for key in keys if keys.count(key) > 1)
    return row


class _Decoder(json.JSONDecoder):
    """Reads whole numbers of any length: a column that nobody asks for stops no row."""

    def raw_decode(self, s: str, idx: int = 0) -> tuple[object, int]:
        """Return the value that begins at an index, and where it ends."""
        try:
            return super().raw_decode(s, idx)
        except json.JSONDecodeError:
            raise
        except ValueError:  # more digits than Python makes a number of (4,300); tried second, since it is slow
            return _OF_ANY_LENGTH.raw_decode(s, idx)


_DECODER = _Decoder(object_pairs_hook=_object)
_OF_ANY_LENGTH = json.JSONDecoder(object_pairs_hook=_object, parse_int=Decimal)


def _row(value: object, place: str) -> Row:
    if isinstance(value, dict) and not isinstance(value, Row):
        value = Row(value)
    if not isinstance(value, Row):
        todo = FOR_PANDAS if isinstance(value, list) else ""
        raise RecipeError(f"{place}: expected an object, {{...}}, got {type(value).__name__}{todo}")
    value.place = place
    return value
