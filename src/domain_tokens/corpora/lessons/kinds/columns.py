"""Sums and differences of several digits: in columns with carries and borrows, by place, by a near number."""

from collections.abc import Callable
from typing import NamedTuple

from domain_tokens.corpora.lessons.draw import Draw, Weighted
from domain_tokens.corpora.lessons.kinds.multiplication import listed, place_values
from domain_tokens.corpora.lessons.layout import document
from domain_tokens.corpora.lessons.lesson import Asked, Lesson, Step, step
from domain_tokens.corpora.lessons.notation import STYLES, Style
from domain_tokens.corpora.lessons.splits import belongs, difference_asked, sum_asked

PLACES = ("ones", "tens", "hundreds", "thousands")


class Worked(NamedTuple):
    """A worked solution: its steps, its lines written in a style, and the numbers that it brings in."""

    steps: tuple[Step, ...]
    write: Callable[[Style], list[str]]
    given: tuple[int, ...] = ()


Method = Callable[[int, int], Worked | None]


def addition(draw: Draw) -> Lesson:
    """Return a sum of several digits with its worked solution."""
    return _lesson(draw, "addition", _ADDITION, sum_asked, _ADDITION_QUESTIONS, "+")


def subtraction(draw: Draw) -> Lesson:
    """Return a difference of several digits with its worked solution; the second number is the smaller one."""
    return _lesson(draw, "subtraction", _SUBTRACTION, difference_asked, _SUBTRACTION_QUESTIONS, "-")


def _lesson(
    draw: Draw,
    kind: str,
    methods: Weighted[tuple[str, Method]],
    ask: Callable[[int, int], Asked],
    questions: tuple[str, ...],
    sign: str,
) -> Lesson:
    name, work = draw.weighted(methods)
    while True:
        a, b = _numbers(draw, sign)
        worked = work(a, b)
        if worked is not None and belongs(draw.split, (ask(a, b),), worked.steps):
            break
    answer = worked.steps[-1].result
    question = draw.pick(questions).format(a=a, b=b)
    conclusion = draw.pick(_CONCLUSIONS).format(a=a, b=b, c=answer, sign="plus" if sign == "+" else "minus")
    solution, text = document(draw, question, worked.write(draw.weighted(STYLES)), answer, conclusion)
    return Lesson(
        kind, name, (ask(a, b),), (a, b, *worked.given), worked.steps, answer, question, solution, text
    )  # fmt: skip


_ADDITION_QUESTIONS = (
    "What is {a} plus {b}?",
    "Add {a} and {b}.",
    "Work out the sum of {a} and {b}.",
    "How much is {a} and {b} together? Show your work.",
    "Find the total of {a} and {b}.",
)
_SUBTRACTION_QUESTIONS = (
    "What is {a} minus {b}?",
    "Subtract {b} from {a}.",
    "Work out the difference between {a} and {b}.",
    "How much is left when {b} is taken from {a}? Show your work.",
    "How much more is {a} than {b}?",
)
_CONCLUSIONS = ("The answer is {c}.", "{a} {sign} {b} is {c}.")


def _numbers(draw: Draw, sign: str) -> tuple[int, int]:
    """Return two numbers of two to four digits; for a difference the larger one first."""
    longest = draw.pick((2, 2, 3, 3, 3, 4))
    a = draw.between(10 ** (longest - 1) + 1, 10**longest - 1)
    shortest = draw.between(2, longest)
    b = draw.between(10 ** (shortest - 1) + 1, 10**shortest - 1)
    return (b, a) if b > a and sign == "-" else (a, b)


def _digits(number: int) -> list[int]:
    return [int(digit) for digit in reversed(str(number))]


def add_with_carries(a: int, b: int) -> Worked | None:
    """Add digit by digit from the right, and carry."""
    tops, bottoms = _digits(max(a, b)), _digits(min(a, b))
    found: list[tuple[int, Step | None, int]] = []  # digit of the longer number, its sum if there is one, result
    carry = 0
    for place, top in enumerate(tops):
        addends = [top, *bottoms[place : place + 1], *([1] if carry else [])]
        one = step("+", *addends) if len(addends) > 1 else None
        result = top if one is None else one.result
        carry = result // 10
        found.append((top, one, result))
    total = step("+", a, b)

    def write(style: Style) -> list[str]:
        lines = []
        for place, (top, one, result) in enumerate(found):
            line = f"{PLACES[place].capitalize()}: {f'{top} stays' if one is None else style.equation(one)}"
            if place == len(found) - 1:
                line += f". Write {result}."
            else:
                line += f". Write {result % 10}" + (" and carry 1." if result >= 10 else ".")
            lines.append(line)
        return [*lines, f"So {style.equation(total)}"]

    steps = (*(one for _, one, _ in found if one is not None), total)
    return Worked(steps, write, (1,)) if any(result >= 10 for _, _, result in found[:-1]) else None


def _by_place(a: int, b: int) -> Worked | None:
    """Add the thousands, hundreds, tens and ones apart, and then all of them."""
    if len(str(a)) != len(str(b)) or "0" in f"{a}{b}":
        return None
    apart = [step("+", *pair) for pair in zip(place_values(a), place_values(b), strict=True)]
    total = step("+", *(one.result for one in apart))
    names = PLACES[: len(apart)][::-1]

    def write(style: Style) -> list[str]:
        lines = [f"{name.capitalize()}: {style.equation(one)}" for name, one in zip(names, apart, strict=True)]
        return [*lines, f"Together: {style.equation(total)}"]

    return Worked((*apart, total), write)


def _near(number: int) -> int:
    """Return the round number within 3 of a number: hundreds above 100, else tens; 0 if there is none."""
    unit = 100 if number > 100 else 10
    found = (number + unit // 2) // unit * unit
    return found if 0 < abs(found - number) <= 3 else 0


def _add_near(a: int, b: int) -> Worked | None:
    """Add a round number in place of the second one, and mend the difference."""
    if not (round_number := _near(b)):
        return None
    gap = abs(b - round_number)
    whole = step("+", a, round_number)
    last = step("-" if round_number > b else "+", whole.result, gap)
    verb = "subtract" if round_number > b else "add"
    word = "less" if round_number > b else "more"

    def write(style: Style) -> list[str]:
        return [
            f"{b} is {gap} {word} than {round_number}.",
            f"Add {round_number}: {style.equation(whole)}",
            f"Then {verb} {gap}: {style.equation(last)}",
        ]

    return Worked((whole, last), write, (round_number, gap))


def subtract_with_borrows(a: int, b: int) -> Worked | None:
    """Subtract digit by digit from the right, and borrow."""
    bottoms = _digits(b)
    places: list[tuple[list[tuple[str, Step]], int]] = []
    borrowed = False
    for place, top in enumerate(_digits(a)):
        bottom = bottoms[place] if place < len(bottoms) else None
        phrases, digit, borrows = _borrow_at(top, bottom, borrowed)
        places.append((phrases, digit))
        borrowed = borrows
    total = step("-", a, b)

    def write(style: Style) -> list[str]:
        lines = []
        for name, (phrases, digit) in zip(PLACES, places, strict=False):
            done = [f"{phrase}{style.equation(one)}" for phrase, one in phrases] or [f"{digit} stays"]
            lines.append(f"{name.capitalize()}: {'. '.join(done)}. Write {digit}.")
        return [*lines, f"So {style.equation(total)}"]

    steps = [one for phrases, _ in places for _, one in phrases]
    return Worked((*steps, total), write, (1, 10)) if len(steps) > len(bottoms) else None


def _borrow_at(top: int, bottom: int | None, borrowed: bool) -> tuple[list[tuple[str, Step]], int, bool]:
    """Return what is done at one place, the digit below the line, and whether the next place lends 1.

    Args:
        top (`int`): the digit of the larger number.
        bottom (`int`, *optional*): the digit of the smaller one, if it has this place.
        borrowed (`bool`): whether the place has lent 1.
    """
    phrases, borrows, last = [], False, ""
    if borrowed and top == 0:
        phrases.append(("0 cannot lend, so it borrows 10 and lends 1: ", step("-", 10, 1)))
        top, borrows = 9, True
    elif borrowed:
        phrases.append(("1 was lent: ", step("-", top, 1)))
        top -= 1
    if bottom is None:
        return phrases, top, borrows
    if top < bottom:
        # From 0 there is nothing to add to the 10.
        borrow = f"{top} is less than {bottom}, so borrow 10: "
        if top:
            phrases.append((borrow, step("+", 10, top)))
        top, borrows, last = top + 10, True, "" if top else borrow
    phrases.append((last, step("-", top, bottom)))
    return phrases, top - bottom, borrows


def _subtract_by_place(a: int, b: int) -> Worked | None:
    """Subtract the hundreds, the tens and the ones, one after another."""
    subtrahends = place_values(b)
    if len(subtrahends) < 2:
        return None
    steps = [step("-", a, subtrahends[0])]
    for part in subtrahends[1:]:
        steps.append(step("-", steps[-1].result, part))

    def write(style: Style) -> list[str]:
        return [f"{b} is {listed(subtrahends)}. Take them away in turn.", *(style.equation(one) for one in steps)]

    return Worked(tuple(steps), write)


def _subtract_near(a: int, b: int) -> Worked | None:
    """Subtract a round number in place of the second one, and mend the difference."""
    if not (round_number := _near(b)) or round_number > a:
        return None
    gap = abs(b - round_number)
    whole = step("-", a, round_number)
    if round_number < b and whole.result < gap:
        return None
    last = step("+" if round_number > b else "-", whole.result, gap)
    verb = "add" if round_number > b else "subtract"
    word = "less" if round_number > b else "more"

    def write(style: Style) -> list[str]:
        return [
            f"{b} is {gap} {word} than {round_number}.",
            f"Subtract {round_number}: {style.equation(whole)}",
            f"Then {verb} {gap}: {style.equation(last)}",
        ]

    return Worked((whole, last), write, (round_number, gap))


def _count_up(a: int, b: int) -> Worked | None:
    """Count from the smaller number to the larger one by way of round numbers."""
    stops = [b]
    for unit in (10, 100, 1000):
        stop = -(-b // unit) * unit
        if stops[-1] < stop <= a:
            stops.append(stop)
    if stops[-1] < a:
        stops.append(a)
    gaps = [after - before for before, after in zip(stops, stops[1:], strict=False)]
    if len(gaps) < 2:
        return None
    jumps = [step("+", before, gap) for before, gap in zip(stops, gaps, strict=False)]
    total = step("+", *gaps)

    def write(style: Style) -> list[str]:
        return [
            f"Count up from {b} to {a}.",
            *(style.equation(one) for one in jumps),
            f"Add the jumps: {style.equation(total)}",
        ]

    return Worked((*jumps, total), write, tuple(gaps))


_ADDITION: Weighted[tuple[str, Method]] = Weighted(
    (("carry", add_with_carries), 4), (("by place", _by_place), 3), (("near number", _add_near), 2)
)
_SUBTRACTION: Weighted[tuple[str, Method]] = Weighted(
    (("borrow", subtract_with_borrows), 4),
    (("by place", _subtract_by_place), 2),
    (("near number", _subtract_near), 2),
    (("counting up", _count_up), 2),
)
