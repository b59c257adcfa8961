"""Supervised fine-tuning: TRL's SFTTrainer over the recipe's stages, one after another."""

import logging
from pathlib import Path
from typing import Any

from accelerate.state import AcceleratorState
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from domain_tokens.corpora.sources import describe
from domain_tokens.provenance import MANIFEST, Stage, read_json, require, sha256_weights
from domain_tokens.recipe import Recipe, RecipeError, SFTStage, accumulation_steps
from domain_tokens.tokenization.contract import load_tokenizer, tokenizer_sha256
from domain_tokens.tokenization.facts import count_facts
from domain_tokens.training import ritual
from domain_tokens.training.chat_data import prompt_completion, training_examples
from domain_tokens.training.checkpoints import VerifyCheckpoints
from domain_tokens.training.metrics import METRICS, MetricsLog, last_value, read_metrics
from domain_tokens.training.model import context_length, flops_per_token, load_model, num_parameters

logger = logging.getLogger(__name__)


def sft(recipe: Recipe) -> None:
    """Fine-tune the pretrained model through all stages; the last one's folder is `sft_final`.

    Raises:
        RecipeError: if the pretrained model or a data set is missing, or the recipe does not fit.
    """
    ritual.start()
    if not recipe.sft_stages:
        raise RecipeError("sft_stages: empty; expected at least one stage")
    folder, made_by = recipe.run_dir / "pretrain_final", "scripts/run_pretrain.py"
    for number, stage in enumerate(recipe.sft_stages):
        is_last = number == len(recipe.sft_stages) - 1
        target = recipe.run_dir / ("sft_final" if is_last else f"sft_{stage.name}")
        _run_stage(recipe, number, stage, folder, made_by, target)
        folder, made_by = target, "scripts/run_sft.py"
        AcceleratorState._reset_state()  # the next trainer brings its own batch size and DeepSpeed settings


def _run_stage(recipe: Recipe, number: int, stage: SFTStage, start: Path, made_by: str, target: Path) -> None:
    where = f"sft_stages.{stage.name}"
    values = recipe.sft | stage.args | {"completion_only_loss": True}
    per_step = recipe.budget.sft_examples_per_step
    micro_batch = int(values.get("per_device_train_batch_size", 8))
    accumulation = accumulation_steps(per_step, micro_batch, ritual.num_processes(), "budget.sft_examples_per_step")
    work = recipe.run_dir / "checkpoints" / f"sft_{stage.name}"
    arguments = ritual.build_arguments(SFTConfig, recipe, "sft", values, work, accumulation)
    n_positions = context_length(recipe)
    if arguments.max_length is None or arguments.max_length > n_positions:
        raise RecipeError(
            f"sft.max_length: expected at most model.n_positions ({n_positions}), got {arguments.max_length}"
        )
    before = require(start, made_by)
    tokenizer = load_tokenizer(recipe.tokenizer_dir)
    examples, account = training_examples(recipe, stage.sources, where, tokenizer, arguments.max_length)
    inputs = {
        "seed": recipe.training_seed,
        "sft": recipe.sft,
        "args": stage.args,
        "examples_per_step": per_step,
        "sources": [describe(source) for one in recipe.sft_stages[: number + 1] for source in one.sources],
        "examples": account,
        "weights": {start.name: before["reported"]["weights_sha256"]},
        "tokenizer_sha256": tokenizer_sha256(recipe.tokenizer_dir),
    }
    folder = Stage("sft", target, inputs)
    if folder.is_complete():
        return
    if sha256_weights(start) != before["reported"]["weights_sha256"]:
        raise RecipeError(f"{start}: its weights are not those of its manifest; run {made_by} again")
    model = load_model(start, len(tokenizer))
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=prompt_completion(examples),
        processing_class=tokenizer,
        callbacks=[MetricsLog(work, 0, 0.0, {"stage": stage.name}), VerifyCheckpoints()],
    )
    tokens = _count(trainer.train_dataset, len(examples))
    per_token = flops_per_token(model.config, num_parameters(model), tokens["tokens_per_epoch"] // len(examples))
    ritual.run(trainer, folder, work)
    this = {
        "name": stage.name,
        "steps": trainer.state.global_step,
        "examples_per_step": per_step,
        **account,
        "trainer": ritual.settings(arguments),
    }
    matched: dict[str, Any] = {"stages": [this]}
    metrics = [work]
    if number > 0:
        earlier = read_json(start / MANIFEST)["matched"]["stages"]
        matched["stages"] = [*earlier, this]
        metrics = [start, work]
    rows = read_metrics(work / METRICS)
    tokens_read = int(last_value(rows, "num_tokens") or 0)
    reported = {
        "tokens": tokens_read,
        "flops": tokens_read * per_token,
        **tokens,
        "train_loss": last_value(rows, "loss"),
    }
    ritual.finish(trainer, recipe, folder, metrics, matched, reported)


def _count(dataset: Dataset, num_examples: int) -> dict[str, int]:
    """Count the tokens that are read and learned in one epoch; every example must have come through whole."""
    if len(dataset) != num_examples:
        raise RuntimeError(f"{num_examples} examples went in, {len(dataset)} came out of the trainer's preparation")
    tokens = learned = facts = 0
    for ids, labels in zip(dataset["input_ids"], dataset["labels"], strict=True):
        tokens += len(ids)
        answer = [label for label in labels if label != -100]
        learned += len(answer)
        facts += count_facts(answer)
    return {"tokens_per_epoch": tokens, "learned_tokens_per_epoch": learned, "facts_learned_per_epoch": facts}
