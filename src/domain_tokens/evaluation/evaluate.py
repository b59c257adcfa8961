"""Evaluation of a run: every model of the recipe on every task, one results file and one items file for each."""

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from domain_tokens.corpora.sources import describe
from domain_tokens.evaluation.answers.answer import AnswerReader
from domain_tokens.evaluation.models.inference import Decoding
from domain_tokens.recipe import Recipe, RecipeError, to_yaml
from domain_tokens.runs.files import read_json, sha256_file, sha256_json, sha256_weights, write_json
from domain_tokens.runs.layout import MANIFEST, RUN_CONFIG
from domain_tokens.runs.provenance import environment
from domain_tokens.runs.stage_folder import require
from domain_tokens.tokenization.contract import intervention_of, load_tokenizer, tokenizer_sha256
from domain_tokens.tokenization.facts import FIRST_FACT_ID
from domain_tokens.tokenization.intervention import load_canonical_table

if TYPE_CHECKING:
    from domain_tokens.evaluation.tasks._base import Item, Row, Task

logger = logging.getLogger(__name__)

_MADE_BY = {
    "pretrain_final": "scripts/run_pretrain.py",
    "sft_final": "scripts/run_sft.py",
    "grpo_final": "scripts/run_grpo.py",
}

# The ways of running a task. The ids behind GPT-2's padded vocabulary are the same range in every condition: where no
# intervention uses them, neither ablation changes an answer.
PLAIN = "plain"
FORBIDDEN = "facts_forbidden"  # the ids are never written
EXCHANGED = "facts_exchanged"  # each id is read as the next one: a model that uses its tokens is misled
SAMPLED = "sampled"  # several answers a question, drawn at a temperature


@dataclass(frozen=True)
class TaskRun:
    """One task run in one way."""

    task: "Task"
    mode: str
    rows: "list[Row]"

    @property
    def file_stem(self) -> str:
        """`gsm8k`, or `gsm8k.facts_forbidden` for a way other than the plain one."""
        return self.task.name if self.mode == PLAIN else f"{self.task.name}.{self.mode}"


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
        settings = recipe.evaluation
        task_runs = read_task_runs(recipe)
        models, tokenizers = {}, {}
        for name in settings.models:
            require(recipe.run_dir / name, _MADE_BY[name])
            tokenizers[name] = load_tokenizer(recipe.run_dir / name)
            models[name] = _identify_model(recipe, name, len(tokenizers[name]))
        for model_name, identity in models.items():
            last = model_name == settings.models[-1]
            # Ablations belong to the run's last model; they say whether what was trained uses its tokens.
            wanted = [task_run for task_run in task_runs if last or task_run.mode in (PLAIN, SAMPLED)]
            output = recipe.run_dir / "eval" / model_name
            run_tasks(recipe, wanted, recipe.run_dir / model_name, tokenizers[model_name], identity, output)
    (recipe.run_dir / "eval" / RUN_CONFIG).write_text(to_yaml(recipe), encoding="utf-8")
    inputs = {
        "weights": {name: identity["weights_sha256"] for name, identity in models.items()},
        "sources": [describe(source) for source in recipe.evaluation.data.values()],
    }
    write_json(recipe.run_dir / "eval" / MANIFEST, {"stage": "eval", "inputs": inputs})


def check_tasks(recipe: Recipe) -> None:
    """Raise `RecipeError` if the recipe lists a task without naming its data; nothing is read."""
    with torch.no_grad():
        from domain_tokens.evaluation.tasks import load_task

        for task in map(load_task, recipe.evaluation.tasks):
            if task.data is not None:
                task.source(recipe)


def read_task_runs(recipe: Recipe) -> list[TaskRun]:
    """Read the data of the recipe's tasks and return every way in which each is run.

    Raises:
        RecipeError: if data is not named, missing or damaged, or a task is named that is not run or not written.
    """
    from domain_tokens.evaluation.tasks import load_task
    from domain_tokens.evaluation.tasks._generative import GenerativeTask

    settings = recipe.evaluation
    tasks = {name: load_task(name) for name in settings.tasks}
    for key, names in (("ablation_tasks", settings.ablation_tasks), ("sampling.tasks", settings.sampling.tasks)):
        for name in names:
            if not isinstance(tasks.get(name), GenerativeTask):
                raise RecipeError(f"evaluation.{key}: {name} is not among evaluation.tasks, or answers by choosing")
    task_runs = []
    for name, task in tasks.items():
        rows = task.read_rows(recipe)[: settings.max_samples]
        task_runs.append(TaskRun(task, PLAIN, rows))
        if name in settings.ablation_tasks:
            task_runs += [TaskRun(task, FORBIDDEN, rows), TaskRun(task, EXCHANGED, rows)]
        if name in settings.sampling.tasks:
            task_runs.append(TaskRun(task, SAMPLED, rows))
    return task_runs


def run_tasks(
    recipe: Recipe,
    task_runs: list[TaskRun],
    folder: Path,
    tokenizer: PreTrainedTokenizerFast,
    identity: dict[str, Any],
    output: Path,
) -> None:
    """Run a saved model through tasks; writes `<task>_results.json` and `<task>_items.jsonl` to `output`.

    Args:
        recipe (`Recipe`): the run.
        task_runs (`list[TaskRun]`): what to run; what was made from the same weights, data and parameters is kept.
        folder (`Path`): the model's folder.
        tokenizer (`PreTrainedTokenizerFast`): the model's tokenizer.
        identity (`dict`): what identifies the model; stands in every results file.
        output (`Path`): where results are written.
    """
    pending = [
        (task_run, full)
        for task_run in task_runs
        if not _is_done(output / task_run.file_stem, full := _identify_task_run(recipe, task_run) | identity)
    ]
    if not pending:
        return
    model = load_model(folder)
    for task_run, full in pending:
        way = "" if task_run.mode == PLAIN else f" ({task_run.mode})"
        logger.info("%s, %s%s: %d items", identity["model"], task_run.task.name, way, len(task_run.rows))
        started = time.monotonic()
        results = _run(recipe, task_run, model, tokenizer, output)
        results = full | results | {"environment": environment()}
        results["wall_time_s"] = round(time.monotonic() - started, 2)
        write_json(output / f"{task_run.file_stem}_results.json", results)
        shown = ", ".join(f"{metric} {value:.3f}" for metric, value in results["metrics"].items())
        logger.info("%s, %s%s: %s", identity["model"], task_run.task.name, way, shown)


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
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def _identify_model(recipe: Recipe, model_name: str, expected: int) -> dict[str, Any]:
    """Check a model folder and return what identifies the model."""
    folder, made_by = recipe.run_dir / model_name, _MADE_BY[model_name]
    manifest = require(folder, made_by)
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
    return identify(recipe, folder, model_name)


def identify(recipe: Recipe, folder: Path, model_name: str) -> dict[str, Any]:
    """Return what identifies a saved model in a results file."""
    return {
        "condition": recipe.condition,
        "seed": recipe.seed,
        "model": model_name,
        "weights_sha256": sha256_weights(folder),
        "tokenizer_sha256": tokenizer_sha256(folder),
    }


def _identify_task_run(recipe: Recipe, task_run: TaskRun) -> dict[str, Any]:
    generation = task_run.task.generation(recipe.evaluation)
    if task_run.mode == SAMPLED:
        sampling = recipe.evaluation.sampling
        generation = (generation or {}) | {
            "temperature": sampling.temperature,
            "num_samples": sampling.num_samples,
            "seed": sampling.seed,
        }
    if task_run.mode == FORBIDDEN:
        generation = (generation or {}) | {"forbidden": f"every id from {FIRST_FACT_ID} on"}
    if task_run.mode == EXCHANGED:
        generation = (generation or {}) | {"exchanged": f"every id from {FIRST_FACT_ID} on is read as the next one"}
    return {
        "task": task_run.task.name,
        "way": task_run.mode,
        "task_version": task_run.task.version,
        "outcomes": task_run.task.outcomes,
        "data_sha256": sha256_json(task_run.rows),
        "max_samples": recipe.evaluation.max_samples,
        "measured_as": None if recipe.canonical_table is None else sha256_file(Path(recipe.canonical_table)),
        "generation": generation,
    }


def _is_done(stem: Path, identity: dict[str, Any]) -> bool:
    results, items = (stem.with_name(f"{stem.name}_{file}") for file in ("results.json", "items.jsonl"))
    if not results.is_file() or not items.is_file():
        return False
    found = read_json(results)
    differing = [key for key, value in identity.items() if found.get(key) != value]
    if differing:
        logger.info("%s: made with other %s, made anew", results, ", ".join(differing))
    else:
        logger.info("%s, %s: complete, skipped", identity["model"], stem.name)
    return not differing


def _run(
    recipe: Recipe, task_run: TaskRun, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, output: Path
) -> dict[str, Any]:
    """Run one model through one task, write the items and return the results."""
    from domain_tokens.evaluation.models.lighteval_adapter import run_task
    from domain_tokens.evaluation.tasks._base import Reader

    settings, task = recipe.evaluation, task_run.task
    num_too_long = _count_too_long(task, [task.num_tokens(row, settings, tokenizer) for row in task_run.rows], model)
    reader = Reader(tokenizer, AnswerReader(intervention_of(tokenizer), load_canonical_table(recipe)))
    ids = range(FIRST_FACT_ID, len(tokenizer))
    decoding = Decoding(max_new_tokens=1)  # the length is the task's
    if task_run.mode == FORBIDDEN:
        decoding = Decoding(max_new_tokens=1, forbidden_ids=tuple(ids))
    elif task_run.mode == SAMPLED:
        sampling = settings.sampling
        decoding = Decoding(1, None, sampling.num_samples, sampling.temperature, seed=sampling.seed)
    with _exchanged(model, ids if task_run.mode == EXCHANGED else range(0)):
        details = run_task(
            task.config(settings, reader.answers), task_run.rows, model, tokenizer, settings.batch_size, decoding
        )
    items = task.complete([task.item(detail.doc, detail.model_response, detail.metric, reader) for detail in details])
    scored = [item for item in items if task.is_scored(item)]
    excluded = [item for item in items if not task.is_scored(item)]
    if not scored:
        raise RecipeError(f"evaluation.{task.name}: every item has a product among its choices: nothing to score")
    for older in ("results.json", "items_with_products.jsonl"):  # never beside newer items
        (output / f"{task_run.file_stem}_{older}").unlink(missing_ok=True)
    _write_items(output / f"{task_run.file_stem}_items.jsonl", scored)
    if excluded:
        _write_items(output / f"{task_run.file_stem}_items_with_products.jsonl", excluded)
    return {"num_items": len(scored), **task.summarize(scored, excluded), "num_too_long": num_too_long}


@contextmanager
def _exchanged(model: PreTrainedModel, ids: range) -> Iterator[None]:
    """Let the model read each of these ids as the next one, and the last as the first, for a while.

    What it writes is not touched: the rows of input and output are the same, and exchanged in both they would only
    rename the tokens. A model that works with what it wrote, or with facts in a question, is misled.
    """
    place = torch.arange(model.get_input_embeddings().num_embeddings, device=model.device)
    place[ids.start : ids.stop] = place[ids.start : ids.stop].roll(-1)
    hook = model.get_input_embeddings().register_forward_pre_hook(lambda _, inputs: (place[inputs[0]],))
    try:
        yield
    finally:
        hook.remove()


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
