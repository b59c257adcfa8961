"""A command that runs experiments gets a signal, or is killed: what it leaves, and what the same command ends with."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from interrupted_stages import STAGES, Moment, after_step, resume
from tiny import ROOT, prepare_data, tiny_arguments, weights

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

LONG = ["pretrain.max_steps=2000", "corpus.epochs=1000"]
# Every stage trains for some seconds.
SHORT = [
    "pretrain.max_steps=60", "pretrain.save_steps=25", "corpus.epochs=100", "sft.num_train_epochs=15",
    *STAGES["grpo"][1], "grpo.max_steps=24", "prereg=null",
]  # fmt: skip
RECIPE, OTHERS = "recipes/mul_tokens.yaml", ("recipes/conditions/mul_tokens_permuted.yaml", "recipes/baseline.yaml")
CPU = "accelerate_configs/cpu.yaml"


def command(program: str, folder: Path, *overrides: str) -> tuple[list[str], Path]:
    """Return a command that runs the tiny experiment in a folder, one run at a time, and where it runs."""
    _, overlay, *settings = tiny_arguments(folder, "mul_tokens", *overrides)
    common = {"overlays": [overlay], "seeds": [0], "config_file": CPU}
    file = folder / f"{program}.yaml"
    if program in ("run_experiment", "calibrate_pipeline"):
        others = OTHERS[:1] if program == "calibrate_pipeline" else ()
        seeds = ["--num-seeds", "1", "--seeds-per-verdict", "1"] if others else []
        given = [RECIPE, *others, "--overlay", overlay, "--config-file", CPU, *seeds, "--set", *settings]
    else:
        given = ["--file", str(file)]
    if program == "research_tables":
        page = folder / "page.md"
        page.write_text("<!-- experiment tiny -->\n<!-- end of tiny -->\n", encoding="utf-8")
        one = common | {"recipes": [RECIPE, OTHERS[1]], "overrides": settings}
        file.write_text(json.dumps({"page": str(page), "experiments": {"tiny": one}}), encoding="utf-8")
    if program == "run_robustness":
        own = {"output_dir": str(folder), "page": str(folder / "page.md"), "figure": str(folder / "curve.png")}
        content = common | own | {"recipes": [RECIPE, OTHERS[1]], "overrides": settings}
        file.write_text(json.dumps(content), encoding="utf-8")
    experiment = folder / ("headline" if program == "run_robustness" else "tiny")
    return [f"scripts/{program}.py", *given, "--jobs", "1"], experiment / "exp_mul_tokens" / "seed_0"


def start(
    folder: Path, given: list[str], run: Path, stage: str, moment: Moment
) -> tuple[subprocess.Popen[bytes], Path]:
    """Start a command; return the process at a moment of a stage, and the file with what it says."""
    log = folder / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *given], cwd=ROOT, stdout=output, stderr=output,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in background
        )  # fmt: skip
    deadline = time.monotonic() + 600
    while not moment(run / "checkpoints" / STAGES[stage][0]) and process.poll() is None:
        time.sleep(0.005)
        if time.monotonic() > deadline:
            process.kill()
    if process.poll() is not None:
        pytest.fail(f"{stage} took no step: {log.read_text()}")
    return process, log


def stop(process: subprocess.Popen[bytes], log: Path, run: Path, stage: str, number: int = signal.SIGTERM) -> int:
    """Send a command a signal; return the step after which its stage stopped, with a whole checkpoint."""
    process.send_signal(number)
    assert process.wait(timeout=120) == 128 + number, log.read_text()[-2000:]
    assert "Traceback" not in log.read_text()
    assert writers(run.parents[1] / "logs") == []
    assert "run the same command again to go on" in log.read_text()
    condition = run.parent.name.removeprefix("exp_")
    said = (run.parents[1] / "logs" / f"{condition}_seed0_{stage}.log").read_text()
    stopped = re.findall(rf"SIGTERM: {stage} stopped after step (\d+) of (\d+) and saved it", said)[-1]
    assert int(stopped[0]) < int(stopped[1])
    assert (run / "checkpoints" / STAGES[stage][0] / f"checkpoint-{stopped[0]}" / "verified.json").is_file()
    return int(stopped[0])


def writers(folder: Path) -> list[str]:
    """Return the files in a folder to which some process writes its standard output."""
    found = []
    for path in Path("/proc").glob("[0-9]*/fd/1"):
        with contextlib.suppress(OSError):  # the process ended in between
            target = path.readlink()
            if target.is_relative_to(folder):
                found.append(target.name)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "option"),
    [(signal.SIGINT, "--in-process"), (signal.SIGTERM, "--no-in-process"), (signal.SIGUSR1, "--in-process")],
)
def test_an_interrupted_runner_leaves_no_process_and_a_whole_checkpoint(
    number: int, option: str, tmp_path: Path
) -> None:
    given, run = command("run_experiment", tmp_path, *LONG)
    process, log = start(tmp_path, [*given, option], run, "pretrain", after_step(1))
    stop(process, log, run, "pretrain", number)


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--in-process", "--no-in-process"])
def test_no_stage_outlives_a_runner_that_is_killed(option: str, tmp_path: Path) -> None:
    given, run = command("run_experiment", tmp_path, *LONG)
    process, _ = start(tmp_path, [*given, option], run, "pretrain", after_step(1))
    logs = tmp_path / "tiny" / "logs"
    assert "mul_tokens_seed0_pretrain.log" in writers(logs)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 15
    while writers(logs) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert writers(logs) == []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The weights of the three stages of a run that nothing interrupts."""
    folder = prepare_data(tmp_path_factory.mktemp("undisturbed"), *SHORT)
    for stage in STAGES:
        resume(stage, folder, *SHORT)
    found = weights(folder / "tiny" / "exp_mul_tokens" / "seed_0")
    assert len(set(found.values())) == 3  # each stage trains
    return found


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--in-process", "--no-in-process"])
def test_a_runner_that_is_stopped_in_every_stage_ends_with_the_same_weights(
    option: str, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    given, run = command("run_experiment", tmp_path, *SHORT)
    stopped = {}
    for stage in STAGES:
        process, log = start(tmp_path, [*given, option], run, stage, after_step(1))
        stopped[stage] = stop(process, log, run, stage)
    done = subprocess.run([sys.executable, *given, option], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for stage, step in stopped.items():
        said = (run.parents[1] / "logs" / f"mul_tokens_seed0_{stage}.log").read_text()
        assert f"resumes from step {step}, " in said
    assert weights(run) == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("program", ["run_robustness", "research_tables", "calibrate_pipeline"])
def test_every_command_that_is_stopped_goes_on_to_the_same_weights(
    program: str, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    given, run = command(program, tmp_path, *SHORT)
    process, log = start(tmp_path, given, run, "pretrain", after_step(1))
    step = stop(process, log, run, "pretrain")
    process, log = start(tmp_path, given, run, "sft", after_step(1))  # so pretraining has ended
    stop(process, log, run, "sft")
    said = (run.parents[1] / "logs" / "mul_tokens_seed0_pretrain.log").read_text()
    assert f"resumes from step {step}, " in said
    manifest = json.loads((run / "pretrain_final" / "manifest.json").read_text())
    assert manifest["reported"]["weights_sha256"] == undisturbed["pretrain_final"]
