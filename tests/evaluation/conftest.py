"""Both real tokenizers, and runs with a real, tiny, untrained model."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from domain_tokens.recipe import Recipe, SFTStage, Source
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.runs.files import sha256_file
from domain_tokens.tokenization.contract import check_contract
from domain_tokens.tokenization.facts import VOCAB_SIZE

CONDITIONS = ("baseline", "mul_tokens")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Models this small are slower on more threads than on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="session")
def tokenizers_loaded_once() -> Iterator[None]:
    """Load and check each tokenizer once, however many folders hold a copy of its files; it takes 0.2 s."""
    loaded: dict[str, Any] = {}

    def check_once(folder: Path) -> Any:
        key = "".join(sha256_file(folder / name) for name in ("tokenizer.json", "tokenizer_config.json"))
        if key not in loaded:
            loaded[key] = check_contract(folder)
        return loaded[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("domain_tokens.tokenization.contract.check_contract", check_once)
        yield


@pytest.fixture(params=CONDITIONS)
def condition(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def save_model() -> Callable[..., GPT2LMHeadModel]:
    """Return a function that saves a tiny untrained model."""

    def save(folder: Path, seed: int = 0, initializer_range: float = 0.02, n_positions: int = 1024) -> GPT2LMHeadModel:
        torch.manual_seed(seed)
        config = GPT2Config(
            vocab_size=VOCAB_SIZE, n_layer=2, n_head=2, n_embd=32, n_positions=n_positions, bos_token_id=50256,
            eos_token_id=50256, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, initializer_range=initializer_range,
        )  # fmt: skip
        model = GPT2LMHeadModel(config)
        model.save_pretrained(folder)
        return model

    return save


@pytest.fixture(scope="session")
def make_run(tokenizer_dirs: dict[str, Path], save_model: Callable[..., GPT2LMHeadModel]) -> Callable[..., Recipe]:
    """Return a function that writes a run's `sft_final` and gives the recipe that evaluates it."""

    def make(root: Path, condition: str, tasks: list[str], **evaluation: Any) -> Recipe:
        recipe = Recipe(
            experiment="test",
            condition=condition,
            output_dir=str(root),
            sft_stages=[SFTStage("drills")],
            evaluation=Evaluation(models=["sft_final"], tasks=tasks, **({"batch_size": 32} | evaluation)),
        )
        folder = recipe.run_dir / "sft_final"
        shutil.copytree(tokenizer_dirs[condition], folder)
        save_model(folder)
        manifest = {"stage": "sft", "condition": condition, "seed": 0, "inputs": {}, "environment": {}}
        (folder / "manifest.json").write_text(json.dumps(manifest | {"wall_time_s": 0, "files": {}}))
        return recipe

    return make


@pytest.fixture(scope="session")
def write_source() -> Callable[..., Source]:
    """Return a function that writes rows to a jsonl file and gives the source that reads it."""

    def write(folder: Path, rows: list[dict[str, Any]]) -> Source:
        path = folder / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return Source(name="rows", kind="file", path=str(path))

    return write


@pytest.fixture(scope="session")
def read_outputs() -> Callable[[Recipe, str], tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Return a function that gives a task's results and items."""

    def read(recipe: Recipe, task: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        folder = recipe.run_dir / "eval" / "sft_final"
        lines = (folder / f"{task}_items.jsonl").read_text(encoding="utf-8").splitlines()
        results = json.loads((folder / f"{task}_results.json").read_text(encoding="utf-8"))
        return results, [json.loads(line) for line in lines]

    return read
