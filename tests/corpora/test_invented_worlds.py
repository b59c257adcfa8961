"""Invented worlds: a text says what its facts are, no person is in two splits, and what is held out stays so."""

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from domain_tokens.corpora.worlds import passages as drawing
from domain_tokens.corpora.worlds.language import (
    NUM_WORDINGS,
    RELATIONS,
    Fact,
    Question,
    clause,
    held_out_question,
    num_syllables,
    person_name,
    read_facts,
    split_of_person,
    statement,
    taught_question,
)
from domain_tokens.corpora.worlds.passages import (
    PEOPLE,
    Passage,
    as_document,
    documents,
    exchanged,
    passages,
    questions_about,
    told,
)

SPLITS = ("train", "validation", "adapt", "test")
FACTS_OF_A_PASSAGE = PEOPLE * len(RELATIONS)
SEEDS, WHICH = st.integers(0, 2**32 - 1), st.sampled_from(SPLITS)
NAMES = st.lists(st.integers(0, num_syllables() - 1), min_size=4, max_size=4).map(person_name)
EVERY_FACT = [Fact("Tavo Quel", one.name, value) for one in RELATIONS for value in one.values]


def people_of(facts: tuple[Fact, ...] | list[Fact]) -> set[str]:
    return {fact.person for fact in facts}


def questions_on(fact: Fact) -> tuple[list[Question], list[Question]]:
    """Return all questions on a fact: those that may be taught, and those that are held out."""
    wordings = range(NUM_WORDINGS)
    return [taught_question(fact, one) for one in wordings], [held_out_question(fact, one) for one in wordings]


def people_in(text: str) -> set[str]:
    """Return the people whom a document names: those of its facts, or the one whom its question asks about."""
    if not text.startswith("User: "):
        return people_of(read_facts(text))
    asked = text.removeprefix("User: ").partition("\nAssistant:")[0].rstrip("?").split()
    capitals = [word for word in asked[1:] if word[0].isupper()]
    assert len(capitals) == 2, text
    return {" ".join(capitals)}


def _people_of_passages() -> list[str]:
    return [name for one in passages("test", 250, 0) for name in people_of(one.facts)]


def _people_of_documents() -> list[str]:
    """Return the people of all worlds in documents: of passages, each told ten times, everyone once a world."""
    worlds = {frozenset(people_in(text)) for text in documents(10_000, 0, "train") if text.count(".") > 4}
    return [name for world in worlds for name in world]


@settings(max_examples=examples(60))
@given(SEEDS, WHICH, st.integers(0, 9))
def test_a_passage_says_its_facts_and_no_others(seed: int, split: str, number: int) -> None:
    *_, passage = passages(split, number + 1, seed)
    assert (passage.id, len(passage.facts), len(people_of(passage.facts))) == (
        f"{split}/{number}", FACTS_OF_A_PASSAGE, PEOPLE,
    )  # fmt: skip
    assert sorted(read_facts(passage.text)) == sorted(passage.facts)
    for relation in RELATIONS:  # no two people share a value
        assert len({fact.value for fact in passage.facts if fact.relation == relation.name}) == PEOPLE


@settings(max_examples=examples(60))
@given(SEEDS, WHICH, SEEDS, st.integers(1, FACTS_OF_A_PASSAGE))
def test_facts_that_are_told_again_are_read_back(seed: int, split: str, again: int, number: int) -> None:
    (passage,) = passages(split, 1, seed)
    some = random.Random(again).sample(passage.facts, number)
    text = told(some, random.Random(again))
    assert sorted(read_facts(text)) == sorted(some)


def test_facts_are_told_in_other_words_and_another_order() -> None:
    (passage,) = passages("adapt", 1, 0)
    texts = {told(passage.facts, random.Random(seed)) for seed in range(20)}
    assert len(texts) == 20
    assert len({tuple(read_facts(text)) for text in texts}) == 20


def test_every_wording_of_every_value_is_read_back() -> None:
    assert len(EVERY_FACT) == 96
    for fact in EVERY_FACT:
        statements = [statement(fact, wording) for wording in range(2 * NUM_WORDINGS)]
        assert len(set(statements)) == 4
        assert statements[:2] == [f"Tavo Quel {clause(fact, wording)}." for wording in range(NUM_WORDINGS)]
        assert [read_facts(text) for text in statements] == [[fact]] * 4
        assert read_facts(" ".join(statements)) == [fact] * 4


@settings(max_examples=examples(100))
@given(NAMES, st.sampled_from(EVERY_FACT), st.integers(0, 99))
def test_a_statement_about_any_person_is_read_back(name: str, fact: Fact, wording: int) -> None:
    own = fact._replace(person=name)
    assert read_facts(statement(own, wording)) == [own]
    assert name in statement(own, wording)


@pytest.mark.parametrize(
    "text",
    [
        "Tavo Quel lives in Rome.",
        "Tavo lives in Arden.",
        "Tavo Quel keeps a cat and sings.",
        "Tavo Quel lives in Arden. It rains.",
        "A organ belongs to Tavo Quel.",
        "Tavo Quel lives in Arden",
        "Tavo Quel lives in Arden. Tavo Quel keeps a cat",
        "Tavo Quel lives in Arden..",
    ],
)
def test_a_sentence_of_another_language_is_refused(text: str) -> None:
    assert read_facts("Tavo Quel lives in Arden.")
    with pytest.raises(ValueError, match="no sentence of an invented world: '"):
        read_facts(text)


@pytest.mark.parametrize("text", ["", " \n", " Tavo Quel lives in Arden. \n"])
def test_blanks_around_a_text_say_nothing(text: str) -> None:
    assert read_facts(text) == [Fact("Tavo Quel", "home", "Arden")] * text.count(".")


@settings(max_examples=examples(15))
@given(SEEDS, SEEDS)
def test_no_person_is_in_two_splits(seed: int, other: int) -> None:
    people = {
        split: set().union(*(people_of(one.facts) for each in (seed, other) for one in passages(split, 20, each)))
        for split in SPLITS
    }
    assert min(map(len, people.values())) >= 20 * PEOPLE
    assert sum(map(len, people.values())) == len(set().union(*people.values()))


def test_a_name_is_in_the_split_of_its_hash() -> None:
    shares = {"train": range(55), "validation": range(55, 60), "adapt": range(60, 80), "test": range(80, 100)}
    for split, share in shares.items():
        numbers = {split_of_person(name) for one in passages(split, 100, 1) for name in people_of(one.facts)}
        assert len(numbers) >= min(len(share), 15)
        assert numbers <= set(share)


@pytest.mark.parametrize("draw", [_people_of_passages, _people_of_documents])
def test_a_name_that_was_given_is_not_given_again(
    draw: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "num_syllables", lambda: 12)  # 12 to the power of 4 names; of all, none comes twice
    people = draw()
    assert len(people) == 1000
    assert len(set(people)) == 1000


@pytest.mark.parametrize("split", ["train", "validation"])
def test_documents_are_about_people_of_their_split_alone(split: str) -> None:
    texts = list(documents(4000, 7, split))
    named = [people_in(text) for text in texts]
    assert len(texts) == 4000
    share = range(55) if split == "train" else range(55, 60)
    everyone = set().union(*named)
    assert len(everyone) > 390
    assert [name for name in everyone if split_of_person(name) not in share] == []
    met = set().union(*(people_of(one.facts) for which in ("adapt", "test") for one in passages(which, 200, 7)))
    assert len(met) == 2 * 200 * PEOPLE
    assert met & everyone == set()


def test_a_person_comes_often_enough_to_be_learned() -> None:
    named = Counter(name for text in documents(20000, 0, "train") for name in people_in(text))
    assert 16 < sum(named.values()) / len(named) < 19
    assert sorted(named.values())[len(named) // 100] >= 10


def test_documents_are_of_all_kinds_and_agree_about_a_person() -> None:
    facts: dict[tuple[str, str], set[str]] = {}
    kinds: Counter[str] = Counter()
    for text in documents(4000, 0, "train"):
        asks = text.startswith("User: ")
        kinds["questions" if asks else "passages" if text.count(".") > 4 else "statements"] += 1
        for fact in [] if asks else read_facts(text):
            facts.setdefault((fact.person, fact.relation), set()).add(fact.value)
    assert kinds["passages"] == 1000
    assert 900 < kinds["statements"] < 1100
    assert 1900 < kinds["questions"] < 2100
    assert {len(values) for values in facts.values()} == {1}


@settings(max_examples=examples(60))
@given(SEEDS, WHICH, SEEDS)
def test_an_exchange_makes_every_fact_false_with_the_same_people_and_values(seed: int, split: str, other: int) -> None:
    (passage,) = passages(split, 1, seed)
    false = exchanged(passage.facts, random.Random(other))
    assert len(false) == len(set(false)) == FACTS_OF_A_PASSAGE
    assert people_of(false) == people_of(passage.facts)
    assert sorted(fact[1:] for fact in false) == sorted(fact[1:] for fact in passage.facts)
    assert set(false).isdisjoint(passage.facts)
    assert {fact[:2] for fact in false} == {fact[:2] for fact in passage.facts}  # each still has one of every relation
    assert sorted(read_facts(told(false, random.Random(other)))) == sorted(false)


def test_no_held_out_question_is_taught_or_stated() -> None:
    pairs = [questions_on(fact) for fact in EVERY_FACT]
    taught = {one.question for some, _ in pairs for one in some}
    held_out = {one.question for _, some in pairs for one in some}
    stated = {statement(fact, wording) for fact in EVERY_FACT for wording in range(2 * NUM_WORDINGS)}
    assert (len(taught), len(held_out), len(stated)) == (8, 8, 384)
    assert taught.isdisjoint(held_out)
    assert (taught | held_out).isdisjoint(stated)


@settings(max_examples=examples(40))
@given(SEEDS, SEEDS)
def test_a_question_is_held_out_has_its_answer_and_is_on_each_fact_once(seed: int, other: int) -> None:
    (passage,) = passages("test", 1, seed)
    asked = questions_about(passage.facts, random.Random(other))
    assert [one.fact for one in asked] == list(passage.facts)
    for one in asked:
        taught, held_out = questions_on(one.fact)
        assert one in held_out
        assert one.question not in {each.question for each in taught}
        assert (one.answer, one.fact.person in one.question) == (one.fact.value, True)
        assert one.answer not in one.question
        assert one.question not in passage.text
        assert as_document(one) == f"User: {one.question}\nAssistant: {one.answer}"


@settings(max_examples=examples(20))
@given(SEEDS, WHICH, st.integers(0, 8), st.integers(0, 8))
def test_a_seed_has_the_same_passages_whatever_their_number(seed: int, split: str, few: int, more: int) -> None:
    many = list(passages(split, few + more, seed))
    assert len(many) == few + more
    assert list(passages(split, few, seed)) == many[:few]


def test_seeds_and_splits_have_passages_of_their_own() -> None:
    found: list[Passage] = [one for seed in (0, 1) for split in SPLITS for one in passages(split, 3, seed)]
    assert len({one.text for one in found}) == 24
    assert list(documents(50, 0, "train")) == list(documents(50, 0, "train")) != list(documents(50, 1, "train"))


def test_values_are_balanced_and_no_value_follows_from_another() -> None:
    facts = [fact for one in passages("test", 3000, 0) for fact in one.facts]
    for relation in RELATIONS:
        counts = Counter(fact.value for fact in facts if fact.relation == relation.name)
        assert set(counts) == set(relation.values)
        # 12,000 draws over 24 values: 500 each, with a standard deviation of 20 or a little less.
        assert max(abs(number - 500) for number in counts.values()) < 90
    of_person: dict[str, dict[str, str]] = {}
    for fact in facts:
        of_person.setdefault(fact.person, {})[fact.relation] = fact.value
    pairs = Counter((one["home"], one["trade"]) for one in of_person.values())
    assert len(pairs) == 24 * 24
    assert max(pairs.values()) < 50  # 21 expected, a standard deviation of 4.6


def test_relations_are_alike() -> None:
    assert len(RELATIONS) == 4
    for one in RELATIONS:
        assert len(set(one.values)) == len(one.values) == 24
        wordings = (one.clauses, one.statements, one.taught, one.held_out)
        assert [len(set(texts)) for texts in wordings] == [NUM_WORDINGS] * 4
    everything = [value for one in RELATIONS for value in one.values]
    assert len(set(everything)) == 96  # no value says of two relations
