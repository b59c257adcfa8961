"""A study on Slurm: an array of jobs, one for each point, submitted by submitit and followed by one for the table.

Each job is this study's own command for one point, so a job that was killed goes on where it stopped when the study is
submitted again, and one machine can finish what a cluster began.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.layout import LOGS
from domain_tokens.shipped import shipped
from domain_tokens.studies.declaration import Slurm, Study
from domain_tokens.studies.points import Point

if TYPE_CHECKING:
    from submitit import Executor

_INSTALL = "pip install -e '.[slurm]'"


@dataclass(frozen=True)
class Submitted:
    """The jobs of a study.

    Attributes:
        data: the jobs that prepare data that points share, by the point that prepares it.
        points: the job of each point, by its name.
        table: the job that writes the table when all others have ended.
        folder: where submitit keeps their commands and output.
    """

    data: dict[str, str]
    points: dict[str, str]
    table: str
    folder: Path = field(default=Path())


def submit(
    study: Study,
    file: Path,
    points: Sequence[Point],
    sources: Sequence[Point],
    options: Sequence[str],
    table_options: Sequence[str] = (),
) -> Submitted:
    """Submit what is missing of a study.

    Args:
        study (`Study`): the study, with its section `slurm`.
        file (`Path`): its file.
        points (`Sequence[Point]`): the points to run.
        sources (`Sequence[Point]`): those of them whose data others read too, which is prepared first.
        options (`Sequence[str]`): further options of every job's command.
        table_options (`Sequence[str]`, *optional*): those of the last job's alone.

    Raises:
        RecipeError: if submitit is not installed, or this is no machine from which jobs can be submitted.
    """
    folder = study.folder / LOGS / "slurm"
    command = [sys.executable, str(shipped("scripts") / "run_study.py"), str(file), *options]
    prepare = [[*command, "--only", point.name, "--only-data"] for point in sources]
    data = _submit(study, "data", folder, prepare, after=[])
    run = [[*command, "--only", point.name] for point in points]
    jobs = _submit(study, "points", folder, run, after=data)
    (table,) = _submit(study, "table", folder, [[*command, "--only-table", *table_options]], after=jobs)
    named = {point.name: job for point, job in zip(sources, data, strict=True)}
    return Submitted(named, {point.name: job for point, job in zip(points, jobs, strict=True)}, table, folder)


def _submit(study: Study, what: str, folder: Path, commands: list[list[str]], after: Sequence[str]) -> list[str]:
    """Submit commands as one array, to begin when the jobs before have ended, and return the number of each job."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError
    from submitit.helpers import CommandFunction

    executor = _executor(study.slurm, folder / what)
    further: dict[str, str | int] = dict(study.slurm.sbatch_args)
    if after:  # whether they failed or not: a failed point is named by the table, and the others go on
        further["dependency"] = "afterany:" + ":".join(dict.fromkeys(job.partition("_")[0] for job in after))
    executor.update_parameters(
        name=f"{study.study}-{what}",
        timeout_min=study.slurm.minutes,
        cpus_per_task=study.slurm.cpus,
        mem_gb=study.slurm.mem_gb,
        slurm_array_parallelism=study.slurm.at_a_time,
        slurm_additional_parameters=further,
        **({"gpus_per_node": study.slurm.gpus} if study.slurm.gpus else {}),
        **({"slurm_partition": study.slurm.partition} if study.slurm.partition else {}),
    )
    try:
        with executor.batch():
            jobs = [executor.submit(CommandFunction(command)) for command in commands]
    except (FailedJobError, FailedSubmissionError, OSError) as error:
        raise RecipeError(
            f"slurm: sbatch refused the {what} of {study.study}: {' '.join(str(error).split())}"
        ) from error
    return [job.job_id for job in jobs]


def _executor(slurm: Slurm, folder: Path) -> "Executor":
    if find_spec("submitit") is None:
        raise RecipeError(f"--slurm: the package submitit is missing; {_INSTALL}")
    from submitit import AutoExecutor

    try:
        executor = AutoExecutor(folder, cluster="slurm")
    except RuntimeError as error:
        raise RecipeError(
            "--slurm: no srun here; expected a machine from which jobs of Slurm are submitted"
        ) from error
    return executor
