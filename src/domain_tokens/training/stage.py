"""What every training stage does around its trainer: arguments, resume, metrics, the final folder and its manifest."""

import atexit
import logging
import os
import shutil
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import DistributedType, PartialState
from transformers import PreTrainedModel, Trainer, TrainingArguments

from domain_tokens.recipe import Recipe, RecipeError, parse_arguments
from domain_tokens.runs.files import sha256_weights
from domain_tokens.runs.layout import METRICS
from domain_tokens.runs.provenance import environment
from domain_tokens.runs.stage_folder import StageFolder
from domain_tokens.tokenization.builder import save_tokenizer
from domain_tokens.tokenization.contract import load_tokenizer
from domain_tokens.training.callbacks import quieten, show_progress
from domain_tokens.training.checkpoints import newest_unfinished
from domain_tokens.training.model import num_parameters
from domain_tokens.training.preflight import preflight

logger = logging.getLogger(__name__)

Arguments = TypeVar("Arguments", bound=TrainingArguments)

_MODEL_FILES = ("config.json", "generation_config.json")

# How long a process waits for one that no longer answers. The library's default keeps a hung job for half an hour.
_TIMEOUT_S = 600


def start() -> None:
    """Set up logging for a training script: one line a message, from the first process alone."""
    rank = int(os.environ.get("RANK", "0"))
    logging.basicConfig(level=logging.INFO if rank == 0 else logging.ERROR, format="%(message)s")
    for noisy in ("httpx", "datasets", "DeepSpeed", "deepspeed", "absl"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    quieten()
    atexit.register(_end)


def num_processes() -> int:
    """Return how many processes the launcher started for this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def build_arguments(
    kind: type[Arguments], recipe: Recipe, section: str, values: dict[str, Any], work: Path, accumulation: int
) -> Arguments:
    """Turn a trainer's section into the library's argument class, with all that follows from the rest of the recipe.

    Args:
        kind: `TrainingArguments`, `SFTConfig` or `GRPOConfig`.
        recipe (`Recipe`): the run.
        section (`str`): the section's name, for messages.
        values (`dict[str, Any]`): the section.
        work (`Path`): where checkpoints go.
        accumulation (`int`): micro batches per optimizer step.
    """
    _check_precision(values, section)
    derived: dict[str, Any] = {
        "output_dir": str(work),
        "gradient_accumulation_steps": accumulation,
        "seed": recipe.training_seed,
        "data_seed": recipe.training_seed,
        "logging_nan_inf_filter": False,  # it hides a loss that is not a number as 0.0
        "ddp_timeout": _TIMEOUT_S,
        "dataloader_pin_memory": torch.cuda.is_available(),
    }
    if not torch.cuda.is_available() and num_processes() > 1:
        derived["ddp_backend"] = "gloo"  # without it DeepSpeed on CPU sees one process
        derived["use_cpu"] = True  # without it accelerate starts the processes and does not connect them
        _exchange_over_gloo()
    arguments = parse_arguments(kind, values, section, derived)
    state = PartialState()
    connected = num_processes() == 1 or state.distributed_type != DistributedType.NO
    if not connected or not arguments.world_size == state.num_processes == num_processes():
        raise RecipeError(
            f"the launcher started {num_processes()} processes, which accelerate does not connect: each would train a "
            "model of its own; use another of accelerate_configs/ on this machine"
        )
    return arguments


def begin(
    recipe: Recipe,
    stage: StageFolder,
    work: Path,
    model: PreTrainedModel,
    matched: dict[str, Any],
    sources: list[dict[str, Any]],
) -> None:
    """Claim the folder of unfinished work, and check what has to hold before the first step (`preflight`).

    Args:
        recipe (`Recipe`): the run.
        stage (`StageFolder`): the stage.
        work (`Path`): where checkpoints go.
        model (`PreTrainedModel`): what is about to be trained.
        matched (`dict[str, Any]`): what must be equal in every condition; `finish` records the same.
        sources (`list[dict[str, Any]]`): what is trained on, as `corpora.sources.describe` describes it.
    """
    with PartialState().main_process_first():
        stage.open_work(work)
        preflight(recipe, stage.folder, work, load_tokenizer(recipe.tokenizer_dir), model.config, matched, sources)


def run(trainer: Trainer, stage: StageFolder, work: Path) -> None:
    """Train to the end, from the newest checkpoint that verifies if there is one.

    Raises:
        RecipeError: if training ended before its last step.
    """
    with PartialState().main_process_first():
        checkpoint = newest_unfinished(work)
    if checkpoint is not None:
        logger.info("%s: resumed from %s", stage.name, checkpoint)
    show_progress(trainer)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if trainer.state.global_step != trainer.state.max_steps:
        raise RecipeError(
            f"{stage.name}: ended after step {trainer.state.global_step} of {trainer.state.max_steps}; run the same "
            "command again to go on"
        )


def finish(
    trainer: Trainer,
    recipe: Recipe,
    stage: StageFolder,
    metrics: list[Path],
    ledger: list[dict[str, Any]],
    matched: dict[str, Any],
    reported: dict[str, Any],
) -> None:
    """Write the stage's final folder: weights, tokenizer, metrics, resolved recipe and manifest.

    Args:
        trainer (`Trainer`): the trained model, gathered from all processes if it is spread over them.
        recipe (`Recipe`): the run.
        stage (`StageFolder`): the stage's folder.
        metrics (`list[Path]`): the work folders whose `metrics.jsonl` are joined, in order.
        ledger (`list[dict[str, Any]]`): what it consumed, `counting.ledger_entry`; one entry a stage of fine-tuning.
        matched (`dict[str, Any]`): what must be equal in every condition.
        reported (`dict[str, Any]`): what may differ, and is shown.
    """
    state = PartialState()
    gathered = stage.folder.with_name(f"{stage.folder.name}.weights")
    trainer.save_model(str(gathered))
    state.wait_for_everyone()
    if state.is_main_process:
        tokenizer = load_tokenizer(recipe.tokenizer_dir)
        with stage.writing(recipe) as (folder, manifest):
            for path in gathered.iterdir():
                if path.name in _MODEL_FILES or path.name.startswith("model"):  # in one file or in several
                    shutil.copy2(path, folder / path.name)
            save_tokenizer(tokenizer, folder)
            with (folder / METRICS).open("w", encoding="utf-8") as joined:
                for work in metrics:
                    joined.write((work / METRICS).read_text(encoding="utf-8"))
            manifest["ledger"] = ledger
            manifest["matched"] = matched
            manifest["reported"] = reported | {
                "seed_offset": recipe.seed_offset,
                "weights_sha256": sha256_weights(folder),
            }
        shutil.rmtree(gathered)
        logger.info("%s: %s", stage.name, stage.folder)
    state.wait_for_everyone()


def conditions(recipe: Recipe, model: PreTrainedModel, arguments: TrainingArguments) -> dict[str, Any]:
    """Return what every stage has under `matched`: model, trainer, seed, processes, software."""
    # Names and folders in the configuration are underscored, and are the condition's own.
    architecture = {key: value for key, value in model.config.to_diff_dict().items() if not key.startswith("_")}
    return {
        "architecture": architecture | {"transformers_version": None},
        "num_parameters": num_parameters(model),
        "trainer": settings(arguments),
        "seed": recipe.seed,
        "num_processes": num_processes(),
        "packages": environment()["packages"],
    }


def settings(arguments: TrainingArguments) -> dict[str, Any]:
    """Return what the two conditions' trainers must share: optimizer, schedule, precision, lengths, sampling."""
    values = arguments.to_dict()
    ignored = (
        "output_dir",
        "run_name",
        "hub_model_id",
        "report_to",
        "accelerator_config",
        "deepspeed",
        "disable_tqdm",
    )
    return {key: value for key, value in sorted(values.items()) if key not in ignored and not key.endswith("_token")}


def _exchange_over_gloo() -> None:
    # DeepSpeed 0.19 compiles an exchange over shared memory when it starts on a CPU: that needs a compiler, and 40
    # CPU-seconds in every new environment. Without it gloo does the same.
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true":
        import deepspeed

        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def _end() -> None:
    # A job of several processes that leaves its group up ends with an error although it is finished.
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _check_precision(values: dict[str, Any], section: str) -> None:
    if values.get("bf16") and not torch.cuda.is_available():
        raise RecipeError(
            f"{section}.bf16: this machine has no GPU, and bf16 on a CPU is slower than fp32; add "
            f"{section}.bf16=false (and pretrain.tf32=null), or the overlay recipes/scales/demo.yaml"
        )
