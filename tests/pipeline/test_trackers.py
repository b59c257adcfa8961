"""Trackers write where they should, under the names of runs, and change no weight."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from tiny import run_script, start_script, tiny_arguments

from domain_tokens.runs.files import sha256_weights
from domain_tokens.runs.layout import MODELS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]
STAGES = {"run_pretrain": "pretrain", "run_sft": "sft", "run_grpo": "grpo"}


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the steps and values of each scalar in TensorBoard's events of a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(one.step, one.value) for one in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def report(output_dir: Path, scripts: list[str], tracker: str) -> None:
    """Train stages of the tiny baseline again, with a tracker."""
    run = output_dir / "tiny" / "exp_baseline" / "seed_0"
    before = {name: sha256_weights(run / name) for name in MODELS}
    shutil.rmtree(run / "checkpoints")
    for script in scripts:
        final = run / f"{STAGES[script]}_final"
        shutil.rmtree(final)
        # trackio reads where its database lies when it is imported, which the warm process has done.
        start = start_script if tracker == "trackio" else run_script
        reports = (f"{one}.report_to={tracker}" for one in STAGES.values())
        done = start(f"scripts/{script}.py", *tiny_arguments(output_dir, "baseline", *reports))
        assert done.returncode == 0, done.stdout + done.stderr
        assert final.is_dir()
    assert {name: sha256_weights(run / name) for name in MODELS} == before


def stage_folders(output_dir: Path) -> list[str]:
    return sorted(path.name for path in (output_dir / "tiny/exp_baseline/seed_0/checkpoints").iterdir())


def test_tensorboard_has_the_scalars_of_pretraining_and_changes_no_weight(copied: Path) -> None:
    pytest.importorskip("tensorboard")
    report(copied, ["run_pretrain"], "tensorboard")
    found = scalars(copied / "tiny/tensorboard/tiny/baseline/seed_0/pretrain")
    assert [step for step, _ in found["train/loss"]] == [1, 2, 3, 4]
    assert found["eval/loss"][-1][0] == 4


@pytest.mark.slow
def test_tensorboard_has_the_scalars_of_every_stage(copied: Path) -> None:
    pytest.importorskip("tensorboard")
    report(copied, list(STAGES), "tensorboard")
    for stage in stage_folders(copied):
        found = scalars(copied / "tiny/tensorboard/tiny/baseline/seed_0" / stage)
        assert found["train/loss"]
        assert all(step > 0 for step, _ in found["train/learning_rate"])
        assert ("train/reward" in found) == (stage == "grpo")


@pytest.mark.slow
def test_trackio_has_the_rows_of_every_stage_in_its_local_database(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trackio")
    monkeypatch.setenv("TRACKIO_DIR", str(copied / "trackio"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    report(copied, list(STAGES), "trackio")
    (database,) = (copied / "trackio").glob("*.db")
    assert database.stem == "tiny"
    with sqlite3.connect(database) as connection:
        rows = connection.execute("select run_name, step, metrics from metrics").fetchall()
    names = {name for name, _, _ in rows}
    assert names == {f"tiny/baseline/seed_0/{stage}" for stage in stage_folders(copied)}
    for name in names:
        assert any("train/loss" in str(metrics) for found, _, metrics in rows if found == name)
