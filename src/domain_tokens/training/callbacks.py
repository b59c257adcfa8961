"""What a person sees of a training run: a bar on a terminal, a line now and then in a log file."""

import logging
import sys
import warnings
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

logger = logging.getLogger(__name__)

# What is shown, where it is logged; metrics.jsonl has everything.
_SHOWN = ("loss", "eval_loss", "grad_norm", "learning_rate", "reward", "kl", "rewards/exact_match/mean")
_LINES = 20  # in a log file, over the whole run


def quieten() -> None:
    """Silence the libraries' own bars and the advice that does not apply here."""
    # A bar for every file that is read or written, requests for masks of sequences without padding, notes on sharding.
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    # TRL 1.16 still uses names that transformers 5.23 has renamed.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()


def show_progress(trainer: Trainer) -> None:
    """Replace the trainer's own display, which prints everything that it logs."""
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(_Bar() if sys.stderr.isatty() else _Lines())


class _Bar(ProgressCallback):
    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if state.is_world_process_zero and self.training_bar is not None:
            self.training_bar.set_postfix_str(_summary(logs or {}))


class _Lines(TrainerCallback):
    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        summary = _summary(logs or {})
        every = max(1, state.max_steps // _LINES)
        due = state.global_step % every < args.logging_steps or "eval_loss" in (logs or {})
        if state.is_world_process_zero and summary and due:
            logger.info("step %d of %d: %s", state.global_step, state.max_steps, summary)


def _summary(logs: dict[str, Any]) -> str:
    return ", ".join(f"{key.split('/')[-2 if '/' in key else 0]} {logs[key]:.4g}" for key in _SHOWN if key in logs)
