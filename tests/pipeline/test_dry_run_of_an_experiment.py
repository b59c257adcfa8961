"""`--dry-run` on a finished experiment: what is complete is skipped, what differs refused as the stage itself does."""

import os
import shutil
from pathlib import Path

import pytest
from tiny import ROOT, run_inside, tiny_arguments

from domain_tokens.cli.common import FIRST_LINE
from domain_tokens.planning.preview import STAGES, Verdict, preview
from domain_tokens.recipe import load_recipe

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]


@pytest.fixture(autouse=True)
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolved recipe names its intervention from the working folder, and the experiment was made from there."""
    monkeypatch.chdir(ROOT)


def states(folder: Path) -> dict[Path, tuple[int, int]]:
    found = [Path(parent, name) for parent, names, files in os.walk(folder) for name in ("", *names, *files)]
    return {path: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in found}


def verdicts(output_dir: Path, *overrides: str, condition: str = "mul_tokens") -> dict[str, Verdict]:
    arguments = tiny_arguments(output_dir, condition, *overrides)
    recipe = load_recipe([argument.removeprefix(f"{ROOT}/") for argument in arguments])
    return {verdict.name: verdict for verdict in preview([recipe], STAGES)}


def test_a_finished_experiment_is_skipped_and_not_touched(experiment: Path) -> None:
    before = states(experiment)
    assert len(before) > 50
    for condition in ("baseline", "mul_tokens"):
        found = verdicts(experiment.parent, condition=condition)
        assert len(found) == 9
        assert {name: verdict.action for name, verdict in found.items()} == dict.fromkeys(found, "skip")
    assert states(experiment) == before


@pytest.mark.parametrize(
    ("script", "name", "override", "part"),
    [
        ("prepare_data", "documents", "corpus.validation_fraction=0.1", "validation_fraction"),
        ("run_pretrain", "pretrain", "pretrain.learning_rate=1e-3", "pretrain.learning_rate"),
        ("run_sft", "sft/drills", "budget.sft_examples_per_step=16", "examples_per_step"),
        ("run_grpo", "grpo", "grpo.beta=0.1", "grpo.beta"),
    ],
)
def test_a_stage_refuses_in_the_same_words(script: str, name: str, override: str, part: str, experiment: Path) -> None:
    arguments = tiny_arguments(experiment.parent, "mul_tokens", override)
    previewed = run_inside(f"scripts/{script}.py", *arguments, "--dry-run")
    assert verdicts(experiment.parent, override)[name].action == "refuse"
    assert previewed.returncode == 2
    assert part in previewed.stderr
    refused = run_inside(f"scripts/{script}.py", *arguments)
    assert previewed.stderr.startswith(FIRST_LINE)
    assert (refused.returncode, refused.stderr) == (2, previewed.stderr.removeprefix(FIRST_LINE))


def test_unfinished_and_missing_stages(copied: Path) -> None:
    run = copied / "tiny" / "exp_mul_tokens" / "seed_0"
    shutil.rmtree(run / "grpo_final")
    found = verdicts(copied)
    assert found["grpo"].action == "resume"
    assert "from step 1" in found["grpo"].reason
    assert found["evaluation"].action == "wait"
    assert "grpo_final" in found["evaluation"].reason
    shutil.rmtree(run / "checkpoints" / "grpo")
    assert verdicts(copied)["grpo"].action == "run"


def test_other_results_are_made_again(experiment: Path) -> None:
    found = verdicts(experiment.parent, "evaluation.max_samples=4")
    assert found["grpo"].action == "skip"
    assert (found["evaluation"].action, found["learning curves"].action) == ("resume", "resume")
    assert "recipe" in found["evaluation"].reason
