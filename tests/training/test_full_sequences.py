"""The faster forward pass computes what a native GPT-2 computes, and leaves the same files."""

import json

import pytest
import torch
from torch._dynamo import explain
from transformers import GPT2Config, GPT2LMHeadModel

from domain_tokens.training.forward import tied_weight
from domain_tokens.training.forward.full_sequences import for_full_sequences
from domain_tokens.training.forward.tied_weight import AlignedHead, speed_up_tied_weight

SIZES = {
    "n_layer": 2,
    "n_head": 2,
    "n_embd": 16,
    "n_positions": 24,
    "resid_pdrop": 0,
    "embd_pdrop": 0,
    "attn_pdrop": 0,
}


def model(vocab_size: int = 301, **settings: object) -> GPT2LMHeadModel:
    torch.manual_seed(5)
    sizes = {**SIZES, "vocab_size": vocab_size, "bos_token_id": 0, "eos_token_id": 0, "use_cache": False, **settings}
    built = GPT2LMHeadModel(GPT2Config(**sizes))
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
    speed_up_tied_weight(aligned)
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


@pytest.mark.parametrize("seed", range(5))
def test_a_gradient_of_the_rows_that_were_read_is_the_librarys_bit_by_bit(seed: int, monkeypatch) -> None:
    native, fast = model(2000), model(2000)
    speed_up_tied_weight(fast)
    ids = torch.randint(0, 40, (3, 24), generator=torch.Generator().manual_seed(seed))  # many a one is read again
    rows = []
    real = tied_weight._RowsRead.backward

    def backward(ctx: object, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        found, _ = real(ctx, gradient)
        rows.append(found._indices().shape[1])
        return found, None

    monkeypatch.setattr(tied_weight._RowsRead, "backward", staticmethod(backward))
    gradients = []
    for one in (native, fast):
        for _ in range(2):  # accumulated
            one(input_ids=ids, labels=ids).loss.backward()
        gradients.append({name: value.grad for name, value in one.named_parameters()})
    assert rows == 2 * [len(ids.unique())]
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])
    assert gradients[1]["transformer.wte.weight"].layout == torch.strided


def test_an_embedding_of_its_own_or_mostly_read_is_the_librarys() -> None:
    untied = model(2000, tie_word_embeddings=False)
    speed_up_tied_weight(untied)
    assert type(untied.transformer.wte) is torch.nn.Embedding
    small = model(301)
    speed_up_tied_weight(small)
    read = small.transformer.wte(torch.zeros(3, 24, dtype=torch.long))
    assert read.grad_fn.name() == "EmbeddingBackward0"
    assert small.transformer.wte(torch.zeros(3, 2, dtype=torch.long)).grad_fn.name() == "_RowsReadBackward"


def test_the_head_stays_tied_and_what_is_saved_is_native(tmp_path) -> None:
    fast = model()
    speed_up_tied_weight(fast)
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


@pytest.mark.parametrize(
    "settings",
    [
        {"scale_attn_by_inverse_layer_idx": True}, {"scale_attn_weights": False}, {"n_inner": 40},
        {"activation_function": "relu"}, {"layer_norm_epsilon": 1e-2}, {"resid_pdrop": 0.5, "embd_pdrop": 0.3},
    ],
)  # fmt: skip
def test_every_setting_of_the_model_is_followed(settings: dict[str, object]) -> None:
    native, fast, other = model(**settings), model(**settings), model()
    for_full_sequences(fast)
    found = []
    for one in (native, fast, other):
        torch.manual_seed(3)
        found.append(loss_and_gradients(one.train()))
    assert found[0][0] != found[2][0]
    torch.testing.assert_close(found[1], found[0], rtol=1e-5, atol=1e-7)


def test_dropout_of_attention_is_for_training_alone() -> None:
    fast, ids = model(attn_pdrop=0.5), torch.arange(24).unsqueeze(0)
    for_full_sequences(fast)
    assert len({fast.train()(input_ids=ids, labels=ids).loss.item() for _ in range(3)}) == 3
    assert len({fast.eval()(input_ids=ids, labels=ids).loss.item() for _ in range(3)}) == 1


@pytest.mark.parametrize("reentrant", [True, False], ids=["reentrant", "not reentrant"])
def test_blocks_are_found_by_the_librarys_name_and_can_be_computed_again_in_the_backward_pass(reentrant: bool) -> None:
    plain, again = model(), model()
    for one in (plain, again):
        for_full_sequences(one)
        assert {type(block).__name__ for block in one.transformer.h} == set(one._no_split_modules)
    again.activation_checkpointing_enable({"use_reentrant": reentrant})
    calls = []
    again.transformer.h[0].ln_1.register_forward_hook(lambda *_: calls.append(None))
    torch.testing.assert_close(loss_and_gradients(again.train()), loss_and_gradients(plain.train()))
    assert len(calls) == 2  # forward, and again for the gradients


def test_every_number_of_a_step_is_the_librarys_bit_by_bit() -> None:
    native, fast = (
        model(2000, activation_function="gelu_pytorch_tanh"),
        model(2000, activation_function="gelu_pytorch_tanh"),
    )
    speed_up_tied_weight(fast)
    for_full_sequences(fast)
    ids = torch.randint(0, 2000, (3, 24), generator=torch.Generator().manual_seed(1))
    for count in (None, 69, torch.tensor(138)):
        losses = [one(input_ids=ids, labels=ids, num_items_in_batch=count).loss for one in (native, fast)]
        assert torch.equal(*losses)
    for loss in losses:
        loss.backward()
    gradients = dict(native.named_parameters())
    assert all(weight.grad.abs().sum() > 0 for weight in gradients.values())
    assert [
        name for name, weight in fast.named_parameters() if not torch.equal(weight.grad, gradients[name].grad)
    ] == []


def test_the_loss_of_a_model_in_16_bits_is_the_librarys_bit_by_bit() -> None:
    native, fast = model(2000), model(2000)
    speed_up_tied_weight(fast)
    for_full_sequences(fast)
    ids = torch.randint(0, 2000, (3, 24), generator=torch.Generator().manual_seed(1))
    for one in (native, fast):
        loss = one.bfloat16()(input_ids=ids, labels=ids, num_items_in_batch=69).loss
        assert loss.dtype == torch.float32
        loss.backward()
    expected = dict(native.named_parameters())
    assert [
        name for name, weight in fast.named_parameters() if not torch.equal(weight.grad, expected[name].grad)
    ] == []


def test_a_shorter_sequence_reads_the_first_positions() -> None:
    native, fast, ids = model(), model(), torch.arange(10).reshape(2, 5)
    for_full_sequences(fast)
    for one in (native, fast):
        one(input_ids=ids, labels=ids).loss.backward()
    rows = [one.transformer.wpe.weight.grad for one in (native, fast)]
    assert rows[0][:5].abs().sum() > 0
    torch.testing.assert_close(rows[1], rows[0])


def test_a_model_that_is_set_to_train_walks_through_its_parts_once() -> None:
    fast = model(resid_pdrop=0.5)
    for_full_sequences(fast)
    assert all(not part.training for part in fast.eval().modules())
    assert all(part.training for part in fast.train().modules())
    fast.transformer.drop.training = False
    assert not fast.train().transformer.drop.training  # it walked no more
    assert not fast.eval().training


def test_a_compiled_model_trains_again_with_all_its_parts_after_an_evaluation() -> None:
    fast = model(resid_pdrop=0.5)
    for_full_sequences(fast)
    compiled = torch.compile(fast, backend="eager")
    compiled.eval()
    assert all(not part.training for part in fast.modules())
    compiled.train()
    assert all(part.training for part in fast.modules())


@pytest.mark.parametrize("key", ["attention_mask", "position_ids"])
def test_what_needs_a_mask_is_refused(key: str) -> None:
    fast, ids = model(), torch.arange(24).unsqueeze(0)
    for_full_sequences(fast)
    with pytest.raises(ValueError, match=key):
        fast(input_ids=ids, labels=ids, **{key: torch.ones_like(ids)})


@pytest.mark.parametrize("vocab_size", [301, 2000])  # of the larger one, little is read
def test_a_step_is_one_graph_without_a_mask(vocab_size: int) -> None:
    fast, ids = model(vocab_size), torch.arange(48).reshape(2, 24)
    speed_up_tied_weight(fast)
    for_full_sequences(fast)
    found = explain(fast)(input_ids=ids, labels=ids)
    assert (found.graph_count, found.graph_break_count) == (1, 0)
    (attention,) = {
        (node.kwargs.get("attn_mask"), node.kwargs.get("is_causal"))
        for node in found.graphs[0].graph.nodes
        if "scaled_dot_product_attention" in str(node.target)
    }
    assert attention == (None, True)


def summed_by_library(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    logits = torch.nn.functional.linear(hidden, weight)
    return torch.nn.functional.cross_entropy(logits, targets, reduction="sum")


@pytest.mark.parametrize("seed", range(8))
def test_a_sum_of_losses_and_its_gradients_are_those_of_cross_entropy(seed: int) -> None:
    drawn = torch.Generator().manual_seed(seed)
    positions, width, ids = (int(torch.randint(1, most, (), generator=drawn)) for most in (12, 6, 9))
    scale = 10.0 ** (seed - 4)  # up to logits in the thousands, whose exponentials no number holds
    hidden, weight = (
        (scale * torch.randn(size, width, generator=drawn, dtype=torch.float64)).requires_grad_()
        for size in (positions, ids)
    )
    targets = torch.randint(ids, (positions,), generator=drawn)
    targets[torch.rand(positions, generator=drawn) < 0.3] = -100
    found = []
    for summed in (summed_by_library, tied_weight._SummedLosses.apply):
        total = summed(hidden, weight, targets)
        found.append([total, *torch.autograd.grad(-3 * total, (hidden, weight))])
    assert found[0][2].shape == (ids, width)
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("count", [None, 69, torch.tensor(138)])
def test_a_compiled_step_has_the_librarys_loss_and_gradients(count: torch.Tensor | int | None) -> None:
    native, fast = model(2000), model(2000)
    speed_up_tied_weight(fast)
    for_full_sequences(fast)
    ids = torch.randint(0, 2000, (3, 24), generator=torch.Generator().manual_seed(1))
    found = []
    for one in (native, fast):
        called = torch.compile(one, backend="aot_eager", fullgraph=True) if one is fast else one
        loss = called(input_ids=ids, labels=ids, num_items_in_batch=count).loss
        loss.backward()
        found.append((loss.detach(), {name: weight.grad for name, weight in one.named_parameters()}))
    assert loss_is_fused(fast, ids)
    torch.testing.assert_close(found[1], found[0], rtol=1e-5, atol=1e-7)


def loss_is_fused(model: GPT2LMHeadModel, ids: torch.Tensor) -> bool:
    torch._dynamo.reset()
    nodes = explain(model)(input_ids=ids, labels=ids).graphs[0].graph.nodes
    summed, ready = (
        any(name in str(node.target) for node in nodes) for name in ("autograd_function_apply", "cross_entropy")
    )
    assert summed != ready
    return summed


@pytest.mark.parametrize("otherwise", ["evaluation", "autocast", "bfloat16", "native head", "another device"])
def test_other_compiled_models_keep_the_librarys_loss(otherwise: str) -> None:
    fast, ids = model(2000), torch.arange(48).reshape(2, 24)
    if otherwise != "native head":
        speed_up_tied_weight(fast)
        for_full_sequences(fast)
        assert loss_is_fused(fast, ids)
    else:
        for_full_sequences(fast)
    if otherwise == "bfloat16":
        fast.bfloat16()
    if otherwise == "another device":
        fast, ids = fast.to("meta"), ids.to("meta")
    narrow = torch.autocast("cpu", torch.bfloat16, enabled=otherwise == "autocast")
    with narrow, torch.set_grad_enabled(otherwise != "evaluation"):
        assert not loss_is_fused(fast, ids)
