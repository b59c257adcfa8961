"""The rows of self-adaptation so far, on the disk: what is there is not made again, what belongs to no job not kept.

A job is known by its edit's text, or a chain by all of its texts, so rows of other edits are never taken for its own.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.sections.apart.seal import Seal
from domain_tokens.runs.files import write_text
from domain_tokens.runs.progress import Work
from domain_tokens.runs.records import read_rows
from domain_tokens.seal.bench import Job, Trial, work_off
from domain_tokens.seal.records import ARMS, CHAIN, AdaptRow

logger = logging.getLogger(__name__)

Name = tuple[str, int, str, str, int, tuple[str, ...]]
"""Of a job: part, round, arm, passage or chain, number of the edit or inner seed, the texts of its edits."""


class Pool(Protocol):
    """Carries out jobs: a pool of processes, or this one."""

    def map(self, run: Callable[[Job], list[AdaptRow]], jobs: Sequence[Job], /) -> Iterator[list[AdaptRow]]:
        """Yield the rows of each job, in order."""
        ...


class Kept:
    """The rows of a run.

    Args:
        file (`Path`): where they are.
        settings (`Seal`): the recipe's section.
        run (`tuple[str, int]`): condition and seed.
        pool (`Pool`): carries out what is missing.

    Raises:
        RecipeError: if the file has rows of another run, or is damaged.
    """

    def __init__(self, file: Path, settings: Seal, run: tuple[str, int], pool: Pool) -> None:
        self.file, self._settings, self._pool = file, settings, pool
        self._work = Work(num_inner_loops(settings), "inner loop")
        self._of_jobs = _read_whole_jobs(file, settings, run)
        self._asked: dict[Name, None] = {}
        if self._of_jobs:
            logger.info("goes on behind %s inner loops", f"{sum(map(len, self._of_jobs.values())):,}")

    @property
    def num_rows(self) -> int:
        """How many rows the jobs have that were asked for."""
        return sum(len(self._of_jobs[name]) for name in self._asked)

    def carry(self, jobs: Sequence[Job]) -> list[AdaptRow]:
        """Return the rows of jobs, in order: those on the disk, and those that are made now."""
        names = list(map(_name, jobs))
        self._asked |= dict.fromkeys(names)
        self._work.advance(sum(self._passed(self._of_jobs[name]) for name in names if name in self._of_jobs))
        wanted = [job for job in jobs if _name(job) not in self._of_jobs]
        for job, rows in zip(wanted, self._pool.map(work_off, wanted), strict=True):
            with self.file.open("a", encoding="utf-8") as out:
                out.writelines(map(_line, rows))
                out.flush()
                os.fsync(out.fileno())
            self._of_jobs[_name(job)] = rows
            self._work.advance(self._passed(rows))
        return [row for name in names for row in self._of_jobs[name]]

    def keep_asked(self) -> None:
        """Write the rows of the jobs that were asked for, in their order, and no others."""
        if others := self._of_jobs.keys() - self._asked.keys():
            logger.warning(
                "%s: %d edits are left out that this policy did not write; code or libraries have changed since",
                self.file,
                len(others),
            )
        write_text(self.file, "".join(_line(row) for name in self._asked for row in self._of_jobs[name]))

    def _passed(self, rows: Sequence[AdaptRow]) -> int:
        """Return how many inner loops are behind a job: also those of an edit that could not be read."""
        return len(rows) if rows[0].forms else self._settings.inner_seeds


def num_inner_loops(settings: Seal) -> int:
    """Return how many inner loops there are if every edit can be read."""
    in_rounds = settings.rounds * settings.train_passages * settings.edits_per_passage
    chained = settings.test_passages // settings.chain * settings.chain if settings.chain else 0
    return (in_rounds + len(ARMS) * (settings.test_passages + chained)) * settings.inner_seeds


def _line(row: AdaptRow) -> str:
    return f"{row.model_dump_json(exclude_unset=True)}\n"


def _name(job: Job) -> Name:
    if isinstance(job, Trial):
        return (job.part, job.round, job.arm, job.passage.id, job.edit, (job.text,))
    texts = tuple(text for _, text in job.links)
    return (CHAIN, job.round, job.arm, str(job.number), job.inner_seed, texts)


def _read_whole_jobs(file: Path, settings: Seal, run: tuple[str, int]) -> dict[Name, list[AdaptRow]]:
    """Return the rows of a file by job, and cut from it what an interruption left of the last one."""
    if not file.is_file():
        return {}
    content = file.read_bytes()
    os.truncate(file, content.rfind(b"\n") + 1)
    found: dict[Name, list[AdaptRow]] = {}
    runs: set[tuple[str, int]] = set()
    for row in read_rows(file, AdaptRow):
        runs.add((row.condition, row.seed))
        found.setdefault(_own_name(row), []).append(row)
    if others := runs - {run}:
        condition, seed = min(others)
        raise RecipeError(
            f"{file}: a row of {condition}, seed {seed}, in the work of {run[0]}, seed {run[1]}; remove "
            f"{file.parent} to begin anew"
        )
    whole: dict[Name, list[AdaptRow]] = {}
    for name, rows in found.items():
        if name[0] == CHAIN and len(rows) == settings.chain:
            whole[(*name[:5], tuple(row.text for row in rows))] = rows
        elif name[0] != CHAIN and (len(rows) == settings.inner_seeds or not rows[0].forms):
            whole[name] = rows
    if len(whole) < len(found):
        write_text(file, "".join(_line(row) for rows in whole.values() for row in rows))
    return whole


def _own_name(row: AdaptRow) -> Name:
    """Return the name of a row's job, for a chain without its texts."""
    if row.part == CHAIN:
        return (CHAIN, row.round, row.arm, str(row.chain), row.inner_seed, ())
    return (row.part, row.round, row.arm, row.passage, row.edit, (row.text,))
