"""Supervised fine-tuning: TRL's SFTTrainer, run once per stage of the recipe."""

import copy
import logging
from dataclasses import replace
from functools import cached_property
from typing import cast

from accelerate.state import AcceleratorState
from datasets import Dataset
from pydantic import JsonValue
from transformers import Trainer
from trl import SFTConfig

from domain_tokens.corpora.examples import Example
from domain_tokens.recipe import Recipe, RecipeError, accumulation_steps, check_packing, micro_batch
from domain_tokens.recipe.micro_batch import is_packed, num_per_step, step_of
from domain_tokens.runs.layout import stage_paths
from domain_tokens.runs.records import Fields, MetricsRow
from domain_tokens.runs.settings import derived_arguments
from domain_tokens.tokenization.contract import id_ranges
from domain_tokens.tokenization.facts import IdRanges, count_facts
from domain_tokens.training.callbacks.accounting import Consumption, Counter
from domain_tokens.training.callbacks.metrics import MetricsLog, last_value
from domain_tokens.training.forward.number_loss import NumberTokenLoss
from domain_tokens.training.inputs import Predecessor
from domain_tokens.training.model import context_length
from domain_tokens.training.post_training.adapters import give_head_its_bias
from domain_tokens.training.post_training.base import PostTrainingRun
from domain_tokens.training.post_training.chat_data import (
    ExampleAccount,
    base_lengths,
    conversations,
    order_sha256,
    prompt_completion,
    training_examples,
)
from domain_tokens.training.post_training.packed_rows import packed_order, packed_steps
from domain_tokens.training.stage import build_arguments, matched_settings, num_processes, start_process
from domain_tokens.training.trainers.answers import AnswerTrainer
from domain_tokens.training.trainers.checkpoints import CheckpointTrainer

logger = logging.getLogger(__name__)


def sft(recipe: Recipe, allow_change: bool = False, profile: bool = False) -> None:
    """Fine-tune the pretrained model in all stages and write `sft_final`.

    Args:
        recipe (`Recipe`): the run.
        allow_change (`bool`, *optional*, defaults to `False`): see `TrainingRun.execute`.
        profile (`bool`, *optional*, defaults to `False`): the same.

    Raises:
        RecipeError: if the pretrained model or a data set is missing, or the recipe is inconsistent.
    """
    start_process()
    if not recipe.sft_stages:
        raise RecipeError("sft_stages: empty, so this run has no fine-tuning; expected at least one stage")
    own = stage_paths(recipe)
    numbers = [number for number, stage in enumerate(recipe.sft_stages) if f"sft_{stage.name}" in own]
    for number in numbers or [0]:  # the first one says why the run has none of its own
        FineTuning(recipe, number).execute(allow_change, profile)
        AcceleratorState._reset_state()  # the next trainer has its own batch size and DeepSpeed settings


class FineTuning(PostTrainingRun):
    """One stage of supervised fine-tuning of one condition and seed.

    Args:
        recipe (`Recipe`): the run.
        number (`int`): the stage's index in `sft_stages`.
    """

    name = "sft"
    _epoch: dict[str, int]  # counts of the data as prepared by the trainer

    def __init__(self, recipe: Recipe, number: int) -> None:
        self.settings = recipe.sft_stages[number]
        self.held_out: list[Example] = []
        super().__init__(recipe, f"sft_{self.settings.name}")
        self.number = number
        self.ledger_name = f"sft/{self.settings.name}"
        # The trainer counts bytes, so the column with the bytes of each example must not be removed.
        values = recipe.sft | self.settings.args | derived_arguments(recipe, self.stage)
        loss = "assistant_only_loss" if self.settings.has_conversations else "completion_only_loss"
        own: Fields = {loss: True, "remove_unused_columns": False}
        self.is_packed = is_packed(values)
        key, unit = step_of(recipe, self.stage)
        self.num_per_step = num_per_step(recipe, self.stage)
        self.rows_per_step = self.num_per_step // unit
        accumulation = accumulation_steps(self.num_per_step, micro_batch(values) * unit, num_processes(), key)
        self.arguments: SFTConfig = build_arguments(
            SFTConfig, recipe, "sft", values, self.paths.work, accumulation, own
        )
        n_positions, max_length = context_length(recipe), self.arguments.max_length
        if max_length is None or max_length > n_positions:
            raise RecipeError(f"sft.max_length: expected at most model.n_positions ({n_positions}), got {max_length}")
        if self.is_packed:
            check_packing(recipe, "sft", self.arguments)
        if recipe.budget.sft_loss == "example" and (
            self.arguments.loss_type,
            self.arguments.label_smoothing_factor,
        ) != ("nll", 0):
            raise RecipeError(
                "budget.sft_loss: 'example' is a mean of plain losses; remove sft.loss_type and "
                "sft.label_smoothing_factor, or use budget.sft_loss=token"
            )

    @property
    def earlier(self) -> Predecessor | None:
        """The previous fine-tuning stage, whose ledger `sft_final` continues."""
        return self.before if self.number > 0 else None

    def read_examples(self) -> tuple[list[Example], ExampleAccount]:
        """Read the questions and answers that fit into `sft.max_length` tokens."""
        where, length = f"sft_stages.{self.settings.name}", self.arguments.max_length
        examples, account = training_examples(self.recipe, self.settings.portions, where, self.tokenizer, length)
        if not (wanted := self.settings.validation_items):
            return examples, account
        if wanted >= len(examples):
            raise RecipeError(
                f"{where}.validation_items: expected fewer than the {len(examples)} examples, got {wanted}"
            )
        held_out = {index * len(examples) // wanted for index in range(wanted)}
        self.held_out = [examples[index] for index in sorted(held_out)]
        trained = [example for index, example in enumerate(examples) if index not in held_out]
        order = order_sha256(trained)
        return trained, replace(
            account, examples=len(trained), examples_held_out=len(self.held_out), example_order_sha256=order
        )

    @cached_property
    def matched(self) -> dict[str, JsonValue]:
        """The model, the software, and the trainer settings and data of this and the previous stages."""
        shared = matched_settings(self.recipe, self.stage, self.model, self.arguments)
        this = {
            "name": self.settings.name,
            "tokens_per_step" if self.is_packed else "examples_per_step": self.num_per_step,
            **({"packed_steps": self.packed_steps} if self.is_packed else {}),
            "loss": self.recipe.budget.sft_loss,
            **self.matched_adapters(),
            **self.account.as_fields(),
            "trainer": shared.pop("trainer"),
        }
        stages = [] if self.earlier is None else cast(list[JsonValue], self.earlier.manifest.matched["stages"])
        return shared | {"stages": [*stages, this]}

    @cached_property
    def packed_steps(self) -> int:
        """The steps of a packed stage, the same in every condition.

        Without `max_steps`, they are those that `num_train_epochs` take in the base's encoding. A condition that
        writes the examples in fewer tokens goes on into its next epoch.
        """
        if self.arguments.max_steps > 0:
            return int(self.arguments.max_steps)
        lengths = base_lengths(self.examples, self.tokenizer)
        epochs, seed = self.arguments.num_train_epochs, self.recipe.seed_of["order"]
        return packed_steps(lengths, context_length(self.recipe), self.rows_per_step, epochs, seed)

    def _trl_arguments(self) -> SFTConfig:
        # Examples are chosen by their length under the base; TRL would cut one that a condition writes in more tokens.
        arguments = copy.copy(self.arguments)
        arguments.max_length = None
        if self.is_packed:
            # TRL prepares examples that are not packed, and a collator that can join them; see `PackedRows`.
            arguments.packing, arguments.padding_free = False, True
            arguments.max_steps = self.packed_steps
        return arguments

    def make_trainer(self, counter: Counter) -> CheckpointTrainer:
        """Return TRL's trainer over the questions and answers."""
        arguments = self._trl_arguments()
        trainer = AnswerTrainer(
            model=self.model,
            args=arguments,
            train_dataset=_rows(self.examples, self.settings.has_conversations),
            eval_dataset=_rows(self.held_out, self.settings.has_conversations) if self.held_out else None,
            processing_class=self.tokenizer,
            peft_config=self.peft_config,
        )
        give_head_its_bias(self.model)
        trainer.count_with(counter)
        trainer.per_example = self.recipe.budget.sft_loss == "example"
        if self.recipe.number_token_loss:
            trainer.number_loss = NumberTokenLoss(self.model, self.tokenizer, self.recipe.number_token_loss)
        encoded, n_positions = trainer.train_dataset, self.model.config.n_positions
        self._epoch = _count(encoded, len(self.examples), id_ranges(self.tokenizer))
        _check_length(encoded, n_positions)
        if self.is_packed:
            lengths, num_rows = [*map(len, encoded["input_ids"])], self.packed_steps * self.rows_per_step
            trainer.pack(packed_order(lengths, n_positions, num_rows, self.recipe.seed_of["order"]), n_positions)
        return trainer

    def after_training(self, trainer: Trainer) -> None:
        """Measure the loss on the examples that were held out, if any."""
        if self.held_out:
            trainer.evaluate()

    def metrics_log(self, counter: Counter) -> MetricsLog:
        """Return a log with the stage's name in every row."""
        return MetricsLog(self.paths.work, self.work_at(counter), stage=self.settings.name)

    def consumed(self, counter: Counter) -> Consumption:
        """Return the FLOPs, and the size and order of the data."""
        return Consumption(
            flops=self.training_flops(counter),
            dataset_tokens=self._epoch["tokens_per_epoch"],
            order_sha256=self.account.example_order_sha256,
            initial_weights_sha256=self.before.weights_sha256,
            packed=self.is_packed,
            trained_parameters=None if self.adapters is None else self.adapters.trained,
        )

    def reported(self, rows: list[MetricsRow]) -> Fields:
        """Return the number of tokens per epoch and the last losses."""
        validation = {"validation_loss": last_value(rows, "eval_loss")} if self.held_out else {}
        return {**self._epoch, "train_loss": last_value(rows, "loss"), **validation}


def _rows(examples: list[Example], have_turns: bool) -> Dataset:
    num_bytes = [len("".join(example.texts).encode()) for example in examples]
    rows = conversations(examples) if have_turns else prompt_completion(examples)
    return rows.add_column("source_bytes", num_bytes)


def _check_length(dataset: Dataset, n_positions: int) -> None:
    longest = max(map(len, dataset["input_ids"]))
    if longest > n_positions:
        raise RecipeError(
            f"sft.max_length: an example that fits takes {longest} tokens in this condition's tokenizer, more than "
            f"the {n_positions} positions of the model; lower sft.max_length in all conditions"
        )


def _count(dataset: Dataset, num_examples: int, ids: IdRanges) -> dict[str, int]:
    """Count the tokens, the learned tokens, and the facts of one epoch: those learned, and those read in questions.

    Raises:
        RuntimeError: if the trainer dropped an example.
    """
    if len(dataset) != num_examples:
        raise RuntimeError(f"expected {num_examples} examples after the trainer's preparation, got {len(dataset)}")
    tokens = learned = facts = in_answers = 0
    for row, labels in zip(dataset["input_ids"], dataset["labels"], strict=True):
        tokens += len(row)
        facts += count_facts(row, ids)
        answer = [label for label in labels if label != -100]
        learned += len(answer)
        in_answers += count_facts(answer, ids)
    return {
        "tokens_per_epoch": tokens,
        "learned_tokens_per_epoch": learned,
        "facts_learned_per_epoch": in_answers,
        "facts_in_questions_per_epoch": facts - in_answers,
    }
