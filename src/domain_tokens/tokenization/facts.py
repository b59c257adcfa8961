"""The facts: the 45 products of the multiplication table, their names and their ids.

A fact is one product `a * b = c` with `1 <= a <= b <= 9`; `6*9` and `9*6` are the same fact. Its token is written
`<MUL_a_b_c>`. The ids are part of the experiment's contract: GPT-2's own vocabulary is padded to 50,304 and the facts
follow in order of `(a, b)`.
"""

import re
from dataclasses import dataclass

GPT2_VOCAB_SIZE = 50257  # ids 0..50256, of which 50256 is <|endoftext|>
FIRST_FACT_ID = 50304  # GPT-2's vocabulary padded to a multiple of 64, as is usual for tensor cores
NUM_FACTS = 45
VOCAB_SIZE = FIRST_FACT_ID + NUM_FACTS  # 50349: len(tokenizer) and model.config.vocab_size in both conditions
MAX_VOCAB_SIZE = 2**16  # token ids are stored as uint16
MAX_FACTOR = 9
END_OF_TEXT = "<|endoftext|>"

# The shape of a token's name, whatever the intervention. Data is searched for this shape when it is read, so that no
# text spells a token.
TOKEN_NAME = r"<[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+>"
TOKEN = re.compile(TOKEN_NAME)


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
    """The mapping between facts and token ids.

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


def count_facts(token_ids: list[int]) -> int:
    """Return how many of the token ids lie behind GPT-2's padded vocabulary, the same range in every condition."""
    return sum(token_id >= FIRST_FACT_ID for token_id in token_ids)
