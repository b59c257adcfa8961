"""Evaluation of a run: every model of the recipe on every task, one results file and one items file for each."""

import json
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from domain_tokens.corpora.sources import describe
from domain_tokens.provenance import (
    MANIFEST,
    RUN_CONFIG,
    environment,
    read_json,
    require,
    sha256_json,
    sha256_weights,
    write_json,
)
from domain_tokens.recipe import Recipe, RecipeError, to_yaml
from domain_tokens.tokenization.contract import intervention_of, load_tokenizer, tokenizer_sha256

if TYPE_CHECKING:
    from domain_tokens.evaluation.tasks import Item, Row, Task

logger = logging.getLogger(__name__)

_MADE_BY = {
    "pretrain_final": "scripts/run_pretrain.py",
    "sft_final": "scripts/run_sft.py",
    "grpo_final": "scripts/run_grpo.py",
}


def evaluate(recipe: Recipe) -> None:
    """Evaluate the models of a run; writes `eval/<model>/<task>_results.json` and `<task>_items.jsonl`.

    When all is done, `eval/manifest.json` names what it was made from.

    Results that were made from the same weights, tokenizer, data and parameters are kept.

    Raises:
        RecipeError: if a model or a task's data is missing or damaged, before anything is run.
    """
    logging.basicConfig(format="%(message)s")
    logging.getLogger("domain_tokens").setLevel(logging.INFO)
    transformers_logging.disable_progress_bar()  # a bar for every model that is read
    with torch.no_grad():  # lighteval turns gradients off when it is imported; leaving the block restores them
        from domain_tokens.evaluation.tasks import TASKS

        settings = recipe.evaluation
        rows = {name: TASKS[name].read_rows(recipe)[: settings.max_samples] for name in settings.tasks}
        models = {name: _identify_model(recipe, name) for name in settings.models}
        for model_name, identity in models.items():
            output = recipe.run_dir / "eval" / model_name
            pending = {
                name: full
                for name in settings.tasks
                if not _is_done(output, full := _identify_task(recipe, TASKS[name], rows[name]) | identity)
            }
            if pending:
                folder = recipe.run_dir / model_name
                model, tokenizer = load_model(folder), load_tokenizer(folder)
            for name, full in pending.items():
                logger.info("%s, %s: %d items", model_name, name, len(rows[name]))
                started = time.monotonic()
                results = _run(recipe, TASKS[name], rows[name], model, tokenizer, output)
                results = full | results | {"environment": environment()}
                write_json(
                    output / f"{name}_results.json", results | {"wall_time_s": round(time.monotonic() - started, 2)}
                )
                shown = ", ".join(f"{metric} {value:.3f}" for metric, value in results["metrics"].items())
                logger.info("%s, %s: %s", model_name, name, shown)
    data = (source for source in (settings.gsm8k, settings.hellaswag) if source is not None)
    (recipe.run_dir / "eval" / RUN_CONFIG).write_text(to_yaml(recipe), encoding="utf-8")
    inputs = {
        "weights": {name: identity["weights_sha256"] for name, identity in models.items()},
        "sources": [describe(source) for source in data],
    }
    write_json(recipe.run_dir / "eval" / MANIFEST, {"stage": "eval", "inputs": inputs})


def load_model(folder: Path) -> PreTrainedModel:
    """Load a model in 32-bit precision, in which close answers seldom change places between machines.

    Raises:
        RecipeError: if a weight is not a finite number.
    """
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for name, weights in model.named_parameters():
        if not torch.isfinite(weights).all():
            raise RecipeError(f"{folder}: {name} holds values that are not finite numbers; train the model again")
    model.generation_config = GenerationConfig()  # a saved one may hold a penalty, which changes greedy answers too
    return model


def _identify_model(recipe: Recipe, model_name: str) -> dict[str, Any]:
    """Check a model folder and return what identifies the model."""
    folder, made_by = recipe.run_dir / model_name, _MADE_BY[model_name]
    manifest = require(folder, made_by)
    expected = len(load_tokenizer(folder))
    vocab_size = read_json(folder / "config.json").get("vocab_size")
    if vocab_size != expected:
        raise RecipeError(
            f"{folder}/config.json: vocab_size: expected {expected} as the tokenizer has, got {vocab_size!r}; "
            f"remove the folder and run {made_by} again"
        )
    weights = sha256_weights(folder)
    recorded = manifest.get("reported", {}).get("weights_sha256", weights)
    if weights != recorded:
        raise RecipeError(
            f"{folder}: the weights ({weights[:12]}) are not those that the manifest records ({recorded[:12]}): "
            f"damaged or exchanged; remove the folder and run {made_by} again"
        )
    return {
        "condition": recipe.condition,
        "seed": recipe.seed,
        "model": model_name,
        "weights_sha256": weights,
        "tokenizer_sha256": tokenizer_sha256(folder),
    }


def _identify_task(recipe: Recipe, task: "Task", rows: "list[Row]") -> dict[str, Any]:
    return {
        "task": task.name,
        "task_version": task.version,
        "data_sha256": sha256_json(rows),
        "max_samples": recipe.evaluation.max_samples,
        "generation": task.generation(recipe.evaluation),
    }


def _is_done(output: Path, identity: dict[str, Any]) -> bool:
    results, items = (output / f"{identity['task']}_{file}" for file in ("results.json", "items.jsonl"))
    if not results.is_file() or not items.is_file():
        return False
    found = read_json(results)
    differing = [key for key, value in identity.items() if found.get(key) != value]
    if differing:
        logger.info("%s: made with other %s, made anew", results, ", ".join(differing))
    else:
        logger.info("%s, %s: complete, skipped", identity["model"], identity["task"])
    return not differing


def _run(
    recipe: Recipe,
    task: "Task",
    rows: "list[Row]",
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    output: Path,
) -> dict[str, Any]:
    """Run one model through one task, write the items and return the results."""
    from domain_tokens.evaluation.harness import run_task

    settings = recipe.evaluation
    num_too_long = _count_too_long(task, [task.num_tokens(row, settings, tokenizer) for row in rows], model)
    details = run_task(
        task.config(settings, intervention_of(tokenizer)),
        rows,
        model,
        recipe.run_dir / output.name,
        settings.batch_size,
    )
    items = [task.item(detail.doc, detail.model_response, detail.metric, tokenizer) for detail in details]
    scored = [item for item in items if task.is_scored(item)]
    set_apart = [item for item in items if not task.is_scored(item)]
    if not scored:
        raise RecipeError(f"evaluation.{task.name}: every item has a product among its choices: nothing to score")
    for older in ("results.json", "items_with_products.jsonl"):  # never beside newer items
        (output / f"{task.name}_{older}").unlink(missing_ok=True)
    _write_items(output / f"{task.name}_items.jsonl", scored)
    if set_apart:
        _write_items(output / f"{task.name}_items_with_products.jsonl", set_apart)
    return {"num_items": len(scored), **task.summarize(scored, set_apart), "num_too_long": num_too_long}


def _count_too_long(task: "Task", lengths: list[tuple[int, int]], model: PreTrainedModel) -> int:
    """Return how many items do not fit into the model's context: their prompts or their answers are cut."""
    num_positions = model.config.n_positions
    longest = max(answer for _, answer in lengths)
    if longest >= num_positions:
        raise RecipeError(
            f"evaluation: {task.name}: an answer of up to {longest} tokens does not fit into the model's "
            f"{num_positions} positions; lower evaluation.max_new_tokens or leave out the longest items"
        )
    num_too_long = sum(prompt + answer > num_positions for prompt, answer in lengths)
    if num_too_long:
        logger.warning("%s: %d of %d items do not fit into the model's context", task.name, num_too_long, len(lengths))
    return num_too_long


def _write_items(path: Path, items: "list[Item]") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        for item in items:
            file.write(json.dumps(item, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
