"""Word problems: a template is filled with people, objects and numbers, and its steps are executed."""

from collections.abc import Mapping

from domain_tokens.corpora.lessons.draw import TRIES, Draw
from domain_tokens.corpora.lessons.layout import document
from domain_tokens.corpora.lessons.lesson import Asked, Lesson, Step, execute
from domain_tokens.corpora.lessons.notation import PLAIN_STYLES
from domain_tokens.corpora.lessons.problems.four_steps import FOUR_STEPS
from domain_tokens.corpora.lessons.problems.nouns import PEOPLE, ROLES, Noun
from domain_tokens.corpora.lessons.problems.one_step import ONE_STEP
from domain_tokens.corpora.lessons.problems.template import Filling, Template
from domain_tokens.corpora.lessons.problems.three_steps import THREE_STEPS
from domain_tokens.corpora.lessons.problems.two_steps import TWO_STEPS
from domain_tokens.corpora.lessons.splits import belongs
from domain_tokens.tokenization.numerals import english as spell

TEMPLATES: tuple[Template, ...] = (*ONE_STEP, *TWO_STEPS, *THREE_STEPS, *FOUR_STEPS)
GROUPS = ("one step", "two steps", "three steps", "four steps")

_SPELLED = [spell(number) for number in range(13)]
_SHARE_OF_SPELLED = 0.1  # of questions whose small numbers are words
_SHARE_OF_PROSE = 0.75  # of solutions whose equations stand in sentences
_LEAST_DERIVED = 2


def problems(draw: Draw) -> Lesson:
    """Return a word problem with its worked solution."""
    while True:
        template = draw.pick(TEMPLATES)
        for _ in range(TRIES):
            nouns = _nouns(draw, template)
            values = _values(draw, template, nouns)
            steps = None if values is None else run(template, values)
            if values is None or steps is None:
                continue
            asked = Asked(template.name, tuple(values[name] for name in template.needed))
            if belongs(draw.split, (asked,), steps):
                assert steps[-1].result == eval(template.code, {}, dict(values)), template.name
                return _told(draw, template, nouns, values, steps, asked)


def run(template: Template, values: dict[str, int]) -> tuple[Step, ...] | None:
    """Execute a template's steps and add their results to its numbers.

    Returns `None` if a result is not a whole number above 0: nobody has half a chair or fewer than no apples.
    """
    steps = []
    for index, (sign, names) in enumerate(template.program, 1):
        operands = tuple(int(name) if name.isdecimal() else values[name] for name in names)
        result = execute(sign, *operands)
        if result is None or result < 1:
            return None
        values[f"s{index}"] = result
        steps.append(Step(sign, operands, result))
    return tuple(steps)


def _nouns(draw: Draw, template: Template) -> dict[str, Noun]:
    """Draw the nouns of a template's roles; two of one role are different."""
    found: dict[str, Noun] = {}
    for role in template.roles:
        choices = ROLES[role.rstrip("23")]
        taken = {noun.one for noun in found.values()}
        drawn = draw.pick(choices)
        while drawn.one in taken or (drawn.partner and drawn.partner in {noun.partner for noun in found.values()}):
            drawn = draw.pick(choices)
        found[role] = drawn
    return found


def _values(draw: Draw, template: Template, nouns: Mapping[str, Noun]) -> dict[str, int] | None:
    """Draw the numbers of a template; `None` if one that follows from others is not sensible."""
    values = {}
    for name, sensible in template.numbers.items():
        if isinstance(sensible, str):
            noun = nouns[sensible]
            sensible = range(noun.low, noun.high + 1, noun.by)
        values[name] = draw.pick(sensible)
    for name, code in template.derived_code.items():
        values[name] = eval(code, {}, dict(values))
        if values[name] < _LEAST_DERIVED:
            return None
    return values


def _told(
    draw: Draw,
    template: Template,
    nouns: Mapping[str, Noun],
    values: Mapping[str, int],
    steps: tuple[Step, ...],
    asked: Asked,
) -> Lesson:
    people = dict(zip("AB", draw.several(PEOPLE, 2), strict=True))
    filling = Filling(people, nouns, values)
    wording, sentences, conclusion = template.wordings
    asks = Filling(people, nouns, values, _write) if draw.chance(_SHARE_OF_SPELLED) else filling
    question = wording.fill(asks)
    question = f"{question[0].upper()}{question[1:]}"
    style = draw.weighted(PLAIN_STYLES)
    if in_prose := draw.chance(_SHARE_OF_PROSE):
        lines = [
            sentence.fill(filling, style.equation(one), one.result)
            for sentence, one in zip(sentences, steps, strict=True)
        ]
    else:
        lines = [style.equation(one) for one in steps]
    answer = steps[-1].result
    said = conclusion.fill(filling)
    solution, text = document(draw, question, lines, answer, said, ends_in_sentence=in_prose)
    given = (*(values[name] for name in (*template.numbers, *template.derived)), *template.constants)
    return Lesson("problems", GROUPS[len(steps) - 1], (asked,), given, steps, answer, question, solution, text)


def _write(number: int) -> str:
    return _SPELLED[number] if number < len(_SPELLED) else str(number)
