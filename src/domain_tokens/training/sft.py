"""Supervised fine-tuning: TRL's SFTTrainer over the recipe's stages, one after another."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from domain_tokens.corpora.sources import describe
from domain_tokens.recipe import Recipe, RecipeError, SFTStage, accumulation_steps
from domain_tokens.runs.files import read_json, sha256_weights
from domain_tokens.runs.layout import MANIFEST, METRICS
from domain_tokens.runs.stage_folder import StageFolder, require
from domain_tokens.tokenization.contract import load_tokenizer, tokenizer_sha256
from domain_tokens.tokenization.facts import count_facts
from domain_tokens.training import stage as ritual
from domain_tokens.training.accounting import Counter, ledger_entry, training_flops
from domain_tokens.training.chat_data import prompt_completion, training_examples
from domain_tokens.training.checkpoints import VerifyCheckpoints
from domain_tokens.training.metrics import MetricsLog, last_value, read_metrics
from domain_tokens.training.model import context_length, load_model, num_parameters

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
    # The column with the bytes of each example has to reach the trainer, which counts them.
    values = recipe.sft | stage.args | {"completion_only_loss": True, "remove_unused_columns": False}
    for key in ("packing", "padding_free"):
        if values.get(key):
            raise RecipeError(f"sft.{key}: not supported: examples and padding are counted by rows; leave it out")
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
    inputs: dict[str, Any] = {
        "seed": recipe.training_seed,
        "sft": recipe.sft,
        "args": stage.args,
        "examples_per_step": per_step,
        "sources": [describe(source) for one in recipe.sft_stages[: number + 1] for source in one.sources],
        "examples": account,
        "weights": {start.name: before["reported"]["weights_sha256"]},
        "tokenizer_sha256": tokenizer_sha256(recipe.tokenizer_dir),
    }
    folder = StageFolder("sft", target, inputs)
    if folder.is_complete():
        return
    if sha256_weights(start) != before["reported"]["weights_sha256"]:
        raise RecipeError(f"{start}: its weights are not those of its manifest; run {made_by} again")
    model = load_model(start, len(tokenizer))
    parameters = num_parameters(model)
    conditions = ritual.conditions(recipe, model, arguments)
    this = {"name": stage.name, "examples_per_step": per_step, **account, "trainer": conditions.pop("trainer")}
    earlier: dict[str, Any] = {"matched": {"stages": []}, "ledger": []}
    if number > 0:
        earlier = read_json(start / MANIFEST)
    matched = conditions | {"stages": [*earlier["matched"]["stages"], this]}
    ritual.begin(recipe, folder, work, model, matched, inputs["sources"])
    num_bytes = [len((example.question + example.answer).encode()) for example in examples]
    counter = Counter()
    trainer = _CountingTrainer(
        model=model,
        args=arguments,
        train_dataset=prompt_completion(examples).add_column("source_bytes", num_bytes),
        processing_class=tokenizer,
        callbacks=[MetricsLog(work, 0, 0.0, {"stage": stage.name}), counter, VerifyCheckpoints()],
    )
    trainer.count_with(counter)
    tokens = _count(trainer.train_dataset, len(examples))
    ritual.run(trainer, folder, work)
    entry = ledger_entry(
        trainer,
        recipe,
        counter,
        stage=f"sft/{stage.name}",
        flops=training_flops(model.config, parameters, counter),
        dataset_tokens=tokens["tokens_per_epoch"],
        order=account["example_order_sha256"],
        initial_weights=before["reported"]["weights_sha256"],
    )
    metrics = [start, work] if number > 0 else [work]
    rows = read_metrics(work / METRICS)
    reported = {**tokens, "train_loss": last_value(rows, "loss")}
    ritual.finish(trainer, recipe, folder, metrics, [*earlier["ledger"], entry], matched, reported)


class _CountingTrainer(SFTTrainer):
    """`SFTTrainer` that counts each micro batch as it computes on it, in the process that does."""

    data_collator: Callable[..., dict[str, Any]]

    def count_with(self, counter: Counter) -> None:
        self._counter = counter
        self.data_collator = partial(_with_source_bytes, self.data_collator)

    def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], *args: Any, **kwargs: Any) -> Any:
        source_bytes = inputs.pop("source_bytes")
        if self.model.training:
            self._counter.add(source_bytes=source_bytes.sum())
            self._counter.add_rows(inputs["attention_mask"])
        return super().compute_loss(model, inputs, *args, **kwargs)


def _with_source_bytes(collate: Callable[..., dict[str, Any]], rows: list[dict[str, Any]]) -> dict[str, Any]:
    return collate(rows) | {"source_bytes": torch.tensor([row["source_bytes"] for row in rows])}


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
