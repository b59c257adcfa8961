"""GRPO's trainer: every counter of the ledger against an independent count, and the loss that the recipe asks for."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from trl import GRPOConfig

from domain_tokens.corpora.examples import Example
from domain_tokens.recipe import RecipeError, check_fit, load_recipe, parse_arguments, parse_trainers
from domain_tokens.training.callbacks.accounting import Counter
from domain_tokens.training.chat_data import prompts_with_gold
from domain_tokens.training.grpo import CompletionTrainer, _counts_completions
from domain_tokens.training.stage import trainer_settings

EXAMPLES = [Example("What is 6 times 9?", "#### 54"), Example("Ana has 3 bags. How many bags?", "#### 3")]
MAX_LENGTH = 6


def model_that_ends_now_and_then() -> GPT2LMHeadModel:
    """A model that ends its answer after a quarter of its tokens, so that completions have different lengths."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(n_layer=1, n_head=1, n_embd=8, n_positions=64, vocab_size=50349, eos_token_id=50256)
    )
    with torch.no_grad():
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.copy_(torch.eye(8)[0])
        model.transformer.wte.weight[50256, 0] = 9.7  # the logit of the end; e^9.7 is a third of 50,348
    return model


def train(tokenizer: PreTrainedTokenizerFast, folder: Path, *overrides: str) -> tuple[CompletionTrainer, Counter, Any]:
    """Run two steps of eight completions, by the demo's recipe with `overrides`; also return what was sampled."""
    root = Path(__file__).parents[2]
    recipe = load_recipe([str(root / "recipes/baseline.yaml"), str(root / "recipes/scales/demo.yaml"), *overrides])
    values = recipe.grpo | {
        "max_steps": 2, "per_device_train_batch_size": 4, "num_generations": 4, "max_completion_length": MAX_LENGTH,
        "beta": 0.0, "max_grad_norm": 0.0, "logging_steps": 1, "save_strategy": "no",
    }  # fmt: skip
    derived = {
        "output_dir": str(folder),
        "gradient_accumulation_steps": 2,
        "reward_weights": [1.0, 0.0],
        "use_cpu": True,
        "seed": 0,
        "disable_tqdm": True,
    }
    arguments = parse_arguments(GRPOConfig, values, "grpo", derived)
    sampled: list[tuple[int, int]] = []

    def prefers_short(prompts: Any, completion_ids: list[list[int]], **_: Any) -> list[float]:
        for prompt, ids in zip(prompts, completion_ids, strict=True):
            sampled.append(
                (len(tokenizer.apply_chat_template(prompt, add_generation_prompt=True)["input_ids"]), len(ids))
            )
        return [-float(len(ids)) for ids in completion_ids]

    counter = Counter()
    trainer = CompletionTrainer(
        model=model_that_ends_now_and_then(), args=arguments, train_dataset=prompts_with_gold(EXAMPLES),
        reward_funcs=[prefers_short, _counts_completions(counter)], processing_class=tokenizer,
    )  # fmt: skip
    trainer.count_with(counter)
    trainer.add_callback(counter)
    trainer.train()
    return trainer, counter, sampled


def test_every_counter_is_what_was_sampled(tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path) -> None:
    _, counter, sampled = train(tokenizers["baseline"], tmp_path)
    assert len(sampled) == 16
    assert len({length for _, length in sampled}) > 2
    totals = counter.totals
    assert totals["examples"] == 16
    assert totals["generated_tokens"] == sum(length for _, length in sampled)
    assert totals["tokens"] - totals["padding_tokens"] == sum(prompt + length for prompt, length in sampled)
    assert totals["source_bytes"] == 8 * sum(len(one.question) for one in EXAMPLES)
    # Rows of a generation of eight are as long as the longest prompt and the longest completion of the eight.
    steps = [sampled[:8], sampled[8:]]
    lengths = [max(prompt for prompt, _ in step) + max(length for _, length in step) for step in steps]
    assert totals["tokens"] == 8 * sum(lengths)
    assert totals["squared_lengths"] == 8 * sum(length**2 for length in lengths)
    assert totals["padding_tokens"] > 0


def test_the_loss_that_the_recipe_names_is_the_one_that_is_minimized(
    tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path
) -> None:
    losses, lengths = {}, {}
    for name in ("dapo", "dr_grpo"):
        trainer, _, sampled = train(tokenizers["baseline"], tmp_path, f"grpo.loss_type={name}")
        assert trainer.args.loss_type == trainer.loss_type == name
        assert trainer_settings(trainer.args)["loss_type"] == name  # which a stage records as matched
        losses[name] = next(row["loss"] for row in trainer.state.log_history if "loss" in row)
        lengths[name] = sampled[:8]
    assert lengths["dapo"] == lengths["dr_grpo"]  # the same first completions
    assert losses["dapo"] != 0
    tokens = sum(length for _, length in lengths["dapo"])
    assert tokens < 8 * MAX_LENGTH
    # The sum over tokens is divided by their number, or by completions times the longest length that is allowed.
    assert losses["dr_grpo"] / losses["dapo"] == pytest.approx(tokens / (8 * MAX_LENGTH), rel=1e-3)


def test_a_loss_that_does_not_exist_is_refused_before_the_first_stage(root: Path) -> None:
    recipe = load_recipe([str(root / "recipes/baseline.yaml"), "grpo.loss_type=dr_gpro"])
    with pytest.raises(RecipeError, match=r"grpo.loss_type: expected one of .*, got 'dr_gpro'; did you mean"):
        check_fit(recipe, parse_trainers(recipe))
