"""Facts in Chinese: the table as it is learned by heart (六九五十四), and products and sums in digits or numerals."""

from collections.abc import Callable

from domain_tokens.corpora.lessons.draw import Draw, Weighted
from domain_tokens.corpora.lessons.lesson import Lesson, Step, step
from domain_tokens.tokenization.numerals import chinese as spell

_VERBS = ("等于", "等于", "得", "是")
_SIGNS = {"*": ("乘", "乘以"), "+": ("加", "加上")}


def chinese(draw: Draw) -> Lesson:
    """Return a part of the table, or a few statements, in Chinese."""
    return draw.weighted(_FORMS)(draw)


def _lesson(group: str, steps: list[Step], text: str) -> Lesson:
    given = tuple(dict.fromkeys(number for one in steps for number in one.operands))
    return Lesson("chinese", group, (), given, tuple(steps), None, "", "", text)


def rhyme(a: int, b: int) -> str:
    """Return a line of the table as it is learned by heart, the smaller factor first: 二三得六, 六九五十四."""
    low, high = sorted((a, b))
    product = low * high
    if product < 10:
        return f"{spell(low)}{spell(high)}得{spell(product)}"
    return f"{spell(low)}{spell(high)}{'一' if product == 10 else ''}{spell(product)}"


def _rhymes(draw: Draw) -> Lesson:
    """Return the lines of the table that end in one number."""
    high = draw.between(2, 9)
    steps = [step("*", low, high) for low in range(1, high + 1)]
    return _lesson("table", steps, f"{spell(high)}的乘法口诀：\n" + "\n".join(rhyme(*one.operands) for one in steps))


def _spoken(draw: Draw, one: Step) -> str:
    in_numerals = draw.chance(0.5)
    write: Callable[[int], str] = spell if in_numerals else str
    # An equals sign stands between digits alone.
    sign, verb = draw.pick(_SIGNS[one.sign]), draw.pick(_VERBS if in_numerals else (*_VERBS, "="))
    return f"{sign.join(map(write, one.operands))}{verb}{write(one.result)}"


def _statements(draw: Draw) -> Lesson:
    """Return products and sums of the table, in digits or numerals."""
    signs = [draw.pick("***+") for _ in range(draw.between(2, 6))]
    steps = [step(sign, draw.between(1, 9), draw.between(1, 9)) for sign in signs]
    return _lesson("facts", steps, "\n".join(f"{_spoken(draw, one)}。" for one in steps))


def _known(draw: Draw) -> Lesson:
    """Return a product and the line of the table that says it."""
    a, b = draw.between(1, 9), draw.between(1, 9)
    fact = step("*", a, b)
    return _lesson("fact", [fact], f"{a}乘{b}等于多少？口诀：{rhyme(a, b)}，因此{_spoken(draw, fact)}。")


_FORMS = Weighted((_rhymes, 1), (_statements, 2), (_known, 2))
