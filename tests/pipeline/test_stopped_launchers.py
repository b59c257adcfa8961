"""Two processes under a launcher: one of them, or the launcher, gets a signal or is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from interrupted_stages import work_of
from tiny import ROOT, prepare_data, tiny_arguments

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]

OWN = "domain_tokens.runs.launcher"
SETTINGS = [
    "pretrain.max_steps=40", "pretrain.save_steps=5", "pretrain.eval_steps=100", "pretrain.logging_steps=3",
    "corpus.epochs=100",
]  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_data(tmp_path_factory.mktemp("corpus"), *SETTINGS)


def start(folder: Path, *options: str, module: str = OWN, config: str = "ddp_cpu") -> subprocess.Popen[bytes]:
    command = [
        sys.executable, "-m", module, "--config_file", f"accelerate_configs/{config}.yaml", "--main_process_port", "0",
        *options, "scripts/run_pretrain.py", *tiny_arguments(folder, "mul_tokens", *SETTINGS),
    ]  # fmt: skip
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)


def wait_for_checkpoint(folder: Path, process: subprocess.Popen[bytes]) -> dict[str, psutil.Process]:
    """Wait until a checkpoint is there; return the processes that train, by rank."""
    while not list(work_of(folder).glob("checkpoint-*")):
        assert process.poll() is None, said(folder)
        time.sleep(0.005)
    children = psutil.Process(process.pid).children()
    return {child.environ()["RANK"]: child for child in children if "RANK" in child.environ()}


def said(folder: Path) -> str:
    return (folder / "log").read_text()


def last(folder: Path) -> dict[str, str]:
    """Return the hashes of the last checkpoint's weights, optimizer and random numbers, and the logged losses."""
    checkpoint = work_of(folder) / "checkpoint-40"
    files = json.loads((checkpoint / "verified.json").read_text())
    history = json.loads((checkpoint / "trainer_state.json").read_text())["log_history"]
    hashes = {name: files[name] for name in files if name.startswith(("model", "optimizer", "rng_state"))}
    return hashes | {"losses": json.dumps([(row["step"], row["loss"]) for row in history if "loss" in row])}


@pytest.fixture(scope="module")
def undisturbed(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = Path(shutil.copytree(corpus, tmp_path_factory.mktemp("undisturbed") / "run"))
    assert start(folder).wait(600) == 0, said(folder)
    return last(folder)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 138)])
@pytest.mark.parametrize("to", ["launcher", "0", "1"])
def test_a_signal_to_any_process_stops_all_and_the_same_command_ends_the_same(
    to: str, number: int, code: int, corpus: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(corpus, tmp_path / "run"))
    process = start(folder)
    ranks = wait_for_checkpoint(folder, process)
    (process if to == "launcher" else ranks[to]).send_signal(number)
    assert process.wait(60) == code, said(folder)
    assert said(folder).count(f"{signal.Signals(number).name}: pretrain stopped after step") == 1
    assert "Traceback" not in said(folder)
    assert not any(rank.is_running() for rank in ranks.values())
    assert start(folder).wait(600) == 0, said(folder)
    assert "resumes from step" in said(folder)
    assert last(folder) == undisturbed


def test_a_killed_rank_is_named_and_ends_the_job_within_ten_seconds(corpus: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(corpus, tmp_path / "run"))
    process = start(folder)
    ranks = wait_for_checkpoint(folder, process)
    ranks["1"].kill()
    assert process.wait(10) == 137, said(folder)
    assert f"rank 1 (process {ranks['1'].pid}) was ended by SIGKILL" in said(folder).splitlines()[-1]


def test_a_killed_rank_is_started_again_and_ends_the_same(
    corpus: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(corpus, tmp_path / "run"))
    process = start(folder, "--max_restarts", "1")
    wait_for_checkpoint(folder, process)["1"].kill()
    assert process.wait(600) == 0, said(folder)
    assert "resumes from step" in said(folder)
    assert last(folder) == undisturbed


MEETING = """
import os, signal, torch.distributed as distributed
from torch.distributed.distributed_c10d import _get_default_store
distributed.init_process_group("gloo")
first = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
found = _get_default_store().check(["address"])
os.write(1, f"found {found} at the first start {first}\\n".encode())  # at once: two processes write to one pipe
distributed.barrier()
_get_default_store().set("address", "of a process that ends")
distributed.barrier()
if first:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_second_start_finds_no_address_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "meeting.py").write_text(MEETING)
    command = [
        sys.executable, "-m", OWN, "--config_file", "accelerate_configs/ddp_cpu.yaml", "--main_process_port", "0",
        "--max_restarts", "1", str(tmp_path / "meeting.py"),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert sorted(line for line in done.stdout.splitlines() if line.startswith("found")) == [
        *["found False at the first start False"] * 2, *["found False at the first start True"] * 2,
    ]  # fmt: skip


ENDING = """
import os, signal, sys, time
print("started", flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
if os.environ["RANK"] == "0":
    sys.exit(int(sys.argv[1]))
time.sleep(60)
"""


@pytest.mark.parametrize(("code", "starts"), [(1, 2), (2, 1), (69, 1), (75, 1), (130, 1), (143, 1)])
def test_only_a_process_that_dies_is_started_again(code: int, starts: int, tmp_path: Path) -> None:
    (tmp_path / "ending.py").write_text(ENDING)
    command = [
        sys.executable, "-m", OWN, "--config_file", "accelerate_configs/ddp_cpu.yaml", "--main_process_port", "0",
        "--max_restarts", "1", str(tmp_path / "ending.py"), str(code),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    assert done.stdout.count("started") == 2 * starts


@pytest.mark.parametrize("config", ["cpu", "ddp_cpu"])
@pytest.mark.parametrize("module", [OWN, "accelerate.commands.launch"])
def test_no_process_outlives_a_launcher_that_is_killed(module: str, config: str, corpus: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(corpus, tmp_path / "run"))
    process = start(folder, module=module, config=config)
    wait_for_checkpoint(folder, process)
    of_stage = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(of_stage, timeout=10)
    assert alive == []
