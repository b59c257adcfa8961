"""Self-adaptation of one run's model, from the recipe to `seal/`: goes on where it stopped, skips what is complete."""

import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.corpora.worlds.passages import passages
from domain_tokens.evaluation.evaluate import identify_model
from domain_tokens.evaluation.models.bits_per_byte import read_documents
from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.recipe.sections.apart.seal import Seal
from domain_tokens.runs.files import link_file, read_json, sha256_file, sha256_json
from domain_tokens.runs.layout import INPUTS
from domain_tokens.runs.provenance import CODE_SHA256, environment
from domain_tokens.runs.records import Fields, ModelIdentity, write_record
from domain_tokens.runs.stage_folder import StageFolder, input_changes
from domain_tokens.seal.bench import Bench, Job, set_bench, start_worker
from domain_tokens.seal.devices import choose_device
from domain_tokens.seal.edits import EditLanguage
from domain_tokens.seal.executor import row_length
from domain_tokens.seal.kept import Kept, Pool
from domain_tokens.seal.outer import OuterLoop
from domain_tokens.seal.policy import ChoicePolicy, LanguageModelPolicy, Policy
from domain_tokens.seal.records import POLICY, RECORD, ROWS, SCHEMA, SEAL, AdaptRow, PolicyRow, SealRecord
from domain_tokens.tokenization.contract import load_tokenizer
from domain_tokens.training.model import load_model
from domain_tokens.training.stage import num_processes, start_process

logger = logging.getLogger(__name__)

_ASIDE = ("enabled", "workers", "device")  # no number depends on the first two; the device is recorded as it was


@dataclass(frozen=True)
class Subject:
    """The model that is adapted, with all that a bench is made of."""

    settings: Seal
    identity: ModelIdentity
    model: Path
    tokenizer: Path
    documents: tuple[str, ...]
    device: str

    def bench(self) -> Bench:
        """Load model and tokenizer. Run in every process."""
        tokenizer = load_tokenizer(self.tokenizer)
        identity = self.identity
        return Bench(self.settings, identity.condition, identity.seed, self.load(), tokenizer, self.documents)

    def load(self) -> GPT2LMHeadModel:
        """Return the model as it was trained, on its device."""
        model = load_model(self.model, len(load_tokenizer(self.tokenizer)))
        return model.to(self.device)


def adapt(recipe: Recipe, allow_change: bool = False) -> Path:
    """Train a run's policy of edits and compare it with the controls; returns the folder of the results.

    Args:
        recipe (`Recipe`): the run, whose model has been trained.
        allow_change (`bool`, *optional*, defaults to `False`): go on with unfinished work although the code or the
            device has changed; the manifest records it. Rows of other settings or weights are never gone on with.

    Raises:
        RecipeError: if self-adaptation is not enabled, the model or the held-out text is missing, a setting does not
            fit the model, or there is work of other settings or weights.
    """
    start_process()
    subject = read_subject(recipe)
    folder, work = stage_folder(recipe, subject), recipe.run_dir / "checkpoints" / SEAL
    if folder.is_complete():
        return folder.folder
    check_unfinished(folder, work)
    policy = make_policy(subject)
    file = work / ROWS
    running: Fields = {"code_sha256": _code_sha256(), "device": subject.device, "threads": torch.get_num_threads()}
    folder.open_work(work, recipe, running, allow_change, has_results=file.is_file())
    started = time.monotonic()
    with _pool(subject) as pool:
        results = Kept(file, subject.settings, (subject.identity.condition, subject.identity.seed), pool)
        write_record(work / RECORD, _record(subject))
        kept = _adapt(policy, results, subject.settings)
        results.keep_asked()
    with folder.writing(recipe) as (partial_folder, manifest):
        for name in (ROWS, POLICY):
            link_file(work / name, partial_folder / name)
        passed = round(time.monotonic() - started, 2)
        counts = {"complete": True, "rows": results.num_rows, "wall_time_s": passed}
        write_record(partial_folder / RECORD, _record(subject).model_copy(update=counts))
        manifest["reported"] = {"rows": results.num_rows, "kept": len(kept)}
    for name in (ROWS, POLICY, RECORD):
        (work / name).unlink()
    return folder.folder


def stage_folder(recipe: Recipe, subject: Subject) -> StageFolder:
    """Return the folder of the results."""
    return StageFolder("self-adaptation", recipe.run_dir / SEAL, _inputs(subject))


def check_unfinished(folder: StageFolder, work: Path) -> None:
    """Check that unfinished rows are of these settings, weights and text, with which alone they can stand in a table.

    Raises:
        RecipeError: naming what differs.
    """
    if not (work / ROWS).is_file() or not (work / INPUTS).is_file():
        return
    if changed := input_changes(read_json(work / INPUTS), folder.inputs):
        raise RecipeError(
            f"{work}: unfinished self-adaptation with other settings, weights or text ({'; '.join(changed)}); give "
            "those that it was begun with to finish it, or remove the folder to begin anew"
        )


def read_subject(recipe: Recipe) -> Subject:
    """Return what is adapted. Raises `RecipeError` as `adapt` does."""
    settings = recipe.seal
    if not settings.enabled:
        raise RecipeError("seal.enabled: self-adaptation is off in this recipe; add seal.enabled=true")
    if num_processes() > 1:
        raise RecipeError(
            "scripts/run_seal.py starts its own processes (seal.workers); start it with python, without a launcher"
        )
    tokenizer = load_tokenizer(recipe.tokenizer_dir)
    identity = identify_model(recipe, settings.model, len(tokenizer))
    row_length(settings.tokens_per_step, GPT2Config.from_pretrained(recipe.run_dir / settings.model).n_positions)
    found = read_documents(recipe.documents_dir / "validation")
    if len(found) < settings.validation_documents:
        raise RecipeError(
            f"seal.validation_documents: the corpus has {len(found)} held-out documents, got "
            f"{settings.validation_documents}; expected at most so many, or a larger corpus.validation_fraction"
        )
    by_hash = sorted(found, key=lambda one: sha256_json(one.id))[: settings.validation_documents]
    documents = tuple(one.text for one in by_hash)
    device = choose_device(settings)
    return Subject(settings, identity, recipe.run_dir / settings.model, recipe.tokenizer_dir, documents, device)


def _adapt(policy: Policy, results: Kept, settings: Seal) -> list[PolicyRow]:
    loop = OuterLoop(settings, policy, results.carry)
    if settings.policy == "language_model":
        loop.warm_up()
    untrained = loop.proposals("untrained")
    policy_file = results.file.with_name(POLICY)
    for number, _ in enumerate(loop.train(), 1):
        lines = [f"{row.model_dump_json(exclude_unset=True)}\n" for row in loop.kept]
        policy_file.write_text("".join(lines), encoding="utf-8")
        logger.info("round %d of %d is learned", number, settings.rounds)
    results.carry(loop.test_jobs(loop.arms(untrained, loop.proposals("trained"))))
    return loop.kept


def make_policy(subject: Subject) -> Policy:
    """Return the policy. Raises `RecipeError` if the model has no room for its edits."""
    if subject.settings.policy == "choice":
        return ChoicePolicy(EditLanguage.of(subject.settings))
    settings = subject.settings
    tokenizer: PreTrainedTokenizerFast = load_tokenizer(subject.tokenizer)
    policy = LanguageModelPolicy(subject.load(), tokenizer, settings)
    numbers = {"train": settings.warmup_edits, "adapt": settings.train_passages, "test": settings.test_passages}
    for split, number in numbers.items():
        policy.check_room(list(passages(split, number, settings.seed)))
    return policy


class _Here:
    """Carries out jobs in this process."""

    def map(self, run: Callable[[Job], list[AdaptRow]], jobs: Sequence[Job]) -> Iterator[list[AdaptRow]]:
        """Yield the rows of each job, in order; with one thread, as the processes of a pool have."""
        threads = torch.get_num_threads()
        for job in jobs:
            torch.set_num_threads(1)
            try:
                rows = run(job)
            finally:
                torch.set_num_threads(threads)
            yield rows


@contextmanager
def _pool(subject: Subject) -> Iterator[Pool]:
    """Yield who carries out edits. Processes are started anew: a forked one would share the parent's threads."""
    if subject.settings.workers == 1:
        set_bench(subject.bench())
        yield _Here()
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        subject.settings.workers, mp_context=context, initializer=start_worker, initargs=(subject.bench, os.getpid())
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _settings(subject: Subject) -> Fields:
    """Return the section without what no number depends on."""
    return {name: value for name, value in asdict(subject.settings).items() if name not in _ASIDE}


def _inputs(subject: Subject) -> Fields:
    return {
        "settings": dict(_settings(subject)),  # under `seal` they would count as without effect on a run
        "weights": {subject.identity.model: subject.identity.weights_sha256},
        "tokenizer_sha256": subject.identity.tokenizer_sha256,
        "validation_sha256": sha256_json(subject.documents),
    }


def _code_sha256() -> str:
    """Return a hash of the code that trains, and of this room's; no other result depends on the latter."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return sha256_json([CODE_SHA256, *(sha256_file(file) for file in files)])


def _record(subject: Subject) -> SealRecord:
    return SealRecord(
        schema_version=SCHEMA,
        condition=subject.identity.condition,
        seed=subject.identity.seed,
        settings=_settings(subject),
        model=subject.identity.model,
        weights_sha256=subject.identity.weights_sha256,
        tokenizer_sha256=subject.identity.tokenizer_sha256,
        validation_sha256=sha256_json(subject.documents),
        code_sha256=_code_sha256(),
        environment=environment(),
        complete=False,
        rows=0,
        wall_time_s=0,
    )
