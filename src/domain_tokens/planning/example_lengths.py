"""Whether examples of fine-tuning and GRPO fit, as far as it can be known before the base vocabulary is made."""

from collections.abc import Sequence
from functools import cached_property

from tokenizers import Tokenizer

from domain_tokens.corpora.examples import Example
from domain_tokens.recipe import Recipe
from domain_tokens.runs.layout import MANIFEST
from domain_tokens.tokenization.bpe.base_vocabulary import base_without_training, read_base
from domain_tokens.tokenization.bpe.digits import AS_BASE, pre_tokenizer
from domain_tokens.tokenization.builder import encoder_of
from domain_tokens.tokenization.facts import END_OF_TEXT
from domain_tokens.training.post_training.chat_data import neutral, none_fits, rendered

_AT_A_TIME = 256
_MAX_CHARACTERS = 20_000_000  # some seconds; what does not fit among more is left to its stage


class ExampleLengths:
    """Counts the tokens of examples under the base vocabulary of a recipe, as a stage does.

    While a base is not trained yet, the pieces are counted that it will cut a text into; no text takes fewer tokens.

    Args:
        recipe (`Recipe`): any of an experiment's recipes, which share the base.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def check(self, where: str, examples: Sequence[Example], max_length: int, prompts_alone: bool) -> None:
        """Check that an example of a source fits. Usually the shortest does, and no other is looked at.

        Args:
            where (`str`): the stage's key and the source, for the message.
            examples (`Sequence[Example]`): the source's examples.
            max_length (`int`): the most tokens that an example may take.
            prompts_alone (`bool`): whether prompts are counted without their answers.

        Raises:
            RecipeError: naming the shortest example, its tokens and the limit.
        """
        by_size = sorted(examples, key=lambda one: sum(map(len, one.texts[:-1] if prompts_alone else one.texts)))
        shortest, place, size = None, "", 0
        for begin in range(0, len(by_size), _AT_A_TIME):
            block = by_size[begin : begin + _AT_A_TIME]
            texts = [rendered(neutral(example)[0], prompts_alone) for example in block]
            for example, number in zip(block, self._count(texts), strict=True):
                if number <= max_length:
                    return
                if shortest is None or number < shortest:
                    shortest, place = number, example.place
            size += sum(map(len, texts))
            if size > _MAX_CHARACTERS:
                return
        at_least = "at least " if self._encoder is None else ""
        raise none_fits(where, len(examples), max_length, f"{place}, takes {at_least}{shortest}")

    def num_fitting(self, examples: Sequence[Example], max_length: int) -> int:
        """Return how many examples fit with their answers; at most so many, while the base is not trained yet."""
        texts = [rendered(neutral(example)[0], False) for example in examples]
        if sum(map(len, texts)) > _MAX_CHARACTERS:
            return len(texts)
        return sum(number <= max_length for number in self._count(texts))

    def _count(self, texts: list[str]) -> list[int]:
        if self._encoder is not None:
            return [len(encoding.ids) for encoding in self._encoder.encode_batch_fast(texts)]
        cut = pre_tokenizer(AS_BASE)
        return [
            sum(len(cut.pre_tokenize_str(part)) for part in text.split(END_OF_TEXT)) + text.count(END_OF_TEXT)
            for text in texts
        ]

    @cached_property
    def _encoder(self) -> Tokenizer | None:
        folder, base = self._recipe.base_vocabulary_dir, self._recipe.base_vocabulary
        if not base.is_trained:
            return encoder_of(base_without_training(base.kind))
        return encoder_of(read_base(folder)) if (folder / MANIFEST).is_file() else None
