"""What the Trainer itself uses at full size: learning rate by step, decay by parameter, precision by operation."""

from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer

from domain_tokens.recipe import RecipeError, load_recipe
from domain_tokens.training.pretrain import Pretraining

ON_CPU = ("pretrain.bf16=false", "pretrain.tf32=null")


def trainer(root: Path, tmp_path: Path, condition: str, *overrides: str) -> Trainer:
    """Return a Trainer with the arguments that the full recipe's pretraining builds, around a small model."""
    recipe = load_recipe([str(root / f"recipes/{condition}.yaml"), f"output_dir={tmp_path}", *overrides])
    arguments = Pretraining(recipe).arguments
    model = GPT2LMHeadModel(
        GPT2Config(n_layer=2, n_head=2, n_embd=8, n_positions=8, vocab_size=11, bos_token_id=0, eos_token_id=0)
    )
    built = Trainer(model=model, args=arguments, eval_dataset=[{"input_ids": [0]}])
    built.create_optimizer_and_scheduler(arguments.max_steps)
    return built


def rates(built: Trainer, *steps: int) -> list[float]:
    """Return the learning rates of updates after so many others, the same in both groups of parameters."""
    peaks = [group["initial_lr"] for group in built.optimizer.param_groups]
    (found,) = {
        tuple(peak * factor(step) for step in steps)
        for peak, factor in zip(peaks, built.lr_scheduler.lr_lambdas, strict=True)
    }
    return list(found)


MIDDLE = 715 + (19073 - 715) // 2
SCHEDULES = [
    ((), (0, 357, 714, 715, MIDDLE, 19073), (0, 6e-4 * 357 / 715, 6e-4 * 714 / 715, 6e-4, 3.3e-4, 6e-5)),
    (
        ("pretrain.lr_scheduler_type=linear",),
        (0, 714, 715, MIDDLE, 19073), (0, 6e-4 * 714 / 715, 6e-4, 3e-4, 0),
    ),
    (
        ("pretrain.lr_scheduler_type=constant_with_warmup",),
        (0, 714, 715, 19073), (0, 6e-4 * 714 / 715, 6e-4, 6e-4),
    ),
    (
        ("pretrain.lr_scheduler_type=warmup_stable_decay",
         "pretrain.lr_scheduler_kwargs={num_decay_steps: 1000, decay_type: linear, min_lr_ratio: 0.1}"),
        (0, 715, 18072, 18073, 18573, 19073), (6e-5, 6e-4, 6e-4, 6e-4, 3.3e-4, 6e-5),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "steps", "expected"), SCHEDULES, ids=["cosine", "linear", "constant", "wsd"])
@pytest.mark.parametrize("condition", ["baseline", "mul_tokens"])
def test_the_learning_rate_of_the_full_recipe(
    condition: str, overrides: tuple[str, ...], steps: tuple[int, ...], expected: tuple[float, ...], root, tmp_path
) -> None:
    built = trainer(root, tmp_path, condition, *ON_CPU, *overrides)
    assert built.args.max_steps == 19_073
    assert rates(built, *steps) == pytest.approx(expected, rel=2e-4, abs=1e-12)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("lr_scheduler_type=warmup_stable_decay",), "warmup_stable_decay needs 'num_decay_steps'"),
        (("lr_scheduler_kwargs.min_lr_rat=0.1",), "cosine_with_min_lr has no argument 'min_lr_rat'"),
        (("optim=apollo_adamw",), "pretrain.optim: .*apollo"),
    ],
    ids=["missing", "misspelled", "not installed"],
)
def test_a_stage_refuses_a_schedule_or_an_optimizer_before_work_and_draws_nothing_to_see_it(
    overrides: tuple[str, ...], message: str, root, tmp_path
) -> None:
    recipe = [str(root / "recipes/baseline.yaml"), f"output_dir={tmp_path}", *ON_CPU]
    drawn = torch.get_rng_state()
    assert Pretraining(load_recipe(recipe)).arguments.max_steps > 0
    assert torch.equal(torch.get_rng_state(), drawn)
    with pytest.raises(RecipeError, match=message):
        Pretraining(load_recipe([*recipe, *(f"pretrain.{one}" for one in overrides)]))


def test_matrices_decay_and_biases_and_norms_do_not(root, tmp_path) -> None:
    built = trainer(root, tmp_path, "baseline", *ON_CPU)
    name_of = {id(parameter): name for name, parameter in built.model.named_parameters()}
    decay = {
        group["weight_decay"]: {name_of[id(parameter)] for parameter in group["params"]}
        for group in built.optimizer.param_groups
    }
    assert set(decay) == {0.1, 0.0}
    assert decay[0.1] == {name for name in name_of.values() if name.endswith("weight") and "ln_" not in name}
    assert decay[0.0] == {name for name in name_of.values() if name.endswith("bias") or "ln_" in name}
    (optimizer,) = {type(built.optimizer)}
    assert optimizer is torch.optim.AdamW
    assert {(*group["betas"], group["fused"]) for group in built.optimizer.param_groups} == {(0.9, 0.95, True)}


def test_autocast_computes_products_in_16_bits_and_the_loss_in_32() -> None:
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(n_layer=2, n_head=2, n_embd=32, n_positions=16, vocab_size=64, bos_token_id=0, eos_token_id=0)
    )
    model.eval()
    ids, kinds = torch.randint(0, 64, (4, 16)), {}
    for name, module in model.named_modules():
        module.register_forward_hook(
            lambda module, inputs, output, name=name: kinds.update({name: getattr(output, "dtype", None)})
        )
    exact = model(input_ids=ids, labels=ids).loss
    assert set(kinds.values()) <= {torch.float32, None}
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(input_ids=ids, labels=ids).loss
    assert kinds["transformer.h.0.attn.c_attn"] == kinds["lm_head"] == torch.bfloat16
    assert kinds["transformer.wte"] == kinds["transformer.ln_f"] == rounded.dtype == torch.float32
    assert rounded != exact
    assert rounded.item() == pytest.approx(exact.item(), rel=5e-3)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
