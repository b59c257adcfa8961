"""Ends a process when another of its job has ended while they train.

Gloo notices that at once. NCCL does not: a process would wait for the GPU, in which it cannot even be asked to stop,
until the launcher kills it after 30 s.
"""

import os
import socket
import threading
from typing import Any

from torch import distributed

_EVERY_S = 1.0


class PeerWatch:
    """A thread that looks whether the other processes on this machine are alive.

    Args:
        group: the process group of all of them, over gloo.
    """

    def __init__(self, group: Any) -> None:
        everyone: list[tuple[str, int]] = [("", 0)] * distributed.get_world_size(group)
        distributed.all_gather_object(everyone, (socket.gethostname(), os.getpid()), group)
        here = socket.gethostname()
        self._peers = {rank: process for rank, (host, process) in enumerate(everyone) if host == here}
        self._is_over = threading.Event()
        threading.Thread(target=self._watch, name="peers", daemon=True).start()

    def stop(self) -> None:
        """Look no more: from here on each process may end when it is done."""
        self._is_over.set()

    def _watch(self) -> None:
        before: set[int] = set()
        while not self._is_over.wait(_EVERY_S):
            ended = {rank for rank, process in self._peers.items() if not _is_alive(process)}
            if ended & before:  # twice: it may have told this process why
                rank = min(ended & before)
                line = f"rank {rank} (process {self._peers[rank]}) has ended, so this process ends too\n"
                os.write(2, line.encode())
                os._exit(1)
            before = ended


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
