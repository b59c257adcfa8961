"""Confines a forked child: its descriptors, its limits, its system calls."""

import math
import os
import resource
import signal
import sys
from dataclasses import dataclass

from domain_tokens.jail.seccomp import RESULT_FD, Seccomp


@dataclass(frozen=True)
class Limits:
    """What one child may use.

    Attributes:
        cpu_s (`float`): seconds of processor time.
        wall_s (`float`): seconds on the clock, for one program or one item.
        memory_bytes (`int`): address space, with the 20 MiB that the interpreter itself takes.
    """

    cpu_s: float = 2.0
    wall_s: float = 2.5
    memory_bytes: int = 512 << 20


def confine(result: int, limits: Limits, parent: int, seccomp: Seccomp | None) -> None:
    """Confine this process, a fresh child of the clean parent, for good.

    Args:
        result (`int`): the descriptor for the result; it becomes `RESULT_FD`, and all others are closed.
        limits (`Limits`): what the child may use.
        parent (`int`): the process id of the clean parent, with which the child ends.
        seccomp (`Seccomp`, *optional*): the filter of system calls; None goes without.

    Raises:
        OSError, ValueError: if the system refuses; the child must end then.
    """
    os.setsid()
    os.dup2(result, RESULT_FD)
    os.closerange(0, RESULT_FD)
    os.closerange(RESULT_FD + 1, os.sysconf("SC_OPEN_MAX"))
    sys.stdin = sys.stdout = sys.stderr = None
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NPROC, 0)
    _limit(resource.RLIMIT_NOFILE, 0)
    whole = math.ceil(limits.cpu_s)
    _limit(resource.RLIMIT_CPU, whole, whole + 1)  # SIGXCPU at the first, SIGKILL at the second
    if sys.platform == "linux":  # elsewhere less than what is mapped already is refused
        _limit(resource.RLIMIT_AS, limits.memory_bytes)
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_s)  # finer than whole seconds
    if seccomp is not None:
        seccomp.die_with_parent(signal.SIGKILL)
        if os.getppid() != parent:
            raise OSError("the clean parent has ended")
        seccomp.install()


def _limit(which: int, soft: int, hard: int | None = None) -> None:
    """Set a limit, or keep what is lower already."""
    _, allowed = resource.getrlimit(which)
    hard = soft if hard is None else hard
    if allowed != resource.RLIM_INFINITY:
        soft, hard = min(soft, allowed), min(hard, allowed)
    resource.setrlimit(which, (soft, hard))
