"""How much memory a trial may use on the device of a stage, and how much it has used."""

import gc
import os
import resource
import sys
from pathlib import Path

import psutil
import torch
from accelerate.utils.memory import should_reduce_batch_size

from domain_tokens.evaluation.models.devices import choose_device
from domain_tokens.training.devices import peak_resident_bytes

LEFT_FREE = 0.1
"""The share of the memory that a micro batch must leave: rows may be longer than was assumed, and memory fragments."""

_CGROUP = Path("/sys/fs/cgroup")
# Beside what `should_reduce_batch_size` of accelerate knows.
_SAYS_FULL = ("not enough memory", "can't allocate memory", "Cannot allocate memory", "out of memory", "ALLOC_FAILED")


def device_name() -> str:
    """Return the name of the GPU on which a stage would train, or `CPU`."""
    device = choose_device("training", int(os.environ.get("WORLD_SIZE", "1")))
    return torch.cuda.get_device_name() if device == "cuda" else device.upper()


class Memory:
    """The memory of this process's device beyond what the libraries take.

    Args:
        runs_at_a_time (`int`): how many runs share it.
        num_processes (`int`): processes of each run; they share the memory of a CPU, and have a GPU each.
        limit_bytes (`int`, *optional*): use no more than this.
        reserved_bytes (`int`, *optional*, defaults to 0): what a stage takes and a trial does not.
    """

    def __init__(
        self, runs_at_a_time: int, num_processes: int, limit_bytes: int | None = None, reserved_bytes: int = 0
    ) -> None:
        self.device = choose_device("training")
        self._before = 0 if self.device != "cpu" else psutil.Process().memory_info().rss
        sharing = runs_at_a_time * (num_processes if self.device == "cpu" else 1)
        # On a CPU the others' libraries take memory, too: this process's are among what is shared.
        available = (self._available() + self._before) // sharing - self._before - reserved_bytes
        self.num_bytes = max(0, available if limit_bytes is None else min(available, limit_bytes))

    @property
    def usable(self) -> int:
        """What a micro batch may use, in bytes."""
        return int(self.num_bytes * (1 - LEFT_FREE))

    def _available(self) -> int:
        if self.device == "cuda":
            return int(torch.cuda.mem_get_info()[0])  # without what this process's CUDA takes
        if self.device == "mps":
            return int(torch.mps.recommended_max_memory())
        return min([psutil.virtual_memory().available, *_left_in_group()])

    def limit(self) -> None:
        """Let an allocation beyond `usable` fail, rather than let the system end a process. Linux and CUDA have that.

        Elsewhere only what was used is compared with it, afterwards.
        """
        if self.device == "cuda":
            total = torch.cuda.get_device_properties().total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, self.usable / total))
        elif self.device == "cpu" and sys.platform == "linux":
            # Of the data segment, not of all addresses: files of libraries are mapped too, and take no memory.
            has = psutil.Process().memory_info().data
            _set_soft_limit(has + self.usable)

    def release(self) -> None:
        """End what `limit` began, so that an error can be written down."""
        if self.device == "cpu" and sys.platform == "linux":
            _set_soft_limit(None)

    def forget(self) -> None:
        """Free what the last trial left, and measure anew where the system can."""
        gc.collect()
        torch.compiler.reset()  # it would compile a handful of models and run further ones uncompiled
        if self.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        elif self.device == "mps":
            torch.mps.empty_cache()

    def peak_bytes(self) -> int:
        """Return the most that was used; on a CPU since the process began, so trials go from small to large."""
        if self.device == "cuda":
            return int(torch.cuda.max_memory_reserved())
        if self.device == "mps":
            return int(torch.mps.driver_allocated_memory())
        return max(0, peak_resident_bytes() - self._before)

    def wait(self) -> None:
        """Wait until the device has done what it was given, so that a clock may be read."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        elif self.device == "mps":
            torch.mps.synchronize()


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that memory ran out, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or should_reduce_batch_size(error):
        return True
    return isinstance(error, RuntimeError | OSError) and any(words in str(error) for words in _SAYS_FULL)


def _set_soft_limit(num_bytes: int | None) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = hard if num_bytes is None else num_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _left_in_group() -> list[int]:
    """Return what a container's limit leaves, if there is one (cgroup v2)."""
    try:
        most, used, parts = ((_CGROUP / f"memory.{name}").read_text() for name in ("max", "current", "stat"))
    except OSError:
        return []
    if not most.strip().isdecimal():  # `max`
        return []
    files = dict(line.split() for line in parts.splitlines()).get("inactive_file", "0")  # of which the system lets go
    return [int(most) - int(used) + int(files)]
