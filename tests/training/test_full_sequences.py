"""The faster forward pass computes what a native GPT-2 computes, and leaves the same files."""

import json

import pytest
import torch
from torch._dynamo import explain
from transformers import GPT2Config, GPT2LMHeadModel

from domain_tokens.training.forward.full_sequences import AlignedHead, align_head, for_full_sequences

SIZES = {
    "n_layer": 2,
    "n_head": 2,
    "n_embd": 16,
    "n_positions": 24,
    "resid_pdrop": 0,
    "embd_pdrop": 0,
    "attn_pdrop": 0,
}


def model(vocab_size: int = 301) -> GPT2LMHeadModel:
    torch.manual_seed(5)
    built = GPT2LMHeadModel(
        GPT2Config(**SIZES, vocab_size=vocab_size, bos_token_id=0, eos_token_id=0, use_cache=False)
    )
    built.loss_type = "ForCausalLM"
    return built


def loss_and_gradients(model: GPT2LMHeadModel) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    ids = torch.randint(0, model.config.vocab_size, (3, 24), generator=torch.Generator().manual_seed(1))
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    return loss.detach(), {name: value.grad for name, value in model.named_parameters()}


@pytest.mark.parametrize("vocab_size", [300, 301, 384])
def test_a_padded_head_gives_the_same_logits_loss_and_gradients(vocab_size: int, monkeypatch) -> None:
    native, aligned = model(vocab_size), model(vocab_size)
    align_head(aligned)
    widths = []
    monkeypatch.setattr(AlignedHead, "forward", AlignedHead.padded)

    def linear(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        widths.append(len(weight))
        return real(hidden, weight, bias)

    real = torch.nn.functional.linear
    monkeypatch.setattr(torch.nn.functional, "linear", linear)
    expected, got = loss_and_gradients(native), loss_and_gradients(aligned)
    assert widths == [vocab_size, 384]  # the native head, then the padded one
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-7)


def test_the_head_stays_tied_and_what_is_saved_is_native(tmp_path) -> None:
    fast = model()
    align_head(fast)
    for_full_sequences(fast)
    assert fast.lm_head.weight is fast.transformer.wte.weight
    fast.save_pretrained(tmp_path / "fast")
    model().save_pretrained(tmp_path / "native")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "fast" / name).read_bytes() == (tmp_path / "native" / name).read_bytes()
    assert json.loads((tmp_path / "fast/config.json").read_text())["architectures"] == ["GPT2LMHeadModel"]
    again = GPT2LMHeadModel.from_pretrained(tmp_path / "fast")
    assert (type(again.lm_head), again.config._attn_implementation) == (torch.nn.Linear, "sdpa")


def test_full_sequences_give_the_same_loss_and_gradients_without_logits() -> None:
    native, fast = model(), model()
    for_full_sequences(fast)
    torch.testing.assert_close(loss_and_gradients(fast), loss_and_gradients(native), rtol=1e-5, atol=1e-7)
    ids = torch.arange(24).unsqueeze(0)
    assert fast(input_ids=ids, labels=ids).logits is None
    torch.testing.assert_close(fast(input_ids=ids).logits, native(input_ids=ids).logits)


@pytest.mark.parametrize("key", ["attention_mask", "position_ids"])
def test_what_needs_a_mask_is_refused(key: str) -> None:
    fast, ids = model(), torch.arange(24).unsqueeze(0)
    for_full_sequences(fast)
    with pytest.raises(ValueError, match=key):
        fast(input_ids=ids, labels=ids, **{key: torch.ones_like(ids)})


def test_a_step_is_one_graph_without_a_mask() -> None:
    fast, ids = model(), torch.arange(48).reshape(2, 24)
    align_head(fast)
    for_full_sequences(fast)
    found = explain(fast)(input_ids=ids, labels=ids)
    assert (found.graph_count, found.graph_break_count) == (1, 0)
    (attention,) = {
        (node.kwargs.get("attn_mask"), node.kwargs.get("is_causal"))
        for node in found.graphs[0].graph.nodes
        if "scaled_dot_product_attention" in str(node.target)
    }
    assert attention == (None, True)
