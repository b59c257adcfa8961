"""Packed rows: no example sees another, nothing is lost or cut, and two encodings are read in one order."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from test_sft_loss import EXAMPLES, trainer_of
from transformers import PreTrainedTokenizerFast

from domain_tokens.training.post_training import packed_rows
from domain_tokens.training.post_training.packed_rows import packed_order, packed_steps
from domain_tokens.training.trainers.answers import AnswerTrainer

SIZES = np.random.default_rng(0).integers(5, 60, size=400)
SHORTER = SIZES - np.random.default_rng(1).integers(0, SIZES // 2)  # the same examples, some in far fewer tokens
LENGTH = 128


def gradients_of(trainer: AnswerTrainer, batch: dict[str, torch.Tensor], example: int) -> dict[int, float]:
    """The largest gradient of one example's loss at the embeddings of each example of the batch; -1 is padding."""
    kept = []

    def keep(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    hook = trainer.model.transformer.wte.register_forward_hook(keep)
    numbers = batch["seq_idx"]
    labels = batch["labels"].masked_fill(numbers != example, -100)
    assert (labels != -100).any()
    trainer.compute_loss(trainer.model, batch | {"labels": labels}, num_items_in_batch=torch.tensor(1)).backward()
    hook.remove()
    (embedded,) = kept
    size = embedded.grad.abs().amax(dim=-1)
    return {int(one): size[numbers == one].max().item() for one in numbers.unique()}


def packed_trainer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> AnswerTrainer:
    trainer = trainer_of(tokenizer, folder, 2, per_example=False, form="packed")
    assert trainer.model.config._attn_implementation == "sdpa"
    return trainer


@pytest.mark.parametrize("condition", ["baseline", "mul_tokens"])
def test_no_example_sees_another_in_its_row(
    condition: str, tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path
) -> None:
    trainer = packed_trainer(tokenizers[condition], tmp_path)
    batch = next(iter(trainer.get_train_dataloader()))
    assert batch["input_ids"].shape == (2, 64)
    assert "attention_mask" not in batch
    numbers = batch["seq_idx"]
    assert numbers[0].max() >= 1  # several examples in a row
    assert (numbers == -1).any()
    for example in range(int(numbers.max()) + 1):
        found = gradients_of(trainer, dict(batch), example)
        assert found.pop(example) > 1e-6
        assert set(found.values()) == {0.0}  # exactly


def test_positions_that_do_not_restart_would_leak(
    tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path
) -> None:
    trainer = packed_trainer(tokenizers["baseline"], tmp_path)
    batch = next(iter(trainer.get_train_dataloader()))
    batch["position_ids"] = torch.arange(64).expand(2, 64)
    found = gradients_of(trainer, dict(batch), 1)
    assert found[0] > 1e-6


def test_a_row_holds_whole_examples_and_then_padding(
    tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path
) -> None:
    trainer = packed_trainer(tokenizers["mul_tokens"], tmp_path)
    batches = list(trainer.get_train_dataloader())
    found = []
    for batch in batches:
        for example in range(int(batch["seq_idx"].max()) + 1):
            inside = batch["seq_idx"] == example
            assert batch["position_ids"][inside].tolist() == list(range(int(inside.sum())))
            found.append((batch["input_ids"][inside].tolist(), batch["labels"][inside].tolist()))
        assert set(batch["labels"][batch["seq_idx"] < 0].tolist()) <= {-100}
    encoded = trainer.train_dataset.examples
    assert sorted(found) == sorted(zip(encoded["input_ids"], encoded["labels"], strict=True))
    assert len(found) == len(EXAMPLES)


def test_every_example_is_read_once_before_any_is_read_twice_but_for_the_row_that_waits() -> None:
    rows = packed_order(SIZES.tolist(), LENGTH, 400, seed=3)
    assert all(SIZES[row].sum() <= LENGTH for row in rows)
    assert sum(SIZES[row].sum() for row in rows) > 0.98 * 400 * LENGTH  # hardly any padding
    seen = [example for row in rows for example in row]
    assert max(Counter(seen[:380]).values()) == 1
    in_all = Counter(seen)
    assert set(in_all) == set(range(400))
    assert max(in_all.values()) - min(in_all.values()) <= 2


def test_an_encoding_in_fewer_tokens_reads_the_same_examples_and_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_rows, "WINDOW", 50)
    steps = packed_steps(SIZES.tolist(), LENGTH, 4, epochs=0.5, seed=3)
    base, shorter = (packed_order(sizes.tolist(), LENGTH, steps * 4, seed=3) for sizes in (SIZES, SHORTER))
    assert len(base) == len(shorter)
    read, more = ([example for row in rows for example in row] for rows in (base, shorter))
    assert len(more) > 1.15 * len(read)
    assert len(set(read) - set(more)) <= 8  # the row that waits for the next window
    apart = [abs(place - more.index(example)) for place, example in enumerate(read) if example in more]
    assert np.median(apart) < 25  # half a window
    assert packed_order(SIZES.tolist(), LENGTH, 20, seed=4) != packed_order(SIZES.tolist(), LENGTH, 20, seed=3)


def test_the_steps_are_those_of_the_epochs_in_the_base() -> None:
    rows = sum(SIZES) / LENGTH
    for epochs in (0.5, 1, 3):
        found = packed_steps(SIZES.tolist(), LENGTH, 4, epochs, seed=3)
        assert rows * epochs / 4 <= found <= 1.03 * rows * epochs / 4 + 1
    assert packed_steps([10], LENGTH, 4, 1, seed=3) == 1
    assert len(packed_order([10], LENGTH, 4, seed=3)) == 4  # one example, again and again
