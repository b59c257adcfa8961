"""The callback that makes the Trainer's checkpoints verifiable."""

from pathlib import Path

from accelerate import PartialState
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from domain_tokens.runs.checkpoints import mark_complete
from domain_tokens.runs.layout import checkpoint_folder
from domain_tokens.tokenization.contract import copy_tokenizer


class VerifyCheckpoints(TrainerCallback):
    """Lists the files of each checkpoint with their hashes, after all processes have written theirs.

    The Trainer saves the tokenizer with its current truncation and padding and with a class that other libraries do
    not know. It is replaced with the condition's own tokenizer.

    Args:
        tokenizer_dir (`Path`): the condition's tokenizer.
    """

    def __init__(self, tokenizer_dir: Path) -> None:
        self.tokenizer_dir = tokenizer_dir

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        """Complete the newest checkpoint."""
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            folder = checkpoint_folder(Path(str(args.output_dir)), state.global_step)
            copy_tokenizer(self.tokenizer_dir, folder)
            mark_complete(folder)
