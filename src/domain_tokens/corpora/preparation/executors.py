"""Runs the steps of the preparation with one of datatrove's executors."""

import json
from pathlib import Path
from typing import Any

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from loguru import logger as datatrove_logger

from domain_tokens.corpora.folders import LocalFolder


class _QuietExecutor(LocalPipelineExecutor):
    """datatrove's executor without its log on the console, in the processes that it starts too; the log files stay."""

    def _launch_run_for_rank(self, *args: Any, **kwargs: Any) -> Any:
        datatrove_logger.disable("datatrove")
        return super()._launch_run_for_rank(*args, **kwargs)


def run_steps(steps: list[PipelineStep], logs: Path, tasks: int, workers: int, *, skip_completed: bool = True) -> None:
    """Run the tasks of a pipeline that are not finished.

    Args:
        steps (`list[PipelineStep]`): the pipeline.
        logs (`Path`): where datatrove keeps its logs, statistics and which tasks are finished.
        tasks (`int`): number of tasks.
        workers (`int`): how many run at a time.
        skip_completed (`bool`, *optional*, defaults to `True`): whether finished tasks are left alone.
    """
    datatrove_logger.disable("datatrove")
    _QuietExecutor(
        pipeline=steps,
        tasks=tasks,
        workers=min(tasks, workers),
        logging_dir=LocalFolder(logs),
        skip_completed=skip_completed,
    ).run()


def total_of(logs: Path, name: str) -> int:
    """Return the sum of a statistic over all tasks, those that an earlier process finished included."""
    found = [
        step["stats"][name]
        for file in sorted((logs / "stats").glob("*.json"))
        for step in json.loads(file.read_text(encoding="utf-8"))
        if name in step["stats"]
    ]
    return int(sum(one["total"] if isinstance(one, dict) else one for one in found))
