"""Counts what a training stage consumes, for the `ledger` of its manifest.

`runs.records.LedgerEntry` defines the fields. Logs cannot provide them: they hold means, every few steps, of one
process, and TRL's own `num_tokens` restarts at 0 when a fine-tuning run is resumed (trl 1.16).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from transformers import PretrainedConfig, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.layout import COUNTS, checkpoint_folder
from domain_tokens.runs.records import Counts, LedgerEntry, read_record, write_record
from domain_tokens.training.callbacks.metrics import Work
from domain_tokens.training.model import Adapted, flops_per_token

_FACTS = ("question_facts", "answer_facts")  # counted in fine-tuning and GRPO alone
_SUMMED = ("tokens", "padding_tokens", "generated_tokens", "examples", "source_bytes", "squared_lengths", *_FACTS)
_OPTIMIZER = ("optim", "optim_args", "learning_rate", "adam_beta1", "adam_beta2", "adam_epsilon", "weight_decay")
_SCHEDULE = ("lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps")


class Counter(TrainerCallback):
    """Sums the consumption of all processes step by step; `write` saves the sums in every checkpoint.

    Attributes:
        totals: sums over all processes and completed steps. `squared_lengths` is the sum of the squared lengths of all
            rows, to which the cost of attention is proportional.
        seconds: time inside the training loop, including the time before an interruption.
    """

    def __init__(self) -> None:
        self.totals = dict.fromkeys(_SUMMED, 0)
        self.seconds = 0.0
        self._pending: dict[str, int | torch.Tensor] = {}
        self._since = time.perf_counter()

    def add(self, **counts: int | torch.Tensor) -> None:
        """Add to this process's counts for the current step. A tensor stays on its device until the step ends."""
        for name, value in counts.items():
            self._pending[name] = self._pending.get(name, 0) + value

    def add_rows(self, attention_mask: torch.Tensor) -> None:
        """Add the counts of a training micro batch.

        Args:
            attention_mask (`torch.Tensor`): 1 for a token and 0 for padding, shape `(rows, length)`.
        """
        rows, length = attention_mask.shape
        self.add(
            tokens=rows * length,
            padding_tokens=rows * length - attention_mask.sum(),
            examples=rows,
            squared_lengths=rows * length**2,
        )

    def add_joined_rows(self, position_ids: torch.Tensor) -> None:
        """Add the counts of a training micro batch without padding, whose examples stand one after another in one row.

        Attention is computed over the whole row and masked, so its whole length is squared.

        Args:
            position_ids (`torch.Tensor`): 0 where an example begins, shape `(1, length)`.
        """
        length = position_ids.shape[1]
        self.add(tokens=length, padding_tokens=0, examples=(position_ids == 0).sum(), squared_lengths=length**2)

    def add_packed_rows(self, example: torch.Tensor, num_examples: int) -> None:
        """Add the counts of a training micro batch of packed rows.

        Attention is computed over each whole row and masked, so its length is squared.

        Args:
            example (`torch.Tensor`): numbers the example of each token, -1 for padding, shape `(rows, length)`.
            num_examples (`int`): number of examples.
        """
        rows, length = example.shape
        self.add(
            tokens=rows * length,
            padding_tokens=(example < 0).sum(),
            examples=num_examples,
            squared_lengths=rows * length**2,
        )

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Restore the counts from the checkpoint."""
        self._since = time.perf_counter()
        if state.global_step > 0:
            path = checkpoint_folder(Path(str(args.output_dir)), state.global_step) / COUNTS
            if not path.is_file():
                raise RecipeError(
                    f"{path.parent}: has no {COUNTS}, because an older version wrote it; remove {args.output_dir} "
                    "and train the stage again"
                )
            saved = read_record(path, Counts)
            self.seconds = float(saved.seconds)
            self.totals = {name: getattr(saved, name) for name in _SUMMED}

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Add the step's counts, summed over all processes."""
        if not self._pending:  # pretraining counts nothing here, so it need not wait for the device
            return
        step = torch.tensor([int(self._pending.get(name, 0)) for name in _SUMMED], dtype=torch.int64)
        step = reduce(step.to(PartialState().device), reduction="sum")
        for name, value in zip(_SUMMED, step.tolist(), strict=True):
            self.totals[name] += value
        self._pending = {}

    def write(self, folder: Path) -> None:
        """Write the counts into the folder of a checkpoint."""
        self._tick()
        write_record(folder / COUNTS, Counts(**self.totals, seconds=self.seconds))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop the clock."""
        self._tick()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.seconds += now - self._since
        self._since = now


def training_flops(
    config: PretrainedConfig, parameters: int, counter: Counter, adapters: Adapted | None = None
) -> float:
    """Return the FLOPs of the forward and backward passes over the counted rows, each at its padded length.

    The formula is `6 N T + 12 L d T^2`, summed over rows of length `T` (Chowdhery et al. 2022, PaLM, appendix B; see
    `flops_per_token`), with fewer FLOPs for weights that are frozen.

    Args:
        config: the model's configuration.
        parameters (`int`): the model's number of parameters.
        counter (`Counter`): the counts.
        adapters (`Adapted`, *optional*): what alone is trained.
    """

    def per_token(length: int) -> float:
        if adapters is not None:
            return adapters.flops_per_token(config, length)
        return flops_per_token(config, parameters, length)

    of_weights = per_token(0)
    of_attention = per_token(1) - of_weights
    return counter.totals["tokens"] * of_weights + counter.totals["squared_lengths"] * of_attention


def counted_work(counter: Counter, flops: float) -> Work:
    """Return the counts so far as the work that a row of `metrics.jsonl` is about.

    Args:
        counter (`Counter`): the counts.
        flops (`float`): what they cost.
    """
    totals = counter.totals
    return Work(totals["tokens"], totals["examples"], flops, totals["generated_tokens"])


@dataclass(frozen=True)
class Consumption:
    """What a stage adds to the ledger besides the counts.

    Attributes:
        flops: FLOPs of training, without intermediate evaluations.
        dataset_tokens: tokens of the stage's whole data set, each example counted once.
        order_sha256: hash of the order of the documents or examples.
        initial_weights_sha256: hash of the stage's initial weights.
        counts: numbers that follow from the recipe and replace the counts.
        packed: whether a step of fine-tuning is a number of tokens.
        trained_parameters: number of parameters that are trained, if not all.
    """

    flops: float
    dataset_tokens: int
    order_sha256: str
    initial_weights_sha256: str
    counts: Mapping[str, int] = field(default_factory=dict)
    packed: bool = False
    trained_parameters: int | None = None


def ledger_entry(trainer: Trainer, recipe: Recipe, counter: Counter, stage: str, consumed: Consumption) -> LedgerEntry:
    """Return the ledger entry of a trained stage.

    Args:
        trainer (`Trainer`): the trainer, after training.
        recipe (`Recipe`): the run.
        counter (`Counter`): the counts.
        stage (`str`): the stage's name in the ledger.
        consumed (`Consumption`): what the stage adds to the counts.
    """
    values = trainer.args.to_dict()
    totals = counter.totals | dict(consumed.counts)
    sums: dict[str, Any] = {name: totals[name] for name in _SUMMED if name != "squared_lengths"}
    if stage.partition("/")[0] not in ("sft", "grpo"):
        sums |= dict.fromkeys(_FACTS)
    # Fields of stages that are not the usual ones; of others, the record has no such key.
    sums |= {key: value for key in ("packed", "trained_parameters") if (value := getattr(consumed, key))}
    return LedgerEntry(
        stage=stage,
        steps=trainer.state.global_step,
        **sums,
        dataset_tokens=consumed.dataset_tokens,
        flops=consumed.flops,
        order_sha256=consumed.order_sha256,
        initial_weights_sha256=consumed.initial_weights_sha256,
        seeds={
            "run": recipe.seed,
            "offset": recipe.seed_offset,
            "weights": recipe.seed_of["weights"],
            "order": values["data_seed"],
            "sampling": values["seed"],
            "corpus": recipe.corpus.seed,
            "documents": recipe.data_seed,
        },
        precision={"mixed": trainer.accelerator.mixed_precision, "tf32": values["tf32"]},
        optimizer={name: values[name] for name in (*_OPTIMIZER, "max_grad_norm")},
        schedule={name: values[name] for name in _SCHEDULE} | {"max_steps": trainer.state.max_steps},
        wall_time_s=round(counter.seconds, 2),
    )
