"""A stage that was interrupted goes on, and ends as one that was not."""

import json
import shutil
from pathlib import Path

import pytest
from tiny import manifest, run_stage

from domain_tokens.runs.files import sha256_file

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]


def test_an_interrupted_run_goes_on_and_ends_bitwise_the_same(copied: Path) -> None:
    run = copied / "tiny" / "exp_mul_tokens" / "seed_0"
    expected = sha256_file(run / "pretrain_final" / "model.safetensors")
    shutil.rmtree(run / "pretrain_final")
    # Cut after the last checkpoint, so that nothing is left to train; and one that was cut short while it was written.
    cut = run / "checkpoints" / "pretrain" / "checkpoint-3"
    shutil.copytree(run / "checkpoints" / "pretrain" / "checkpoint-2", cut)
    (cut / "optimizer.pt").write_bytes(b"cut")
    done = run_stage("run_pretrain", copied, "mul_tokens")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "checkpoint-3 is not used: optimizer.pt is damaged" in done.stderr
    assert "resumes from step" in done.stderr
    assert sha256_file(run / "pretrain_final" / "model.safetensors") == expected
    steps = [json.loads(line)["step"] for line in (run / "pretrain_final" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 4]


@pytest.mark.parametrize(
    ("stage", "overrides"),
    [
        ("sft", ["sft.save_steps=2"]),
        ("grpo", ["grpo.save_steps=2", "grpo.max_steps=3"]),
    ],
)
def test_an_interrupted_run_has_the_ledger_of_one_that_was_not(stage: str, overrides: list[str], copied: Path) -> None:
    shutil.rmtree(copied / "tiny" / "exp_baseline" / "seed_0")  # trained by another recipe than what follows
    run = copied / "tiny" / "exp_mul_tokens" / "seed_0"
    work = run / "checkpoints" / ("sft_drills" if stage == "sft" else "grpo")
    for folder in (run / f"{stage}_final", work):
        shutil.rmtree(folder)
    ledgers, weights = [], []
    for cut in (False, True):
        if cut:
            shutil.rmtree(run / f"{stage}_final")
            newest = max(work.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
            assert newest.name != "checkpoint-2"
            shutil.rmtree(newest)
        done = run_stage(f"run_{stage}", copied, "mul_tokens", *overrides)
        assert done.returncode == 0, done.stderr[-3000:]
        assert ("checkpoint-2" in done.stderr) == cut
        ledgers.append(manifest(copied / "tiny", "mul_tokens", f"{stage}_final")["ledger"])
        weights.append(sha256_file(run / f"{stage}_final" / "model.safetensors"))
    before = json.loads((work / "checkpoint-2" / "counts.json").read_text())
    assert ledgers[1][0].pop("wall_time_s") > before["seconds"] > 0
    assert ledgers[0][0].pop("wall_time_s") > 0
    assert ledgers[0] == ledgers[1]
    assert before["tokens"] < ledgers[0][0]["tokens"]
    assert weights[0] == weights[1]
