"""Shared by all tests: offline, one thread, the real tokenizers, and a recipe of the smallest size that trains."""

import os

os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    TOKENIZERS_PARALLELISM="false",
    OMP_NUM_THREADS="1",  # models this small are slower on more
    MPLBACKEND="Agg",
)

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import ROOT, tiny_arguments
from transformers import PreTrainedTokenizerFast

from domain_tokens.tokenization.builder import build_tokenizer, save_tokenizer
from domain_tokens.tokenization.contract import load_tokenizer
from domain_tokens.tokenization.intervention import load_intervention

CONDITIONS = {"baseline": "none", "mul_tokens": "mul_tokens"}  # condition -> intervention


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that start scripts: they take longest, and the others run beside them."""
    items.sort(key=lambda item: "/" in item.nodeid.removeprefix("tests/"))


@pytest.fixture(scope="module", autouse=True)
def gradients() -> None:
    """Importing lighteval's models turns gradients off for good; each module of tests begins with them on."""
    torch.set_grad_enabled(True)


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
