"""Hostile programs in the jail: nothing leaks, nothing is made, nothing survives, and each is refused in time.

They run with every layer, and without the allow-list of syntax, so that the limits and the filter of system calls are
seen to hold alone. The same programs run in plain Python first, to see that they do what they are said to do.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from jail import bombs, hostile
from jail.hostile import Hostile

from domain_tokens.jail.client import Jail
from domain_tokens.jail.confinement import Limits
from domain_tokens.jail.outcomes import Reason, Refusal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's filter of system calls")

CANARY = 8675309417
QUICK = [*hostile.READS_FILES, *hostile.READS_ENVIRONMENT, *hostile.MAKES, *hostile.CALLS, *bombs.FORGERIES]
QUICK += bombs.NO_NUMBERS
SLOW = [*bombs.LOOPS, *bombs.BOMBS, *bombs.PARSER]
# A program that only computes takes 2 ms and little memory. The size marks the processes of these tests.
SMALL = Limits(cpu_s=0.03, memory_bytes=(64 << 20) + 4096 * (os.getpid() % 1000))

Fill = Callable[[Hostile], str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made") / "made"


@pytest.fixture(scope="module")
def fill(tmp_path_factory: pytest.TempPathFactory, made: Path) -> Fill:
    secret = tmp_path_factory.mktemp("secret") / "secret"
    secret.write_text(str(CANARY))
    return lambda program: program.source.replace("SECRET", repr(str(secret))).replace("MADE", repr(str(made)))


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAIL_CANARY", str(CANARY))


@pytest.fixture
def jail(canary: None, made: Path) -> Iterator[Jail]:
    with Jail(SMALL) as jail:
        yield jail
        assert len(_processes(SMALL)) == 1  # the clean parent alone
    assert _processes(SMALL) == []
    assert not made.exists()
    assert list(made.parent.iterdir()) == []


def _processes(limits: Limits) -> list[psutil.Process]:
    """Return the clean parents with these limits, and what they forked: a fork has its parent's command line."""
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if str(limits.memory_bytes) in (process.info["cmdline"] or [])]


def test_the_programs_are_many_and_hostile(canary: None, fill: Fill, made: Path) -> None:
    assert len({program.source for program in QUICK + SLOW}) > 400
    reads = [p for p in QUICK if p.kind.startswith("reads")]
    makes = [p for p in QUICK if p.kind.startswith("makes")]
    assert len(reads) > 50
    assert len(makes) > 15
    assert _in_plain_python([fill(program) for program in reads]) == [CANARY] * len(reads)
    for program in makes:
        _in_plain_python([fill(program)])
        assert made.is_symlink() or made.exists(), program.source
        made.rmdir() if made.is_dir() and not made.is_symlink() else made.unlink()


def _in_plain_python(sources: list[str]) -> list[object]:
    run = subprocess.run(
        [sys.executable, "-S", str(Path(__file__).with_name("plain.py"))],
        input=json.dumps(sources), capture_output=True, text=True, check=True,
    )  # fmt: skip
    results: list[object] = json.loads(run.stdout)
    return results


@pytest.mark.parametrize("guarded", [True, False], ids=["every layer", "without the list of syntax"])
def test_every_program_is_refused(jail: Jail, fill: Fill, guarded: bool) -> None:
    programs = QUICK + SLOW[guarded::8]
    assert len(programs) > 100
    outcomes = list(jail._run_all(map(fill, programs), guarded))
    assert _not_as_expected(programs, outcomes, guarded) == []


def _not_as_expected(programs: list[Hostile], outcomes: list[int | float | Refusal], guarded: bool) -> list[object]:
    return [
        (program.kind, program.source, outcome)
        for program, outcome in zip(programs, outcomes, strict=True)
        if not isinstance(outcome, Refusal)
        or outcome.reason not in (program.guarded if guarded else program.bare)
        or str(CANARY) in outcome.detail
    ]


@pytest.mark.parametrize(("guarded", "num_shown"), [(True, 4), (False, 7)], ids=["every layer", "without the list"])
def test_reading_texts_accepts_nothing_but_the_number_that_a_program_shows(
    jail: Jail, fill: Fill, guarded: bool, num_shown: int
) -> None:
    outcomes = list(jail._run_all(map(fill, QUICK), guarded, reads_texts=True))
    shown = [program for program, outcome in zip(QUICK, outcomes, strict=True) if outcome == 54]
    assert len(shown) == num_shown
    # `return '54'` and `Decimal('54')`; without the list of syntax also `return '{0[0]}'.format([54])`.
    assert {program.kind for program in shown} <= {"is no number", *(() if guarded else ("walks to attributes",))}
    others = [(program, outcome) for program, outcome in zip(QUICK, outcomes, strict=True) if outcome != 54]
    is_read = [isinstance(one, Refusal) and one.reason is Reason.SEVERAL_NUMBERS for _, one in others]
    assert sum(is_read) == 3  # `1 2`, `0x36`, digits of Arabic
    rest = [pair for pair, read in zip(others, is_read, strict=True) if not read]
    assert _not_as_expected(*map(list, zip(*rest, strict=True)), guarded) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("guarded", [True, False], ids=["every layer", "without the list of syntax"])
def test_every_program_is_refused_within_three_seconds(canary: None, fill: Fill, guarded: bool, made: Path) -> None:
    outcomes: list[int | float | Refusal] = []
    seconds = []
    with Jail() as jail:
        for program in QUICK + SLOW:
            start = time.monotonic()
            outcomes += jail._run_all([fill(program)], guarded)
            seconds.append(time.monotonic() - start)
    assert _not_as_expected(QUICK + SLOW, outcomes, guarded) == []
    assert max(seconds) > 1.5  # some did wait for their limits
    assert max(seconds) < 3
    assert not made.exists()


def test_a_program_can_state_a_number_and_no_more(jail: Jail) -> None:
    # A child that a program has taken over can write a result, as the program could have returned it. It cannot speak
    # for the next program.
    two = b'\\0\\0\\0\\x0d{"value": 42}' * 2
    forged = "import os\nos.write(3, b'%s')\nos._exit(0)\n"
    one_result, two_results = (forged % text.decode() for text in (two[: len(two) // 2], two))
    outcomes = list(jail._run_all([one_result, two_results, "result = 7"], guarded=False))
    assert outcomes == [42, Refusal(Reason.MALFORMED), 7]
