"""Shared by all tests: offline, two threads, the real tokenizers, and a recipe of the smallest size that trains."""

import os

os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    TOKENIZERS_PARALLELISM="false",
    OMP_NUM_THREADS="2",
    MPLBACKEND="Agg",
)

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from domain_tokens.tokenization.builder import build_tokenizer, save_tokenizer
from domain_tokens.tokenization.contract import load_tokenizer
from domain_tokens.tokenization.intervention import load_intervention

ROOT = Path(__file__).parents[1]
CONDITIONS = {"baseline": "none", "mul_tokens": "mul_tokens"}  # condition -> intervention


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with GSM8K and WikiText-2; `DOMAIN_TOKENS_DATA` or `../shared/data`; skips without it."""
    folder = Path(os.environ.get("DOMAIN_TOKENS_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "gsm8k" / "train.jsonl").is_file():
        pytest.skip(f"no data in {folder}; name a folder in DOMAIN_TOKENS_DATA")
    return folder


@pytest.fixture(scope="session")
def tokenizer_dirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A saved tokenizer of each condition."""
    folders = {}
    for condition, intervention in CONDITIONS.items():
        folder = tmp_path_factory.mktemp(f"tokenizer_{condition}")
        save_tokenizer(build_tokenizer(load_intervention(ROOT / f"recipes/interventions/{intervention}.yaml")), folder)
        folders[condition] = folder
    return folders


@pytest.fixture(scope="session")
def tokenizers(tokenizer_dirs: dict[str, Path]) -> dict[str, PreTrainedTokenizerFast]:
    """The tokenizer of each condition, as `AutoTokenizer` loads it."""
    return {condition: load_tokenizer(folder) for condition, folder in tokenizer_dirs.items()}


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., list[str]]:
    """Return a function from a condition and overrides to a script's arguments: the demo, a hundredth of its size."""
    return lambda condition, *overrides: tiny_arguments(tmp_path, condition, *overrides)


def tiny_arguments(output_dir: Path, condition: str, *overrides: str) -> list[str]:
    return [
        str(ROOT / f"recipes/{condition}.yaml"),
        str(ROOT / "recipes/scales/demo.yaml"),
        f"output_dir={output_dir}",
        "experiment=tiny",
        "model={n_layer: 1, n_head: 2, n_embd: 16, n_positions: 64}",
        "corpus.sources.0.max_items=400",
        "budget.pretrain_tokens_per_step=256",
        "budget.sft_examples_per_step=8",
        "budget.grpo_completions_per_step=8",
        "pretrain.max_steps=4",
        "pretrain.warmup_steps=1",
        "pretrain.per_device_train_batch_size=2",
        "pretrain.logging_steps=1",
        "pretrain.eval_steps=4",
        "pretrain.save_steps=2",
        "sft.per_device_train_batch_size=8",
        "sft.max_length=64",
        "sft.logging_steps=1",
        "sft_stages.0.sources.0.max_items=16",
        "sft_stages.0.sources.1.max_items=16",
        "grpo.max_steps=1",
        "grpo.per_device_train_batch_size=8",
        "grpo.num_generations=4",
        "grpo.max_completion_length=8",
        "grpo_prompts.0.max_items=8",
        "evaluation.gsm8k.max_items=8",
        "evaluation.hellaswag.max_items=8",
        "evaluation.max_new_tokens=8",
        "evaluation.max_samples=8",
        *overrides,
    ]


def run_script(*command: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run a command from the repository's root and return its exit code and output."""
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )
