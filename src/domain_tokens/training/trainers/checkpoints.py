"""The trainer's part of a checkpoint: the library's own save, in a folder that gets its name when it is whole."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import TrainingArguments

from domain_tokens.runs.checkpoints.retention import Retention, remove_old
from domain_tokens.runs.checkpoints.writing import begin_checkpoint, finish_checkpoint, staging_folder
from domain_tokens.runs.files import read_json
from domain_tokens.runs.layout import checkpoint_folder
from domain_tokens.training.trainers.finite import FiniteTrainer


def repeat_compiled_steps(arguments: TrainingArguments) -> None:
    """Let steps that are compiled for a CPU give the same numbers each time, which a resumed run depends on.

    Threads of compiled code otherwise add rows of the embedding's gradient in no fixed order, and two equal runs
    differ. On a GPU, this is for the recipe to choose, by `full_determinism`. It holds for the rest of the process.

    Args:
        arguments (`TrainingArguments`): the trainer's.
    """
    stricter = torch.are_deterministic_algorithms_enabled()  # by `full_determinism`
    if arguments.torch_compile and arguments.device.type == "cpu" and not stricter:
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Nothing reads memory before it is written. Filling it would cost time.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


class CheckpointTrainer(FiniteTrainer):
    """A `Trainer` that is never without a whole checkpoint once it has saved one.

    The library's own save (transformers 5.23) writes to the folder that it will resume from, and removes older
    checkpoints before it is known to be complete. Here it writes to `staging_folder`, where its rotation finds
    nothing to remove, and `runs.checkpoints` does the rest. As the first base class it serves the trainers of TRL too,
    and in every process of DDP and DeepSpeed: optimizer states that are spread over processes are among the files.

    Attributes:
        written_beside: functions that write into the folder of a checkpoint, called in the first process.
        retention: which checkpoints are kept.
    """

    written_beside: tuple[Callable[[Path], None], ...] = ()
    retention = Retention()
    _is_saving = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        repeat_compiled_steps(self.args)

    def _get_output_dir(self, trial: Any) -> str:
        work = super()._get_output_dir(trial)
        return str(staging_folder(Path(work))) if self._is_saving else work

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self.check_finite()
        work, step, state = Path(str(self.args.output_dir)), self.state.global_step, PartialState()
        if state.is_main_process:
            begin_checkpoint(work)
        state.wait_for_everyone()
        self._is_saving = True
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self._is_saving = False
        self._write_window(checkpoint_folder(staging_folder(work), step))
        self.state.best_model_checkpoint = None  # a path in the staging folder
        state.wait_for_everyone()
        if state.is_main_process:
            staged = checkpoint_folder(staging_folder(work), step)
            for write in self.written_beside:
                write(staged)
            finish_checkpoint(work, step, self.retention.keeps_weights(step))
            remove_old(work, self._evaluation_losses(), self.retention.newest)
        state.wait_for_everyone()

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        if kwargs["resume_from_checkpoint"] is not None and kwargs["epoch"] == kwargs["epochs_trained"]:
            self._read_window(Path(kwargs["resume_from_checkpoint"]))
        # Resumed from the last step, the library takes one step too many where that is not the end of an epoch.
        if self.state.global_step < self.state.max_steps:
            super()._run_epoch(*args, **kwargs)

    def _write_window(self, folder: Path) -> None:
        """Write this process's sums since the last row of the log, which the library would begin anew."""
        metrics = {name: list(values) for name, values in self._averaged.items()}
        window = {"logged": self._globalstep_last_logged, "loss": float(self._tr_loss), "metrics": metrics}
        (folder / _window_file()).write_text(json.dumps(window, default=float), encoding="utf-8")

    def _read_window(self, checkpoint: Path) -> None:
        file = checkpoint / _window_file()
        if not file.is_file():  # of an older version; the next row of the log is then of fewer steps
            return
        window = read_json(file)
        self._globalstep_last_logged = window["logged"]
        self._tr_loss += window["loss"]
        for name, values in window["metrics"].items():
            self._averaged[name] = values

    @property
    def _averaged(self) -> dict[str, list[float]]:
        """What TRL's trainers average over the steps between two rows of the log; nothing in the library's own."""
        return vars(self).get("_metrics", {}).get("train", {})

    def _evaluation_losses(self) -> dict[int, float]:
        return {row["step"]: row["eval_loss"] for row in self.state.log_history if "eval_loss" in row}


def _window_file() -> str:
    return f"log_window_{PartialState().process_index}.json"
