"""Reinforcement learning: TRL's GRPOTrainer with a KL term, on training prompts."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from trl import GRPOConfig, GRPOTrainer

from domain_tokens.corpora.sources import describe
from domain_tokens.evaluation.answers.answer import AnswerReader
from domain_tokens.recipe import Recipe, RecipeError, accumulation_steps, to_dict
from domain_tokens.runs.files import sha256_weights
from domain_tokens.runs.layout import METRICS
from domain_tokens.runs.stage_folder import StageFolder, require
from domain_tokens.tokenization.contract import intervention_of, load_tokenizer, tokenizer_sha256
from domain_tokens.tokenization.intervention import load_canonical_table
from domain_tokens.tokenization.prompts import render_prompt
from domain_tokens.training import stage as ritual
from domain_tokens.training.accounting import Counter, ledger_entry, training_flops
from domain_tokens.training.chat_data import prompts_with_gold, training_examples
from domain_tokens.training.checkpoints import VerifyCheckpoints
from domain_tokens.training.metrics import MetricsLog, last_value, read_metrics
from domain_tokens.training.model import context_length, load_model, num_parameters
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
    answers = AnswerReader(written_by=intervention_of(tokenizer), table=load_canonical_table(recipe))
    functions, reward_weights = reward_functions(recipe.rewards, answers)
    counter = Counter()
    # TRL hands every completion to its reward functions, here to one without weight that counts them too.
    functions = [*functions, _counts_completions(counter)]
    values = recipe.grpo | {"reward_weights": [*reward_weights, 0.0]}
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
    stage = StageFolder(
        "grpo",
        recipe.run_dir / "grpo_final",
        {
            "seed": recipe.training_seed,
            "grpo": recipe.grpo,
            "completions_per_step": per_step,
            "rewards": weights,
            "measured_as": None if recipe.canonical_table is None else answers.table.as_json(),
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
    parameters = num_parameters(model)
    matched = ritual.conditions(recipe, model, arguments) | {
        "steps": arguments.max_steps,
        "completions_per_step": per_step,
        "num_generations": num_generations,
        "rewards": weights,
        "measured_as": stage.inputs["measured_as"],
        **account,
    }
    ritual.begin(recipe, stage, work, model, matched, stage.inputs["sources"])
    prompts = [render_prompt(example.question) for example in examples]
    prompt_tokens = sum(map(len, tokenizer(prompts)["input_ids"]))
    trainer = _CountingTrainer(
        model=model,
        args=arguments,
        reward_funcs=functions,
        train_dataset=prompts_with_gold(examples),
        processing_class=tokenizer,
        callbacks=[MetricsLog(work, 0, 0.0, {}, _NAMES), counter, VerifyCheckpoints()],
    )
    trainer.count_with(counter)
    ritual.run(trainer, stage, work)
    rows = read_metrics(work / METRICS)
    reported = {
        "reward": last_value(rows, "reward"),
        "kl": last_value(rows, "kl"),
        "facts_per_completion": last_value(rows, "facts_per_completion"),
    }
    entry = ledger_entry(
        trainer,
        recipe,
        counter,
        stage="grpo",
        flops=training_flops(model.config, parameters, counter) * _relative_cost(arguments),
        dataset_tokens=prompt_tokens,
        order=account["example_order_sha256"],
        initial_weights=before["reported"]["weights_sha256"],
    )
    ritual.finish(trainer, recipe, stage, [work], [entry], matched, reported)


class _CountingTrainer(GRPOTrainer):
    """`GRPOTrainer` that counts each micro batch as it computes on it, in the process that does."""

    def count_with(self, counter: Counter) -> None:
        self._counter = counter

    def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], *args: Any, **kwargs: Any) -> Any:
        if self.model.training:
            self._counter.add_rows(torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1))
        return super().compute_loss(model, inputs, *args, **kwargs)


def _counts_completions(counter: Counter) -> Callable[..., list[float]]:
    def tokens_per_completion(
        prompts: list[list[dict[str, str]]], completion_ids: list[list[int]], **columns: Any
    ) -> list[float]:
        lengths = [len(ids) for ids in completion_ids]
        counter.add(
            generated_tokens=sum(lengths),
            source_bytes=sum(len(message["content"].encode()) for prompt in prompts for message in prompt),
        )
        return [float(length) for length in lengths]

    return tokens_per_completion


def _relative_cost(arguments: GRPOConfig) -> float:
    """Return the FLOPs of a step over those of its forward and backward passes alone.

    A forward pass is a third of a forward and backward pass. Each generation costs one for sampling, one for the
    reference model where there is a KL term, and one for the sampling policy's log-probabilities where a generation is
    used over several steps, and serves `num_iterations` times. With a cache the positions of an answer are computed
    once in sampling too.
    """
    serves = arguments.num_iterations
    several_steps = arguments.gradient_accumulation_steps % (arguments.steps_per_generation * serves) != 0
    return 1 + (1 + (arguments.beta != 0) + several_steps) / 3 / serves


def _check_save_steps(arguments: GRPOConfig) -> None:
    """Completions that are used over several steps are not in a checkpoint: save only when they are used up."""
    steps_per_generation = arguments.steps_per_generation or arguments.gradient_accumulation_steps
    boundary = max(1, steps_per_generation * arguments.num_iterations // arguments.gradient_accumulation_steps)
    if arguments.save_strategy == "steps" and arguments.save_steps % boundary:
        raise RecipeError(
            f"grpo.save_steps: expected a multiple of {boundary}, the steps that one generation serves, "
            f"got {arguments.save_steps}"
        )
