"""Runs the tasks of the preparation with one of datatrove's executors: on this machine, on Slurm or on Ray.

All three keep their books in the same folder in the same way, so that one may finish what another began.
"""

import ctypes
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from datatrove.executor.base import PipelineExecutor
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.executor.ray import RayPipelineExecutor
from datatrove.executor.slurm import SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from loguru import logger as datatrove_logger

from domain_tokens.corpora.pipeline.folders import LocalFolder
from domain_tokens.recipe import Cluster, RecipeError, Unfinished
from domain_tokens.runs.files import exclusive

logger = logging.getLogger(__name__)

ExecutorName = Literal["local", "slurm", "ray"]

_JOB = "slurm_job.txt"  # beside datatrove's logs: the number of the job that was submitted last
_PR_SET_PDEATHSIG = 1  # of prctl(2)
_TAIL_LINES = 5  # of the log of a task that failed


@dataclass(frozen=True)
class Execution:
    """Who runs the tasks.

    Attributes:
        executor: `local`, `slurm` or `ray`.
        workers: how many tasks run at a time.
        cluster: what is asked of a cluster.
    """

    executor: ExecutorName = "local"
    workers: int = 1
    cluster: Cluster = field(default_factory=Cluster)


class _OneAtATime(PipelineExecutor):
    """Runs no task twice at a time, and each in the folder where the command was started.

    A process that was killed leaves workers behind that finish their task, and a cluster may start a task again that
    still runs elsewhere. Whoever comes second waits, and finds the task finished.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.started_in = os.getcwd()  # paths of sources are relative to it, wherever a cluster starts a task

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> Any:
        os.chdir(self.started_in)
        with exclusive(Path(self.logging_dir.path) / "locks" / f"{rank:05d}"):
            return super()._run_for_rank(rank, local_rank, node_rank)


class _Local(_OneAtATime, LocalPipelineExecutor):
    """Says nothing, in the processes that it starts either: an error of a task is raised here."""

    def run(self) -> Any:
        with children_end_too():
            return super().run()

    def _launch_run_for_rank(self, *args: Any, **kwargs: Any) -> Any:
        datatrove_logger.disable("datatrove")
        return super()._launch_run_for_rank(*args, **kwargs)


class _Slurm(_OneAtATime, SlurmPipelineExecutor):
    pass


class _Ray(_OneAtATime, RayPipelineExecutor):
    pass


@contextmanager
def children_end_too() -> Iterator[None]:
    """Let the system end the processes forked inside the block when this one has ended, however it does.

    `multiprocess.Manager`, which datatrove starts for its workers, would otherwise outlive a killed parent for good.
    Does something on Linux alone.
    """
    _forking.append(os.getpid())
    try:
        yield
    finally:
        _forking.pop()


def _end_with_parent() -> None:
    if _forking and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != _forking[-1]:
            os._exit(1)  # it ended before the call


_forking: list[int] = []
os.register_at_fork(after_in_child=_end_with_parent)


def run_steps(
    steps: list[PipelineStep],
    logs: Path,
    tasks: int,
    execution: Execution = Execution(),
    *,
    name: str = "data",
    skip_completed: bool = True,
) -> None:
    """Run the tasks of a pipeline that are not finished.

    Args:
        steps (`list[PipelineStep]`): the pipeline.
        logs (`Path`): where datatrove keeps its logs, statistics and which tasks are finished.
        tasks (`int`): number of tasks.
        execution (`Execution`, *optional*): who runs them; one after the other in this process by default.
        name (`str`, *optional*, defaults to `data`): of the job on a cluster.
        skip_completed (`bool`, *optional*, defaults to `True`): whether finished tasks are left alone.

    Raises:
        Unfinished: if they run on a cluster from now on, or already do.
        RecipeError: if the cluster cannot be reached, or a task failed there.
    """
    datatrove_logger.disable("datatrove")
    folder, workers = LocalFolder(logs), min(tasks, execution.workers)
    if execution.executor == "local":
        _Local(steps, tasks=tasks, workers=workers, logging_dir=folder, skip_completed=skip_completed).run()
    elif execution.executor == "slurm":
        _submit(_slurm(steps, folder, tasks, workers, execution.cluster, name), logs)
    else:
        _run_on_ray(_ray(steps, folder, tasks, workers, execution.cluster), logs)


def total_of(logs: Path, name: str) -> int:
    """Return the sum of a statistic over all tasks, those that an earlier process finished included."""
    found = [
        step["stats"][name]
        for file in sorted((logs / "stats").glob("*.json"))
        for step in json.loads(file.read_text(encoding="utf-8"))
        if name in step["stats"]
    ]
    return int(sum(one["total"] if isinstance(one, dict) else one for one in found))


def _slurm(
    steps: list[PipelineStep], folder: LocalFolder, tasks: int, workers: int, cluster: Cluster, name: str
) -> _Slurm:
    if cluster.partition is None:
        raise RecipeError("corpus.cluster.partition: missing; --executor slurm needs the partition for its jobs")
    return _Slurm(
        steps,
        tasks=tasks,
        workers=workers,
        time=cluster.time,
        partition=cluster.partition,
        mem_per_cpu_gb=cluster.mem_per_cpu_gb,
        qos=cluster.qos or "",
        sbatch_args=dict(cluster.sbatch_args),
        job_name=name,
        env_command=f"export PATH={Path(sys.executable).parent}:$PATH",
        logging_dir=folder,
    )


def _submit(executor: _Slurm, logs: Path) -> None:
    """Submit the unfinished tasks, unless a job still has them."""
    left = len(executor.get_incomplete_ranks())
    if not left:
        return
    for program in ("sbatch", "squeue"):
        if shutil.which(program) is None:
            raise RecipeError(
                f"--executor slurm: there is no {program} here; run the command where jobs are submitted"
            )
    file = logs / _JOB
    again = "run the same command again when it has ended"
    if file.is_file():
        job = file.read_text(encoding="utf-8")
        queued = subprocess.run(["squeue", "-h", "-j", job], capture_output=True, text=True, check=False)
        if queued.stdout.strip():
            raise Unfinished(f"job {job} has {left} of {executor.tasks} tasks left; {again}")
        logger.warning("job %s left %d of %d tasks unfinished (%s)%s", job, left, executor.tasks, logs, _tail(logs))
    executor.run()
    file.write_text(str(executor.job_id), encoding="utf-8")
    raise Unfinished(
        f"job {executor.job_id} has {left} of {executor.tasks} tasks ({logs / 'launch_script.slurm'}); {again}"
    )


def _ray(steps: list[PipelineStep], folder: LocalFolder, tasks: int, workers: int, cluster: Cluster) -> _Ray:
    try:
        import ray
    except ImportError:
        raise RecipeError(
            "--executor ray: the package ray is not installed; install this project with its extra: pip install -e "
            "'.[ray]'"
        ) from None
    own: dict[str, Any] = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": workers, "include_dashboard": False}
    ray.init(log_to_driver=False, logging_level=logging.WARNING, **own)
    return _Ray(steps, tasks=tasks, workers=workers, mem_per_cpu_gb=cluster.mem_per_cpu_gb, logging_dir=folder)


def _run_on_ray(executor: _Ray, logs: Path) -> None:
    import ray

    try:
        executor.run()
        left = len(executor.get_incomplete_ranks())
    finally:
        ray.shutdown()
    if left:
        raise RecipeError(f"{logs}: {left} of {executor.tasks} tasks failed on Ray{_tail(logs)}")


def _tail(logs: Path) -> str:
    """Return the end of the newest log of a task that is not finished, as a part of a message."""
    done = {file.name for file in (logs / "completions").glob("*")}
    found = [file for file in (logs / "logs").glob("task_*.log") if file.stem.removeprefix("task_") not in done]
    if not found:
        return ""
    newest = max(found, key=lambda file: file.stat().st_mtime)
    lines = newest.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
    return "; the end of " + f"{newest}:\n" + "\n".join(lines)
