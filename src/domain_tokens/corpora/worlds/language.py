"""The language of invented worlds: relations between a person and a value, and the wordings of each.

Each relation has statements, from which passages and rewritten passages are made, and questions in two sets of words:
those that an edit may write, and those that are held out to ask with. A passage is read back by the same wordings, so
whoever has its text has its facts.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

TOWNS = (
    "Arden", "Bexley", "Corvale", "Dunmore", "Elsworth", "Farrow", "Glenby", "Hartwick", "Ilston", "Jarrow", "Kelby",
    "Lowmark", "Marlow", "Norbury", "Oxley", "Penrith", "Quarley", "Redmere", "Selkirk", "Thornby", "Upton", "Velden",
    "Wexford", "Yarrow",
)  # fmt: skip
TRADES = (
    "baker", "carpenter", "dentist", "farmer", "gardener", "hunter", "jeweller", "lawyer", "mason", "nurse", "painter",
    "pilot", "plumber", "porter", "potter", "sailor", "singer", "smith", "tailor", "teacher", "tiler", "waiter",
    "weaver", "writer",
)  # fmt: skip
PETS = (
    "badger", "beetle", "camel", "canary", "cat", "dog", "donkey", "duck", "ferret", "frog", "goat", "goose",
    "hamster", "horse", "lizard", "monkey", "mouse", "parrot", "pigeon", "rabbit", "raven", "snail", "tortoise",
    "turkey",
)  # fmt: skip
INSTRUMENTS = (
    "banjo", "bassoon", "bell", "bugle", "cello", "clarinet", "cornet", "cymbal", "drum", "fiddle", "flute", "gong",
    "guitar", "harp", "horn", "lute", "lyre", "oboe", "organ", "piano", "trombone", "trumpet", "tuba", "viola",
)  # fmt: skip


class Relation(NamedTuple):
    """What can be said of a person.

    Attributes:
        name: of the relation.
        values: what can stand in it.
        clauses: what a sentence can say behind the person's name; `{v}` is the value.
        statements: whole sentences of other words; `{n}` is the name.
        taught: questions that an edit may write.
        held_out: questions in other words, with which a model is asked.
    """

    name: str
    values: tuple[str, ...]
    clauses: tuple[str, ...]
    statements: tuple[str, ...]
    taught: tuple[str, ...]
    held_out: tuple[str, ...]


RELATIONS = (
    Relation(
        "home", TOWNS,
        ("lives in {v}", "has a house in {v}"),
        ("The home of {n} is in {v}.", "In {v} you can meet {n}."),
        ("Where does {n} live?", "Where is the home of {n}?"),
        ("In which town has {n} a house?", "Which town is home to {n}?"),
    ),
    Relation(
        "trade", TRADES,
        ("works as a {v}", "earns money as a {v}"),
        ("The trade of {n} is that of a {v}.", "By trade {n} is a {v}."),
        ("What does {n} work as?", "What is the trade of {n}?"),
        ("As what does {n} earn money?", "Which trade has {n}?"),
    ),
    Relation(
        "pet", PETS,
        ("keeps a {v}", "looks after a {v}"),
        ("The pet of {n} is a {v}.", "A {v} belongs to {n}."),
        ("What does {n} keep?", "What is the pet of {n}?"),
        ("Which pet does {n} look after?", "Which animal belongs to {n}?"),
    ),
    Relation(
        "instrument", INSTRUMENTS,
        ("plays the {v}", "practises the {v}"),
        ("The instrument of {n} is the {v}.", "On the {v} {n} makes music."),
        ("What does {n} play?", "What is the instrument of {n}?"),
        ("Which instrument does {n} practise?", "On which instrument does {n} make music?"),
    ),
)  # fmt: skip
"""All relations. Each has as many values and wordings as the others."""

NUM_WORDINGS = 2
"""Wordings of each kind that a relation has."""

_SYLLABLES = tuple(
    f"{first}{vowel}{last}"
    for first in ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z")
    for vowel in "aeiou"
    for last in ("", "l", "n", "r", "s")
)
_NAME = r"[A-Z][a-z]+ [A-Z][a-z]+"


class Fact(NamedTuple):
    """That a person stands in a relation to a value: `("Tavo Quel", "home", "Bexley")`."""

    person: str
    relation: str
    value: str


class Question(NamedTuple):
    """A question, its answer, and the fact behind it."""

    question: str
    answer: str
    fact: Fact


@cache
def relation_of(name: str) -> Relation:
    """Return a relation by its name."""
    (found,) = (one for one in RELATIONS if one.name == name)
    return found


def person_name(draws: Sequence[int]) -> str:
    """Return the name that four numbers from 0 up to below `num_syllables()` spell."""
    first, second, third, fourth = (_SYLLABLES[number] for number in draws)
    return f"{(first + second).capitalize()} {(third + fourth).capitalize()}"


def num_syllables() -> int:
    """Return how many syllables names are made of."""
    return len(_SYLLABLES)


def split_of_person(name: str) -> int:
    """Return a number from 0 to 99, by a hash of the name: people of one split are in no other."""
    return int.from_bytes(hashlib.sha256(f"person {name}".encode()).digest()[:8]) % 100


def clause(fact: Fact, wording: int) -> str:
    """Return what a sentence says behind the person's name, in one of two wordings."""
    return relation_of(fact.relation).clauses[wording % NUM_WORDINGS].format(v=fact.value)


def statement(fact: Fact, wording: int) -> str:
    """Return a fact as a sentence of its own, in one of four wordings; the first two are those of clauses."""
    wording %= 2 * NUM_WORDINGS
    if wording < NUM_WORDINGS:
        return f"{fact.person} {clause(fact, wording)}."
    pattern = relation_of(fact.relation).statements[wording - NUM_WORDINGS]
    return pattern.format(n=fact.person, v=fact.value)


def taught_question(fact: Fact, wording: int) -> Question:
    """Return a question about a fact in words that an edit may use."""
    return _question(fact, relation_of(fact.relation).taught, wording)


def held_out_question(fact: Fact, wording: int) -> Question:
    """Return a question about a fact in words that no edit uses."""
    return _question(fact, relation_of(fact.relation).held_out, wording)


def read_facts(text: str) -> list[Fact]:
    """Return the facts that a text states, in its order.

    Raises:
        ValueError: if a sentence, or the beginning of one at the end, is none of this language, with the sentence.
    """
    return [fact for sentence in re.findall(r"[^.]*\.|[^.]+$", text.strip()) for fact in _facts_of(sentence.strip())]


def _question(fact: Fact, patterns: Sequence[str], wording: int) -> Question:
    return Question(patterns[wording % NUM_WORDINGS].format(n=fact.person), fact.value, fact)


def _facts_of(sentence: str) -> list[Fact]:
    for relation, pattern in _sentences():
        if found := pattern.fullmatch(sentence):
            return [Fact(found["n"], relation, found["v"])]
    if found := re.fullmatch(rf"(?P<n>{_NAME}) (?P<rest>.+)\.", sentence):
        read = [_read_clause(found["n"], part) for part in re.split(r", | and ", found["rest"])]
        if None not in read:
            return [fact for fact in read if fact is not None]
    raise ValueError(f"no sentence of an invented world: {sentence!r}")


def _read_clause(name: str, text: str) -> Fact | None:
    for relation, pattern in _clauses():
        if found := pattern.fullmatch(text):
            return Fact(name, relation, found["v"])
    return None


@cache
def _sentences() -> list[tuple[str, re.Pattern[str]]]:
    return [(one.name, _pattern(text, one)) for one in RELATIONS for text in one.statements]


@cache
def _clauses() -> list[tuple[str, re.Pattern[str]]]:
    return [(one.name, _pattern(text, one)) for one in RELATIONS for text in one.clauses]


def _pattern(text: str, relation: Relation) -> re.Pattern[str]:
    values = "|".join(map(re.escape, relation.values))
    whole = re.escape(text).replace(r"\{n\}", f"(?P<n>{_NAME})").replace(r"\{v\}", f"(?P<v>{values})")
    return re.compile(whole)
