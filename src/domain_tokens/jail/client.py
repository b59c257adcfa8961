"""The jail as its callers use it."""

import itertools
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Self, TypeVar

from domain_tokens.jail.confinement import Limits
from domain_tokens.jail.keeper import Request
from domain_tokens.jail.outcomes import JailError, Json, Reason, Refusal, printable
from domain_tokens.jail.programs import MAX_SOURCE_CHARS
from domain_tokens.jail.wire import receive, send

_SOURCES = Path(__file__).parents[2]

# The interpreter starts without site-packages, without the user's packages and the working folder, and writes nothing.
_START = (
    "import sys; sys.path.append(sys.argv.pop(1)); from domain_tokens.jail.keeper import main; main()"
)  # fmt: skip
_FLAGS = ("-s", "-S", "-P", "-B")

# The same hashes every time, so that a program with a set of strings has the same answer; libraries without threads.
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"
}  # fmt: skip
_NEEDED_TO_START = "LD_LIBRARY_PATH"  # where some clusters keep Python itself

_DEFAULT_LIMITS = Limits()
_PROGRAMS_PER_REQUEST = 64
_END_S = 2.0

Item = TypeVar("Item")


class Jail:
    r"""Runs what must not be trusted in confined children of a small clean process. Use it as a context manager.

    A child has no environment, no files and one pipe, on which it may only write. Its memory and its processor time
    are limited, the kernel kills it at any system call but those that computing takes (see `docs/SECURITY.md`), and a
    clock ends it. A jail serves one thread at a time, and only the process that made it.

    Args:
        limits (`Limits`, *optional*): what one child may use.
        allow_without_seccomp (`bool`, *optional*, defaults to `False`): whether to work where the kernel cannot filter
            system calls (macOS, other architectures than x86_64 and aarch64, some containers). Then the allow-list of
            syntax, the limits and the clock are all there is.

    Attributes:
        missing (`str`, *optional*): why system calls are not filtered; None if they are.

    Raises:
        JailError: if system calls cannot be filtered, and that was not allowed.

    Example:

    ```python
    with Jail() as jail:
        outcome = jail.run("def simple_math_problem():\n    return 6 * 9")  # 54, or a Refusal
        for value in jail.map(parse_program, texts): ...
    ```
    """

    def __init__(self, limits: Limits = _DEFAULT_LIMITS, *, allow_without_seccomp: bool = False) -> None:
        environment = dict(_ENVIRONMENT)
        if _NEEDED_TO_START in os.environ:
            environment[_NEEDED_TO_START] = os.environ[_NEEDED_TO_START]
        arguments = map(str, (limits.cpu_s, limits.wall_s, limits.memory_bytes))
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, *_FLAGS, "-c", _START, str(_SOURCES), *arguments],
            env=environment,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self.missing = self._problem()
        if self.missing is not None and not allow_without_seccomp:
            self.close()
            raise JailError(
                f"untrusted programs cannot be confined here: {self.missing}. Expected Linux on x86_64 or aarch64 "
                "with seccomp. Run this on such a machine, or allow it without (allow_without_seccomp=True) if you "
                "trust where the programs come from; docs/SECURITY.md says what is lost."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the clean parent, and a child that still runs."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:  # a fork of this process has the pipe as well
            self._process.kill()
            self._process.wait()

    def run(self, source: str) -> int | float | Refusal:
        """Execute one model-written program.

        Args:
            source (`str`): Python, without the marks of a code block. Its answer is what `simple_math_problem()`
                returns, or else what it prints last; see `domain_tokens.jail.programs.answer`.

        Returns:
            The answer, a finite number, or why there is none.

        Raises:
            JailError: if the clean parent has ended.
        """
        return next(self.run_all([source]))

    def run_all(self, sources: Iterable[str], *, reads_texts: bool = False) -> Iterator[int | float | Refusal]:
        """Execute programs, each in a child of its own, and yield their answers in order.

        Args:
            sources (`Iterable[str]`): as for `run`.
            reads_texts (`bool`, *optional*, defaults to `False`): whether the only number in a text that a program
                returns or prints last is its answer, 13 of `Packs needed: 13`, as is a `Fraction` or `Decimal`. The
                child reads it (`domain_tokens.jail.results.number_in`); what comes back is a number or a refusal.

        Raises:
            JailError: if the clean parent has ended.
        """
        return self._run_all(sources, guarded=True, reads_texts=reads_texts)

    def _run_all(
        self, sources: Iterable[str], guarded: bool, reads_texts: bool = False
    ) -> Iterator[int | float | Refusal]:
        for batch in _batches(sources, _PROGRAMS_PER_REQUEST):
            short = [source for source in batch if len(source) <= MAX_SOURCE_CHARS]
            answers = iter(self._ask(_request(programs=short, guarded=guarded, reads_texts=reads_texts), len(short)))
            for source in batch:
                if len(source) > MAX_SOURCE_CHARS:
                    yield Refusal(Reason.TOO_LONG, f"{len(source)} characters, at most {MAX_SOURCE_CHARS} are read")
                else:
                    yield _number(next(answers))

    def map(
        self,
        function: Callable[..., Json],
        items: Iterable[Json],
        *,
        batch_size: int = 256,
        warm_up: Iterable[Json] = (),
    ) -> Iterator[Json | Refusal]:
        """Apply a trusted function to untrusted items in confined children, and yield its results in order.

        A batch shares a child. If the child dies, of memory, time, recursion or a system call, the item at fault is
        refused and the others are still done. Results come back as JSON: tuples as lists, and no NaN. They were made
        from untrusted text, so they deserve the checks that any text gets.

        Args:
            function (`Callable[[Json], Json]`): pure, at the top level of a module, which the clean parent imports.
                It cannot read files, and what it imports must be imported by its module.
            items (`Iterable[Json]`): texts, or other values that JSON can hold.
            batch_size (`int`, *optional*, defaults to 256): items a child.
            warm_up (`Iterable[Json]`, *optional*): trusted items on which the function is called before the first
                child is forked, so that its caches are full and the files that it needs have been read.

        Raises:
            ValueError: if `function` is not at the top level of an importable module.
            JailError: if the clean parent cannot import it, or has ended.
        """
        module, name = function.__module__, function.__qualname__
        if module == "__main__" or getattr(sys.modules[module], name, None) is not function:
            raise ValueError(f"{module}.{name}: expected a function at the top level of a module that can be imported")
        path = [str(Path(entry).absolute()) for entry in sys.path if entry]
        request = _request(function=[module, name], path=path, warm_up=list(warm_up))
        return self._map(request, items, batch_size)

    def _map(self, request: Request, items: Iterable[Json], batch_size: int) -> Iterator[Json | Refusal]:
        for batch in _batches(items, batch_size):
            for body in self._ask({**request, "items": batch}, len(batch)):
                yield _value(body)

    def _ask(self, request: Request, num_results: int) -> list[bytes]:
        """Send a request and return its results."""
        if os.getpid() != self._owner:
            raise JailError("this jail belongs to the process that made it; make one in each process")
        body = json.dumps(request).encode("ascii")
        with self._lock:
            try:
                send(self._descriptor(self._process.stdin), body)
                problem = self._problem()
                results = [self._receive() for _ in range(0 if problem else num_results)]
            except OSError as error:
                self.close()
                raise JailError(f"the clean parent of the jail has ended ({error})") from error
            except BaseException:  # an interrupt too: later answers would be taken for those of other requests
                self.close()
                raise
        if problem is not None:
            raise JailError(f"{'.'.join(request['function'])} cannot work in a jail: {problem}")
        return results

    def _problem(self) -> str | None:
        problem = json.loads(self._receive())["problem"]
        return None if problem is None else str(problem)

    def _receive(self) -> bytes:
        body = receive(self._descriptor(self._process.stdout))
        if body is None:
            raise JailError("the clean parent of the jail has ended; what it wrote is on standard error")
        return body

    def _descriptor(self, stream: IO[bytes] | None) -> int:
        assert stream is not None
        if stream.closed:
            raise JailError("this jail is closed, by its owner or because a request was interrupted")
        return stream.fileno()


def _request(
    *,
    programs: Iterable[str] = (),
    guarded: bool = True,
    reads_texts: bool = False,
    function: Iterable[str] = (),
    path: Iterable[str] = (),
    warm_up: Iterable[Json] = (),
) -> Request:
    return {
        "programs": list(programs),
        "guarded": guarded,
        "reads_texts": reads_texts,
        "function": list(function),
        "path": list(path),
        "warm_up": list(warm_up),
        "items": [],
    }


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _number(body: bytes) -> int | float | Refusal:
    value = _value(body)
    if isinstance(value, Refusal):
        return value
    if (type(value) is int and abs(value) <= sys.float_info.max) or type(value) is float:  # `bool` is not
        return value
    return Refusal(Reason.MALFORMED, "no finite number")


def _value(body: bytes) -> Json | Refusal:
    """Return what a child sent, which is untrusted: anything but a value or a refusal is refused."""
    try:
        text = body.decode("ascii")  # as `encode` writes it; `loads` would take other encodings, too
        answer = json.loads(text, parse_float=_finite, parse_constant=_finite)
        if "\\ud" in text.lower():
            json.dumps(answer, ensure_ascii=False).encode()  # a lone surrogate would fail wherever it is written later
        if answer.keys() == {"value"}:
            value: Json = answer["value"]
            return value
        return Refusal(Reason(answer["reason"]), printable(answer["detail"]))
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError) as error:
        return Refusal(Reason.MALFORMED, printable(str(error)))


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value
