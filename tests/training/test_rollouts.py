"""Completions that ended leave the batch, and those that stay are what the library writes."""

import pytest
import torch
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

from domain_tokens.training.reinforcement import rollouts

END, PAD = 7, 0


def model() -> GPT2LMHeadModel:
    """A model whose next token depends on all before it, and is sometimes the end."""
    torch.manual_seed(3)
    sizes = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 64, "vocab_size": 12}
    made = GPT2LMHeadModel(GPT2Config(**sizes, initializer_range=1.0, eos_token_id=END, bos_token_id=END))
    made.config.use_cache = made.generation_config.use_cache = False  # as a model that trains
    return made.eval()


def prompts(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows)
    ids = torch.randint(1, 7, (rows, 6), generator=generator)
    mask = (torch.arange(6) >= torch.randint(0, 5, (rows, 1), generator=generator)).long()
    return ids * mask, mask


def settings(tokens: int, **more: object) -> GenerationConfig:
    return GenerationConfig(max_new_tokens=tokens, eos_token_id=[END], pad_token_id=PAD, disable_compile=True, **more)


@pytest.mark.parametrize("tokens", [1, 4, 5, 40])
@pytest.mark.parametrize("num_rows", [1, 24])
def test_greedy_tokens_are_those_of_the_library(num_rows: int, tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollouts, "PIECE", 4)
    ids, mask = prompts(num_rows)
    native, leaving = model(), model()
    expected = native.generate(input_ids=ids, attention_mask=mask, generation_config=settings(tokens, do_sample=False))
    rollouts.let_ended_rows_leave(leaving)
    sizes: list[int] = []
    leaving.register_forward_pre_hook(lambda _, args, kwargs: sizes.append(len(kwargs["input_ids"])), with_kwargs=True)
    found = leaving.generate(input_ids=ids, attention_mask=mask, generation_config=settings(tokens, do_sample=False))
    if num_rows > 1 and tokens == 40:
        ended = (expected[:, 6:] == END).any(dim=1)
        assert 0 < ended.sum() < num_rows  # some end and some do not
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[-1] == num_rows - ended.sum() < sizes[0] == num_rows
    width = min(found.shape[1], expected.shape[1])
    assert torch.equal(found[:, :width], expected[:, :width])
    assert (found[:, width:] == PAD).all()


def test_a_batch_that_nothing_leaves_is_sampled_as_by_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollouts, "PIECE", 4)
    ids, mask = prompts(8)
    drawn = settings(13, do_sample=True, temperature=1.0, top_k=0, suppress_tokens=[END])
    native, leaving = model(), model()
    rollouts.let_ended_rows_leave(leaving)
    found = []
    for one in (native, leaving):
        torch.manual_seed(5)
        found.append(one.generate(input_ids=ids, attention_mask=mask, generation_config=drawn))
    assert torch.equal(*found)
    assert len({tuple(row) for row in found[0][:, 6:].tolist()}) == 8


def test_what_is_sampled_has_the_same_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollouts, "PIECE", 1)  # a row leaves as soon as it has ended
    ids, mask = (one.repeat(1000, 1) for one in prompts(1))
    drawn = settings(3, do_sample=True, temperature=1.0, top_k=0)
    native, leaving = model(), model()
    rollouts.let_ended_rows_leave(leaving)
    shares = []
    for one in (native, leaving):
        torch.manual_seed(5)
        written = one.generate(input_ids=ids, attention_mask=mask, generation_config=drawn)[:, 6:]
        shares.append(torch.stack([torch.bincount(column, minlength=12) for column in written.T]) / 1000)
    assert shares[0][0, END] > 0.005  # some end at once
    assert not torch.equal(*shares)
    torch.testing.assert_close(*shares, atol=0.08, rtol=0)


def test_under_zero_3_the_library_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollouts, "is_deepspeed_zero3_enabled", lambda: True)
    native = model()
    rollouts.let_ended_rows_leave(native)
    assert "generate" not in vars(native)
