"""datatrove's executor, quiet, with its log in files."""

from pathlib import Path
from typing import Any

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from loguru import logger as datatrove_logger

from domain_tokens.corpora.pipeline.folders import LocalFolder


class _QuietExecutor(LocalPipelineExecutor):
    """datatrove's executor without its log on the console, in the processes that it starts too; the log files stay."""

    def _launch_run_for_rank(self, *args: Any, **kwargs: Any) -> Any:
        datatrove_logger.disable("datatrove")
        return super()._launch_run_for_rank(*args, **kwargs)


def run_steps(steps: list[PipelineStep], logs: Path, tasks: int, workers: int, skip_completed: bool = True) -> Any:
    """Run the steps of a pipeline in processes of this machine, and return datatrove's statistics.

    Args:
        steps (`list[PipelineStep]`): the steps.
        logs (`Path`): where datatrove logs, and notes which tasks are done.
        tasks (`int`): into how many tasks the work is divided.
        workers (`int`): how many processes work at a time.
        skip_completed (`bool`, *optional*): whether a task that is done is not run again.
    """
    datatrove_logger.disable("datatrove")
    return _QuietExecutor(
        pipeline=steps,
        tasks=tasks,
        workers=min(tasks, workers),
        logging_dir=LocalFolder(logs),
        skip_completed=skip_completed,
    ).run()


def stat_of(stats: Any, name: str) -> int:
    """Return the total of one count in datatrove's statistics."""
    found = [step.stats[name].total for step in stats.stats if name in step.stats] if stats is not None else []
    return int(sum(found))
