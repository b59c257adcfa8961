"""Starts tasks as processes: children of the warm process where possible, otherwise fresh processes."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from domain_tokens.experiment.tasks import Process, Task
from domain_tokens.runs.progress import PROGRESS_FILE
from domain_tokens.warm_process import THREADS, WarmProcess

# Every step allocates and frees large blocks of logits. By default glibc returns them to the kernel and faults them in
# again page by page. With the memory kept, two CPU cores train 1.6 times (pretraining) to 3 times (SFT) as fast.
_KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(16 * 2**30)}


class FreshProcess:
    """A process that imports everything itself and runs in its own session.

    An interrupt from the terminal therefore reaches only the runner, which then ends the stage and its children.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> None:
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        self._is_being_ended = False

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the process and return its exit code. Raises `subprocess.TimeoutExpired`.

        After a signal, `timeout` is for its children too: accelerate's launcher ends before the training it started.
        """
        deadline = time.monotonic() + (timeout or 0.0)
        code = self._process.wait(timeout)
        while timeout is not None and self._is_being_ended and self._has_group():
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self._process.args, timeout)
            time.sleep(0.02)
        return code

    def signal_group(self, number: int) -> None:
        """Send a signal to the process and its children."""
        if self._process.poll() is None or (self._is_being_ended and self._has_group()):
            self._is_being_ended = True
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _has_group(self) -> bool:
        """Whether a process of the group is left; its number is not given to others as long as one is."""
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return False
        return True


class Starter:
    """Starts tasks, each with its own log.

    Args:
        environment (`Mapping[str, str]`): environment of every task.
        config_file (`Path`, *optional*): the accelerate configuration.
        launch_environment (`Mapping[str, str]`, *optional*): variables that accelerate's launcher would add for one
            process; None if the launcher must start the training tasks.
        warm (`WarmProcess`, *optional*): forks the tasks that need no launcher.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        config_file: Path | None = None,
        launch_environment: Mapping[str, str] | None = None,
        warm: WarmProcess | None = None,
    ) -> None:
        self._environment = environment
        self._config_file = config_file
        self._launch_environment = launch_environment
        self._warm = warm

    def __call__(self, task: Task) -> Process:
        """Start a task."""
        environment = dict(self._environment) | {PROGRESS_FILE: str(task.progress_file)}
        launched = task.distributed and (self._warm is None or self._launch_environment is None)
        command = [sys.executable, *(self._launcher() if launched else []), *task.arguments]
        with task.log.open("ab") as log:
            log.write(f"[{time.strftime('%Y-%m-%d %H:%M:%S')}] {' '.join(command)}\n".encode())
            log.flush()
            if self._warm is None or launched:
                return FreshProcess(command, environment, log)
            if task.distributed:  # keep the chosen number of threads, as the launcher would
                chosen = {name: environment[name] for name in THREADS if name in environment}
                environment |= dict(self._launch_environment or {}) | chosen
            return self._warm.start(task.arguments, env=environment, stdout=log, stderr=log)

    def _launcher(self) -> list[str]:
        chosen = ["--config_file", str(self._config_file)] if self._config_file else []
        return ["-m", "domain_tokens.runs.launcher", *chosen]


def task_environment(threads: int | None) -> dict[str, str]:
    """Return the environment of every task. Variables set by the user take precedence.

    Args:
        threads (`int`, *optional*): torch threads per process, defaults to the libraries' own choice.
    """
    # OpenBLAS has one thread in the warm process and its children, so it gets one everywhere.
    chosen = _KEEP_MEMORY | {"TOKENIZERS_PARALLELISM": "false", "OPENBLAS_NUM_THREADS": "1"}
    environment = chosen | dict(os.environ)
    if threads is not None:
        environment |= dict.fromkeys(THREADS, str(threads))
    return environment
