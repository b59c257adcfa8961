"""The runner of whole experiments: what it skips, refuses and leaves when it is interrupted."""

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import ROOT, run_script, tiny_arguments

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]


def test_run_again_it_skips_what_is_complete(experiment: Path) -> None:
    _, overlay, *overrides = tiny_arguments(experiment.parent, "baseline")
    done = run_script(
        "scripts/run_experiment.py", "recipes/baseline.yaml", "--overlay", overlay,
        "--config-file", "accelerate_configs/cpu.yaml", "--set", *overrides,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("complete, skipped") == 6


def test_a_changed_intervention_is_refused(copied: Path) -> None:
    mine = copied / "mine.yaml"
    mine.write_text((ROOT / "recipes/interventions/mul_tokens.yaml").read_text().replace("weak", "strict"))
    _, overlay, *overrides = tiny_arguments(copied, "mul_tokens", f"tokenizer={mine}")
    done = run_script(
        "scripts/run_experiment.py", "recipes/mul_tokens.yaml", "--overlay", overlay, "--set", *overrides
    )
    assert done.returncode == 2
    assert "intervention.rules.mode: there 'weak', now 'strict'" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_runner_leaves_no_process_and_goes_on(number: int, code: int, tmp_path: Path) -> None:
    _, overlay, *overrides = tiny_arguments(tmp_path, "baseline", "pretrain.max_steps=2000")
    command = [
        sys.executable, "scripts/run_experiment.py", "recipes/baseline.yaml", "--overlay", overlay,
        "--config-file", "accelerate_configs/cpu.yaml", "--set", *overrides,
    ]  # fmt: skip
    log = tmp_path / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=output,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in background
        )  # fmt: skip
    deadline = time.monotonic() + 120
    while "step " not in log.read_text() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
    process.send_signal(number)
    assert process.wait(timeout=60) == code, log.read_text()[-2000:]
    assert "Traceback" not in log.read_text()
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path) in _read(path)]
    assert left == []


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):  # the process ended in between
        return path.read_text()
    return ""
