"""The section of a recipe that describes self-adaptation: a model that chooses its own training edits (SEAL)."""

from dataclasses import dataclass, field
from typing import Literal

from domain_tokens.recipe.checks import (
    check_above_zero,
    check_at_least,
    check_filled,
    check_seed,
    check_temperature,
    check_unique,
)
from domain_tokens.recipe.errors import RecipeError

LEAST_SEEDS = 5
"""Inner seeds of an edit at the least: the reward of one is too noisy to choose by."""


@dataclass
class Seal:
    """Self-adaptation of a run's model (`scripts/run_seal.py`); no stage of the experiment reads this.

    A policy reads a passage and writes an edit: what to train on (the passage, rewritten, its statements, questions on
    it), how long, how fast, and which weights. The edit is carried out on the model, questions in other words are
    asked, and the model is restored. Edits that helped most train the policy.

    Attributes:
        enabled: whether the run may be adapted. Without it the command refuses, and nothing of it is imported.
        model: the run's model that is adapted, and from which the policy starts.
        policy: who writes edits. `language_model`: the model itself, warmed up on edits drawn at random. `choice`: a
            table of how often each part of an edit was among the best, whatever the passage.
        reward: by which an edit is chosen. `answer_bits`: the drop in bits per byte of the answers to one half of the
            questions. `validation_loss`: the drop in the loss on held-out text, in bits per byte.
        train_passages: passages on which the policy learns.
        test_passages: passages on which it is compared with the controls; no edit of theirs trains a policy.
        rounds: of the outer loop.
        edits_per_passage: edits that the policy writes for each training passage in a round.
        inner_seeds: how often each edit is carried out, with another order of texts and other initial adapters; at
            least 5.
        seed: of passages, edits and inner seeds, the same in every condition.
        temperature: of the policy's samples; at least 0.01.
        warmup_edits: edits drawn at random, with passages of their own, on which the language model learns to write
            edits.
        policy_epochs: how often a policy reads the edits that it learns from.
        policy_learning_rate: of the same.
        tokens_per_step: tokens of one inner step, whatever the edit trains on: equal steps are equal compute.
        steps: the inner steps among which an edit chooses.
        ranks: the ranks of low-rank adapters among which it chooses, beside training the last layer.
        learning_rates: the inner learning rates among which it chooses.
        repeats: how many wordings of each text it may train on.
        validation_documents: held-out documents of the run's corpus on which forgetting is measured.
        chain: how many test passages are learned one after another without restoring the model, for forgetting of
            earlier passages; 0 leaves it out.
        device: where edits are carried out: `auto` takes CUDA where there is one, else the CPU; `mps` has to be named.
        workers: processes that carry out edits side by side; no number depends on it.
    """

    enabled: bool = False
    model: Literal["pretrain_final", "sft_final", "grpo_final"] = "pretrain_final"
    policy: Literal["language_model", "choice"] = "language_model"
    reward: Literal["answer_bits", "validation_loss"] = "answer_bits"
    train_passages: int = 64
    test_passages: int = 64
    rounds: int = 2
    edits_per_passage: int = 8
    inner_seeds: int = LEAST_SEEDS
    seed: int = 0
    temperature: float = 1.0
    warmup_edits: int = 1024
    policy_epochs: int = 4
    policy_learning_rate: float = 1.0e-3
    tokens_per_step: int = 256
    steps: list[int] = field(default_factory=lambda: [4, 8, 16])
    ranks: list[int] = field(default_factory=lambda: [2, 8])
    learning_rates: list[float] = field(default_factory=lambda: [1.0e-3, 3.0e-3, 1.0e-2])
    repeats: list[int] = field(default_factory=lambda: [1, 2, 4])
    validation_documents: int = 64
    chain: int = 8
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    workers: int = 2

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key."""
        check_at_least(f"{where}.inner_seeds", self.inner_seeds, LEAST_SEEDS)
        check_at_least(f"{where}.edits_per_passage", self.edits_per_passage, 2)
        check_at_least(f"{where}.tokens_per_step", self.tokens_per_step, 2)
        for key in ("train_passages", "test_passages"):
            check_at_least(f"{where}.{key}", getattr(self, key), 2)
        for key in ("rounds", "policy_epochs", "validation_documents", "workers", "warmup_edits"):
            check_at_least(f"{where}.{key}", getattr(self, key), 1)
        check_seed(f"{where}.seed", self.seed)
        check_temperature(f"{where}.temperature", self.temperature)
        check_above_zero(f"{where}.policy_learning_rate", self.policy_learning_rate)
        for key in ("steps", "ranks", "learning_rates", "repeats"):
            values = getattr(self, key)
            check_filled(f"{where}.{key}", values)
            check_unique(f"{where}.{key}", values)
            for value in values:
                if key == "learning_rates":
                    check_above_zero(f"{where}.{key}", value)
                else:
                    check_at_least(f"{where}.{key}", value, 1)
        if self.chain and not 2 <= self.chain <= self.test_passages:
            raise RecipeError(
                f"{where}.chain: expected 0, or 2 to {where}.test_passages ({self.test_passages}), got {self.chain}"
            )
