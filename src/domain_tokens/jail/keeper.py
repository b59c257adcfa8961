"""The clean parent: a small process without the caller's environment and files, which forks the jailed children.

It reads requests on its standard input and answers on its standard output, and ends when its input does.
"""

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypedDict

from domain_tokens.jail.child import Child, Send, prepare_to_fork
from domain_tokens.jail.confinement import Limits
from domain_tokens.jail.outcomes import Json, Reason, Refusal, Refused
from domain_tokens.jail.programs import answer, import_modules, import_modules_of
from domain_tokens.jail.seccomp import Seccomp
from domain_tokens.jail.wire import MAX_RESULT_BYTES, encode, receive, send

# The interpreter adapts code that runs often. It is done here, once, so that the children need not copy those pages.
_NUM_WARM_UPS = 20
_WARM_UP = """
import math
def simple_math_problem() -> int:
    boxes = 6
    pears = boxes * 9
    if pears > 50 and math.ceil(2.5) == 3:
        pears += round(0.5) + sum(x for x in [1, 2])
    return pears
"""

Function = Callable[[Json], Json]


class Request(TypedDict):
    """What the caller asks: to execute programs, or to apply a function to items.

    The answer is a frame with what prevents it, or None, and then a frame for each program or item.

    Attributes:
        programs: sources to execute, each in a child of its own.
        guarded: whether programs must pass the allow-list of syntax.
        reads_texts: whether the number that a text shows is a result.
        function: module and name of the function, or nothing.
        path: where the function's module is searched for.
        warm_up: items on which the function is called when it is loaded, here and not in a child.
        items: what to apply the function to.
    """

    programs: list[str]
    guarded: bool
    reads_texts: bool
    function: list[str]
    path: list[str]
    warm_up: list[Json]
    items: list[Json]


def main() -> None:
    """Answer requests until the caller has ended. Started by `Jail`, with the limits on the command line."""
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    for number in (signal.SIGINT, signal.SIGXCPU, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)  # here, because it would take a child 0.3 ms
    requests, answers = os.dup(0), os.dup(1)
    os.dup2(2, 1)  # what an import prints is no answer
    cpu_s, wall_s, memory_bytes = sys.argv[1:4]
    with suppress(BrokenPipeError):  # the caller ended without waiting for the answer
        _Keeper(requests, answers, Limits(float(cpu_s), float(wall_s), int(memory_bytes))).serve()


class _Keeper:
    def __init__(self, requests: int, answers: int, limits: Limits) -> None:
        self._requests = requests
        self._answers = answers
        self._limits = limits
        self._seccomp: Seccomp | None = None
        self._functions: dict[tuple[str, ...], Function] = {}

    def serve(self) -> None:
        self._answer(encode({"problem": self._find_seccomp()}))
        import_modules()
        for _ in range(_NUM_WARM_UPS):
            answer(_WARM_UP)
        prepare_to_fork()
        while (body := receive(self._requests)) is not None:
            request: Request = json.loads(body)
            problem = self._load(request) if request["function"] else None
            self._answer(encode({"problem": problem}))
            for source in request["programs"]:
                self._run(source, request["guarded"], request["reads_texts"])
            if request["items"] and problem is None:
                self._map(self._functions[tuple(request["function"])], request["items"])

    def _answer(self, body: bytes) -> None:
        send(self._answers, body)

    def _find_seccomp(self) -> str | None:
        """Prepare the filter and see it kill a child. Returns the problem, if there is one."""
        try:
            self._seccomp = Seccomp()
        except OSError as error:
            return error.strerror or str(error)
        child = self._child(_misbehave)
        results = list(child.results())
        ending = child.end()
        if ending is Reason.FORBIDDEN_CALL and not results:
            return None
        self._seccomp = None
        return f"the kernel or the container lets no process install a filter (a child that tried ended: {ending})"

    def _load(self, request: Request) -> str | None:
        """Import a function, once, and call it on the warm-up items. Returns the problem, if there is one."""
        module, name = request["function"]
        if (module, name) in self._functions:
            return None
        sys.path[:] = request["path"]
        try:
            function = getattr(importlib.import_module(module), name)
            for item in request["warm_up"]:
                function(item)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        if (num_threads := _num_threads()) > 1:
            return f"its imports started {num_threads - 1} threads; forking is safe only with one"
        if (in_use := _address_space()) > self._limits.memory_bytes // 2:
            return (
                f"its imports take {in_use >> 20} MiB of address space, and a child may have "
                f"{self._limits.memory_bytes >> 20} MiB; import less, or allow more memory"
            )
        self._functions[module, name] = function
        prepare_to_fork()
        return None

    def _run(self, source: str, guarded: bool, reads_texts: bool) -> None:
        """Execute a program in a child and answer with its result."""
        import_modules_of(source)
        child = self._child(partial(_execute, source, guarded, reads_texts))
        results = []
        for result in child.results():
            results.append(result)
            if len(results) > 1:  # the program wrote on the pipe itself
                break
        ending = child.end()
        if len(results) == 1 and ending is Reason.NO_RESULT:
            self._answer(results[0])
        else:
            self._answer(_refusal(Reason.MALFORMED if results else ending))

    def _map(self, function: Function, items: list[Json]) -> None:
        """Apply the function to items and answer with one result each, in order.

        A child has one batch. If it dies, the item that it was at is tried alone if others before it used some of the
        child's limits, and the rest goes to another child.
        """
        start = 0
        while start < len(items):
            num_done, ending = self._apply(function, items[start:])
            start += num_done
            if start == len(items):
                return
            if num_done > 0:
                num_done, ending = self._apply(function, items[start : start + 1])
            if num_done == 0:
                self._answer(_refusal(ending))
            start += 1

    def _apply(self, function: Function, items: list[Json]) -> tuple[int, Reason]:
        """Answer with the results of one child. Returns how many there were, and why the child ended."""
        child = self._child(partial(_apply_each, function, items))
        num_done = 0
        for result in child.results():
            self._answer(result)
            num_done += 1
            if num_done == len(items):
                break
        return num_done, child.end()

    def _child(self, work: Callable[[Send], None]) -> Child:
        return Child(work, self._limits, self._seccomp, self._requests)


def _misbehave(_: Send) -> None:
    os.getppid()


def _execute(source: str, guarded: bool, reads_texts: bool, send_result: Send) -> None:
    try:
        result = encode({"value": answer(source, guarded, reads_texts)})
    except Refused as refused:
        result = _refusal(refused.refusal.reason, refused.refusal.detail)
    send_result(result)


def _apply_each(function: Function, items: list[Json], send_result: Send) -> None:
    for item in items:
        send_result(_apply_one(function, item))


def _apply_one(function: Function, item: Json) -> bytes:
    try:
        value = function(item)
    except RecursionError:
        return _refusal(Reason.RECURSION)
    except MemoryError:
        return _refusal(Reason.MEMORY)
    except Exception as error:
        return _refusal(Reason.RAISED, f"{type(error).__name__}: {error}")
    try:
        result = encode({"value": value})
    except (TypeError, ValueError, RecursionError, MemoryError) as error:
        return _refusal(Reason.NOT_JSON, str(error))
    if len(result) > MAX_RESULT_BYTES:
        return _refusal(Reason.TOO_LARGE, f"{len(result)} bytes")
    return result


def _refusal(reason: Reason, detail: str = "") -> bytes:
    refusal = Refusal(reason, detail[:1000])
    return encode({"reason": refusal.reason.value, "detail": refusal.detail})


def _num_threads() -> int:
    return len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 1


def _address_space() -> int:
    """Return how many bytes of address space this process has."""
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm") as file:
        num_pages = int(file.read().split()[0])
    return num_pages * os.sysconf("SC_PAGE_SIZE")
