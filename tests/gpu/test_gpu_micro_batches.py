"""Micro batches that are tried on a GPU: out of memory is caught there, and what is found leaves a tenth free."""

from pathlib import Path

import pytest
import torch
from tiny import tiny_arguments

from domain_tokens.recipe import RecipeError, load_recipe
from domain_tokens.runs.micro_batches import FoundMicroBatch, read_micro_batches
from domain_tokens.training.fitting.memory import device_name
from domain_tokens.training.fitting.search import Sharing, find_micro_batches, start_fresh

pytestmark = [pytest.mark.gpu, pytest.mark.integration, pytest.mark.timeout(600)]

KEY = "per_device_train_batch_size"
LIMIT = 4_000_000_000
SHAPE = (
    "model={n_layer: 2, n_head: 2, n_embd: 64, n_positions: 256}", "budget.pretrain_tokens_per_step=262144",
    "budget.sft_examples_per_step=1024", "budget.grpo_completions_per_step=1024", "sft.max_length=256",
    "grpo.max_completion_length=128", "grpo.beta=0.04", "pretrain.bf16=true", "sft.bf16=true", "grpo.bf16=true",
)  # fmt: skip


@pytest.mark.parametrize("section", ["pretrain", "sft", "grpo"])
def test_what_fits_is_found_on_a_gpu(section: str, tmp_path: Path, device: str) -> None:
    arguments = tiny_arguments(tmp_path, "mul_tokens", *SHAPE, f"{section}.{KEY}=auto")
    find_micro_batches([arguments], start_fresh, Sharing(limit_bytes=LIMIT))
    (found,) = read_micro_batches(load_recipe(arguments)).stages.values()
    tried = [(one.micro_batch, one.seconds, one.peak_bytes) for one in found.tries]
    print(f"\n{section}: {found.micro_batch} of {tried}")  # noqa: T201
    assert found.device == device == device_name()
    assert found.memory_bytes == LIMIT
    check(found)


def check(found: FoundMicroBatch) -> None:
    """Check that memory ran out, unless larger micro batches did not gain, and that the rest leaves memory free."""
    fitting = [one for one in found.tries if one.fits]
    assert len(fitting) >= 2
    assert found.micro_batch in [one.micro_batch for one in fitting]
    peaks = [one.peak_bytes for one in fitting]
    assert all(0 < peak <= 0.9 * LIMIT for peak in peaks)
    assert peaks == sorted(peaks)
    assert all("out of memory" in one.reason for one in found.tries if not one.fits)


def test_memory_that_is_too_little_for_one_row_is_one_message(tmp_path: Path) -> None:
    arguments = tiny_arguments(tmp_path, "mul_tokens", *SHAPE, f"pretrain.{KEY}=auto")
    held = torch.cuda.memory_reserved()  # by tests before this one
    with pytest.raises(RecipeError, match=r"not even 1 row at a time fits into the 0\.00 GB"):
        find_micro_batches([arguments], start_fresh, Sharing(limit_bytes=2_000_000))
    assert torch.cuda.memory_reserved() == held  # the trial was another process
