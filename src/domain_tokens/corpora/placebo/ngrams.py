"""Counts n-grams of ordinary words in bounded memory. A placebo is made of such n-grams."""

import heapq
from collections import Counter
from collections.abc import Iterator
from functools import cache
from zlib import crc32

import regex
from num2words import num2words

_MAX_NGRAMS = 2_000_000  # counted at a time: about 300 MB

# Words with the space before each, none of them a part of a longer word: not the `don` of `don't`.
_RUN = regex.compile(r"(?: \p{L}+(?![\p{L}\p{M}\p{N}_]|['’‐‑-]\p{L}))+")
_OPERATIONS = {
    *("times", "x", "multiplied", "multiply", "multiplies", "multiplying", "multiplication", "product", "products"),
    *("plus", "add", "adds", "added", "adding", "addition", "sum", "sums", "minus", "subtract", "subtracts"),
    *("subtracted", "subtracting", "subtraction", "difference", "divided", "divide", "divides", "dividing"),
    *("division", "quotient", "remainder", "equals", "equal", "squared", "cubed", "factor", "factors", "percent"),
    *("once", "twice", "thrice", "half", "halves", "quarter", "quarters", "double", "doubles", "triple", "triples"),
    *("dozen", "dozens", "hundreds", "thousand", "thousands", "million", "millions", "billion", "billions"),
}


class NgramCounter:
    """Counts n-grams in bounded memory.

    When there are too many, those are kept that have been frequent so far, and of the others one in 2, 4, 8, ... by a
    hash of their text. What is kept by its hash was never dropped, so its count is exact at any frequency; a plain
    pruning of rare n-grams would lose all those that are rare between two prunings, which are what most facts need.

    Args:
        max_ngrams (`int`, *optional*, defaults to 2,000,000): how many are counted at a time.
    """

    def __init__(self, max_ngrams: int = _MAX_NGRAMS) -> None:
        self.counts: Counter[str] = Counter()
        self.one_in = 1
        self._max_ngrams = max_ngrams
        self._frequent = 0

    def add(self, text: str) -> None:
        """Count the n-grams of a text."""
        self.counts.update(ngrams(text))
        if len(self.counts) > self._max_ngrams:
            self._frequent = heapq.nlargest(self._max_ngrams // 4, self.counts.values())[-1]
            self.counts = self.kept()
            while len(self.counts) > self._max_ngrams // 2:
                self.one_in *= 2
                self.counts = self.kept()

    def kept(self) -> Counter[str]:
        """Return the n-grams whose counts are exact, and the frequent ones."""
        return Counter(
            {
                ngram: count
                for ngram, count in self.counts.items()
                if count > self._frequent or crc32(ngram.encode()) % self.one_in == 0
            }
        )


def ngrams(text: str) -> Iterator[str]:
    """Yield every n-gram of a text: two to four words within a line, none of them a number or an operation.

    Example:
    ```python
    >>> list(ngrams("The end of the day. It is six times the size"))
    [' end of', ' end of the', ' end of the day', ' of the', ' of the day', ' the day', ' the size']
    ```
    """
    for run in _RUN.findall(text):
        words = run.split(" ")[1:]
        allowed = [_is_allowed(word) for word in words]
        for start in range(len(words) - 1):
            for end in range(start + 1, min(start + 5, len(words) + 1)):
                if not allowed[end - 1]:
                    break
                if end > start + 1:
                    yield " " + " ".join(words[start:end])


@cache
def _arithmetic() -> frozenset[str]:
    """Return the words of numbers and operations, which are in no n-gram."""
    spelled = (num2words(number, to=form) for number in range(101) for form in ("cardinal", "ordinal"))
    return frozenset(_OPERATIONS) | {word for text in spelled for word in regex.findall(r"\w{2,}", text)}


@cache
def _is_allowed(word: str) -> bool:
    return word.lower() not in _arithmetic()
