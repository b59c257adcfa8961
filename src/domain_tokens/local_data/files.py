"""Finds the data files that a path names: a file, the files of a folder, or those that match a pattern."""

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from domain_tokens.local_data.copies import two_copies
from domain_tokens.recipe import RecipeError

SUFFIXES = (".jsonl", ".json", ".parquet", ".txt")

# What stands beside data in a folder and is none.
_NO_DATA = frozenset(
    ("", ".md", ".rst", ".html", ".pdf", ".bib", ".cff", ".png", ".jpg", ".svg", ".py", ".sh", ".ipynb")
    + (".yaml", ".yml", ".toml", ".ini", ".lock", ".log", ".sha1", ".sha256", ".sha512", ".md5", ".bak", ".tmp")
)
_SYSTEM = ("thumbs.db", "desktop.ini", "$recycle.bin", "system volume information", "lost+found", "@eadir")
# What the library `datasets` and others write beside the files of a data set.
_ABOUT_DATA = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "metadata.json")
RECORD_OF_RENUMBERED = "renumbered.json"
"""The record of `scripts/renumber_gsm8k.py`. Of the files beside it, only one trains."""

DATA_OF_RENUMBERED = "renumbered_train.jsonl"
"""The one that trains."""

RECORDS_OF_SOLUTIONS = ".shards"
"""The folder beside the shards of `scripts/convert_tinygsm.py` with the records of single shards."""

REJECTED_OF_SOLUTIONS = "rejected.jsonl"
"""The rows without a solution, beside the shards; no data."""

# A text file about a folder: in capitals with any addition (`LICENSE-CC`), else with a language (`readme_zh`) at most.
_ABOUT = re.compile(
    r"(?:README|LICEN[CS]ES?|COPYING|NOTICE|CHANGELOG)(?:[-_.].*)?"
    r"|(?i:(?:readme|licen[cs]es?|copying|notice|changelog)(?:[-_.][a-z]{2})?|(?:sha\d*|md5|check)sums?|robots)"
)
_MADE_BY = {
    "gsm8k_renumbered": "renumber_gsm8k.py",
    "gsm8k_renumbered_few": "renumber_gsm8k.py",
    "tinygsm_prose": "convert_tinygsm.py",
}
_MOST_NAMED = 5
_AS_JSON = "convert it, for example with to_json(..., orient='records', lines=True) of pandas"
_CONVERTED = {
    ".arrow": "write it with to_parquet of datasets (load_from_disk reads its folder)",
    **dict.fromkeys((".csv", ".tsv", ".xlsx", ".xls", ".feather", ".pkl"), _AS_JSON),
    **dict.fromkeys((".gz", ".zst", ".bz2", ".xz", ".zip", ".tar", ".7z"), "unpack it"),
    **dict.fromkeys((".ndjson", ".jsonlines", ".jl"), "rename it to .jsonl"),
}


def find_files(paths: Sequence[str]) -> list[Path]:
    """Return the data files that paths name, those of one path in order.

    A path that exists is that file or folder, whatever signs its name holds; otherwise it is a pattern. Of a folder
    and of what a pattern matches, hidden files and folders are passed over, and so is what is no data by its suffix,
    such as a README. A file that one path reaches in several ways, through a folder or a link, is listed once.

    Raises:
        RecipeError: if a path names nothing, two paths name a file, files are of a kind that is not read, or two are
            copies.
    """
    files: list[Path] = []
    for path in paths:
        if not (found := named(path)):
            raise RecipeError(f"path: no file {path}; expected a file, a folder or a pattern{_made_by(path)}")
        files.extend(_once(_below(found, None if os.path.lexists(path) else Path(path))))
    if not files:
        raise RecipeError(f"path: no data file in {', '.join(paths)}")
    _check(files)
    return files


def _made_by(path: str) -> str:
    """Return which script writes the folder in a path, if one does that the overlays of stages name."""
    parts = Path(path).parts
    made = ((folder, script) for folder, script in _MADE_BY.items() if folder in parts)
    return "".join(f"; scripts/{script} writes {folder}, as docs/DATA.md says" for folder, script in made)


def named(path: str) -> list[Path]:
    """Return the files and folders of a name: the one that it is, or else those that it matches as a pattern."""
    if os.path.lexists(path):
        return [Path(path)]
    return sorted(Path(name) for name in glob.glob(_literal_as_far_as_it_exists(path), recursive=True))


def _literal_as_far_as_it_exists(pattern: str) -> str:
    """Return a pattern whose leading folders, where they exist, are names: `data[1]` in `data[1]/*.jsonl`."""
    parts = Path(pattern).parts
    number = next(n for n in range(len(parts), -1, -1) if n == 0 or os.path.lexists(Path(*parts[:n])))
    return os.path.join(glob.escape(str(Path(*parts[:number]))) if number else "", *parts[number:])


def _below(found: Sequence[Path], pattern: Path | None) -> Iterator[Path]:
    """Yield the files that are found, and those in the folders that are.

    Of what a pattern matches, a folder's rules hold for whatever the pattern does not spell out.
    """
    for item in found:
        spelled = item.parts if pattern is None else pattern.parts
        if any(_is_passed_over(name) for name in item.parts if name not in spelled):
            continue
        if os.path.isdir(item):
            yield from sorted(_in_folder(item))
        elif pattern is None or _may_be_data(item):
            yield item


def _once(files: Iterable[Path]) -> list[Path]:
    """Return files in their order, without another way to one that stands before."""
    first: dict[str, Path] = {}
    for path in files:
        first.setdefault(os.path.realpath(path), path)
    return list(first.values())


def kind_of(path: Path) -> str:
    """Return a file's suffix in small letters."""
    return path.suffix.lower()


def _in_folder(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, in linked folders too."""

    def refuse(error: OSError) -> None:
        raise RecipeError(f"path: {error.filename}: {error.strerror}") from error

    visited = set()
    for name, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        if (real := os.path.realpath(name)) in visited:
            folders.clear()  # a link to a folder above
            continue
        visited.add(real)
        folders[:] = [one for one in folders if not _is_passed_over(one)]
        for file in files:
            if _may_be_data(path := Path(name, file)):
                yield path


def _may_be_data(path: Path) -> bool:
    """Return whether a file that nobody named is data, or something that stands beside data."""
    is_about = path.name.lower() in _ABOUT_DATA or (kind_of(path) == ".txt" and _ABOUT.fullmatch(path.stem))
    is_beside = is_beside_renumbered(path) or _lists_rejected(path)
    return not (_is_passed_over(path.name) or kind_of(path) in _NO_DATA or is_about or is_beside)


def is_beside_renumbered(path: Path) -> bool:
    """Return whether a file stands in the folder of a renumbered set and is not the one that trains."""
    return path.name != DATA_OF_RENUMBERED and path.with_name(RECORD_OF_RENUMBERED).is_file()


def _lists_rejected(path: Path) -> bool:
    """Return whether a file is the list of rows without a solution beside the shards of solutions."""
    return path.name == REJECTED_OF_SOLUTIONS and path.with_name(RECORDS_OF_SOLUTIONS).is_dir()


def _is_passed_over(name: str) -> bool:
    """Return whether a file or folder that nobody named is hidden or belongs to a system."""
    return _is_hidden(name) or name.lower() in _SYSTEM


def _is_hidden(name: str) -> bool:
    """Return whether a name is hidden, a folder of a system (`__MACOSX`), or an editor's copy or lock."""
    return name.startswith((".", "__", "~$")) or name.endswith("~")


def _check(files: list[Path]) -> None:
    if (broken := next((str(path) for path in files if _is_not_utf8(str(path))), None)) is not None:
        raise RecipeError(f"path: {broken!a}: its name is not UTF-8, and could not be recorded; rename it")
    missing = [path for path in files if not os.path.isfile(path)]
    if missing:
        raise RecipeError(f"path: {_named(missing)}: no file, or a link to one that is not there; remove it")
    if closed := [path for path in files if not os.access(path, os.R_OK)]:
        raise RecipeError(f"path: {_named(closed)}: not readable by this user; change the permissions or move it")
    other = [path for path in files if kind_of(path) not in SUFFIXES]
    if other:
        todo = dict.fromkeys(_CONVERTED.get(kind_of(path), "convert it") for path in other)
        raise RecipeError(
            f"path: {_named(other)}: expected a file of kind {', '.join(SUFFIXES)}; {' or '.join(todo)}, or name the "
            "files to read with a pattern"
        )
    if under_another := [path for path in files if _name_of_data(path) is not None]:
        raise RecipeError(
            f"path: {_named(under_another)}: the kind of the file stands before .txt, as where Windows hides it; "
            f"rename it to {_name_of_data(under_another[0])}"
        )
    times = Counter(path.resolve() for path in files)
    twice = [path for path, number in times.items() if number > 1]
    if twice:
        raise RecipeError(f"path: {_named(twice)}: named twice; expected each file once")
    if (copies := two_copies(files)) is not None:
        raise RecipeError(f"path: {copies[0]} and {copies[1]}: the same content, byte for byte; remove one of them")


def _name_of_data(path: Path) -> str | None:
    """Return the name of data behind the `.txt` of another program: `a.jsonl` of `a.jsonl.txt`; `None` for a text."""
    if kind_of(path) != ".txt":
        return None
    name = path.name
    while name.lower().endswith(".txt"):
        name = name[: -len(".txt")]
    inner = Path(name).suffix.lower()
    return name if inner in SUFFIXES or inner in _CONVERTED else None


def _is_not_utf8(name: str) -> bool:
    """Return whether a name holds bytes that are no text; Python reads each as half of a surrogate pair."""
    return any("\ud800" <= character <= "\udfff" for character in name)


def _named(files: list[Path]) -> str:
    more = f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else ""
    return ", ".join(str(path) for path in files[:_MOST_NAMED]) + more
