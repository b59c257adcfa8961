"""Progress reports of a running training stage; silences the libraries' own output."""

import os
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

from domain_tokens.evaluation.models.devices import choose_device
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
    if choose_device("training") == "cpu":  # DeepSpeed otherwise warns that it found nothing else
        os.environ.setdefault("DS_ACCELERATOR", "cpu")


def show_progress(trainer: Trainer) -> None:
    """Replace the trainer's own display, which prints every log entry, with progress reports."""
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    logs = [one for one in trainer.callback_handler.callbacks if isinstance(one, MetricsLog)]
    trainer.add_callback(_Reports(logs[0] if logs else None))


class _Reports(TrainerCallback):
    """Reports every step, with the latest loss and the tokens per second between two log entries.

    Args:
        log (`MetricsLog`, *optional*): knows the speed. The trainer calls it first.
    """

    def __init__(self, log: MetricsLog | None) -> None:
        self._log = log
        self._loss: float | None = None

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
        """Record the loss."""
        if logs is None or "loss" not in logs:
            return
        self._loss = logs["loss"]
        self._report(state)

    def _report(self, state: TrainerState) -> None:
        if state.is_world_process_zero:
            speed = None if self._log is None else self._log.tokens_per_s
            report(Progress("", state.global_step, state.max_steps, "step", self._loss, speed))
