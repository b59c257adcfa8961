"""Statements of products and sums in every notation that the interventions know, and in words."""

from domain_tokens.corpora.lessons.draw import Draw, Weighted
from domain_tokens.corpora.lessons.lesson import Asked, Lesson, Step, step
from domain_tokens.corpora.lessons.notation import SPOKEN, sentence, statement_styles
from domain_tokens.corpora.lessons.splits import belongs, product_asked, sum_asked

_DIGITS = range(1, 10)


def statements(draw: Draw) -> Lesson:
    """Return a table, a family of facts, or a few statements."""
    return draw.weighted(_FORMS)(draw)


def _lesson(group: str, steps: list[Step], text: str, asked: tuple[Asked, ...] = ()) -> Lesson:
    given = tuple(dict.fromkeys(number for one in steps for number in one.operands))
    return Lesson("statements", group, asked, given, tuple(steps), None, "", "", text)


def _table_of(draw: Draw) -> Lesson:
    """Return the table of one number, in one notation."""
    operation = draw.pick("***+")
    a, rows = draw.between(1, 9), list(_DIGITS)
    if draw.chance(0.3):
        rows = draw.several(rows, len(rows))
    is_left = draw.chance(0.5)
    steps = [step(operation, *((a, b) if is_left else (b, a))) for b in rows]
    lines = _in_one_notation(draw, steps)
    title = f"The table of {a}:" if operation == "*" else f"Adding {a}:"
    return _lesson("table", steps, "\n".join([title, *lines]))


def _in_one_notation(draw: Draw, steps: list[Step]) -> list[str]:
    """Return equations of one operation, all in the same signs or words."""
    if draw.chance(0.3):
        spoken = draw.pick(SPOKEN)
        return [sentence(spoken.equation(one)) for one in steps]
    style = draw.pick(statement_styles(steps[0].sign))
    return [style.equation(one) for one in steps]


def _mixed(draw: Draw) -> Lesson:
    """Return facts of the table, each in a notation of its own."""
    steps, lines = [], []
    for _ in range(draw.between(2, 6)):
        one = step(draw.pick("***+"), draw.between(1, 9), draw.between(1, 9))
        steps.append(one)
        lines += _in_one_notation(draw, [one])
    return _lesson("facts", steps, "\n".join(lines))


def _family(draw: Draw) -> Lesson:
    """Return the four facts of three numbers: two products and two quotients, or two sums and two differences."""
    a, b = draw.several(range(2, 10), 2)
    sign, inverse = draw.pick((("*", "/"), ("*", "/"), ("+", "-")))
    first = step(sign, a, b)
    steps = [first, step(sign, b, a), step(inverse, first.result, a), step(inverse, first.result, b)]
    style = draw.pick(statement_styles("*"))
    equations = [style.equation(one) for one in steps]
    numbers = f"{a}, {b} and {first.result}"
    forms = (
        "\n".join([f"Four facts with {numbers}:", *equations]),
        f"With {numbers} we can write {', '.join(equations[:3])} and {equations[3]}.",
        f"{equations[0]}, so {equations[2]} and {equations[3]}.",
    )
    chosen = draw.between(0, 2)
    return _lesson("family", steps if chosen < 2 else [steps[0], *steps[2:]], forms[chosen])


def _known(draw: Draw) -> Lesson:
    """Return a fact of the table in a sentence, and once more in another notation."""
    a, b = draw.between(1, 9), draw.between(1, 9)
    fact, other_way = step("*", a, b), step("*", b, a)
    style, other = draw.pick(statement_styles("*")), draw.pick(statement_styles("*"))
    spoken = draw.pick(SPOKEN)
    forms = (
        ([fact], f"We know that {style.equation(fact)}, so the answer is {a * b}."),
        ([fact, other_way], f"{style.equation(fact)}. The other way round, {other.equation(other_way)}."),
        ([fact], f"{sentence(spoken.equation(fact))} In signs: {style.equation(fact)}"),
        ([fact], f"{style.equation(fact)}. In words: {sentence(spoken.equation(fact))}"),
        # Without a result behind them: interventions that rewrite complete equations alone leave these as they are.
        ([fact], f"{a * b} is {style.expression('*', (a, b))}."),
        ([fact], f"The product {style.expression('*', (a, b))} has the value {a * b}."),
        ([fact], f"{style.reversed_equation(fact)}"),
    )
    steps, text = draw.pick(forms)
    return _lesson("fact", steps, text)


def _beyond(draw: Draw) -> Lesson:
    """Return products and sums of larger numbers, in one notation."""
    operation = draw.pick("*+")
    ask = product_asked if operation == "*" else sum_asked
    found: dict[Step, Asked] = {}
    for _ in range(draw.between(1, 5)):
        while True:
            a, b = draw.between(10, 99), draw.between(2, 9) if operation == "*" else draw.between(10, 99)
            one, asked = step(operation, a, b), ask(a, b)
            if belongs(draw.split, (asked,), (one,)):
                break
        found[one] = asked
    lines = _in_one_notation(draw, list(found))
    return _lesson("larger numbers", list(found), "\n".join(lines), tuple(found.values()))


_FORMS = Weighted((_table_of, 3), (_mixed, 3), (_family, 2), (_known, 3), (_beyond, 2))
