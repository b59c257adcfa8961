"""Reinforcement learning on training prompts: TRL's GRPOTrainer with a KL term."""

import logging
from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from pydantic import JsonValue
from trl import GRPOConfig, GRPOTrainer

from domain_tokens.corpora.examples import Example
from domain_tokens.evaluation.answers.answer import AnswerReader
from domain_tokens.recipe import (
    Recipe,
    RecipeError,
    accumulation_steps,
    check_num_prompts,
    check_save_steps,
    micro_batch,
    steps_per_generation,
)
from domain_tokens.runs.records import Fields, MetricsRow
from domain_tokens.runs.settings import derived_arguments
from domain_tokens.tokenization.contract import id_ranges, intervention_of
from domain_tokens.tokenization.intervention import load_canonical_table
from domain_tokens.tokenization.prompts import render_prompt
from domain_tokens.training.callbacks.accounting import Consumption, Counter, training_flops
from domain_tokens.training.callbacks.checkpoints import WholeCheckpoints
from domain_tokens.training.callbacks.metrics import MetricsLog, last_value
from domain_tokens.training.chat_data import ExampleAccount, prompts_with_gold, training_examples
from domain_tokens.training.forward.rollouts import let_ended_rows_leave
from domain_tokens.training.inputs import REWARDS_VERSION, reward_weights
from domain_tokens.training.model import context_length, num_parameters
from domain_tokens.training.post_training import PostTrainingRun
from domain_tokens.training.rewards import reward_functions
from domain_tokens.training.stage import build_arguments, matched_settings, num_processes, start_process

logger = logging.getLogger(__name__)

# Names in metrics.jsonl for some of TRL's metrics.
_NAMES = {"rewards/facts_per_completion/mean": "facts_per_completion", "completions/mean_length": "completion_tokens"}


def grpo(recipe: Recipe, allow_change: bool = False, profile: bool = False) -> None:
    """Train the fine-tuned model on its own answers and write `grpo_final`.

    Args:
        recipe (`Recipe`): the run.
        allow_change (`bool`, *optional*, defaults to `False`): see `TrainingRun.execute`.
        profile (`bool`, *optional*, defaults to `False`): the same.

    Raises:
        RecipeError: if the fine-tuned model or a data set is missing, or the recipe is inconsistent.
    """
    start_process()
    if not recipe.grpo_prompts:
        raise RecipeError("grpo_prompts: empty, so this run has no GRPO; expected at least one source of questions")
    Reinforcement(recipe).execute(allow_change, profile)


class Reinforcement(PostTrainingRun):
    """The reinforcement learning of one condition and seed."""

    name = ledger_name = "grpo"

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, "grpo")
        self.completions_per_step = recipe.budget.grpo_completions_per_step
        values = recipe.grpo | derived_arguments(recipe, "grpo")
        accumulation = accumulation_steps(
            self.completions_per_step, micro_batch(values), num_processes(), "budget.grpo_completions_per_step"
        )
        self.num_generations = int(recipe.grpo.get("num_generations", 8))
        if self.completions_per_step % self.num_generations:
            raise RecipeError(
                f"grpo.num_generations: expected a divisor of budget.grpo_completions_per_step "
                f"({self.completions_per_step}), got {self.num_generations}"
            )
        self.reward_weights = reward_weights(recipe)
        if not self.reward_weights:
            raise RecipeError("rewards: all weights are 0; expected at least one positive weight")
        self.canonical_table = load_canonical_table(recipe)
        # Two more functions with weight 0 count facts and tokens.
        own: Fields = {"reward_weights": [*self.reward_weights.values(), 0.0, 0.0]}
        self.arguments: GRPOConfig = build_arguments(
            GRPOConfig, recipe, "grpo", values, self.paths.work, accumulation, own
        )
        if self.arguments.max_steps <= 0:
            raise RecipeError(f"grpo.max_steps: expected a whole number of at least 1, got {self.arguments.max_steps}")
        check_save_steps(self.arguments, accumulation)
        self.prompt_tokens = context_length(recipe) - self.arguments.max_completion_length
        if self.prompt_tokens < 2:
            raise RecipeError(
                "grpo.max_completion_length: leaves no room for the prompt within model.n_positions; reduce it"
            )

    def read_examples(self) -> tuple[list[Example], ExampleAccount]:
        """Read the prompts that leave room for an answer, each with its correct answer."""
        prompts, tokens = self.recipe.grpo_prompts, self.prompt_tokens
        found = training_examples(self.recipe, prompts, "grpo_prompts", self.tokenizer, tokens, prompts_alone=True)
        check_num_prompts(self.recipe, len(found[0]), int(self.arguments.generation_batch_size))
        return found

    @cached_property
    def matched(self) -> dict[str, JsonValue]:
        """Model, trainer, compute, rewards and data."""
        return matched_settings(self.recipe, self.stage, self.model, self.arguments) | {
            "steps": self.arguments.max_steps,
            "completions_per_step": self.completions_per_step,
            "num_generations": self.num_generations,
            "rewards": dict(self.reward_weights),
            "rewards_version": REWARDS_VERSION,
            "measured_as": None if self.recipe.canonical_table is None else self.canonical_table.as_json(),
            **self.account.as_fields(),
        }

    def make_trainer(self, counter: Counter) -> WholeCheckpoints:
        """Return TRL's trainer over the prompts, with an additional reward function that counts."""
        answers = AnswerReader(written_by=intervention_of(self.tokenizer), table=self.canonical_table)
        functions, weights = reward_functions(self.recipe.rewards, answers, id_ranges(self.tokenizer))
        # TRL passes every completion to its reward functions; the last one has weight 0 and only counts.
        assert self.arguments.reward_weights == [*weights, 0.0]
        trainer = CompletionTrainer(
            model=self.model,
            args=self.arguments,
            reward_funcs=[*functions, _counts_completions(counter)],
            train_dataset=prompts_with_gold(self.examples),
            processing_class=self.tokenizer,
        )
        trainer.count_with(counter)
        if self.arguments.cache_implementation is None and self.arguments.generation_kwargs is None:
            let_ended_rows_leave(self.model)
        return trainer

    @property
    def steps_between_resumable(self) -> int:
        """The steps that share completions, which no checkpoint contains."""
        return steps_per_generation(self.arguments, self.arguments.gradient_accumulation_steps)

    def metrics_log(self, counter: Counter) -> MetricsLog:
        """Return a log that renames some of TRL's metrics."""
        return MetricsLog(self.paths.work, self.work_at(counter, _relative_cost(self.arguments)), names=_NAMES)

    @cached_property
    def _dataset_tokens(self) -> int:
        prompts = [render_prompt(example.question) for example in self.examples]
        return sum(map(len, self.tokenizer(prompts)["input_ids"]))

    def consumed(self, counter: Counter) -> Consumption:
        """Return the FLOPs of training and sampling, and the size and order of the prompts."""
        of_training = training_flops(self.model.config, num_parameters(self.model), counter)
        return Consumption(
            flops=of_training * _relative_cost(self.arguments),
            dataset_tokens=self._dataset_tokens,
            order_sha256=self.account.example_order_sha256,
            initial_weights_sha256=self.before.weights_sha256,
        )

    def reported(self, rows: list[MetricsRow]) -> Fields:
        """Return the last reward, KL divergence from the fine-tuned model, and number of facts per answer."""
        return {key: last_value(rows, key) for key in ("reward", "kl", "facts_per_completion")}


class CompletionTrainer(WholeCheckpoints, GRPOTrainer):
    """A `GRPOTrainer` that counts each micro batch in the process that computes it."""

    def count_with(self, counter: Counter) -> None:
        """Count into `counter`."""
        self._counter = counter

    def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], *args: Any, **kwargs: Any) -> Any:
        """Count the micro batch and return its share of the step's loss."""
        if self.model.training:
            self._counter.add_rows(torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1))
        return super().compute_loss(model, inputs, *args, **kwargs)

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        self._sampler = super()._get_train_sampler(dataset)
        # TRL 1.16 draws the order of the prompts from `args.seed`, which also seeds the answers that are sampled.
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        self._sampler.seed = seed
        self._sampler.generator.manual_seed(seed)
        return self._sampler

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        # TRL 1.16 draws a new order of the prompts for each epoch from one generator, which no checkpoint contains. A
        # resumed run would read its first epoch in the order of epoch 0; so it draws the orders before it here.
        if kwargs["epoch"] == kwargs["epochs_trained"] and self._sampler.shuffle:
            for _ in range(kwargs["epoch"]):
                torch.randperm(self._sampler.num_samples, generator=self._sampler.generator)
        super()._run_epoch(*args, **kwargs)


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
    """Return the FLOPs of a step relative to those of its forward and backward passes.

    A forward pass is a third of a forward and backward pass. Each generation costs one forward pass for sampling, one
    for the reference model if there is a KL term, and one for the sampling policy's log-probabilities if a generation
    is used over several steps. It is used `num_iterations` times. With a cache, sampling too computes each position
    once.
    """
    serves = arguments.num_iterations
    several_steps = arguments.gradient_accumulation_steps % (arguments.steps_per_generation * serves) != 0
    return 1 + (1 + (arguments.beta != 0) + several_steps) / 3 / serves
