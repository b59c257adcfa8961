"""The numbers of a question: which may change, which stay, and what the words supply."""

import re
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction

from domain_tokens.corpora.renumbering.drawing import choices
from domain_tokens.corpora.renumbering.reading.arithmetic import HUNDREDTH, Value, simple
from domain_tokens.corpora.renumbering.reading.context import fraction_constants, implied, possible, stays
from domain_tokens.corpora.renumbering.reading.kinds import COUNT, PERCENT, kind_of, stem
from domain_tokens.corpora.renumbering.reading.mentions import Mention, mentions
from domain_tokens.corpora.renumbering.reading.solution import Stays, Unfaithful
from domain_tokens.corpora.renumbering.template import VARIABLE, Leaf, Variable

_HALF = 50
_CLAUSE = re.compile(r"[.,;:?!]| (?:per|a|an|each|every|and|for|in|on|at|from|to|with) ")
_FEW = 6
_LEAST_SUM, _LEAST_UNREAD = 4, 5  # less is a sum of others by chance
_KNOWN = re.compile(r"\b(?:the|these|those|all|all of|all of the|combined) $", re.IGNORECASE)
_AMOUNTS = {0, 1, 7, 12, 24, 28, 29, 30, 31, 52, 60, 90, 100, 180, 360, 365, 1000}


class Told:
    """The numbers of a question: those that may change, one group a value, and the constants it supplies.

    Two numbers of one value stay one value: whichever of them a step uses, the step stays right.
    """

    def __init__(self, question: str, answer: str, also_kept: set[Value]) -> None:
        self._question = question
        self.mentions = mentions(question)
        kept = {one.value for one in self.mentions if stays(question, one) and not one.is_times} | also_kept
        kept |= {one.value for one in self.mentions if self._is_known(one)}
        times = {one.value for one in self.mentions if stays(question, one) and one.is_times}
        self.constants = kept | times | implied(question, answer) | fraction_constants(question) | {0, 1}
        for one in self.mentions:
            if one.percent and (
                one.value in self.constants or one.value == _HALF
            ):  # 50% off, and 50% of it, are equal
                self.constants |= {one.value} | _of_percent(one.value)
        self.possible = possible(question)
        self._said = {one.value for one in self.mentions if not one.is_times}
        self._words = {stem(word) for word in re.findall("[A-Za-z]+", question)}
        self._fractions = {tuple(map(int, one)) for one in re.findall(r"(\d+)\s?/\s?(\d+)", question)}
        by_value: dict[Value, list[Mention]] = defaultdict(list)
        for one in self.mentions:
            if one.value not in self.constants:
                by_value[one.value].append(one)
        self.values = list(by_value)
        self.groups = list(by_value.values())

    def _is_known(self, mention: Mention) -> bool:
        """Return whether a number counts things that were named before, as in `the two scored`."""
        if mention.value > _FEW or mention.money or mention.percent:
            return False
        others = [one for one in self.mentions if one.value == mention.value and one.start < mention.start]
        return not others and _KNOWN.search(self._question[: mention.start]) is not None

    def variable(self, index: int, width: int) -> Variable:
        """Return the variable of a group. Raises `Unfaithful` if nothing else may stand in its place."""
        group = self.groups[index]
        possible = choices(self._question, group, width)
        if len(possible) < 2:
            raise Unfaithful("a number with nothing to exchange it for", self._question[group[0].start : group[0].end])
        kinds = {kind_of(self._question, one) for one in group}
        return Variable(self.values[index], tuple(sorted(kinds)), possible)

    def direct(self, value: Value) -> list[Leaf]:
        """Return the number of the question that a number of a solution may be."""
        return [Leaf(VARIABLE, index) for index, one in enumerate(self.values) if one == value]

    def derived(self, value: Value) -> list[Leaf]:
        """Return the percentage that a number of a solution follows from: `.2` and `80` from 20%."""
        found = []
        for index, one in enumerate(self.values):
            found += [leaf for leaf, other in _derived(index, one, self._units(index)) if other == value][:1]
        return found

    def thing(self, mention: Mention) -> str:
        """Return of what a number of the question is the number, as far as the word behind it says so."""
        return kind_of(self._question, mention)

    def may_count(self, leaf: Leaf, thing: str) -> bool:
        """Return whether the question may speak of so many of a thing: it stands behind the number."""
        if thing not in self._words:
            return False
        if leaf != Leaf(VARIABLE, leaf.index):
            return True
        for one in self.groups[leaf.index]:
            kind = kind_of(self._question, one)
            behind = _CLAUSE.split(self._question[one.end : one.end + 60])[0]
            if not kind.startswith(f"{COUNT} of") or thing in map(stem, re.findall("[A-Za-z]+", behind)):
                return True
        return False

    def is_percent(self, index: int) -> bool:
        """Return whether a number of the question is a percentage."""
        return self._units(index) == PERCENT

    def may_be_added(self, value: Value) -> bool:
        """Return whether a constant is an amount: a number of the question, or 60 of `60 - 15` minutes."""
        return value in _AMOUNTS or value in self._said

    def is_fraction(self, upper: Value, lower: Value) -> bool:
        """Return whether the question has this fraction in digits."""
        return (upper, lower) in self._fractions

    def _units(self, index: int) -> str:
        group = self.groups[index]
        if all(one.percent for one in group):
            return PERCENT
        behind = self._question[group[0].end : group[0].end + 9].lower()
        if len(group) == 1 and behind.startswith((" cent", "-cent", "¢")):
            return "cents"
        return "minutes" if len(group) == 1 and behind.startswith((" minute", "-minute")) else ""

    def check_unread(self, used: Sequence[int], results: Sequence[Value]) -> None:
        """Refuse a question in which a number that no step reads says what others come to.

        Such as the 175 of `175 balls, the first 100, the next 75`, where 100 stays and 75 is drawn.
        """
        unread = [value for index, value in enumerate(self.values) if index not in used]
        read = [self.values[index] for index in used]
        kept = {one.value for one in self.mentions if one.value in self.constants and one.value > 1}
        sums = {a + b for i, a in enumerate(read) for b in read[:i]} | {abs(a - b) for a in read for b in read}
        with_kept = {come_to for a in read for b in kept for come_to in (a + b, abs(a - b))}
        doubles = {2 * self.values[index] for index in used if len(self.groups[index]) > 1}
        for value in unread:
            if (
                value in results
                or (value >= _LEAST_UNREAD and (value in sums | with_kept | doubles or _is_sum_of_three(value, read)))
                or (value > 2 and {value - 1, value + 1} & set(read))
            ):
                raise Unfaithful("a number that no step reads, but that others come to", f"{float(value):g}")
        if any(value in sums and value >= _LEAST_SUM for value in kept):
            raise Unfaithful("a number that stays, but that others come to")
        for value in read:
            if any(a + b == value for a in kept for b in kept if a != b):
                raise Stays(value, "a number that others come to")
        if any(value in results and value >= 12 for value in kept):
            raise Unfaithful("a number that stays, but that others come to")


def _is_sum_of_three(value: Value, numbers: Sequence[Value]) -> bool:
    """Return whether a value is the sum of three different numbers of some."""
    known = set(numbers)
    return any(
        (third := value - one - other) in known and third not in (one, other)
        for index, one in enumerate(numbers)
        for other in numbers[:index]
    )


def _of_percent(value: Value) -> set[Value]:
    share = Fraction(value, 100)
    return {simple(share), simple(1 - share), simple(1 + share), 100 - value, 100 + value}


def _derived(index: int, value: Value, units: str) -> list[tuple[Leaf, Value]]:
    """Return what a number of the question supplies besides itself: of 20%, `.2`, `80`, `.8`, `120` and `1.2`."""
    share = simple(HUNDREDTH)
    if units == PERCENT:
        factors: list[tuple[Value, Value]] = [(share, 0), (-1, 100), (-share, 1), (1, 100), (share, 1)]
    elif units == "cents":
        factors = [(share, 0)]
    elif units == "minutes":
        factors = [(simple(Fraction(1, 60)), 0)]
    else:
        return []
    return [
        (Leaf(VARIABLE, index, factor, offset), simple(Fraction(factor) * value + offset))
        for factor, offset in factors
    ]
