"""A real trainer of the smallest size that saves often, and a process that is killed at a chosen moment of it."""

import contextlib
import errno
import itertools
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import transformers.modeling_utils
from accelerate import PartialState
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.checkpoints.retention import Retention
from domain_tokens.runs.checkpoints.room import full_disk
from domain_tokens.runs.checkpoints.verified import newest_whole
from domain_tokens.runs.checkpoints.writing import clear_interrupted
from domain_tokens.runs.layout import checkpoint_folder
from domain_tokens.stopping.signals import StopSignals
from domain_tokens.training.callbacks.progress import quieten
from domain_tokens.training.callbacks.saving import SaveWeights
from domain_tokens.training.callbacks.stopping import StopTogether
from domain_tokens.training.trainers.checkpoints import CheckpointTrainer

KILLED = 9
STEPS = 7
# What the interpreter reports of its work on files before it does it.
_ON_FILES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "shutil.rmtree")


class AtStep(TrainerCallback):
    """Acts at the beginning of one step, or at the end of a run for the step after its last; rests before steps."""

    def __init__(self, step: int = 0, act: Callable[[], object] = lambda: None, rest_s: float = 0.0) -> None:
        self._step, self._act, self._rest_s = step, act, rest_s

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        time.sleep(self._rest_s)
        if state.global_step + 1 == self._step:
            self._act()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step + 1 == self._step:
            self._act()


class Steps(TrainerCallback):
    """Remembers the steps that a trainer takes."""

    def __init__(self) -> None:
        self.taken: list[int] = []

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.taken.append(state.global_step)


def train(
    work: Path, callback: TrainerCallback | None = None, signals: StopSignals | None = None, **arguments: Any
) -> CheckpointTrainer:
    """Train for seven steps, two micro batches each, with dropout, from the newest whole checkpoint.

    One checkpoint is kept beside the best, and the weights of every third step. With `signals`, it is stopped as a
    stage is.
    """
    quieten()
    torch.manual_seed(1)
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, n_positions=8, vocab_size=50))
    rows = [
        {"input_ids": ids, "labels": ids} for ids in torch.randint(50, (8, 8))
    ]  # an epoch ends with step 4, which is saved
    settings = {
        "output_dir": str(work), "max_steps": STEPS, "save_steps": 2, "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 2, "logging_steps": 1, "eval_strategy": "steps", "eval_steps": 2,
        "learning_rate": 1e-2, "report_to": "none", "use_cpu": True, "disable_tqdm": True,
    }  # fmt: skip
    trainer = CheckpointTrainer(
        model=model, args=TrainingArguments(**settings | arguments), train_dataset=rows, eval_dataset=rows[:2]
    )
    trainer.retention = Retention(newest=1, weights_every_tokens=3, tokens_per_step=1)
    trainer.written_beside = (lambda folder: (folder / "counts.json").write_text(json.dumps({"tokens": 1})),)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(SaveWeights(trainer.retention))
    if callback is not None:
        trainer.add_callback(callback)
    if signals is not None:
        stopping = StopTogether(signals)
        trainer.add_callback(stopping)
        trainer.written_beside = (*trainer.written_beside, stopping.mark)
    checkpoint = _newest(work)
    with full_disk(work, 1234567), contextlib.nullcontext() if signals is None else signals.deferred():
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if signals is not None:
            stopping.raise_if_asked("tiny", trainer.state)
    return trainer


def _newest(work: Path) -> Path | None:
    if PartialState().is_main_process:
        clear_interrupted(work)
    PartialState().wait_for_everyone()
    return newest_whole(work)


def state_of(work: Path, step: int = STEPS) -> dict[str, Any]:
    """Return weights, optimizer, schedule and random numbers of a checkpoint, and every loss that was logged."""
    folder = checkpoint_folder(work, step)
    files = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "model.safetensors")
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    losses = {
        key: {row["step"]: row[key] for row in history if key in row} for key in ("loss", "grad_norm", "eval_loss")
    }
    return {name: (folder / name).read_bytes() for name in files} | losses


def touches_of(act: Callable[[], object], record: Path) -> list[str]:
    """Return what `act` does to the disk, in order, by acting in a child process that ends well."""
    touched: list[str] = []
    assert code_of_child(lambda: (_touching(touched.append, act), record.write_text(json.dumps(touched)))) == 0
    return json.loads(record.read_text())


def killed_at(moment: int, act: Callable[[], object]) -> int:
    """Act in a child process that ends before its touch of the disk number `moment`, without a word; return its code.

    Touches are: each file that is opened to be written, renamed, linked or removed, each folder that is made or
    removed, and the moments before and after each flush and each write of a library.
    """
    left = itertools.count(moment, -1)

    def end(touch: str) -> None:
        if next(left) == 0:
            os._exit(KILLED)

    return code_of_child(lambda: _touching(end, act))


def full_at(moment: int, act: Callable[[], object]) -> str:
    """Act in a child process whose disk is full from its touch number `moment` on; return its message."""

    left = itertools.count(moment, -1)

    def full(touch: str) -> None:
        if next(left) <= 0 and not touch.startswith(("after", "os.remove", "os.rmdir", "shutil.rmtree")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return _message(lambda: _touching(full, act))


def limited_to(size: int, act: Callable[[], object]) -> str:
    """Act in a child process in which no file may have more than `size` bytes; return its message."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        act()

    return _message(limited)


def _message(act: Callable[[], object]) -> str:
    reading, writing = os.pipe()

    def said() -> None:
        try:
            act()
        except RecipeError as error:
            os.write(writing, str(error).encode())

    code = code_of_child(said)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return pipe.read() if code == 0 else "ended with a traceback"


def ends(act: Callable[[], object]) -> bool:
    """Return whether `act` ends well in a child process."""
    return code_of_child(act) == 0


def code_of_child(act: Callable[[], object]) -> int:
    """Act in a child process; return its exit code, 1 for an error, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _touching(touch: Callable[[str], None], act: Callable[[], object]) -> None:
    """Act, and say of each touch of the disk what it is. The hook stays in this process."""

    def on_event(event: str, arguments: tuple[object, ...]) -> None:
        writes = event == "open" and isinstance(arguments[1], str) and arguments[1][0] in "wax"
        if writes or event in _ON_FILES:
            touch(f"{event} {Path(str(arguments[0])).name}")

    def around(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            touch(f"before {name}")
            result = function(*args, **kwargs)
            touch(f"after {name}")
            return result

        return called

    sys.addaudithook(on_event)
    # Flushes, and what libraries write in C++ and Rust, are no events.
    for holder, name in ((os, "fsync"), (torch, "save"), (transformers.modeling_utils, "safe_save_file")):
        setattr(holder, name, around(name, getattr(holder, name)))
    act()


def damages(content: bytes) -> Iterator[tuple[str, bytes | None]]:
    """Yield what can become of a file: nothing, no bytes, half of them; one bit of the first, middle or last byte."""
    yield "missing", None
    yield "empty", b""
    yield "cut", content[: len(content) // 2]
    for place in (0, len(content) // 2, len(content) - 1):
        yield f"bit {place}", content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
