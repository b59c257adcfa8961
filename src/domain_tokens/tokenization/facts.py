"""The facts: the 45 products of the multiplication table, their names and their ids.

A fact is one product `a * b = c` with `1 <= a <= b <= 9`; `6*9` and `9*6` are the same fact. Its token is written
`<MUL_a_b_c>`. The ids are part of the experiment's contract: GPT-2's own vocabulary is padded to 50,304 and the facts
follow in order of `(a, b)`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

GPT2_VOCAB_SIZE = 50257  # ids 0..50256, of which 50256 is <|endoftext|>
FIRST_FACT_ID = 50304  # GPT-2's vocabulary padded to a multiple of 64, as is usual for tensor cores
NUM_FACTS = 45
VOCAB_SIZE = FIRST_FACT_ID + NUM_FACTS  # 50349: len(tokenizer) and model.config.vocab_size in both conditions
MAX_FACTOR = 9
END_OF_TEXT = "<|endoftext|>"

_FACT_TOKEN = re.compile(r"<MUL_([1-9])_([1-9])_(\d{1,2})>")


def canonicalize(a: int, b: int) -> tuple[int, int]:
    """Return the two factors in ascending order, so that `6*9` and `9*6` name the same fact.

    Raises:
        ValueError: if a factor is not a whole number from 1 to 9.
    """
    for factor in (a, b):
        if isinstance(factor, bool) or not isinstance(factor, int) or not 1 <= factor <= MAX_FACTOR:
            raise ValueError(f"a factor of a fact is a whole number from 1 to {MAX_FACTOR}, got {factor!r}")
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

    def __iter__(self) -> Iterator[Fact]:
        return iter(FACTS)

    def __len__(self) -> int:
        return len(FACTS)


def expand(text: str) -> str:
    """Write every fact token in `text` as the text it stands for: `<MUL_6_9_54>` becomes `6*9=54`.

    Rewards and evaluation read answers through this function in every condition, so an answer with a token earns what
    the same answer in digits earns. Text that only looks like a fact (`<MUL_6_9_55>`, `<MUL_9_6_54>`) is no token of
    the vocabulary and stays as it is.

    A token takes the place of an expression and of its result, so a model that has learned `6*9=54` as one symbol may
    still write ` = 54` after it; that stays readable as the chain `6*9=54 = 54`.
    """

    def replace(match: re.Match[str]) -> str:
        a, b, product = (int(group) for group in match.groups())
        return f"{a}*{b}={product}" if a <= b and a * b == product else match.group()

    return _FACT_TOKEN.sub(replace, text)


def count_facts(token_ids: list[int]) -> int:
    """Return how many of the token ids lie in the facts' range, the same range in every condition."""
    return sum(FIRST_FACT_ID <= token_id < VOCAB_SIZE for token_id in token_ids)
