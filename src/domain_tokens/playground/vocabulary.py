"""The tokens of one model, as they are shown: what they stand for, and which of them an intervention added."""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from domain_tokens.evaluation.models.repetition import TokenTexts
from domain_tokens.playground.visible import visible
from domain_tokens.recipe import RecipeError
from domain_tokens.tokenization.builder import base_encoder
from domain_tokens.tokenization.contract import id_ranges, intervention_of

_FACT = re.compile(r"(\d{1,4})\s*([*x×·+])\s*(\d{1,4})(?:\s*=\s*\d{1,8})?")


class Kind(StrEnum):
    """What a token is."""

    TEXT = "text"
    FACT = "fact"
    """Added by the intervention: a fact, or another of its tokens."""
    END = "end"
    """The end-of-text token."""
    RESERVED = "reserved"
    """An id without a token."""


ENDS = (Kind.END, Kind.RESERVED)
"""What ends an answer."""


@dataclass(frozen=True)
class Chip:
    """A token, as it is shown.

    Attributes:
        id: its id.
        text: what it stands for, with each character that cannot be seen spelled out: `6*9=54` for a fact.
        kind: what it is.
        name: the name of an added token, such as `<MUL_6_9_54>`; empty for others.
    """

    id: int
    text: str
    kind: Kind
    name: str = ""


class Vocabulary:
    """The tokens of a tokenizer.

    Args:
        tokenizer (`PreTrainedTokenizerFast`): of the experiment.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._ids = id_ranges(tokenizer)
        self._texts = TokenTexts.of(tokenizer)
        self.intervention = intervention_of(tokenizer)
        self._num_named = len(self.intervention.token_names())
        self.added = range(self._ids.first_added, len(tokenizer))
        """The ids that evaluation forbids: those behind the padded base vocabulary, the same in every condition."""

    def __len__(self) -> int:
        return len(self._tokenizer)

    def kind(self, token_id: int) -> Kind:
        """Return what a token is."""
        if token_id == self._ids.end_of_text:
            return Kind.END
        if token_id < self._ids.num_base:
            return Kind.TEXT
        is_named = 0 <= token_id - self._ids.first_added < self._num_named
        return Kind.FACT if is_named else Kind.RESERVED

    def chip(self, token_id: int) -> Chip:
        """Return a token as it is shown."""
        kind = self.kind(token_id)
        if kind is Kind.END:
            return Chip(token_id, "end of text", kind)
        if kind is Kind.RESERVED:
            return Chip(token_id, "reserved", kind)
        name = self._tokenizer.decode([token_id]).strip() if kind is Kind.FACT else ""
        return Chip(token_id, visible(self.text(token_id)), kind, name)

    def text(self, token_id: int) -> bytes:
        """Return what a token stands for; nothing for the end-of-text token and reserved ids."""
        return b"" if self.kind(token_id) in ENDS else self._texts[token_id]

    def written(self, token_id: int) -> bytes:
        """Return a token as the tokenizer writes it: a fact by its name."""
        if self.kind(token_id) is Kind.FACT:
            return self._tokenizer.decode([token_id]).encode()
        return self.text(token_id)

    @cached_property
    def ending(self) -> list[int]:
        """The tokens that end an answer, the end-of-text token first."""
        reserved = (one for one in range(len(self)) if self.kind(one) is Kind.RESERVED)
        return [self._ids.end_of_text, *reserved]

    def beginning_with(self, start: bytes) -> list[int]:
        """Return the ids whose texts begin in one way; those that end an answer have none."""
        return [one for one in self._texts.beginning_with(start) if self.kind(one) not in ENDS]

    def saying(self, text: bytes) -> list[int]:
        """Return the ids that stand for exactly a text."""
        return self._by_text.get(text, [])

    @cached_property
    def _by_text(self) -> dict[bytes, list[int]]:
        found: dict[bytes, list[int]] = {}
        for token_id in range(len(self)):
            found.setdefault(self.text(token_id), []).append(token_id)
        return found

    def encodings(self, text: str) -> list[list[int]]:
        """Return the tokens of a text as the tokenizer reads it, and as the base vocabulary alone does."""
        return [self._tokenizer.encode(text), self._base.encode(text, add_special_tokens=False).ids]

    @cached_property
    def _base(self) -> Tokenizer:
        return base_encoder(self._tokenizer.backend_tokenizer.to_str())

    def fact_texts(self) -> dict[str, int]:
        """Return the ids of the tokens that stand for facts, by their texts."""
        names = self.intervention.token_names()
        facts = {entry.token: entry.text for entry in self.intervention.entries() if entry.operands is not None}
        return {facts[name]: self._ids.first_added + index for index, name in enumerate(names) if name in facts}

    def fact_named(self, text: str) -> int | None:
        """Return the id of the fact that a text names, such as `6*9`, `9 x 6` or `<MUL_6_9_54>`.

        Returns:
            `int`, *optional*: `None` if the vocabulary has no token for it.
        """
        names, wanted = self.intervention.token_names(), self._operands(text.strip())
        for entry in self.intervention.entries():
            is_meant = text.strip() in (entry.token, entry.text) or (wanted is not None and entry.operands == wanted)
            if is_meant and entry.token in names and entry.operands is not None:
                return self._ids.first_added + names.index(entry.token)
        return None

    def _operands(self, text: str) -> tuple[int, int] | None:
        """Return the operands that a text names, in the order of the table."""
        match, facts = _FACT.fullmatch(text), self.intervention.facts
        if match is None or facts is None or (match[2] == "+") != (facts.operation == "+"):
            return None
        a, b = int(match[1]), int(match[3])
        return (b, a) if facts.folded and b < a else (a, b)


def swapped_ids(vocabulary: Vocabulary, swap: tuple[str, str] | None) -> dict[int, int]:
    """Return which id a model reads in the place of which other one.

    Args:
        vocabulary (`Vocabulary`): the model's.
        swap (`tuple[str, str]`, *optional*): the names of two facts. A model without tokens for both reads as ever.
    """
    first, second = [vocabulary.fact_named(name) for name in swap or ("", "")]
    if first is None or second is None or first == second:
        return {}
    return {first: second, second: first}


def check_swap(vocabularies: list[Vocabulary], swap: tuple[str, str] | None) -> None:
    """Check that some model has a token for both facts of a swap.

    Raises:
        RecipeError: naming the fact that none has.
    """
    if swap is None:
        return
    for name in swap:
        if all(vocabulary.fact_named(name) is None for vocabulary in vocabularies):
            known = next((text for one in vocabularies for text in one.fact_texts()), None)
            hint = "no model here has facts" if known is None else f"expected one such as {known}"
            raise RecipeError(f"{visible(name[:40])}: no model has a token for it; {hint}")
    if not any(swapped_ids(vocabulary, swap) for vocabulary in vocabularies):
        named = " and ".join(map(visible, swap))
        raise RecipeError(f"{named}: expected two different facts of one model")
