"""Trains a verifier: after every token of a sampled solution it predicts whether the solution is right.

Token-level verifiers of Cobbe et al. 2021 (https://arxiv.org/abs/2110.14168, section 4), with a linear layer in place
of a token's logit. Every solution counts alike, by the mean over its own tokens: a mean over all tokens would let an
encoding in fewer tokens count less.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from pydantic import JsonValue
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import GPT2ForTokenClassification, Trainer, TrainingArguments

from domain_tokens.corpora.examples import Example
from domain_tokens.evaluation.answers.extraction import require_gold
from domain_tokens.evaluation.evaluate import identify_model
from domain_tokens.recipe import Recipe, RecipeError, accumulation_steps, micro_batch
from domain_tokens.recipe.sections.apart.verifier import Verifier
from domain_tokens.runs.files import sha256_json
from domain_tokens.runs.layout import VERIFIER, verifier_paths
from domain_tokens.runs.records import AnswerEnds, Fields, MetricsRow
from domain_tokens.tokenization.prompts import render_prompt
from domain_tokens.training.callbacks.accounting import Consumption, Counter, counted_work, training_flops
from domain_tokens.training.callbacks.metrics import MetricsLog, Work, last_value
from domain_tokens.training.inputs import training_sources, without_uses
from domain_tokens.training.model import context_length, num_parameters
from domain_tokens.training.post_training.base import PostTrainingRun
from domain_tokens.training.post_training.chat_data import ExampleAccount, training_examples
from domain_tokens.training.stage import build_arguments, matched_settings, num_processes
from domain_tokens.training.trainers.checkpoints import CheckpointTrainer
from domain_tokens.verifier.estimators import Judged, majority_at, pass_at, ranked_pairs, verify_at
from domain_tokens.verifier.records import SampledQuestion
from domain_tokens.verifier.sampling import Generator, Part, Question, Sampled, sample
from domain_tokens.verifier.scoring import Solution, new_verifier, score_solutions, solutions_of

logger = logging.getLogger(__name__)

PROBLEMS = "problems"
"""The name of the training problems among what is sampled."""


@dataclass(frozen=True)
class Labelled:
    """A solution and whether it is right."""

    solution: Solution
    is_right: bool


class VerifierTraining(PostTrainingRun):
    """The training of one condition's and seed's verifier, the sampling of its training problems included.

    Args:
        recipe (`Recipe`): the run.
        allow_change (`bool`, *optional*, defaults to `False`): see `TrainingRun.execute`.
    """

    name = ledger_name = VERIFIER

    def __init__(self, recipe: Recipe, allow_change: bool = False) -> None:
        super().__init__(recipe, VERIFIER, verifier_paths(recipe))
        self.settings = recipe.verifier
        self._allow_change = allow_change
        self._validation: dict[str, JsonValue] = {}
        values = self.settings.args
        own: Fields = {"remove_unused_columns": False, "label_names": ["right"]}
        accumulation = accumulation_steps(
            self.settings.solutions_per_step, micro_batch(values), num_processes(), "verifier.solutions_per_step"
        )
        self.arguments: TrainingArguments = build_arguments(
            TrainingArguments, recipe, "verifier.args", values, self.paths.work, accumulation, own
        )
        if not training_sources(recipe, VERIFIER):
            raise RecipeError("verifier.problems: empty, and so is grpo_prompts; expected at least one source")
        self.prompt_tokens = context_length(recipe) - recipe.evaluation.max_new_tokens
        if self.prompt_tokens < 2:
            raise RecipeError("evaluation.max_new_tokens: leaves no room for the prompt within model.n_positions")

    def read_examples(self) -> tuple[list[Example], ExampleAccount]:
        """Read the training problems that leave room for a solution, each with its right answer."""
        sources = training_sources(self.recipe, VERIFIER)
        found = training_examples(
            self.recipe, sources, "verifier.problems", self.tokenizer, self.prompt_tokens, prompts_alone=True
        )
        if self.settings.validation_problems >= len(found[0]):
            raise RecipeError(
                f"verifier.validation_problems: expected fewer than the {len(found[0])} problems, got "
                f"{self.settings.validation_problems}"
            )
        return found

    @cached_property
    def generator(self) -> Generator:
        """The model that writes the solutions. Raises `RecipeError` if it is missing or damaged."""
        identity = identify_model(self.recipe, self.settings.model, len(self.tokenizer))
        return Generator(self.recipe, identity, self.tokenizer)

    @cached_property
    def sampled(self) -> Sampled:
        """The samples of the training problems, drawn now if they were not before."""
        questions = [
            Question(
                id=f"{example.source}, {example.place or index}",
                question=example.question,
                gold=require_gold(example.answer, "verifier.problems"),
                prompt=render_prompt(example.question),
                cluster=example.cluster,
            )
            for index, example in enumerate(self.examples)
        ]
        settings, limit = self.settings, self.recipe.evaluation.max_new_tokens
        part = Part(PROBLEMS, questions, settings.samples_per_problem, limit, settings.temperature, settings.seed)
        return sample(part, self.generator, self._allow_change)

    @cached_property
    def held_out(self) -> list[int]:
        """The indices of the problems that are held out of training, evenly spaced."""
        wanted = self.settings.validation_problems
        return [index * len(self.examples) // wanted for index in range(wanted)]

    @cached_property
    def labelled(self) -> list[list[Labelled]]:
        """The samples of each problem with their labels."""
        return label(self.sampled, self.generator)

    def split(self) -> tuple[list[Labelled], list[Labelled]]:
        """Return the labelled solutions that train, and those of the problems that are held out."""
        held_out = set(self.held_out)
        train = [one for index, found in enumerate(self.labelled) if index not in held_out for one in found]
        return train, [one for index in self.held_out for one in self.labelled[index]]

    def answer_ends(self, folder: Path) -> AnswerEnds | None:
        """Return nothing: a verifier writes no answers."""
        return None

    def inputs(self) -> Fields:
        """Return settings, problems, tokenizer and weights, and the samples with their labels."""
        labels = [[one.is_right for one in found] for found in self.labelled]
        return {**super().inputs(), "samples_sha256": self.sampled.sha256, "labels_sha256": sha256_json(labels)}

    @cached_property
    def model(self) -> GPT2ForTokenClassification:
        """The verifier before its first step: the generator's weights and a head of zeros."""
        self.check_weights()
        return new_verifier(self.before.folder)

    @cached_property
    def matched(self) -> dict[str, JsonValue]:
        """Model, trainer, problems and how solutions are sampled."""
        train, held_out = self.split()
        shared = matched_settings(self.recipe, self.stage, self.model, self.arguments)
        shared["architecture"] = json.loads(json.dumps(shared["architecture"]))  # it names labels by numbers
        return shared | {
            "verifier": {key: value for key, value in without_uses(self.recipe).items() if key != "args"},
            "questions_sha256": self.sampled.part.questions_sha256,
            "max_new_tokens": self.sampled.part.max_new_tokens,
            "solutions": len(train),
            "solutions_held_out": len(held_out),
            **self.account.as_fields(),
        }

    def make_trainer(self, counter: Counter) -> CheckpointTrainer:
        """Return the library's trainer over the labelled solutions."""
        train, held_out = self.split()
        if len({one.is_right for one in train}) < 2:
            which = "right" if train[0].is_right else "wrong"
            raise RecipeError(
                f"verifier: all {len(train):,} samples of the training problems are {which}: there is nothing to "
                "tell apart; sample easier or harder problems (verifier.problems), more of them "
                "(verifier.samples_per_problem), at another temperature, or from another model (verifier.model)"
            )
        trainer = VerifierTrainer(
            model=self.model,
            args=self.arguments,
            train_dataset=train,
            eval_dataset=held_out,
            data_collator=partial(collate, self.tokenizer.eos_token_id),
            processing_class=self.tokenizer,
        )
        trainer.settings, trainer.counter = self.settings, counter
        trainer.model_accepts_loss_kwargs = True  # the loss is divided by the solutions of a whole step
        return trainer

    def after_training(self, trainer: Trainer) -> None:
        """Measure the loss on the held-out problems, and how well their solutions are ranked."""
        trainer.evaluate()
        found = [self.labelled[index] for index in self.held_out]
        rows = [self.sampled.rows[index] for index in self.held_out]
        judged = judge(trainer.model.eval(), found, rows, self.generator, self.recipe.evaluation.batch_size)
        n = self.settings.samples_per_problem
        self._validation = {"validation_ranked_pairs": ranked_pairs(judged)}
        for name, estimate in (("verify", verify_at), ("majority", majority_at), ("pass", pass_at)):
            self._validation[f"validation_{name}@{n}"] = sum(estimate(one, n) for one in judged) / len(judged)

    @property
    def _computed_parameters(self) -> int:
        """The parameters that a position is multiplied with: without the head of the language model, if unused."""
        unused = 0 if self.settings.language_model_weight else self.model.get_input_embeddings().weight.numel()
        return num_parameters(self.model) - unused

    def work_at(self, counter: Counter, relative_cost: float = 1.0) -> Callable[[int], Work]:
        """Return a function for the work done so far, from what the trainer counts."""
        config, parameters = self.model.config, self._computed_parameters
        return lambda step: counted_work(counter, training_flops(config, parameters, counter) * relative_cost)

    def metrics_log(self, counter: Counter) -> MetricsLog:
        """Return the log."""
        return MetricsLog(self.paths.work, self.work_at(counter))

    def consumed(self, counter: Counter) -> Consumption:
        """Return the FLOPs of training and of sampling the training problems, and the order of the problems."""
        train, _ = self.split()
        flops = training_flops(self.model.config, self._computed_parameters, counter)
        return Consumption(
            flops=flops + self.sampled.counts.flops,
            dataset_tokens=sum(len(one.solution.ids) for one in train),
            order_sha256=self.account.example_order_sha256,
            initial_weights_sha256=self.before.weights_sha256,
            counts={"generated_tokens": self.sampled.counts.generated_tokens},
        )

    def reported(self, rows: list[MetricsRow]) -> Fields:
        """Return the share of right samples, the last losses, and accuracies on the held-out problems."""
        train, held_out = self.split()
        return {
            "right_share": sum(one.is_right for one in train) / len(train),
            "right_share_held_out": sum(one.is_right for one in held_out) / len(held_out),
            "train_loss": last_value(rows, "loss"),
            "validation_loss": last_value(rows, "eval_loss"),
            **self._validation,
        }


def label(sampled: Sampled, generator: Generator) -> list[list[Labelled]]:
    """Return the samples of each question as a verifier reads them, with their labels.

    Args:
        sampled (`Sampled`): the samples.
        generator (`Generator`): the model that wrote them, and what reads their numbers.
    """
    solutions = solutions_of(sampled, generator.tokenizer, context_length(generator.recipe))
    return [
        [
            Labelled(solution, generator.is_right(one, row.gold))
            for solution, one in zip(found, row.samples, strict=True)
        ]
        for found, row in zip(solutions, sampled.rows, strict=True)
    ]


def judge(
    model: GPT2ForTokenClassification,
    found: list[list[Labelled]],
    rows: list[SampledQuestion],
    generator: Generator,
    batch_size: int,
) -> list[Judged]:
    """Return the samples of questions with their numbers and a verifier's scores.

    Args:
        model (`GPT2ForTokenClassification`): the verifier.
        found (`list[list[Labelled]]`): the labelled solutions of each question.
        rows (`list[SampledQuestion]`): the same as they were sampled.
        generator (`Generator`): reads their numbers.
        batch_size (`int`): solutions at a time.
    """
    scores = iter(score_solutions(model, [one.solution for labelled in found for one in labelled], batch_size))
    return [
        Judged(
            numbers=tuple(generator.reader.read(one.text).number for one in row.samples),
            right=tuple(one.is_right for one in labelled),
            scores=tuple(next(scores) for _ in labelled),
        )
        for labelled, row in zip(found, rows, strict=True)
    ]


def collate(padding: int, batch: list[Labelled]) -> dict[str, torch.Tensor]:
    """Return a batch as the trainer reads it.

    Args:
        padding (`int`): the id behind the end of a row.
        batch (`list[Labelled]`): its solutions.

    Returns:
        `dict`: `input_ids`, `attention_mask` and `answer_mask` (1 for a token of the solution) of shape `(rows,
        length)`; `right` (1 or 0) and `source_bytes` of shape `(rows,)`.
    """
    rows = [torch.tensor(one.solution.ids) for one in batch]
    answers = [torch.arange(len(row)) >= one.solution.start for row, one in zip(rows, batch, strict=True)]
    return {
        "input_ids": pad_sequence(rows, batch_first=True, padding_value=padding),
        "attention_mask": pad_sequence([torch.ones_like(row) for row in rows], batch_first=True),
        "answer_mask": pad_sequence([one.long() for one in answers], batch_first=True),
        "right": torch.tensor([float(one.is_right) for one in batch]),
        "source_bytes": torch.tensor([one.solution.num_bytes for one in batch]),
    }


class VerifierTrainer(CheckpointTrainer, Trainer):
    """A `Trainer` whose loss is a verifier's, and that counts each micro batch.

    Attributes:
        settings: the recipe's section.
        counter: the counts.
    """

    settings: Verifier
    counter: Counter

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], Any]:
        """Return a step's micro batches and the number of their solutions, by which the loss is divided."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        return batches, torch.tensor(sum(len(batch["right"]) for batch in batches), device=device)

    def compute_loss(
        self,
        model: Any,
        inputs: Mapping[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        """Count the micro batch and return its share of the step's loss."""
        if self.model.training:
            self.counter.add(source_bytes=inputs["source_bytes"].sum())
            self.counter.add_rows(inputs["attention_mask"])
        weight = self.settings.language_model_weight
        outputs = model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            output_hidden_states=bool(weight),
            use_cache=False,
        )
        losses = score_losses(outputs.logits[:, :, 0], inputs, self.settings.loss)
        if weight:
            head = self.model.get_input_embeddings().weight
            losses = losses + weight * language_losses(outputs.hidden_states[-1], head, inputs)
        loss = losses.sum() / (len(losses) if num_items_in_batch is None else num_items_in_batch)
        return (loss, {"logits": outputs.logits}) if return_outputs else loss


def score_losses(scores: torch.Tensor, inputs: Mapping[str, torch.Tensor], kind: str) -> torch.Tensor:
    """Return each solution's mean loss over the scores after its own tokens, of shape `(rows,)`.

    Args:
        scores (`torch.Tensor`): after every token, of shape `(rows, length)`.
        inputs (`Mapping[str, torch.Tensor]`): from `collate`.
        kind (`str`): `mse`, or `bce`, which takes a score for a logit.
    """
    scores, wanted = scores.float(), inputs["right"][:, None].expand_as(scores)
    compared = functional.mse_loss if kind == "mse" else functional.binary_cross_entropy_with_logits
    mask = inputs["answer_mask"]
    return (compared(scores, wanted, reduction="none") * mask).sum(dim=1) / mask.sum(dim=1)


def language_losses(hidden: torch.Tensor, head: torch.Tensor, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return each right solution's mean loss as text of a language model, and 0 of wrong ones; shape `(rows,)`.

    Args:
        hidden (`torch.Tensor`): last hidden states of shape `(rows, length, width)`.
        head (`torch.Tensor`): the embedding, to which a language model's head is tied, of shape `(ids, width)`.
        inputs (`Mapping[str, torch.Tensor]`): from `collate`.
    """
    mask = inputs["answer_mask"][:, 1:] * inputs["right"][:, None].long()
    at = mask.bool()
    logits = functional.linear(hidden[:, :-1][at], head)
    losses = torch.zeros(mask.shape, device=hidden.device)
    losses[at] = functional.cross_entropy(logits.float(), inputs["input_ids"][:, 1:][at], reduction="none")
    return losses.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
