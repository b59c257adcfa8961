"""Writes metrics to `metrics.jsonl`, one JSON object per line, and stops training if the loss is not finite."""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.layout import METRICS
from domain_tokens.runs.records import MetricsRow, write_rows
from domain_tokens.training.devices import PEAK_FLOPS, known_device, peak_resident_bytes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """What a stage has done since its first step, over all processes and interruptions.

    Attributes:
        tokens: positions that the model was trained on, with padding.
        examples: sequences, question-answer pairs or completions trained on.
        flops: FLOPs of training and, in GRPO, of sampling.
        generated_tokens: tokens that the model wrote.
    """

    tokens: int
    examples: int
    flops: float
    generated_tokens: int = 0


class MetricsLog(TrainerCallback):
    """Appends what the Trainer logs to `metrics.jsonl`, with tokens, examples, speed, memory and MFU.

    Every stage has the same speeds. Evaluations are excluded from their time, checkpoints and sampling are not.

    Args:
        folder (`Path`): the folder of the file.
        work_at (`Callable`): returns the work that is done when a step has ended. It is called with the current step.
        stage (`str`): the name of an SFT stage, written into every row; empty for other stages.
        names (`dict[str, str]`): new names for some of the trainer's metrics.
    """

    def __init__(
        self,
        folder: Path,
        work_at: Callable[[int], Work],
        stage: str = "",
        names: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.path = folder / METRICS
        self.work_at = work_at
        self.stage = stage
        self.names = names
        self.tokens_per_s: float | None = None
        self._last: tuple[int, Work, float] | None = None  # step, work and time of the last row

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Drop the rows of steps that a resumed run repeats. Counts must have been restored before."""
        if not state.is_world_process_zero:
            return
        if torch.cuda.is_available() and known_device(name := torch.cuda.get_device_name()) is None:
            logger.info("mfu: unknown, because the peak of %s in bf16 is not in training/devices.py", name)
        rows = read_metrics(self.path) if self.path.is_file() else []
        write_rows(self.path, [row for row in rows if row.step <= state.global_step and state.global_step > 0])
        self._last = (state.global_step, self.work_at(state.global_step), time.perf_counter())

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Append one row; stop on a loss or gradient that is not finite."""
        logs = dict(logs or {})
        for key in ("loss", "grad_norm", "eval_loss"):
            if key in logs:
                refuse_not_finite(key, logs[key], state.global_step, str(args.output_dir))
        if not state.is_world_process_zero or "train_runtime" in logs:
            return
        row: dict[str, str | float | None] = {"step": state.global_step}
        if self.stage:
            row["stage"] = self.stage
        row |= {self.names.get(key, key): value for key, value in logs.items() if isinstance(value, int | float)}
        if "loss" in logs and self._last is not None:
            row |= self._speeds(self._last, state.global_step, args.world_size)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def _speeds(self, last: tuple[int, Work, float], step: int, num_devices: int) -> dict[str, float | None]:
        """Return what was done since the last row, a second; and begin the next row."""
        done, now = self.work_at(step), time.perf_counter()
        self._last = (step, done, now)
        row: dict[str, float | None] = {"memory_bytes": _memory_bytes(), "tokens_seen": done.tokens}
        last_step, before, last_time = last
        if step == last_step:
            return row
        seconds = now - last_time
        self.tokens_per_s = (done.tokens - before.tokens) / seconds
        row["step_time_s"] = seconds / (step - last_step)
        row["tokens_per_s"] = self.tokens_per_s
        row["examples_per_s"] = (done.examples - before.examples) / seconds
        if done.generated_tokens:
            row["generated_tokens_per_s"] = (done.generated_tokens - before.generated_tokens) / seconds
        row["mfu"] = _utilization((done.flops - before.flops) / seconds, num_devices)
        return row

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Exclude the time of an evaluation from the next step's time."""
        if self._last is not None:
            self._last = (*self._last[:2], time.perf_counter())


def refuse_not_finite(name: str, value: float, step: int, folder: str) -> None:
    """Raise `RecipeError` if a number of a training step is not finite.

    Args:
        name (`str`): what it is: `loss`, `grad_norm` or `eval_loss`.
        value (`float`): the number.
        step (`int`): its optimizer step.
        folder (`str`): the folder of checkpoints.
    """
    if not math.isfinite(value):
        raise RecipeError(
            f"{name} is {value} at step {step}; the run stops, earlier checkpoints are kept in {folder}; try a lower "
            "learning_rate or a longer warm-up"
        )


def read_metrics(path: Path) -> list[MetricsRow]:
    """Read `metrics.jsonl`. A line that is not JSON, as a kill may leave at the end, is skipped."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            value = json.loads(line)
        except json.JSONDecodeError:
            logger.warning("%s: skipped a line that is not JSON", path)
            continue
        rows.append(MetricsRow.parse(value, f"{path}, line {number}"))
    return rows


def last_value(rows: list[MetricsRow], key: str) -> float | None:
    """Return the last logged value of a key, or None if no row has it."""
    return next((value for row in reversed(rows) if (value := row.value(key)) is not None), None)


def _memory_bytes() -> int:
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return peak_resident_bytes()


def _utilization(flops_per_s: float, num_devices: int) -> float | None:
    if not torch.cuda.is_available():
        return None
    known = known_device(torch.cuda.get_device_name())
    return None if known is None else flops_per_s / (PEAK_FLOPS[known] * num_devices)
