"""Reads the rows of one file, whatever its kind."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from domain_tokens.local_data.files import SUFFIXES, kind_of
from domain_tokens.local_data.json_rows import read_json
from domain_tokens.local_data.row import Row, is_blank, listed, of_preferences
from domain_tokens.local_data.text import read_lines, refuse_pointer
from domain_tokens.recipe import RecipeError, first_line

if TYPE_CHECKING:
    from pyarrow import Array

_BATCH = 1000  # rows of a parquet file that are held at a time


def read_rows(path: Path, columns: Sequence[str] | None = None, separator: str | None = None) -> Iterator[Row]:
    """Yield the rows of a file, one at a time.

    Args:
        path (`Path`): a `.jsonl`, `.json`, `.parquet` or `.txt` file.
        columns (`Sequence[str]`, *optional*): the columns that are read of a parquet file; all by default.
        separator (`str`, *optional*): for `.txt`, a pattern of the lines on which a document begins. By default,
            paragraphs between empty lines are documents. A document is a row with a column `text`.

    Raises:
        RecipeError: with the file, and the line or row, if it cannot be read, is damaged, or has no such column.
    """
    kind = kind_of(path)
    if kind not in SUFFIXES:
        raise RecipeError(f"{path}: expected a file of kind {', '.join(SUFFIXES)}")
    if kind == ".parquet":
        yield from _parquet_rows(path, columns)
    elif kind == ".txt":
        yield from _documents(path, separator)
    else:
        yield from read_json(path)


def _documents(path: Path, separator: str | None) -> Iterator[Row]:
    begins = None if separator is None else re.compile(separator)
    document: list[str] = []
    begun = 1
    for number, line in _plain_lines(path):
        ends = is_blank(line)  # as a line of no-break spaces is, which Word writes
        if ends if begins is None else begins.search(line):
            yield from _document(path, begun, document)
            document = []
        if begins is None and ends:
            continue
        if not document:
            begun = number
        document.append(line)
    yield from _document(path, begun, document)


def _document(path: Path, begun: int, lines: list[str]) -> Iterator[Row]:
    text = "\n".join(lines)
    if not is_blank(text):
        yield Row.at(f"{path}, line {begun}", {"text": text.strip("\n")})


def _plain_lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in read_lines(path):
        # A line ends in \n, in \r\n, or in the \r of very old systems. Windows writes \r\r\n for the \r\n of a text
        # that was read as bytes: one end, and no empty line.
        text = line.removesuffix("\n")
        text = text.removesuffix("\r") if text == line else text.rstrip("\r")
        for part in text.split("\r"):
            yield number, part


def _parquet_rows(path: Path, columns: Sequence[str] | None) -> Iterator[Row]:
    import pyarrow  # a slow import that text files need not wait for
    from pyarrow import parquet

    number = 0
    try:
        refuse_pointer(path)
        # By its name and nothing else: a path is neither a pattern nor an address here.
        with pyarrow.OSFile(str(path)) as file, parquet.ParquetFile(file) as table:
            if not table.metadata.num_rows:
                return  # an empty shard may lack the columns of the others
            names = table.schema_arrow.names
            wanted = list(dict.fromkeys(names if columns is None else columns))
            missing = [name for name in wanted if name not in names]
            if missing:
                raise RecipeError(
                    f"{path} has no column {missing[0]!r}; it has {listed(names)}{of_preferences(names)}"
                )
            repeated = frozenset(name for name in wanted if names.count(name) > 1)
            for batch in table.iter_batches(_BATCH, columns=wanted):
                read = dict(zip(batch.schema.names, batch.columns, strict=True))
                values = [_values(read[name], path, number, name) for name in wanted]
                for row in zip(*values, strict=True):
                    number += 1
                    found = Row.at(f"{path}, row {number}", dict(zip(wanted, row, strict=True)))
                    found.repeated = repeated
                    yield found
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{path}: not readable as parquet: the name of a column is not UTF-8 text: {error.reason}; rename it"
        ) from error
    except (pyarrow.ArrowException, OSError) as error:
        after = f" after row {number}" if number else ""
        raise RecipeError(f"{path}: not readable as parquet{after}: {first_line(error)}") from error


def _values(column: "Array", path: Path, before: int, name: str) -> list[object]:
    """Return the values of a column in a batch. Text in it need not be UTF-8, whatever the file says."""
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        for number, value in enumerate(column, before + 1):
            try:
                value.as_py()
            except UnicodeDecodeError as error:
                raise RecipeError(f"{path}, row {number}: column {name!r}: not UTF-8 text: {error.reason}") from error
        raise
    except (OverflowError, ValueError, KeyError):
        # A time that Python has no date for, in a time zone without a name, or an object with a key twice: no text,
        # whoever asks for it.
        return [None] * len(column)
