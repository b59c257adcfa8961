"""The trainer of GRPO: TRL's, which counts what it reads, resumes in the same order and keeps some completions."""

from typing import Any

import torch
from trl import GRPOTrainer

from domain_tokens.tokenization.contract import id_ranges
from domain_tokens.training.callbacks.accounting import Counter
from domain_tokens.training.reinforcement.completions import Generation, KeptCompletions
from domain_tokens.training.trainers.checkpoints import CheckpointTrainer

_NO_ADVANTAGE = 1e-9
"""What rounding in 64 bits leaves of no difference in reward, and less than any difference leaves."""


class CompletionTrainer(CheckpointTrainer, GRPOTrainer):
    """A `GRPOTrainer` that counts each micro batch in the process that computes it, and keeps some completions."""

    _kept: KeptCompletions | None = None

    def count_with(self, counter: Counter) -> None:
        """Count into `counter`."""
        self._counter = counter

    def keep_in(self, kept: KeptCompletions) -> None:
        """Keep completions."""
        self._kept = kept
        self.add_callback(kept)

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        # The mean of eight rewards of 1.35 is not 1.35 in 32 bits: TRL 1.16 then gives answers that earned the same
        # advantages of 0.001, and does not count their group as one without variance. In 64 bits it rounds them away.
        return super()._calculate_rewards(*args, **kwargs).double()

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        sampled = super()._generate_and_score_completions(inputs)
        advantages = sampled["advantages"]
        sampled["advantages"] = advantages.where(advantages.abs() > _NO_ADVANTAGE, 0.0).float()
        first_fact = id_ranges(self.processing_class).first_added
        self._counter.add(question_facts=((sampled["prompt_ids"] >= first_fact) & (sampled["prompt_mask"] > 0)).sum())
        if self._kept is not None and self.accelerator.is_main_process:
            self._kept.add(self.state.global_step, self._generation())
        return sampled

    def _generation(self) -> Generation:
        """Return what was sampled last, gathered from all processes: TRL keeps as much for its own tables."""
        logs = self._logs
        return Generation(
            questions=[prompt[-1]["content"] for prompt in logs["prompt"]],
            gold=list(logs["extra"]["gold"]),
            written=[completion[0]["content"] for completion in logs["completion"]],
            rewards={name: list(values) for name, values in logs["rewards"].items()},
            advantages=[one if abs(one) > _NO_ADVANTAGE else 0.0 for one in logs["advantages"]],
        )

    def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], *args: Any, **kwargs: Any) -> Any:
        """Count the micro batch and return its share of the step's loss."""
        if self.model.training:
            self._counter.add_rows(torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1))
        return super().compute_loss(model, inputs, *args, **kwargs)

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        self._sampler = super()._get_train_sampler(dataset)
        # TRL 1.16 draws the order of the prompts from `args.seed`, which also seeds the answers that are sampled.
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        self._sampler.seed = seed
        self._sampler.generator.manual_seed(seed)
        return self._sampler

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        # TRL 1.16 draws a new order of the prompts for each epoch from one generator, which no checkpoint contains. A
        # resumed run would read its first epoch in the order of epoch 0; so it draws the orders before it here.
        if kwargs["epoch"] == kwargs["epochs_trained"] and self._sampler.shuffle:
            for _ in range(kwargs["epoch"]):
                torch.randperm(self._sampler.num_samples, generator=self._sampler.generator)
        super()._run_epoch(*args, **kwargs)
