"""Passages about invented people, the questions about them, and documents of people whom a model may know.

A hash of a person's name puts it into a split: people of `train` and `validation` are in the documents of a corpus;
those of `adapt` and `test` are in none, and are told of in passages alone.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from domain_tokens.corpora.worlds.language import (
    NUM_WORDINGS,
    RELATIONS,
    Fact,
    Question,
    clause,
    held_out_question,
    num_syllables,
    person_name,
    split_of_person,
    statement,
    taught_question,
)
from domain_tokens.tokenization.prompts import render_prompt

PEOPLE = 4
"""People in a passage. Of each, one value of every relation is told, and no two of them share one."""

_SHARES = {"train": 55, "validation": 5, "adapt": 20, "test": 20}  # of all names, in hundredths
# Documents about one group of people: of pretraining, in which each of them comes often enough to be learned.
_DOCUMENTS_OF_A_WORLD = 40


class Passage(NamedTuple):
    """A text about a few invented people.

    Attributes:
        id: split and number, `test/3`.
        text: the passage.
        facts: what it states, one for each person and relation.
    """

    id: str
    text: str
    facts: tuple[Fact, ...]


def passages(split: str, num_passages: int, seed: int) -> Iterator[Passage]:
    """Yield passages of one split, the same ones for the same seed whatever their number; no two share a person.

    Args:
        split (`str`): `train`, `validation`, `adapt` or `test`.
        num_passages (`int`): how many.
        seed (`int`): seeds the draws.
    """
    rng = random.Random(f"passages {seed} {split}")
    taken: set[str] = set()
    for number in range(num_passages):
        facts = _draw_world(rng, split, taken)
        yield Passage(f"{split}/{number}", told(facts, rng), tuple(facts))


def told(facts: Sequence[Fact], rng: random.Random) -> str:
    """Return facts as a passage: of each person, in a random order, sentences of one to three clauses."""
    people = list(dict.fromkeys(fact.person for fact in facts))
    sentences = []
    for person in rng.sample(people, len(people)):
        own = [fact for fact in facts if fact.person == person]
        rest = rng.sample(own, len(own))
        while rest:
            number = rng.randint(1, 3)
            part, rest = rest[:number], rest[number:]
            *first, last = [clause(fact, rng.randrange(NUM_WORDINGS)) for fact in part]
            sentences.append(f"{person} {', '.join(first)}{' and ' if first else ''}{last}.")
    return " ".join(sentences)


def exchanged(facts: Sequence[Fact], rng: random.Random) -> list[Fact]:
    """Return the same people and values, with every value at another person: all that is false in the same words."""
    people = list(dict.fromkeys(fact.person for fact in facts))
    assert len(people) > 1, "one person has nobody to exchange values with"
    order = rng.sample(people, len(people))
    following = dict(zip(order, [*order[1:], order[0]], strict=True))
    return [fact._replace(person=following[fact.person]) for fact in facts]


def questions_about(facts: Sequence[Fact], rng: random.Random) -> list[Question]:
    """Return a held-out question about each fact, in a wording that is drawn."""
    return [held_out_question(fact, rng.randrange(NUM_WORDINGS)) for fact in facts]


def as_document(question: Question) -> str:
    """Return a question with its answer as a document."""
    return f"{render_prompt(question.question)} {question.answer}"


def documents(num_documents: int, seed: int, split: str) -> Iterator[str]:
    """Yield documents about people of a split: passages, statements and questions in all wordings, shuffled.

    Each person comes in about seventeen documents, ten of them passages. They teach the words and the questions. That
    a model binds values to names takes more: a small one that reads them twice does not (docs/RESEARCH.md).

    Args:
        num_documents (`int`): how many.
        seed (`int`): seeds the draws.
        split (`str`): `train` or `validation`.
    """
    rng = random.Random(f"documents of worlds {seed} {split}")
    taken: set[str] = set()
    made: list[str] = []
    while len(made) < num_documents:
        facts = _draw_world(rng, split, taken)
        made += itertools.islice(_documents_of(facts, rng), _DOCUMENTS_OF_A_WORLD)
    rng.shuffle(made)
    yield from made[:num_documents]


def _documents_of(facts: Sequence[Fact], rng: random.Random) -> Iterator[str]:
    while True:
        yield told(facts, rng)
        for kind in rng.choices((_stated, _taught, _asked), k=3):
            yield kind(rng.choice(facts), rng)


def _stated(fact: Fact, rng: random.Random) -> str:
    return statement(fact, rng.randrange(2 * NUM_WORDINGS))


def _taught(fact: Fact, rng: random.Random) -> str:
    return as_document(taught_question(fact, rng.randrange(NUM_WORDINGS)))


def _asked(fact: Fact, rng: random.Random) -> str:
    return as_document(held_out_question(fact, rng.randrange(NUM_WORDINGS)))


def _draw_world(rng: random.Random, split: str, taken: set[str]) -> list[Fact]:
    people: list[str] = []
    while len(people) < PEOPLE:
        name = person_name([rng.randrange(num_syllables()) for _ in range(4)])
        if name not in taken and _split_of(name) == split:
            taken.add(name)
            people.append(name)
    values = {relation.name: rng.sample(relation.values, PEOPLE) for relation in RELATIONS}
    return [
        Fact(person, relation.name, values[relation.name][index])
        for index, person in enumerate(people)
        for relation in RELATIONS
    ]


def _split_of(name: str) -> str:
    number = split_of_person(name)
    for split, share in _SHARES.items():
        if number < share:
            return split
        number -= share
    raise AssertionError(number)
