"""The base class of supervised fine-tuning and GRPO, which train a previous stage's model on examples."""

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from transformers import GPT2LMHeadModel

from domain_tokens.corpora.examples import Example
from domain_tokens.evaluation.models.answer_ends import answer_ends, ending_prompts
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import sha256_weights
from domain_tokens.runs.layout import CONTAMINATION, EXAMPLES
from domain_tokens.runs.records import AnswerEnds, Contamination, Fields, PortionRecord, write_rows
from domain_tokens.training.callbacks.accounting import Counter, counted_work, training_flops
from domain_tokens.training.callbacks.metrics import Work
from domain_tokens.training.chat_data import ExampleAccount, write_list
from domain_tokens.training.inputs import Predecessor, find_predecessor, stage_inputs
from domain_tokens.training.model import load_model, num_parameters
from domain_tokens.training.stage import TrainingRun


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
        config, parameters = self.model.config, num_parameters(self.model)
        return lambda step: counted_work(counter, training_flops(config, parameters, counter) * relative_cost)

    def inputs(self) -> Fields:
        """Return the trainer settings, the data, the tokenizer and the initial weights."""
        _ = self.before  # a missing stage is reported before any data is read
        return stage_inputs(self.recipe, self.stage, self.account.as_fields())

    @cached_property
    def model(self) -> GPT2LMHeadModel:
        """The previous stage's model. Raises `RecipeError` if its weights do not match its manifest."""
        before = self.before
        if sha256_weights(before.folder) != before.weights_sha256:
            raise RecipeError(
                f"{before.folder}: the weights do not match the manifest; remove it and run {before.made_by} again"
            )
        return load_model(before.folder, len(self.tokenizer))
