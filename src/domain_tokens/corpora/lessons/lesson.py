"""A lesson: a generated text with the steps that it states, as numbers and signs.

The steps are data, and the text is written from them. Executing them proves a solution without reading its text.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

_OPERATIONS: dict[str, Callable[[int, int], int | None]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b if b and a % b == 0 else None,
}


class Step(NamedTuple):
    """An equation: `Step("*", (6, 9), 54)` is 6 times 9 is 54."""

    sign: str
    operands: tuple[int, ...]
    result: int

    @property
    def holds(self) -> bool:
        """Whether the result follows from the operands. A quotient is exact."""
        return execute(self.sign, *self.operands) == self.result


class Asked(NamedTuple):
    """What a lesson asks: a template with its numbers. It belongs to one split, whatever the words around it."""

    template: str
    numbers: tuple[int, ...]

    @property
    def cluster(self) -> str:
        """The name of all questions that ask the same: `product:6,37`."""
        return f"{self.template}:{','.join(map(str, self.numbers))}"


class Lesson(NamedTuple):
    """A document of mathematics, and the example that can be made of it.

    Attributes:
        kind: one of the names in `LESSON_KINDS`.
        group: what it is about, `two steps` or `partial products`.
        asked: what it asks; none for what is taught in every split.
        given: the numbers that its question gives or its solution brings in, and constants such as the days of a week.
        steps: its equations in order.
        answer: the number that answers its question; `None` if it asks nothing.
        question: its question; empty if it asks nothing.
        solution: the worked solution, without the last line `#### <number>`.
        text: the document.
    """

    kind: str
    group: str
    asked: tuple[Asked, ...]
    given: tuple[int, ...]
    steps: tuple[Step, ...]
    answer: int | None
    question: str
    solution: str
    text: str


def execute(sign: str, first: int, *others: int) -> int | None:
    """Return the result of an operation on several numbers, from left to right; `None` if a quotient is not exact."""
    so_far: int | None = first
    for other in others:
        so_far = None if so_far is None else _OPERATIONS[sign](so_far, other)
    return so_far


def step(sign: str, *operands: int) -> Step:
    """Return an equation with its right result."""
    result = execute(sign, *operands)
    assert result is not None, (sign, operands)
    return Step(sign, operands, result)


def defects(lesson: Lesson) -> Iterator[str]:
    """Execute a lesson's steps and yield what is wrong with them.

    Every step has to hold. Its operands have to be numbers that are given or brought in, results of earlier steps, or
    digits and place values of these. No number is negative. The last step has to arrive at the answer, or to check it.
    """
    known: set[int] = set()
    for number in lesson.given:
        known |= parts(number)
    for index, one in enumerate(lesson.steps, 1):
        if not one.holds:
            yield f"step {index} does not hold: {one}"
        if min(one.operands) < 0 or one.result < 0:
            yield f"step {index} has a negative number: {one}"
        if unknown := set(one.operands) - known:
            yield f"step {index} uses {sorted(unknown)}, which nothing gives: {one}"
        known |= parts(one.result)
    if lesson.answer is None:
        return
    arrived = (*lesson.steps[-1].operands, lesson.steps[-1].result) if lesson.steps else ()
    if lesson.answer not in arrived or lesson.answer not in {one.result for one in lesson.steps}:
        yield f"the steps do not arrive at {lesson.answer}"


def parts(number: int) -> set[int]:
    """Return a number with its digits and place values: of 347 also 3, 4, 7, 300, 40, and 34 and 47."""
    found = {number}
    place = 1
    while place <= number:
        digit = number // place % 10
        found |= {digit, digit * place, number // place, number % (10 * place)}
        place *= 10
    return found
