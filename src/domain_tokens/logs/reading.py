"""Finds the logs in a file or folder, and reads each by what wrote it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from domain_tokens.logs.readers import inspect_eval, lighteval_details, lm_eval
from domain_tokens.logs.table import TaskLog
from domain_tokens.recipe import RecipeError

Reader = Callable[[Path], TaskLog]

_READERS: Final[dict[str, Reader]] = {
    lm_eval.PATTERN: lm_eval.read,
    inspect_eval.PATTERN: inspect_eval.read,
    lighteval_details.PATTERN: lighteval_details.read,
}
_BY_SUFFIX: Final[dict[str, Reader]] = {Path(pattern).suffix: reader for pattern, reader in _READERS.items()}
_EXPECTED: Final = (
    "expected samples_*.jsonl of lm-evaluation-harness (--log_samples), *.eval of Inspect, or details_*.parquet of "
    "lighteval (--save-details)"
)


def read_run(*paths: Path, tasks: Sequence[str] = ()) -> Mapping[str, TaskLog]:
    """Return the logs of a run by task.

    Args:
        paths (`Path`): logs, or folders that hold them, however deep: one log for each task.
        tasks (`Sequence[str]`, *optional*): the tasks that matter; others are read and left out.

    Raises:
        RecipeError: if there is no log, if one cannot be read or is empty, or if two are of one task.
    """
    found: dict[str, TaskLog] = {}
    for file in (file for path in paths for file in find_logs(path)):
        log = _BY_SUFFIX[file.suffix](file)
        if not log.items:
            raise RecipeError(f"{file}: is empty; expected at least one answered question")
        if tasks and log.task not in tasks:
            continue
        if log.task in found:
            raise RecipeError(
                f"{found[log.task].path} and {file} are both of the task {log.task!r}; expected one log of a task for "
                "a run: name the file instead of the folder"
            )
        found[log.task] = log
    return found


def find_logs(path: Path) -> list[Path]:
    """Return the logs of a folder, or the file itself. Raises `RecipeError` if there is none."""
    if path.is_file():
        if path.suffix not in _BY_SUFFIX:
            raise RecipeError(f"{path}: is no log of a known kind; {_EXPECTED}")
        return [path]
    if not path.is_dir():
        raise RecipeError(f"{path}: no such file or folder; {_EXPECTED}")
    found = sorted(file for pattern in _READERS for file in path.rglob(pattern) if file.is_file())
    if not found:
        raise RecipeError(f"{path}: holds no log; {_EXPECTED}, in it or in a folder below")
    return found
