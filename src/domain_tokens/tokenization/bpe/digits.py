"""How numbers are cut into tokens: as the base does it, or in groups of a fixed length.

GPT-2 cuts a number by the pairs that were frequent in its training text: `1234` is `12`, `34` and `54312` is `543`,
`12`. The digit interventions change the pre-tokenizer and nothing else. They cut every run of the digits 0 to 9 into
groups, and the space before a number stays alone. Vocabulary, merges and ids are the base's, text without a digit has
the same ids, and nothing is rewritten, so nothing is lost.

A group that is no token of the base falls apart into tokens that the base's merges make of it. Of three digits this
happens in GPT-2's vocabulary, which has 777 of 1,000 such strings; of one and two digits it never does.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from tokenizers import Regex, pre_tokenizers

AS_BASE = "as_base"


@dataclass(frozen=True)
class Grouping:
    """A way to cut a run of digits.

    Attributes:
        length: digits in a group.
        from_right: whether counting starts at the last digit, so that the first group may be shorter; else the last.
    """

    length: int
    from_right: bool = False

    @property
    def pattern(self) -> str:
        """A regular expression of one group, for Oniguruma and PCRE2. It takes time linear in the number's length."""
        if not self.from_right:
            return f"[0-9]{{1,{self.length}}}"
        first = f"(?<![0-9])[0-9]{{1,{self.length}}}(?=(?:[0-9]{{{self.length}}})*+(?![0-9]))"
        return f"{first}|(?<=[0-9])[0-9]{{{self.length}}}"

    def cut(self, digits: str) -> list[str]:
        """Return the groups of a run of digits."""
        first = len(digits) % self.length if self.from_right else 0
        ends = sorted({0, *range(first, len(digits), self.length), len(digits)})
        return [digits[start:end] for start, end in pairwise(ends)]


GROUPINGS = {"single_digit": Grouping(1), "digits_2": Grouping(2), "r2l_3": Grouping(3, from_right=True)}
"""The digit interventions by name."""


def pre_tokenizer(numbers: str) -> pre_tokenizers.PreTokenizer:
    """Return what cuts a text into the pieces in which the base's merges are applied.

    Digits are split after GPT-2's own cut, so a piece without a digit is GPT-2's.

    Args:
        numbers (`str`): `as_base` or a name from `GROUPINGS`.
    """
    own = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if numbers == AS_BASE:
        return own
    return pre_tokenizers.Sequence([own, pre_tokenizers.Split(Regex(GROUPINGS[numbers].pattern), "isolated")])


@dataclass(frozen=True)
class GroupCount:
    """How many groups of digits a text has, and how many of them are more than one token."""

    groups: int = 0
    fallen_apart: int = 0

    @property
    def share(self) -> float:
        """The share of the groups that fell apart."""
        return self.fallen_apart / self.groups if self.groups else 0.0

    def __add__(self, other: "GroupCount") -> "GroupCount":
        return GroupCount(self.groups + other.groups, self.fallen_apart + other.fallen_apart)


class GroupCounter:
    """Counts groups of digits among token ids.

    Args:
        vocabulary (`dict[str, int]`): the base's tokens.
        numbers (`str`): a name from `GROUPINGS`.
    """

    def __init__(self, vocabulary: dict[str, int], numbers: str) -> None:
        self._grouping = GROUPINGS[numbers]
        self._num_digits = np.zeros(2**16, dtype=np.int64)
        for token, token_id in vocabulary.items():
            if token.isascii() and token.isdecimal():
                self._num_digits[token_id] = len(token)

    def count(self, ids: np.ndarray) -> GroupCount:
        """Count the groups in whole documents, which end with a token that is no digit.

        Args:
            ids (`np.ndarray`): token ids, shape `(tokens,)`.
        """
        sizes, length = self._num_digits[ids], self._grouping.length
        is_digit = sizes > 0
        begins_run = is_digit & ~np.concatenate([[False], is_digit[:-1]])
        run, sizes = (np.cumsum(begins_run) - 1)[is_digit], sizes[is_digit]
        totals = np.bincount(run, weights=sizes, minlength=int(begins_run.sum())).astype(np.int64)
        starts = np.cumsum(sizes) - sizes - (np.cumsum(totals) - totals)[run]
        # Groups begin at 0 and at `first`, `first + length`, ...; a token is a whole group if it begins where a group
        # begins and ends where that group ends.
        first = totals % length if self._grouping.from_right else np.zeros_like(totals)
        begins = (starts == 0) | ((starts - first[run]) % length == 0)
        ends = np.where(starts < first[run], first[run], np.minimum(starts + length, totals[run]))
        groups, whole = int((-(-totals // length)).sum()), int((begins & (starts + sizes == ends)).sum())
        return GroupCount(groups, groups - whole)
