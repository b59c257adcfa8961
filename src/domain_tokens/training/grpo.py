"""Reinforcement learning on training prompts: TRL's GRPOTrainer with a KL term."""

import logging
import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from trl import GRPOConfig

from domain_tokens.corpora.examples import Example
from domain_tokens.evaluation.answers.answer import AnswerReader
from domain_tokens.evaluation.models.inference import Decoding
from domain_tokens.recipe import (
    Recipe,
    RecipeError,
    accumulation_steps,
    check_num_prompts,
    check_save_steps,
    micro_batch,
    steps_per_generation,
)
from domain_tokens.runs.layout import COMPLETIONS, PASS_RATES
from domain_tokens.runs.records import Fields, MetricsRow, PassRates
from domain_tokens.runs.settings import derived_arguments
from domain_tokens.tokenization.contract import id_ranges, intervention_of, tokenizer_sha256
from domain_tokens.tokenization.facts import IdRanges, count_facts
from domain_tokens.tokenization.intervention import load_canonical_table
from domain_tokens.tokenization.prompts import render_prompt
from domain_tokens.training.callbacks.accounting import Consumption, Counter
from domain_tokens.training.callbacks.metrics import MetricsLog, last_value
from domain_tokens.training.inputs import REWARDS_VERSION, pass_rate_files, reward_bonus
from domain_tokens.training.model import context_length
from domain_tokens.training.post_training.adapters import give_head_its_bias
from domain_tokens.training.post_training.base import PostTrainingRun
from domain_tokens.training.post_training.chat_data import ExampleAccount, prompts_with_gold, training_examples
from domain_tokens.training.reinforcement.completions import KeptCompletions
from domain_tokens.training.reinforcement.pass_rates import (
    Sampler,
    evenly_spaced,
    judge,
    measure,
    refuse_too_low,
    undecided,
)
from domain_tokens.training.reinforcement.rewards import reward_functions
from domain_tokens.training.reinforcement.rollouts import let_ended_rows_leave
from domain_tokens.training.stage import build_arguments, matched_settings, num_processes, start_process
from domain_tokens.training.trainers.checkpoints import CheckpointTrainer
from domain_tokens.training.trainers.completions import CompletionTrainer

logger = logging.getLogger(__name__)

# Names in metrics.jsonl for some of TRL's metrics.
_NAMES = {
    "rewards/facts_per_completion/mean": "facts_per_completion",
    "completions/mean_length": "completion_tokens",
    "completions/clipped_ratio": "share_cut",  # of completions, at the longest length
    "frac_reward_zero_std": "groups_without_variance",  # their share; they teach nothing
}


def grpo(
    recipe: Recipe,
    allow_change: bool = False,
    profile: bool = False,
    force: bool = False,
    rates: Path | None = None,
) -> None:
    """Train the fine-tuned model on its own answers and write `grpo_final`.

    Args:
        recipe (`Recipe`): the run.
        allow_change (`bool`, *optional*, defaults to `False`): see `TrainingRun.execute`.
        profile (`bool`, *optional*, defaults to `False`): the same.
        force (`bool`, *optional*, defaults to `False`): train although the fine-tuned model solves too few prompts.
        rates (`Path`, *optional*): if given, nothing is trained: this file gets the pass rates of all prompts.

    Raises:
        RecipeError: if the fine-tuned model or a data set is missing, the recipe is inconsistent, or too few prompts
            are solved.
    """
    start_process()
    if not recipe.grpo_prompts:
        raise RecipeError("grpo_prompts: empty, so this run has no GRPO; expected at least one source of questions")
    stage = Reinforcement(recipe, force)
    if rates is None:
        stage.execute(allow_change, profile)
    else:
        logger.info("grpo: %s (%s)", judge(stage.measure(rates, stage.examples), stage.num_generations), rates)


class Reinforcement(PostTrainingRun):
    """The reinforcement learning of one condition and seed.

    Args:
        recipe (`Recipe`): the run.
        force (`bool`, *optional*, defaults to `False`): train although the fine-tuned model solves too few prompts.
    """

    name = ledger_name = "grpo"

    def __init__(self, recipe: Recipe, force: bool = False) -> None:
        super().__init__(recipe, "grpo")
        self.force = force
        self._preflight: Fields | None = None
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
        self.reward_weights = recipe.rewards.weights
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
        if recipe.rollouts.preflight_prompts:
            self._refuse_other_sampling()
        self.prompt_tokens = context_length(recipe) - self.arguments.max_completion_length
        if self.prompt_tokens < 2:
            raise RecipeError(
                "grpo.max_completion_length: leaves no room for the prompt within model.n_positions; reduce it"
            )

    def read_examples(self) -> tuple[list[Example], ExampleAccount]:
        """Read the prompts that leave room for an answer, each with its correct answer."""
        prompts, tokens = self.recipe.grpo_prompts, self.prompt_tokens
        found, account = training_examples(
            self.recipe, prompts, "grpo_prompts", self.tokenizer, tokens, prompts_alone=True
        )
        if files := pass_rate_files(self.recipe):
            kept = undecided(found, files)
            account = account.without_decided(kept)
            found = kept
        check_num_prompts(self.recipe, len(found), int(self.arguments.generation_batch_size))
        longest = max(len(self.tokenizer(render_prompt(example.question))["input_ids"]) for example in found)
        if longest > tokens:
            raise RecipeError(
                f"grpo.max_completion_length: leaves {tokens} tokens for a prompt, and in this condition's tokenizer "
                f"one that fits takes {longest}; lower it in all conditions"
            )
        return found, account

    def before_training(self) -> None:
        """Measure how often the fine-tuned model solves its prompts, and stop if that is too seldom."""
        rollouts, path = self.recipe.rollouts, self.paths.work / PASS_RATES
        if not rollouts.preflight_prompts:
            return
        prompts = evenly_spaced(self.examples, rollouts.preflight_prompts)
        found = judge(self.measure(path, prompts, replace=True), self.num_generations)
        self._preflight = found.as_fields(refuse_too_low(path, found, rollouts.min_pass_at_k, self.force))

    def measure(self, path: Path, prompts: list[Example], replace: bool = False) -> PassRates:
        """Measure how often the fine-tuned model solves prompts, sampling as GRPO does, and keep the rates in a file.

        Args:
            path (`Path`): the file; an interrupted measurement in it is continued.
            prompts (`list[Example]`): the prompts.
            replace (`bool`, *optional*, defaults to `False`): whether the rates of another measurement may be lost.

        Raises:
            RecipeError: if GRPO samples by more than a temperature.
        """
        self._refuse_other_sampling()
        decoding = Decoding(
            max_new_tokens=int(self.arguments.max_completion_length or 0),
            num_samples=max(self.num_generations, self.recipe.rollouts.preflight_samples or 0),
            temperature=self.arguments.temperature,
            seed=self.recipe.seed_of["sampling"],
        )
        rows, bf16 = self.arguments.per_device_train_batch_size, bool(self.arguments.bf16)
        model = self.model.to(self.arguments.device)
        sampler = Sampler(model, self.tokenizer, self._answers, decoding, rows, bf16)
        of_model: Fields = {
            "weights_sha256": self.before.weights_sha256,
            "tokenizer_sha256": tokenizer_sha256(self.recipe.tokenizer_dir),
        }
        return measure(path, sampler, prompts, of_model, replace)

    def _refuse_other_sampling(self) -> None:
        """Refuse to measure by temperature alone where GRPO samples otherwise."""
        neutral = {"top_p": (1.0,), "top_k": (0, None), "min_p": (None,), "repetition_penalty": (1.0,)}
        given = {key: getattr(self.arguments, key) for key in neutral}
        other = [f"grpo.{key}" for key, value in given.items() if value not in neutral[key]]
        other += ["grpo.generation_kwargs"] if self.arguments.generation_kwargs else []
        if other:
            raise RecipeError(
                f"{', '.join(other)}: pass rates are measured by temperature alone, so they would not be those of "
                "GRPO; remove it, or leave the rates out with rollouts.preflight_prompts: 0"
            )

    @cached_property
    def _answers(self) -> AnswerReader:
        return AnswerReader(written_by=intervention_of(self.tokenizer), table=self.canonical_table)

    @cached_property
    def matched(self) -> dict[str, JsonValue]:
        """Model, trainer, compute, rewards and data."""
        return matched_settings(self.recipe, self.stage, self.model, self.arguments) | {
            "steps": self.arguments.max_steps,
            "completions_per_step": self.completions_per_step,
            "num_generations": self.num_generations,
            "rewards": dict(self.reward_weights),
            "rewards_version": REWARDS_VERSION,
            **reward_bonus(self.recipe),
            "measured_as": None if self.recipe.canonical_table is None else self.canonical_table.as_json(),
            **self.matched_adapters(),
            **self.account.as_fields(),
        }

    def make_trainer(self, counter: Counter) -> CheckpointTrainer:
        """Return TRL's trainer over the prompts, with an additional reward function that counts."""
        functions, weights = reward_functions(self.recipe.rewards, self._answers, id_ranges(self.tokenizer))
        # TRL passes every completion to its reward functions; the last one has weight 0 and only counts.
        assert self.arguments.reward_weights == [*weights, 0.0]
        trainer = CompletionTrainer(
            model=self.model,
            args=self.arguments,
            reward_funcs=[*functions, _counts_completions(counter, id_ranges(self.tokenizer))],
            train_dataset=prompts_with_gold(self.examples),
            processing_class=self.tokenizer,
            peft_config=self.peft_config,
        )
        give_head_its_bias(self.model)
        trainer.count_with(counter)
        kept = self.recipe.rollouts
        trainer.keep_in(KeptCompletions(self.paths.work, kept.keep_every, kept.keep_prompts, self.num_generations))
        if self.arguments.cache_implementation is None and self.arguments.generation_kwargs is None:
            let_ended_rows_leave(self.model)
        return trainer

    @property
    def steps_between_resumable(self) -> int:
        """The steps that share completions, which no checkpoint contains."""
        return steps_per_generation(self.arguments, self.arguments.gradient_accumulation_steps)

    def metrics_log(self, counter: Counter) -> MetricsLog:
        """Return a log that renames some of TRL's metrics."""
        return MetricsLog(self.paths.work, self.work_at(counter, self._relative_cost), names=_NAMES)

    @cached_property
    def _relative_cost(self) -> float:
        share = 1 / 3 if self.adapters is None else self.adapters.forward_share(self.model.config)
        return _relative_cost(self.arguments, share)

    @cached_property
    def _dataset_tokens(self) -> int:
        prompts = [render_prompt(example.question) for example in self.examples]
        return sum(map(len, self.tokenizer(prompts)["input_ids"]))

    def consumed(self, counter: Counter) -> Consumption:
        """Return the FLOPs of training and sampling, and the size and order of the prompts."""
        return Consumption(
            flops=self.training_flops(counter) * self._relative_cost,
            dataset_tokens=self._dataset_tokens,
            order_sha256=self.account.example_order_sha256,
            initial_weights_sha256=self.before.weights_sha256,
            trained_parameters=None if self.adapters is None else self.adapters.trained,
        )

    def reported(self, rows: list[MetricsRow]) -> Fields:
        """Return the last reward, KL divergence, and number of facts per answer, and what was measured before."""
        last = {key: last_value(rows, key) for key in ("reward", "kl", "facts_per_completion")}
        return {**last, **({} if self._preflight is None else {"preflight": dict(self._preflight)})}

    def write_lists(self, folder: Path) -> None:
        """List the prompts and what was removed; copy the measured pass rates and the kept completions."""
        super().write_lists(folder)
        for name in (PASS_RATES, COMPLETIONS):
            if (self.paths.work / name).is_file():
                shutil.copyfile(self.paths.work / name, folder / name)


def _counts_completions(counter: Counter, ids: IdRanges) -> Callable[..., list[float]]:
    def tokens_per_completion(
        prompts: list[list[dict[str, str]]],
        completion_ids: list[list[int]],
        gold: list[str],
        log_extra: Callable[[str, list[str]], None],
        **columns: Any,
    ) -> list[float]:
        log_extra("gold", gold)
        lengths = [len(completion) for completion in completion_ids]
        counter.add(
            generated_tokens=sum(lengths),
            answer_facts=sum(count_facts(completion, ids) for completion in completion_ids),
            source_bytes=sum(len(message["content"].encode()) for prompt in prompts for message in prompt),
        )
        return [float(length) for length in lengths]

    return tokens_per_completion


def _relative_cost(arguments: GRPOConfig, forward: float = 1 / 3) -> float:
    """Return the FLOPs of a step relative to those of its forward and backward passes.

    A forward pass is a third of a forward and backward pass, or `forward` where weights are frozen. Each generation
    costs one forward pass for sampling, one for the reference model if there is a KL term, and one for the sampling
    policy's log-probabilities if a generation is used over several steps. It is used `num_iterations` times. With a
    cache, sampling too computes each position once.
    """
    serves = arguments.num_iterations
    several_steps = arguments.gradient_accumulation_steps % (arguments.steps_per_generation * serves) != 0
    return 1 + (1 + (arguments.beta != 0) + several_steps) * forward / serves
