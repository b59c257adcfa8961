"""Who writes edits: the model itself, warmed up on edits drawn at random, or a table of what was chosen."""

import math
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from transformers import (
    DataCollatorForSeq2Seq,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)

from domain_tokens.corpora.worlds.passages import Passage
from domain_tokens.evaluation.models.inference import Decoding, generate
from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.sections.apart.seal import Seal
from domain_tokens.runs.files import sha256_json
from domain_tokens.seal.edits import Edit, EditLanguage

_EXAMPLES_PER_STEP = 16
_SMOOTHING = 1.0  # of a table's counts: an edit that was never the best can still be tried

Pairs = Sequence[tuple[Passage, str]]
"""Passages, each with an edit to learn."""


class Policy(Protocol):
    """Writes edits for passages, and learns from edits that were good."""

    def propose(self, passages: Sequence[Passage], number: int, seed: int) -> list[list[str]]:
        """Return so many edits for each passage, as text that may be none of the language."""
        ...

    def learn(self, pairs: Pairs, seed: int) -> None:
        """Make edits like these likelier."""
        ...


class ChoicePolicy:
    """Draws every part of an edit by how often it was chosen, whatever the passage; evenly before it learns.

    Args:
        language (`EditLanguage`): the parts.
    """

    def __init__(self, language: EditLanguage) -> None:
        self._language = language
        self._counts: dict[str, Counter[object]] = {name: Counter() for name in language.parts}

    def propose(self, passages: Sequence[Passage], number: int, seed: int) -> list[list[str]]:
        """Return edits that are all of the language."""
        return [[str(self._draw(random.Random(f"{seed} {one.id} {k}"))) for k in range(number)] for one in passages]

    def learn(self, pairs: Pairs, seed: int) -> None:
        """Count the parts."""
        for _, text in pairs:
            edit = self._language.parse(text)
            for name, counts in self._counts.items():
                counts[getattr(edit, name)] += 1

    def _draw(self, rng: random.Random) -> Edit:
        drawn = {}
        for name, values in self._language.parts.items():
            weights = [self._counts[name][value] + _SMOOTHING for value in values]
            (drawn[name],) = rng.choices(list(values), weights)
        return Edit(**drawn)  # type: ignore[arg-type]


class LanguageModelPolicy:
    """A model that reads a passage and writes an edit behind `Edit:`.

    Args:
        model (`GPT2LMHeadModel`): a copy of the model that is adapted; `learn` trains all of its weights.
        tokenizer (`PreTrainedTokenizerFast`): its tokenizer.
        settings (`Seal`): the recipe's section.

    Raises:
        RecipeError: if an edit alone does not fit into the model's positions.
    """

    def __init__(self, model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, settings: Seal) -> None:
        self._model, self._tokenizer, self._settings = model, tokenizer, settings
        rng, language = random.Random(0), EditLanguage.of(settings)
        drawn = [f" {language.draw(rng)}" for _ in range(1000)]
        self._longest = max(len(ids) for ids in tokenizer(drawn)["input_ids"]) + 8  # what goes wrong is seen
        if self._longest >= model.config.n_positions:
            raise RecipeError(
                f"model.n_positions: {model.config.n_positions} leave no room for an edit of {self._longest} tokens "
                "behind a passage; expected more, or seal.policy: choice"
            )

    def propose(self, passages: Sequence[Passage], number: int, seed: int) -> list[list[str]]:
        """Return edits as the model writes them, of which some may not be readable."""
        self._model.eval()
        decoding = Decoding(self._longest, None, num_samples=number, temperature=self._settings.temperature, seed=seed)
        self.check_room(passages)
        written = generate(self._model, self._tokenizer, list(map(_prompt, passages)), decoding, batch_size=64)
        end = self._tokenizer.eos_token_id
        return [
            [self._tokenizer.decode([id for id in ids if id != end]).strip() for ids in answers] for answers in written
        ]

    def learn(self, pairs: Pairs, seed: int) -> None:
        """Fine-tune the model on the edits, given their passages."""
        rows = [self._row(passage, text) for passage, text in pairs]
        settings = self._settings
        steps = settings.policy_epochs * math.ceil(len(rows) / _EXAMPLES_PER_STEP)
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                num_train_epochs=settings.policy_epochs,
                per_device_train_batch_size=_EXAMPLES_PER_STEP,
                learning_rate=settings.policy_learning_rate,
                warmup_steps=min(10, steps // 8),  # the first of them has a rate of 0
                seed=seed % 2**32,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                logging_strategy="no",
                use_cpu=self._model.device.type == "cpu",
            )
            collator = DataCollatorForSeq2Seq(self._tokenizer, label_pad_token_id=-100)
            trainer = Trainer(self._model, arguments, train_dataset=rows, data_collator=collator)
            trainer.remove_callback(PrinterCallback)  # its lines are those of a program for trainers
            trainer.train()

    def _row(self, passage: Passage, text: str) -> dict[str, list[int]]:
        prompt, whole = self._tokenizer([_prompt(passage), f"{_prompt(passage)} {text}"])["input_ids"]
        ids = [*whole, self._tokenizer.eos_token_id]
        return {
            "input_ids": ids,
            "attention_mask": [1] * len(ids),
            "labels": [-100] * len(prompt) + ids[len(prompt) :],
        }

    def check_room(self, passages: Sequence[Passage]) -> None:
        """Raise `RecipeError` if an edit behind one of the passages does not fit into the model's positions."""
        longest = max(len(ids) for ids in self._tokenizer(list(map(_prompt, passages)))["input_ids"])
        if (needed := longest + self._longest) > (room := self._model.config.n_positions):
            raise RecipeError(
                f"model.n_positions: a passage of {longest} tokens and its edit need {needed}, got {room}; expected "
                "more, or seal.policy: choice"
            )


def seed_of(*what: object) -> int:
    """Return a seed below 2**31 for what is drawn, by a hash of its names."""
    return int(sha256_json([str(one) for one in what])[:7], 16)


def _prompt(passage: Passage) -> str:
    return f"{passage.text}\nEdit:"
