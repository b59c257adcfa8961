"""Reinforcement learning: TRL's GRPOTrainer with a KL term, on training prompts."""

import dataclasses
import logging
from pathlib import Path

from trl import GRPOConfig, GRPOTrainer

from domain_tokens.corpora.sources import describe
from domain_tokens.provenance import Stage, require, sha256_weights
from domain_tokens.recipe import Recipe, RecipeError, accumulation_steps, to_dict
from domain_tokens.tokenization.contract import intervention_of, load_tokenizer, tokenizer_sha256
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.training import ritual
from domain_tokens.training.chat_data import prompts_with_gold, training_examples
from domain_tokens.training.checkpoints import VerifyCheckpoints
from domain_tokens.training.metrics import METRICS, MetricsLog, last_value, read_metrics
from domain_tokens.training.model import context_length, flops_per_token, load_model, num_parameters
from domain_tokens.training.rewards import reward_functions

logger = logging.getLogger(__name__)

# TRL's names in metrics.jsonl.
_NAMES = {"rewards/facts_per_completion/mean": "facts_per_completion", "completions/mean_length": "completion_tokens"}


def grpo(recipe: Recipe) -> None:
    """Train the fine-tuned model on its own answers; writes `grpo_final`.

    Raises:
        RecipeError: if the fine-tuned model or a data set is missing, or the recipe does not fit.
    """
    ritual.start()
    per_step = recipe.budget.grpo_completions_per_step
    micro_batch = int(recipe.grpo.get("per_device_train_batch_size", 8))
    accumulation = accumulation_steps(
        per_step, micro_batch, ritual.num_processes(), "budget.grpo_completions_per_step"
    )
    work = recipe.run_dir / "checkpoints" / "grpo"
    num_generations = int(recipe.grpo.get("num_generations", 8))
    if per_step % num_generations:
        raise RecipeError(
            f"grpo.num_generations: {num_generations} does not divide budget.grpo_completions_per_step ({per_step})"
        )
    weights = {key: value for key, value in to_dict(recipe)["rewards"].items() if value}
    if not weights:
        raise RecipeError("rewards: every weight is 0; expected at least one reward")
    tokenizer = load_tokenizer(recipe.tokenizer_dir)
    measured_as = None if recipe.measured_as is None else load_intervention(Path(recipe.measured_as))
    functions, reward_weights = reward_functions(recipe.rewards, intervention_of(tokenizer), measured_as)
    values = recipe.grpo | {"reward_weights": reward_weights}
    arguments = ritual.build_arguments(GRPOConfig, recipe, "grpo", values, work, accumulation)
    if arguments.max_steps <= 0:
        raise RecipeError(f"grpo.max_steps: expected a whole number of at least 1, got {arguments.max_steps}")
    _check_save_steps(arguments)
    start = recipe.run_dir / "sft_final"
    before = require(start, "scripts/run_sft.py")
    room = context_length(recipe) - arguments.max_completion_length
    if room < 2:
        raise RecipeError("grpo.max_completion_length: leaves no room for the prompt within model.n_positions")
    examples, account = training_examples(
        recipe, recipe.grpo_prompts, "grpo_prompts", tokenizer, room, prompts_alone=True
    )
    stage = Stage(
        "grpo",
        recipe.run_dir / "grpo_final",
        {
            "seed": recipe.training_seed,
            "grpo": recipe.grpo,
            "completions_per_step": per_step,
            "rewards": weights,
            "measured_as": None if measured_as is None else dataclasses.asdict(measured_as),
            "sources": [describe(source) for source in recipe.grpo_prompts],
            "examples": account,
            "weights": {start.name: before["reported"]["weights_sha256"]},
            "tokenizer_sha256": tokenizer_sha256(recipe.tokenizer_dir),
        },
    )
    if stage.is_complete():
        return
    if sha256_weights(start) != before["reported"]["weights_sha256"]:
        raise RecipeError(f"{start}: its weights are not those of its manifest; run scripts/run_sft.py again")
    model = load_model(start, len(tokenizer))
    per_token = flops_per_token(model.config, num_parameters(model), arguments.max_completion_length)
    trainer = GRPOTrainer(
        model=model,
        args=arguments,
        reward_funcs=functions,
        train_dataset=prompts_with_gold(examples),
        processing_class=tokenizer,
        callbacks=[MetricsLog(work, 0, 0.0, {}, _NAMES), VerifyCheckpoints()],
    )
    ritual.run(trainer, stage, work)
    rows = read_metrics(work / METRICS)
    matched = {
        "steps": trainer.state.global_step,
        "completions_per_step": per_step,
        "num_generations": num_generations,
        "rewards": weights,
        "measured_as": None if measured_as is None else dataclasses.asdict(measured_as),
        **account,
        "trainer": ritual.settings(arguments),
    }
    tokens = int(last_value(rows, "num_tokens") or 0)
    reported = {
        "tokens": tokens,
        # A forward pass each for generation and the reference model, one forward and backward pass for training: 2 + 2
        # + 6 where `flops_per_token` counts 6.
        "flops": tokens * per_token * 10 / 6,
        "generated_tokens": sum(row.get("completion_tokens", 0.0) for row in rows)
        * per_step
        * arguments.logging_steps,
        "reward": last_value(rows, "reward"),
        "kl": last_value(rows, "kl"),
        "facts_per_completion": last_value(rows, "facts_per_completion"),
    }
    ritual.finish(trainer, recipe, stage, [work], matched, reported)


def _check_save_steps(arguments: GRPOConfig) -> None:
    """Completions that are used over several steps are not in a checkpoint: save only when they are used up."""
    steps_per_generation = arguments.steps_per_generation or arguments.gradient_accumulation_steps
    boundary = max(1, steps_per_generation * arguments.num_iterations // arguments.gradient_accumulation_steps)
    if arguments.save_strategy == "steps" and arguments.save_steps % boundary:
        raise RecipeError(
            f"grpo.save_steps: expected a multiple of {boundary}, the steps that one generation serves, "
            f"got {arguments.save_steps}"
        )
