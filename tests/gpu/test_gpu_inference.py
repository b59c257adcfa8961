"""What a model writes on a GPU: independent of the batch, and what it writes on the CPU."""

import random
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.evaluation.models.inference import Decoding, generate, log_likelihoods
from domain_tokens.tokenization.contract import load_tokenizer

pytestmark = pytest.mark.gpu

WORDS = ["the", "dog", "runs", "6*9=54", "9 x 6", "12", "water", "éclair", "slowly.", "\n"]
SHAPE = {"n_layer": 4, "n_head": 4, "n_embd": 128, "n_positions": 128, "vocab_size": 50349}


@pytest.fixture(scope="module")
def tokenizer(tokenizer_dirs: dict[str, Path]) -> PreTrainedTokenizerFast:
    return load_tokenizer(tokenizer_dirs["mul_tokens"])


@pytest.fixture
def model() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(**SHAPE, initializer_range=0.1, eos_token_id=50256)).eval()


@pytest.fixture(scope="module")
def texts() -> list[str]:
    rng = random.Random(0)
    return [" ".join(rng.choices(WORDS, k=rng.randint(1, 30))) for _ in range(200)]


def test_answers_do_not_depend_on_the_batch_size(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]
) -> None:
    decoding = Decoding(max_new_tokens=16)
    on_the_cpu = generate(model, tokenizer, texts, decoding, 64)
    model = model.to("cuda")
    by_size = {size: generate(model, tokenizer, texts, decoding, size) for size in (1, 8, 200)}
    assert len({str(answer) for answer in on_the_cpu}) > 10
    differing = {size: sum(a != b for a, b in zip(found, by_size[1], strict=True)) for size, found in by_size.items()}
    print(f"\nanswers of 200 that differ from one at a time: {differing}")  # noqa: T201
    assert by_size[1] == by_size[8] == by_size[200]
    assert sum(a != b for a, b in zip(on_the_cpu, by_size[1], strict=True)) <= 2


def test_likelihoods_are_the_cpus(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]
) -> None:
    pairs = [(text, " the dog runs") for text in texts]
    expected = torch.tensor(log_likelihoods(model, tokenizer, pairs, 64))
    found = torch.tensor(log_likelihoods(model.to("cuda"), tokenizer, pairs, 64))
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.bfloat16, 0.15)])
def test_examples_joined_in_one_row_do_not_see_each_other(
    dtype: torch.dtype, tolerance: float, model: GPT2LMHeadModel
) -> None:
    model = model.to("cuda")
    one, other = torch.randint(0, 50000, (2, 1, 20), generator=torch.Generator().manual_seed(0)).to("cuda")
    joined = torch.cat([one, other], dim=1)
    positions = torch.arange(20, device="cuda").repeat(2)[None]
    with torch.no_grad(), torch.autocast("cuda", dtype=dtype, enabled=dtype != torch.float32):
        alone = model(other).logits
        behind = model(input_ids=joined, position_ids=positions, use_cache=False).logits[:, 20:]
        seeing = model(input_ids=joined, use_cache=False).logits[:, 20:]
    assert (alone - seeing).abs().max() > 3 * tolerance
    assert (alone - behind).abs().max() < tolerance
