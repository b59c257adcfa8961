"""Ends a process when the one that started it has ended, however it did. The kernel of Linux sees to it."""

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # of prctl(2)

PARENT_ENDED: int = signal.SIGRTMIN + 1 if sys.platform == "linux" else 0
"""What a process gets when its launcher has ended. It ends a process that has no handler for it."""

_LAUNCHERS = (
    "accelerate", "accelerate.commands.launch", "torchrun", "torch.distributed.run", "domain_tokens.runs.launcher",
    "domain_tokens.warm_process.server",
)  # fmt: skip
_RUNNERS = (
    "run_experiment.py", "run_robustness.py", "tune_learning_rate.py", "research_tables.py", "calibrate_pipeline.py",
)  # fmt: skip


def end_with(parent: int, number: int = signal.SIGKILL) -> None:
    """Let the kernel send this process a signal when its parent ends; at once if it has ended. Linux alone has that.

    Args:
        parent (`int`): the process id that the parent has, or had.
        number (`int`): the signal.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os.kill(os.getpid(), number)


def end_with_launcher() -> bool:
    """Let this process end with the launcher or runner that started it, if one did; return whether one did.

    A stage that a user started by hand outlives the shell, as with `nohup`. One of several processes is killed,
    because without its launcher it could not go on. A single one gets `PARENT_ENDED`: it may save its work.
    """
    if sys.platform != "linux":
        return False
    parent = os.getppid()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        end_with(parent)
        return True
    if started := _is_one_of(parent, (*_LAUNCHERS, *_RUNNERS)):
        end_with(parent, PARENT_ENDED)
    return started


def end_with_runner() -> None:
    """Let this process, a launcher, be asked to end when the runner of an experiment that started it has ended."""
    if sys.platform == "linux" and _is_one_of(parent := os.getppid(), _RUNNERS):
        end_with(parent, signal.SIGTERM)


def _is_one_of(process: int, programs: tuple[str, ...]) -> bool:
    """Return whether a process runs one of these programs or modules."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    # The interpreter, its options, then the program; what follows are the program's own arguments.
    return any(word in programs or Path(word).name in programs for word in words[:6])
