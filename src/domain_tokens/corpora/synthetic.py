"""A seeded generator of mathematical text: tables, drills, sums, short word problems and endings to choose from.

A hash of the question, not chance, assigns it to one of three splits. A sum `23 + 45`, a product such as `37 * 4`, or
a story with its numbers is therefore in the same split (`train`, `validation` or `test`) wherever it appears. The 81
products of the multiplication table are what the experiment is about and belong to every split. Every
answer is computed here, never parsed.
"""

import hashlib
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from num2words import num2words

from domain_tokens.tokenization.prompts import (
    product_question,
    render_prompt,
    sum_question,
)

SPLITS = ("train", "validation", "test")
_HELD_OUT = {"validation": 8, "test": 8}  # in hundredths of what can be asked

_NAMES = (
    "Ana",
    "Ben",
    "Cleo",
    "Dan",
    "Eva",
    "Finn",
    "Gita",
    "Hugo",
    "Ida",
    "Jon",
    "Kim",
    "Leo",
    "Mia",
    "Noor",
    "Otto",
)
_THINGS = ("apples", "pens", "books", "coins", "cards", "shells", "stamps", "beads", "cookies", "marbles", "tickets")
_BOXES = ("boxes", "bags", "baskets", "jars", "packs", "rows", "shelves", "trays")


class Example(NamedTuple):
    """A question and its answer, which ends with `#### <number>`."""

    question: str
    answer: str


class Story(NamedTuple):
    """A word problem: a question with gaps for names and numbers, and the steps that answer it."""

    question: str
    steps: Callable[[int, int, int], tuple[list[str], int]]


def _times(a: int, b: int) -> str:
    return f"{a}*{b}={a * b}"


# `a` and `b` are factors, `c` is the third number; the steps return the worked lines and the answer.
_STORIES = (
    Story("{name} has {a} {boxes} with {b} {things} in each. How many {things} does {name} have?",
          lambda a, b, c: ([_times(a, b)], a * b)),
    Story("A ticket costs {b} dollars. How much do {a} tickets cost?",
          lambda a, b, c: ([_times(a, b)], a * b)),
    Story("{name} reads {a} pages a day for {b} days. How many pages does {name} read?",
          lambda a, b, c: ([_times(a, b)], a * b)),
    Story("{name} has {a} {boxes} of {b} {things} and finds {c} more. How many {things} are there now?",
          lambda a, b, c: ([_times(a, b), f"{a * b}+{c}={a * b + c}"], a * b + c)),
    Story("{name} buys {a} toys for {b} dollars each and pays {c} dollars for a bag. What is the total cost?",
          lambda a, b, c: ([_times(a, b), f"{a * b}+{c}={a * b + c}"], a * b + c)),
    Story("{name} has {c} {things} and gets {d} more. How many {things} does {name} have?",
          lambda a, b, c: ([f"{c}+{a * b}={c + a * b}"], c + a * b)),
    Story("There are {e} {things} in a box. {name} takes {c}. How many {things} are left?",
          lambda a, b, c: ([f"{a * b + c}-{c}={a * b}"], a * b)),
)  # fmt: skip

# Scenes and what happens next, without numbers: an ending that states a product would be shorter for one tokenizer.
# The wrong endings of a scene are the right ones of others, so nothing but the context tells them apart.
_SCENES = (
    ("{name} fills a glass with water.", "{name} drinks the water."),
    ("{name} opens an umbrella in the rain.", "The umbrella keeps {name} dry."),
    ("{name} kicks the ball to a friend.", "The friend kicks the ball back."),
    ("{name} puts bread in the oven.", "Soon the bread smells good."),
    ("{name} plants a seed in the garden.", "After some weeks a flower grows."),
    ("{name} lights a candle at night.", "The room is bright now."),
    ("{name} throws a stone into the lake.", "The stone sinks to the ground."),
    ("{name} writes a letter to grandmother.", "Grandmother is glad to read it."),
    ("{name} calls the dog in the park.", "The dog runs to {name}."),
    ("{name} waits for the train at the station.", "The train arrives and {name} gets in."),
    ("{name} cuts the grass behind the house.", "The grass is short again."),
    ("{name} hides the key under the mat.", "Nobody finds the key there."),
)


def split_of(*asked: object) -> str:
    """Return the split to which what is asked belongs, by a hash of it: `split_of("sum", 23, 45)`."""
    number = int.from_bytes(hashlib.sha256(repr(asked).encode()).digest()[:8]) % 100
    for split, size in _HELD_OUT.items():
        if number < size:
            return split
        number -= size
    return "train"


def split_of_product(a: int, b: int) -> str:
    """Return the split of a product beyond the table; a product and its mirror image are in the same one."""
    return split_of("product", *sorted((a, b)))


def split_of_sum(a: int, b: int) -> str:
    """Return the split of a sum; a sum and its mirror image are in the same one."""
    return split_of("sum", *sorted((a, b)))


def product_example(a: int, b: int) -> Example:
    """Return a product as a drill: `What is 6 * 9?`, `6*9=54`, `#### 54`."""
    return Example(product_question(a, b), f"{a}*{b}={a * b}\n#### {a * b}")


def sum_example(a: int, b: int) -> Example:
    """Return a sum as a drill: `What is 23 + 45?`, `23+45=68`, `#### 68`."""
    return Example(sum_question(a, b), f"{a}+{b}={a + b}\n#### {a + b}")


def drills(num_items: int, seed: int, split: str) -> Iterator[Example]:
    """Yield drills of one split: two of three from the table, which is in every split, the rest from beyond it."""
    rng = random.Random(f"drills {seed} {split}")
    for _ in range(num_items):
        yield _drill(rng, split)


def problems(num_items: int, seed: int, split: str) -> Iterator[Example]:
    """Yield word problems of one split, with worked steps."""
    rng = random.Random(f"problems {seed} {split}")
    for _ in range(num_items):
        yield _problem(rng, split)


def texts(num_items: int, seed: int, split: str) -> Iterator[str]:
    """Yield documents of one split: tables, statements, drills, sums and word problems, mixed."""
    rng = random.Random(f"texts {seed} {split}")
    kinds: list[Callable[[], str]] = [
        partial(_table, rng),
        partial(_statements, rng),
        partial(_as_document, rng, split, _drill),
        partial(_as_document, rng, split, _problem),
    ]
    for _ in range(num_items):
        yield rng.choices(kinds, weights=(2, 2, 4, 3))[0]()


def clozes(num_items: int, seed: int, split: str) -> Iterator[dict[str, object]]:
    """Yield scenes, each with its own ending and those of three others, in HellaSwag's columns."""
    rng = random.Random(f"clozes {seed} {split}")
    for index in range(num_items):
        scenes = rng.sample(range(len(_SCENES)), 4)
        label = rng.randrange(4)
        name = rng.choice(_NAMES)
        yield {
            "ind": index,
            "activity_label": "A scene",
            "ctx": _SCENES[scenes[label]][0].format(name=name),
            "endings": [_SCENES[scene][1].format(name=name) for scene in scenes],
            "label": str(label),
        }


def _drill(rng: random.Random, split: str) -> Example:
    if rng.random() < 2 / 3:
        return product_example(rng.randint(1, 9), rng.randint(1, 9))
    if rng.random() < 0.5:
        a, b = _draw(rng, lambda: (rng.randint(10, 99), rng.randint(10, 99)), split_of_sum, split)
        return sum_example(a, b)
    a, b = _draw(rng, lambda: (rng.randint(10, 99), rng.randint(2, 9)), split_of_product, split)
    return product_example(a, b)


def _problem(rng: random.Random, split: str) -> Example:
    def draw() -> tuple[int, int, int, int]:
        return rng.randrange(len(_STORIES)), rng.randint(2, 9), rng.randint(2, 9), rng.randint(2, 20)

    def side(kind: int, a: int, b: int, c: int) -> str:
        # By what the question shows: a number that a story does not use does not make it another one.
        return split_of("story", _question(kind, a, b, c, "", "", ""))

    kind, a, b, c = _draw(rng, draw, side, split)
    question = _question(kind, a, b, c, rng.choice(_NAMES), rng.choice(_BOXES), rng.choice(_THINGS))
    lines, answer = _STORIES[kind].steps(a, b, c)
    return Example(question, "\n".join([*lines, f"#### {answer}"]))


def _question(kind: int, a: int, b: int, c: int, name: str, boxes: str, things: str) -> str:
    template = _STORIES[kind].question
    return template.format(name=name, boxes=boxes, things=things, a=a, b=b, c=c, d=a * b, e=a * b + c)


def _draw(rng: random.Random, draw: Callable[[], tuple], side: Callable[..., str], split: str) -> tuple:
    while True:
        drawn = draw()
        if side(*drawn) == split:
            return drawn


def _as_document(rng: random.Random, split: str, make: Callable[[random.Random, str], Example]) -> str:
    example = make(rng, split)
    return f"{render_prompt(example.question)} {example.answer}"


def _table(rng: random.Random) -> str:
    a = rng.randint(1, 9)
    notation = rng.choice(_NOTATIONS)
    rows = [notation(a, b) if rng.random() < 0.5 else notation(b, a) for b in rng.sample(range(1, 10), 9)]
    return f"The table of {a}:\n" + "\n".join(rows)


def _statements(rng: random.Random) -> str:
    a, b = rng.randint(1, 9), rng.randint(1, 9)
    statement = rng.choice(_NOTATIONS)(a, b)
    if rng.random() < 0.5:
        return f"We know that {statement}, so the answer is {a * b}."
    return f"{statement}. The other way round, {rng.choice(_NOTATIONS)(b, a)}."


def _words(a: int, b: int) -> str:
    return f"{num2words(a)} times {num2words(b)} is {num2words(a * b)}"


_NOTATIONS: tuple[Callable[[int, int], str], ...] = (
    _times,
    _times,
    lambda a, b: f"{a} * {b} = {a * b}",
    lambda a, b: f"{a} × {b} = {a * b}",
    lambda a, b: f"{a}x{b}={a * b}",
    lambda a, b: f"{a} times {b} is {a * b}",
    _words,
)
