"""The caller's side of the warm process."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

Stream = int | IO[bytes] | IO[str] | None
"""A standard stream of a child: a file, a descriptor, `subprocess.DEVNULL`, or None for the caller's own."""

THREADS = ("MKL_NUM_THREADS", "OMP_NUM_THREADS")
"""The variables from which a child sets torch's threads."""

# Imports start no thread with these: numpy's OpenBLAS would start a pool, pyarrow's allocator one thread.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}

# Names beginning like these are read when the interpreter starts or a library is imported.
_READ_AT_START = (
    "PYTHON", "MALLOC_", "LD_", "LANG", "LC_", "TZ", "OMP_", "GOMP_", "MKL_", "HF_", "HUGGINGFACE_",
    "TRANSFORMERS_", "TRL_", "PYTORCH_", "TORCH_", "MPL", "XDG_CACHE_HOME", "HOME",
)  # fmt: skip


class WarmProcessError(RuntimeError):
    """The warm process cannot serve: it is gone, or an import failed or started a thread."""


class ForkedProcess:
    """A child of the warm process, with the part of the interface of `subprocess.Popen` that callers need.

    Attributes:
        pid (`int`): the process, which leads a session and a process group of its own.
        returncode (`int`, *optional*): as in `subprocess.Popen`; None while it runs.
    """

    def __init__(self, arguments: list[str], control: socket.socket, status: int) -> None:
        self.args = arguments
        self.returncode: int | None = None
        self._control = control
        self._status: IO[bytes] = os.fdopen(status, "rb", buffering=0)
        first = self._read_number()
        if first is None:
            raise WarmProcessError("the warm process ended before it started a child; its stderr says why")
        self.pid = first

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            self._finish()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code; a signal gives its negative number.

        Raises:
            subprocess.TimeoutExpired: if the process still runs after `timeout` seconds.
            WarmProcessError: if the warm process is gone; the child is killed then.
        """
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self._finish()
        assert self.returncode is not None
        return self.returncode

    def signal_group(self, number: int) -> None:
        """Send a signal to the process and to all that it started in its process group."""
        if self.poll() is None:  # sent by the warm process, which knows whether the id is still this child's
            self._control.send(json.dumps({"pid": self.pid, "signal": number}).encode())

    def _finish(self) -> None:
        self.returncode = self._read_number()
        self._status.close()
        if self.returncode is None:
            self.returncode = -signal.SIGKILL
            os.killpg(self.pid, signal.SIGKILL)
            raise WarmProcessError("the warm process ended while a child ran; the child was killed")

    def _read_number(self) -> int | None:
        line = self._status.readline()
        return int(line) if line else None


class WarmProcess:
    """The caller's side: starts the warm process and asks it for children. Use it as a context manager.

    Leaving the context, or the end of the caller, ends the warm process and every child that still runs.

    Args:
        preload (`Sequence[str]`): modules to import, in order.
        env (`Mapping[str, str]`, *optional*): environment of the warm process, defaults to the caller's.
        stderr (`Stream`): where the warm process's own messages and those of its imports go.

    Raises:
        WarmProcessError: on another system than Linux.
    """

    def __init__(self, preload: Sequence[str], env: Mapping[str, str] | None = None, stderr: Stream = None) -> None:
        if sys.platform != "linux":
            raise WarmProcessError("a warm process needs Linux")
        self._env = dict(os.environ if env is None else env)
        # Without threads of its own choice it shows the libraries' defaults to a child that names none.
        started_with = _ONE_THREAD | {name: value for name, value in self._env.items() if name not in THREADS}
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
        """Run a script to its end and return its exit code; `start` says more.

        Raises:
            subprocess.TimeoutExpired: after `timeout` seconds; the child and all that it started are killed.
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
        """Start a script in a child of its own; several may run side by side.

        Args:
            arguments (`Sequence[str]`): the script's path and its arguments.
            env (`Mapping[str, str]`, *optional*): its whole environment, defaults to the warm process's.
            cwd (`Path`, *optional*): its working folder, defaults to the caller's.
            stdin, stdout, stderr (`Stream`): its standard streams.

        Raises:
            ValueError: if `env` differs from the warm process's in a variable that is read at start.
            WarmProcessError: if the warm process is gone.
        """
        env = self._env if env is None else env
        self._check(env)
        argv = [str(argument) for argument in arguments]
        request = {"argv": argv, "env": dict(env), "cwd": str(cwd or Path.cwd())}
        body, status_read, status_write = os.memfd_create("request"), *os.pipe()
        with open(os.devnull, "r+b") as null:
            streams = [_descriptor(stream, own, null) for own, stream in enumerate((stdin, stdout, stderr))]
            os.write(body, json.dumps(request).encode())
            try:
                socket.send_fds(self._control, [b"{}"], [*streams, body, status_write])
            except OSError as error:
                os.close(status_read)
                raise WarmProcessError(f"the warm process is gone ({error}); its stderr says why") from error
            finally:
                os.close(body)
                os.close(status_write)
        return ForkedProcess(argv, self._control, status_read)

    def _check(self, env: Mapping[str, str]) -> None:
        for name in sorted(env.keys() | self._env.keys()):
            if name.startswith(_READ_AT_START) and name not in THREADS and env.get(name) != self._env.get(name):
                raise ValueError(
                    f"{name}: read when a process starts or imports; the warm process has {self._env.get(name)!r}, "
                    f"the child was to have {env.get(name)!r}; start another warm process with it"
                )


def _descriptor(stream: Stream, own: int, null: IO[bytes]) -> int:
    if stream is None:
        return own
    if stream == subprocess.DEVNULL:
        return null.fileno()
    return stream if isinstance(stream, int) else stream.fileno()
