"""Pairs of problems for evaluation: one template with a product of the multiplication table, and with one beyond it.

The two have the same words, the same steps, and products with the same number of digits, where possible the same
product: 6 x 9 beside 3 x 18. All other numbers of the question are equal. What differs besides the table is the number
of digits of the factors, which is reported.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from domain_tokens.corpora.renumbering.building import build
from domain_tokens.corpora.renumbering.drawing import draw, keeps_order
from domain_tokens.corpora.renumbering.reading.arithmetic import Expression, Term, Value
from domain_tokens.corpora.renumbering.reading.solution import Unfaithful
from domain_tokens.corpora.renumbering.template import VARIABLE, Calculator, Leaf, Template
from domain_tokens.corpora.renumbering.variants import Check, Problem, Variant, is_possible, written
from domain_tokens.tokenization.facts import MAX_FACTOR

_TRIES = 4000
_MOST_DRAWN = 60
_WIDTH = 5
_SMALLEST = 2  # a product with 1 asks nothing


class PairSide(NamedTuple):
    """One problem of a pair, with the factors of the product in question."""

    variant: Variant
    factors: tuple[int, int]


class Pair(NamedTuple):
    """A problem with a product of the table, and the same with one beyond it."""

    in_table: PairSide
    out_of_table: PairSide


def pairs(problem: Problem, seed: int, number: int, check: Check) -> list[Pair]:
    """Return up to so many pairs of one problem, with different products of the table.

    Raises:
        Unfaithful: with the reason why there are none; arguments as of `variants`.
    """
    template = build(problem.id, problem.question, problem.answer, _WIDTH)
    factors = _factors(template)
    if not factors:
        raise Unfaithful("no step that multiplies two whole numbers of the question")
    generator = random.Random(f"{seed} {template.id} pairs")
    found: dict[tuple[int, int], Pair] = {}
    for drawn, _ in islice(draw(template, generator, _TRIES), _MOST_DRAWN):
        for first, second in factors:
            pair = _pair(template, drawn, first, second, generator, check)
            if pair is not None:
                low, high = sorted(pair.in_table.factors)
                found.setdefault((low, high), pair)
        if len(found) == number:
            break
    if not found:
        raise Unfaithful("no matched products")
    return list(found.values())[:number]


def _factors(template: Template) -> list[tuple[int, int]]:
    """Return the pairs of numbers of the question that a step multiplies, by their indices, once each."""
    found = []
    for step in template.steps:
        for left, right in _products(step.expression):
            one, other = step.leaves[left], step.leaves[right]
            if all(leaf == Leaf(VARIABLE, leaf.index) for leaf in (one, other)) and one.index != other.index:
                found.append((one.index, other.index))
    whole = [pair for pair in dict.fromkeys(found) if all(isinstance(template.variables[i].value, int) for i in pair)]
    return [pair for pair in whole if found.count(pair) == 1]


def _products(expression: Expression) -> Iterator[tuple[int, int]]:
    """Yield the operands of every product of two operands."""
    if isinstance(expression, Term):
        if expression.sign == "*" and isinstance(expression.left, int) and isinstance(expression.right, int):
            yield expression.left, expression.right
        yield from _products(expression.left)
        yield from _products(expression.right)


def _pair(
    template: Template, drawn: Sequence[Value], first: int, second: int, generator: random.Random, check: Check
) -> Pair | None:
    """Return a pair whose other numbers are those drawn."""
    choices = [template.variables[index].choices for index in (first, second)]
    small = [[one for one in own if isinstance(one, int) and _SMALLEST <= one <= MAX_FACTOR] for own in choices]
    inside = [(a, b) for a in small[0] for b in small[1]]
    generator.shuffle(inside)
    for a, b in inside[:8]:
        one = _side(template, _with(drawn, first, second, a, b), (a, b), 1, check)
        if one is None:
            continue
        for c, d in _matched(a * b, choices[0], choices[1], generator):
            other = _side(template, _with(drawn, first, second, c, d), (c, d), 0, check)
            if other is not None:
                return Pair(one, other)
    return None


def _matched(
    product: int, first: Sequence[Value], second: Sequence[Value], generator: random.Random
) -> list[tuple[int, int]]:
    """Return factors beyond the table whose product has as many digits; the same product first."""
    beyond = [
        (c, d)
        for c in first
        for d in second
        if isinstance(c, int) and isinstance(d, int) and max(c, d) > MAX_FACTOR and min(c, d) >= _SMALLEST
        and c % 10 and d % 10 and len(str(c * d)) == len(str(product))  # nobody has to learn a product with 10
    ]  # fmt: skip
    same = [(c, d) for c, d in beyond if c * d == product]
    like = [(c, d) for c, d in beyond if c * d != product]
    return [*same, *generator.sample(like, min(len(like), 8))]


def _with(drawn: Sequence[Value], first: int, second: int, a: int, b: int) -> tuple[Value, ...]:
    changed = list(drawn)
    changed[first], changed[second] = a, b
    return tuple(changed)


def _side(
    template: Template, drawn: tuple[Value, ...], factors: tuple[int, int], num_facts: int, check: Check
) -> PairSide | None:
    """Return a problem with so many products of the table in its solution; `None` if its numbers do not fit."""
    if not keeps_order(template, drawn):
        return None
    results = Calculator(template).results(drawn)
    if results is None or _num_facts(template, drawn, results) != num_facts:
        return None
    try:
        question, answer = template.fill(drawn, results)
    except ValueError:
        return None
    final = written(template.final.value(drawn, results))
    return (
        PairSide(Variant(question, answer), factors)
        if is_possible(f"{question}\n{answer}", "") and check(answer, final)
        else None
    )


def _num_facts(template: Template, drawn: Sequence[Value], results: Sequence[Value]) -> int:
    found = 0
    for step in template.steps:
        values = [leaf.value(drawn, results) for leaf in step.leaves]
        for left, right in _products(step.expression):
            a, b = values[left], values[right]
            found += isinstance(a, int) and isinstance(b, int) and 1 <= a <= MAX_FACTOR and 1 <= b <= MAX_FACTOR
    return found
