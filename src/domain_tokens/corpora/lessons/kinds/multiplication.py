"""Products of several digits, worked by partial products, in a grid, in columns, by a near number and by doubling."""

from collections.abc import Callable
from typing import NamedTuple

from domain_tokens.corpora.lessons.draw import Draw, Weighted
from domain_tokens.corpora.lessons.layout import document
from domain_tokens.corpora.lessons.lesson import Lesson, Step, step
from domain_tokens.corpora.lessons.notation import STYLES, Style
from domain_tokens.corpora.lessons.splits import belongs, product_asked

Write = Callable[[Style, tuple[Step, ...], int, int], list[str]]


class Method(NamedTuple):
    """A way to work a product.

    Attributes:
        name: the group of its lessons.
        numbers: draws the two factors.
        steps: the equations of the solution in order.
        write: the lines of the solution, from its steps and the factors.
        given: numbers that the solution brings in.
    """

    name: str
    numbers: Callable[[Draw], tuple[int, int]]
    steps: Callable[[int, int], tuple[Step, ...]]
    write: Write
    given: Callable[[int, int], tuple[int, ...]] = lambda a, b: ()


def multiplication(draw: Draw) -> Lesson:
    """Return a product of several digits with its worked solution."""
    method = draw.weighted(METHODS)
    while True:
        a, b = method.numbers(draw)
        asked, steps = (product_asked(a, b),), method.steps(a, b)
        if belongs(draw.split, asked, steps):
            break
    style, answer = draw.weighted(STYLES), a * b
    question = draw.pick(_QUESTIONS).format(a=a, b=b)
    lines = method.write(style, steps, a, b)
    solution, text = document(draw, question, lines, answer, draw.pick(_CONCLUSIONS).format(a=a, b=b, c=answer))
    return Lesson(
        "multiplication", method.name, asked, (a, b, *method.given(a, b)), steps, answer, question, solution, text
    )


# In words, so that no tokenizer rewrites a question.
_QUESTIONS = (
    "What is {a} times {b}?",
    "Work out {a} times {b}.",
    "Multiply {a} by {b}.",
    "Find the product of {a} and {b}.",
    "What is {a} multiplied by {b}? Show your work.",
    "How much is {a} times {b}?",
)
_CONCLUSIONS = (
    "The answer is {c}.",
    "The product is {c}.",
    "{a} times {b} is {c}.",
)


def place_values(number: int) -> list[int]:
    """Return the parts of a number by place, the largest first, zeros left out: 347 is 300, 40 and 7."""
    digits = str(number)
    return [int(digit) * 10 ** (len(digits) - place) for place, digit in enumerate(digits, 1) if digit != "0"]


def listed(numbers: list[int]) -> str:
    """Return numbers as a list in a sentence: `300, 40 and 7`."""
    *rest, last = map(str, numbers)
    return f"{', '.join(rest)} and {last}" if rest else last


def _two_by_one(draw: Draw) -> tuple[int, int]:
    return 10 * draw.between(1, 9) + draw.between(1, 9), draw.between(2, 9)


def _three_by_one(draw: Draw) -> tuple[int, int]:
    return 100 * draw.between(1, 9) + 10 * draw.between(0, 9) + draw.between(1, 9), draw.between(2, 9)


def _two_by_two(draw: Draw) -> tuple[int, int]:
    return 10 * draw.between(1, 9) + draw.between(1, 9), 10 * draw.between(1, 9) + draw.between(1, 9)


def _two_by_tens(draw: Draw) -> tuple[int, int]:
    return 10 * draw.between(1, 9) + draw.between(1, 9), 10 * draw.between(2, 9) + draw.between(2, 9)


def _three_by_two(draw: Draw) -> tuple[int, int]:
    return draw.between(101, 999), 10 * draw.between(1, 9) + draw.between(1, 9)


def _split_steps(a: int, b: int) -> tuple[Step, ...]:
    partial = [step("*", part, b) for part in place_values(a)]
    return (*partial, step("+", *(one.result for one in partial)))


def _write_split(style: Style, steps: tuple[Step, ...], a: int, b: int) -> list[str]:
    *partial, total = steps
    return [
        f"Split {a} into {listed(place_values(a))}.",
        *(style.equation(one) for one in partial),
        f"Add the partial products: {style.equation(total)}",
    ]


def _by_place_steps(a: int, b: int) -> tuple[Step, ...]:
    """Multiply by each digit of the second factor, and by its place; then add."""
    steps, partial = [], []
    for part in place_values(b):
        digit = int(str(part)[0])
        steps.append(step("*", a, digit))
        if part != digit:
            steps.append(step("*", steps[-1].result, part // digit))
        partial.append(steps[-1].result)
    return (*steps, step("+", *partial))


def _write_by_place(style: Style, steps: tuple[Step, ...], a: int, b: int) -> list[str]:
    tens_digit, tens, ones, total = steps
    return [
        f"{b} is {place_values(b)[0]} and {place_values(b)[1]}.",
        f"First the tens: {style.equation(tens_digit)}, and {style.equation(tens)}",
        f"Then the ones: {style.equation(ones)}",
        f"Together: {style.equation(total)}",
    ]


def _direct_steps(a: int, b: int) -> tuple[Step, ...]:
    partial = [step("*", a, part) for part in place_values(b)]
    return (*partial, step("+", *(one.result for one in partial)))


def _write_direct(style: Style, steps: tuple[Step, ...], a: int, b: int) -> list[str]:
    *partial, total = steps
    return [*(style.equation(one) for one in partial), style.equation(total)]


def _grid_steps(a: int, b: int) -> tuple[Step, ...]:
    cells = [[step("*", left, right) for right in place_values(b)] for left in place_values(a)]
    rows = [step("+", *(cell.result for cell in row)) for row in cells]
    return (*(cell for row in cells for cell in row), *rows, step("+", *(row.result for row in rows)))


def _write_grid(style: Style, steps: tuple[Step, ...], a: int, b: int) -> list[str]:
    (*cells, first, second, total), (tens, ones) = steps, place_values(a)
    return [
        f"Draw a grid with {tens} and {ones} at the side, and {listed(place_values(b))} at the top.",
        f"Row of {tens}: {style.equation(cells[0])}, {style.equation(cells[1])}",
        f"Row of {ones}: {style.equation(cells[2])}, {style.equation(cells[3])}",
        f"Add the rows: {style.equation(first)}, {style.equation(second)}",
        f"Add both: {style.equation(total)}",
    ]


def _column_steps(a: int, b: int) -> tuple[Step, ...]:
    """Multiply digit by digit from the right, and carry."""
    steps, carry = [], 0
    for digit in map(int, reversed(str(a))):
        steps.append(step("*", digit, b))
        if carry:
            steps.append(step("+", steps[-1].result, carry))
        carry = steps[-1].result // 10
    return (*steps, step("*", a, b))


_PLACES = ("ones", "tens", "hundreds", "thousands")


def _write_column(style: Style, steps: tuple[Step, ...], a: int, b: int) -> list[str]:
    lines, rest, carry = [], iter(steps), 0
    digits = str(a)
    for place in range(len(digits)):
        found = next(rest)
        line = f"{_PLACES[place].capitalize()}: {style.equation(found)}"
        if carry:
            found = next(rest)
            line += f", plus the carried {carry}: {style.equation(found)}"
        carry = found.result // 10
        if place == len(digits) - 1:
            line += f". Write {found.result}."
        else:
            line += f". Write {found.result % 10}" + (f" and carry {carry}." if carry else ".")
        lines.append(line)
    return [*lines, f"So {style.equation(steps[-1])}"]


def _near(draw: Draw) -> tuple[int, int]:
    """Return a factor one or two below or above a round number, and another factor."""
    return 10 * draw.between(2, 10) + draw.pick((-2, -1, 1, 2)), draw.between(3, 9)


def _nearest(number: int) -> int:
    return (number + 5) // 10 * 10


def _near_steps(a: int, b: int) -> tuple[Step, ...]:
    round_number = _nearest(a)
    gap = abs(a - round_number)
    whole, extra = step("*", round_number, b), step("*", gap, b)
    return (whole, extra, step("+" if a > round_number else "-", whole.result, extra.result))


def _write_near(style: Style, steps: tuple[Step, ...], a: int, b: int) -> list[str]:
    round_number = _nearest(a)
    whole, extra, last = steps
    gap, word = abs(a - round_number), "more" if a > round_number else "less"
    verb = "Add" if a > round_number else "Subtract"
    return [
        f"{a} is {gap} {word} than {round_number}.",
        f"{style.equation(whole)}",
        f"{verb} {gap} times {b}: {style.equation(extra)}, so {style.equation(last)}",
    ]


def _for_doubling(draw: Draw) -> tuple[int, int]:
    return draw.between(12, 99), draw.pick((4, 8))


def _doubling_steps(a: int, b: int) -> tuple[Step, ...]:
    steps = [step("*", 2, a)]
    while 2 ** (len(steps)) < b:
        steps.append(step("*", 2, steps[-1].result))
    return tuple(steps)


def _write_doubling(style: Style, steps: tuple[Step, ...], a: int, b: int) -> list[str]:
    times = "twice" if b == 4 else "three times"
    return [f"To multiply by {b}, double {times}.", *(style.equation(one) for one in steps)]


METHODS: Weighted[Method] = Weighted(
    (Method("partial products", _two_by_one, _split_steps, _write_split), 3),
    (Method("partial products", _three_by_one, _split_steps, _write_split), 3),
    (Method("partial products", _two_by_tens, _by_place_steps, _write_by_place, lambda a, b: (10,)), 3),
    (Method("partial products", _two_by_two, _direct_steps, _write_direct), 2),
    (Method("partial products", _three_by_two, _direct_steps, _write_direct), 2),
    (Method("grid", _two_by_two, _grid_steps, _write_grid), 3),
    (Method("column", _two_by_one, _column_steps, _write_column), 2),
    (Method("column", _three_by_one, _column_steps, _write_column), 2),
    (Method("near number", _near, _near_steps, _write_near, lambda a, b: (_nearest(a), abs(a - _nearest(a)))), 2),
    (Method("doubling", _for_doubling, _doubling_steps, _write_doubling, lambda a, b: (2,)), 1),
)
