"""Writes metrics to `metrics.jsonl`, one JSON object per line, and stops training if the loss is not finite."""

import json
import logging
import math
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.layout import METRICS
from domain_tokens.runs.records import MetricsRow, write_rows
from domain_tokens.training.devices import PEAK_FLOPS

logger = logging.getLogger(__name__)


class MetricsLog(TrainerCallback):
    """Appends what the Trainer logs to `metrics.jsonl`, with tokens, speed, memory and MFU.

    Args:
        folder (`Path`): the folder of the file.
        tokens_per_step (`int`): tokens per optimizer step over all processes; 0 if it varies.
        flops_per_token (`float`): used for the model FLOPs utilization.
        stage (`str`): the name of an SFT stage, written into every row; empty for other stages.
        names (`dict[str, str]`): new names for some of the trainer's metrics.
    """

    def __init__(
        self,
        folder: Path,
        tokens_per_step: int = 0,
        flops_per_token: float = 0.0,
        stage: str = "",
        names: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.path = folder / METRICS
        self.tokens_per_step = tokens_per_step
        self.flops_per_token = flops_per_token
        self.stage = stage
        self.names = names
        self._last: tuple[int, float] | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Drop the rows of steps that a resumed run repeats."""
        if not state.is_world_process_zero:
            return
        rows = read_metrics(self.path) if self.path.is_file() else []
        write_rows(self.path, [row for row in rows if row.step <= state.global_step and state.global_step > 0])
        self._last = (state.global_step, time.perf_counter())

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
            last_step, last_time = self._last
            now = time.perf_counter()
            seconds, steps = now - last_time, state.global_step - last_step
            self._last = (state.global_step, now)
            row["memory_bytes"] = _memory_bytes()
            if steps > 0:
                row["step_time_s"] = seconds / steps
            if self.tokens_per_step:
                row["tokens_seen"] = state.global_step * self.tokens_per_step
                tokens_per_s = steps * self.tokens_per_step / seconds
                row["tokens_per_s"] = tokens_per_s
                row["mfu"] = _utilization(tokens_per_s * self.flops_per_token, args.world_size)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Exclude the time of an evaluation from the next step's time."""
        if self._last is not None:
            self._last = (self._last[0], time.perf_counter())


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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux kibibytes


def _utilization(flops_per_s: float, num_devices: int) -> float | None:
    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name()
    peak = next((flops for model, flops in PEAK_FLOPS.items() if model in name), None)
    return None if peak is None else flops_per_s / (peak * num_devices)
