"""Stops training at a step on which all processes agree, with a checkpoint, when one of them was asked to stop."""

import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from domain_tokens.runs.checkpoints.writing import mark_extra
from domain_tokens.stopping.signals import Interrupted, StopSignals
from domain_tokens.training.callbacks.peers import PeerWatch


class StopTogether(TrainerCallback):
    """Asks for a checkpoint and the end when any process got a signal; in every process at the same step.

    The processes compare what they got after every step, over gloo and on the CPU, so that no step waits for a GPU.

    Args:
        signals (`StopSignals`): what this process was asked.
        every (`int`): steps between those from which a run can be resumed; more than 1 where steps share completions.
    """

    def __init__(self, signals: StopSignals, every: int = 1) -> None:
        self._signals = signals
        self._every = every
        self._number = 0
        self._group: Any = None
        self._peers: PeerWatch | None = None
        self._is_extra = False
        self._saved = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Connect the processes."""
        self._saved = state.global_step
        if args.world_size > 1:
            self._group = distributed.new_group(backend="gloo", timeout=timedelta(seconds=args.ddp_timeout))
            self._peers = PeerWatch(self._group)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Let each process end when it is done."""
        if self._peers is not None:
            self._peers.stop()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Agree; then save and stop at the first step from which the run can be resumed."""
        self._agree()
        if self._number == 0 or (state.global_step % self._every and state.global_step < state.max_steps):
            return
        control.should_training_stop = True
        if args.save_strategy != "no":
            self._is_extra = not control.should_save
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Remember the step."""
        self._saved, self._is_extra = state.global_step, False

    def mark(self, folder: Path) -> None:
        """Mark a checkpoint that an undisturbed run would not have, so that the next one replaces it."""
        if self._is_extra:
            mark_extra(folder)

    def raise_if_asked(self, stage: str, state: TrainerState) -> None:
        """Raise `Interrupted` in every process if one was asked to stop.

        Args:
            stage (`str`): its name, for the message of the first process.
            state (`TrainerState`): of the trainer, which has ended.
        """
        self._agree()
        if self._number == 0:
            return
        name = signal.Signals(self._number).name
        done = f"{name}: {stage} stopped after step {state.global_step} of {state.max_steps}"
        saved = "saved it" if self._saved == state.global_step else "saved nothing of it, because of save_strategy"
        says = f"{done} and {saved}; run the same command again to resume"
        raise Interrupted(self._number, says if state.is_world_process_zero else "")

    def _agree(self) -> None:
        if self._number == 0:
            self._number = self._signals.number
            if self._group is not None:
                most = torch.tensor([self._number])
                distributed.all_reduce(most, distributed.ReduceOp.MAX, self._group)
                self._number = int(most)
