"""Pretraining: the stock Trainer, a native GPT-2, packed sequences read in the order of the corpus."""

import logging

import numpy as np
from transformers import Trainer, TrainingArguments, default_data_collator

from domain_tokens.corpora.shards import PackedSequences, Shards
from domain_tokens.recipe import Recipe, RecipeError, accumulation_steps
from domain_tokens.runs.files import read_json
from domain_tokens.runs.layout import MANIFEST, METRICS
from domain_tokens.runs.stage_folder import StageFolder, require
from domain_tokens.tokenization.contract import load_tokenizer, tokenizer_sha256
from domain_tokens.training import stage as ritual
from domain_tokens.training.accounting import Counter, ledger_entry
from domain_tokens.training.checkpoints import VerifyCheckpoints
from domain_tokens.training.metrics import MetricsLog, last_value, read_metrics
from domain_tokens.training.model import (
    context_length,
    flops_per_token,
    new_model,
    num_parameters,
    weights_sha256,
)

logger = logging.getLogger(__name__)


def pretrain(recipe: Recipe) -> None:
    """Train a condition's model from scratch; writes `pretrain_final`.

    Raises:
        RecipeError: if the corpus is missing or was made with another tokenizer, or the recipe does not fit.
    """
    ritual.start()
    sequence_length = context_length(recipe)
    tokens_per_step = recipe.budget.pretrain_tokens_per_step
    micro_batch = int(recipe.pretrain.get("per_device_train_batch_size", 8))
    accumulation = accumulation_steps(
        tokens_per_step, micro_batch * sequence_length, ritual.num_processes(), "budget.pretrain_tokens_per_step"
    )
    # In order and without a shuffle: the order of the corpus is the order of training, in every condition.
    values = recipe.pretrain | {"train_sampling_strategy": "sequential"}
    work = recipe.run_dir / "checkpoints" / "pretrain"
    arguments = ritual.build_arguments(TrainingArguments, recipe, "pretrain", values, work, accumulation)
    if arguments.max_steps <= 0:
        raise RecipeError(f"pretrain.max_steps: expected a whole number of at least 1, got {arguments.max_steps}")

    corpus = require(recipe.corpus_dir, "scripts/prepare_data.py")
    found = tokenizer_sha256(recipe.tokenizer_dir)
    if corpus["inputs"]["tokenizer_sha256"] != found:
        raise RecipeError(
            f"{recipe.corpus_dir}: its shards were made with another tokenizer "
            f"({corpus['inputs']['tokenizer_sha256'][:12]}, this run's is {found[:12]}); remove the folder and run "
            "scripts/prepare_data.py again"
        )
    stage = StageFolder(
        "pretrain",
        recipe.run_dir / "pretrain_final",
        {
            "seed": recipe.training_seed,
            "model": recipe.model,
            "pretrain": recipe.pretrain,
            "tokens_per_step": tokens_per_step,
            "corpus": read_json(recipe.corpus_dir / MANIFEST)["inputs"],
        },
    )
    if stage.is_complete():
        return
    tokenizer = load_tokenizer(recipe.tokenizer_dir)
    train = PackedSequences(Shards(recipe.corpus_dir / "train"), sequence_length, tokens_per_step // sequence_length)
    validation = PackedSequences(Shards(recipe.corpus_dir / "validation"), sequence_length)
    model = new_model(recipe, len(tokenizer))
    initial_weights = weights_sha256(model)
    parameters = num_parameters(model)
    per_token = flops_per_token(model.config, parameters, sequence_length)
    tokens = arguments.max_steps * tokens_per_step
    epoch_tokens = len(train) * sequence_length
    logger.info(
        "pretrain: %s parameters, %s steps of %s tokens, %s tokens in the corpus (%.2f epochs)",
        f"{parameters:,}", f"{arguments.max_steps:,}", f"{tokens_per_step:,}", f"{train.shards.num_tokens:,}",
        tokens / epoch_tokens,
    )  # fmt: skip
    train_corpus = corpus["reported"]["train"]
    matched = ritual.conditions(recipe, model, arguments) | {
        "steps": arguments.max_steps,
        "tokens_per_step": tokens_per_step,
        "tokens": tokens,
        "sequence_length": sequence_length,
        "flops": tokens * per_token,
        "initial_weights_sha256": initial_weights,
        "documents_sha256": corpus["inputs"]["documents_sha256"],
        "document_order_sha256": train_corpus["document_order_sha256"],
        "documents": train_corpus["documents"],
    }
    ritual.begin(recipe, stage, work, model, matched, corpus["inputs"]["sources"])
    counter = Counter()
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=train,
        eval_dataset=validation,
        data_collator=default_data_collator,
        processing_class=tokenizer,
        callbacks=[MetricsLog(work, tokens_per_step, per_token, {}), counter, VerifyCheckpoints()],
    )
    ritual.run(trainer, stage, work)
    if not any(row["step"] == arguments.max_steps and "eval_loss" in row for row in read_metrics(work / METRICS)):
        trainer.evaluate()
    rows = read_metrics(work / METRICS)
    reported = {
        "train_loss": last_value(rows, "loss"),
        "validation_loss": last_value(rows, "eval_loss"),
        "validation_tokens": len(validation) * sequence_length,
        "epochs": tokens / epoch_tokens,
        "tokenizer_sha256": found,
    }
    # Every sequence is full and their number follows from the steps, so these are computed and not counted.
    counts = {
        "tokens": tokens,
        "padding_tokens": 0,
        "examples": tokens // sequence_length,
        "source_bytes": source_bytes(recipe, train.shards, tokens, epoch_tokens),
    }
    entry = ledger_entry(
        trainer,
        recipe,
        counter,
        stage="pretrain",
        flops=tokens * per_token,
        dataset_tokens=train.shards.num_tokens,
        order=train_corpus["document_order_sha256"],
        initial_weights=initial_weights,
        counts=counts,
    )
    ritual.finish(trainer, recipe, stage, [work], [entry], matched, reported)


def source_bytes(recipe: Recipe, shards: Shards, tokens: int, epoch_tokens: int) -> int:
    """Return how many bytes of text the first `tokens` tokens stand for, over epochs of `epoch_tokens` tokens.

    A document that is read in part counts for the part of its tokens that is read.
    """
    sizes = np.load(recipe.corpus_dir / "train" / "bytes.npy")
    ends = np.concatenate([[0], shards.document_ends])
    bytes_at = np.concatenate([[0], np.cumsum(sizes)])
    epochs, rest = divmod(tokens, epoch_tokens)
    read = epochs * np.interp(epoch_tokens, ends, bytes_at) + np.interp(rest, ends, bytes_at)
    return int(read)
