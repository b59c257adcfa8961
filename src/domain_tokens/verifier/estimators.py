"""Accuracies of n samples out of N: one of them right, the commonest answer right, the best-scored one right.

Each estimates what n samples would come to, from the N that were drawn; at n = 1 all three are the accuracy of a
sample. A value belongs to one question and is from 0 to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb

from domain_tokens.evaluation.answers.answer import majority
from domain_tokens.evaluation.tasks._generative import pass_at_k


@dataclass(frozen=True)
class Samples:
    """The samples of one question, in the order in which they were drawn.

    Attributes:
        numbers: the number that each gives; `None` for none.
        right: whether it is the right one.
    """

    numbers: tuple[Fraction | None, ...]
    right: tuple[bool, ...]

    def __post_init__(self) -> None:
        assert 0 < len(self.numbers) == len(self.right)


@dataclass(frozen=True)
class Judged(Samples):
    """The samples of one question with the scores of a verifier.

    Attributes:
        scores: the verifier's.
    """

    scores: tuple[float, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        assert len(self.scores) == len(self.right)


def pass_at(samples: Samples, n: int) -> float:
    """Return the chance that one of n samples is right; unbiased (Chen et al. 2021)."""
    return pass_at_k(len(samples.right), sum(samples.right), n)


def majority_at(samples: Samples, n: int) -> float:
    """Return how often the commonest number of n samples is right; of equally common ones, the one drawn first.

    The mean over the N // n blocks of n samples that follow each other, which share none. Samples without a number do
    not vote; if none has one, the answer is wrong.
    """
    starts = range(0, len(samples.numbers) - n + 1, n)
    return sum(_is_majority_right(samples, start, start + n) for start in starts) / len(starts)


def _is_majority_right(samples: Samples, start: int, stop: int) -> bool:
    chosen = majority(samples.numbers[start:stop])
    return chosen is not None and samples.right[samples.numbers.index(chosen, start, stop)]


def verify_at(judged: Judged, n: int) -> float:
    """Return the chance that of n samples the one with the highest score is right: verify@1 of n.

    The mean over all subsets of n of the N samples: the sample of rank `r` (from 0) is the best of
    `C(N - 1 - r, n - 1)` of the `C(N, n)` subsets. Of equal scores, each is as likely to be the one that is taken.
    """
    num_samples = len(judged.scores)
    order = sorted(range(num_samples), key=lambda index: -judged.scores[index])
    value, rank = 0.0, 0
    while rank < num_samples:
        equal = [index for index in order[rank:] if judged.scores[index] == judged.scores[order[rank]]]
        subsets = sum(comb(num_samples - 1 - place, n - 1) for place in range(rank, rank + len(equal)))
        value += subsets / comb(num_samples, n) * sum(judged.right[index] for index in equal) / len(equal)
        rank += len(equal)
    return value


def best_of(scores: Sequence[float]) -> int:
    """Return the index of the highest score; of equal ones the first."""
    return max(range(len(scores)), key=lambda index: scores[index])


def ranked_pairs(judged: Sequence[Judged]) -> float | None:
    """Return how often a right sample has a higher score than a wrong one of the same question; a tie counts half.

    The mean over questions that have both; `None` if none has.
    """
    values = []
    for one in judged:
        right = [score for score, is_right in zip(one.scores, one.right, strict=True) if is_right]
        wrong = [score for score, is_right in zip(one.scores, one.right, strict=True) if not is_right]
        if right and wrong:
            won = sum((a > b) + (a == b) / 2 for a in right for b in wrong)
            values.append(won / (len(right) * len(wrong)))
    return sum(values) / len(values) if values else None


def sizes(num_samples: int) -> list[int]:
    """Return the numbers of samples at which accuracies are given: powers of two, and all of them."""
    powers = [2**exponent for exponent in range(num_samples.bit_length()) if 2**exponent <= num_samples]
    return list(dict.fromkeys((*powers, num_samples)))
