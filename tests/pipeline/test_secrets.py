"""Tokens and keys of the environment are in no file of a run, whether its programs end well or in any other way."""

import base64
import gzip
import shutil
import time
from pathlib import Path

import pytest
import torch
from canaries import CANARIES, files_with_secrets
from tiny import run_stage, start_stage

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

RUN = Path("tiny") / "exp_mul_tokens" / "seed_0"


def test_a_secret_is_found_in_any_form(tmp_path: Path) -> None:
    (name, value), *_ = CANARIES.items()
    assert files_with_secrets(tmp_path) == ([], 0)
    (tmp_path / "log.txt").write_text(f"Authorization: Bearer {value}")
    (tmp_path / "utf16.txt").write_bytes(value.encode("utf-16"))
    (tmp_path / "basic.json").write_bytes(base64.b64encode(f"user:{value}".encode()))
    torch.save({"hub_token": value}, tmp_path / "training_args.bin")
    (tmp_path / "shard.gz").write_bytes(gzip.compress(value.encode()))
    (tmp_path / "good.txt").write_text("HF_TOKEN is not set")
    found, read = files_with_secrets(tmp_path)
    named = ("basic.json", "log.txt", "shard.gz", "training_args.bin", "utf16.txt")
    assert found == [f"{tmp_path / file}: {name}" for file in named]
    assert read == 6


def test_a_whole_experiment_writes_no_secret(experiment: Path) -> None:
    found, read = files_with_secrets(experiment)
    suffixes = {path.suffix for path in experiment.rglob("*")}
    assert {".log", ".html", ".json", ".jsonl", ".safetensors", ".pt", ".bin", ".png"} <= suffixes
    assert read > 200
    assert found == []


def test_stages_that_fail_write_no_secret(copied: Path) -> None:
    only_pretrained(copied)
    said = [killed_stage(copied)]
    for override in ("sft.learning_rate=1e30", "sft.hub_token=abc"):
        done = run_stage("run_sft", copied, "mul_tokens", override)
        assert done.returncode == 2, done.stderr
        said.append(done.stdout + done.stderr)
    assert ["is nan at step" in text or "is inf at step" in text for text in said] == [False, True, False]
    assert "HF_TOKEN" in said[2]  # the variable, not its value
    log = next((copied / RUN / "checkpoints").glob("sft_*")) / "metrics.jsonl"
    log.unlink(missing_ok=True)
    log.mkdir()  # which no message foresees
    crashed = run_stage("run_sft", copied, "mul_tokens", "sft.learning_rate=1e30")
    assert "Traceback" in crashed.stderr
    (copied / "said.txt").write_text("".join([*said, crashed.stdout, crashed.stderr]))
    assert files_with_secrets(copied)[0] == []


def only_pretrained(output_dir: Path) -> None:
    """Leave one condition, pretrained; the other has another recipe than these stages."""
    shutil.rmtree(output_dir / "tiny" / "exp_baseline" / "seed_0")
    for folder in ("sft_final", "grpo_final", "checkpoints"):
        shutil.rmtree(output_dir / RUN / folder)


def killed_stage(output_dir: Path) -> str:
    """Kill a stage that has the canaries when it begins to train, and return what it said."""
    process = start_stage("run_sft", output_dir, "mul_tokens", "sft.learning_rate=1e30")
    environment = Path(f"/proc/{process.pid}/environ").read_bytes()
    assert all(f"{name}={value}".encode() in environment for name, value in CANARIES.items())
    checkpoints = output_dir / RUN / "checkpoints"
    while process.poll() is None and not list(checkpoints.glob("sft_*/running.json")):
        time.sleep(0.005)
    process.signal_group(9)
    assert process.wait(60) == -9
    return (output_dir / "run_sft.log").read_text()
