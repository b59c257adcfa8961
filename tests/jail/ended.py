"""Whether processes have ended: one that nobody has asked for its exit code yet has ended, too."""

import time
from collections.abc import Iterable
from contextlib import suppress

import psutil


def end_within(processes: Iterable[psutil.Process], seconds: float) -> bool:
    """Return whether all of these end in time. Init may take two more seconds until it removes an orphan."""
    deadline, left = time.monotonic() + seconds, list(processes)
    while left := [process for process in left if _runs(process)]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
