"""The facts: the 45 products of the multiplication table, their names and their ids.

A fact is one product `a * b = c` with `1 <= a <= b <= 9`; `6*9` and `9*6` are the same fact. Its token is written
`<MUL_a_b_c>`. The ids are part of the experiment's contract: the base vocabulary is padded to a multiple of 64
(GPT-2's to 50,304), and the facts follow in order of `(a, b)`.
"""

import math
import re
from dataclasses import dataclass

NUM_FACTS = 45
MAX_VOCAB_SIZE = 2**16  # token ids are stored as uint16
MAX_FACTOR = 9
END_OF_TEXT = "<|endoftext|>"
_PADDED_TO = 64

# The shape of a token's name, whatever the intervention. Data is searched for this shape when it is read, so that no
# text spells a token.
TOKEN_NAME = r"<[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+>"
TOKEN = re.compile(TOKEN_NAME)


@dataclass(frozen=True)
class IdRanges:
    """What a token id means, given the size of the base vocabulary.

    The ids of the base come first, the end-of-text token last among them. Reserved ids fill up to a multiple of 64, as
    is usual for tensor cores. The ids that an intervention adds follow.

    Attributes:
        num_base: number of ids of the base vocabulary, with the end-of-text token.

    Example:
    ```python
    >>> GPT2_IDS.end_of_text, GPT2_IDS.first_added, GPT2_IDS.total(45)
    (50256, 50304, 50349)
    ```
    """

    num_base: int

    @property
    def end_of_text(self) -> int:
        """The id of `<|endoftext|>`, the last one of the base."""
        return self.num_base - 1

    @property
    def first_added(self) -> int:
        """The first id of an intervention's tokens."""
        return math.ceil(self.num_base / _PADDED_TO) * _PADDED_TO

    def total(self, num_added: int) -> int:
        """Return the length of a tokenizer with `num_added` ids after the padded base."""
        return self.first_added + num_added


GPT2_IDS = IdRanges(50257)
# The experiment's own ids. A tokenizer with another base has others: see `IdRanges`.
GPT2_VOCAB_SIZE = GPT2_IDS.num_base
FIRST_FACT_ID = GPT2_IDS.first_added
VOCAB_SIZE = GPT2_IDS.total(NUM_FACTS)


def canonicalize(a: int, b: int) -> tuple[int, int]:
    """Return the two factors in ascending order, so that `6*9` and `9*6` name the same fact.

    Raises:
        ValueError: if a factor is not a whole number from 1 to 9.
    """
    for factor in (a, b):
        if isinstance(factor, bool) or not isinstance(factor, int) or not 1 <= factor <= MAX_FACTOR:
            raise ValueError(f"expected a factor from 1 to {MAX_FACTOR} (a whole number), got {factor!r}")
    return (a, b) if a <= b else (b, a)


@dataclass(frozen=True, order=True)
class Fact:
    """One product of the multiplication table, `a * b = product` with `a <= b`."""

    a: int
    b: int

    def __post_init__(self) -> None:
        if canonicalize(self.a, self.b) != (self.a, self.b):
            raise ValueError(f"the factors of a fact are ordered: expected {canonicalize(self.a, self.b)}")

    @property
    def product(self) -> int:
        """The product of the two factors."""
        return self.a * self.b

    @property
    def token(self) -> str:
        """The token's text, for example `<MUL_6_9_54>`."""
        return f"<MUL_{self.a}_{self.b}_{self.product}>"

    @property
    def text(self) -> str:
        """The text that the token stands for, for example `6*9=54`."""
        return f"{self.a}*{self.b}={self.product}"


FACTS: tuple[Fact, ...] = tuple(Fact(a, b) for a in range(1, MAX_FACTOR + 1) for b in range(a, MAX_FACTOR + 1))


class MulFactTokens:
    """The mapping between facts and token ids, with GPT-2's vocabulary as the base.

    Example:
    ```python
    >>> facts = MulFactTokens()
    >>> facts.id_of(9, 6)
    50342
    >>> facts.fact_of(50342).text
    '6*9=54'
    >>> 50342 in facts, 50256 in facts
    (True, False)
    ```
    """

    def __init__(self) -> None:
        self._id_by_fact = {fact: FIRST_FACT_ID + index for index, fact in enumerate(FACTS)}

    def id_of(self, a: int, b: int) -> int:
        """Return the token id of `a * b`, in either order. Raises `ValueError` outside 1..9."""
        return self._id_by_fact[Fact(*canonicalize(a, b))]

    def fact_of(self, token_id: int) -> Fact:
        """Return the fact that a token id stands for. Raises `ValueError` if the id is not a fact's."""
        if token_id not in self:
            raise ValueError(f"{token_id} is not the id of a fact: expected {FIRST_FACT_ID}..{VOCAB_SIZE - 1}")
        return FACTS[token_id - FIRST_FACT_ID]

    def product_of(self, token_id: int) -> int:
        """Return the product that a token id stands for. Raises `ValueError` if the id is not a fact's."""
        return self.fact_of(token_id).product

    def __contains__(self, token_id: object) -> bool:
        return isinstance(token_id, int) and FIRST_FACT_ID <= token_id < VOCAB_SIZE


def count_facts(token_ids: list[int], ids: IdRanges) -> int:
    """Return how many of the token ids lie behind the padded base vocabulary, the same range in every condition."""
    return sum(token_id >= ids.first_added for token_id in token_ids)
