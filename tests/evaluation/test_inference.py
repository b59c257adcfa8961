"""What a model writes and how likely it finds texts, against the same model run by hand, one text at a time."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import accelerate.utils.memory
import pytest
import torch
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.evaluation.models import inference
from domain_tokens.evaluation.models.inference import Decoding, generate, log_likelihoods
from domain_tokens.tokenization.contract import load_tokenizer

WORDS = ["the", "dog", "runs", "6*9=54", "9 x 6", "12", "water", "éclair", "slowly.", "\n"]


@pytest.fixture(scope="module")
def tokenizer(tokenizer_dirs: dict[str, Path]) -> PreTrainedTokenizerFast:
    return load_tokenizer(tokenizer_dirs["mul_tokens"])


@pytest.fixture(scope="module")
def model(save_model: Callable[..., GPT2LMHeadModel], tmp_path_factory: pytest.TempPathFactory) -> GPT2LMHeadModel:
    return save_model(tmp_path_factory.mktemp("model"), initializer_range=0.3, n_positions=64).eval()


@pytest.fixture(scope="module")
def texts() -> list[str]:
    rng = random.Random(0)
    return [" ".join(rng.choices(WORDS, k=rng.randint(1, 30))) for _ in range(40)]


def _greedy(model: GPT2LMHeadModel, ids: list[int], steps: int, forbidden: tuple[int, ...] = ()) -> list[int]:
    written: list[int] = []
    while len(written) < steps and 50256 not in written:
        with torch.no_grad():
            logits = model(torch.tensor([ids + written])).logits[0, -1]
        logits[list(forbidden)] = -torch.inf
        written.append(int(logits.argmax()))
    return written


def test_answers_are_the_same_one_at_a_time_and_in_batches(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]
) -> None:
    decoding = Decoding(max_new_tokens=6)
    by_size = {size: generate(model, tokenizer, texts, decoding, size) for size in (1, 8, 64)}
    room = 64 - 6
    by_hand = [[_greedy(model, tokenizer.encode(text)[-room:], 6)] for text in texts]
    assert by_size[1] == by_size[8] == by_size[64] == by_hand
    assert len({str(answer) for answer in by_hand}) > 10


def test_forbidden_tokens_are_never_written(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]
) -> None:
    free = generate(model, tokenizer, texts, Decoding(max_new_tokens=4), 16)
    ((favourite, _),) = Counter(token for (answer,) in free for token in answer).most_common(1)
    decoding = Decoding(max_new_tokens=4, forbidden_ids=(favourite,))
    without = generate(model, tokenizer, texts, decoding, 16)
    assert all(favourite not in answer for (answer,) in without)
    assert without[0] == [_greedy(model, tokenizer.encode(texts[0])[-60:], 4, (favourite,))]


def test_draws_depend_on_nothing_but_prompt_sample_and_seed(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]
) -> None:
    decoding = Decoding(max_new_tokens=3, num_samples=3, temperature=1.0)
    drawn = generate(model, tokenizer, texts[:10], decoding, 4)
    assert drawn == generate(model, tokenizer, texts[:10], decoding, 30)
    assert drawn != generate(model, tokenizer, texts[:10], replace(decoding, seed=1), 4)
    assert all(len(answers) == 3 for answers in drawn)
    assert all(len({tuple(answer) for answer in answers}) > 1 for answers in drawn)


def test_draws_follow_the_models_probabilities(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast) -> None:
    temperature = 0.2  # at which this model has few likely tokens
    drawn = generate(model, tokenizer, ["the dog"], Decoding(1, None, 400, temperature), 200)
    with torch.no_grad():
        expected = (model(torch.tensor([tokenizer.encode("the dog")])).logits[0, -1] / temperature).softmax(-1)
    counts = Counter(answer[0] for answer in drawn[0])
    for token, probability in zip(*[values.tolist() for values in expected.topk(4)][::-1], strict=True):
        assert abs(counts[token] / 400 - probability) < 4 * (probability * (1 - probability) / 400) ** 0.5 + 1e-9


def test_log_likelihoods_are_those_of_one_text_at_a_time(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]
) -> None:
    pairs = [(text, f" {other}") for text, other in zip(texts, texts[::-1], strict=True)]
    pairs += [("", "the dog"), ("dog  ", "runs"), ("dog", "")]
    by_hand = []
    for context, tail in pairs[:-1]:
        kept = context.rstrip()
        continuation = tokenizer.encode(context[len(kept) :] + tail)
        whole = ((tokenizer.encode(kept) or [50256]) + continuation)[-65:]
        count = min(len(continuation), len(whole) - 1)
        with torch.no_grad():
            logprobs = model(torch.tensor([whole[:-1]])).logits[0].double().log_softmax(-1)
        positions = range(len(whole) - 1 - count, len(whole) - 1)
        by_hand.append(sum(float(logprobs[position, whole[position + 1]]) for position in positions))
    by_hand.append(0.0)  # nothing is certain
    for size in (1, 16, 100):
        assert log_likelihoods(model, tokenizer, pairs, size) == pytest.approx(by_hand, rel=1e-5, abs=1e-5)


def test_a_batch_that_does_not_fit_is_made_smaller_and_nothing_is_lost(
    model: GPT2LMHeadModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def pad(rows: list[list[int]], padding: int, on_the_left: bool) -> tuple[torch.Tensor, torch.Tensor]:
        sizes.append(len(rows))
        if len(rows) > 8:
            raise RuntimeError("CUDA out of memory.")
        return real(rows, padding, on_the_left)

    sizes: list[int] = []
    real = inference._pad
    expected = generate(model, tokenizer, texts, Decoding(max_new_tokens=3), 8)
    monkeypatch.setattr(inference, "_pad", pad)
    assert accelerate.utils.memory.should_reduce_batch_size(RuntimeError("CUDA out of memory."))
    assert generate(model, tokenizer, texts, Decoding(max_new_tokens=3), 32) == expected
    tried = [size for size in sizes if size > 8]
    assert sizes[: len(tried)] == tried == sorted(tried, reverse=True)
    assert sum(sizes[len(tried) :]) == len(texts)
