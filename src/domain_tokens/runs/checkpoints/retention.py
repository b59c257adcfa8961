"""Which checkpoints of a stage are kept: the newest, the best, and weights for the learning curves."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from domain_tokens.runs.checkpoints.verified import saved_steps
from domain_tokens.runs.checkpoints.writing import remove_checkpoint
from domain_tokens.runs.layout import EXTRA, checkpoint_folder


@dataclass(frozen=True)
class Retention:
    """What is kept of a stage's checkpoints.

    Attributes:
        newest: how many of the newest; `None` for all.
        weights_every_tokens: the weights are kept for good whenever so many tokens more have been trained on; 0 for
            never.
        tokens_per_step: tokens of one optimizer step.
    """

    newest: int | None = None
    weights_every_tokens: int = 0
    tokens_per_step: int = 0

    def keeps_weights(self, step: int) -> bool:
        """Return whether the weights of a step are kept for good: the first step at or past a multiple."""
        every, tokens = self.weights_every_tokens, step * self.tokens_per_step
        return every > 0 and tokens // every > (tokens - self.tokens_per_step) // every


def to_keep(steps: Collection[int], losses: Mapping[int, float], newest: int | None) -> set[int]:
    """Return the steps of the checkpoints that stay: the newest, and the one with the least evaluation loss.

    Args:
        steps (`Collection[int]`): the steps of all checkpoints.
        losses (`Mapping[int, float]`): evaluation losses by step. A checkpoint of another step is never the best.
        newest (`int`, *optional*): how many of the newest stay; `None` for all. At least one stays.
    """
    if newest is None:
        return set(steps)
    measured = [step for step in steps if math.isfinite(losses.get(step, math.nan))]
    best = min(measured, key=lambda step: (losses[step], step), default=None)
    return {*sorted(steps)[-max(1, newest) :], *([] if best is None else [best])}


def remove_old(work: Path, losses: Mapping[int, float], newest: int | None) -> None:
    """Remove the checkpoints that need not stay, the oldest first.

    A checkpoint that was written because the run was interrupted stays until the next one. It is never the best, and
    so an interrupted run keeps in the end what an undisturbed one does.

    Args:
        work (`Path`): the folder of checkpoints, the newest of which is whole.
        losses (`Mapping[int, float]`): evaluation losses by step.
        newest (`int`, *optional*): see `to_keep`.
    """
    steps = sorted(saved_steps(work))
    extra = {step for step in steps if (checkpoint_folder(work, step) / EXTRA).is_file()}
    lasting = [step for step in steps if step not in extra or step == steps[-1]]
    measured = {step: loss for step, loss in losses.items() if step not in extra}
    for step in sorted(set(steps) - to_keep(lasting, measured, newest)):
        remove_checkpoint(checkpoint_folder(work, step))
