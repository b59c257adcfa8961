"""Reads text files as what they are: UTF-8 with or without a byte order mark, or UTF-16 and UTF-32 with one."""

import codecs
import io
from collections.abc import Iterator
from pathlib import Path

from domain_tokens.recipe import RecipeError

# In this order: the mark of UTF-32 begins with that of UTF-16.
_WIDE = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_POINTER = b"version https://git-lfs.github.com/spec/"
_PACKED = (
    (b"\x1f\x8b", "a gzip file"),
    (b"PK\x03\x04", "a zip file, such as a workbook of Excel"),
    (b"\x28\xb5\x2f\xfd", "a zstandard file"),
    *((b"BZh%d1AY&SY" % level, "a bzip2 file") for level in range(1, 10)),
    (b"\xfd7zXZ", "an xz file"),
    (b"PAR1\x15", "a parquet file"),
    (b"ARROW1\0\0", "an Arrow file"),
)
_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number of each line, from 1, and the line with its end, without a byte order mark before it.

    Every line is looked at: files with marks are joined with `cat`.

    Raises:
        RecipeError: if the file cannot be read, or a line is not text.
    """
    number, encoding = 0, None
    try:
        with path.open("rb") as file:
            start = file.peek(len(_POINTER))
            _refuse_packed(path, start)
            encoding = next((encoding for mark, encoding in _WIDE if start.startswith(mark)), None)
            if encoding is None:
                lines = (line.decode("utf-8-sig") for line in file)
            else:
                # Halves of surrogate pairs pass, and are refused with their row.
                lines = (line.removeprefix(_MARK) for line in _wide_lines(file, encoding))
            for line in lines:
                number += 1
                if "\0" in line:
                    raise RecipeError(
                        f"{path}, line {number}: not text: it holds the character NUL, as UTF-16 without a byte "
                        "order mark does; convert the file to UTF-8"
                    )
                yield number, line
    except UnicodeDecodeError as error:
        marked = "" if encoding is None else f", nor the {encoding.upper()} that its byte order mark says"
        raise RecipeError(
            f"{path}, line {number + 1}: not UTF-8 text{marked}: {error.reason}; convert the file to UTF-8"
        ) from error
    except OSError as error:
        raise RecipeError(f"{path}: not readable: {error.strerror or error}") from error


def refuse_pointer(path: Path, start: bytes | None = None) -> None:
    """Refuse a file that Git LFS left in place of another. Raises `OSError` if it cannot be read."""
    if start is None:
        with path.open("rb") as file:
            start = file.read(len(_POINTER))
    if start.startswith(_POINTER):
        raise RecipeError(f"{path}: a pointer of Git LFS in place of the file; fetch it with `git lfs pull`")


def _refuse_packed(path: Path, start: bytes) -> None:
    """Refuse a file under the name of what it was made from."""
    refuse_pointer(path, start)
    if (kind := next((kind for begin, kind in _PACKED if start.startswith(begin)), None)) is not None:
        raise RecipeError(f"{path}: not text but {kind}, by its first bytes; unpack or convert it")


def _wide_lines(file: io.BufferedReader, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(file, encoding, errors="surrogatepass", newline="\n")
