"""The walls of the jail: descriptors, limits, the filter of system calls, and what happens where there is none."""

import errno
import json
import os
import platform
import resource
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from jail.ended import end_within

from domain_tokens.jail.child import Child
from domain_tokens.jail.client import Jail
from domain_tokens.jail.confinement import Limits
from domain_tokens.jail.outcomes import JailError, Reason, Refusal
from domain_tokens.jail.seccomp import Seccomp, filter_program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's filter of system calls")


def test_a_child_has_one_descriptor_and_its_limits() -> None:
    def describe(send: Callable[[bytes], None]) -> None:
        names = ("CORE", "FSIZE", "NPROC", "NOFILE", "CPU", "AS")
        limits = {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in names}
        descriptors = [number for number in range(1000) if _is_open(number)]
        leads = os.getpid() == os.getsid(0) == os.getpgid(0)
        send(json.dumps([descriptors, limits, leads, signal.getitimer(signal.ITIMER_PROF)[0]]).encode())

    with open(os.devnull) as null:
        null_copy = os.dup(null.fileno())
        child = Child(describe, Limits(cpu_s=1.5, memory_bytes=1 << 40), None, null_copy)
        [described] = child.results()
        assert child.end() is Reason.NO_RESULT  # it ended by itself
        os.close(null_copy)
    descriptors, limits, leads, seconds = json.loads(described)
    assert descriptors == [3]
    assert limits == {
        "CORE": [0, 0], "FSIZE": [0, 0], "NPROC": [0, 0], "NOFILE": [0, 0], "CPU": [2, 3], "AS": [1 << 40, 1 << 40]
    }  # fmt: skip
    assert leads
    assert 1 < seconds < 1.6


def test_the_clock_ends_a_child_that_uses_no_processor_time_and_what_it_started(tmp_path: Path) -> None:
    def wait(send: Callable[[bytes], None]) -> None:
        with suppress(BlockingIOError):  # only root can fork here, without the filter of system calls
            if os.fork() == 0:
                time.sleep(60)
        send(str(os.getpid()).encode())
        time.sleep(60)

    start = time.monotonic()
    with open(os.devnull) as null:
        child = Child(wait, Limits(wall_s=0.3), None, null.fileno())
        group = [int(result) for result in child.results()]
        assert child.end() is Reason.WALL_TIME
    assert 0.3 <= time.monotonic() - start < 3
    left = [process for process in psutil.process_iter() if _group(process.pid) in group]
    assert end_within(left, 5)


def test_the_clock_begins_again_with_each_result() -> None:
    def take_turns(send: Callable[[bytes], None]) -> None:
        for _ in range(4):
            time.sleep(0.3)
            send(b"{}")

    start = time.monotonic()
    with open(os.devnull) as null:
        child = Child(take_turns, Limits(wall_s=0.9), None, null.fileno())
        assert list(child.results()) == [b"{}"] * 4
        assert child.end() is Reason.NO_RESULT  # it ended by itself
    assert time.monotonic() - start > 0.9


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_the_clean_parent_has_an_environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    source = "import os, sys\nraise ValueError(sorted(os.environ), 'torch' in sys.modules)\n"
    with Jail() as jail:
        [outcome] = jail._run_all([source], guarded=False)
    assert isinstance(outcome, Refusal)
    detail = outcome.detail.replace("'LC_CTYPE', ", "")  # Python sets it itself, in some places
    assert detail == "ValueError: (['JE_ARROW_MALLOC_CONF', 'OPENBLAS_NUM_THREADS', 'PYTHONHASHSEED'], False)"


# Numbers of calls by architecture: what a confined process may do, and with which arguments; and what it may not.
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM
X86, ARM = 0xC000003E, 0xC00000B7
CALLS = {
    "x86_64": (X86, {
        (1, 3, 0, 9): ALLOW, (1, 1, 0, 9): KILL, (1, (1 << 32) + 3, 0, 9): KILL, (0, 3, 0, 9): KILL,
        (9, 0, 4096, 3, 0x22): ALLOW, (9, 0, 4096, 7, 0x22): KILL, (9, 0, 4096, 3, 2): KILL,
        (10, 0, 4096, 3): ALLOW, (10, 0, 4096, 5): KILL, (11, 0): ALLOW, (12, 0): ALLOW, (25, 0): ALLOW,
        (28, 0): ALLOW, (228, 0): ALLOW, (60, 0): ALLOW, (231, 0): ALLOW, (2, 0): FAIL, (257, 0): FAIL, (56, 0): KILL,
        (57, 0): KILL, (59, 0): KILL, (62, 0): KILL, (41, 0): KILL, (157, 0): KILL, (435, 0): KILL,
        (0x40000000 + 60, 0): KILL,
    }),
    "aarch64": (ARM, {
        (64, 3, 0, 9): ALLOW, (64, 1, 0, 9): KILL, (222, 0, 4096, 3, 0x22): ALLOW, (222, 0, 4096, 7, 0x22): KILL,
        (226, 0, 4096, 3): ALLOW, (226, 0, 4096, 5): KILL, (215, 0): ALLOW, (214, 0): ALLOW, (216, 0): ALLOW,
        (233, 0): ALLOW, (113, 0): ALLOW, (93, 0): ALLOW, (94, 0): ALLOW, (56, 0): FAIL, (220, 0): KILL,
        (221, 0): KILL, (129, 0): KILL, (198, 0): KILL, (63, 0): KILL, (167, 0): KILL, (1, 0): KILL,
    }),
}  # fmt: skip


@pytest.mark.parametrize("machine", CALLS)
def test_the_filter_allows_what_computing_takes_and_no_more(machine: str) -> None:
    audit, calls = CALLS[machine]
    for call, verdict in calls.items():
        assert _verdict(filter_program(machine), audit, call) == verdict, call
        other = next(number for number in (X86, ARM) if number != audit)
        assert _verdict(filter_program(machine), other, call) == KILL
        assert _verdict(filter_program(machine), 0x40000003, call) == KILL  # i386
    allowed = [n for n in range(1024) if _verdict(filter_program(machine), audit, (n, 3, 0, 0, 0x20)) == ALLOW]
    assert len(allowed) == 10


def _verdict(program: bytes, audit: int, call: tuple[int, ...]) -> int:
    """Return what the kernel's packet filter would: an interpreter of the few instructions in use."""
    number, *arguments = call
    data = struct.pack("=IIQ6Q", number, audit, 0, *[*arguments, 0, 0, 0, 0, 0, 0][:6])
    steps = list(struct.iter_unpack("=HBBI", program))
    at, word = 0, 0
    while True:
        code, if_true, if_false, operand = steps[at]
        at += 1
        match code:
            case 0x20:
                (word,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                word &= operand
            case 0x15:
                at += if_true if word == operand else if_false
            case 0x06:
                return int(operand)


WITHOUT_SECCOMP = """
    import ctypes, struct, sys
    # From here on, a process that installs a filter is told that it may not, as in some containers.
    number = {"x86_64": 157, "aarch64": 167}[sys.argv[1]]
    steps = [(0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 16), (0x15, 0, 1, 22), (0x06, 0, 0, 0x50001),
             (0x06, 0, 0, 0x7FFF0000)]
    body = b"".join(struct.pack("=HBBI", *step) for step in steps)
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_char_p)]
    prctl = ctypes.CDLL(None).prctl
    assert prctl(38, 1, 0, 0, 0) == 0
    assert prctl(22, 2, ctypes.byref(Program(len(steps), body)), 0, 0) == 0
    from domain_tokens.jail.client import Jail
    from domain_tokens.jail.confinement import Limits
    from domain_tokens.jail.outcomes import JailError
    try:
        Jail()
    except JailError as error:
        print(error)
    with Jail(Limits(cpu_s=0.1), allow_without_seccomp=True) as jail:
        print(jail.missing)
        print(jail.run("result = 6 * 9"), jail.run("import os\\nresult = 1"), jail.run("while True: pass\\n"))
"""


def test_without_a_filter_it_refuses_unless_told_otherwise(tmp_path: Path) -> None:
    script = tmp_path / "without.py"
    script.write_text(textwrap.dedent(WITHOUT_SECCOMP))
    run = subprocess.run([sys.executable, str(script), platform.machine()], capture_output=True, text=True, check=True)
    refused, missing, outcomes = run.stdout.splitlines()
    assert "untrusted programs cannot be confined here: the kernel or the container lets no process" in refused
    assert "allow_without_seccomp=True" in refused
    assert "docs/SECURITY.md" in refused
    assert missing in refused
    assert outcomes.startswith("54 Refusal(reason=<Reason.IMPORT: 'forbidden_import'>, detail='os') Refusal(")
    assert "_TIME" in outcomes


def test_an_architecture_without_a_table_has_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="no filter of system calls for linux on riscv64"):
        Seccomp()


def test_a_filter_is_found_here() -> None:
    with Jail() as jail:
        assert jail.missing is None


def test_an_interrupted_request_closes_the_jail() -> None:
    """Or the next request would get the answer to the interrupted one."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    with Jail() as jail:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            jail.run("while True: pass\n")
        with pytest.raises(JailError, match="closed"):
            jail.run("result = 54")
    signal.signal(signal.SIGALRM, before)


def test_threads_take_turns_and_processes_do_not() -> None:
    with Jail() as jail:
        outcomes: dict[int, list[object]] = {}
        threads = [
            threading.Thread(target=lambda n=n: outcomes.update({n: [jail.run(f"result = {n}") for _ in range(9)]}))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outcomes == {n: [n] * 9 for n in range(4)}
        jail._owner += 1
        with pytest.raises(JailError, match="belongs to the process that made it"):
            jail.run("result = 54")
