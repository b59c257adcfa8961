"""A filter of system calls for a process that only computes: the few it needs are allowed, any other kills it.

The filter is a program for the kernel's packet filter (BPF), installed through `prctl`, so no library is needed. It
works on Linux on x86_64 and aarch64, without privileges, inside a container too.

Sources: the kernel's `Documentation/userspace-api/seccomp_filter.rst`, `include/uapi/linux/{filter,seccomp,audit}.h`,
and the tables of system calls of the two architectures.
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import NamedTuple

RESULT_FD = 3
"""The only descriptor on which a confined process may write."""

# struct seccomp_data: int nr, u32 arch, u64 instruction_pointer, u64 args[6]. Both architectures are little-endian,
# so the lower half of an argument comes first.
_NUMBER, _ARCHITECTURE = 0, 4

# BPF codes.
_LOAD, _AND = 0x20, 0x54  # accumulator = word at an offset; accumulator &= a constant
_JUMP_EQUAL, _RETURN = 0x15, 0x06

_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_FAIL = 0x00050000  # with the error in the lower half

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SECCOMP_MODE_FILTER = 2

_PROT_EXEC = 4
_MAP_ANONYMOUS = 0x20


class _Machine(NamedTuple):
    """The audit number of an architecture and its numbers of system calls."""

    audit: int
    write: int
    mmap: int
    mprotect: int
    opens: tuple[int, ...]
    others: tuple[int, ...]


# `opens`: open, openat. `others`: munmap, brk, mremap, madvise, clock_gettime, exit, exit_group. The 32-bit interfaces
# of x86_64 are kept out: x32 sets bit 30 of every number, and i386 has another audit number.
_MACHINES = {
    "x86_64": _Machine(0xC000003E, 1, 9, 10, (2, 257), (11, 12, 25, 28, 228, 60, 231)),
    "aarch64": _Machine(0xC00000B7, 64, 222, 226, (56,), (215, 214, 216, 233, 113, 93, 94)),
}


class _Step(NamedTuple):
    """One instruction; the jumps are the numbers of instructions to skip."""

    code: int
    operand: int
    if_true: int = 0
    if_false: int = 0


def filter_program(machine: str) -> bytes:
    """Return the filter for an architecture as the kernel reads it.

    Allowed are `write` on `RESULT_FD`, memory that is anonymous and not executable, the clock, and the end. Opening a
    file fails, because Python tries to when it reports a syntax error. Any other call kills the process.

    Args:
        machine (`str`): as `platform.machine()` names it.

    Raises:
        KeyError: if no filter is known for it.
    """
    calls = _MACHINES[machine]
    steps = [
        _Step(_LOAD, _ARCHITECTURE),
        _Step(_JUMP_EQUAL, calls.audit, if_true=1),
        _Step(_RETURN, _KILL_PROCESS),
        _Step(_LOAD, _NUMBER),
    ]
    for number in calls.others:
        steps += [_Step(_JUMP_EQUAL, number, if_false=1), _Step(_RETURN, _ALLOW)]
    for number in calls.opens:
        steps += [_Step(_JUMP_EQUAL, number, if_false=1), _Step(_RETURN, _FAIL | errno.EPERM)]
    steps += _allow_if(calls.write, _argument_is(0, RESULT_FD))
    steps += _allow_if(calls.mmap, [*_masked_is(2, _PROT_EXEC, 0), *_masked_is(3, _MAP_ANONYMOUS, _MAP_ANONYMOUS)])
    steps += _allow_if(calls.mprotect, _masked_is(2, _PROT_EXEC, 0))
    steps += [_Step(_RETURN, _KILL_PROCESS)]
    return b"".join(struct.pack("=HBBI", step.code, step.if_true, step.if_false, step.operand) for step in steps)


def _allow_if(number: int, conditions: list[_Step]) -> list[_Step]:
    return [_Step(_JUMP_EQUAL, number, if_false=len(conditions) + 1), *conditions, _Step(_RETURN, _ALLOW)]


def _argument_is(index: int, value: int) -> list[_Step]:
    """Kill unless both halves of an argument are those of a value."""
    return [*_word_is(16 + 8 * index, value), *_word_is(20 + 8 * index, 0)]


def _word_is(offset: int, value: int) -> list[_Step]:
    return [_Step(_LOAD, offset), _Step(_JUMP_EQUAL, value, if_true=1), _Step(_RETURN, _KILL_PROCESS)]


def _masked_is(index: int, mask: int, value: int) -> list[_Step]:
    """Kill unless some bits of the lower half of an argument have a value."""
    return [
        _Step(_LOAD, 16 + 8 * index),
        _Step(_AND, mask),
        _Step(_JUMP_EQUAL, value, if_true=1),
        _Step(_RETURN, _KILL_PROCESS),
    ]


class _Program(ctypes.Structure):
    """The kernel's `struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


class Seccomp:
    """The filter of this machine, compiled once and installed in a child after its fork.

    Raises:
        OSError: if the system is not Linux, or no filter is known for its architecture.
    """

    def __init__(self) -> None:
        machine = platform.machine()
        if sys.platform != "linux" or machine not in _MACHINES or struct.calcsize("P") != 8:
            raise OSError(errno.ENOSYS, f"no filter of system calls for {sys.platform} on {machine}")
        self._steps = filter_program(machine)
        self._program = _Program(len(self._steps) // 8, self._steps)
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl
        self._prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4

    def die_with_parent(self, signal_number: int) -> None:
        """Let the kernel send this process a signal when its parent ends.

        Raises:
            OSError: if the kernel refuses.
        """
        self._call(_PR_SET_PDEATHSIG, signal_number)

    def install(self) -> None:
        """Confine this process for good.

        Raises:
            OSError: if the kernel refuses.
        """
        self._call(_PR_SET_NO_NEW_PRIVS, 1)
        self._call(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(self._program))

    def _call(self, option: int, first: int, second: int = 0) -> None:
        if self._prctl(option, first, second, 0, 0) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"prctl {option}: {os.strerror(code)}")
