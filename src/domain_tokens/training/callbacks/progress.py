"""Progress reports of a running training stage; silences the libraries' own output."""

import time
import warnings
from collections.abc import Mapping
from typing import Any

import datasets
from transformers import (
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.utils import logging as transformers_logging

from domain_tokens.runs.progress import Progress, report
from domain_tokens.training.callbacks.metrics import MetricsLog


def quieten() -> None:
    """Silence the libraries' progress bars and warnings that do not apply here."""
    # Bars for every file read or written, requests for attention masks without padding, notes on sharding.
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    # TRL 1.16 still uses names that transformers 5.23 has renamed.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    datasets.disable_progress_bars()


def show_progress(trainer: Trainer) -> None:
    """Replace the trainer's own display, which prints every log entry, with progress reports."""
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    per_step = [one.tokens_per_step for one in trainer.callback_handler.callbacks if isinstance(one, MetricsLog)]
    trainer.add_callback(_Reports(max(per_step, default=0)))


class _Reports(TrainerCallback):
    """Reports every step, with the latest loss and the tokens per second between two log entries.

    Args:
        tokens_per_step (`int`): tokens per step over all processes; 0 if it varies and the trainer logs `num_tokens`.
    """

    def __init__(self, tokens_per_step: int) -> None:
        self._tokens_per_step = tokens_per_step
        self._loss: float | None = None
        self._tokens_per_s: float | None = None
        self._last: tuple[float, float] | None = None  # time and tokens at the last log

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Report the step."""
        self._report(state)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Record the loss and the speed."""
        if logs is None or "loss" not in logs:
            return
        tokens = state.global_step * self._tokens_per_step or logs.get("num_tokens", 0.0)
        now = time.perf_counter()
        if self._last is not None and tokens > self._last[1]:
            self._tokens_per_s = (tokens - self._last[1]) / (now - self._last[0])
        self._last = (now, tokens)
        self._loss = logs["loss"]
        self._report(state)

    def _report(self, state: TrainerState) -> None:
        if state.is_world_process_zero:
            report(Progress("", state.global_step, state.max_steps, "step", self._loss, self._tokens_per_s))
