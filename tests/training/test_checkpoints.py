"""Checkpoints: only one that is whole is resumed from, whatever was done to the newest."""

import shutil
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from domain_tokens.runs.checkpoints import newest_unfinished, newest_verified
from domain_tokens.training.callbacks.checkpoints import VerifyCheckpoints

FILES = ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", "config.json")


@pytest.fixture(scope="module")
def trained(tokenizer_dirs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoints 2 and 4 of a real run."""
    folder = tmp_path_factory.mktemp("run")
    arguments = TrainingArguments(
        output_dir=str(folder), max_steps=4, save_steps=2, per_device_train_batch_size=1, report_to="none",
        use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, n_positions=8, vocab_size=50))
    rows = [{"input_ids": torch.arange(8), "labels": torch.arange(8)}] * 8
    callbacks = [VerifyCheckpoints(tokenizer_dirs["mul_tokens"])]
    Trainer(model=model, args=arguments, train_dataset=rows, callbacks=callbacks).train()
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_the_newest_whole_checkpoint_is_taken(run: Path) -> None:
    assert newest_verified(run) == run / "checkpoint-4"
    assert newest_verified(run / "nothing") is None


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "flipped"])
def test_every_damage_is_found(name: str, damage: str, run: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = run / "checkpoint-4" / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        flipped = (
            content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1 :]
        )
        path.write_bytes({"empty": b"", "half": content[: len(content) // 2], "flipped": flipped}[damage])
    assert newest_verified(run) == run / "checkpoint-2"
    assert name in caplog.text
    assert not (run / "checkpoint-4").exists()


def test_a_run_is_not_resumed_at_its_end(run: Path) -> None:
    assert newest_unfinished(run) == run / "checkpoint-2"
    assert newest_unfinished(run / "nothing") is None


def test_a_checkpoint_that_was_not_finished_is_not_taken(run: Path) -> None:
    (run / "checkpoint-4" / "verified.json").unlink()
    assert newest_verified(run) == run / "checkpoint-2"


def test_a_list_that_is_damaged_is_no_list(run: Path) -> None:
    (run / "checkpoint-4" / "verified.json").write_text("{")
    assert newest_verified(run) == run / "checkpoint-2"


def test_nothing_whole_is_a_fresh_start(run: Path) -> None:
    for folder in run.glob("checkpoint-*"):
        (folder / "optimizer.pt").write_bytes(b"")
    assert newest_verified(run) is None
