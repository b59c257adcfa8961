"""One training stage: the steps that pretraining, supervised fine-tuning and GRPO share.

`TrainingRun` defines their order. `pretrain.py`, `sft.py` and `grpo.py` supply what is specific to each stage: the
data, the trainer, what conditions must share, and what to report.
"""

import atexit
import logging
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import DistributedType, PartialState
from accelerate.utils import broadcast_object_list
from pydantic import JsonValue
from transformers import GPT2LMHeadModel, PreTrainedModel, PreTrainedTokenizerFast, Trainer, TrainingArguments

from domain_tokens.corpora.hub import commits_read
from domain_tokens.evaluation.models.devices import Device, check_device, choose_device
from domain_tokens.recipe import Recipe, RecipeError, parse_arguments
from domain_tokens.runs.checkpoints.retention import Retention
from domain_tokens.runs.checkpoints.room import check_room, checkpoint_bytes, full_disk
from domain_tokens.runs.checkpoints.verified import newest_whole, saved_steps
from domain_tokens.runs.checkpoints.writing import clear_interrupted
from domain_tokens.runs.files import sha256_weights
from domain_tokens.runs.launcher import Requested, check_launcher, check_sharding, launcher_of
from domain_tokens.runs.layout import METRICS, TRACE, StagePaths, stage_paths
from domain_tokens.runs.micro_batches import found_micro_batches, read_found
from domain_tokens.runs.provenance import CODE_SHA256, packages
from domain_tokens.runs.records import AnswerEnds, Contamination, Fields, LedgerEntry, MetricsRow, PortionRecord
from domain_tokens.runs.settings import declared_settings
from domain_tokens.runs.stage_folder import StageFolder
from domain_tokens.stopping.parent import end_with_launcher
from domain_tokens.stopping.signals import StopSignals
from domain_tokens.tokenization.contract import copy_tokenizer, load_tokenizer
from domain_tokens.training.callbacks.accounting import Consumption, Counter, ledger_entry
from domain_tokens.training.callbacks.metrics import MetricsLog, read_metrics
from domain_tokens.training.callbacks.profile import StepProfile
from domain_tokens.training.callbacks.progress import quieten, show_progress
from domain_tokens.training.callbacks.saving import SaveWeights
from domain_tokens.training.callbacks.stopping import StopTogether
from domain_tokens.training.callbacks.trackers import check_trackers, name_tensorboard, tracker_names
from domain_tokens.training.devices import keep_freed_memory
from domain_tokens.training.fitting.memory import device_name
from domain_tokens.training.fitting.needs import check_found
from domain_tokens.training.inputs import Predecessor, recorded_sources, training_sources
from domain_tokens.training.model import num_parameters
from domain_tokens.training.optimizers import check_optimizer
from domain_tokens.training.preflight import preflight
from domain_tokens.training.trainers.checkpoints import CheckpointTrainer

logger = logging.getLogger(__name__)

Arguments = TypeVar("Arguments", bound=TrainingArguments)
TrainerSection = Mapping[str, Any]
"""A section of the recipe with a library's own argument names."""

_MODEL_FILES = ("config.json", "generation_config.json")

# Trainer arguments that affect where it writes and reports, but not how it trains.
_NOT_MATCHED = (
    "output_dir", "run_name", "hub_model_id", "report_to", "accelerator_config", "deepspeed", "disable_tqdm",
    "project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id",
)  # fmt: skip

# How long a process waits for one that does not respond. With the library's default, a job hangs for half an hour.
_TIMEOUT_S = 600


class TrainingRun(ABC):
    """One stage of one run, from its recipe to its final folder.

    `execute` defines the order. The constructor checks the recipe and reads nothing but the records that the recipe
    names in `budget.equal_to` and `learning_rates`, so an invalid recipe is refused before anything is written.
    Tokenizer, data and model are cached properties, read once, when `execute` first uses them.

    Attributes:
        name: `pretrain`, `sft` or `grpo`, used in messages and in the manifest.
        ledger_name: the stage's name in the ledger, `sft/<name>` for fine-tuning.
        recipe: the run.
        stage: the stage's name in folder names, `sft_<name>` for fine-tuning.
        paths: the folders of the stage's checkpoints and result.
        arguments: the library's parsed arguments.
    """

    name: str
    ledger_name: str
    arguments: TrainingArguments

    def __init__(self, recipe: Recipe, stage: str, paths: StagePaths | None = None) -> None:
        self.recipe = recipe
        self.stage = stage
        self.paths: StagePaths = paths or _own_paths(recipe, stage)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The condition's tokenizer, verified on loading. Trainers set its padding and truncation."""
        return load_tokenizer(self.recipe.tokenizer_dir)

    @property
    def earlier(self) -> Predecessor | None:
        """The earlier fine-tuning stage whose ledger and metrics this stage continues, if any."""
        return None

    @abstractmethod
    def inputs(self) -> Fields:
        """Return the stage's inputs. Raises `RecipeError` if one is missing or does not fit."""

    @property
    @abstractmethod
    def model(self) -> GPT2LMHeadModel:
        """The model to train."""

    @property
    @abstractmethod
    def matched(self) -> Fields:
        """What must be equal in every condition, computed before the first step."""

    @abstractmethod
    def make_trainer(self, counter: Counter) -> CheckpointTrainer:
        """Return the trainer, without callbacks.

        Args:
            counter (`Counter`): counts consumption that does not follow from the recipe.
        """

    @abstractmethod
    def metrics_log(self, counter: Counter) -> MetricsLog:
        """Return the callback that writes `metrics.jsonl`.

        Args:
            counter (`Counter`): the counts of a stage whose consumption does not follow from the recipe.
        """

    @abstractmethod
    def consumed(self, counter: Counter) -> Consumption:
        """Return what the ledger records in addition to the counts."""

    @abstractmethod
    def reported(self, rows: list[MetricsRow]) -> Fields:
        """Return reported values that may differ between conditions.

        Args:
            rows (`list[MetricsRow]`): the logged metrics.
        """

    @property
    def steps_between_resumable(self) -> int:
        """From which steps the stage can be resumed: every one of it, or the multiples of a number."""
        return 1

    @property
    def retention(self) -> Retention:
        """Which checkpoints are kept."""
        return Retention(self.arguments.save_total_limit)

    @property
    def trained_parameters(self) -> int:
        """The number of parameters that are trained."""
        return num_parameters(self.model)

    def save_final(self, trainer: CheckpointTrainer, folder: Path) -> None:
        """Save the trained model. Called in all processes, because each may hold part of the weights."""
        trainer.save_model(str(folder))

    def before_training(self) -> None:  # noqa: B027  (most stages have nothing to add)
        """Measure the model before the first step. Raises `RecipeError` if it is not worth training."""

    def after_training(self, trainer: Trainer) -> None:  # noqa: B027  (most stages have nothing to add)
        """Take measurements after the last step."""

    def write_lists(self, folder: Path) -> None:  # noqa: B027  (pretraining lists its documents with the corpus)
        """Write into the final folder what the stage lists beside its manifest."""

    def contamination(self) -> Contamination | None:
        """Return what was compared with evaluation sets; pretraining's is recorded with its documents."""
        return None

    def mixture(self) -> dict[str, PortionRecord] | None:
        """Return what each source of a mixture of examples gave; other stages have none."""
        return None

    def answer_ends(self, folder: Path) -> AnswerEnds | None:
        """Return how many answers end before and after the stage; pretraining has no prompts.

        Args:
            folder (`Path`): the model as it was saved.
        """
        return None

    def execute(self, allow_change: bool = False, profile: bool = False) -> None:
        """Skip the stage if it is complete; otherwise train it and write its final folder.

        Args:
            allow_change (`bool`, *optional*, defaults to `False`): go on with unfinished work although something that
                its result depends on has changed.
            profile (`bool`, *optional*, defaults to `False`): write a trace of ten steps; see `StepProfile`.

        Raises:
            RecipeError: if its inputs are missing or damaged, or differ from those of unfinished work, if the
                conditions would not be comparable, or if there is no room on the disk.
        """
        folder = StageFolder(self.name, self.paths.final, self.inputs())
        if folder.is_complete():
            if profile:
                logger.info("%s: complete, so there is nothing to profile (%s)", self.name, self.paths.final)
            return
        # Matched values are recorded before the first step, because training changes the weights.
        matched, checkpoint_size = self.matched, checkpoint_bytes(self.trained_parameters)
        with PartialState().main_process_first():
            running: Fields = {"matched": {**matched}, "code_sha256": CODE_SHA256, **self._found_on(allow_change)}
            has_results = next(saved_steps(self.paths.work), None) is not None
            folder.open_work(self.paths.work, self.recipe, running, allow_change, has_results)
            sources = recorded_sources(folder.inputs)
            preflight(self.recipe, self.paths, self.tokenizer, self.model.config, matched, sources)
            if self.arguments.save_strategy != "no" and PartialState().is_main_process:
                check_room(self.paths.work, checkpoint_size)
        self.before_training()
        counter = Counter()
        signals = StopSignals(end_with_launcher())
        stopping = StopTogether(signals, self.steps_between_resumable)
        trainer = self.prepared_trainer(counter, stopping)
        if profile and PartialState().is_main_process:
            trainer.add_callback(StepProfile(trainer, self.ledger_name, self.paths.work / TRACE))
        with full_disk(self.paths.work, checkpoint_size):
            with signals.deferred():
                self._train(trainer)
                stopping.raise_if_asked(self.name, trainer.state)
            self._check_all_steps(trainer)
            self.after_training(trainer)
            reported = self.reported(read_metrics(self.paths.work / METRICS))
            entry = ledger_entry(trainer, self.recipe, counter, self.ledger_name, self.consumed(counter))
            self._write(trainer, folder, entry, reported)

    def _found_on(self, allow_change: bool = False) -> dict[str, JsonValue]:
        """Return the device of a stage whose micro batch was found on a device; it must be of the same kind."""
        if self.stage not in found_micro_batches(self.recipe):
            return {}
        check_found(self.recipe, self.stage, device_name(), allow_change)
        return {"device": device_name()}

    def prepared_trainer(self, counter: Counter, stopping: StopTogether) -> CheckpointTrainer:
        """Return the trainer with all its callbacks, but for those that show progress."""
        trainer = self.make_trainer(counter)
        if "tensorboard" in self.arguments.report_to:
            name_tensorboard(trainer, self.recipe, self.stage)
        trainer.retention = self.retention
        # The trainer saves the tokenizer with its current truncation and padding and with a class that other libraries
        # do not know. It is replaced with the condition's own.
        trainer.written_beside = (counter.write, partial(copy_tokenizer, self.recipe.tokenizer_dir), stopping.mark)
        for callback in (counter, self.metrics_log(counter), SaveWeights(trainer.retention), stopping):
            trainer.add_callback(callback)
        return trainer

    def _train(self, trainer: CheckpointTrainer) -> None:
        (checkpoint,) = broadcast_object_list([self._checkpoint() if PartialState().is_main_process else None])
        if checkpoint is not None:
            step = checkpoint.name.rpartition("-")[2]
            logger.info("%s: resumes from step %s, the last that was saved intact (%s)", self.name, step, checkpoint)
        show_progress(trainer)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        trainer.check_finite()

    def _check_all_steps(self, trainer: Trainer) -> None:
        if trainer.state.global_step != trainer.state.max_steps:
            raise RecipeError(
                f"{self.name}: stopped after step {trainer.state.global_step} of {trainer.state.max_steps}; run the "
                "same command again to resume"
            )

    def _checkpoint(self) -> Path | None:
        clear_interrupted(self.paths.work)
        return newest_whole(self.paths.work)

    def _write(self, trainer: Trainer, stage: StageFolder, entry: LedgerEntry, reported: Fields) -> None:
        """Write the final folder: weights, tokenizer, metrics, resolved recipe and manifest."""
        state = PartialState()
        # All processes save; only the first writes the folder.
        gathered = stage.folder.with_name(f"{stage.folder.name}.weights")
        self.save_final(trainer, gathered)
        state.wait_for_everyone()
        if state.is_main_process:
            with stage.writing(self.recipe) as (folder, manifest):
                for path in gathered.iterdir():
                    if path.name in _MODEL_FILES or path.name.startswith("model"):  # one file or several
                        shutil.copy2(path, folder / path.name)
                # Not the tokenizer that `save_model` saved: that one has the trainer's padding and truncation.
                copy_tokenizer(self.recipe.tokenizer_dir, folder)
                self.write_lists(folder)
                logs, ledger = [self.paths.work / METRICS], [entry]
                if self.earlier is not None:
                    logs.insert(0, self.earlier.folder / METRICS)
                    ledger = [*self.earlier.manifest.ledger, entry]
                metrics = "".join(log.read_text(encoding="utf-8") for log in logs)
                (folder / METRICS).write_text(metrics, encoding="utf-8")
                manifest["ledger"] = ledger
                if (compared := self.contamination()) is not None:
                    manifest["contamination"] = compared
                if (mixture := self.mixture()) is not None:
                    manifest["mixture"] = mixture
                if (ends := self.answer_ends(folder)) is not None:
                    logger.log(logging.WARNING if ends.falls else logging.INFO, "%s: %s", self.stage, ends.describe())
                    manifest["answer_ends"] = ends.as_json()
                manifest["matched"] = self.matched
                if commits := commits_read(training_sources(self.recipe, self.stage)):
                    manifest["hub_commits"] = commits
                if (found := read_found(self.recipe, self.stage)) is not None:
                    manifest["micro_batch"] = found.as_json()
                own = {"seed_offset": self.recipe.seed_offset, "weights_sha256": sha256_weights(folder)}
                manifest["reported"] = {**reported, **own}
            shutil.rmtree(gathered)
            logger.info("%s: %s", stage.name, stage.folder)
        state.wait_for_everyone()


def _own_paths(recipe: Recipe, stage: str) -> StagePaths:
    """Return the folders of one of the run's own stages. Raises `RecipeError` if the run starts after that stage."""
    own = stage_paths(recipe)
    if stage not in own and (start := recipe.start_from) is not None:
        raise RecipeError(
            f"start_from: this run starts with {start.model} of {start.condition} and has no stage {stage}; its own "
            f"stages are {', '.join(own)}"
        )
    return own[stage]


def start_process() -> None:
    """Set up a training script's process: its memory, and one line per message, from the first process only."""
    keep_freed_memory()
    rank = int(os.environ.get("RANK", "0"))
    logging.basicConfig(level=logging.INFO if rank == 0 else logging.ERROR, format="%(message)s")
    for noisy in ("httpx", "datasets", "DeepSpeed", "deepspeed", "absl"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    quieten()
    atexit.register(_leave_process_group)


def num_processes() -> int:
    """Return the number of processes that the launcher started for this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def build_arguments(
    kind: type[Arguments],
    recipe: Recipe,
    section: str,
    values: TrainerSection,
    work: Path,
    accumulation: int,
    own: Fields | None = None,
) -> Arguments:
    """Build the library's argument class from a trainer section and what follows from the rest of the recipe.

    Args:
        kind: `TrainingArguments`, `SFTConfig` or `GRPOConfig`.
        recipe (`Recipe`): the run.
        section (`str`): the section's name, for messages.
        values (`TrainerSection`): the section.
        work (`Path`): the folder of checkpoints.
        accumulation (`int`): micro batches per optimizer step.
        own (`Fields`, *optional*): what the stage itself sets.

    Raises:
        RecipeError: if the section is invalid, or the launcher's processes are not connected.
    """
    check_device(device := choose_device("training", num_processes()), section, values)
    derived: dict[str, JsonValue] = {
        "output_dir": str(work),
        "gradient_accumulation_steps": accumulation,
        "seed": recipe.seed_of["sampling"],
        "data_seed": recipe.seed_of["order"],
        "logging_nan_inf_filter": False,  # if on, it replaces a NaN loss with 0.0
        "ddp_timeout": _TIMEOUT_S,
        # Otherwise every evaluation during training starts its workers again.
        "dataloader_persistent_workers": int(values.get("dataloader_num_workers") or 0) > 0,
        **tracker_names(recipe, work.name, values),
        **_copying(device),
        **(own or {}),
    }
    derived |= _over_gloo() if device == "cpu" and num_processes() > 1 else {}
    arguments = parse_arguments(kind, dict(values), section, derived)
    check_trackers(section, arguments)
    check_optimizer(section, arguments, arguments.device)
    check_launcher(launcher_of(os.environ), requested(section, arguments, accumulation, values))
    check_sharding(launcher_of(os.environ), device)
    _check_connected(arguments)
    return arguments


def _check_connected(arguments: TrainingArguments) -> None:
    state = PartialState()
    connected = num_processes() == 1 or state.distributed_type != DistributedType.NO
    if not connected or not arguments.world_size == state.num_processes == num_processes():
        raise RecipeError(
            f"the launcher started {num_processes()} processes, but accelerate did not connect them, so each would "
            "train a separate model; use another file from accelerate_configs/ on this machine"
        )


def matched_settings(
    recipe: Recipe, stage: str, model: PreTrainedModel, arguments: TrainingArguments
) -> dict[str, JsonValue]:
    """Return what every stage records under `matched`: model, trainer, seeds, processes, software, settings."""
    # Keys with an underscore are names and folders, which differ between conditions.
    architecture = {key: value for key, value in model.config.to_diff_dict().items() if not key.startswith("_")}
    matched: dict[str, JsonValue] = {
        "architecture": architecture | {"transformers_version": None},
        "num_parameters": num_parameters(model),
        "trainer": trainer_settings(arguments),
        "seed": recipe.seed,
        "seeds": {**recipe.seed_of},
        "generator": recipe.generator,
        "rules": recipe.rules,
        "num_processes": num_processes(),
        # The order of sums on a CPU, and with it the last digits, depends on the number of threads.
        "threads": None if torch.cuda.is_available() else torch.get_num_threads(),
        "packages": dict(packages()),
        "settings": declared_settings(recipe, stage),
    }
    if launched := launcher_of(os.environ).recorded():
        matched["launcher"] = {**launched}
    return matched


def requested(section: str, arguments: TrainingArguments, accumulation: int, values: TrainerSection) -> Requested:
    """Return what a launcher must not overrule.

    Args:
        section (`str`): the section's name, for messages.
        arguments (`TrainingArguments`): the parsed section.
        accumulation (`int`): micro batches per optimizer step.
        values (`TrainerSection`): the section, whose precision counts on any machine.
    """
    clipping = float(arguments.max_grad_norm or 0.0)
    precision = "bf16" if values.get("bf16") else "no"
    return Requested(section, precision, accumulation, clipping, bool(arguments.torch_compile))


def trainer_settings(arguments: TrainingArguments) -> dict[str, JsonValue]:
    """Return the trainer settings that conditions must share: optimizer, schedule, precision, lengths, sampling."""
    values = sorted(arguments.to_dict().items())
    return {key: value for key, value in values if key not in _NOT_MATCHED and not key.endswith("_token")}


def _copying(device: Device) -> dict[str, JsonValue]:
    """Return the arguments by which Python reads the next batch while a GPU computes; it would wait at every copy."""
    on_gpu = device == "cuda"
    return {"dataloader_pin_memory": on_gpu, "accelerator_config": {"non_blocking": on_gpu}}


def _over_gloo() -> dict[str, JsonValue]:
    """Return the arguments that connect processes on a CPU, and let DeepSpeed use gloo too."""
    # On a CPU, DeepSpeed 0.19 compiles a shared-memory backend at start-up, which needs a compiler and 40 CPU-seconds
    # in every new environment. Without it, DeepSpeed uses gloo.
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true":
        import deepspeed

        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    # Otherwise DeepSpeed sees only one process, and accelerate does not connect the processes.
    return {"ddp_backend": "gloo", "use_cpu": True}


def _leave_process_group() -> None:
    # A finished multi-process job exits with an error if its process group still exists.
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
