"""The run that is adapted, made once, copies of it that may be changed, and its tokenizer."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from adaptable import adaptable_recipe, make_adaptable
from adapted_run import adapt_here

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@pytest.fixture(scope="session")
def adaptable(build_once: Callable[..., Path]) -> Path:
    """The output folder of a pretrained run."""
    return build_once("adaptable", make_adaptable)


@pytest.fixture
def outputs(adaptable: Path, tmp_path: Path) -> Path:
    """A copy of it that may be changed."""
    shutil.copytree(adaptable, tmp_path / "outputs")
    return tmp_path / "outputs"


@pytest.fixture(scope="session")
def adapted(adaptable: Path, build_once: Callable[..., Path]) -> Path:
    """The output folder of the run after self-adaptation. Nobody may change it."""

    def fill(folder: Path) -> None:
        shutil.copytree(adaptable, folder, dirs_exist_ok=True)
        adapt_here(adaptable_recipe(folder))

    return build_once("adapted", fill)


@pytest.fixture(scope="session")
def tokenizer(adaptable: Path) -> "PreTrainedTokenizerFast":
    """The run's tokenizer, with a vocabulary of 1,467 ids."""
    from domain_tokens.tokenization.contract import load_tokenizer

    return load_tokenizer(adaptable_recipe(adaptable).tokenizer_dir)
