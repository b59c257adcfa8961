"""The real stages with stand-ins for what does not exist before the first one: tokenizer, texts, trained weights.

Model, trainer, precision, loss and sampling are those of the stage. Every row has the greatest length.
"""

import math
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from tokenizers import pre_tokenizers
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.corpora.examples import Example
from domain_tokens.corpora.shards import PackedSequences
from domain_tokens.recipe import Recipe, TrainerSection
from domain_tokens.recipe.arguments import MICRO_BATCH
from domain_tokens.recipe.micro_batch import is_packed, rows_per_process, section_of
from domain_tokens.recipe.sections.monitoring import Monitoring
from domain_tokens.tokenization.bpe.base_vocabulary import BaseVocabulary, base_without_training
from domain_tokens.tokenization.builder import build_tokenizer
from domain_tokens.tokenization.facts import END_OF_TEXT
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.tokenization.prompts import render_prompt
from domain_tokens.training.fitting.needs import longest_row
from domain_tokens.training.grpo import Reinforcement
from domain_tokens.training.model import load_model, new_model
from domain_tokens.training.post_training.chat_data import ExampleAccount, order_sha256
from domain_tokens.training.pretrain import Pretraining
from domain_tokens.training.sft import FineTuning
from domain_tokens.training.stage import TrainingRun

STEPS = 2
"""The second step has what the first does not: the optimizer's state in memory, and kernels that are loaded."""

_PASSES = 2  # of forward and backward in a step: the second adds to gradients that are there
_ALONE: TrainerSection = {
    "max_steps": STEPS, "save_strategy": "no", "eval_strategy": "no", "logging_strategy": "no", "report_to": "none",
    "lr_scheduler_type": "constant", "warmup_steps": 0, "dataloader_num_workers": 0, "disable_tqdm": True,
}  # fmt: skip
_LEFT_OUT = ("lr_scheduler_kwargs", "dataloader_prefetch_factor", "run_name")
_WORD = "a"


def stand_in_tokenizer(recipe: Recipe) -> PreTrainedTokenizerFast:
    """Return a tokenizer with the ids of a recipe's; a base that is still to be trained has names without meaning."""
    if recipe.base_vocabulary.is_trained:
        tokens = sorted(pre_tokenizers.ByteLevel.alphabet())
        tokens += [f"unused_{number}" for number in range(recipe.base_vocabulary.num_ids - len(tokens) - 1)]
        base = BaseVocabulary({token: number for number, token in enumerate([*tokens, END_OF_TEXT])}, [])
    else:
        base = base_without_training(recipe.base_vocabulary.kind)
    return build_tokenizer(load_intervention(Path(recipe.tokenizer)), base)


def stand_in_weights(recipe: Recipe, vocabulary_size: int, folder: Path) -> None:
    """Save an untrained model from which fine-tuning and GRPO can start."""
    new_model(recipe, vocabulary_size).save_pretrained(folder)


def stand_in(
    recipe: Recipe, stage: str, size: int, tokenizer: PreTrainedTokenizerFast, weights: Path, num_processes: int
) -> TrainingRun:
    """Return a stage that takes two steps with a micro batch.

    Pretraining and fine-tuning take two passes a step, however many a step has: all are alike. A step of GRPO is
    whole, because what it takes to draw answers does not depend on the micro batch.

    Args:
        recipe (`Recipe`): the run.
        stage (`str`): the stage.
        size (`int`): the micro batch.
        tokenizer: from `stand_in_tokenizer`.
        weights (`Path`): from `stand_in_weights`.
        num_processes (`int`): the processes of the run, of which this is one.
    """
    rows = rows_per_process(recipe, stage, num_processes)
    length = longest_row(recipe, stage)
    values = {key: value for key, value in section_of(recipe, stage).items() if key not in _LEFT_OUT}
    values |= _ALONE | {MICRO_BATCH: size}
    budget, few = replace(recipe.budget, equal_to=None), size * min(_PASSES, rows // size)
    unwatched = replace(recipe, monitoring=Monitoring())  # there is no text yet
    recipe = replace(unwatched, learning_rates=None, fact_rows="normal", output_dir=str(weights.parent))
    if stage == "pretrain":
        budget = replace(budget, pretrain_tokens_per_step=few * length)
        run: TrainingRun = _Pretraining(replace(recipe, pretrain=values, budget=budget), tokenizer)
    elif stage == "grpo":
        whole = math.lcm(size, int(values.get("num_generations", 8)))  # processes share the answers to one question
        budget = replace(budget, grpo_completions_per_step=math.ceil(rows / whole) * whole)
        run = _Reinforcement(replace(recipe, grpo=values, budget=budget), tokenizer, weights, length)
    else:
        per_step = None if is_packed(values) else few
        budget = replace(budget, sft_tokens_per_step=few * length)
        number = [f"sft_{one.name}" for one in recipe.sft_stages].index(stage)
        longest = values | {"max_length": length}
        stages = [replace(one, args=longest, examples_per_step=per_step) for one in recipe.sft_stages]
        changed = replace(recipe, sft={}, sft_stages=stages, budget=budget)
        run = _FineTuning(changed, number, tokenizer, weights, length)
    return run


class _Ids:
    """Token ids without end; see `corpora.shards.TokenStream`."""

    document_ends = np.array([], dtype=np.int64)

    def __init__(self, vocabulary_size: int, num_tokens: int) -> None:
        self.num_tokens = num_tokens
        self._vocabulary_size = vocabulary_size

    def read(self, start: int, stop: int) -> np.ndarray:
        return np.arange(start, stop, dtype=np.int64) % self._vocabulary_size


class _Pretraining(Pretraining):
    def __init__(self, recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(recipe)
        self.tokenizer = tokenizer

    @cached_property
    def train(self) -> PackedSequences:
        return PackedSequences(_Ids(len(self.tokenizer), self.tokens), self.sequence_length)

    @cached_property
    def validation(self) -> PackedSequences:
        return self.train


class _FineTuning(FineTuning):
    def __init__(
        self, recipe: Recipe, number: int, tokenizer: PreTrainedTokenizerFast, weights: Path, length: int
    ) -> None:
        super().__init__(recipe, number)
        self.tokenizer = tokenizer
        self._weights, self._length = weights, length

    @cached_property
    def model(self) -> GPT2LMHeadModel:
        return load_model(self._weights, len(self.tokenizer))

    def read_examples(self) -> tuple[list[Example], ExampleAccount]:
        answer = _words(self.tokenizer, self._length - 1, beside=1)  # the end, and a word of the question
        return _repeated(Example(_WORD, answer), self.rows_per_step * STEPS)


class _Reinforcement(Reinforcement):
    def __init__(self, recipe: Recipe, tokenizer: PreTrainedTokenizerFast, weights: Path, length: int) -> None:
        super().__init__(recipe)
        self.tokenizer = tokenizer
        self._weights, self._length = weights, length

    @cached_property
    def model(self) -> GPT2LMHeadModel:
        return load_model(self._weights, len(self.tokenizer))

    def read_examples(self) -> tuple[list[Example], ExampleAccount]:
        question = _words(self.tokenizer, self._length - (self.arguments.max_completion_length or 0))
        return _repeated(Example(question, "#### 1"), self.completions_per_step // self.num_generations)


def _words(tokenizer: PreTrainedTokenizerFast, length: int, beside: int = 0) -> str:
    """Return words that fill a prompt to a length in tokens, or to less than a word below it.

    Args:
        tokenizer: from `stand_in_tokenizer`.
        length (`int`): the length.
        beside (`int`, *optional*): words that are in it already.
    """

    def taken(number: int) -> int:
        return len(tokenizer(render_prompt(" ".join([_WORD] * number)))["input_ids"])

    per_word = taken(2) - taken(1)
    return " ".join([_WORD] * max(1, 1 + (length - taken(1)) // per_word - beside))


def _repeated(example: Example, number: int) -> tuple[list[Example], ExampleAccount]:
    examples = [example] * number
    return examples, ExampleAccount(number, 0, 0, order_sha256(examples))
