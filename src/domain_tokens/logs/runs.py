"""Which log is of which condition and seed: logs say neither, so the command line or a file does."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from domain_tokens.analysis.report.formats import listed
from domain_tokens.logs.reading import find_logs, read_run
from domain_tokens.logs.table import TaskLog
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.errors import suggest
from domain_tokens.recipe.files import read_file

ONE_RUN: Final = ""
"""The seed of a run that was named without one."""
_FORM: Final = "NAME:SEED=PATH, such as baseline:0=logs/baseline_0"
_KEYS: Final = ("runs", "reference")


@dataclass(frozen=True)
class Named:
    """A log with the name of its condition and its seed, as the user gave them; `ONE_RUN` if no seed was given.

    The logs of several tasks of one run have one name.
    """

    condition: str
    seed: str
    path: Path

    @property
    def words(self) -> str:
        """The run for a message: `baseline:0`."""
        return f"{self.condition}:{self.seed}" if self.seed else self.condition


@dataclass(frozen=True)
class Run:
    """A run with its logs by task."""

    named: Named
    logs: Mapping[str, TaskLog]


def parse_runs(texts: Sequence[str]) -> list[Named]:
    """Read `NAME:SEED=PATH` of each run, or `NAME=PATH` of the only run of a condition. Raises `RecipeError`."""
    return [_parse_run(text) for text in texts]


def _parse_run(text: str) -> Named:
    name, equals, path = text.partition("=")
    condition, colon, seed = name.rpartition(":")
    if not colon:
        condition, seed = name, ONE_RUN
    if not equals or not path or not condition.strip() or (colon and not seed.strip()):
        raise RecipeError(f"--run {text}: expected {_FORM}")
    return Named(condition.strip(), seed.strip(), Path(path).expanduser())


def read_mapping(path: Path) -> tuple[list[Named], str | None]:
    """Read a file that names the runs, and the reference if it says one. Paths start in the file's folder.

        reference: baseline
        runs:
          baseline: {0: logs/a, 1: logs/b}
          mul_tokens: {0: logs/c, 1: [logs/d/gsm8k.eval, logs/d/mmlu.eval]}

    Raises:
        RecipeError: if it is not of this form; it names the key.
    """
    values = read_file(path)
    for key in values:
        if key not in _KEYS:
            raise RecipeError(f"{path}: {key}: no such key{suggest(str(key), list(_KEYS))}; expected {listed(_KEYS)}")
    conditions, reference = values.get("runs"), values.get("reference")
    if not isinstance(conditions, dict) or not conditions:
        raise RecipeError(f"{path}: runs: expected a log for each seed of each condition, {{NAME: {{SEED: PATH}}}}")
    if reference is not None and not isinstance(reference, str):
        raise RecipeError(f"{path}: reference: expected the name of a condition, got {reference!r}")
    named = []
    for condition, seeds in conditions.items():
        for seed, logs in (seeds if isinstance(seeds, dict) else {ONE_RUN: seeds}).items():
            for log in logs if isinstance(logs, list) else [logs]:
                if not isinstance(log, str):
                    raise RecipeError(f"{path}: runs.{condition}: expected a path for each seed, got {log!r}")
                named.append(Named(str(condition), str(seed), path.parent / Path(log).expanduser()))
    return named, reference


def check_named(named: Sequence[Named], reference: str | None) -> str:
    """Check the names of the runs before a log is read, and return the reference: if none is given, the first one.

    Raises:
        RecipeError: if there is one condition, a log is given twice, or the seeds differ.
    """
    conditions = list(dict.fromkeys(one.condition for one in named))
    if len(conditions) < 2:
        raise RecipeError(f"got runs of {listed(conditions) or 'nothing'}; expected two conditions or more: {_FORM}")
    if reference is not None and reference not in conditions:
        raise RecipeError(
            f"--reference {reference}: no run has this name{suggest(reference, conditions)}; "
            f"expected one of {', '.join(conditions)}"
        )
    _check_files(named)
    _check_seeds(named, conditions)
    return reference or conditions[0]


def _check_files(named: Sequence[Named]) -> None:
    """Refuse a log that stands for two runs, under another name or through a link too."""
    seen: dict[tuple[int, int], Named] = {}
    for one in named:
        for file in find_logs(one.path):
            status = os.stat(file)
            before = seen.setdefault((status.st_dev, status.st_ino), one)
            if before is not one:
                raise RecipeError(
                    f"{file} is given twice, as {before.words} and as {one.words}; expected a log of its own for "
                    "each run"
                )


def _check_seeds(named: Sequence[Named], conditions: Sequence[str]) -> None:
    """Check that conditions of several runs have the same seeds."""
    seeds = {name: list(dict.fromkeys(one.seed for one in named if one.condition == name)) for name in conditions}
    if all(len(found) == 1 for found in seeds.values()):
        return  # single runs are compared over items alone, whatever their seeds are called
    for name, found in seeds.items():
        if ONE_RUN in found:
            raise RecipeError(f"{name}: a run has no seed, and there are several; expected {_FORM} for each of them")
    every = list(dict.fromkeys(seed for found in seeds.values() for seed in found))
    for name, found in seeds.items():
        if missing := [seed for seed in every if seed not in found]:
            has = next(other for other, others in seeds.items() if missing[0] in others)
            raise RecipeError(
                f"seed {missing[0]} is in {has} and not in {name}; runs are compared in pairs of one seed, so "
                "expected the same seeds in every condition"
            )


def read_runs(named: Sequence[Named], tasks: Sequence[str] = ()) -> list[Run]:
    """Read the logs of all runs.

    Args:
        named (`Sequence[Named]`): the runs, checked.
        tasks (`Sequence[str]`, *optional*): the tasks to compare; by default, all.

    Raises:
        RecipeError: if a log cannot be read, a run lacks a task, or one task has logs of two harnesses.
    """
    by_run: dict[tuple[str, str], list[Named]] = {}
    for one in named:
        by_run.setdefault((one.condition, one.seed), []).append(one)
    runs = [Run(ones[0], read_run(*(one.path for one in ones), tasks=tasks)) for ones in by_run.values()]
    every = list(tasks) or list(dict.fromkeys(task for run in runs for task in run.logs))
    for task in every:
        lacking = [run.named.words for run in runs if task not in run.logs]
        if len(lacking) == len(runs):
            there = sorted({name for one in named for name in read_run(one.path)})
            raise RecipeError(f"--task {task}: no run has it{suggest(task, there)}; the logs are of {listed(there)}")
        if lacking:
            has = next(run.named.words for run in runs if task in run.logs)
            raise RecipeError(
                f"the task {task!r} is in {has} and not in {listed(lacking)}; expected a log of it for every run, or "
                "--task for the tasks to compare"
            )
        harnesses = {run.logs[task].harness: run for run in runs}
        if len(harnesses) > 1:
            said = " and ".join(f"{run.logs[task].path} of {harness}" for harness, run in harnesses.items())
            raise RecipeError(f"{task}: {said}: each asks and scores in its own way; expected the logs of one harness")
    return runs
