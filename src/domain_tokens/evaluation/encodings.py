"""How questions reach a model: encoded by its own tokenizer, plainly, or rewritten and expanded; and what that hides.

A tokenizer that rewrites a question has read it for the model: `What is 6 * 9?` becomes `What is <MUL_6_9_54>?`, which
holds the answer. Every item therefore records whether its prompt is rewritten and which ids it becomes, and two modes
cross the encoding of the question with the training of the model.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from domain_tokens.runs.layout import Mode
from domain_tokens.runs.records import Item, TaskSummary
from domain_tokens.tokenization.builder import rule_free
from domain_tokens.tokenization.intervention import Intervention
from domain_tokens.tokenization.rewriter import expand, inject

_KEY_LENGTH = 16  # of 64 characters: two of a million prompts share a key by chance once in 40 million task runs

Encode = Callable[[list[str]], list[list[int]]]
"""Returns the token ids of each text."""


@dataclass(frozen=True)
class Encoding:
    """How the texts of one item are encoded.

    Attributes:
        rewritten: whether the tokenizer changes one of the texts or reads a token of the intervention in it.
        key: a hash of their ids: two items with the same key are the same to a model.
    """

    rewritten: bool
    key: str


def encode_in(mode: Mode, tokenizer: PreTrainedTokenizerFast, table: Intervention) -> Encode:
    """Return how questions are encoded in a mode.

    Args:
        mode (`Mode`): the mode.
        tokenizer (`PreTrainedTokenizerFast`): the model's tokenizer.
        table (`Intervention`): whose facts are written into the questions in the mode `question_rewritten`, the same
            in every condition.
    """
    if mode not in (Mode.PLAIN_QUESTION, Mode.REWRITTEN_QUESTION):
        return lambda texts: tokenizer(texts)["input_ids"]
    plain = Tokenizer.from_str(rule_free(tokenizer.backend_tokenizer.to_str()))

    def encode(texts: list[str]) -> list[list[int]]:
        if mode is Mode.REWRITTEN_QUESTION:
            texts = [expand(inject(text, table), table) for text in texts]
        return [encoding.ids for encoding in plain.encode_batch_fast(texts)]

    return encode


def encodings(items: list[list[str]], encode: Encode, tokenizer: PreTrainedTokenizerFast) -> list[Encoding]:
    """Return how the texts of each item are encoded.

    Args:
        items (`list[list[str]]`): of each item the prompt, or the context and its endings.
        encode (`Encode`): how they are encoded.
        tokenizer (`PreTrainedTokenizerFast`): the model's tokenizer; a text whose ids it does not decode to the text
            is rewritten.
    """
    ids = iter(encode([text for texts in items for text in texts]))
    found = []
    for texts in items:
        encoded = [next(ids) for _ in texts]
        rewritten = tokenizer.batch_decode(encoded) != texts
        found.append(Encoding(rewritten, sha256(repr(encoded).encode()).hexdigest()[:_KEY_LENGTH]))
    return found


def with_encodings(items: Iterable[Item], found: Iterable[Encoding]) -> list[Item]:
    """Return items that record how their prompts were encoded."""
    return [
        item.model_copy(update={"rewritten": encoding.rewritten, "encoding": encoding.key})
        for item, encoding in zip(items, found, strict=True)
    ]


def with_counts(summary: TaskSummary, items: list[Item]) -> TaskSummary:
    """Return a summary that says how many prompts are rewritten, and how many are the same ids as another item's."""
    groups = {
        name: group.model_copy(update=_counts([item for item in items if item.group == name]))
        for name, group in summary.groups.items()
    }
    return summary.model_copy(update={**_counts(items), "groups": groups})


def _counts(items: list[Item]) -> dict[str, int]:
    keys = Counter(item.encoding for item in items)
    return {
        "num_rewritten": sum(bool(item.rewritten) for item in items),
        "num_identical": sum(keys[item.encoding] > 1 for item in items),
    }
