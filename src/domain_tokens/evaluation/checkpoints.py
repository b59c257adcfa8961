"""Evaluation of a run's checkpoints: the points of its learning curves.

    eval/checkpoints/<stage>-<step>.json    one point: bits per byte, embedding rows, task results, and `metrics`
    eval/checkpoints/<stage>-<step>/        its documents' bits, and the items of its tasks
    eval/learning_curves.csv                condition, seed, stage, step, tokens_seen, metric, value

Training may keep only its newest checkpoints (`save_total_limit`); points whose checkpoint was removed after it was
evaluated stay.
"""

import csv
import io
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from transformers.utils import logging as transformers_logging

from domain_tokens.evaluation.evaluate import load_model, num_items, run_tasks, write_manifest
from domain_tokens.evaluation.models.adapters import whole_model
from domain_tokens.evaluation.models.bits_per_byte import (
    EncodedText,
    encode,
    measure,
    read_documents,
    text_identity,
)
from domain_tokens.evaluation.models.embedding_rows import probabilities, row_norms
from domain_tokens.evaluation.models.side_codes import corpus_side_code
from domain_tokens.evaluation.modes import TaskRun, read_task_runs
from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.checkpoints.saved_models import SavedModel, find_saved_models, inputs_of_stages
from domain_tokens.runs.files import read_json, sha256_weights, write_text
from domain_tokens.runs.layout import CHECKPOINT_RESULTS, DOCUMENT_BITS, LEARNING_CURVES, RESULTS, task_file
from domain_tokens.runs.preregistration import record_look
from domain_tokens.runs.progress import Work
from domain_tokens.runs.provenance import environment
from domain_tokens.runs.records import (
    BitsTotals,
    CheckpointIdentity,
    CheckpointResult,
    CheckpointTask,
    EmbeddingRows,
    ModelIdentity,
    TextIdentity,
    read_record,
    write_record,
    write_rows,
)
from domain_tokens.tokenization.contract import id_ranges, intervention_of, load_tokenizer
from domain_tokens.tokenization.intervention import load_canonical_table

logger = logging.getLogger(__name__)

# Of the validation text: about a million tokens of English, the same documents for every point and condition.
MAX_BYTES = 4_000_000

_VERSION = 2  # raised when a number changes its meaning, so that older points are not taken for current ones
_COLUMNS = ("condition", "seed", "stage", "step", "tokens_seen", "metric", "value")


def evaluate_checkpoints(recipe: Recipe) -> None:
    """Evaluate every checkpoint of a run: bits per byte, embedding rows, and its tasks in the plain mode.

    Points that were made from the same weights, tokenizer, text and parameters are kept.

    Raises:
        RecipeError: if there is no checkpoint, or a final model or a task's data is missing or damaged.
    """
    logging.basicConfig(format="%(message)s")
    logging.getLogger("domain_tokens").setLevel(logging.INFO)
    transformers_logging.disable_progress_bar()
    points = find_saved_models(recipe)
    record_look(recipe.experiment_dir, "evaluation", [recipe.condition], [recipe.seed])
    evaluation = _Evaluation(recipe, len(points))
    for number, point in enumerate(points, start=1):
        logger.info("[%d/%d] %s", number, len(points), point.name)
        evaluation.run(point)
        write_curves(recipe, evaluation.text_identity)
    finals = {point.folder.name: _weights_of(recipe, point.name) for point in points if point.is_final}
    write_manifest(recipe, _folder(recipe), "eval_checkpoints", finals)
    logger.info("learning curves: %s", _curves_file(recipe))


def write_curves(recipe: Recipe, text: TextIdentity) -> None:
    """Write the metrics of all points of a run in long form, in the order of training; `None` has no row.

    Args:
        recipe (`Recipe`): the run.
        text (`TextIdentity`): points that were measured on another text are left out.
    """
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for point in _kept_results(recipe, text):
        key = (point.condition, point.seed, point.stage, point.step, point.tokens_seen)
        writer.writerows((*key, metric, value) for metric, value in point.metrics.items() if value is not None)
    write_text(_curves_file(recipe), written.getvalue())


class _Evaluation:
    """What all points of a run are measured on."""

    def __init__(self, recipe: Recipe, num_points: int) -> None:
        # Ablations and drawn answers are asked of a run's final models alone, by scripts/run_eval.py.
        settings = recipe.evaluation
        by_name = dict(zip(settings.task_names(), settings.tasks, strict=True))
        tasks = [by_name[name] for name in settings.checkpoint_tasks]
        plain = replace(
            settings, tasks=tasks, ablation_tasks=[], encoding_tasks=[], sampling=replace(settings.sampling, tasks=[])
        )
        self.recipe = replace(recipe, evaluation=plain)
        self.task_runs = read_task_runs(self.recipe)
        self.work = Work(num_points * num_items(self.task_runs), "item")
        self.tokenizer = load_tokenizer(recipe.tokenizer_dir)
        self.intervention = intervention_of(self.tokenizer)
        self.canonical_table = load_canonical_table(recipe)
        self.documents = read_documents(recipe.documents_dir / "validation", MAX_BYTES)
        self.side_code = corpus_side_code(recipe)
        self.text_identity = text_identity(self.documents, recipe.tokenizer_dir, self.canonical_table, self.side_code)

    @cached_property
    def text(self) -> EncodedText:
        """The validation text, encoded when the first point needs it."""
        return encode(self.documents, self.recipe.tokenizer_dir, self.canonical_table, self.side_code)

    def run(self, point: SavedModel) -> None:
        """Evaluate one point; what was made from the same is kept."""
        recipe, identity = self.recipe, self._identify(point)
        started = time.monotonic()
        file = _folder(recipe) / f"{point.name}.json"
        found = self._kept(file, identity)
        model = ModelIdentity(
            condition=recipe.condition,
            seed=recipe.seed,
            model=point.name,
            weights_sha256=identity.weights_sha256,
            tokenizer_sha256=identity.tokenizer_sha256,
        )
        output = _folder(recipe) / point.name
        with whole_model(point) as folder:
            if found is None:
                bits, rows = self._measure(replace(point, folder=folder))
                machine = environment()
            else:
                bits, rows, machine = found.bits, found.embedding_rows, found.environment
            run_tasks(recipe, self.task_runs, folder, self.tokenizer, model, output, self.work)
        tasks = {task_run.task.name: self._task(point, task_run) for task_run in self.task_runs}
        if found is not None and found.tasks == tasks:
            logger.info("%s: complete, skipped", point.name)
            return
        result = CheckpointResult(
            condition=recipe.condition,
            seed=recipe.seed,
            stage_number=point.stage_number,
            stage=point.stage,
            step=point.step,
            tokens_seen=point.tokens_seen,
            is_final=point.is_final,
            identity=identity,
            bits=bits,
            embedding_rows=rows,
            environment=machine,
            tasks=tasks,
            metrics=_metrics(bits, rows, tasks),
            wall_time_s=round(time.monotonic() - started, 2),
        )
        write_record(file, result)

    def _identify(self, point: SavedModel) -> CheckpointIdentity:
        """Check a point's tokenizer and return what its numbers are made from."""
        if read_json(point.folder / "tokenizer_config.json").get("intervention") != self.intervention.as_json():
            raise RecipeError(
                f"{point.folder}: its tokenizer is not the condition's, {self.recipe.tokenizer_dir}; remove the folder"
            )
        return CheckpointIdentity(
            documents_sha256=self.text_identity.documents_sha256,
            tokenizer_sha256=self.text_identity.tokenizer_sha256,
            canonical_table_sha256=self.text_identity.canonical_table_sha256,
            side_code_sha256=self.text_identity.side_code_sha256,
            version=_VERSION,
            inputs_sha256=point.inputs_sha256,
            weights_sha256=sha256_weights(point.folder),
        )

    def _kept(self, file: Path, identity: CheckpointIdentity) -> CheckpointResult | None:
        """Return the point's earlier result if it was made from the same."""
        if not file.is_file() or read_json(file).get("identity") != identity.as_json():
            return None
        return read_record(file, CheckpointResult)

    def _measure(self, point: SavedModel) -> tuple[BitsTotals, EmbeddingRows]:
        """Measure bits per byte and the embedding rows, and write one row a document."""
        logger.info("%s: %d documents", point.name, len(self.documents))
        bits = measure(load_model(point.folder), self.text)
        write_rows(_folder(self.recipe) / point.name / DOCUMENT_BITS, bits.documents)
        ids = id_ranges(self.tokenizer)
        norms = row_norms(point.folder, self.intervention, ids)
        return bits.totals, EmbeddingRows(norms=norms, probabilities=probabilities(self.text.ids, bits.scores, ids))

    def _task(self, point: SavedModel, task_run: TaskRun) -> CheckpointTask:
        path = task_file(_folder(self.recipe) / point.name, task_run.name, RESULTS)
        found = {key: value for key, value in read_json(path).items() if key in CheckpointTask.model_fields}
        return CheckpointTask.parse(found, path)


def _metrics(bits: BitsTotals, rows: EmbeddingRows, tasks: Mapping[str, CheckpointTask]) -> dict[str, float | None]:
    """Return what a point's learning curves show, by name."""
    norms, found = rows.norms, rows.probabilities
    metrics = {
        "bits_per_byte": bits.all.bits_per_byte,
        "bits_per_byte_with_sites": bits.with_sites.bits_per_byte,
        "bits_per_byte_without_sites": bits.without_sites.bits_per_byte,
        "model_bits_per_byte": bits.all.model_bits_per_byte,
        "model_bits_per_byte_with_sites": bits.with_sites.model_bits_per_byte,
        "model_bits_per_byte_without_sites": bits.without_sites.model_bits_per_byte,
        "loss_nats_without_sites": bits.without_sites.loss_nats,
        "norm_facts": norms.facts.mean,
        "norm_reserved": norms.reserved.mean,
        "norm_ordinary": norms.ordinary.mean,
        "probability_facts": found.fact_mass,
        "probability_reserved": found.reserved_mass,
        "probability_facts_at_facts": found.at_facts.fact_mass,
        "probability_true_fact_at_facts": found.at_facts.true_fact,
    }
    for name, task in tasks.items():
        metrics |= {f"{name}/{metric}": value for metric, value in task.metrics.items()}
        if "facts_per_response" in task.model_fields_set:
            metrics[f"{name}/facts_per_response"] = task.facts_per_response
    return metrics


def _kept_results(recipe: Recipe, text: TextIdentity) -> list[CheckpointResult]:
    """Return the results of all points of this run in the order of training, also of those that are removed by now."""
    inputs = inputs_of_stages(recipe)
    kept = []
    for file in _folder(recipe).glob("*-*.json"):
        results = read_json(file)
        expected = text.as_json() | {"version": _VERSION, "inputs_sha256": inputs.get(results["stage"])}
        differing = [key for key, value in expected.items() if results["identity"].get(key) != value]
        if differing:
            logger.warning("%s: of another run or text (%s), left out", file, ", ".join(differing))
        else:
            kept.append(CheckpointResult.parse(results, file))
    return sorted(kept, key=lambda one: (one.stage_number, one.step))


def _weights_of(recipe: Recipe, name: str) -> str:
    return read_record(_folder(recipe) / f"{name}.json", CheckpointResult).identity.weights_sha256


def _folder(recipe: Recipe) -> Path:
    return recipe.run_dir / CHECKPOINT_RESULTS


def _curves_file(recipe: Recipe) -> Path:
    return recipe.run_dir / LEARNING_CURVES
