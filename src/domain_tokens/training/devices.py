"""Speeds of devices, the vendors' and what to assume before a run has measured its own, and a process's memory."""

import ctypes
import os
import re
import resource
import sys
from pathlib import Path

# Dense bf16 peak of one device in FLOP/s, products accumulated in fp32: the figures that NVIDIA publishes (data
# sheets, and white papers of the GeForce cards), half of the one with sparsity where only that is given. Written from
# memory and not compared with the sheets again.
PEAK_FLOPS = {
    "A100": 312e12,
    "H100": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H200": 989e12,
    "H200 NVL": 835e12,
    "B200": 2250e12,
    "L4": 121e12,
    "L40S": 362e12,
    "A40": 149.7e12,
    "3090": 71e12,
    "4090": 165e12,
    "5090": 209.5e12,
}

_STATUS = Path("/proc/self/status")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)

# Options of glibc's `mallopt`: no block comes from `mmap` (M_MMAP_MAX), and no end of the heap goes back
# (M_TRIM_THRESHOLD).
_KEEP_ALL = ((-4, 0), (-1, -1))

# The whole name that CUDA gives: a laptop's chip, a slice of a GPU (MIG) or a variant is not taken for another.
_NAMES = {
    "A100": r"NVIDIA A100(-SXM4|-PCIE|-PG509)?[- ]\d+GB( PCIe)?",
    "H100": r"NVIDIA H100( 80GB HBM3)?",
    "H100 PCIe": r"NVIDIA H100 PCIe",
    "H100 NVL": r"NVIDIA H100 NVL",
    "H200": r"NVIDIA H200",
    "H200 NVL": r"NVIDIA H200 NVL",
    "B200": r"NVIDIA B200",
    "L4": r"NVIDIA L4",
    "L40S": r"NVIDIA L40S",
    "A40": r"NVIDIA A40",
    "3090": r"NVIDIA GeForce RTX 3090",
    "4090": r"NVIDIA GeForce RTX 4090",
    "5090": r"NVIDIA GeForce RTX 5090",
}

# Model FLOPs utilization of a GPU. Measured with GPT-2 124M (docs/PERFORMANCE.md): 0.275 to 0.300 in pretraining on an
# H200, in bf16 and without torch.compile; on an H100 0.0051 with 1,024 answers at a time in fp32, 0.0031 in bf16.
TRAINING_MFU = 0.27
SAMPLING_MFU = 0.005

# One CPU core in fp32, in FLOP/s: two cores train the demo's model at 2,400 tokens/s and sample 480.
CPU_TRAINING_FLOPS = 50e9
CPU_SAMPLING_FLOPS = 3.3e9


def known_device(name: str) -> str | None:
    """Return the key of a device in `PEAK_FLOPS`, or `None` if its peak is unknown.

    Args:
        name (`str`): the device's name as `torch.cuda.get_device_name` gives it.
    """
    return next((key for key, pattern in _NAMES.items() if re.fullmatch(pattern, name)), None)


def peak_resident_bytes() -> int:
    """Return the most main memory that this process has had at a time."""
    # What Linux says of resources begins with the peak of the process that started this one; its status does not.
    if _STATUS.is_file() and (found := _PEAK.search(_STATUS.read_text(encoding="utf-8"))):
        return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux kibibytes


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, and return whether that could be arranged.

    Every step allocates and frees large blocks of logits, which glibc otherwise returns to the kernel and faults in
    again page by page. With them kept, two CPU cores take steps of pretraining 1.6 times as fast. It costs memory,
    up to twice as much. A trial of micro batches has to call this as a stage does. Settings
    of the environment (`MALLOC_...`, `GLIBC_TUNABLES`) are left as they are, and so is another C library.
    """
    chosen = any(name.startswith("MALLOC_") for name in os.environ) or "glibc.malloc." in os.getenv(
        "GLIBC_TUNABLES", ""
    )
    if sys.platform != "linux" or chosen:
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    return set_option is not None and all(set_option(*option) for option in _KEEP_ALL)
