"""A trusted function over untrusted texts: ordered results, and what dies takes nothing else along."""

import importlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jail import mapped
from jail.ended import end_within
from jail.mapped import first_line, misbehave, num_nodes, remember, slow

from domain_tokens.jail.client import Jail
from domain_tokens.jail.confinement import Limits
from domain_tokens.jail.outcomes import JailError, Reason, Refusal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's filter of system calls")

REASONS = {
    "loop": {Reason.CPU_TIME, Reason.WALL_TIME},
    "recurse": {Reason.RECURSION},
    "raise": {Reason.RAISED},
    "exit": {Reason.NO_RESULT},
    "forge": {Reason.MALFORMED},
    "memory": {Reason.MEMORY},
    "much": {Reason.TOO_LARGE},
    "call": {Reason.FORBIDDEN_CALL},
    "open": {Reason.RAISED},
    "abort": {Reason.FORBIDDEN_CALL},
    "nan": {Reason.NOT_JSON},
    "bytes": {Reason.NOT_JSON},
    "surrogate": {Reason.MALFORMED},
    "forged surrogate": {Reason.MALFORMED},
    "forged key": {Reason.MALFORMED},
    "forged bytes": {Reason.MALFORMED},
}


@pytest.fixture(scope="module")
def jail() -> Iterator[Jail]:
    with Jail(Limits(cpu_s=0.05)) as jail:
        yield jail


def test_results_come_in_order_and_the_items_at_fault_alone_are_refused(jail: Jail) -> None:
    assert REASONS.keys() == mapped.MISDEEDS.keys()
    items = [text for number, misdeed in enumerate(REASONS) for text in (f"before {number}", misdeed, "then\ud83d")]
    results = list(jail.map(misbehave, [*items, "the end 😀"], batch_size=10))
    assert len(results) == len(items) + 1
    for item, result in zip(items, results, strict=False):
        if item in REASONS:
            assert isinstance(result, Refusal), item
            assert result.reason in REASONS[item], item
        else:  # a lone surrogate is no text that could be written to a file
            assert result == item if item.startswith("before") else result.reason is Reason.MALFORMED
    assert results[-1] == "the end 😀"


def test_what_an_error_says_is_one_printable_line(jail: Jail) -> None:
    assert list(jail.map(misbehave, ["raise"])) == [Refusal(Reason.RAISED, "ValueError: what?else?[31m?")]


def test_items_that_use_up_a_batch_are_all_done(jail: Jail) -> None:
    items = [str(number) for number in range(9)]
    assert list(jail.map(slow, items)) == items  # 0.1 s or more, of the 0.05 s that a child has


def test_a_batch_shares_a_child_and_the_next_one_does_not(jail: Jail) -> None:
    assert list(jail.map(remember, "abcde", batch_size=2)) == [["a"], ["a", "b"], ["c"], ["c", "d"], ["e"]]
    assert mapped.CALLS == []


def test_several_functions_take_turns(jail: Jail) -> None:
    nodes, texts = jail.map(num_nodes, ["1", "1 +", "\0"], batch_size=1), jail.map(misbehave, "xyz", batch_size=1)
    assert list(zip(nodes, texts, strict=True)) == [(3, "x"), (-1, "y"), (-1, "z")]


@given(st.lists(st.text(max_size=20)))
def test_every_text_gets_what_the_function_says(jail: Jail, texts: list[str]) -> None:
    assert list(jail.map(num_nodes, texts)) == [num_nodes(text) for text in texts]


def test_files_are_read_on_the_warm_up_items(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("first\nsecond\n")
    with Jail() as jail:
        assert list(jail.map(first_line, [str(file)], warm_up=[str(file)])) == ["first"]
    with Jail() as jail:
        [result] = jail.map(first_line, [str(file)])
        assert isinstance(result, Refusal)
        assert result.reason in (Reason.RAISED, Reason.FORBIDDEN_CALL)


def test_a_function_that_cannot_be_imported_is_refused(jail: Jail) -> None:
    with pytest.raises(ValueError, match="top level of a module"):
        jail.map(lambda text: text, ["x"])
    with pytest.raises(ValueError, match="top level of a module"):
        jail.map(mapped.Path.read_text, ["x"])
    with pytest.raises(JailError, match=r"jail\.mapped\.first_line cannot work in a jail: FileNotFoundError"):
        list(jail.map(first_line, ["x"], warm_up=["/nowhere"]))
    assert list(jail.map(misbehave, ["x"])) == ["x"]


# Modules that behave so in the clean parent alone, which has no pytest.
UNFIT = {
    "threads": (
        "threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
        "its imports started 1 threads",
    ),
    "memory": ("memory = mmap.mmap(-1, 300 << 20)", "MiB of address space, and a child may have 512 MiB"),
}


@pytest.mark.parametrize(("line", "problem"), UNFIT.values(), ids=UNFIT)
def test_a_function_whose_imports_no_fork_should_copy_is_refused(
    line: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"unfit_{len(line)}"
    guarded = f"if 'pytest' not in sys.modules:\n    {line}"
    for name, extra in ((f"{module}_not", ""), (module, guarded)):
        text = f"import mmap, sys, threading, time\n{extra}\ndef same(text):\n    return text\n"
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with Jail() as jail:
        assert list(jail.map(importlib.import_module(f"{module}_not").same, ["x"])) == ["x"]
        with pytest.raises(JailError, match=problem):
            list(jail.map(importlib.import_module(module).same, ["x"]))


def test_the_caller_can_be_killed(tmp_path: Path) -> None:
    """Neither the clean parent nor a child that loops survives its caller."""
    limits = Limits(cpu_s=60, wall_s=60, memory_bytes=(300 << 20) + 4096 * (os.getpid() % 1000))
    script = tmp_path / "caller.py"
    script.write_text(
        textwrap.dedent(f"""
        from domain_tokens.jail.client import Jail
        from domain_tokens.jail.confinement import Limits
        with Jail(Limits({limits.cpu_s}, {limits.wall_s}, {limits.memory_bytes})) as jail:
            jail.run("while True: pass\\n")
        """)
    )
    caller = subprocess.Popen([sys.executable, str(script)])
    try:
        while len(jailers := _processes(limits)) < 2:
            assert caller.poll() is None
            time.sleep(0.02)
    finally:
        caller.send_signal(signal.SIGKILL)
        caller.wait()
    assert end_within(jailers, 5)


def test_a_clean_parent_that_is_killed_takes_its_child_along() -> None:
    limits = Limits(cpu_s=60, wall_s=60, memory_bytes=(301 << 20) + 4096 * (os.getpid() % 1000))
    with Jail(limits) as jail:
        assert jail.run("result = 54") == 54
        request = json.dumps(
            {"programs": ["while True: pass\n"], "guarded": True, "reads_texts": False, "function": [], "items": []}
        ).encode()
        assert jail._process.stdin is not None
        os.write(jail._process.stdin.fileno(), len(request).to_bytes(4, "big") + request)
        while len(jailers := _processes(limits)) < 2:
            assert jail._process.poll() is None
            time.sleep(0.02)
        jail._process.kill()
        assert end_within(jailers, 5)
        with pytest.raises(JailError, match="has ended"):
            jail.run("result = 54")
        with pytest.raises(JailError, match="closed"):
            jail.run("result = 54")


def _processes(limits: Limits) -> list[psutil.Process]:
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if str(limits.memory_bytes) in (process.info["cmdline"] or [])]
