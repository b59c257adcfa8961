"""Two machines: trained on one, pushed, pulled on the other, and trained on, evaluated and compared as here."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub import reading, writing
from hub.faults import Fault
from hub.remote import environment
from hub.server import HubServer
from publisher import TOKEN
from tiny import CONDITIONS, ROOT, run_script, run_stage, tiny_arguments

from domain_tokens.recipe import flatten
from domain_tokens.recipe.errors import NOT_PUBLISHED

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.timeout(1800)]

# What a comparison says of where it was made.
OF_PLACES = ("reproduce.",)


@pytest.fixture(scope="module")
def hub(experiment: Path) -> Iterator[HubServer]:
    """A Hub that has all of the experiment, pushed by the script in a process of its own."""
    server = HubServer(reading.ROUTES + writing.routes(writing.Accounts(users={TOKEN: "me"})))
    server.start()
    run_with(server, "push_to_hub", str(experiment), "--namespace", "me", "--checkpoints")
    yield server
    server.stop()


def run_with(hub: HubServer, script: str, *arguments: str) -> None:
    seen = environment(hub.endpoint, Path(os.devnull)) | {"HF_TOKEN": TOKEN}
    command = [sys.executable, f"scripts/{script}.py", *arguments]
    done = subprocess.run(command, env=seen, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def run_of(output_dir: Path, condition: str) -> Path:
    return output_dir / "tiny" / f"exp_{condition}" / "seed_0"


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_next_stages_end_bitwise_as_undisturbed_ones(
    condition: str, hub: HubServer, experiment: Path, tmp_path: Path
) -> None:
    run_with(hub, "pull_from_hub", f"me/tiny-{condition}-seed0-pretrain", "--output-dir", str(tmp_path))
    there, here = run_of(tmp_path, condition), experiment / f"exp_{condition}" / "seed_0"
    assert sorted(path.name for path in there.iterdir()) == ["pretrain_final"]
    for stage in ("run_sft", "run_grpo"):
        done = run_stage(stage, tmp_path, condition)
        assert done.returncode == 0, done.stderr[-3000:]
    for model in ("sft_final", "grpo_final"):
        assert (there / model / "model.safetensors").read_bytes() == (here / model / "model.safetensors").read_bytes()
        own, made = (json.loads((run / model / "manifest.json").read_text()) for run in (here, there))
        assert own["inputs"] == made["inputs"]
        assert own["ledger"][-1]["order_sha256"] == made["ledger"][-1]["order_sha256"]
    assert (here / "pretrain_final" / "model.safetensors").read_bytes() != (
        here / "sft_final" / "model.safetensors"
    ).read_bytes()


@pytest.fixture(scope="module")
def pulled(hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of another machine, with all that was published."""
    folder = tmp_path_factory.mktemp("elsewhere")
    stages = [
        f"me/tiny-{condition}-seed0-{stage}" for condition in CONDITIONS for stage in ("pretrain", "sft", "grpo")
    ]
    run_with(hub, "pull_from_hub", *stages, "me/tiny-results", "--output-dir", str(folder))
    return folder


def test_a_comparison_there_has_the_same_numbers(pulled: Path, experiment: Path, tmp_path: Path) -> None:
    shutil.copytree(pulled, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tiny" / "results.json").unlink()
    done = run_script("scripts/compare.py", *(str(run_of(tmp_path, one).parent) for one in CONDITIONS))
    assert done.returncode == 0, done.stderr[-3000:]
    own, made = (
        flatten(json.loads((folder / "results.json").read_text())) for folder in (experiment, tmp_path / "tiny")
    )
    assert len(own) > 1000
    differing = [key for key in own.keys() | made.keys() if own.get(key) != made.get(key)]
    assert [key for key in differing if not key.startswith(OF_PLACES)] == []


def test_an_evaluation_there_finds_everything_done(pulled: Path, tmp_path: Path) -> None:
    shutil.copytree(pulled, tmp_path, dirs_exist_ok=True)
    results = run_of(tmp_path, "mul_tokens") / "eval" / "sft_final" / "gsm8k_results.json"
    before = json.loads(results.read_text())
    done = run_stage("run_eval", tmp_path, "mul_tokens")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count(": complete, skipped") > 10
    results.unlink()
    again = run_stage("run_eval", tmp_path, "mul_tokens")
    assert again.returncode == 0, again.stderr[-3000:]
    assert "sft_final, gsm8k: 8 items" in again.stderr
    made = json.loads(results.read_text())
    assert (made["weights_sha256"], made["metrics"]) == (before["weights_sha256"], before["metrics"])


def test_a_finished_run_there_is_complete(pulled: Path, tmp_path: Path) -> None:
    shutil.copytree(pulled, tmp_path, dirs_exist_ok=True)
    for stage in ("run_sft", "run_grpo"):
        done = run_stage(stage, tmp_path, "mul_tokens")
        assert done.returncode == 0, done.stderr[-3000:]
        assert ": complete, skipped" in done.stderr


def test_curves_there_have_the_checkpoints(hub: HubServer, pulled: Path, experiment: Path, tmp_path: Path) -> None:
    shutil.copytree(pulled, tmp_path, dirs_exist_ok=True)
    for step in ("step-2", "step-4"):
        name = "me/tiny-baseline-seed0-pretrain"
        run_with(hub, "pull_from_hub", name, "--revision", step, "--output-dir", str(tmp_path))
    curves = run_of(tmp_path, "baseline") / "eval" / "learning_curves.csv"
    own = curves.read_text()
    prepared = run_stage("prepare_data", tmp_path, "baseline", tiny_arguments(tmp_path, "baseline")[-1])
    assert prepared.returncode == 0, prepared.stderr[-3000:]
    shutil.rmtree(run_of(tmp_path, "baseline") / "eval" / "checkpoints")
    curves.unlink()
    done = run_stage("eval_checkpoints", tmp_path, "baseline")
    assert done.returncode == 0, done.stderr[-3000:]
    kept = [line for line in own.splitlines() if line.startswith("baseline,0,pretrain,2,")]
    assert kept
    assert set(kept) <= set(curves.read_text().splitlines())


def test_an_experiment_publishes_its_stages_and_says_if_it_could_not(experiment: Path, tmp_path: Path) -> None:
    shutil.copytree(experiment, tmp_path / "tiny")
    recipes = [f"recipes/{condition}.yaml" for condition in CONDITIONS]
    _, overlay, *overrides = tiny_arguments(tmp_path, "baseline", "push_to_hub=true", "hub.namespace=me")
    server = HubServer(reading.ROUTES + writing.routes(writing.Accounts(users={TOKEN: "me"})))
    server.start()
    seen = environment(server.endpoint, tmp_path / "home") | {"HF_TOKEN": TOKEN}
    launcher = ("--config-file", "accelerate_configs/cpu.yaml")
    script = [sys.executable, "scripts/run_experiment.py"]
    command = [*script, *recipes, "--overlay", overlay, *launcher, "--set", *overrides]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=seen, cwd=ROOT, capture_output=True, text=True, check=False)

    refused = Fault("POST /api/models/me/tiny-baseline-seed0-sft/commit/", status=503)
    with server.trouble(refused):
        first = run()
    said = first.stdout + first.stderr
    assert first.returncode == NOT_PUBLISHED, said[-3000:]
    assert "baseline, seed 0: sft: complete, but not published" in said
    lacking = {"models/me/tiny-baseline-seed0-sft"}
    names = {f"models/me/tiny-{one}-seed0-{stage}" for one in CONDITIONS for stage in ("pretrain", "sft", "grpo")}
    assert set(server.repositories) == names
    for name, repository in server.repositories.items():
        weights = "model.safetensors" in repository.commits[repository.refs["main"]]
        assert weights is (name not in lacking), name
    second = run()
    assert second.returncode == 0, second.stderr[-3000:]
    assert {one.partition("/commit/")[0] for one in server.requests if "/commit/" in one} >= {
        "POST /api/models/me/tiny-baseline-seed0-sft"
    }
    server.requests.clear()
    third = run()
    assert third.returncode == 0, third.stderr[-3000:]
    assert [one for one in server.requests if "whoami" not in one] == []
    server.stop()
