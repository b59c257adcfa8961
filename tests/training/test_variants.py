"""Variants of GPT-2: what they train, count and cost, what later stages keep of them, and what is refused."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from real_stages import run_here, small_recipe
from safetensors.torch import load_file
from test_number_loss import distance_by_hand
from tiny import CONDITIONS
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Trainer, TrainingArguments

from domain_tokens.recipe import RecipeError, load_recipe
from domain_tokens.runs.layout import MANIFEST
from domain_tokens.runs.records import Manifest, read_record
from domain_tokens.training.forward.number_loss import NumberTokenLoss
from domain_tokens.training.model import (
    computed_parameters,
    flops_per_token,
    has_biases,
    load_model,
    new_model,
    non_embedding_parameters,
    num_parameters,
    start_at_digits,
    weights_sha256,
)
from domain_tokens.training.preflight import check_architecture

IDS, WIDTH, INNER = 1517, 16, 40
BARE = "variant={bias: false, mlp_ratio: 2.5}"
UNTIED = "model.tie_word_embeddings=false"
# One layer without biases: two norms, attention, MLP, and the last norm.
NON_EMBEDDING = 2 * WIDTH + 4 * WIDTH**2 + 2 * WIDTH * INNER + WIDTH
FEW = ("pretrain.max_steps=8", "pretrain.warmup_steps=1", "pretrain.eval_steps=8", "sft.num_train_epochs=1")
REWARDED = (
    # Answers about as long as those that brevity begins to cost: so rewards differ.
    "grpo.max_steps=3", "grpo.learning_rate=1e-2", "grpo.max_completion_length=50", "rewards.brevity=1",
    "grpo_prompts=[{name: drills, kind: synthetic, what: drills, max_items: 4}]",
)  # fmt: skip


def test_a_model_without_biases_is_native_and_trains_none(tmp_path: Path) -> None:
    model = new_model(small_recipe(tmp_path, "baseline", BARE), IDS)
    biases = {name: one for name, one in model.named_parameters() if name.endswith(".bias")}
    assert len(biases) == 7
    assert not any(one.any() or one.requires_grad for one in biases.values())
    assert num_parameters(model) == sum(one.numel() for one in model.parameters() if one.requires_grad)
    assert non_embedding_parameters(model) == NON_EMBEDDING
    assert num_parameters(model) - NON_EMBEDDING == (IDS + 128) * WIDTH
    trainer = Trainer(model, TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[]))
    groups = trainer.create_optimizer().param_groups
    assert {id(one) for group in groups for one in group["params"]}.isdisjoint(map(id, biases.values()))
    model.save_pretrained(tmp_path / "saved")
    again, elsewhere = load_model(tmp_path / "saved", IDS), AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    assert again.config.n_inner == INNER
    assert (again.config.bias, num_parameters(again)) == (False, num_parameters(model))
    ids = torch.arange(20)[None]
    assert torch.equal(model.eval()(ids).logits, elsewhere(ids).logits)


@pytest.mark.parametrize("variant", [(), (BARE,), (UNTIED,), (BARE, UNTIED)], ids=["usual", "bare", "untied", "both"])
def test_the_flops_of_a_variant_are_those_that_are_computed(variant: tuple[str, ...], tmp_path: Path) -> None:
    model = new_model(small_recipe(tmp_path, "baseline", "model.n_embd=64", *variant), IDS)
    tokens = torch.randint(0, IDS, (2, 32))
    with FlopCounterMode(display=False) as counter:
        model.eval()(tokens, labels=tokens).loss.backward()
    by_formula = flops_per_token(model.config, computed_parameters(model), 0)  # torch counts no fused attention
    assert counter.get_total_flops() / tokens.numel() == pytest.approx(by_formula, rel=0.02)
    assert (num_parameters(model) > computed_parameters(model)) == (UNTIED in variant)


@pytest.fixture
def corpora(trained: Path, tmp_path: Path) -> Path:
    """Both conditions with nothing but their tokenizers and corpora."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("seed_*"))
    return tmp_path


def weights(run: Path, *stages: str) -> list[dict[str, torch.Tensor]]:
    return [load_file(run / f"{stage}_final" / "model.safetensors") for stage in stages]


@pytest.mark.slow
def test_reinforcement_keeps_the_variant(corpora: Path) -> None:
    recipe = small_recipe(corpora, "mul_tokens", BARE, UNTIED, *FEW, *REWARDED)
    for stage in ("pretrain", "sft", "grpo"):
        run_here(stage, recipe)
    before, after = weights(recipe.run_dir, "sft", "grpo")
    assert not torch.equal(before["lm_head.weight"], after["lm_head.weight"])
    assert not any(one.any() for name, one in after.items() if name.endswith(".bias"))


@pytest.mark.slow
def test_adapters_train_no_bias_either(corpora: Path) -> None:
    recipe = small_recipe(corpora, "mul_tokens", BARE, *FEW, "lora={rank: 4}", "sft.learning_rate=1e-2")
    for stage in ("pretrain", "sft"):
        run_here(stage, recipe)
    before, after = weights(recipe.run_dir, "pretrain", "sft")
    assert not torch.equal(before["transformer.h.0.mlp.c_fc.weight"], after["transformer.h.0.mlp.c_fc.weight"])
    assert not any(one.any() for name, one in after.items() if name.endswith(".bias"))
    assert not has_biases(load_model(recipe.run_dir / "sft_final", IDS).config)


def test_every_stage_keeps_the_variant_in_both_conditions(corpora: Path) -> None:
    made = {}
    for condition in CONDITIONS:
        recipe = small_recipe(corpora, condition, BARE, UNTIED, *FEW)
        run_here("pretrain", recipe)
        made[condition] = read_record(recipe.run_dir / "pretrain_final" / MANIFEST, Manifest)
    run_here("sft", recipe)
    first, last = states = weights(recipe.run_dir, "pretrain", "sft")
    for before, after in zip(states, states[1:], strict=False):
        assert any(not torch.equal(before[name], after[name]) for name in before)  # it trained
    assert not any(one.any() for name, one in last.items() if name.endswith(".bias"))
    untrained = new_model(recipe, IDS).state_dict()
    for name in ("lm_head.weight", "transformer.wte.weight", "transformer.h.0.mlp.c_fc.weight"):
        assert not torch.equal(first[name], untrained[name])
    assert not torch.equal(last["lm_head.weight"], last["transformer.wte.weight"])
    reference, other = (made[condition].matched for condition in CONDITIONS)
    assert reference["architecture"] == other["architecture"]
    assert (reference["architecture"]["bias"], reference["architecture"]["n_inner"]) == (False, INNER)
    assert reference["num_parameters"] == NON_EMBEDDING + (2 * IDS + 128) * WIDTH
    assert reference["initial_weights_sha256"] == other["initial_weights_sha256"]
    assert reference["flops"] == other["flops"]
    with pytest.raises(RecipeError, match=r"variant.bias"):
        run_here("pretrain", small_recipe(corpora, "mul_tokens", "variant.mlp_ratio=2.5", UNTIED, *FEW))
    config = load_model(recipe.run_dir / "sft_final", IDS).config
    with pytest.raises(RecipeError, match=r"architecture: variant.bias is False in "):
        check_architecture(small_recipe(corpora, "mul_tokens", "variant.mlp_ratio=2.5", UNTIED), config)
    with pytest.raises(RecipeError, match=r"architecture: model.n_inner is 40 in "):
        check_architecture(small_recipe(corpora, "mul_tokens", "variant.bias=false", UNTIED), config)


def test_rows_of_facts_start_at_their_digits_in_a_head_of_its_own_too(
    tokenizers: dict[str, PreTrainedTokenizerFast], tiny: Callable[..., list[str]]
) -> None:
    recipe = load_recipe(tiny("mul_tokens", UNTIED))
    drawn, model = new_model(recipe, 50349), new_model(recipe, 50349)
    start_at_digits(model, tokenizers["mul_tokens"])
    digits = tokenizers["mul_tokens"].convert_tokens_to_ids(["6", "9", "5", "4"])
    for before, after in ((drawn.transformer.wte, model.transformer.wte), (drawn.lm_head, model.lm_head)):
        torch.testing.assert_close(after.weight[50342], before.weight[digits].mean(dim=0))
    assert not torch.equal(model.lm_head.weight[50342], model.transformer.wte.weight[50342])
    rows = slice(50304, 50349)
    assert weights_sha256(model) != weights_sha256(drawn)
    assert weights_sha256(model, rows) == weights_sha256(drawn, rows)


def test_the_number_loss_reads_the_head(
    tokenizers: dict[str, PreTrainedTokenizerFast], tiny: Callable[..., list[str]]
) -> None:
    tokenizer = tokenizers["baseline"]
    model = new_model(load_recipe(tiny("baseline", UNTIED, "model.initializer_range=0.5")), 50349).eval()
    loss = NumberTokenLoss(model, tokenizer, 1.0)
    ids = tokenizer("6 plus 9 is 15, so 7 and 8", return_tensors="pt")["input_ids"]
    expected = sum(distance_by_hand(model, tokenizer, ids[0], 1)) / (ids.shape[1] - 1)
    model(ids)
    found = loss.of_step(SimpleNamespace(args=SimpleNamespace(average_tokens_across_devices=False)), ids, None)
    assert expected > 0.1
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (("variant.mlp_ratio=2.7",), "variant.mlp_ratio: 2.7 of a width of 16 .* is 43.2; expected a ratio"),
        (("variant.mlp_ratio=0",), "variant.mlp_ratio: expected a number above 0, got 0"),
        (("variant.mlp_ratio=3", "model.n_inner=48"), "variant.mlp_ratio: it says what model.n_inner says too"),
        (("variant.bias=perhaps",), "variant.bias"),
        (("model.tie_word_embeddings=0",), "model.tie_word_embeddings: expected true or false, got 0"),
        ((UNTIED, "lora={rank: 4}"), "lora.train_fact_rows: with model.tie_word_embeddings=false"),
        ((UNTIED, "verifier.language_model_weight=0.1"), "verifier.language_model_weight: a verifier has the embed"),
    ],
)
def test_what_does_not_go_together_is_refused(overrides: tuple[str, ...], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=complaint):
        small_recipe(tmp_path, "baseline", *overrides)
