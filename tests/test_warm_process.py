"""The warm process: a script in a forked child behaves like one in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domain_tokens.warm_process import WarmProcess, WarmProcessError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")

Script = Callable[[str], str]

# Streams are buffered, so that a test sees whether they are flushed.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}

# What a script can see of the process that it runs in.
DESCRIBE = """
    import json, os, signal, sys, threading
    main = sys.modules["__main__"]
    print(json.dumps({
        "argv": sys.argv, "cwd": os.getcwd(), "path": sys.path, "name": __name__, "file": __file__,
        "main_file": main.__file__, "spec": __spec__, "package": __package__,
        "main_is_this": main.__dict__ is globals(), "environ": dict(os.environ),
        "leads_session": os.getsid(0) == os.getpid(),
        "threads": len(os.listdir("/proc/self/task")), "stdin": sys.stdin.read(),
        "descriptors": sorted(map(int, os.listdir("/proc/self/fd")))[:-1],
        "signals": [str(signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE)],
        "main_thread": threading.current_thread() is threading.main_thread(),
        "streams": [(s.name, s.encoding, s.errors, s.line_buffering) for s in (sys.stdin, sys.stdout, sys.stderr)],
    }))
"""


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmProcess]:
    with WarmProcess(["json"], ENVIRONMENT) as warm:
        yield warm


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Write a script and return its path."""

    def write(text: str) -> str:
        path = tmp_path / f"script_{len(list(tmp_path.iterdir()))}.py"
        path.write_text(textwrap.dedent(text))
        return str(path)

    return write


def outputs(warm: WarmProcess, tmp_path: Path, *arguments: str, **options: object) -> tuple[int, str, str]:
    """Run a script in the warm process; return its exit code and what it wrote."""
    with (tmp_path / "stdout").open("wb") as stdout, (tmp_path / "stderr").open("wb") as stderr:
        code = warm.run(arguments, stdout=stdout, stderr=stderr, timeout=50, **options)
    return code, (tmp_path / "stdout").read_text(), (tmp_path / "stderr").read_text()


def fresh(*arguments: str, env: dict[str, str] = ENVIRONMENT, cwd: str | None = None) -> tuple[int, str, str]:
    """The same in a process of its own."""
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=50,
        start_new_session=True, check=False, env=env, cwd=cwd,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that ended and was not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_imports_do_not_start_cuda(script: Script, tmp_path: Path) -> None:
    # torch.cuda.is_available() starts CUDA unless this variable is set, and no child can use a GPU after that.
    (tmp_path / "asks_at_import.py").write_text('import os; FOUND = os.environ.get("PYTORCH_NVML_BASED_CUDA_CHECK")')
    environment = {key: value for key, value in ENVIRONMENT.items() if key != "PYTORCH_NVML_BASED_CUDA_CHECK"}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *filter(None, [environment.get("PYTHONPATH")])])
    with WarmProcess(["asks_at_import"], environment) as warm, (tmp_path / "out").open("wb") as out:
        code = warm.run([script("import asks_at_import; print(asks_at_import.FOUND)")], stdout=out, timeout=60)
    assert (code, (tmp_path / "out").read_text()) == (0, "1\n")


def test_a_script_sees_what_it_would_see_in_a_process_of_its_own(
    warm: WarmProcess, script: Script, tmp_path: Path
) -> None:
    path = script(DESCRIBE)
    options = {"env": ENVIRONMENT | {"GIVEN": "1"}, "cwd": str(tmp_path)}
    (code, found, errors), (_, expected, _) = (
        outputs(warm, tmp_path, path, "a", "b c", **options),
        fresh(path, "a", "b c", **options),
    )
    assert (code, errors) == (0, "")
    there, here = json.loads(expected), json.loads(found)
    assert here["argv"] == [path, "a", "b c"]
    assert here["environ"]["GIVEN"] == "1"
    assert here == there


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("pass", 0),
        ("import sys; sys.exit(7)", 7),
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit('a message')", 1),
        ("raise ValueError('wrong')", 1),
        ("def broken(:", 1),
        ("import os; os._exit(9)", 9),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("import atexit; atexit.register(print, 'at the end'); print('first')", 0),
        ("import sys, threading; threading.Timer(0.1, print, ['from a thread']).start(); sys.exit(3)", 3),
        ("import sys; sys.stdout.write('no line end'); sys.exit(2)", 2),
        ("import sys; sys.exit(300)", 44),
        ("import sys; left_open = open(1, 'w', closefd=False); left_open.write('left open')", 0),
        ("import os; r, w = os.pipe(); os.dup2(w, 1); os.close(r); print('lost')", 120),
        ("try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError('second') from error", 1),
        ("import atexit, sys; atexit.register(lambda: print(sys.argv[0][-3:], __name__))", 0),
    ],
)
def test_exit_code_and_output_are_those_of_a_process(
    warm: WarmProcess, script: Script, tmp_path: Path, text: str, code: int
) -> None:
    path = script(text)
    expected = fresh(path)
    assert expected[0] == code
    assert outputs(warm, tmp_path, path) == expected


def test_children_run_side_by_side_and_do_not_see_each_other(
    warm: WarmProcess, script: Script, tmp_path: Path
) -> None:
    path = script("import sys, time; open(sys.argv[1], 'w').close(); time.sleep(60)")
    first, second = warm.start([path, str(tmp_path / "a")]), warm.start([path, str(tmp_path / "b")])
    wait_until(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists())
    assert first.poll() is None
    assert second.poll() is None
    first.signal_group(signal.SIGTERM)
    assert first.wait(20) == -signal.SIGTERM
    assert second.poll() is None
    second.signal_group(signal.SIGKILL)
    assert second.wait(20) == -signal.SIGKILL


def test_threads_of_the_caller_may_run_scripts_at_once(warm: WarmProcess, script: Script, tmp_path: Path) -> None:
    path, codes = script("import sys; sys.exit(int(sys.argv[1]))"), [-1] * 8

    def run(number: int) -> None:
        codes[number] = warm.run([path, str(number)])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == list(range(8))


def test_a_signal_reaches_all_that_the_script_started(warm: WarmProcess, script: Script, tmp_path: Path) -> None:
    path = script(
        """
        import pathlib, subprocess, sys
        child = subprocess.Popen(["sleep", "60"])
        pathlib.Path(sys.argv[1] + ".new").write_text(str(child.pid))
        pathlib.Path(sys.argv[1] + ".new").rename(sys.argv[1])
        child.wait()
        """
    )
    with pytest.raises(subprocess.TimeoutExpired):
        warm.run([path, str(tmp_path / "pid")], timeout=1)
    child = int((tmp_path / "pid").read_text())
    wait_until(lambda: not is_alive(child))


def test_children_end_with_the_caller(script: Script, tmp_path: Path) -> None:
    forked = script("import os, sys, time; print(os.getpid(), flush=True); time.sleep(60)")
    caller = script(
        """
        import sys
        from domain_tokens.warm_process import WarmProcess
        with WarmProcess(["json"]) as warm:
            warm.run([sys.argv[1]])
        """
    )
    process = subprocess.Popen([sys.executable, caller, forked], stdout=subprocess.PIPE)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    assert is_alive(child)
    process.kill()  # no time to tidy up
    process.wait()
    process.stdout.close()
    wait_until(lambda: not is_alive(child))


def test_leaving_the_context_ends_a_child_that_runs(script: Script) -> None:
    with WarmProcess(["json"]) as warm:
        process = warm.start([script("import time; time.sleep(60)")])
        assert is_alive(process.pid)
    assert not is_alive(process.pid)


def test_an_environment_that_is_read_at_start_is_refused_if_it_differs(warm: WarmProcess, script: Script) -> None:
    path = script("pass")
    assert warm.run([path], env=ENVIRONMENT | {"OMP_NUM_THREADS": "3"}) == 0
    with pytest.raises(ValueError, match="MALLOC_MMAP_MAX_"):
        warm.run([path], env=ENVIRONMENT | {"MALLOC_MMAP_MAX_": "5"})


def test_a_signal_waits_for_a_child_that_does_not_exist_yet(script: Script, tmp_path: Path) -> None:
    (tmp_path / "takes_long.py").write_text("import time\ntime.sleep(0.5)\n")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    with WarmProcess(["takes_long"], environment) as warm:
        begun = time.monotonic()
        process = warm.start([script("import time; time.sleep(60)")])
        assert process.poll() is None
        process.signal_group(signal.SIGTERM)
        assert time.monotonic() - begun < 0.4
        assert process.wait(20) == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_to_all_processes_of_a_job_is_for_the_children_alone(
    number: int, warm: WarmProcess, script: Script, tmp_path: Path
) -> None:
    path = script("import sys, time; open(sys.argv[1], 'w').close(); time.sleep(60)")
    process = warm.start([path, str(tmp_path / "begun")])
    wait_until((tmp_path / "begun").exists)
    os.kill(warm._process.pid, number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)
    process.signal_group(number)
    assert process.wait(20) == -number
    assert warm.run([script("pass")]) == 0


def test_a_killed_warm_process_takes_its_children_along(script: Script) -> None:
    with WarmProcess(["json"]) as warm:
        process = warm.start([script("import time; time.sleep(60)")])
        child = process.pid
        warm._process.kill()
        with pytest.raises(WarmProcessError):
            process.wait(20)
        wait_until(lambda: not is_alive(child))
        process.signal_group(signal.SIGTERM)  # nothing to do, and no error


def test_an_import_that_starts_a_thread_is_refused(script: Script, tmp_path: Path) -> None:
    (tmp_path / "starts_a_thread.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    with (
        (tmp_path / "messages").open("wb") as messages,
        WarmProcess(["starts_a_thread"], environment, messages) as warm,
        pytest.raises(WarmProcessError),
    ):
        warm.run([script("pass")])
    assert "started threads" in (tmp_path / "messages").read_text()


def test_random_numbers_differ_between_children(script: Script, tmp_path: Path) -> None:
    path = script(
        """
        import random, numpy, datasets.fingerprint
        print(random.random(), numpy.random.random(), datasets.fingerprint.generate_random_fingerprint())
        """
    )
    with WarmProcess(["numpy", "datasets.fingerprint"]) as warm:
        first, second = (outputs(warm, tmp_path, path) for _ in range(2))
    assert first[0] == second[0] == 0
    assert len({*first[1].split(), *second[1].split()}) == 6
