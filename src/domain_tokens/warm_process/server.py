"""The warm process: imports modules, then forks a child for every request and reports its exit code."""

import atexit
import gc
import json
import os
import selectors
import signal
import socket
import sys
import threading
import time
import types
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from domain_tokens.stopping.parent import end_with
from domain_tokens.stopping.signals import REQUESTS
from domain_tokens.warm_process.client import THREADS, WarmProcessError

_GRACE_S = 10


@dataclass(frozen=True)
class _Request:
    """A request for a child: three streams, and a file with arguments, environment and working folder."""

    streams: list[int]
    body: int


def main() -> None:
    """Import the modules on the command line, then fork a child for every request. Started by `WarmProcess`."""
    # A scheduler signals every process of a job. This one ends with its caller, after its children, which may save.
    signal.pthread_sigmask(signal.SIG_BLOCK, REQUESTS)
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    control.setblocking(False)  # Python 3.11's recv_fds ignores flags
    if not sys.flags.safe_path:
        del sys.path[0]  # the caller's working folder, whose files could shadow a library
    _preload(sys.argv[2:])
    request = _serve(control)
    if request is not None:
        _become(request)


def _preload(modules: list[str]) -> None:
    gc.disable()  # imported objects stay alive, so collecting would be wasted work
    for name in modules:
        import_module(name)
    gc.freeze()  # children do not scan these objects either, so the pages stay shared
    gc.enable()
    threads = os.listdir("/proc/self/task")
    if len(threads) > 1:
        names = ", ".join(sorted(Path(f"/proc/self/task/{thread}/comm").read_text().strip() for thread in threads))
        raise WarmProcessError(
            f"importing {', '.join(modules)} started threads ({names}); forking is safe only with one thread"
        )


def _serve(control: socket.socket) -> _Request | None:
    """Fork on request until the caller has ended. Returns the request in each child, and None at the end."""
    sys.stdout.flush()
    sys.stderr.flush()
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    own = os.getpid()
    statuses: dict[int, int] = {}  # process id of each running child -> pipe for its exit code
    numbers: dict[int, int] = {}  # the caller's number of a child -> its process id
    ready = selectors.DefaultSelector()
    ready.register(control, selectors.EVENT_READ)
    ready.register(woken, selectors.EVENT_READ)
    while True:
        ready.select()
        _reap(woken, statuses)
        try:
            message, descriptors, _, _ = socket.recv_fds(control, 4096, 5)
        except BlockingIOError:
            continue
        if not message:
            _end_all(statuses)
            return None
        order = json.loads(message)
        if not descriptors:
            wanted = numbers.get(order["number"])
            if wanted in statuses:
                _signal_group(wanted, order["signal"])
            continue
        *streams, body, status = descriptors
        pid = os.fork()
        if pid == 0:
            os.setsid()
            end_with(own)
            signal.set_wakeup_fd(-1)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, REQUESTS)
            ready.close()
            control.close()
            for descriptor in (woken, wake, status, *statuses.values()):
                os.close(descriptor)
            return _Request(streams, body)
        for descriptor in (*streams, body):
            os.close(descriptor)
        statuses[pid] = status
        numbers = {number: old for number, old in numbers.items() if old in statuses and old != pid}
        numbers[order["number"]] = pid
        _tell(status, pid)


def _reap(woken: int, statuses: dict[int, int]) -> None:
    try:
        os.read(woken, 4096)
    except BlockingIOError:
        return
    while statuses:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        _tell(statuses[pid], os.waitstatus_to_exitcode(status))
        os.close(statuses.pop(pid))


def _tell(status: int, number: int) -> None:
    with suppress(BrokenPipeError):  # the caller no longer waits for this child
        os.write(status, f"{number}\n".encode())


def _end_all(statuses: dict[int, int]) -> None:
    deadline = time.monotonic() + _GRACE_S
    for pid in statuses:
        _signal_group(pid, signal.SIGTERM)
    while statuses:
        ended, _ = os.waitpid(-1, os.WNOHANG)
        statuses.pop(ended, None)
        if ended == 0 and time.monotonic() > deadline:
            for pid in statuses:
                _signal_group(pid, signal.SIGKILL)
        if ended == 0:
            time.sleep(0.02)


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:  # just forked, not yet the leader of its group
        os.kill(pid, number)


def _become(request: _Request) -> None:
    """Run the script in this process, then end the process as the interpreter would."""
    for own, descriptor in enumerate(request.streams):
        os.dup2(descriptor, own)
        os.close(descriptor)
    with os.fdopen(request.body, "rb") as body:
        body.seek(0)
        wanted = json.load(body)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())  # type: ignore[union-attr]
    _set_threads()
    _seed()
    _end(_run(wanted["argv"]))


def _set_threads() -> None:
    named = next((os.environ[name] for name in THREADS if os.environ.get(name)), None)
    if named is not None and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(int(named.split(",")[0]))


def _seed() -> None:
    # Children would otherwise share these random states; Python reseeds its own after a fork.
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    if "datasets.fingerprint" in sys.modules:
        sys.modules["datasets.fingerprint"].fingerprint_rng.seed()


def _run(arguments: list[str]) -> int:
    """Run the script as `__main__` and return its exit code, printing the interpreter's messages."""
    # Not `runpy.run_path`, which restores `sys.argv[0]` and `__main__` before exit handlers run.
    path = os.path.abspath(arguments[0])
    sys.argv = arguments
    if not sys.flags.safe_path:
        sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    module = types.ModuleType("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module
    sys.excepthook = _excepthook
    Path("/proc/self/comm").write_text(Path(path).stem)  # what `top` shows
    try:
        exec(compile(Path(path).read_bytes(), path, "exec"), module.__dict__)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        sys.stderr.write(f"{end.code}\n")
        return 1
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _end(code: int) -> None:
    """End this process as the interpreter would, without tearing down the imported libraries.

    Teardown takes 0.7 s, ten times as long as the rest of a child that does nothing, because it writes to every page
    shared with the warm process. `multiprocessing` ends its forked children in the same way.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # waits for non-daemon threads
    atexit._run_exitfuncs()
    vars(sys.modules["__main__"]).clear()
    gc.collect()  # closes what the script left open
    try:
        sys.stdout.flush()
    except OSError as error:
        sys.stderr.write(f"Exception ignored in: {sys.stdout!r}\n{type(error).__name__}: {error}\n")
        code = 120  # the interpreter's code for output that could not be written
    if code == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code)


def _excepthook(kind: type[BaseException], error: BaseException, traceback: types.TracebackType | None) -> None:
    while traceback is not None and traceback.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>"):
        traceback = traceback.tb_next
    sys.__excepthook__(kind, error.with_traceback(traceback), traceback)


if __name__ == "__main__":
    main()
