"""The tasks, one file per task. The file has the task's name in a recipe and defines the task as `TASK`."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from domain_tokens.evaluation.tasks._base import AnyTask, BaseTask
from domain_tokens.recipe import RecipeError, first_line


def load_task(name: str, path: Path | None = None) -> AnyTask:
    """Return a task.

    Args:
        name (`str`): the task's name, which is that of its file.
        path (`Path`, *optional*): the file of a task outside the package; else the file `<name>.py` in this folder,
            which a recipe is checked to name.

    Raises:
        RecipeError: if a file outside the package cannot be imported, or holds no task of its name.
    """
    if path is not None:
        return _load_external(name, path)
    task = import_module(f"{__name__}.{name}").TASK
    assert isinstance(task, BaseTask)
    assert task.name == name
    return task


def _load_external(name: str, path: Path) -> AnyTask:
    where = f"evaluation.tasks: {path}"
    module = ModuleType(f"external_tasks.{name}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look up the module of a class
    try:
        # The bytecode cache of importlib would miss an edit of the same length within the same second.
        exec(compile(path.read_bytes(), path, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:  # whatever the file does
        raise RecipeError(f"{where}: cannot be imported: {type(error).__name__}: {first_line(error)}") from error
    task = getattr(module, "TASK", None)
    if not isinstance(task, BaseTask):
        raise RecipeError(f"{where}: expected `TASK`, an instance of a task's class; see docs/EVALUATION.md")
    if getattr(task, "name", None) != name:
        raise RecipeError(
            f"{where}: TASK.name: expected {name!r}, as in the file name, got {getattr(task, 'name', None)!r}"
        )
    return task
