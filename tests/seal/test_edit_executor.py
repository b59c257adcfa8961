"""The executor of edits: what an edit changes, what it leaves, and the model bit for bit as it was afterwards."""

import random

import pytest
import torch
from adaptable import random_model
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.corpora.worlds.passages import passages
from domain_tokens.recipe import RecipeError
from domain_tokens.seal import executor as executor_module
from domain_tokens.seal.edits import Edit, texts_of
from domain_tokens.seal.executor import Diverged, Executor, Learned
from domain_tokens.training.model import unused_biases

LAST_LAYER = Edit(("statements",), 1, None, 0.01, 2)
RANKS = (1, 2, 8)
EDITS = [LAST_LAYER, *(Edit(("statements",), 1, rank, 0.01, 2) for rank in RANKS)]
WEIGHTS = pytest.mark.parametrize("edit", EDITS, ids=lambda edit: "last layer" if edit.rank is None else edit.rank)

Weights = dict[str, torch.Tensor]


@pytest.fixture
def executor(tokenizer: PreTrainedTokenizerFast) -> Executor:
    return Executor(random_model(tokenizer), tokenizer, 32)


def texts(edit: Edit = LAST_LAYER) -> list[str]:
    (passage,) = passages("adapt", 1, 0)
    return texts_of(edit, passage.text, 0)


def learn(executor: Executor, edit: Edit, seed: int = 1) -> Learned:
    return executor.learn(edit, texts(edit), seed)


def weights_of(model: GPT2LMHeadModel) -> Weights:
    return {name: weights.clone() for name, weights in model.state_dict().items()}


def changed(before: Weights, after: Weights) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name, weights in before.items() if not torch.equal(weights, after[name])}


def after(executor: Executor, edit: Edit, seed: int = 1) -> Weights:
    """Return the weights that an edit leaves of the restored model."""
    executor.restore()
    learn(executor, edit, seed)
    return weights_of(executor.model)


def modules(model: GPT2LMHeadModel) -> list[tuple[str, type]]:
    return [(name, type(module)) for name, module in model.named_modules()]


def attributes(model: GPT2LMHeadModel) -> set[str]:
    return {f"{name}.{key}" for name, module in model.named_modules() for key in vars(module)}


@WEIGHTS
def test_a_restored_model_is_bitwise_what_it_was(executor: Executor, edit: Edit) -> None:
    before, sha256, tree, has = (
        weights_of(executor.model), executor.sha256(), modules(executor.model), attributes(executor.model),
    )  # fmt: skip
    learn(executor, edit)
    assert changed(before, weights_of(executor.model))
    assert executor.sha256() != sha256
    executor.restore()
    assert not changed(before, weights_of(executor.model))
    assert executor.sha256() == sha256
    assert modules(executor.model) == tree
    assert not {name for name in attributes(executor.model) - has if "peft" in name or "lora" in name}


@WEIGHTS
def test_two_edits_in_a_row_are_undone_together(executor: Executor, edit: Edit) -> None:
    sha256, tree = executor.sha256(), modules(executor.model)
    learn(executor, edit)
    once = executor.sha256()
    learn(executor, edit, seed=2)
    assert len({sha256, once, executor.sha256()}) == 3
    executor.restore()
    assert (executor.sha256(), modules(executor.model)) == (sha256, tree)


@WEIGHTS
@pytest.mark.parametrize("broken", ["forward", "clip_grad_norm_"])
def test_an_edit_that_breaks_off_leaves_nothing(
    executor: Executor, edit: Edit, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = after(executor, edit)
    executor.restore()
    sha256, tree = executor.sha256(), modules(executor.model)
    place = executor.model if broken == "forward" else torch.nn.utils
    real, calls = getattr(place, broken), 0

    def breaks(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise MemoryError("no room")
        return real(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(place, broken, breaks)
        with pytest.raises(MemoryError):
            learn(executor, edit)
    assert calls == 2
    executor.restore()
    assert (executor.sha256(), modules(executor.model)) == (sha256, tree)
    assert not changed(alone, after(executor, edit))


@WEIGHTS
@pytest.mark.parametrize("other", EDITS, ids=lambda edit: "last layer" if edit.rank is None else edit.rank)
def test_an_edit_after_another_is_the_same_as_alone(executor: Executor, edit: Edit, other: Edit) -> None:
    alone = after(executor, edit)
    behind = after(executor, other, seed=3)
    assert changed(alone, behind)
    assert not changed(alone, after(executor, edit))


def test_the_last_layer_is_the_last_block_and_nothing_else(executor: Executor) -> None:
    before = weights_of(executor.model)
    block = {name for name in before if name.startswith("transformer.h.1.")}
    assert len(block) == 12
    assert changed(before, after(executor, LAST_LAYER)) == block


@pytest.mark.parametrize("rank", RANKS)
def test_adapters_change_linear_maps_alone(executor: Executor, rank: int) -> None:
    before = weights_of(executor.model)
    maps = {f"transformer.h.{block}.{part}.weight" for block in range(2) for part in (
        "attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj",
    )}  # fmt: skip
    assert maps < before.keys()
    assert changed(before, after(executor, Edit(("statements",), 1, rank, 0.01, 2))) == maps


@pytest.mark.parametrize("rank", [1, 2])
def test_what_adapters_add_has_their_rank(executor: Executor, rank: int) -> None:
    name = "transformer.h.0.mlp.c_fc.weight"
    before = executor.model.state_dict()[name].clone()
    added = after(executor, Edit(("statements",), 1, rank, 0.01, 2))[name] - before
    assert int(torch.linalg.matrix_rank(added.double(), rtol=1e-3)) == rank


def test_equal_steps_are_equal_tokens_for_all_edits(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[torch.Size] = []
    real = executor.model.forward

    def counts(input_ids: torch.Tensor, **options):
        read.append(input_ids.shape)
        return real(input_ids, **options)

    monkeypatch.setattr(executor.model, "forward", counts)
    rng = random.Random(0)
    distinct = set()
    for forms in (("passage",), ("questions",), ("passage", "rewrite", "statements", "questions")):
        read.clear()
        learned = learn(executor, Edit(forms, rng.choice([1, 4]), rng.choice([None, 2]), 0.01, 3))
        executor.restore()
        assert read == [(1, 32)] * 3
        assert learned.tokens == 96
        distinct.add(learned.distinct_tokens)
    assert len(distinct) == 3


def test_all_texts_are_read_before_one_comes_again(executor: Executor, tokenizer: PreTrainedTokenizerFast) -> None:
    encoded = [[10 + number] * number for number in range(1, 6)]  # 15 tokens, and no two texts alike
    batches = list(executor._batches(encoded, 3, random.Random(0)))
    stream = torch.cat([batch.flatten() for batch in batches]).tolist()
    assert len(stream) == 96
    for start in range(0, 90, 15):
        assert sorted(stream[start : start + 15]) == sorted(sum(encoded, []))
    assert len({tuple(stream[start : start + 15]) for start in range(0, 90, 15)}) > 1


def test_a_step_may_have_several_rows(tokenizer: PreTrainedTokenizerFast) -> None:
    executor = Executor(random_model(tokenizer, n_positions=32), tokenizer, 96)
    (batch,) = executor._batches([[1, 2, 3]], 1, random.Random(0))
    assert batch.shape == (3, 32)
    assert learn(executor, LAST_LAYER).tokens == 192


@WEIGHTS
def test_the_seed_decides(executor: Executor, edit: Edit) -> None:
    first = after(executor, edit)
    assert not changed(first, after(executor, edit))
    assert changed(first, after(executor, edit, seed=2))


@WEIGHTS
def test_rate_and_steps_have_an_effect(executor: Executor, edit: Edit) -> None:
    first = after(executor, edit)
    faster = after(executor, Edit(edit.forms, 1, edit.rank, 0.03, 2))
    longer = after(executor, Edit(edit.forms, 1, edit.rank, 0.01, 6))
    assert changed(first, faster)
    assert changed(first, longer)
    assert changed(longer, faster)


def test_an_edit_is_learned(executor: Executor) -> None:
    losses = [learn(executor, Edit(("statements",), 1, 8, 0.01, steps)).loss for steps in (1, 60)]
    assert losses[1] < losses[0] - 0.5


def test_a_step_that_fills_no_rows_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    model = random_model(tokenizer, n_positions=32)
    assert Executor(model, tokenizer, 64).model is model
    with pytest.raises(RecipeError, match=r"seal\.tokens_per_step: expected at most 32.*multiple.*got 40"):
        Executor(model, tokenizer, 40)


@WEIGHTS
def test_an_edit_that_diverges_leaves_nothing_behind(executor: Executor, edit: Edit) -> None:
    sha256 = executor.sha256()
    with pytest.raises(Diverged, match=r"its loss became nan at a rate of 1e\+30"):
        learn(executor, Edit(edit.forms, 1, edit.rank, 1e30, 4))
    assert executor.sha256() != sha256 or edit.rank is not None  # adapters are gone, the block is not as it was
    executor.restore()
    assert executor.sha256() == sha256
    assert learn(executor, edit).loss > 0


def test_the_inner_loop_is_adamw_without_decay_on_clipped_gradients(tokenizer: PreTrainedTokenizerFast) -> None:
    edit = Edit(("statements",), 1, None, 0.01, 4)
    plain = random_model(tokenizer, scale=1.0)  # with the library's own forward pass, and large gradients
    executor = Executor(random_model(tokenizer, scale=1.0), tokenizer, 32)
    block = list(plain.transformer.h[-1].parameters())
    optimizer = torch.optim.AdamW(block, lr=edit.learning_rate, weight_decay=0.0)
    encoded = [[*ids, tokenizer.eos_token_id] for ids in tokenizer(texts())["input_ids"]]
    clipped = 0
    for batch in executor._batches(encoded, edit.steps, random.Random(1)):
        logits = plain(batch).logits[:, :-1]
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten()).backward()
        clipped += float(torch.nn.utils.clip_grad_norm_(block, 1.0)) > 1
        optimizer.step()
        plain.zero_grad()
    assert clipped
    learn(executor, edit)
    learned = torch.cat([one.detach().flatten().clone() for one in executor.model.transformer.h[-1].parameters()])
    executor.restore()
    before = torch.cat([one.detach().flatten() for one in executor.model.transformer.h[-1].parameters()])
    expected = torch.cat([one.detach().flatten() for one in block])
    # Not number by number: AdamW's first steps have the size of the rate also where a gradient is nearly 0.
    assert (learned - expected).norm() < 0.02 * (expected - before).norm()


def test_adapters_are_scaled_by_two_and_have_no_dropout(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    real = executor_module.get_peft_model
    monkeypatch.setattr(
        executor_module, "get_peft_model", lambda model, config: found.append(config) or real(model, config)
    )
    learn(executor, Edit(("statements",), 1, 8, 0.01, 1))
    assert [(one.r, one.lora_alpha, one.lora_dropout) for one in found] == [(8, 16, 0.0)]


def test_a_model_without_biases_stays_without(tokenizer: PreTrainedTokenizerFast) -> None:
    model = random_model(tokenizer)
    model.config.bias = False
    with torch.no_grad():
        for bias in unused_biases(model):
            bias.zero_()
    executor = Executor(model, tokenizer, 32)
    before = executor.sha256()
    learn(executor, LAST_LAYER)
    assert executor.sha256() != before
    assert unused_biases(model)
    assert all(not bias.any() for bias in unused_biases(model))
