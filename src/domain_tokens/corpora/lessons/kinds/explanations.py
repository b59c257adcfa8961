"""Explanations of why: order and grouping of factors, splitting, repeated addition, area, place value, inverses."""

from collections.abc import Callable

from domain_tokens.corpora.lessons.draw import TRIES, Draw, Weighted
from domain_tokens.corpora.lessons.lesson import Asked, Lesson, Step, step
from domain_tokens.corpora.lessons.notation import STYLES, Style
from domain_tokens.corpora.lessons.splits import belongs

Explained = tuple[tuple[int, ...], list[Step], list[str]]
"""The numbers of an explanation, its steps, and its sentences."""

_MAX_REPEATED = 6  # addends of a sum that is written out
_DRAWN = ("dots", "squares", "circles", "stars", "crosses")
_COLORED = ("counters", "beads", "tiles", "stickers", "marbles", "buttons")
_UNITS = (("meters", "meter"), ("centimeters", "centimeter"), ("feet", "foot"), ("inches", "inch"))


def explanations(draw: Draw) -> Lesson:
    """Return an explanation of one idea with numbers."""
    while True:
        name, explain = draw.weighted(_EXPLANATIONS)
        for _ in range(TRIES):
            numbers, steps, sentences = explain(draw, draw.weighted(STYLES))
            asked = (Asked(name, numbers),)
            if belongs(draw.split, asked, steps):
                text = draw.pick((" ", "\n")).join(sentences)
                return Lesson("explanations", name, asked, (*numbers, 1, 10), tuple(steps), None, "", "", text)


def _two_digits(draw: Draw) -> tuple[int, int]:
    a, b = draw.several(range(2, 10), 2)
    return a, b


def _order_in_rows(draw: Draw, style: Style) -> Explained:
    a, b = _two_digits(draw)
    thing, one, other = draw.pick(_DRAWN), step("*", a, b), step("*", b, a)
    return (a, b), [one, other], [
        f"Why does the order of two factors not matter? Draw {thing} in {a} rows of {b}.",
        f"Counted by rows there are {style.equation(one)} {thing}.",
        f"Now turn the page on its side. The same {thing} stand in {b} rows of {a}.",
        f"Counted again, that is {style.equation(other)}.",
        f"No one has added or taken away anything, so {_same(style, a, b)}.",
    ]  # fmt: skip


def _same(style: Style, a: int, b: int) -> str:
    return f"{style.expression('*', (a, b))} and {style.expression('*', (b, a))} are the same"


def _order_in_groups(draw: Draw, style: Style) -> Explained:
    a, b = _two_digits(draw)
    one, other = step("*", a, b), step("*", b, a)
    return (a, b), [one, other], [
        f"{a} children get {b} cookies each. That takes {style.equation(one)} cookies.",
        f"Hand them out in rounds instead: in each of {b} rounds, every child gets one cookie.",
        f"A round takes {a} cookies, so that is {style.equation(other)} cookies.",
        f"Both ways every child has {b} cookies in the end. So {_same(style, a, b)}.",
        "The order of the factors does not matter.",
    ]  # fmt: skip


def _split_rows(draw: Draw, style: Style) -> Explained:
    a, b = draw.between(3, 9), draw.between(6, 9)
    first = draw.between(2, b - 2)
    second, thing = b - first, draw.pick(_DRAWN)
    left, right, whole = step("*", a, first), step("*", a, second), step("*", a, b)
    total = step("+", left.result, right.result)
    return (a, b, first, second), [left, right, total, whole], [
        f"How can {style.expression('*', (a, b))} be found from smaller products?",
        f"Draw {a} rows of {b} {thing}, and a line that leaves {first} on its left and {second} on its right.",
        f"On the left are {style.equation(left)} {thing}, on the right {style.equation(right)}.",
        f"Together that is {style.equation(total)}, so {style.equation(whole)}.",
        "A product can be split into parts that are easier. This is the distributive property.",
    ]  # fmt: skip


def _split_places(draw: Draw, style: Style) -> Explained:
    tens, ones, b = 10 * draw.between(1, 9), draw.between(1, 9), draw.between(3, 9)
    a = tens + ones
    first, second, whole = step("*", tens, b), step("*", ones, b), step("*", a, b)
    total = step("+", first.result, second.result)
    return (a, b, tens, ones), [first, second, total, whole], [
        f"Why may we multiply the tens and the ones apart? Think of {b} bags with {a} {draw.pick(_COLORED)} in each.",
        f"In every bag, {tens} are red and {ones} {'is' if ones == 1 else 'are'} blue.",
        f"There are {style.equation(first)} red ones and {style.equation(second)} blue ones.",
        f"Red and blue together are {style.equation(total)}, and that is {style.equation(whole)}.",
    ]  # fmt: skip


def _nine_from_ten(draw: Draw, style: Style) -> Explained:
    a = draw.between(2, 9)
    ten, less, nine = step("*", a, 10), step("-", 10 * a, a), step("*", a, 9)
    return (a, 9), [ten, less, nine], [
        f"A way to multiply {a} by 9: take 10 times {a}, and then take one {a} away.",
        f"{style.equation(ten)}, and {style.equation(less)}.",
        f"Ten groups of {a} without one of the groups are nine groups of {a}, so {style.equation(nine)}.",
    ]  # fmt: skip


def _repeated_addition(draw: Draw, style: Style) -> Explained:
    a, b = draw.between(3, _MAX_REPEATED), draw.between(2, 12)
    total, product = step("+", *([b] * a)), step("*", a, b)
    return (a, b), [total, product], [
        f"What does {style.expression('*', (a, b))} mean? It is {a} groups of {b}, added up.",
        f"{style.equation(total)}.",
        f"Multiplication is a short way to write this: {style.equation(product)}.",
    ]  # fmt: skip


def _one_more_group(draw: Draw, style: Style) -> Explained:
    a, b = draw.between(2, 8), draw.between(2, 9)
    known, more, found = step("*", a, b), step("+", a * b, b), step("*", a + 1, b)
    return (a, b, a + 1), [known, more, found], [
        f"If you know {style.equation(known)}, you need not start again for {style.expression('*', (a + 1, b))}.",
        f"{a + 1} groups of {b} are {a} groups of {b} and one more {b}: {style.equation(more)}.",
        f"So {style.equation(found)}.",
    ]  # fmt: skip


def _area(draw: Draw, style: Style) -> Explained:
    a, b, (unit, one) = draw.between(3, 12), draw.between(2, 9), draw.pick(_UNITS)
    product = step("*", a, b)
    return (a, b), [product], [
        "Why is the area of a rectangle its length times its width?",
        f"Take one that is {a} {unit} long and {b} {unit} wide. Fill it with squares whose sides are 1 {one} long.",
        f"There are {b} rows, and every row has {a} squares.",
        f"That makes {style.equation(product)} squares, so the area is {product.result} square {unit}.",
    ]  # fmt: skip


def _area_of_parts(draw: Draw, style: Style) -> Explained:
    a, (b, c), unit = draw.between(3, 9), draw.several(range(2, 10), 2), draw.pick(_UNITS)[0]
    left, right = step("*", a, b), step("*", a, c)
    total, width = step("+", left.result, right.result), step("+", b, c)
    whole = step("*", a, width.result)
    return (a, b, c), [left, right, total, width, whole], [
        f"Two rectangles stand side by side. Both are {a} {unit} high; one is {b} {unit} wide, the other {c}.",
        f"Their areas are {style.equation(left)} and {style.equation(right)} square {unit}.",
        f"Together that is {style.equation(total)}.",
        f"Seen as one rectangle, they are {style.equation(width)} {unit} wide. The area is {style.equation(whole)}.",
        "Both ways count the same squares, so adding first and multiplying first give the same result.",
    ]  # fmt: skip


def _times_ten(draw: Draw, style: Style) -> Explained:
    tens, ones = draw.between(1, 9), draw.between(1, 9)
    a = 10 * tens + ones
    product = step("*", a, 10)
    about_ones = f"the {ones} ones become {ones} tens" if ones > 1 else "the 1 one becomes 1 ten"
    moved = f"The {tens} tens become {tens} hundreds" if tens > 1 else "The 1 ten becomes 1 hundred"
    return (a,), [product], [
        f"What happens to {a} when it is multiplied by 10?",
        f"Every digit moves one place to the left. {moved}, {about_ones}, and the ones are now 0.",
        f"So {style.equation(product)}.",
    ]  # fmt: skip


def _round_factors(draw: Draw, style: Style) -> Explained:
    a, b = draw.between(2, 9), draw.between(2, 9)
    small, large = step("*", a, b), step("*", 10 * a, b)
    return (a, b, 10 * a), [small, large], [
        f"Why does {style.equation(small)} help with {style.expression('*', (10 * a, b))}?",
        f"{10 * a} is {a} tens. {a} tens taken {b} times are {a * b} tens.",
        f"{a * b} tens are {10 * a * b}, so {style.equation(large)}.",
    ]  # fmt: skip


def _grouping(draw: Draw, style: Style) -> Explained:
    a, b, c = draw.between(2, 6), draw.between(2, 5), draw.between(2, 6)
    one, other = step("*", a, b), step("*", b, c)
    first, second = step("*", one.result, c), step("*", a, other.result)
    return (a, b, c), [one, first, other, second], [
        f"{a} shelves have {b} boxes each, and there are {c} balls in every box. How many balls are there?",
        f"Count the boxes first: {style.equation(one)}, and then the balls: {style.equation(first)}.",
        f"Or count the balls on one shelf first: {style.equation(other)}.",
        f"Then count all shelves: {style.equation(second)}.",
        "With three factors it does not matter which two are multiplied first.",
    ]  # fmt: skip


def _inverse(draw: Draw, style: Style) -> Explained:
    a, b = _two_digits(draw)
    product = step("*", a, b)
    back, other = step("/", product.result, b), step("/", product.result, a)
    return (a, b), [product, back, other], [
        "Division undoes multiplication.",
        f"{a} boxes of {b} eggs hold {style.equation(product)} eggs.",
        f"Put {product.result} eggs back into boxes of {b}, and {style.equation(back)} boxes are needed.",
        f"In the same way, {product.result} eggs shared among {a} boxes are {style.equation(other)} in each.",
    ]  # fmt: skip


def _subtraction_checks(draw: Draw, style: Style) -> Explained:
    b, result = draw.between(11, 60), draw.between(11, 60)
    a = b + result
    difference, check = step("-", a, b), step("+", result, b)
    return (a, b), [difference, check], [
        f"How can you check that {style.equation(difference)}?",
        f"Add what was taken away: {style.equation(check)}.",
        "The first number comes back, so the difference is right. Addition undoes subtraction.",
    ]  # fmt: skip


def _doubling(draw: Draw, style: Style) -> Explained:
    a, b = draw.pick((2, 3, 4)), draw.between(3, 9)
    half, double, whole = step("*", a, b), step("+", a * b, a * b), step("*", 2 * a, b)
    return (a, b, 2 * a), [half, double, whole], [
        f"{2 * a} is twice {a}. So {2 * a} groups of {b} are twice as many as {a} groups of {b}.",
        f"{style.equation(half)}, and twice that is {style.equation(double)}.",
        f"So {style.equation(whole)}.",
    ]  # fmt: skip


def _why_carry(draw: Draw, style: Style) -> Explained:
    a, b = 10 * draw.between(1, 4) + draw.between(5, 9), 10 * draw.between(1, 4) + draw.between(5, 9)
    ones, tens, total = step("+", a % 10, b % 10), step("+", a // 10, b // 10, 1), step("+", a, b)
    rest = ones.result % 10
    left = "nothing is left over" if rest == 0 else f"{rest} {'one is' if rest == 1 else 'ones are'} left over"
    return (a, b), [ones, tens, total], [
        f"Why do we carry when we add {a} and {b}?",
        f"The ones are {style.equation(ones)}. Ten ones make one ten, and {left}.",
        f"The new ten goes to the other tens: {style.equation(tens)}.",
        f"So {style.equation(total)}.",
    ]  # fmt: skip


Explain = Callable[[Draw, Style], Explained]

_EXPLANATIONS: Weighted[tuple[str, Explain]] = Weighted(
    (("order in rows", _order_in_rows), 2),
    (("order in groups", _order_in_groups), 1),
    (("splitting rows", _split_rows), 2),
    (("splitting places", _split_places), 2),
    (("nine from ten", _nine_from_ten), 1),
    (("repeated addition", _repeated_addition), 2),
    (("one more group", _one_more_group), 1),
    (("area", _area), 2),
    (("area of parts", _area_of_parts), 1),
    (("times ten", _times_ten), 1),
    (("round factors", _round_factors), 1),
    (("grouping", _grouping), 1),
    (("inverse", _inverse), 2),
    (("checking a difference", _subtraction_checks), 1),
    (("doubling", _doubling), 1),
    (("carrying", _why_carry), 1),
)
