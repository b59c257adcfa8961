"""What supervised fine-tuning and GRPO share: they go on from another stage's model and train on examples."""

from abc import abstractmethod
from dataclasses import asdict
from functools import cached_property

from transformers import GPT2LMHeadModel

from domain_tokens.corpora.synthetic import Example
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import sha256_weights
from domain_tokens.runs.records import Fields
from domain_tokens.training.chat_data import ExampleAccount
from domain_tokens.training.inputs import Predecessor, find_predecessor, stage_inputs
from domain_tokens.training.model import load_model
from domain_tokens.training.stage import TrainingRun


class PostTrainingRun(TrainingRun):
    """A stage that starts from the model of the stage before it."""

    @cached_property
    def before(self) -> Predecessor:
        """The stage before. Raises `RecipeError` if it is not complete."""
        return find_predecessor(self.recipe, self.stage)

    @cached_property
    def _data(self) -> tuple[list[Example], ExampleAccount]:
        return self.read_examples()

    @abstractmethod
    def read_examples(self) -> tuple[list[Example], ExampleAccount]:
        """Read the examples that fit, and their account."""

    @property
    def examples(self) -> list[Example]:
        """What is trained on, the same in every condition."""
        return self._data[0]

    @property
    def account(self) -> ExampleAccount:
        """Which examples these are, for the manifest."""
        return self._data[1]

    def inputs(self) -> Fields:
        """Return trainer, data, tokenizer and the weights to start from."""
        _ = self.before  # a missing stage is reported before any data is read
        return stage_inputs(self.recipe, self.stage, asdict(self.account))

    @cached_property
    def model(self) -> GPT2LMHeadModel:
        """The model of the stage before. Raises `RecipeError` if its weights are not those of its manifest."""
        before = self.before
        if sha256_weights(before.folder) != before.weights_sha256:
            raise RecipeError(
                f"{before.folder}: its weights are not those of its manifest; run {before.made_by} again"
            )
        return load_model(before.folder, len(self.tokenizer))
