"""Asks the trainer for the checkpoints whose weights are kept for learning curves."""

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from domain_tokens.runs.checkpoints.retention import Retention


class SaveWeights(TrainerCallback):
    """Asks for a checkpoint at the steps whose weights are kept for good, beside those of `save_steps`.

    Args:
        retention (`Retention`): says which these are.
    """

    def __init__(self, retention: Retention) -> None:
        self._retention = retention

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Ask for it."""
        if self._retention.keeps_weights(state.global_step) and args.save_strategy != "no":
            control.should_save = True
