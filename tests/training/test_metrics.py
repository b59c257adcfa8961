"""The run's log: what a row holds, what a resumed run keeps, and when a run stops."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from domain_tokens.recipe import RecipeError
from domain_tokens.training import devices, stage
from domain_tokens.training.callbacks import metrics
from domain_tokens.training.callbacks.metrics import MetricsLog, Work, read_metrics
from domain_tokens.training.devices import PEAK_FLOPS, known_device
from domain_tokens.training.fitting import trial
from domain_tokens.training.fitting.request import Request


def work_at(step: int) -> Work:
    return Work(tokens=100 * step, examples=4 * step, flops=1e12 * step, generated_tokens=10 * step)


def log(folder: Path, step: int, **logs: float) -> None:
    arguments = TrainingArguments(output_dir=str(folder), report_to="none", use_cpu=True)
    state = TrainerState(global_step=step, is_world_process_zero=True)
    MetricsLog(folder, work_at, "x", {"completions/mean_length": "completion_tokens"}).on_log(
        arguments, state, TrainerControl(), logs
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("key", ["loss", "grad_norm", "eval_loss"])
def test_a_loss_that_is_not_finite_stops_the_run(key: str, value: float, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=rf"{key} is -?(nan|inf) at step 7"):
        log(tmp_path, 7, **{key: value})


def test_rows_carry_constants_and_our_names(tmp_path: Path) -> None:
    log(tmp_path, 3, reward=0.5, **{"completions/mean_length": 9.0})
    (row,) = read_metrics(tmp_path / "metrics.jsonl")
    assert row.as_json() == {"step": 3, "stage": "x", "reward": 0.5, "completion_tokens": 9.0}


def test_a_resumed_run_drops_the_steps_that_it_takes_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": step}) + "\n" for step in (1, 2, 3, 4)) + '{"step": 5, "lo')
    arguments = TrainingArguments(output_dir=str(tmp_path), report_to="none", use_cpu=True)
    for resumed_from, kept in ((2, [1, 2]), (0, [])):
        state = TrainerState(global_step=resumed_from, is_world_process_zero=True)
        MetricsLog(tmp_path, work_at).on_train_begin(arguments, state, TrainerControl())
        assert [row.step for row in read_metrics(path)] == kept


def test_speeds_are_of_what_was_done_since_the_last_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 10.0, 13.0, 15.0))
    monkeypatch.setattr(metrics.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(metrics.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(metrics.torch.cuda, "max_memory_allocated", lambda: 5)
    monkeypatch.setattr(metrics.torch.cuda, "get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    arguments = TrainingArguments(output_dir=str(tmp_path), report_to="none", use_cpu=True)
    log, control = MetricsLog(tmp_path, work_at), TrainerControl()
    states = [TrainerState(global_step=step, is_world_process_zero=True) for step in (6, 8)]
    log.on_train_begin(arguments, states[0], control)  # resumed: six steps were made before
    log.on_evaluate(arguments, states[0], control)  # ten seconds that are not the step's
    log.on_log(arguments, states[1], control, {"loss": 1.0})
    (row,) = read_metrics(tmp_path / "metrics.jsonl")
    assert row.as_json() == {
        "step": 8, "loss": 1.0, "memory_bytes": 5, "tokens_seen": 800, "step_time_s": 1.5,
        "tokens_per_s": 200 / 3, "examples_per_s": 8 / 3, "generated_tokens_per_s": 20 / 3,
        "mfu": pytest.approx(2e12 / 3 / 989e12),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"), ("NVIDIA H100 PCIe", "H100 PCIe"), ("NVIDIA H200", "H200"),
        ("NVIDIA A100-SXM4-80GB", "A100"), ("NVIDIA A100-PCIE-40GB", "A100"), ("NVIDIA A100 80GB PCIe", "A100"),
        ("NVIDIA L40S", "L40S"), ("NVIDIA GeForce RTX 4090", "4090"), ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None), ("NVIDIA L40", None), ("NVIDIA GeForce RTX 4090 D", None),
        ("", None),
    ],
)  # fmt: skip
def test_a_device_is_known_by_its_whole_name(name: str, known: str | None) -> None:
    assert known_device(name) == known
    assert known is None or known in PEAK_FLOPS


def test_the_utilization_of_an_unknown_device_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(metrics.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(metrics.torch.cuda, "max_memory_allocated", lambda: 5)
    monkeypatch.setattr(metrics.torch.cuda, "get_device_name", lambda: "NVIDIA L40")
    arguments = TrainingArguments(output_dir=str(tmp_path), report_to="none", use_cpu=True)
    log, control = MetricsLog(tmp_path, work_at), TrainerControl()
    log.on_train_begin(arguments, TrainerState(is_world_process_zero=True), control)
    assert "mfu: unknown, because the peak of NVIDIA L40 in bf16" in caplog.text
    log.on_log(arguments, TrainerState(global_step=1, is_world_process_zero=True), control, {"loss": 1.0})
    (row,) = read_metrics(tmp_path / "metrics.jsonl")
    assert row.as_json()["mfu"] is None
    assert row.value("tokens_per_s") is not None


_TOUCHED_AGAIN = """
import resource, sys
import numpy as np
from domain_tokens.training.devices import keep_freed_memory

def faults_of_a_block():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(64 << 20, dtype=np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults_of_a_block()
freed = faults_of_a_block()
kept = keep_freed_memory()
faults_of_a_block()
print(kept, freed > 16, faults_of_a_block() == 0)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library gives memory back in its own way")
@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({}, "True True True"),
        ({"MALLOC_ARENA_MAX": "4"}, "False True False"),
        ({"GLIBC_TUNABLES": "glibc.malloc.arena_max=4"}, "False True False"),
    ],
)
def test_freed_memory_is_kept_unless_the_environment_says_otherwise(setting: dict[str, str], expected: str) -> None:
    others = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MALLOC_") and name != "GLIBC_TUNABLES"
    }
    done = subprocess.run(
        [sys.executable, "-c", _TOUCHED_AGAIN], env=others | setting, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected


_OF_A_LARGE_PARENT = """
import subprocess, sys
import numpy as np

from domain_tokens.training.devices import peak_resident_bytes

block = np.ones(1 << 30, dtype=np.uint8)
child = "from domain_tokens.training.devices import peak_resident_bytes; print(peak_resident_bytes())"
said = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True).stdout
print(peak_resident_bytes(), said)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc; elsewhere getrusage is asked")
def test_the_peak_of_memory_is_a_process_s_own_and_not_that_of_the_one_that_started_it() -> None:
    done = subprocess.run([sys.executable, "-c", _OF_A_LARGE_PARENT], capture_output=True, text=True, check=True)
    parent, child = map(int, done.stdout.split())
    assert parent > 1 << 30
    assert 5 << 20 < child < 1 << 29


@pytest.mark.parametrize(("system", "unit"), [("linux", 1024), ("darwin", 1)])
def test_without_a_status_the_peak_is_what_the_system_counts(
    system: str, unit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(devices.sys, "platform", system)
    monkeypatch.setattr(devices.resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=3000))
    assert devices.peak_resident_bytes() == 3000 * unit


def try_an_unknown_recipe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = Request(
        recipe=(str(folder / "none.yaml"),), stage="pretrain", sizes=(1,), num_processes=1, runs_at_a_time=1
    )
    (folder / "request.json").write_text(json.dumps(request.as_json()), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["trial", str(folder / "request.json"), str(folder / "tries.jsonl")])
    trial.main()
    assert "none.yaml" in (folder / "tries.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["stage", "trial"])
def test_a_stage_keeps_freed_memory_and_so_does_the_trial_of_its_micro_batch(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bool] = []
    for module in (stage, trial):
        monkeypatch.setattr(module, "keep_freed_memory", lambda: kept.append(True))
        monkeypatch.setattr(module, "quieten", lambda: None)
    monkeypatch.setattr(stage.atexit, "register", lambda function: None)
    if kind == "stage":
        stage.start_process()
    else:
        try_an_unknown_recipe(tmp_path, monkeypatch)
    assert kept == [True]
