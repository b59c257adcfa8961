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
from domain_tokens.corpora.shards import SPLITS
from domain_tokens.recipe import Cluster, Corpus, RecipeError, Unfinished
from domain_tokens.runs.files import exclusive

logger = logging.getLogger(__name__)

ExecutorName = Literal["local", "slurm", "ray"]

DOCUMENTS_JOB = "documents"

_JOB = "slurm_job.txt"  # beside datatrove's logs: number of the job submitted last, and of its tasks
_PROGRAM = "launch_pickled_pipeline"  # datatrove's, which a job runs
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


@dataclass(frozen=True)
class ClusterJob:
    """One job of the preparation on a cluster.

    Attributes:
        name: the name under which it is queued.
        tasks: how many tasks it has at most, each with one core.
        at_a_time: how many of them run at a time.
    """

    name: str
    tasks: int
    at_a_time: int


def cluster_jobs(corpus: Corpus) -> list[ClusterJob]:
    """Return the jobs that prepare a corpus on a cluster, in their order, each after the one before has ended."""
    tasks, at_a_time = corpus.num_shards, min(corpus.num_shards, corpus.num_workers)
    return [ClusterJob(name, tasks, at_a_time) for name in (DOCUMENTS_JOB, *map(tokens_job, SPLITS))]


def tokens_job(split: str) -> str:
    """Return the name of the job that tokenizes a split."""
    return f"tokens_{split}"


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
    check_cluster(cluster)
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


def check_cluster(cluster: Cluster) -> None:
    """Check that jobs can be submitted to Slurm from here.

    Raises:
        RecipeError: naming the key or the program that is missing.
    """
    if cluster.partition is None:
        raise RecipeError("corpus.cluster.partition: missing; --executor slurm needs the partition for its jobs")
    for program in ("sbatch", "squeue"):
        if shutil.which(program) is None:
            raise RecipeError(
                f"--executor slurm: there is no {program} here; run the command where jobs are submitted"
            )
    if shutil.which(_PROGRAM, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}") is None:
        raise RecipeError(
            f"--executor slurm: there is no {_PROGRAM} beside {sys.executable}, and every task runs it; install "
            "datatrove with this Python, as pip install -e . does"
        )


def _submit(executor: _Slurm, logs: Path) -> None:
    """Submit the unfinished tasks, unless a job still has them, or had them and finished none."""
    left = len(executor.get_incomplete_ranks())
    if not left:
        return
    file = logs / _JOB
    again = "run the same command again when it has ended"
    if file.is_file():
        job, _, submitted = file.read_text(encoding="utf-8").partition(" ")
        queued = subprocess.run(["squeue", "-h", "-j", job], capture_output=True, text=True, check=False)
        if queued.stdout.strip():
            raise Unfinished(f"job {job} has {left} of {executor.tasks} tasks left; {again}")
        if submitted == str(left):
            file.unlink()
            raise RecipeError(
                f"{logs}: job {job} has ended, and none of its {left} tasks was finished; correct the cause and run "
                f"the same command again to submit them again{_tail(logs, job)}"
            )
        logger.warning(
            "job %s left %d of %d tasks unfinished (%s)%s", job, left, executor.tasks, logs, _tail(logs, job)
        )
    executor.run()
    file.write_text(f"{executor.job_id} {left}", encoding="utf-8")
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


def _tail(logs: Path, job: str = "") -> str:
    """Return the end of the newest log of a task that is not finished, as a part of a message.

    A task that did not even begin has only the output that Slurm keeps.
    """
    done = {file.name for file in (logs / "completions").glob("*")}
    found = [file for file in (logs / "logs").glob("task_*.log") if file.stem.removeprefix("task_") not in done]
    found = found or list((logs / "slurm_logs").glob(f"{job}_*.out"))
    if not found:
        return ""
    newest = max(found, key=lambda file: file.stat().st_mtime)
    lines = newest.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
    return "; the end of " + f"{newest}:\n" + "\n".join(lines)
