"""Reads the split of a data set from a name, as publishers write it: `train-00000-of-00002.parquet`, `test_sft`."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from domain_tokens.local_data.files import DATA_OF_RENUMBERED, find_files, is_beside_renumbered
from domain_tokens.recipe import RecipeError

# The names that the library `datasets` looks for in those of files.
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}


def names_test(split: str) -> bool:
    """Return whether the name of a split says that it holds test rows."""
    return split == "all" or any(_SPLITS.get(word) == "test" for word in _words(split))


def check_splits(paths: Sequence[str]) -> None:
    """Check that paths of data that trains reach files of one split, and not of a test split, without naming it.

    What a path spells out is its own word: a file `test.jsonl`, or a pattern `test-*`. But of the files of a
    renumbered set only one trains, whichever is named.

    Raises:
        RecipeError: naming a file of each split, or the file of a renumbered set.
    """
    for file in find_files(paths):
        if any(is_beside_renumbered(one) for one in (file, file.resolve())):
            raise RecipeError(
                f"path: {file} is for evaluation, or about it: of the folder of a renumbered set only "
                f"{DATA_OF_RENUMBERED} trains; name that file"
            )
    for path in paths:
        if os.path.isfile(path):
            continue
        spelled = Path(path).parts
        found: dict[str | None, Path] = {}
        for file in find_files([path]):
            found.setdefault(_split_of([part for part in file.parts if part not in spelled]), file)
        named = {split: file for split, file in found.items() if split is not None}
        is_spelled_out = not os.path.lexists(path) and names_test(Path(path).name)
        if len(named) > 1 or (set(found) == {"test"} and not is_spelled_out):
            shown = ", ".join(f"{file} ({split})" for split, file in sorted(named.items()))
            raise RecipeError(
                f"path: {path} reaches {shown}; training stages must not read a test split, nor several at once; "
                "name the file of the split that trains"
            )


def _split_of(parts: Sequence[str]) -> str | None:
    """Return the split that the name of a file begins or ends with, or that a folder above it is called."""
    if not parts:
        return None
    *folders, name = parts
    words = _words(Path(name).stem)
    ends = [words[0], words[-1]] if words else []
    return next((_SPLITS[word] for word in (*ends, *map(str.lower, reversed(folders))) if word in _SPLITS), None)


def _words(name: str) -> list[str]:
    """Return the words of a name, without numbers and what belongs to them: `0-of-2`, `v2`. A title is one word."""
    words = map(str.strip, re.split(r"(?:[^\w ]|[\d_])+", name.lower()))
    return [word for word in words if word not in ("", "of", "v")]
