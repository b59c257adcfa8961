"""The base class of supervised fine-tuning and GRPO, which train a previous stage's model on examples."""

import os
from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from accelerate import PartialState
from peft import LoraConfig
from transformers import GPT2LMHeadModel

from domain_tokens.corpora.examples import Example
from domain_tokens.evaluation.models.answer_ends import answer_ends, ending_prompts
from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.files import sha256_weights
from domain_tokens.runs.launcher import launcher_of
from domain_tokens.runs.layout import CONTAMINATION, EXAMPLES, StagePaths
from domain_tokens.runs.records import AnswerEnds, Contamination, Fields, PortionRecord, write_rows
from domain_tokens.tokenization.contract import id_ranges
from domain_tokens.training.callbacks.accounting import Counter, counted_work, training_flops
from domain_tokens.training.callbacks.metrics import Work
from domain_tokens.training.inputs import Predecessor, find_predecessor, lora_fields, stage_inputs
from domain_tokens.training.model import Adapted, computed_parameters, load_model, num_parameters
from domain_tokens.training.post_training.adapters import adapted, lora_config, merged
from domain_tokens.training.post_training.chat_data import ExampleAccount, write_list
from domain_tokens.training.stage import TrainingRun
from domain_tokens.training.trainers.checkpoints import CheckpointTrainer


class PostTrainingRun(TrainingRun):
    """A stage that starts from the previous stage's model."""

    @cached_property
    def before(self) -> Predecessor:
        """The previous stage. Raises `RecipeError` if it is incomplete."""
        return find_predecessor(self.recipe, self.stage)

    @cached_property
    def _data(self) -> tuple[list[Example], ExampleAccount]:
        return self.read_examples()

    @abstractmethod
    def read_examples(self) -> tuple[list[Example], ExampleAccount]:
        """Read the examples that fit and return them with their account."""

    @property
    def examples(self) -> list[Example]:
        """The training examples, the same in every condition."""
        return self._data[0]

    @property
    def account(self) -> ExampleAccount:
        """The account of the examples, for the manifest."""
        return self._data[1]

    def write_lists(self, folder: Path) -> None:
        """List the examples, and those that were removed because they hold a question of an evaluation set."""
        write_list(self.examples, folder / EXAMPLES)
        if self.account.removals:
            write_rows(folder / CONTAMINATION, list(self.account.removals))

    def contamination(self) -> Contamination | None:
        """Return what was compared with evaluation sets."""
        return self.account.contamination

    def mixture(self) -> dict[str, PortionRecord] | None:
        """Return what each source of a mixture gave."""
        return self.account.mixture

    def answer_ends(self, folder: Path) -> AnswerEnds | None:
        """Answer some of the stage's own prompts with the model before it and the one that was saved."""
        questions = [example.exchanges[0].question for example in self.examples]
        prompts = ending_prompts(self.recipe, questions, self.tokenizer)
        return answer_ends(self.recipe, prompts, self.before.folder, folder, self.tokenizer)

    def work_at(self, counter: Counter, relative_cost: float = 1.0) -> Callable[[int], Work]:
        """Return a function for the work done so far, from what the trainer counts.

        Args:
            counter (`Counter`): the counts.
            relative_cost (`float`, *optional*): FLOPs of a step relative to those of its forward and backward passes.
        """
        return lambda step: counted_work(counter, self.training_flops(counter) * relative_cost)

    def training_flops(self, counter: Counter) -> float:
        """Return the FLOPs of the forward and backward passes that were counted."""
        return training_flops(self.model.config, self._computed_parameters, counter, self.adapters)

    @cached_property
    def _num_parameters(self) -> int:
        return num_parameters(self.model)

    @cached_property
    def _computed_parameters(self) -> int:
        return computed_parameters(self.model)

    @cached_property
    def peft_config(self) -> LoraConfig | None:
        """The configuration of the adapters that are trained; `None` where all weights are."""
        lora = self.recipe.lora_of(self.stage)
        return None if lora is None else lora_config(lora, id_ranges(self.tokenizer), len(self.tokenizer))

    @cached_property
    def adapters(self) -> Adapted | None:
        """What alone is trained. Known before the trainer puts adapters into `model`, which must come first."""
        return None if self.peft_config is None else adapted(self.model, self.peft_config)

    @property
    def trained_parameters(self) -> int:
        """The number of parameters that are trained."""
        return self._num_parameters if self.adapters is None else self.adapters.trained

    def matched_adapters(self) -> Fields:
        """Return what conditions share of the adapters, for `matched`; nothing where all weights are trained."""
        if self.adapters is None:
            return {}
        return {**lora_fields(self.recipe, self.stage), "trained_parameters": self.adapters.trained}

    def save_final(self, trainer: CheckpointTrainer, folder: Path) -> None:
        """Save the whole model, with adapters merged into it."""
        if self.peft_config is None:
            super().save_final(trainer, folder)
        elif PartialState().is_main_process:
            merged(trainer.accelerator.unwrap_model(trainer.model)).save_pretrained(folder)

    def __init__(self, recipe: Recipe, stage: str, paths: StagePaths | None = None) -> None:
        super().__init__(recipe, stage, paths)
        launcher = launcher_of(os.environ)
        if recipe.lora_of(stage) is not None and launcher.sharding:
            raise RecipeError(
                f"lora: not supported under {launcher.sharding}, which would spread adapters and frozen weights alike "
                "over the processes; use a file of accelerate_configs/ with DDP, or remove lora"
            )

    def inputs(self) -> Fields:
        """Return the trainer settings, the data, the tokenizer and the initial weights."""
        _ = self.before  # a missing stage is reported before any data is read
        return stage_inputs(self.recipe, self.stage, self.account.as_fields())

    @cached_property
    def model(self) -> GPT2LMHeadModel:
        """The previous stage's model. Raises `RecipeError` if its weights do not match its manifest."""
        self.check_weights()
        return load_model(self.before.folder, len(self.tokenizer))

    def check_weights(self) -> None:
        """Check the previous stage's weights. Raises `RecipeError` if they do not match its manifest."""
        before = self.before
        if sha256_weights(before.folder) != before.weights_sha256:
            raise RecipeError(
                f"{before.folder}: the weights do not match the manifest; remove it and run {before.made_by} again"
            )
