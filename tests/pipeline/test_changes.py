"""An unfinished stage is not resumed when anything that its result depends on has changed."""

import json
import shutil
from pathlib import Path

import pytest
from tiny import manifest, run_ranks, run_script, run_stage, start_script, tiny_arguments

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]

CHANGES = {
    "pretrain.learning_rate=4e-3": "pretrain.learning_rate",
    "pretrain.adam_beta2=0.99": "pretrain.adam_beta2",
    "pretrain.weight_decay=0.2": "pretrain.weight_decay",
    "pretrain.optim=adamw_torch": "pretrain.optim",
    "pretrain.lr_scheduler_type=linear": "pretrain.lr_scheduler_type",
    "pretrain.max_steps=6": "pretrain.max_steps",
    "pretrain.per_device_train_batch_size=2": "pretrain.per_device_train_batch_size",
    "budget.pretrain_tokens_per_step=512": "tokens_per_step",
    "seed_offset=1": "seed",
    "seeds.weights=1": "seeds.weights",
    "seeds.order=1": "documents.seed",
    "seeds.sampling=1": "seeds.sampling",
    "model.n_embd=32": "model.n_embd",
    "model.resid_pdrop=0.1": "model.resid_pdrop",
    "number_token_loss=0.3": "settings.number_token_loss",
}
WORK = "exp_mul_tokens/seed_0/checkpoints/pretrain"
FILES = {
    "corpus": ("exp_mul_tokens/corpus_0/manifest.json", "documents_sha256", "corpus.documents_sha256"),
    "tokenizer": (f"{WORK}/inputs.json", "tokenizer_sha256", "corpus.tokenizer_sha256"),
    "code": (f"{WORK}/running.json", "code_sha256", "code_sha256"),
    "libraries": (f"{WORK}/running.json", "torch", "matched.packages.torch"),
}


@pytest.fixture
def unfinished(copied: Path) -> Path:
    shutil.rmtree(copied / "tiny" / "exp_mul_tokens" / "seed_0" / "pretrain_final")
    return copied


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_recipe_is_refused_with_both_values(change: str, unfinished: Path) -> None:
    done = run_stage("run_pretrain", unfinished, "mul_tokens", change)
    assert done.returncode == 2, done.stderr
    assert f"{CHANGES[change]}: recorded " in done.stderr
    assert "--allow-change" in done.stderr


@pytest.mark.parametrize("what", FILES)
def test_a_change_of_data_and_code_is_refused_with_both_values(what: str, unfinished: Path) -> None:
    name, key, said = FILES[what]
    file = unfinished / "tiny" / name
    before = file.read_text()
    start = before.index(f'"{key}": "') + len(key) + 5
    file.write_text(before[:start] + ("1" if before[start] == "0" else "0") + before[start + 1 :])
    done = run_stage("run_pretrain", unfinished, "mul_tokens")
    assert done.returncode == 2, done.stderr
    assert f"{said}: recorded " in done.stderr


def test_another_number_of_processes_is_refused(unfinished: Path) -> None:
    first, _ = run_ranks(2, "scripts/run_pretrain.py", *tiny_arguments(unfinished, "mul_tokens"))
    assert first.returncode == 2, first.stderr
    assert "matched.num_processes: recorded 1, now 2" in first.stderr


def test_an_allowed_change_is_recorded(unfinished: Path) -> None:
    shutil.rmtree(unfinished / "tiny" / "exp_baseline" / "seed_0")
    arguments = tiny_arguments(unfinished, "mul_tokens", "pretrain.weight_decay=0.2")
    done = run_script("scripts/run_pretrain.py", "--allow-change", *arguments)
    assert done.returncode == 0, done.stderr
    assert "goes on with changes: pretrain.weight_decay: recorded 0.1, now 0.2" in done.stderr
    (change,) = manifest(unfinished / "tiny", "mul_tokens", "pretrain_final")["changes"]
    assert change["differences"][0] == "pretrain.weight_decay: recorded 0.1, now 0.2"


def test_the_runner_goes_on_with_an_allowed_change(unfinished: Path) -> None:
    name, key, said = FILES["code"]
    file = unfinished / "tiny" / name
    values = json.loads(file.read_text())
    file.write_text(json.dumps(values | {key: "0" * 64}))
    _, overlay, *overrides = tiny_arguments(unfinished, "mul_tokens")
    command = (
        "scripts/run_experiment.py", "recipes/baseline.yaml", "recipes/mul_tokens.yaml", "--overlay", overlay,
        "--config-file", "accelerate_configs/cpu.yaml",
    )  # fmt: skip
    refused = start_script(*command, "--set", *overrides)
    assert refused.returncode == 2, refused.stdout + refused.stderr
    log = unfinished / "tiny" / "logs" / "mul_tokens_seed0_pretrain.log"
    assert f"{said}: recorded " in log.read_text()
    done = start_script(*command, "--allow-change", "--set", *overrides)
    assert done.returncode == 0, done.stdout + done.stderr
    (change,) = manifest(unfinished / "tiny", "mul_tokens", "pretrain_final")["changes"]
    assert change["differences"][0].startswith(f"{said}: recorded ")
