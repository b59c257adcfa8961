"""Quotients as the inverse of products: from the table, by partial quotients, digit by digit, and with a remainder."""

from collections.abc import Callable
from typing import NamedTuple

from domain_tokens.corpora.lessons.draw import Draw, Weighted
from domain_tokens.corpora.lessons.kinds.columns import Worked
from domain_tokens.corpora.lessons.layout import document
from domain_tokens.corpora.lessons.lesson import Asked, Lesson, Step, step
from domain_tokens.corpora.lessons.notation import STYLES, Style
from domain_tokens.corpora.lessons.splits import belongs, quotient_asked
from domain_tokens.tokenization.numerals import english as spell


class Problem(NamedTuple):
    """A question on two numbers with its solution.

    Attributes:
        asked: what it asks.
        questions: the wordings of its question.
        answer: the answer.
        conclusion: a sentence that says the answer.
        worked: the solution.
    """

    asked: Asked
    questions: tuple[str, ...]
    answer: int
    conclusion: str
    worked: Worked


def division(draw: Draw) -> Lesson:
    """Return a division with its worked solution."""
    name, make = draw.weighted(_METHODS)
    while True:
        a, b, problem = make(draw)
        asked = (problem.asked,)
        if belongs(draw.split, asked, problem.worked.steps):
            break
    steps, answer = problem.worked.steps, problem.answer
    question = draw.pick(problem.questions).format(a=a, b=b)
    lines = problem.worked.write(draw.weighted(STYLES))
    solution, text = document(draw, question, lines, answer, problem.conclusion)
    return Lesson("division", name, asked, (a, b, *problem.worked.given), steps, answer, question, solution, text)


_QUOTIENTS = (
    "What is {a} divided by {b}?",
    "Divide {a} by {b}.",
    "How many times does {b} go into {a}?",
    "Work out {a} divided by {b}.",
)
_MISSING = ("{b} times what number is {a}?", "Which number times {b} is {a}?", "What is {a} divided by {b}?")
_REMAINDERS = (
    "What is the remainder when {a} is divided by {b}?",
    "Divide {a} by {b}. What is the remainder?",
    "{a} is divided by {b}. How much is left over?",
)
_GROUPS = (
    ("groups", "How many whole groups of {b} can be made from {a}?"),
    ("rows", "How many full rows of {b} can be made with {a} chairs?"),
    ("boxes", "A box holds {b} eggs. How many boxes can be filled with {a} eggs?"),
)


def _from_table(draw: Draw) -> tuple[int, int, Problem]:
    b, quotient = draw.between(2, 9), draw.between(2, 9)
    a = b * quotient
    product, found = step("*", b, quotient), step("/", a, b)

    def write(style: Style) -> list[str]:
        return [f"{style.equation(product)}, so {style.equation(found)}"]

    worked = Worked((product, found), write, (quotient,))
    return a, b, Problem(quotient_asked(a, b), _MISSING, quotient, f"The answer is {quotient}.", worked)


def _partial_quotients(draw: Draw) -> tuple[int, int, Problem]:
    """Take away as many tens of the divisor as there are, and then the ones."""
    b = draw.between(2, 9) if draw.chance(0.6) else draw.between(11, 25)
    tens, ones = 10 * draw.between(1, 9), draw.between(1, 9)
    a = b * (tens + ones)
    first, second = step("*", b, tens), step("*", b, ones)
    rest, total = step("-", a, first.result), step("+", tens, ones)

    def write(style: Style) -> list[str]:
        return [
            f"Take away {tens} times {b}: {style.equation(first)}, and {style.equation(rest)}",
            f"Then {style.equation(second)}, and nothing is left.",
            f"Add: {style.equation(total)}",
        ]

    worked = Worked((first, rest, second, total), write, (tens, ones))
    return (
        a,
        b,
        Problem(quotient_asked(a, b), _QUOTIENTS, total.result, f"{a} divided by {b} is {total.result}.", worked),
    )


def _checked(draw: Draw) -> tuple[int, int, Problem]:
    """Split the dividend into two parts that are easy to divide, and check by multiplying back."""
    b, tens, ones = draw.between(3, 9), 10 * draw.between(1, 9), draw.between(1, 9)
    a = b * (tens + ones)
    parts = (b * tens, b * ones)
    split, quotients = step("+", *parts), [step("/", part, b) for part in parts]
    check, total = step("*", b, tens + ones), step("+", tens, ones)

    def write(style: Style) -> list[str]:
        return [
            f"Split {a} into parts that are easy to divide: {style.equation(split)}",
            f"Divide both: {style.equation(quotients[0])} and {style.equation(quotients[1])}",
            f"The quotients together: {style.equation(total)}",
            f"Check: {style.equation(check)}",
        ]

    worked = Worked((split, *quotients, total, check), write, parts)
    return (
        a,
        b,
        Problem(quotient_asked(a, b), _QUOTIENTS, total.result, f"{a} divided by {b} is {total.result}.", worked),
    )


def _long_division(draw: Draw) -> tuple[int, int, Problem]:
    """Divide digit by digit from the left; the remainder goes before the next digit."""
    b, quotient = draw.between(2, 9), draw.between(101, 999)
    a = b * quotient
    steps: list[Step] = []
    lines: list[tuple[str, int, Step | None, Step | None]] = []  # phrase, digit, product, remainder
    rest = 0
    for place, digit in enumerate(map(int, str(a))):
        current = 10 * rest + digit
        count = current // b
        phrase = f"{b} goes into {current} {_times(count)}"
        if not count:
            phrase = f"{b} does not go into {current}" if current else "Bring down the 0"
        if place == 0 and not count:
            rest = current
            continue
        product = step("*", b, count) if count else None
        left = step("-", current, product.result) if product else None
        lines.append((phrase, count, product, left))
        steps += [one for one in (product, left) if one is not None]
        rest = current % b
    found = step("/", a, b)

    def write(style: Style) -> list[str]:
        written = []
        for phrase, count, product, left in lines:
            line = f"{phrase}: " if product else f"{phrase}. "
            if product and left:
                line += f"{style.equation(product)}, {style.equation(left)}. "
            written.append(f"{line}Write {count}.")
        return [*written, f"So {style.equation(found)}"]

    brought = tuple(count for _, count, _, _ in lines) + tuple(one.operands[0] for one in steps if one.sign == "-")
    worked = Worked((*steps, found), write, brought)
    return a, b, Problem(quotient_asked(a, b), _QUOTIENTS, quotient, f"{a} divided by {b} is {quotient}.", worked)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{spell(count)} times")


def _with_remainder(draw: Draw) -> tuple[int, int, Problem]:
    """Find the largest multiple that fits, and what is left."""
    b = draw.between(3, 12)
    quotient, remainder = draw.between(2, 12), draw.between(1, b - 1)
    a = b * quotient + remainder
    product = step("*", b, quotient)
    left = step("-", a, product.result)
    above, found = step("*", b, quotient + 1), step("/", product.result, b)

    groups, question = draw.pick(_GROUPS)

    def write_remainder(style: Style) -> list[str]:
        return [
            f"The largest multiple of {b} that is not above {a} is {product.result}: {style.equation(product)}",
            f"What is left: {style.equation(left)}",
        ]

    def write_groups(style: Style) -> list[str]:
        return [
            f"{quotient + 1} {groups} would need {style.equation(above)}, which is more than {a}.",
            f"{quotient} {groups} need {style.equation(product)}.",
            f"That leaves {style.equation(left)}, too few for another.",
            f"So there are {style.equation(found)} {groups}.",
        ]

    if draw.chance(0.5):
        worked = Worked((product, left), write_remainder, (quotient,))
        return (
            a,
            b,
            Problem(Asked("remainder", (a, b)), _REMAINDERS, remainder, f"The remainder is {remainder}.", worked),
        )
    worked = Worked((above, product, left, found), write_groups, (quotient, quotient + 1))
    return a, b, Problem(Asked("groups", (a, b)), (question,), quotient, f"The answer is {quotient}.", worked)


Make = Callable[[Draw], tuple[int, int, Problem]]

_METHODS: Weighted[tuple[str, Make]] = Weighted(
    (("table", _from_table), 2),
    (("partial quotients", _partial_quotients), 3),
    (("inverse", _checked), 2),
    (("long division", _long_division), 2),
    (("remainder", _with_remainder), 3),
)
