"""Drills: short questions on sums, differences, products and quotients, one at a time or as a sheet."""

from collections.abc import Callable
from typing import NamedTuple

from domain_tokens.corpora.lessons.draw import Draw, Weighted
from domain_tokens.corpora.lessons.layout import document
from domain_tokens.corpora.lessons.lesson import Asked, Lesson, Step, step
from domain_tokens.corpora.lessons.notation import STYLES
from domain_tokens.corpora.lessons.splits import belongs, difference_asked, product_asked, quotient_asked, sum_asked

_SHARE_OF_SHEETS = 0.35


class Drill(NamedTuple):
    """A short question.

    Attributes:
        asked: what it asks.
        given: its numbers.
        steps: how it is answered.
        questions: the wordings of its question.
    """

    asked: Asked
    given: tuple[int, ...]
    steps: tuple[Step, ...]
    questions: tuple[str, ...]


Make = Callable[[Draw], Drill]


def drills(draw: Draw) -> Lesson:
    """Return one question with its answer, or a sheet of several."""
    if draw.chance(_SHARE_OF_SHEETS):
        return _sheet(draw)
    name, make = draw.weighted(_DRILLS)
    drill = _drawn(draw, make)
    answer, style = drill.steps[-1].result, draw.weighted(STYLES)
    question = draw.pick(drill.questions).format(*drill.given)
    lines = [style.equation(one) for one in drill.steps]
    solution, text = document(draw, question, lines, answer, f"The answer is {answer}.")
    return Lesson("drills", name, (drill.asked,), drill.given, drill.steps, answer, question, solution, text)


def _drawn(draw: Draw, make: Make) -> Drill:
    while True:
        drill = make(draw)
        if belongs(draw.split, (drill.asked,), drill.steps):
            return drill


def _sheet(draw: Draw) -> Lesson:
    """Return several equations of one sort, numbered, none twice."""
    name, make, titles = draw.weighted(_SHEETS)
    style = draw.weighted(STYLES)
    found: dict[Step, Drill] = {}
    for _ in range(draw.between(4, 10)):
        drill = _drawn(draw, make)
        found[drill.steps[0]] = drill
    asked = tuple(drill.asked for drill in found.values())
    given = tuple(number for drill in found.values() for number in drill.given)
    numbered = [f"{number}) {style.equation(one)}" for number, one in enumerate(found, 1)]
    text = "\n".join([draw.pick(titles), *numbered])
    return Lesson("drills", "sheet", asked, given, tuple(found), None, "", "", text)


def _table(draw: Draw) -> Drill:
    a, b = draw.between(1, 9), draw.between(1, 9)
    return Drill(product_asked(a, b), (a, b), (step("*", a, b),), _PRODUCTS)


def _quotient_of_table(draw: Draw) -> Drill:
    b, quotient = draw.between(2, 9), draw.between(1, 9)
    return Drill(quotient_asked(b * quotient, b), (b * quotient, b), (step("/", b * quotient, b),), _QUOTIENTS)


def _product(draw: Draw) -> Drill:
    a, b = draw.between(10, 99), draw.between(2, 9)
    return Drill(product_asked(a, b), (a, b), (step("*", a, b),), _PRODUCTS)


def _quotient(draw: Draw) -> Drill:
    b, quotient = draw.between(2, 9), draw.between(10, 99)
    a = b * quotient
    return Drill(quotient_asked(a, b), (a, b), (step("/", a, b),), _QUOTIENTS)


def _sum(draw: Draw) -> Drill:
    a, b = draw.between(10, 99), draw.between(10, 99)
    return Drill(sum_asked(a, b), (a, b), (step("+", a, b),), _SUMS)


def _difference(draw: Draw) -> Drill:
    b, result = draw.between(10, 89), draw.between(1, 60)
    a = b + result
    return Drill(difference_asked(a, b), (a, b), (step("-", a, b),), _DIFFERENCES)


def _missing_addend(draw: Draw) -> Drill:
    a, b = draw.between(10, 99), draw.between(2, 60)
    return Drill(Asked("missing addend", (a, b)), (a + b, a), (step("-", a + b, a),), _MISSING)


def _double(draw: Draw) -> Drill:
    a = draw.between(11, 250)
    return Drill(product_asked(2, a), (a, 2), (step("*", 2, a),), _DOUBLES)


def _half(draw: Draw) -> Drill:
    a = 2 * draw.between(11, 250)
    return Drill(quotient_asked(a, 2), (a, 2), (step("/", a, 2),), _HALVES)


def _product_and_sum(draw: Draw) -> Drill:
    a, b, c = draw.between(2, 9), draw.between(2, 9), draw.between(2, 30)
    product = step("*", a, b)
    steps = (product, step("+", product.result, c))
    return Drill(Asked("product and sum", (a, b, c)), (a, b, c), steps, _PRODUCT_AND_SUM)


def _product_and_difference(draw: Draw) -> Drill:
    a, b = draw.between(2, 9), draw.between(2, 9)
    c = draw.between(1, a * b - 1)
    product = step("*", a, b)
    steps = (product, step("-", product.result, c))
    return Drill(Asked("product and difference", (a, b, c)), (a, b, c), steps, _PRODUCT_AND_DIFFERENCE)


def _three_factors(draw: Draw) -> Drill:
    a, b, c = sorted((draw.between(2, 9), draw.between(2, 9), draw.between(2, 9)))
    product = step("*", a, b)
    steps = (product, step("*", product.result, c))
    return Drill(Asked("three factors", (a, b, c)), (a, b, c), steps, _THREE_FACTORS)


# In words, so that no tokenizer rewrites a question.
_PRODUCTS = (
    "What is {0} times {1}?",
    "How much is {0} times {1}?",
    "What is {0} multiplied by {1}?",
    "Find the product of {0} and {1}.",
)
_QUOTIENTS = (
    "What is {0} divided by {1}?",
    "How many times does {1} go into {0}?",
    "Which number times {1} is {0}?",
)
_SUMS = ("What is {0} plus {1}?", "Add {0} and {1}.", "How much is {0} plus {1}?", "What is the sum of {0} and {1}?")
_DIFFERENCES = (
    "What is {0} minus {1}?",
    "Subtract {1} from {0}.",
    "How much is {0} minus {1}?",
    "What is the difference between {0} and {1}?",
)
_MISSING = ("{1} plus what number is {0}?", "Which number must be added to {1} to get {0}?")
_DOUBLES = ("What is twice {0}?", "Double {0}.", "What is {1} times {0}?")
_HALVES = ("What is half of {0}?", "Halve {0}.", "What is {0} divided by {1}?")
_PRODUCT_AND_SUM = (
    "Multiply {0} by {1} and add {2}. What do you get?",
    "What is {0} times {1}, plus {2}?",
    "Add {2} to the product of {0} and {1}.",
)
_PRODUCT_AND_DIFFERENCE = (
    "Multiply {0} by {1} and subtract {2}. What do you get?",
    "Subtract {2} from the product of {0} and {1}.",
)
_THREE_FACTORS = ("What is {0} times {1} times {2}?", "Find the product of {0}, {1} and {2}.")

_DRILLS: Weighted[tuple[str, Make]] = Weighted(
    (("table", _table), 6),
    (("quotients of the table", _quotient_of_table), 3),
    (("products", _product), 2),
    (("quotients", _quotient), 1),
    (("sums", _sum), 2),
    (("differences", _difference), 2),
    (("missing addend", _missing_addend), 1),
    (("doubles", _double), 1),
    (("halves", _half), 1),
    (("product and sum", _product_and_sum), 2),
    (("product and difference", _product_and_difference), 1),
    (("three factors", _three_factors), 1),
)
_SHEETS: Weighted[tuple[str, Make, tuple[str, ...]]] = Weighted(
    (("table", _table, ("The multiplication table, mixed:", "Multiplication facts:", "Practice: products")), 4),
    (("quotients of the table", _quotient_of_table, ("Division facts:", "Practice: quotients")), 2),
    (("products", _product, ("Multiplication practice:", "Products of larger numbers:")), 1),
    (("sums", _sum, ("Addition practice:", "Sums of two-digit numbers:")), 2),
    (("differences", _difference, ("Subtraction practice:", "Practice: differences")), 1),
)
