"""Whether anything works in a folder: a lock that a process holds, or a file that was written just now.

A lock is looked up in the system's list, never tried: trying takes it for a moment, and a stage that starts in that
moment would be refused.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from domain_tokens.watch.files.reading import changed_at

FRESH_S = 60.0
"""A file younger than this is a sign of life. A runner whose stages report writes a line every 30 seconds."""

_LOCKS = Path("/proc/locks")


@dataclass(frozen=True)
class Signs:
    """What is known of the process that writes to a folder.

    Attributes:
        pid: of the process of this machine that holds the folder's lock.
        written: when a file that it writes was changed last, in seconds since 1970.
        now: the time of the look.
        has_ended: whether it is known to have ended, whatever was written a moment ago.
    """

    pid: int | None
    written: float | None
    now: float
    has_ended: bool = False

    @property
    def is_alive(self) -> bool:
        """Whether it works: it holds the lock here, or wrote a moment ago, perhaps on another machine."""
        is_fresh = self.age is not None and self.age < FRESH_S
        return self.pid is not None or (is_fresh and not self.has_ended)

    @property
    def age(self) -> float | None:
        """Seconds since it wrote last."""
        return None if self.written is None else max(0.0, self.now - self.written)


def signs_of(lock: Path, writes: Iterable[Path], now: float) -> Signs:
    """Return the signs of life in a folder.

    Args:
        lock (`Path`): its lock file.
        writes (`Iterable[Path]`): files that a living process changes.
        now (`float`): seconds since 1970.
    """
    # A file that is dated ahead, by a clock that was set or another machine's, says nothing of when it was written.
    times = [time for path in writes if (time := changed_at(path)) is not None and time < now + FRESH_S]
    return Signs(holder(lock), max(times, default=None), now)


def holder(lock: Path) -> int | None:
    """Return the process of this machine that holds a lock file; `None` if none is known to, as outside of Linux."""
    try:
        status = lock.stat()
        listed = _LOCKS.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in listed:
        words = line.split()
        if len(words) >= 6 and words[1] == "FLOCK" and words[5] == place:
            return int(words[4])
    return None
