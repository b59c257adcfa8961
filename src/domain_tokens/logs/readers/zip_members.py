"""Reads the members of a zip file, also those that Zstandard compressed, which Python itself reads from 3.14 on."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa

from domain_tokens.recipe import RecipeError

_ZSTANDARD: Final = 93  # method of compression: APPNOTE.TXT of PKWARE, 4.4.5
_LOCAL_HEADER: Final = struct.Struct("<4s22xHH")  # signature, lengths of the name and of the extra field (4.3.7)
_SIGNATURE: Final = b"PK\x03\x04"


class Archive:
    """A zip file that is open.

    Args:
        path (`Path`): the file.
        archive (`zipfile.ZipFile`): of the file.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive

    @property
    def names(self) -> list[str]:
        """The members, each once; the last one of a name counts."""
        return list(self._archive.NameToInfo)

    def read(self, name: str) -> bytes:
        """Return a member's bytes. Raises `RecipeError` if it is damaged, or compressed in another way."""
        info = self._archive.getinfo(name)
        try:
            return self._zstandard(info) if info.compress_type == _ZSTANDARD else self._archive.read(info)
        except (zipfile.BadZipFile, zlib.error, pa.ArrowException, OSError, EOFError, struct.error) as error:
            raise RecipeError(
                f"{self._path}: {name} is damaged ({error}); copy the file again, or repeat the evaluation"
            ) from error
        except (NotImplementedError, RuntimeError) as error:  # another method of compression, a password
            raise RecipeError(f"{self._path}: {name} cannot be read: {error}") from error

    def _zstandard(self, info: zipfile.ZipInfo) -> bytes:
        with self._path.open("rb") as file:
            file.seek(info.header_offset)
            signature, name_length, extra_length = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
            if signature != _SIGNATURE:
                raise zipfile.BadZipFile("no member begins where the directory says")
            file.seek(name_length + extra_length, 1)
            compressed = file.read(info.compress_size)
        # a stream, since a long member has several frames
        with pa.CompressedInputStream(pa.BufferReader(compressed), "zstd") as stream:
            content: bytes = stream.read()
        if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
            raise zipfile.BadZipFile("length or checksum differ from the directory's")
        return content


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a zip file. Raises `RecipeError` if it is cut off or none."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise RecipeError(
            f"{path}: is no whole zip file ({error}); a log that was cut off or is still written cannot be read"
        ) from error
    with archive:
        yield Archive(path, archive)
