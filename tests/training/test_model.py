"""The model: its size, its initial weights, its price per token."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from domain_tokens.recipe import RecipeError, load_recipe
from domain_tokens.training.model import (
    flops_per_token,
    load_model,
    new_model,
    num_parameters,
    weights_sha256,
)


def recipe(root, *overrides: str):
    return load_recipe([str(root / "recipes/baseline.yaml"), str(root / "recipes/scales/demo.yaml"), *overrides])


@pytest.mark.parametrize(
    ("scales", "parameters"), [((), 124_510_464), (("small",), 23_837_760), (("medium",), 354_917_376)]
)
def test_the_full_models_have_as_many_parameters_as_they_say(scales: tuple[str], parameters: int, root) -> None:
    full = load_recipe([str(root / "recipes/mul_tokens.yaml"), *(f"recipes/scales/{name}.yaml" for name in scales)])
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config(**full.model, vocab_size=50349))
    assert num_parameters(model) == parameters
    assert model.lm_head.weight is model.transformer.wte.weight


def test_initial_weights_depend_on_the_seed_alone(root) -> None:
    one, again, other = (weights_sha256(new_model(recipe(root, f"seed={seed}"), 50349)) for seed in (0, 0, 1))
    both = weights_sha256(
        new_model(load_recipe([str(root / "recipes/mul_tokens.yaml"), str(root / "recipes/scales/demo.yaml")]), 50349)
    )
    assert one == again == both
    assert one != other


def test_flops_of_gpt2_small() -> None:
    # 6 x 123.7M + 113.2M = 0.856 GFLOP a token at 1,024 tokens.
    assert flops_per_token(GPT2Config(), 124_510_464, 1024) == pytest.approx(0.8556e9, rel=1e-3)


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("model.n_embd=130", "model.n_embd: expected a multiple of model.n_head"),
        ("model.n_layers=3", "model.n_layers"),
        ("model.vocab_size=5", "model.vocab_size"),
        ("model.n_layer=0", "model.n_layer"),
        ("model.n_layer=2.5", "n_layer"),
    ],
)
def test_a_wrong_shape_is_named(override: str, part: str, root) -> None:
    with pytest.raises(RecipeError, match=part):
        new_model(recipe(root, override), 50349)


def test_a_vocabulary_of_another_size_is_refused(tmp_path) -> None:
    GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=50257)).save_pretrained(tmp_path)
    with pytest.raises(RecipeError, match="50257"):
        load_model(tmp_path, 50349)


def test_a_model_saved_in_16_bits_trains_in_32(tmp_path) -> None:
    config = GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=50349)
    GPT2LMHeadModel(config).to(torch.bfloat16).save_pretrained(tmp_path)
    model = load_model(tmp_path, 50349)
    assert model.dtype == torch.float32
    assert model.loss_type == "ForCausalLM"
