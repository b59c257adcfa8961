"""A seeded generator of mathematical text: tables, drills, sums, short word problems and endings to choose from.

A hash of the question, not chance, assigns it to a split. A sum `23 + 45`, a product such as `37 * 4`, or a story with
its numbers is therefore in the same split (`train`, `validation` or `test`) wherever it appears; stories have a split
of their own for the prompts of GRPO. The 81 products of the multiplication table are what the experiment is about and
belong to every split. Every answer is computed here, never parsed.

Word problems are drawn evenly over templates, so that what most of them need does not depend on how many numbers a
template can have. Items of a test set are distinct: two problems with one template and the same numbers would be one
problem asked twice, and statistics would count it as two. What trains repeats, because practice repeats.
"""

import hashlib
import itertools
import random
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import NamedTuple, TypeVar

from num2words import num2words

from domain_tokens.corpora.lessons.stories import BOXES, NAMES, SCENES, STORIES, THINGS, Numbers, times
from domain_tokens.tokenization.facts import MAX_FACTOR
from domain_tokens.tokenization.prompts import (
    product_question,
    render_prompt,
    sum_question,
)

SPLITS = ("train", "validation", "test")
PROMPTS = "prompts"
"""The split of word problems for GRPO; all else that its prompts are made of is from `train`."""

EVALUATION_SEED = 0
"""Of generated test data: the same items for every condition and every seed of a run."""

STORY_SPLITS = (*SPLITS, PROMPTS)
_STORY_SHARES = {"test": 5, PROMPTS: 2, "validation": 1}  # in sixteenths of each template's numbers; the rest train
_HELD_OUT = {"validation": 8, "test": 8}  # in hundredths of what can be asked
_NUM_ENDINGS = 4
_PRODUCT = re.compile(r"\d ?[*×x/] ?\d| times ")  # with the quotient, which states the same fact
_WEIGHTS_OF_DRILLS = (4, 1, 1)  # table, sums, products beyond the table

T = TypeVar("T")


class Example(NamedTuple):
    """A question and its answer, which ends with `#### <number>`.

    Attributes:
        cluster: for a generated question its template and numbers, `boxes:6,9`; questions of one cluster ask the same.
        group: for a word problem of the generator what its answer needs, such as `one product`.
    """

    question: str
    answer: str
    cluster: str | None = None
    group: str | None = None


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


def cluster_of(template: str, *numbers: int) -> str:
    """Return the name of all questions with one template and the same numbers: `boxes:6,9`."""
    return f"{template}:{','.join(map(str, numbers))}"


def product_example(a: int, b: int) -> Example:
    """Return a product as a drill: `What is 6 times 9?`, `6*9=54`, `#### 54`."""
    return Example(product_question(a, b), f"{times(a, b)}\n#### {a * b}", cluster_of("product", *sorted((a, b))))


TAUGHT = frozenset(
    cluster_of("product", a, b) for a in range(1, MAX_FACTOR + 1) for b in range(a, MAX_FACTOR + 1)
)  # fmt: skip
"""The clusters of the times table. It is in every split, because it is taught: no test of it tests unseen text."""


def sum_example(a: int, b: int) -> Example:
    """Return a sum as a drill: `What is 23 plus 45?`, `23+45=68`, `#### 68`."""
    return Example(sum_question(a, b), f"{a}+{b}={a + b}\n#### {a + b}", cluster_of("sum", *sorted((a, b))))


def drills(num_items: int, seed: int, split: str, stream: str = "") -> Iterator[Example]:
    """Yield drills of one split that repeat: two of three from the table, which is in every split.

    Args:
        num_items (`int`): how many.
        seed (`int`): seeds the draws.
        split (`str`): `train`, `validation` or `test`.
        stream (`str`, *optional*): names the use, so that two uses of one seed draw independently.
    """
    rng = random.Random(f"drills {seed} {split} {stream}")
    return itertools.islice(_repeating(rng, _drills_of(split), _WEIGHTS_OF_DRILLS), num_items)


def distinct_drills(num_items: int, seed: int, split: str, stream: str = "") -> Iterator[Example]:
    """Yield drills of one split, none twice, at most `num_distinct("drills", split)`; a mirror image is the same."""
    rng = random.Random(f"distinct drills {seed} {split} {stream}")
    shuffled = [rng.sample(pool, len(pool)) for pool in _drills_of(split)]
    once = [list({example.cluster: example for example in pool}.values()) for pool in shuffled]
    return itertools.islice(_distinct(rng, once, _WEIGHTS_OF_DRILLS), num_items)


def problems(num_items: int, seed: int, split: str, stream: str = "") -> Iterator[Example]:
    """Yield word problems of one split, with worked steps, evenly over templates.

    No problem of a template comes again, in other words, before all of them have come. The first
    `num_distinct("problems", split)` are distinct.

    Args:
        num_items (`int`): how many.
        seed (`int`): seeds the draws.
        split (`str`): one of `STORY_SPLITS`.
        stream (`str`, *optional*): names the use, so that two uses of one seed draw independently.
    """
    rng = random.Random(f"problems {seed} {split} {stream}")
    for index, numbers in itertools.islice(_evenly(rng, _indexed_numbers(split)), num_items):
        yield _problem(rng, index, numbers)


def repeated_problems(num_items: int, seed: int, split: str) -> Iterator[Example]:
    """Yield word problems of one split for the documents of a corpus, where they repeat."""
    return itertools.islice(_repeated_problems(random.Random(f"repeated problems {seed} {split}"), split), num_items)


def clozes(num_items: int, seed: int, split: str, stream: str = "") -> Iterator[dict[str, object]]:
    """Yield scenes, each with its own ending and those of three others, in HellaSwag's columns.

    No scene comes twice with the same endings; the cluster is `scene_<number>:<the other scenes>`.
    """
    rng = random.Random(f"clozes {seed} {split} {stream}")
    drawn = itertools.islice(_distinct(rng, _indexed_endings()), num_items)
    for index, (scene, others) in enumerate(drawn):
        label = rng.randrange(_NUM_ENDINGS)
        endings = rng.sample(others, len(others))
        endings.insert(label, scene)
        name = rng.choice(NAMES)
        yield {
            "ind": index,
            "activity_label": "A scene",
            "ctx": SCENES[scene][0].format(name=name),
            "endings": [SCENES[ending][1].format(name=name) for ending in endings],
            "label": str(label),
            "cluster": cluster_of(f"scene_{scene}", *others),
        }


def asked_by(what: str, split: str) -> frozenset[str]:
    """Return the clusters of all questions that drills, problems or texts of one split can ask; worlds ask none."""
    if what == "worlds":
        return frozenset()
    drilled = {str(example.cluster) for pool in _drills_of(split) for example in pool} if what != "problems" else set()
    told = {
        cluster_of(STORIES[index].name, *STORIES[index].shown(numbers))
        for one in (_indexed_numbers(split) if what != "drills" else [])
        for index, numbers in one
    }
    return frozenset(drilled | told)


def num_distinct(what: str, split: str) -> int:
    """Return how many distinct items of a kind (`drills`, `problems` or `cloze`) a split has, drawn evenly."""
    if what == "drills":
        return len(asked_by(what, split))
    if what == "problems":
        return len(STORIES) * min(map(len, _indexed_numbers(split)))
    return sum(map(len, _indexed_endings()))


def texts(num_items: int, seed: int, split: str) -> Iterator[str]:
    """Yield documents of one split: tables, statements, drills, sums and word problems, mixed. They may repeat."""
    return itertools.islice(_texts(random.Random(f"texts {seed} {split}"), split), num_items)


def texts_without_products(num_items: int, seed: int, split: str) -> Iterator[str]:
    """Yield documents of one split as `texts` does, those left out that state a product in any spelling."""
    drawn = _texts(random.Random(f"texts without products {seed} {split}"), split)
    return itertools.islice((text for text in drawn if not _PRODUCT.search(text)), num_items)


def _texts(rng: random.Random, split: str) -> Iterator[str]:
    drawn, told = _repeating(rng, _drills_of(split), _WEIGHTS_OF_DRILLS), _repeated_problems(rng, split)
    kinds: list[Callable[[], str]] = [
        partial(_table, rng),
        partial(_statements, rng),
        lambda: _as_document(next(drawn)),
        lambda: _as_document(next(told)),
    ]
    while True:
        yield rng.choices(kinds, weights=(2, 2, 4, 3))[0]()


def _repeated_problems(rng: random.Random, split: str) -> Iterator[Example]:
    for index, numbers in _repeating(rng, _indexed_numbers(split)):
        yield _problem(rng, index, numbers)


@cache
def _drills_of(split: str) -> list[list[Example]]:
    """Return all drills of a split: the table, sums of two digits, products of two digits and one."""
    digits, tens = range(1, 10), range(10, 100)
    return [
        [product_example(a, b) for a in digits for b in digits],  # `TAUGHT`
        [sum_example(a, b) for a in tens for b in tens if split_of_sum(a, b) == split],
        [product_example(a, b) for a in tens for b in digits[1:] if split_of_product(a, b) == split],
    ]


@cache
def _indexed_numbers(split: str) -> list[list[tuple[int, Numbers]]]:
    """Return for every story its index with each choice of numbers that belongs to a split."""
    return [
        [(index, numbers) for numbers in _all_numbers(index) if story.needed(numbers) in needed]
        for index, story in enumerate(STORIES)
        for needed in [_needed_by_split(index)[split]]
    ]


@cache
def _all_numbers(index: int) -> tuple[Numbers, ...]:
    return tuple(STORIES[index].all_numbers())


@cache
def _needed_by_split(index: int) -> dict[str, set[tuple[int, ...]]]:
    """Return for each split the numbers from which a story's answers are computed there.

    The order of their hashes, not the hashes, decides: every template has the same share in every split. Problems that
    differ in a number that nobody needs are in one split.
    """
    story = STORIES[index]
    needed = {story.needed(numbers) for numbers in _all_numbers(index)}
    rest = sorted(needed, key=lambda one: hashlib.sha256(repr(("story", story.name, *one)).encode()).digest())
    found = {}
    for split, share in _STORY_SHARES.items():
        number = len(needed) * share // 16
        found[split], rest = set(rest[:number]), rest[number:]
    return found | {"train": set(rest)}


@cache
def _indexed_endings() -> list[list[tuple[int, tuple[int, ...]]]]:
    """Return for every scene its index with each choice of other scenes, from which the wrong endings come."""
    scenes = range(len(SCENES))
    return [
        [
            (scene, others)
            for others in itertools.combinations([other for other in scenes if other != scene], _NUM_ENDINGS - 1)
        ]
        for scene in scenes
    ]


def _repeating(
    rng: random.Random, pools: Sequence[Sequence[T]], weights: Sequence[float] | None = None
) -> Iterator[T]:
    """Draw without end: first a pool, then one of its members."""
    while True:
        yield rng.choice(rng.choices(pools, weights)[0])


def _evenly(rng: random.Random, pools: Sequence[Sequence[T]]) -> Iterator[T]:
    """Draw without end, in rounds of one member of every pool; all of a pool come before one comes again."""
    rest: list[list[T]] = [[] for _ in pools]
    while True:
        for index in rng.sample(range(len(pools)), len(pools)):
            rest[index] = rest[index] or rng.sample(pools[index], len(pools[index]))
            yield rest[index].pop()


def _distinct(rng: random.Random, pools: Sequence[Sequence[T]], weights: Sequence[float] | None = None) -> Iterator[T]:
    """Draw until all pools are empty: first a pool that is not, then one of its members that was not drawn."""
    rest = [
        (rng.sample(pool, len(pool)), weight) for pool, weight in zip(pools, weights or [1] * len(pools), strict=True)
    ]
    while rest := [(pool, weight) for pool, weight in rest if pool]:
        yield rng.choices([pool for pool, _ in rest], [weight for _, weight in rest])[0].pop()


def _problem(rng: random.Random, index: int, numbers: Numbers) -> Example:
    story = STORIES[index]
    words = {"name": rng.choice(NAMES), "boxes": rng.choice(BOXES), "things": rng.choice(THINGS)}
    lines, answer = story.steps(*numbers)
    return Example(
        story.question.format(**words, **numbers.fields()),
        "\n".join([*lines, f"#### {answer}"]),
        cluster_of(story.name, *story.shown(numbers)),
        story.needs,
    )


def _as_document(example: Example) -> str:
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
    times,
    times,
    lambda a, b: f"{a} * {b} = {a * b}",
    lambda a, b: f"{a} × {b} = {a * b}",
    lambda a, b: f"{a}x{b}={a * b}",
    lambda a, b: f"{a} times {b} is {a * b}",
    # Without a result behind it: interventions that rewrite complete equations alone leave this one as it is.
    lambda a, b: f"{a * b} is {a} * {b}",
    _words,
)
