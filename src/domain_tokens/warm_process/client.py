"""The client of the warm process."""

import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

Stream = int | IO[bytes] | IO[str] | None
"""A child's standard stream: a file, a descriptor, `subprocess.DEVNULL`, or None for the caller's stream."""

THREADS = ("MKL_NUM_THREADS", "OMP_NUM_THREADS")
"""The environment variables from which a child sets torch's number of threads."""

# With the first two set, imports start no threads. Otherwise OpenBLAS would start a pool and pyarrow's allocator one
# thread. With the third, a library that asks torch at import whether there is a GPU does not start CUDA; if it did, no
# child could use a GPU.
_AT_IMPORT = {
    "OPENBLAS_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
}

# Variables with these prefixes are read when the interpreter starts or a library is imported.
_READ_AT_START = (
    "PYTHON", "MALLOC_", "LD_", "LANG", "LC_", "TZ", "OMP_", "GOMP_", "MKL_", "HF_", "HUGGINGFACE_",
    "TRANSFORMERS_", "TRL_", "PYTORCH_", "TORCH_", "MPL", "XDG_CACHE_HOME", "HOME",
)  # fmt: skip


class WarmProcessError(RuntimeError):
    """The warm process cannot serve: it has ended, or an import failed or started a thread."""


class ForkedProcess:
    """A child of the warm process, with the parts of the `subprocess.Popen` interface that callers need.

    It may not exist yet: the warm process starts it once all modules have been imported.

    Attributes:
        args (`list[str]`): the script and its arguments.
        returncode (`int`, *optional*): as in `subprocess.Popen`; None while it runs.
    """

    def __init__(self, number: int, arguments: list[str], control: socket.socket, status: int) -> None:
        self.args = arguments
        self.returncode: int | None = None
        self._number = number
        self._pid: int | None = None
        self._control = control
        self._status: IO[bytes] = os.fdopen(status, "rb", buffering=0)

    @property
    def pid(self) -> int:
        """The process id; the child leads its own session and process group. Waits until the child exists."""
        if self._pid is None:
            self._read()
        assert self._pid is not None
        return self._pid

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the process and return its exit code, or the negative signal number.

        Raises:
            subprocess.TimeoutExpired: if the process still runs after `timeout` seconds.
            WarmProcessError: if the warm process has ended; the child is killed in that case.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._status], [], [], left)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self._read()
        return self.returncode

    def signal_group(self, number: int) -> None:
        """Send a signal to the child's process group."""
        with suppress(WarmProcessError):  # if the warm process has ended, the child was killed
            if self.poll() is None:  # the warm process sends it, because it knows whether the child still runs
                self._control.send(json.dumps({"number": self._number, "signal": number}).encode())

    def _read(self) -> None:
        """Read the next of two lines: first the process id, then the exit code."""
        line = self._status.readline()
        if line and self._pid is None:
            self._pid = int(line)
            return
        self._status.close()
        self.returncode = int(line) if line else -signal.SIGKILL
        if not line and self._pid is None:
            raise WarmProcessError("the warm process ended before it started a child; see its stderr")
        if not line and self._pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
            raise WarmProcessError("the warm process ended while a child ran; the child was killed")


class WarmProcess:
    """Starts the warm process and requests children from it. Use it as a context manager.

    Leaving the context ends the warm process and every running child; so does the end of the caller.

    Args:
        preload (`Sequence[str]`): modules to import, in order.
        env (`Mapping[str, str]`, *optional*): environment of the warm process, defaults to the caller's.
        stderr (`Stream`): stream for messages of the warm process and of the imports.

    Raises:
        WarmProcessError: if the system is not Linux.
    """

    def __init__(self, preload: Sequence[str], env: Mapping[str, str] | None = None, stderr: Stream = None) -> None:
        if sys.platform != "linux":
            raise WarmProcessError("the warm process requires Linux; use --no-in-process")
        self._env = dict(os.environ if env is None else env)
        # Without these variables the libraries keep their defaults, which apply to children that set none.
        started_with = _AT_IMPORT | {name: value for name, value in self._env.items() if name not in THREADS}
        self._numbers = itertools.count()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "domain_tokens.warm_process.server", str(theirs.fileno()), *preload],
                env=started_with,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2 if stderr is None else stderr,
                stderr=stderr,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the warm process and all its children."""
        self._control.close()
        self._process.wait()

    def run(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        stdin: Stream = subprocess.DEVNULL,
        stdout: Stream = None,
        stderr: Stream = None,
        timeout: float | None = None,
    ) -> int:
        """Run a script to its end and return its exit code. See `start` for the arguments.

        Raises:
            subprocess.TimeoutExpired: after `timeout` seconds; the child's process group is killed.
        """
        process = self.start(arguments, env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr)
        try:
            return process.wait(timeout)
        except BaseException:
            process.signal_group(signal.SIGKILL)
            process.wait()
            raise

    def start(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        stdin: Stream = subprocess.DEVNULL,
        stdout: Stream = None,
        stderr: Stream = None,
    ) -> ForkedProcess:
        """Start a script in a new child. Several children may run at a time.

        Args:
            arguments (`Sequence[str]`): the script's path and its arguments.
            env (`Mapping[str, str]`, *optional*): complete environment, defaults to that of the warm process.
            cwd (`Path`, *optional*): working folder, defaults to the caller's.
            stdin, stdout, stderr (`Stream`): standard streams.

        Raises:
            ValueError: if `env` differs from the warm process's in a variable that is read at start-up.
            WarmProcessError: if the warm process has ended.
        """
        env = self._env if env is None else env
        self._check(env)
        argv = [str(argument) for argument in arguments]
        request = {"argv": argv, "env": dict(env), "cwd": str(cwd or Path.cwd())}
        number = next(self._numbers)
        body, status_read, status_write = os.memfd_create("request"), *os.pipe()
        with open(os.devnull, "r+b") as null:
            streams = [_descriptor(stream, own, null) for own, stream in enumerate((stdin, stdout, stderr))]
            os.write(body, json.dumps(request).encode())
            try:
                socket.send_fds(
                    self._control, [json.dumps({"number": number}).encode()], [*streams, body, status_write]
                )
            except OSError as error:
                os.close(status_read)
                raise WarmProcessError(f"the warm process has ended ({error}); see its stderr") from error
            finally:
                os.close(body)
                os.close(status_write)
        return ForkedProcess(number, argv, self._control, status_read)

    def _check(self, env: Mapping[str, str]) -> None:
        for name in sorted(env.keys() | self._env.keys()):
            if name.startswith(_READ_AT_START) and name not in THREADS and env.get(name) != self._env.get(name):
                raise ValueError(
                    f"{name}: read at start-up, so a child cannot change it; expected {self._env.get(name)!r} as in "
                    f"the warm process, got {env.get(name)!r}; start another warm process with this value"
                )


def _descriptor(stream: Stream, own: int, null: IO[bytes]) -> int:
    if stream is None:
        return own
    if stream == subprocess.DEVNULL:
        return null.fileno()
    return stream if isinstance(stream, int) else stream.fileno()
