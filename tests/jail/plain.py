"""Runs programs in plain Python, each in a fork: what they do where there is no jail.

A list of sources on standard input; a list of results on standard output, null for what is no finite number.
"""

import json
import math
import os
import signal
import sys


def main() -> None:
    """Run the programs one after the other."""
    json.dump([result(source) for source in json.load(sys.stdin)], sys.stdout)


def result(source: str) -> object:
    """Return what a program returns or leaves in `result`."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        try:
            names: dict[str, object] = {"__name__": "__main__"}
            exec(compile(source, "<program>", "exec", dont_inherit=True), names)
            function = names.get("simple_math_problem")
            value = function() if callable(function) else names.get("result")
            if type(value) in (int, float) and math.isfinite(value):  # type: ignore[arg-type]
                os.write(theirs, json.dumps(value).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        body = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(body) if body else None


if __name__ == "__main__":
    main()
