"""SIGTERM, SIGINT, SIGHUP and SIGUSR1 as requests to stop: deferred to a step's end, and obeyed at once elsewhere."""

import atexit
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from domain_tokens.stopping.parent import PARENT_ENDED

REQUESTS: tuple[signal.Signals, ...] = tuple(
    # Slurm sends SIGUSR1 before a time limit or a preemption, where `--signal=USR1@300` asks for it.
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1")
    if hasattr(signal, name)  # Windows has the first two
)
"""The signals that ask a program to stop."""

INTERRUPTED = tuple(128 + number for number in REQUESTS)
"""The exit codes of a program that was asked to stop: 143, 130, 129 and, on Linux, 138."""

GO_ON = "interrupted; run the same command again to go on"
"""What a program says that was asked to stop."""

# A launcher passes on a signal that the whole group got too, and a scheduler sends one to every process of a job. What
# arrives so soon after the first is not counted as a second request.
_ECHO_S = 0.5
_ECHO_OF_LAUNCHER_S = 5.0

_deferred_in: set[int] = set()  # the processes whose step must not be cut: this one, or the one it was forked from


class Interrupted(BaseException):
    """A signal asked the program to stop, and it did; not an `Exception`, so that no library takes it for an error.

    Args:
        number (`int`): the signal.
        message (`str`, *optional*): what was saved and what to do; empty to say nothing.
    """

    def __init__(self, number: int, message: str | None = None) -> None:
        name = signal.Signals(number).name
        super().__init__(f"{name}: {GO_ON}" if message is None else message)
        self.code = 128 + number


class StopSignals:
    """What this process was asked.

    Args:
        is_launched (`bool`): whether a launcher or runner started the process, which passes on its own signals.

    Attributes:
        number (`int`): the signal's number; 0 as long as there was none.
    """

    def __init__(self, is_launched: bool) -> None:
        self.number = 0
        self._since = 0.0
        self._echo_s = _ECHO_OF_LAUNCHER_S if is_launched else _ECHO_S

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Only note the first request inside the block, and end the process at a second one.

        Processes that are forked inside the block ignore requests, as workers that read data for the next step must: a
        terminal and a launcher send theirs to the whole group. Outside the main thread, nothing is deferred.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (*REQUESTS, PARENT_ENDED) if number}
        for number, old in before.items():
            if old is not signal.SIG_IGN:  # as after `nohup`
                signal.signal(number, self._note)
        _deferred_in.add(os.getpid())
        atexit.register(_end_workers)  # runs before multiprocessing's own, which was registered earlier
        try:
            yield
        finally:
            _deferred_in.clear()
            for number, old in before.items() if self.number == 0 else ():
                signal.signal(number, old)

    def _note(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if self.number == 0:
            self.number, self._since = (signal.SIGTERM if number == PARENT_ENDED else number), now
            if os.environ.get("RANK", "0") == "0":
                _say(
                    f"{_name(number)}: saves a checkpoint after this step, then ends; a second signal ends it at once"
                )
        elif number != PARENT_ENDED and now - self._since > self._echo_s:
            _say(f"{_name(number)} again: ended at once; the same command resumes from the last checkpoint")
            os._exit(128 + number)


def end_by_signals() -> None:
    """Let SIGTERM, SIGHUP and SIGUSR1 end this program by `Interrupted`, as SIGINT ends one by `KeyboardInterrupt`.

    So `finally` blocks run. A process that is forked from this one just ends.
    """
    owner = os.getpid()

    def interrupt(number: int, _: FrameType | None) -> None:
        if os.getpid() != owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        raise Interrupted(number)

    for number in REQUESTS:
        if number != signal.SIGINT and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def ignore_signals() -> None:
    """Ignore further requests, in a program that is ending by one."""
    for number in REQUESTS:
        signal.signal(number, signal.SIG_IGN)


def _end_workers() -> None:
    """Kill the workers that are left: `multiprocessing` would send them SIGTERM, which they ignore, and then wait."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler reports a killed worker as an error
    for worker in multiprocessing.active_children():
        if worker.daemon:
            worker.kill()


def _after_fork() -> None:
    if _deferred_in:
        signal.pthread_sigmask(signal.SIG_BLOCK, REQUESTS)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _name(number: int) -> str:
    return "the launcher has ended" if number == PARENT_ENDED else signal.Signals(number).name


def _say(line: str) -> None:
    os.write(2, f"{line}\n".encode())  # a handler may not wait for a lock that the interrupted code holds
