"""The runner of whole experiments: what it skips, refuses and leaves."""

import shutil
from pathlib import Path

import pytest
from tiny import ROOT, run_script, start_script, tiny_arguments, weights

from domain_tokens.analysis.report.findings import headline
from domain_tokens.analysis.results_model import Results

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]


def test_run_again_it_skips_what_is_complete_and_shows_the_outcome(experiment: Path) -> None:
    _, overlay, *overrides = tiny_arguments(experiment.parent, "baseline")
    before = (experiment / "results.json").read_bytes()
    done = run_script(
        "scripts/run_experiment.py", "recipes/baseline.yaml", "recipes/mul_tokens.yaml", "--overlay", overlay,
        "--config-file", "accelerate_configs/cpu.yaml", "--set", *overrides,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("complete, skipped") == 13
    assert (experiment / "results.json").read_bytes() == before
    assert headline(Results.model_validate_json(before)) in done.stdout
    assert str(experiment / "report.html") in done.stdout


def test_a_changed_intervention_is_refused(copied: Path) -> None:
    mine = copied / "mine.yaml"
    mine.write_text((ROOT / "recipes/interventions/mul_tokens.yaml").read_text().replace("weak", "strict"))
    _, overlay, *overrides = tiny_arguments(copied, "mul_tokens", f"tokenizer={mine}")
    done = run_script(
        "scripts/run_experiment.py", "recipes/mul_tokens.yaml", "--overlay", overlay, "--set", *overrides
    )
    assert done.returncode == 2
    assert "preregistration.json: frozen at" in done.stderr
    assert "intervention" in done.stderr
    assert "--amend" in done.stderr
    stage = run_script("scripts/prepare_data.py", *tiny_arguments(copied, "mul_tokens", f"tokenizer={mine}"))
    assert stage.returncode == 2
    assert "intervention.rules.mode: recorded 'weak', now 'strict'" in stage.stderr


def test_every_stage_leaves_a_log_and_the_experiment_one(experiment: Path) -> None:
    stages = ("prepare_data", "pretrain", "sft", "grpo", "eval", "eval_checkpoints")
    for condition in ("baseline", "mul_tokens"):
        for stage in stages:
            assert "recipes/" in (experiment / "logs" / f"{condition}_seed0_{stage}.log").read_text()
    whole = (experiment / "logs" / "experiment.log").read_text()
    assert "in process: True" in whole
    assert whole.count("done in") == 2 * len(stages) + 1
    assert not list((experiment / "logs").glob("*.progress"))
    shown = (experiment / "stdout.txt").read_text()
    assert "Warning" not in shown
    assert "WARNING" not in shown


@pytest.mark.slow
def test_a_stage_in_a_process_of_its_own_gives_the_same_weights_as_a_forked_one(copied: Path) -> None:
    run = copied / "tiny" / "exp_mul_tokens" / "seed_0"
    before = weights(run)
    assert before["sft_final"] != before["pretrain_final"]
    shutil.rmtree(run / "sft_final")
    for folder in (run / "checkpoints").glob("sft_*"):
        shutil.rmtree(folder)
    done = start_script(
        "-m", "accelerate.commands.launch", "--config_file", "accelerate_configs/cpu.yaml", "scripts/run_sft.py",
        *tiny_arguments(copied, "mul_tokens"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert weights(run) == before


@pytest.mark.slow
def test_in_process_or_not_and_side_by_side_or_not_the_weights_are_the_same(experiment: Path, tmp_path: Path) -> None:
    _, overlay, *overrides = tiny_arguments(tmp_path, "baseline")
    done = start_script(
        "scripts/run_experiment.py", "recipes/mul_tokens.yaml", "--overlay", overlay, "--jobs", "1",
        "--no-in-process", "--config-file", "accelerate_configs/cpu.yaml", "--set", *overrides,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "in process: False" in (tmp_path / "tiny" / "logs" / "experiment.log").read_text()
    run = Path("exp_mul_tokens") / "seed_0"
    assert weights(tmp_path / "tiny" / run) == weights(experiment / run)
