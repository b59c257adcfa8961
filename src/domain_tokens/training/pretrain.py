"""Pretraining: a Trainer on packed sequences of documents that the seed drew, with what is saved as a native GPT-2."""

import logging
import os
import shutil
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
from pydantic import JsonValue
from transformers import GPT2LMHeadModel, Trainer, TrainingArguments

from domain_tokens.corpora.preparation.checking import check_shards
from domain_tokens.corpora.shards import DrawnDocuments, PackedSequences, Shards, drawn_sha256
from domain_tokens.corpora.sizes import check_epochs, training_documents
from domain_tokens.recipe import Recipe, RecipeError, accumulation_steps, micro_batch
from domain_tokens.runs.checkpoints.retention import Retention
from domain_tokens.runs.layout import METRICS, SAMPLES
from domain_tokens.runs.records import Fields, Manifest, MetricsRow
from domain_tokens.runs.settings import derived_arguments
from domain_tokens.tokenization.contract import base_sha256, intervention_of
from domain_tokens.training.callbacks.accounting import Consumption, Counter
from domain_tokens.training.callbacks.metrics import MetricsLog, Work, last_value, read_metrics
from domain_tokens.training.callbacks.samples import TextSamples, beginnings
from domain_tokens.training.forward.full_sequences import for_full_sequences
from domain_tokens.training.forward.number_loss import NumberTokenLoss
from domain_tokens.training.inputs import require_corpus, stage_inputs
from domain_tokens.training.model import (
    computed_parameters,
    context_length,
    flops_per_token,
    new_model,
    num_parameters,
    start_at_digits,
    weights_sha256,
)
from domain_tokens.training.stage import TrainingRun, build_arguments, matched_settings, num_processes, start_process
from domain_tokens.training.trainers.checkpoints import CheckpointTrainer
from domain_tokens.training.trainers.full_batches import FullBatchTrainer, with_labels
from domain_tokens.training.trainers.number_tokens import NumberTokenTrainer

logger = logging.getLogger(__name__)


def pretrain(recipe: Recipe, allow_change: bool = False, profile: bool = False) -> None:
    """Train a condition's model from scratch and write `pretrain_final`.

    Args:
        recipe (`Recipe`): the run.
        allow_change (`bool`, *optional*, defaults to `False`): see `TrainingRun.execute`.
        profile (`bool`, *optional*, defaults to `False`): the same.

    Raises:
        RecipeError: if the corpus is missing or was made with another tokenizer, or the recipe is inconsistent.
    """
    start_process()
    Pretraining(recipe).execute(allow_change, profile)


class Pretraining(TrainingRun):
    """The pretraining of one condition and seed.

    Attributes:
        sequence_length: tokens per training sequence, which is the model's context length.
        tokens_per_step: tokens per optimizer step over all processes.
    """

    name = ledger_name = "pretrain"

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, "pretrain")
        self.sequence_length = context_length(recipe)
        self.tokens_per_step = recipe.budget.pretrain_tokens_per_step
        values = recipe.pretrain | derived_arguments(recipe, "pretrain")
        accumulation = accumulation_steps(
            self.tokens_per_step,
            micro_batch(values) * self.sequence_length,
            num_processes(),
            "budget.pretrain_tokens_per_step",
        )
        # The trainer does not shuffle: documents come in the order that the seed drew, the same in every condition.
        own: Fields = {"train_sampling_strategy": "sequential"}
        self.arguments = build_arguments(
            TrainingArguments, recipe, "pretrain", values, self.paths.work, accumulation, own
        )  # fmt: skip
        if self.arguments.max_steps <= 0:
            raise RecipeError(
                f"pretrain.max_steps: expected a whole number of at least 1, got {self.arguments.max_steps}"
            )

    @cached_property
    def corpus(self) -> Manifest:
        """The corpus manifest, which the shards were compared with.

        Raises:
            RecipeError: if it is missing or was made with another tokenizer, or a shard is not what it says.
        """
        manifest = require_corpus(self.recipe)
        if os.environ.get("LOCAL_RANK", "0") == "0":  # one process of each machine
            check_shards(self.recipe.corpus_dir, manifest)
        return manifest

    def inputs(self) -> Fields:
        """Return the model, the trainer settings, the tokens per step, and the inputs of the corpus."""
        return stage_inputs(self.recipe, self.stage, {})

    @cached_property
    def documents(self) -> DrawnDocuments:
        """The training documents of this seed, in the order in which they are read."""
        return training_documents(self.recipe)

    @cached_property
    def train(self) -> PackedSequences:
        """The training sequences, a whole number of optimizer steps. Raises `RecipeError` if there are too few."""
        check_epochs(self.recipe, self.documents.num_tokens, self.tokens)
        return PackedSequences(self.documents, self.sequence_length, self.tokens_per_step // self.sequence_length)

    @cached_property
    def validation(self) -> PackedSequences:
        """The validation sequences that an evaluation reads: all, or as many as `monitoring.validation_tokens`."""
        shards, most = Shards(self.recipe.corpus_dir / "validation"), self.recipe.monitoring.validation_tokens
        if most is None or most >= shards.num_tokens:
            return PackedSequences(shards, self.sequence_length)
        in_order = np.arange(len(shards.document_ends))
        return PackedSequences(DrawnDocuments(shards, in_order, most), self.sequence_length)

    @property
    def retention(self) -> Retention:
        """Which checkpoints are kept, and at how many tokens the weights for the learning curves."""
        every = self.recipe.keep_weights_every_tokens
        return Retention(self.arguments.save_total_limit, every, self.tokens_per_step)

    @property
    def tokens(self) -> int:
        """The number of tokens that the stage trains on."""
        return self.arguments.max_steps * self.tokens_per_step

    @property
    def epoch_tokens(self) -> int:
        """The number of tokens in one pass over the corpus, without a last partial step."""
        return len(self.train) * self.sequence_length

    @cached_property
    def model(self) -> GPT2LMHeadModel:
        """The untrained model, which depends only on `model`, the seed of weights and the vocabulary size.

        With `fact_rows: digit_mean`, the facts' rows are then replaced.
        """
        model = new_model(self.recipe, len(self.tokenizer))
        if self.recipe.fact_rows == "digit_mean":
            start_at_digits(model, self.tokenizer)
        for_full_sequences(model)
        return model

    @property
    def rows_of_facts(self) -> slice:
        """The embedding rows from the first fact's to the last, the same in every condition."""
        return slice(len(self.tokenizer) - intervention_of(self.tokenizer).num_ids, len(self.tokenizer))

    @property
    def flops_per_token(self) -> float:
        """FLOPs of a forward and backward pass per token."""
        return flops_per_token(self.model.config, computed_parameters(self.model), self.sequence_length)

    @cached_property
    def matched(self) -> dict[str, JsonValue]:
        """Model, trainer, compute, initial weights and data."""
        _ = self.train  # a corpus that is too small is refused before anything is written
        train = cast(Fields, self.corpus.reported["train"])
        # Of GPT-2's base nothing is recorded: every tokenizer is checked against its hashes.
        base: dict[str, JsonValue] = {}
        if self.recipe.base_vocabulary.kind != "gpt2":
            base = {"base_vocabulary_sha256": list(base_sha256(self.tokenizer))}
        compute: dict[str, JsonValue] = {
            "steps": self.arguments.max_steps,
            "tokens_per_step": self.tokens_per_step,
            "tokens": self.tokens,
            "sequence_length": self.sequence_length,
            "flops": self.tokens * self.flops_per_token,
            "initial_weights_sha256": weights_sha256(self.model),
            # Of all weights but the facts' rows, which may start elsewhere (`fact_rows`).
            "other_initial_weights_sha256": weights_sha256(self.model, without_rows=self.rows_of_facts),
            "documents_sha256": self.corpus.inputs["documents_sha256"],
            "document_order_sha256": drawn_sha256(str(train["document_order_sha256"]), self.documents.drawn),
            "documents": len(self.documents.drawn),
        }
        return base | matched_settings(self.recipe, self.stage, self.model, self.arguments) | compute

    def make_trainer(self, counter: Counter) -> CheckpointTrainer:
        """Return the trainer of full batches, or the one with the number-token loss if the recipe asks for it.

        Nothing is counted, because every sequence is full.
        """
        logger.info(
            "pretrain: %s parameters, %s steps of %s tokens, %s tokens in the corpus (%.2f epochs)",
            f"{num_parameters(self.model):,}", f"{self.arguments.max_steps:,}", f"{self.tokens_per_step:,}",
            f"{self.train.stream.num_tokens:,}", self.tokens / self.epoch_tokens,
        )  # fmt: skip
        kind = NumberTokenTrainer if self.recipe.number_token_loss else FullBatchTrainer
        trainer = kind(
            model=self.model,
            args=self.arguments,
            train_dataset=self.train,
            eval_dataset=self.validation,
            data_collator=with_labels,
            processing_class=self.tokenizer,
        )
        if isinstance(trainer, NumberTokenTrainer):
            trainer.number_loss = NumberTokenLoss(self.model, self.tokenizer, self.recipe.number_token_loss)
        if (settings := self.recipe.monitoring).samples:
            documents = self.recipe.documents_dir / "validation"
            texts = beginnings(documents, settings, self.tokenizer, self.sequence_length)
            # Before the log of metrics, whose clock leaves out an evaluation up to its own turn.
            trainer.add_callback(TextSamples(self.paths.work, settings, texts, self.tokenizer))
        return trainer

    def metrics_log(self, counter: Counter) -> MetricsLog:
        """Return a log whose speeds follow from the number of steps, because every sequence is full."""
        sequences, per_token = self.tokens_per_step // self.sequence_length, self.flops_per_token

        def work_at(step: int) -> Work:
            tokens = step * self.tokens_per_step
            return Work(tokens, step * sequences, tokens * per_token)

        return MetricsLog(self.paths.work, work_at)

    def after_training(self, trainer: Trainer) -> None:
        """Evaluate after the last step, unless the trainer has already done so."""
        rows = read_metrics(self.paths.work / METRICS)
        if not any(row.step == self.arguments.max_steps and row.value("eval_loss") is not None for row in rows):
            trainer.evaluate()

    def write_lists(self, folder: Path) -> None:
        """Keep the continuations that were drawn on the way, if there are any."""
        if (drawn := self.paths.work / SAMPLES).is_file():
            shutil.copy2(drawn, folder / SAMPLES)

    def consumed(self, counter: Counter) -> Consumption:
        """Return the numbers, which follow from the steps because every sequence is full."""
        return Consumption(
            flops=self.tokens * self.flops_per_token,
            dataset_tokens=self.documents.num_tokens,
            order_sha256=str(self.matched["document_order_sha256"]),
            initial_weights_sha256=str(self.matched["initial_weights_sha256"]),
            counts={
                "tokens": self.tokens,
                "padding_tokens": 0,
                "generated_tokens": 0,
                "examples": self.tokens // self.sequence_length,
                "source_bytes": source_bytes(self.recipe, self.documents, self.tokens, self.epoch_tokens),
            },
        )

    def reported(self, rows: list[MetricsRow]) -> Fields:
        """Return the last losses, the number of epochs and of documents, and the tokenizer's hash."""
        return {
            "train_loss": last_value(rows, "loss"),
            "validation_loss": last_value(rows, "eval_loss"),
            "validation_tokens": len(self.validation) * self.sequence_length,
            "epochs": self.tokens / self.epoch_tokens,
            "documents_read": documents_read(self.documents, self.tokens, self.epoch_tokens),
            "tokenizer_sha256": self.corpus.inputs["tokenizer_sha256"],
        }


def documents_read(documents: DrawnDocuments, tokens: int, epoch_tokens: int) -> int:
    """Return how many documents the first `tokens` tokens begin, each counted once an epoch of `epoch_tokens`."""
    epochs, rest = divmod(tokens, epoch_tokens)
    begun = [int(np.searchsorted(documents.document_ends, end)) + 1 if end else 0 for end in (epoch_tokens, rest)]
    return epochs * begun[0] + begun[1]


def source_bytes(recipe: Recipe, documents: DrawnDocuments, tokens: int, epoch_tokens: int) -> int:
    """Return the number of bytes of text in the first `tokens` tokens, with epochs of `epoch_tokens` tokens.

    A partly read document counts in proportion to its tokens that are read.
    """
    sizes = np.load(recipe.corpus_dir / "train" / "bytes.npy")[documents.drawn]
    ends = np.concatenate([[0], documents.document_ends])
    bytes_at = np.concatenate([[0], np.cumsum(sizes)])
    epochs, rest = divmod(tokens, epoch_tokens)
    read = epochs * np.interp(epoch_tokens, ends, bytes_at) + np.interp(rest, ends, bytes_at)
    return int(read)
