"""A trainer that gets a signal saves at the end of the step, in all processes alike, and resumes to equal bytes."""

import contextlib
import json
import multiprocessing.util
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState
from interrupted import STEPS, AtStep, state_of, train

from domain_tokens.runs.layout import EXTRA
from domain_tokens.stopping import signals as stop_signals
from domain_tokens.stopping.parent import end_with
from domain_tokens.stopping.signals import Interrupted, StopSignals, end_by_signals

WINDOW = {"logging_steps": 4}  # so that a stop falls between two rows of the log


def send(*numbers: int, to: int | None = None, pause_s: float = 0.0) -> Callable[[], None]:
    def act() -> None:
        for number in numbers:
            os.kill(to or os.getpid(), number)
            time.sleep(pause_s)

    return act


@contextlib.contextmanager
def child(act: Callable[[], object], output: Path) -> Iterator[int]:
    """Act in a forked process that ends as a stage's script does; yield its id and end it."""
    pid = os.fork()
    if pid == 0:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 2)
        code = 1
        for number in stop_signals.REQUESTS:
            signal.signal(number, signal.SIG_DFL)
        with contextlib.suppress(Exception):
            try:
                act()
                code = 0
            except Interrupted as interrupted:
                os.write(2, f"{interrupted}\n".encode())
                code = interrupted.code
        os._exit(code)
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def code_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def steps_in(work: Path) -> set[str]:
    return {path.name for path in work.glob("*-*")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("undisturbed")
    train(work, **WINDOW)
    return work


@pytest.mark.parametrize(
    ("step", "number", "code"),
    [
        (1, signal.SIGTERM, 143),
        (5, signal.SIGINT, 130),
        (4, signal.SIGHUP, 129),
        (3, signal.SIGUSR1, 138),
        (7, 15, 143),
    ],
)
def test_a_signal_saves_the_step_and_the_run_resumes_to_equal_bytes(
    step: int, number: int, code: int, undisturbed: Path, tmp_path: Path
) -> None:
    work, log = tmp_path / "work", tmp_path / "log"
    with child(lambda: train(work, AtStep(step, send(number)), StopSignals(False), **WINDOW), log) as pid:
        assert code_of(pid) == code, log.read_text()
    said = log.read_text()
    assert f"{signal.Signals(number).name}: tiny stopped after step {step} of {STEPS} and saved it" in said
    assert (work / f"checkpoint-{step}" / EXTRA).is_file() == (step in (1, 5))
    again = train(work, signals=StopSignals(False), **WINDOW)
    assert again.state.global_step == STEPS
    assert state_of(work) == state_of(undisturbed)
    assert steps_in(work) == steps_in(undisturbed)
    assert state_of(work)["model.safetensors"] != (work / "weights-3" / "model.safetensors").read_bytes()


def test_a_second_signal_ends_the_process_at_once_and_an_echo_does_not(tmp_path: Path) -> None:
    outcomes = []
    for pause_s, is_launched in ((0.0, False), (0.7, False), (0.7, True)):
        work, log = tmp_path / f"work{pause_s}{is_launched}", tmp_path / f"log{pause_s}{is_launched}"
        act = AtStep(3, send(signal.SIGTERM, signal.SIGTERM, pause_s=pause_s))
        with child(
            lambda act=act, work=work, launched=is_launched: train(work, act, StopSignals(launched)), log
        ) as pid:
            outcomes.append((code_of(pid), (work / "checkpoint-3").exists(), "ended at once" in log.read_text()))
    assert outcomes == [(143, True, False), (143, False, True), (143, True, False)]


def send_group() -> None:
    """Send the whole group SIGTERM from a process that is not the workers' parent, from which torch's take it."""
    if os.fork() == 0:
        os.killpg(0, signal.SIGTERM)
        os._exit(0)
    time.sleep(0.3)


def test_workers_that_read_data_do_not_die_of_a_signal_to_the_group(tmp_path: Path) -> None:
    work, log = tmp_path / "work", tmp_path / "log"

    def act() -> None:
        os.setpgid(0, 0)
        stop = AtStep(3, send_group)
        train(work, stop, StopSignals(False), dataloader_num_workers=2)

    with child(act, log) as pid:
        assert code_of(pid) == 143, log.read_text()
    assert (work / "checkpoint-3").exists()


def test_a_trainer_that_fails_does_not_wait_for_its_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registered: list[Callable[[], None]] = []
    monkeypatch.setattr(stop_signals.atexit, "register", lambda function, *_: registered.append(function))

    def fail() -> None:
        raise RuntimeError("failed on purpose")

    def act() -> None:
        try:
            workers = {"dataloader_num_workers": 2, "dataloader_persistent_workers": True}
            train(tmp_path / "work", AtStep(3, fail), StopSignals(False), **workers)
        except RuntimeError as error:
            assert len(multiprocessing.active_children()) >= 2
            os.write(2, f"{error}\n".encode())
            assert stop_signals._end_workers in registered
            stop_signals._end_workers()  # as at the exit, while the traceback still holds the workers
            multiprocessing.util._exit_function()
            os._exit(7)

    begun = time.monotonic()
    with child(act, tmp_path / "log") as pid:
        assert code_of(pid) == 7, (tmp_path / "log").read_text()
    assert time.monotonic() - begun < 30
    assert (tmp_path / "log").read_text().splitlines()[-1] == "failed on purpose"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_outside_of_training_a_signal_ends_the_program_with_its_code(number: int, tmp_path: Path) -> None:
    def act() -> None:
        end_by_signals()
        forked = os.fork()
        if forked == 0:
            os.kill(os.getpid(), number)
            os._exit(7)
        assert code_of(forked) == -number
        os.kill(os.getpid(), number)
        time.sleep(10)

    with child(act, tmp_path / "log") as pid:
        assert code_of(pid) == 128 + number
    assert f"{signal.Signals(number).name}: interrupted" in (tmp_path / "log").read_text()


def ranks(number: int, act: Callable[[int], object], log: Path) -> contextlib.ExitStack:
    """Fork processes that find each other; the stack has their ids as `pids`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    stack = contextlib.ExitStack()
    stack.pids = []  # type: ignore[attr-defined]

    def start(rank: int) -> None:
        variables = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true"}
        os.environ.update(variables | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(number)})
        AcceleratorState._reset_state(reset_partial_state=True)
        act(rank)

    for rank in range(number):
        stack.pids.append(stack.enter_context(child(lambda rank=rank: start(rank), log)))  # type: ignore[attr-defined]
    return stack


def stop_two(folder: Path, signalled: int, slow: int, step: int) -> tuple[list[int], float]:
    """Stop two processes, one of them slow, by a signal to one; return their exit codes and the seconds it took."""
    work = folder / "work"

    def act(rank: int) -> None:
        callback = AtStep(step if rank == signalled else 0, send(signal.SIGTERM), 0.05 if rank == slow else 0.0)
        train(work, callback, StopSignals(False), ddp_backend="gloo")

    begun = time.monotonic()
    with ranks(2, act, folder / "log") as stack:
        codes = [code_of(pid) for pid in stack.pids]  # type: ignore[attr-defined]
    return codes, time.monotonic() - begun


def test_two_processes_stop_at_one_step_when_one_gets_a_signal(tmp_path: Path) -> None:
    codes, seconds = stop_two(tmp_path, signalled=0, slow=1, step=3)
    assert codes == [143, 143], (tmp_path / "log").read_text()
    assert seconds < 60
    saved = json.loads((tmp_path / "work" / "checkpoint-3" / "trainer_state.json").read_text())
    assert saved["global_step"] == 3
    assert (tmp_path / "work" / "checkpoint-3" / "log_window_1.json").is_file()
    assert (tmp_path / "log").read_text().count("stopped after step 3") == 1


def test_a_process_does_not_wait_for_one_that_was_killed(tmp_path: Path) -> None:
    def act(rank: int) -> None:
        at = AtStep(3, (lambda: os.kill(os.getpid(), signal.SIGKILL)) if rank else (lambda: time.sleep(60)))
        train(tmp_path / "work", at, StopSignals(False), ddp_backend="gloo")

    with ranks(2, act, tmp_path / "log") as stack:
        waiting, killed = stack.pids  # type: ignore[attr-defined]
        assert code_of(killed) == -signal.SIGKILL
        begun = time.monotonic()
        assert code_of(waiting) == 1
    assert time.monotonic() - begun < 10
    assert f"rank 1 (process {killed}) has ended, so this process ends too" in (tmp_path / "log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(10))
def test_with_a_slow_process_no_attempt_hangs(attempt: int, tmp_path: Path) -> None:
    step = 1 + attempt % 7
    codes, seconds = stop_two(tmp_path, attempt % 2, (attempt // 2) % 2, step)
    assert codes == [143, 143], (tmp_path / "log").read_text()
    assert (tmp_path / "work" / f"checkpoint-{step}").is_dir()
    assert seconds < 60


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux ends a process with its parent")
def test_a_process_ends_with_its_parent_or_if_that_has_ended_before(tmp_path: Path) -> None:
    reading, writing = os.pipe()

    def parent() -> None:
        own = os.getpid()
        if os.fork() == 0:
            end_with(own)
            os.write(writing, f"{os.getpid()}\n".encode())
            time.sleep(60)
        time.sleep(60)

    with child(parent, tmp_path / "log") as pid, os.fdopen(reading) as pipe:
        orphan = int(pipe.readline())
        os.kill(orphan, 0)  # it lives
    assert code_of(pid) == -signal.SIGKILL
    deadline = time.monotonic() + 5
    while Path(f"/proc/{orphan}/stat").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{orphan}/stat").read_text().split(") ")[1][0] == "Z":
            break
        time.sleep(0.01)
    else:
        assert not Path(f"/proc/{orphan}").exists()

    def late() -> None:
        end_with(os.getpid())  # not its parent
        time.sleep(60)

    with child(late, tmp_path / "log") as pid:
        assert code_of(pid) == -signal.SIGKILL
