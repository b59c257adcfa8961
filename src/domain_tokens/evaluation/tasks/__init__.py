"""The tasks: one file each, named as the task is named in a recipe, with the task itself as `TASK`."""

from importlib import import_module

from domain_tokens.evaluation.tasks._base import Task


def load_task(name: str) -> Task:
    """Return the task of the file `<name>.py` in this folder; a recipe is checked to name none else."""
    task = import_module(f"{__name__}.{name}").TASK
    assert isinstance(task, Task)
    assert task.name == name
    return task
