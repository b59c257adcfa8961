"""Finds the micro batches of an experiment that a recipe leaves to the machine, and records them.

Imports none of the training libraries: those are imported by the trial, a process of its own.
"""

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from domain_tokens.recipe import Recipe, RecipeError, load_recipe
from domain_tokens.recipe.arguments import MICRO_BATCH
from domain_tokens.recipe.micro_batch import auto_stages, rows_per_process, sizes_to_try
from domain_tokens.runs.files import exclusive
from domain_tokens.runs.layout import MICRO_BATCHES_LOCK
from domain_tokens.runs.micro_batches import (
    FoundMicroBatch,
    MicroBatchTry,
    found_micro_batches,
    micro_batches_file,
    read_micro_batches,
    write_micro_batch,
)
from domain_tokens.runs.records import Fields, write_record
from domain_tokens.training.fitting.needs import needs_of, vocabulary_size
from domain_tokens.training.fitting.request import Answer, Request, choose, read_answer

logger = logging.getLogger(__name__)

TRIAL = Path(__file__).with_name("trial.py")

Start = Callable[[Sequence[str], Path], int]
"""Runs a script with its arguments to its end, its output in a file; returns its exit code, negative for a signal."""

# How a system ends a process for which there is no memory, or a library that cannot go on without.
_FOR_MEMORY = tuple(-number for number in (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS))
_OF_LAUNCHERS = ("ACCELERATE_", "MASTER_", "TORCHELASTIC_", "PET_", "GROUP_", "ROLE_")
_OF_RANKS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "CROSS_RANK", "CROSS_SIZE")
_POLL_S = 0.2


@dataclass(frozen=True)
class Sharing:
    """How many share a step and the memory.

    Attributes:
        num_processes: processes of one stage, each with a device of its own, or a part of the CPU's memory.
        runs_at_a_time: runs that share these.
        limit_bytes: memory that one process may use, whatever there is.
    """

    num_processes: int = 1
    runs_at_a_time: int = 1
    limit_bytes: int | None = None


def find_micro_batches(
    arguments: Sequence[Sequence[str]], start: Start, sharing: Sharing, kind: str = "", parent: int | None = None
) -> dict[str, FoundMicroBatch]:
    """Find and record the micro batches that are `auto` and not recorded yet.

    Processes that do so at the same time wait for each other, and the later ones find the record.

    Args:
        arguments (`Sequence[Sequence[str]]`): of `load_recipe`, for each condition of one experiment.
        start: runs a trial.
        sharing (`Sharing`): how many share a step and the memory.
        kind (`str`, *optional*): look only for the stages of `pretrain`, `sft` or `grpo`.
        parent (`int`, *optional*): the process with which a trial ends; none if `start` sees to that.

    Returns:
        What was found now, by stage.

    Raises:
        RecipeError: if no micro batch fits, saying what was needed and what to do, or the record is damaged.
    """
    recipes = [load_recipe(list(one)) for one in arguments]
    wanted = [stage for stage in auto_stages(recipes[0]) if stage.startswith(kind)]
    if not wanted:
        return {}
    found_now: dict[str, FoundMicroBatch] = {}
    with exclusive(recipes[0].experiment_dir / MICRO_BATCHES_LOCK):
        missing = [stage for stage in wanted if stage not in found_micro_batches(recipes[0])]
        largest = max(range(len(recipes)), key=lambda index: vocabulary_size(recipes[index]))
        _check_sharing(recipes[0], wanted, sharing)
        for stage in missing:
            logger.info("%s: tries which micro batch fits and is fast on this machine", stage)
            needs = needs_of(recipes, stage)
            found = _same(recipes[0], stage, needs, sharing)
            if found is None:
                request = Request(
                    recipe=tuple(arguments[largest]),
                    stage=stage,
                    sizes=tuple(sizes_to_try(rows_per_process(recipes[0], stage, sharing.num_processes))),
                    num_processes=sharing.num_processes,
                    runs_at_a_time=sharing.runs_at_a_time,
                    limit_bytes=sharing.limit_bytes,
                    parent=parent,
                )
                found = _found(request, needs, _run_trial(request, start))
            write_micro_batch(recipes[0], stage, found)
            found_now[stage] = found
            logger.info("%s", describe(stage, found))
    return found_now


def ensure_micro_batches(arguments: Sequence[str], kind: str) -> None:
    """Find the micro batches of the stages that this process is about to train, if that is left to the machine.

    Of several processes the first does it, before any of them uses its device, and the others wait for the record; if
    the first fails, the launcher ends them.

    Args:
        arguments (`Sequence[str]`): of `load_recipe`.
        kind (`str`): `pretrain`, `sft` or `grpo`.

    Raises:
        RecipeError: as `find_micro_batches`.
    """
    recipe = load_recipe(list(arguments))
    wanted = {stage for stage in auto_stages(recipe) if stage.startswith(kind)}
    if os.environ.get("RANK", "0") != "0":
        while not wanted <= found_micro_batches(recipe).keys():
            time.sleep(_POLL_S)
    elif not wanted <= found_micro_batches(recipe).keys():
        sharing = Sharing(int(os.environ.get("WORLD_SIZE", "1")))
        find_micro_batches([arguments], start_fresh, sharing, kind, parent=os.getpid())


def describe(stage: str, found: FoundMicroBatch) -> str:
    """Return what was found in one line."""
    rows = [
        f"{one.micro_batch}: {one.rows / one.seconds:.4g} rows/s, {(one.peak_bytes or 0) / 1e9:.2f} GB"
        if one.fits and one.rows and one.seconds
        else f"{one.micro_batch}: {one.reason}"
        for one in found.tries
    ]
    return (
        f"{stage}: micro batch {found.micro_batch}, found on {found.device} with {found.memory_bytes / 1e9:.2f} GB "
        f"({'; '.join(rows)})"
    )


def start_fresh(arguments: Sequence[str], log: Path) -> int:
    """Run a script in a fresh process that does not know of the launcher of this one."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in _OF_RANKS and not name.startswith(_OF_LAUNCHERS)
    }
    with log.open("ab") as output:
        return subprocess.run(
            [sys.executable, *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ).returncode


def _check_sharing(recipe: Recipe, stages: Sequence[str], sharing: Sharing) -> None:
    """Check that no more runs share the memory than when a micro batch was found. Raises `RecipeError`."""
    recorded = read_micro_batches(recipe).stages
    for stage in stages:
        if stage in recorded and recorded[stage].runs_at_a_time < sharing.runs_at_a_time:
            raise RecipeError(
                f"{micro_batches_file(recipe)}: the micro batch of {stage} was found with "
                f"{recorded[stage].runs_at_a_time} at a time, and now {sharing.runs_at_a_time} runs would share the "
                f"memory; add --jobs {recorded[stage].runs_at_a_time}"
            )


def _same(recipe: Recipe, stage: str, needs: Fields, sharing: Sharing) -> FoundMicroBatch | None:
    """Return what was found for another stage of the same kind with the same needs, such as one of fine-tuning."""
    for other, found in read_micro_batches(recipe).stages.items():
        same = (found.num_processes, found.runs_at_a_time) == (sharing.num_processes, sharing.runs_at_a_time)
        if same and other.partition("_")[0] == stage.partition("_")[0] and found.needs == needs:
            return found
    return None


def _run_trial(request: Request, start: Start) -> Answer:
    """Run a trial, which may end as it likes, and return what is known of it."""
    with tempfile.TemporaryDirectory() as folder:
        asked, tries, log = (Path(folder) / name for name in ("request", "tries", "log"))
        write_record(asked, request)
        code = start([str(TRIAL), str(asked), str(tries)], log)
        answer = read_answer(tries)
        if answer.error:
            raise RecipeError(answer.error)
        if code == 0:
            return answer
        if code in _FOR_MEMORY and answer.trying is not None:
            ended = f"the process was ended by {signal.Signals(-code).name}, as when memory runs out"
            failed = MicroBatchTry(micro_batch=answer.trying, fits=False, reason=ended)
            return answer.model_copy(update={"tries": (*answer.tries, failed), "trying": None})
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.is_file() else []
        raise RecipeError(
            f"{MICRO_BATCH}: auto: the trial of {request.stage} ended with code {code} and no answer: "
            f"{said[-1] if said else 'nothing was said'}; run again, or give a number"
        )


def _found(request: Request, needs: Fields, answer: Answer) -> FoundMicroBatch:
    size = choose(answer.tries)
    if size is None:
        first = answer.tries[0]
        took = "" if first.peak_bytes is None else f", which took {first.peak_bytes / 1e9:.2f} GB"
        raise RecipeError(
            f"{request.stage}: {MICRO_BATCH}: auto: not even {first.micro_batch} row at a time fits into the "
            f"{answer.memory_bytes / 1e9:.2f} GB that {answer.device} has for a run, with {request.runs_at_a_time} "
            f"at a time: {first.reason}{took}; free memory, run fewer at a time (--jobs), train a smaller model or "
            "shorter rows, or use a larger device"
        )
    return FoundMicroBatch(
        micro_batch=size,
        device=answer.device,
        memory_bytes=answer.memory_bytes,
        num_processes=request.num_processes,
        runs_at_a_time=request.runs_at_a_time,
        needs=needs,
        tries=answer.tries,
    )
