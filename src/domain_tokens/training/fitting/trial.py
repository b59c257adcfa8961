"""Tries the micro batches of one stage, from small to large, in a process of its own.

    python trial.py REQUEST.json TRIES.jsonl

The process may run out of memory, or be killed for it, so each line of `TRIES.jsonl` is written when it is known:
first the device, then for each micro batch that it is tried, and what it took.
"""

import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from accelerate.state import AcceleratorState
from pydantic import JsonValue
from transformers import TrainerCallback, TrainingArguments

from domain_tokens.recipe import RecipeError, load_recipe
from domain_tokens.runs.files import read_json
from domain_tokens.stopping.parent import end_with
from domain_tokens.training.callbacks.accounting import Counter
from domain_tokens.training.callbacks.progress import quieten
from domain_tokens.training.devices import keep_freed_memory
from domain_tokens.training.fitting.memory import Memory, device_name, is_out_of_memory
from domain_tokens.training.fitting.request import Request, gains
from domain_tokens.training.fitting.stand_ins import stand_in, stand_in_tokenizer, stand_in_weights
from domain_tokens.training.model import num_parameters
from domain_tokens.training.stage import TrainingRun

_BYTES_OF_GRADIENT = 4


def main() -> None:
    """Try what `REQUEST.json` asks for."""
    request, tries = Request.parse(read_json(Path(sys.argv[1])), sys.argv[1]), Path(sys.argv[2])
    if request.parent is not None:
        end_with(request.parent)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    quieten()
    keep_freed_memory()  # as a stage does, which takes more memory and less time for it
    with tempfile.TemporaryDirectory() as folder:
        try:
            _try(request, tries, Path(folder) / "weights")
        except RecipeError as error:
            _write(tries, error=str(error))


def _try(request: Request, tries: Path, weights: Path) -> None:
    recipe, stage = load_recipe(list(request.recipe)), request.stage
    tokenizer = stand_in_tokenizer(recipe)
    stand_in_weights(recipe, len(tokenizer), weights)
    reserved = 0
    if request.num_processes > 1:  # each keeps the gradients once more, to exchange them
        parameters = num_parameters(stand_in(recipe, stage, 1, tokenizer, weights, request.num_processes).model)
        reserved = parameters * _BYTES_OF_GRADIENT
    memory = Memory(request.runs_at_a_time, request.num_processes, request.limit_bytes, reserved)
    _write(tries, device=device_name(), memory_bytes=memory.num_bytes)
    memory.limit()
    speeds: list[float] = []
    for size in request.sizes:
        memory.forget()
        _write(tries, trying=size)
        try:
            seconds, rows = _steps(stand_in(recipe, stage, size, tokenizer, weights, request.num_processes), memory)
        except Exception as error:
            memory.release()
            if not is_out_of_memory(error):
                raise
            _write(tries, micro_batch=size, fits=False, reason=f"out of memory ({type(error).__name__})")
            return
        peak = memory.peak_bytes()
        fits = peak <= memory.usable
        _write(
            tries, micro_batch=size, fits=fits, seconds=round(seconds, 6), rows=rows, peak_bytes=peak,
            reason="" if fits else "leaves too little memory",
        )  # fmt: skip
        speeds.append(rows / seconds)
        if not fits or not gains(speeds):
            return


def _steps(run: TrainingRun, memory: Memory) -> tuple[float, int]:
    """Take the steps of a stage; return the seconds of the last and the rows of each."""
    counter = Counter()
    trainer = run.make_trainer(counter)
    clock = _Clock(memory)
    for callback in (counter, clock):
        trainer.add_callback(callback)
    trainer.train()
    rows = run.arguments.per_device_train_batch_size * run.arguments.gradient_accumulation_steps
    trainer.model = trainer.model_wrapped = trainer.optimizer = None
    del trainer, run
    AcceleratorState._reset_state()  # the next trainer begins anew
    memory.wait()
    return clock.seconds, rows


class _Clock(TrainerCallback):
    """Measures the last step, when the device has done it."""

    seconds = 0.0

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._since = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: Any, control: Any, **kwargs: Any) -> None:
        self._memory.wait()
        now = time.perf_counter()
        self.seconds, self._since = now - self._since, now


def _write(tries: Path, **values: JsonValue) -> None:
    with tries.open("a", encoding="utf-8") as file:
        file.write(json.dumps(values) + "\n")
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    main()
