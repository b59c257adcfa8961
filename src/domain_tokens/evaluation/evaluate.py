"""Evaluation of a run: every model of the recipe on every task, one results file and one items file for each."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from domain_tokens.corpora.hub import commits_read
from domain_tokens.evaluation.answers.answer import AnswerReader
from domain_tokens.evaluation.encodings import encode_in, encodings, with_counts, with_encodings
from domain_tokens.evaluation.lengths import count_too_long
from domain_tokens.evaluation.models.devices import choose_device
from domain_tokens.evaluation.models.inference import Decoding
from domain_tokens.evaluation.modes import LAST_MODEL_ALONE, TaskRun, evaluation_inputs, read_task_runs, scorer_sha256
from domain_tokens.evaluation.tasks._base import Evaluated, Reader
from domain_tokens.recipe import Recipe, RecipeError, to_yaml
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.runs.files import read_json, sha256_weights
from domain_tokens.runs.layout import (
    EVALUATION,
    EXCLUDED_ITEMS,
    ITEMS,
    MANIFEST,
    RESULTS,
    RUN_CONFIG,
    Mode,
    made_by,
    task_file,
)
from domain_tokens.runs.preregistration import record_look
from domain_tokens.runs.progress import Work
from domain_tokens.runs.provenance import environment
from domain_tokens.runs.records import (
    EvaluationManifest,
    Fields,
    ModelIdentity,
    TaskResult,
    TaskSummary,
    write_record,
    write_rows,
)
from domain_tokens.runs.stage_folder import require
from domain_tokens.tokenization.contract import id_ranges, intervention_of, load_tokenizer, tokenizer_sha256
from domain_tokens.tokenization.intervention import load_canonical_table

logger = logging.getLogger(__name__)


def evaluate(recipe: Recipe) -> None:
    """Evaluate the models of a run; writes `eval/<model>/<task>_results.json` and `<task>_items.jsonl`.

    When all is done, `eval/manifest.json` names what it was made from. Results that were made from the same weights,
    tokenizer, data, tasks and parameters are kept.

    Raises:
        RecipeError: if a model or a task's data is missing or damaged, before anything is run.
    """
    logging.basicConfig(format="%(message)s")
    logging.getLogger("domain_tokens").setLevel(logging.INFO)
    transformers_logging.disable_progress_bar()  # a bar for every model that is read
    settings = recipe.evaluation
    task_runs = read_task_runs(recipe)
    models, tokenizers = {}, {}
    for name in settings.models:
        require(recipe.run_dir / name, made_by(name))
        tokenizers[name] = load_tokenizer(recipe.run_dir / name)
        models[name] = identify_model(recipe, name, len(tokenizers[name]))
    record_look(recipe.experiment_dir, "evaluation", [recipe.condition], [recipe.seed])
    shared = [task_run for task_run in task_runs if task_run.mode not in LAST_MODEL_ALONE]
    work = Work(num_items(shared) * (len(models) - 1) + num_items(task_runs), "item")
    for name, identity in models.items():
        wanted = task_runs if name == settings.models[-1] else shared
        output = recipe.run_dir / EVALUATION / name
        run_tasks(recipe, wanted, recipe.run_dir / name, tokenizers[name], identity, output, work)
    weights = {identity.model: identity.weights_sha256 for identity in models.values()}
    write_manifest(recipe, recipe.run_dir / EVALUATION, "eval", weights)


def write_manifest(recipe: Recipe, folder: Path, stage: str, weights: Mapping[str, str]) -> None:
    """Write the resolved recipe, and from which weights, data and external tasks the results of a folder were made.

    Args:
        recipe (`Recipe`): the run.
        folder (`Path`): `eval`, or `eval/checkpoints`.
        stage (`str`): the stage's name.
        weights (`Mapping[str, str]`): a hash for each model.
    """
    (folder / RUN_CONFIG).write_text(to_yaml(recipe), encoding="utf-8")
    results = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in (MANIFEST, RUN_CONFIG))
    manifest = EvaluationManifest(
        stage=stage,
        inputs=evaluation_inputs(recipe, weights),
        files=tuple(str(path.relative_to(folder)) for path in results),
        hub_commits=commits_read(list(recipe.evaluation.data.values())),
    )
    write_record(folder / MANIFEST, manifest)


def run_tasks(
    recipe: Recipe,
    task_runs: list[TaskRun],
    folder: Path,
    tokenizer: PreTrainedTokenizerFast,
    identity: ModelIdentity,
    output: Path,
    work: Work,
) -> None:
    """Run a saved model through tasks; writes `<task>_results.json` and `<task>_items.jsonl` to `output`.

    Args:
        recipe (`Recipe`): the run.
        task_runs (`list[TaskRun]`): what to run; what was made from the same weights, data and parameters is kept.
        folder (`Path`): the model's folder.
        tokenizer (`PreTrainedTokenizerFast`): the model's tokenizer.
        identity (`ModelIdentity`): the model, as every results file records it.
        output (`Path`): where results are written.
        work (`Work`): the stage's items, of which these are a part.
    """
    expected = {task_run.name: task_run.identify(recipe).as_json() | identity.as_json() for task_run in task_runs}
    pending = [task_run for task_run in task_runs if not _is_done(output, task_run.name, expected[task_run.name])]
    work.advance(num_items(task_runs) - num_items(pending))
    if not pending:
        return
    model = load_model(folder)
    for task_run in pending:
        mode = "" if task_run.mode is Mode.PLAIN else f" ({task_run.mode})"
        logger.info("%s, %s%s: %d items", identity.model, task_run.task.name, mode, len(task_run.rows))
        started = time.monotonic()
        summary, num_too_long = _run(recipe, task_run, model, tokenizer, output)
        made = {
            "source": task_run.task.source_name(recipe),
            "scorer_sha256": scorer_sha256(),
            "num_too_long": num_too_long,
            "environment": environment().as_json(),
            "wall_time_s": round(time.monotonic() - started, 2),
        }
        path = task_file(output, task_run.name, RESULTS)
        write_record(path, TaskResult.parse(expected[task_run.name] | summary.as_json() | made, path))
        work.advance(len(task_run.rows))
        shown = ", ".join(f"{metric} {value:.3f}" for metric, value in summary.metrics.items())
        logger.info("%s, %s%s: %s", identity.model, task_run.task.name, mode, shown)


def num_items(task_runs: list[TaskRun]) -> int:
    """Return how many items are answered."""
    return sum(len(task_run.rows) for task_run in task_runs)


def load_model(folder: Path) -> PreTrainedModel:
    """Load a model in 32-bit precision, in which close answers seldom change places between machines.

    Raises:
        RecipeError: if a weight is not a finite number.
    """
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    for name, weights in model.named_parameters():
        if not torch.isfinite(weights).all():
            raise RecipeError(f"{folder}: {name} holds values that are not finite numbers; train the model again")
    model.generation_config = GenerationConfig()  # a saved one may hold a penalty, which changes greedy answers too
    return model.eval().to(choose_device("evaluation"))


def identify_model(recipe: Recipe, model_name: str, expected: int) -> ModelIdentity:
    """Check a model folder and return what identifies the model.

    Args:
        recipe (`Recipe`): the run.
        model_name (`str`): the folder's name in the run.
        expected (`int`): the number of ids of its tokenizer.

    Raises:
        RecipeError: if the model is missing, or its vocabulary or weights are not those that belong there.
    """
    folder, script = recipe.run_dir / model_name, made_by(model_name)
    manifest = require(folder, script)
    vocab_size = read_json(folder / "config.json").get("vocab_size")
    if vocab_size != expected:
        raise RecipeError(
            f"{folder}/config.json: vocab_size: expected {expected} as the tokenizer has, got {vocab_size!r}; "
            f"remove the folder and run {script} again"
        )
    weights = sha256_weights(folder)
    recorded = manifest.weights_sha256 or weights
    if weights != recorded:
        raise RecipeError(
            f"{folder}: the weights ({weights[:12]}) are not those that the manifest records ({recorded[:12]}): "
            f"damaged or exchanged; remove the folder and run {script} again"
        )
    return ModelIdentity(
        condition=recipe.condition,
        seed=recipe.seed,
        model=model_name,
        weights_sha256=weights,
        tokenizer_sha256=tokenizer_sha256(folder),
    )


def _is_done(output: Path, name: str, identity: Fields) -> bool:
    results, items = task_file(output, name, RESULTS), task_file(output, name, ITEMS)
    if not results.is_file() or not items.is_file():
        return False
    found = read_json(results)  # not as a record: an older one is made anew
    differing = [key for key in {**identity, "task_sha256": None} if found.get(key) != identity.get(key)]
    if differing:
        logger.info("%s: made with other %s, made anew", results, ", ".join(differing))
    else:
        logger.info("%s, %s: complete, skipped", identity["model"], name)
    return not differing


def _run(
    recipe: Recipe, task_run: TaskRun, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, output: Path
) -> tuple[TaskSummary, int]:
    """Run one model through one task, write the items, and return the summary and how many items are cut."""
    settings, task, rows = recipe.evaluation, task_run.task, task_run.rows
    num_too_long = count_too_long(task, rows, settings, tokenizer, int(model.config.n_positions))
    table = load_canonical_table(recipe)
    reader = Reader(tokenizer, AnswerReader(intervention_of(tokenizer), table))
    encode = encode_in(task_run.mode, tokenizer, table)
    facts = range(id_ranges(tokenizer).first_added, len(tokenizer))
    decoding = _decoding(settings, task_run.mode, facts)
    evaluated = Evaluated(model, settings, decoding, encode, reader, task_run.side_code)
    with _exchanged(model, facts if task_run.mode is Mode.EXCHANGED else range(0)):
        items = task.complete(task.run(rows, evaluated))
    items = with_encodings(items, encodings([task.texts(row) for row in rows], encode, tokenizer))
    scored = [item for item in items if task.is_scored(item)]
    excluded = [item for item in items if not task.is_scored(item)]
    if not scored:
        raise RecipeError(f"evaluation.{task.name}: every item has a product among its choices: nothing to score")
    for ending in (RESULTS, EXCLUDED_ITEMS):  # an older one never stays beside newer items
        task_file(output, task_run.name, ending).unlink(missing_ok=True)
    write_rows(task_file(output, task_run.name, ITEMS), scored)
    if excluded:
        write_rows(task_file(output, task_run.name, EXCLUDED_ITEMS), excluded)
    return with_counts(task.summarize(scored, excluded), scored), num_too_long


def _decoding(settings: Evaluation, mode: Mode, facts: range) -> Decoding:
    """Return how answers are written in a mode; their length and the text that ends them are the task's."""
    limits = settings.repetition
    plain = Decoding(1, no_repeat_bytes=limits.no_repeat_bytes, repetition_penalty=limits.penalty)
    if mode is Mode.FORBIDDEN:
        return replace(plain, forbidden_ids=tuple(facts))
    if mode is Mode.SAMPLED:
        sampling = settings.sampling
        return replace(plain, num_samples=sampling.num_samples, temperature=sampling.temperature, seed=sampling.seed)
    return plain


@contextmanager
def _exchanged(model: PreTrainedModel, ids: range) -> Iterator[None]:
    """Let the model read each of these ids that it wrote as the next one, and the last as the first, for a while.

    What it writes is not touched: the rows of input and output are the same, and exchanged in both they would only
    rename the tokens. A model that works with what it wrote is misled. Its question is read as it is: exchanged there,
    a fact would make it another question. While a model writes, it reads a prompt at once and then, with a cache, one
    token at a time.
    """
    read_as = torch.arange(model.get_input_embeddings().num_embeddings, device=model.device)
    read_as[ids.start : ids.stop] = read_as[ids.start : ids.stop].roll(-1)

    def exchange(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (read_as[inputs[0]] if inputs[0].shape[1] == 1 else inputs[0],)

    hook = model.get_input_embeddings().register_forward_pre_hook(exchange)
    try:
        yield
    finally:
        hook.remove()
