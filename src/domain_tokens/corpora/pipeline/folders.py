"""Folders as datatrove works in them, by their names alone."""

from fnmatch import fnmatchcase
from pathlib import Path

from datatrove.io import DataFolder
from fsspec.implementations.local import LocalFileSystem


class LocalFolder(DataFolder):
    """A folder of this machine, whatever signs its name holds.

    `DataFolder` joins the folder's name with a pattern of files before it searches, so that the brackets in
    `outputs/set [v1]` are a pattern too, and reads `a::b` as two file systems (datatrove 0.10).
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(str(Path(path).absolute()), fs=LocalFileSystem())

    def list_files(
        self,
        subdirectory: str = "",
        recursive: bool = True,
        glob_pattern: str | None = None,
        include_directories: bool = False,
    ) -> list[str]:
        """Return the files below the folder, of those that match a pattern if one is given."""
        files = super().list_files(subdirectory, recursive, None, include_directories)
        if glob_pattern is None:
            return files
        return [file for file in files if fnmatchcase(Path(file).name, glob_pattern)]
