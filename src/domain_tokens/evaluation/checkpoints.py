"""Evaluation of a run's checkpoints: the points of its learning curves.

    eval/checkpoints/<stage>-<step>.json    one point: its bits per byte, fact rows and task results, and `metrics`
    eval/checkpoints/<stage>-<step>/        its documents' bits, and the items of its tasks
    eval/learning_curves.csv                condition, seed, stage, step, tokens_seen, metric, value

Training may keep only its newest checkpoints (`save_total_limit`); points whose checkpoint was removed after it was
evaluated stay.
"""

import csv
import json
import logging
import time
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from domain_tokens.corpora.sources import describe
from domain_tokens.evaluation.evaluate import TaskRun, load_model, read_task_runs, run_tasks
from domain_tokens.evaluation.models.bits_per_byte import PinnedText, measure, pin, read_documents, text_identity
from domain_tokens.evaluation.models.embedding_rows import probabilities, row_norms
from domain_tokens.recipe import Recipe, RecipeError, to_yaml
from domain_tokens.runs.checkpoints import SavedModel, find_saved_models, inputs_of_stages
from domain_tokens.runs.files import read_json, sha256_weights, write_json
from domain_tokens.runs.layout import MANIFEST, RUN_CONFIG
from domain_tokens.runs.provenance import environment
from domain_tokens.tokenization.contract import intervention_of, load_tokenizer
from domain_tokens.tokenization.intervention import load_canonical_table

logger = logging.getLogger(__name__)

# Of the validation text: about a million tokens of English, the same documents for every point and condition.
MAX_BYTES = 4_000_000

_VERSION = 1  # raised when a number changes its meaning, so that older points are not taken for current ones
_COLUMNS = ("condition", "seed", "stage", "step", "tokens_seen", "metric", "value")
_OF_TASK = (
    "task_version", "data_sha256", "max_samples", "generation", "num_items", "metrics", "groups", "facts_per_response",
    "tokens_per_response", "unfinished",
)  # fmt: skip


def evaluate_checkpoints(recipe: Recipe) -> None:
    """Evaluate every checkpoint of a run: bits per byte, fact rows, and the recipe's tasks, each in the plain way.

    Points that were made from the same weights, tokenizer, text and parameters are kept.

    Raises:
        RecipeError: if there is no checkpoint, or a final model or a task's data is missing or damaged.
    """
    logging.basicConfig(format="%(message)s")
    logging.getLogger("domain_tokens").setLevel(logging.INFO)
    transformers_logging.disable_progress_bar()
    points = find_saved_models(recipe)
    with torch.no_grad():  # lighteval turns gradients off when it is imported; leaving the block restores them
        evaluation = _Evaluation(recipe)
        for number, point in enumerate(points, start=1):
            logger.info("[%d/%d] %s", number, len(points), point.name)
            evaluation.run(point)
            write_curves(recipe, evaluation.text_identity)
    finals = {point.folder.name: _weights_of(recipe, point.name) for point in points if point.is_final}
    sources = [describe(source) for source in recipe.evaluation.data.values()]
    (_folder(recipe) / RUN_CONFIG).write_text(to_yaml(recipe), encoding="utf-8")
    inputs = {"weights": finals, "sources": sources}
    write_json(_folder(recipe) / MANIFEST, {"stage": "eval_checkpoints", "inputs": inputs})
    logger.info("learning curves: %s", _curves_file(recipe))


def write_curves(recipe: Recipe, text_identity: dict[str, str]) -> None:
    """Write the metrics of all points of a run in long form, in the order of training; `None` has no row.

    Args:
        recipe (`Recipe`): the run.
        text_identity (`dict[str, str]`): points that were measured on another text are left out.
    """
    path = _curves_file(recipe)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        for results in _kept_results(recipe, text_identity):
            rows = [{"metric": metric, "value": value} for metric, value in results["metrics"].items()]
            writer.writerows(results | row for row in rows if row["value"] is not None)
    partial.replace(path)


class _Evaluation:
    """What all points of a run are measured on."""

    def __init__(self, recipe: Recipe) -> None:
        # Ablations and drawn answers are asked of a run's final models alone, by scripts/run_eval.py.
        settings = recipe.evaluation
        tasks = settings.checkpoint_tasks
        plain = replace(settings, tasks=tasks, ablation_tasks=[], sampling=replace(settings.sampling, tasks=[]))
        self.recipe = replace(recipe, evaluation=plain)
        self.task_runs = read_task_runs(self.recipe)
        self.tokenizer = load_tokenizer(recipe.tokenizer_dir)
        self.intervention = intervention_of(self.tokenizer)
        self.canonical_table = load_canonical_table(recipe)
        self.documents = read_documents(recipe.documents_dir / "validation", MAX_BYTES)
        self.text_identity = text_identity(self.documents, recipe.tokenizer_dir, self.canonical_table)

    @cached_property
    def text(self) -> PinnedText:
        """The validation text, encoded when the first point needs it."""
        return pin(self.documents, self.recipe.tokenizer_dir, self.canonical_table)

    def run(self, point: SavedModel) -> None:
        """Evaluate one point; what was made from the same is kept."""
        recipe = self.recipe
        if read_json(point.folder / "tokenizer_config.json").get("intervention") != self.intervention.as_json():
            raise RecipeError(
                f"{point.folder}: its tokenizer is not the condition's, {recipe.tokenizer_dir}; remove the folder"
            )
        file = _folder(recipe) / f"{point.name}.json"
        identity = self.text_identity | {
            "version": _VERSION,
            "inputs_sha256": point.inputs_sha256,
            "weights_sha256": sha256_weights(point.folder),
        }
        found = read_json(file) if file.is_file() else {}
        started = time.monotonic()
        if found.get("identity") != identity:
            found = {"identity": identity} | self._measure(point) | {"environment": environment()}
        model = {
            "condition": recipe.condition,
            "seed": recipe.seed,
            "model": point.name,
            "weights_sha256": identity["weights_sha256"],
            "tokenizer_sha256": identity["tokenizer_sha256"],
        }
        run_tasks(recipe, self.task_runs, point.folder, self.tokenizer, model, _folder(recipe) / point.name)
        tasks = {task_run.task.name: self._task(point, task_run) for task_run in self.task_runs}
        if found.get("tasks") == tasks:
            logger.info("%s: complete, skipped", point.name)
            return
        shown = {key: value for key, value in asdict(point).items() if key not in ("folder", "inputs_sha256")}
        results = {"condition": recipe.condition, "seed": recipe.seed} | shown | found | {"tasks": tasks}
        results["metrics"] = _metrics(results)
        results["wall_time_s"] = round(time.monotonic() - started, 2)
        write_json(file, results)

    def _measure(self, point: SavedModel) -> dict[str, Any]:
        """Measure bits per byte and the fact rows, and write one row a document."""
        logger.info("%s: %d documents", point.name, len(self.documents))
        bits = measure(load_model(point.folder), self.text)
        output = _folder(self.recipe) / point.name
        output.mkdir(parents=True, exist_ok=True)
        rows = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in bits.rows)
        (output / "documents.jsonl").write_text(rows, encoding="utf-8")
        rows_of_model = row_norms(point.folder, self.intervention)
        return {
            "bits": bits.totals,
            "fact_rows": {"norms": rows_of_model, "probabilities": probabilities(self.text.ids, bits.scores)},
        }

    def _task(self, point: SavedModel, task_run: TaskRun) -> dict[str, Any]:
        results = read_json(_folder(self.recipe) / point.name / f"{task_run.file_stem}_results.json")
        return {key: results[key] for key in _OF_TASK if key in results}


def _metrics(results: dict[str, Any]) -> dict[str, float | None]:
    """Return what a point's learning curves show, by name."""
    bits, norms, found = results["bits"], results["fact_rows"]["norms"], results["fact_rows"]["probabilities"]
    metrics = {
        "bits_per_byte": bits["all"]["bits_per_byte"],
        "bits_per_byte_with_sites": bits["with_sites"]["bits_per_byte"],
        "bits_per_byte_without_sites": bits["without_sites"]["bits_per_byte"],
        "loss_nats_without_sites": bits["without_sites"]["loss_nats"],
        "norm_facts": norms["facts"]["mean"],
        "norm_reserved": norms["reserved"]["mean"],
        "norm_ordinary": norms["ordinary"]["mean"],
        "probability_facts": found["fact_mass"],
        "probability_reserved": found["reserved_mass"],
        "probability_facts_at_facts": found["at_facts"]["fact_mass"],
        "probability_true_fact_at_facts": found["at_facts"]["true_fact"],
    }
    for name, task in results["tasks"].items():
        metrics |= {f"{name}/{metric}": value for metric, value in task["metrics"].items()}
        if "facts_per_response" in task:
            metrics[f"{name}/facts_per_response"] = task["facts_per_response"]
    return metrics


def _kept_results(recipe: Recipe, text_identity: dict[str, str]) -> list[dict[str, Any]]:
    """Return the results of all points of this run in the order of training, also of those that are removed by now."""
    inputs = inputs_of_stages(recipe)
    kept = []
    for file in _folder(recipe).glob("*-*.json"):
        results = read_json(file)
        expected = text_identity | {"version": _VERSION, "inputs_sha256": inputs.get(results["stage"])}
        differing = [key for key, value in expected.items() if results["identity"].get(key) != value]
        if differing:
            logger.warning("%s: of another run or text (%s), left out", file, ", ".join(differing))
        else:
            kept.append(results)
    return sorted(kept, key=lambda one: (one["stage_number"], one["step"]))


def _weights_of(recipe: Recipe, name: str) -> str:
    return str(read_json(_folder(recipe) / f"{name}.json")["identity"]["weights_sha256"])


def _folder(recipe: Recipe) -> Path:
    return recipe.run_dir / "eval" / "checkpoints"


def _curves_file(recipe: Recipe) -> Path:
    return recipe.run_dir / "eval" / "learning_curves.csv"
