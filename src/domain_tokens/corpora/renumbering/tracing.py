"""Finds where each number of a solution comes from: the question, an earlier result, or what everybody knows."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import prod

from domain_tokens.corpora.renumbering.question import Told
from domain_tokens.corpora.renumbering.reading.arithmetic import HUNDREDTH, Expression, Value, evaluate, simple
from domain_tokens.corpora.renumbering.reading.kinds import NO_THING, thing_of
from domain_tokens.corpora.renumbering.reading.mentions import Mention, mentions
from domain_tokens.corpora.renumbering.reading.solution import Equation, Stays, Unfaithful
from domain_tokens.corpora.renumbering.template import CONSTANT, RESULT, VARIABLE, Leaf, Slot

_MOST_READINGS = 512


@dataclass
class Tracer:
    """The numbers of a solution, and where each comes from."""

    text: str
    equations: list[Equation]
    told: Told

    def leaves(self) -> list[tuple[Leaf, ...]]:
        """Return where the operands of each equation come from.

        Where several readings are possible, those that use the most results and numbers of the question are
        preferred, then those that use a result soonest; they have to agree for all numbers.

        Raises:
            Unfaithful: if an operand comes from nowhere, or readings differ.
        """
        slots: list[list[Leaf]] = []
        for index, equation in enumerate(self.equations):
            slots += [self._operand(equation, index, where) for where in range(len(equation.operands))]
        if not all(slots):
            unknown = next(index for index, slot in enumerate(slots) if not slot)
            operand = [operand for equation in self.equations for operand in equation.operands][unknown]
            raise Unfaithful("an operand that comes from nowhere", self.text[operand.start : operand.end])
        if prod(map(len, slots)) > _MOST_READINGS:
            raise Unfaithful("an operand that may be two things")
        readings = [self._split(one) for one in product(*slots)]
        for measure in (self._coverage, self._haste, self._immediate):
            best = max(map(measure, readings))
            readings = [one for one in readings if measure(one) == best]
            if all(not self._differ(readings[0], other) for other in readings[1:]):
                return readings[0]
        raise Unfaithful("an operand that may be two things")

    def _operand(self, equation: Equation, index: int, where: int) -> list[Leaf]:
        """Return where an operand may come from, without what its place in the equation rules out."""
        operand = equation.operands[where]
        value, sign = operand.value, _signs(equation.expression)[where]
        found = self._candidates(value, index, operand.percent)
        constant = Leaf(CONSTANT, 0, 1, value)
        adds = sign != "" and sign in "+-"
        if constant in found and adds and not self.told.may_be_added(value):
            found.remove(constant)  # nobody adds the 2 of `twice`
        if len(found) < 2:
            return found
        values = [one.value for one in equation.operands]
        if constant in found:
            before = self.text[equation.operands[where - 1].end : operand.start].strip() if where else ""
            if before == "/" and (value == 100 or values[where - 1] == 1) or self._in_fraction(equation, where):
                return [constant]
            if adds or value == 100:
                found.remove(constant)
        if not operand.percent and not {100, HUNDREDTH} & set(values):
            amounts = [one for one in found if one.kind != VARIABLE or not self.told.is_percent(one.index)]
            found = amounts or found
        return found

    def _in_fraction(self, equation: Equation, where: int) -> bool:
        values = [one.value for one in equation.operands]
        before = self.text[equation.operands[where - 1].end : equation.operands[where].start] if where else ""
        if before.strip() == "/":
            return self.told.is_fraction(values[where - 1], values[where])
        if where + 1 < len(values):
            behind = self.text[equation.operands[where].end : equation.operands[where + 1].start]
            return behind.strip() == "/" and self.told.is_fraction(values[where], values[where + 1])
        return False

    def _candidates(self, value: Value, index: int, percent: bool) -> list[Leaf]:
        found = [Leaf(RESULT, earlier) for earlier in range(index) if self.equations[earlier].result.value == value]
        found += self.told.direct(value)
        if value in self.told.constants:
            found.append(Leaf(CONSTANT, 0, 1, value))
        if not found:
            found += self.told.derived(value)
            for earlier in range(index):
                if simple(Fraction(self.equations[earlier].result.value) * HUNDREDTH) == value and (
                    percent or "%" in self.text or "percent" in self.text
                ):
                    found.append(Leaf(RESULT, earlier, simple(HUNDREDTH), 0))
        if not found and value in self.told.possible:
            found.append(Leaf(CONSTANT, 0, 1, value))
        return found

    def _split(self, leaves: Sequence[Leaf]) -> list[tuple[Leaf, ...]]:
        found, begin = [], 0
        for equation in self.equations:
            end = begin + len(equation.operands)
            found.append(tuple(leaves[begin:end]))
            begin = end
        return found

    def _coverage(self, reading: Sequence[tuple[Leaf, ...]]) -> int:
        return len({(leaf.kind, leaf.index) for own in reading for leaf in own if leaf.kind != CONSTANT})

    def _haste(self, reading: Sequence[tuple[Leaf, ...]]) -> int:
        """Return how soon results are used: the sum of the first uses, later ones counting less."""
        first: dict[int, int] = {}
        for index, own in enumerate(reading):
            for leaf in own:
                if leaf.kind == RESULT:
                    first.setdefault(leaf.index, index)
        return -sum(first.values())

    def _immediate(self, reading: Sequence[tuple[Leaf, ...]]) -> int:
        """Return how many steps use the result of the step before."""
        return sum(Leaf(RESULT, index - 1) in own for index, own in enumerate(reading) if index)

    def _differ(self, one: list[tuple[Leaf, ...]], other: list[tuple[Leaf, ...]]) -> bool:
        """Return whether two readings lead to different results for other numbers of the question."""
        return any(
            _tried(self.equations, one, drawn) != _tried(self.equations, other, drawn) for drawn in self._drawn()
        )

    def _drawn(self) -> list[list[Value]]:
        generator = random.Random(0)
        return [[value + generator.randrange(1, 10**6) for value in self.told.values] for _ in range(2)]

    def check_roles(self, leaves: list[tuple[Leaf, ...]]) -> None:
        """Keep a number that stands for more things in the question than steps that read it.

        Raises:
            Stays: with the number.
            Unfaithful: if a number of the question is read only where a result of the same value may be meant.
        """
        uses: dict[int, int] = defaultdict(int)
        sure: set[int] = set()
        for index, (equation, own) in enumerate(zip(self.equations, leaves, strict=True)):
            for where, leaf in enumerate(own):
                if leaf.kind == VARIABLE:
                    uses[leaf.index] += 1
                    if all(one.kind == VARIABLE for one in self._operand(equation, index, where)):
                        sure.add(leaf.index)
        for index in uses:
            things = {self.told.thing(one) for one in self.told.groups[index]}
            if len(things) > uses[index]:
                raise Stays(self.told.values[index], "a number that stands for several things")
            if index not in sure:
                raise Unfaithful("a number that is read only where a result may be meant")

    def slots(self, leaves: list[tuple[Leaf, ...]]) -> list[Slot]:
        """Return the places of all numbers of the solution.

        Raises:
            Unfaithful: if a number in its text comes from nowhere, or may be two things.
        """
        placed: dict[int, Leaf] = {}
        for index, (equation, own) in enumerate(zip(self.equations, leaves, strict=True)):
            placed |= {operand.start: leaf for operand, leaf in zip(equation.operands, own, strict=True)}
            placed |= {operand.start: own[where] for operand, where in equation.copies}
            placed[equation.result.start] = Leaf(RESULT, index)
            if equation.repeated is not None:
                placed[equation.repeated] = Leaf(RESULT, index)
        lines = [self.text.count("\n", 0, one.result.start) for one in self.equations]
        found = []
        for mention in mentions(self.text):
            leaf = placed.get(mention.start)
            if leaf is None:
                leaf = self._in_prose(mention, leaves, lines)
            thing = thing_of(self.text, mention)
            if (
                leaf.kind == VARIABLE
                and thing not in NO_THING
                and not mention.percent
                and not self.told.may_count(leaf, thing)
            ):
                raise Stays(self.told.values[leaf.index], "a number of something else")
            found.append(Slot(leaf, mention))
        return found

    def _in_prose(self, mention: Mention, leaves: list[tuple[Leaf, ...]], lines: list[int]) -> Leaf:
        value = mention.value
        if value in (0, 1):
            return Leaf(CONSTANT, 0, 1, value)
        possible = self._on_line(mention, leaves, lines)
        if not possible:
            line = self.text.count("\n", 0, mention.start)
            last = max((index for index, one in enumerate(lines) if one <= line), default=-1)
            possible = self._candidates(value, last + 1, mention.percent)
        possible = list(dict.fromkeys(possible))
        if not possible:
            raise Unfaithful("a number in the solution's text that comes from nowhere", self._written(mention))
        if len(possible) > 1:
            outcomes = {tuple(self._value(leaf, leaves, drawn) for drawn in self._drawn()) for leaf in possible}
            if len(outcomes) > 1:
                raise Unfaithful("a number in the solution's text that may be two things", self._written(mention))
        return possible[0]

    def _written(self, mention: Mention) -> str:
        return self.text[mention.start : mention.end]

    def _on_line(self, mention: Mention, leaves: list[tuple[Leaf, ...]], lines: list[int]) -> list[Leaf]:
        """Return what a number may be among those of the equations on its line: operands before, results behind."""
        line = self.text.count("\n", 0, mention.start)
        here = [index for index, one in enumerate(lines) if one == line]
        ahead = [index for index in here if self.equations[index].result.start > mention.start]
        behind = [index for index in here if self.equations[index].result.start < mention.start]
        groups = [[leaf for index in ahead[:1] for leaf in (*leaves[index], Leaf(RESULT, index))]]
        groups.append([Leaf(RESULT, index) for index in behind[-1:]])
        groups.append([leaf for index in here for leaf in (*leaves[index], Leaf(RESULT, index))])
        for group in groups:
            found = [leaf for leaf in group if self._original(leaf) == mention.value]
            if len(found) > 1 and group is groups[0]:
                start = self.text.rfind("\n", 0, mention.start) + 1
                same = [
                    one
                    for one in mentions(self.text[start : self.equations[ahead[0]].start])
                    if one.value == mention.value
                ]
                if len(same) == len(found):
                    return [found[[one.start + start for one in same].index(mention.start)]]
            if (
                found and group is not groups[1]
            ):  # a result stands behind its equation; elsewhere it may be something else
                return [*found, *self.told.direct(mention.value)]
            if found:
                return found
        return []

    def _original(self, leaf: Leaf) -> Value:
        return leaf.value(self.told.values, [one.result.value for one in self.equations])

    def _value(self, leaf: Leaf, leaves: list[tuple[Leaf, ...]], drawn: list[Value]) -> Value:
        return leaf.value(drawn, _tried(self.equations, leaves, drawn))


def _signs(expression: Expression, sign: str = "") -> dict[int, str]:
    """Return the sign of the operation of which each operand is a part."""
    if isinstance(expression, int):
        return {expression: sign}
    return _signs(expression.left, expression.sign) | _signs(expression.right, expression.sign)


def _tried(found: Sequence[Equation], leaves: Sequence[tuple[Leaf, ...]], drawn: Sequence[Value]) -> list[Value]:
    """Return the results for other numbers of the question; a quotient by 0 is 0."""
    results: list[Value] = []
    for equation, own in zip(found, leaves, strict=True):
        try:
            results.append(evaluate(equation.expression, [leaf.value(drawn, results) for leaf in own]))
        except ZeroDivisionError:
            results.append(0)
    return results
