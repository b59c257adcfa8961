"""Where the time of a step goes: a trace of ten steps, and the shares of data, forward, backward and optimizer."""

import logging
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from torch.profiler import profile, record_function, schedule
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from domain_tokens.recipe import RecipeError

logger = logging.getLogger(__name__)

WARM_UP = 3  # steps in which memory is allocated and graphs are compiled
STEPS = 10
PHASES = ("data", "forward", "backward", "optimizer")


class StepProfile(TrainerCallback):
    """Writes a trace of ten steps behind three of warm-up, and logs the share of each phase in their time.

    A GPU works behind Python. So that each phase gets its own time, Python waits for it where a phase begins and ends.
    This and the profiler make these steps slower, but change no number. In GRPO `data` is mostly sampling. DeepSpeed
    runs the optimizer within `backward`. Evaluations and checkpoints are between steps and not counted.

    Args:
        trainer (`Trainer`): the trainer, whose parts are timed.
        name (`str`): the stage, for messages.
        file (`Path`): the trace, which ends in `.json.gz`; Chrome and https://ui.perfetto.dev show it.
    """

    def __init__(self, trainer: Trainer, name: str, file: Path) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self.total = 0.0
        self._trainer, self._name, self._file = trainer, name, file
        self._begun = 0.0
        self._left = WARM_UP + STEPS
        self._trace = profile(schedule=schedule(wait=0, warmup=WARM_UP, active=STEPS, repeat=1))

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin the trace. Raises `RecipeError` if there are too few steps for it."""
        steps = state.max_steps - state.global_step
        if steps < self._left:
            raise RecipeError(
                f"--profile: expected at least {self._left} steps ({WARM_UP} of warm-up, {STEPS} profiled), but "
                f"{steps} are left of {self._name}; run it without --profile, or with more steps"
            )
        trainer = self._trainer
        for owner, method, phase in (
            (trainer, "get_batch_samples", "data"),
            (trainer, "_prepare_inputs", "data"),
            (trainer, "compute_loss", "forward"),
            (trainer.accelerator, "backward", "backward"),
            (trainer.optimizer, "step", "optimizer"),
        ):
            setattr(owner, method, self._timed(getattr(owner, method), phase, method == "get_batch_samples"))
        self._trace.start()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count the step; after the last, write the trace and log the shares."""
        if self._left == 0:
            return
        if self._left <= STEPS:
            self.total += _now() - self._begun
        self._trace.step()
        self._left -= 1
        if self._left == 0:
            self._trace.stop()
            self._trace.export_chrome_trace(str(self._file))
            other = {**self.seconds, "other": self.total - sum(self.seconds.values())}
            shares = ", ".join(f"{phase} {seconds / self.total:.1%}" for phase, seconds in other.items())
            logger.info("%s: %s steps of %.1f ms each: %s", self._name, STEPS, 1000 * self.total / STEPS, shares)
            logger.info("%s: trace in %s", self._name, self._file)

    def _timed(self, method: Callable[..., Any], phase: str, begins_step: bool) -> Callable[..., Any]:
        @wraps(method)
        def timed(*args: Any, **kwargs: Any) -> Any:
            # An evaluation calls the same methods, but for the one with which a step begins.
            evaluates = not self._trainer.model.training and not begins_step
            if evaluates or not 0 < self._left <= STEPS:
                return method(*args, **kwargs)
            since = _now()
            if begins_step:
                self._begun = since
            with record_function(phase):
                result = method(*args, **kwargs)
                self.seconds[phase] += _now() - since
            return result

        return timed


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
