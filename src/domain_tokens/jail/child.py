"""A jailed child as the clean parent sees it: forked, watched, killed, and its end explained."""

import gc
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from domain_tokens.jail.confinement import Limits, confine
from domain_tokens.jail.outcomes import Reason
from domain_tokens.jail.seccomp import RESULT_FD, Seccomp
from domain_tokens.jail.wire import Frames, read_some, send

Send = Callable[[bytes], None]
"""Sends a result from inside a child."""


class Child:
    """A confined child that does some work and sends its results.

    Args:
        work (`Callable`): what to do; it is given the function that sends a result.
        limits (`Limits`): what the child may use.
        seccomp (`Seccomp`, *optional*): the filter of system calls.
        caller (`int`): a descriptor of the clean parent; when its other end closes, the child is killed.
    """

    def __init__(self, work: Callable[[Send], None], limits: Limits, seccomp: Seccomp | None, caller: int) -> None:
        self._limits = limits
        self._fault: Reason | None = None
        self._results, result = os.pipe()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _live(work, result, limits, parent, seccomp)
        os.close(result)
        self._poll = select.poll()
        self._poll.register(self._results, select.POLLIN)
        self._poll.register(caller, 0)  # only that it hung up

    def results(self) -> Iterator[bytes]:
        """Yield the results until the child ends, or misbehaves, or takes longer than `wall_s` for one."""
        frames = Frames()
        deadline = time.monotonic() + self._limits.wall_s
        while True:
            left = deadline - time.monotonic()
            ready = dict(self._poll.poll(max(0.0, left) * 1000)) if left > 0 else {}
            if self._results not in ready:
                self._fault = Reason.WALL_TIME  # or the caller is gone, and nobody reads this
                return
            data = read_some(self._results)
            if not data:
                return
            try:
                for body in frames.add(data):
                    deadline = time.monotonic() + self._limits.wall_s
                    yield body
            except ValueError:
                self._fault = Reason.MALFORMED
                return

    def end(self) -> Reason:
        """Kill the child, if it still runs, and say why it ended; `NO_RESULT` if it ended by itself."""
        # A child that ended by itself, or that the kernel ended, keeps its status.
        for kill in (os.killpg, os.kill):  # the second, because it may not lead its group yet
            with suppress(ProcessLookupError, PermissionError):
                kill(self._pid, signal.SIGKILL)
        _, status = os.waitpid(self._pid, 0)
        os.close(self._results)
        if self._fault is not None:
            return self._fault
        if not os.WIFSIGNALED(status):
            return Reason.NO_RESULT
        match os.WTERMSIG(status):
            case signal.SIGSYS:
                return Reason.FORBIDDEN_CALL
            case signal.SIGXCPU | signal.SIGPROF:
                return Reason.CPU_TIME
            case _:
                return Reason.CRASHED


def _live(work: Callable[[Send], None], result: int, limits: Limits, parent: int, seccomp: Seccomp | None) -> None:
    """Be the child: confine this process, work, and end it without the interpreter's own end."""
    code = 1
    try:
        confine(result, limits, parent, seccomp)
        work(lambda body: send(RESULT_FD, body))
        code = 0
    finally:
        os._exit(code)


def prepare_to_fork() -> None:
    """Leave the objects of the imports to the parent alone: children neither scan nor free them."""
    gc.collect()
    gc.freeze()
