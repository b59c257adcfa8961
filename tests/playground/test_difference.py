"""Where two answers part: aligned by what they say, with the chances of both models for what either could write."""

import math
from dataclasses import replace
from itertools import product

import pytest
import torch
from by_heart import AGREED, PARTED

from domain_tokens.playground.chances import chances
from domain_tokens.playground.difference import Difference, Part, Row, first_difference
from domain_tokens.playground.models import LoadedModel
from domain_tokens.playground.reading import read
from domain_tokens.playground.writing import Settings, Writing

PLAIN = Settings(max_new_tokens=40)


def write(model: LoadedModel, question: str, settings: Settings = PLAIN) -> Writing:
    writing = Writing(model, question, settings)
    assert list(writing)
    return writing


def row(found: Difference, text: str) -> Row:
    (one,) = [one for one in found.rows if one.text == text and not one.ends]
    return one


def test_they_part_where_their_texts_do_although_a_fact_is_one_token(models: list[LoadedModel]) -> None:
    """Bytes against a space and a fact: the texts part at the last digit, and the last common place is the space."""
    writings = [write(model, PARTED) for model in models]
    found = first_difference(*writings)
    assert (found.part, found.before, found.steps) == (Part.TEXT, " ", (6, 1))
    digits, fact = row(found, "7*8=54"), row(found, "7*8=56")
    assert [one.taken for one in digits.chances] == [True, False]
    assert [one.taken for one in fact.chances] == [False, True]
    assert [one.num_tokens for one in fact.chances] == [6, 1]
    assert fact.chances[1].probability == pytest.approx(writings[1].steps[1].probability, abs=1e-5)
    chain = math.prod(step.probability for step in writings[0].steps[1:7])
    assert digits.chances[0].probability == pytest.approx(chain, abs=1e-5)
    assert chain > 0.5


def test_a_text_that_a_model_did_not_take_has_the_probability_of_its_tokens(models: list[LoadedModel]) -> None:
    writings = [write(model, PARTED) for model in models]
    fact = row(first_difference(*writings), "7*8=56")
    ids = writings[0].read_ids(1)
    expected = 1.0
    for byte in b"7*8=56":  # how the baseline would spell it
        (token,) = models[0].tokenizer.encode(chr(byte))
        with torch.inference_mode():
            expected *= float(models[0].model(torch.tensor([ids])).logits[0, -1].softmax(0)[token])
        ids = [*ids, token]
    assert fact.chances[0].probability == pytest.approx(expected, rel=1e-3)
    assert fact.chances[0].num_tokens == 6


def test_the_same_text_in_other_tokens_is_no_difference_of_text(models: list[LoadedModel]) -> None:
    found = first_difference(*(write(model, AGREED) for model in models))
    assert (found.part, found.before, found.steps) == (Part.TOKENS, " ", (1, 1))
    both = row(found, "6*9=54")
    assert [one.taken for one in both.chances] == [True, True]
    assert [one.num_tokens for one in both.chances] == [6, 1]
    assert min(one.probability for one in both.chances) > 0.5


def test_the_same_tokens_and_a_cut_answer_have_no_place(models: list[LoadedModel]) -> None:
    whole, short = write(models[0], PARTED), write(models[0], PARTED, replace(PLAIN, max_new_tokens=4))
    assert first_difference(whole, write(models[0], PARTED)) == Difference(Part.SAME)
    assert first_difference(whole, short) == first_difference(short, whole) == Difference(Part.CUT)


def test_an_answer_that_ends_parts_from_one_that_goes_on(models: list[LoadedModel]) -> None:
    ended, longer = write(models[0], PARTED), write(models[0], PARTED)
    end = len(ended.ids) - 1
    settings = replace(PLAIN, max_new_tokens=end + 1)
    longer = Writing(models[0], PARTED, settings)
    choose = longer._choose
    longer._choose = lambda logits: choose(logits) if len(longer.ids) < end else 33  # type: ignore[method-assign]
    assert len(list(longer)) == end + 1
    found = first_difference(ended, longer)
    assert (found.part, found.steps) == (Part.TEXT, (end, end))
    (ending,) = [one for one in found.rows if one.ends]
    assert [one.taken for one in ending.chances] == [True, False]
    with torch.inference_mode():
        then = models[0].model(torch.tensor([ended.read_ids(end)])).logits[0, -1].softmax(0)
    # Reserved ids end an answer, too.
    assert ending.chances[0].probability == pytest.approx(float(then[models[0].vocabulary.ending].sum()), abs=1e-5)
    assert ending.chances[0].probability >= ended.steps[-1].probability > 0.9


def test_what_the_settings_forbid_is_named(models: list[LoadedModel]) -> None:
    settings = replace(PLAIN, forbid_facts=True)
    found = first_difference(*(write(model, PARTED, settings) for model in models))
    assert found.part is Part.TEXT
    assert [one.forbidden > 0.9995 for one in row(found, "7*8=56").chances] == [False, True]
    assert found.circumstances == ("mul_tokens, seed 3: facts were forbidden",)


def test_what_was_read_as_something_else_is_named(models: list[LoadedModel]) -> None:
    """Both have written the same up to where they part, and one has read another fact."""
    settings = replace(PLAIN, swap=("7*8", "6*9"))
    writings = [write(model, AGREED, settings) for model in models]
    fact = models[1].vocabulary.chip(writings[1].ids[1])
    assert fact.text == "6*9=54"
    said = "it read 7*8=56 where it wrote 6*9=54"
    assert writings[0].circumstances() == []
    assert writings[1].circumstances() == [*read(writings[1]).circumstances] == [said]
    assert writings[1].circumstances(1) == []
    found = first_difference(*writings)
    assert (found.part, found.steps) == (Part.TOKENS, (1, 1))
    assert found.circumstances == ()  # they part at the fact itself, before it is read
    other = Writing(models[1], AGREED, settings)
    choose = other._choose
    other._choose = lambda logits: choose(logits) if len(other.ids) < 4 else 33  # type: ignore[method-assign]
    assert list(other)
    found = first_difference(writings[1], other)
    assert (found.part, found.steps) == (Part.TEXT, (4, 4))
    assert found.circumstances == (f"mul_tokens, seed 3: {said}",) * 2


def test_a_text_is_never_less_likely_than_a_longer_one(models: list[LoadedModel]) -> None:
    """Also where the shorter one ends within a fact, and where a fact is forbidden or read as another one."""
    for settings in (PLAIN, replace(PLAIN, forbid_facts=True), replace(PLAIN, swap=("7*8", "6*9"))):
        for model, other in (models, reversed(models)):
            writing = write(model, PARTED, settings)
            answers = [b"".join(map(one.model.vocabulary.text, one.ids)) for one in (writing, write(other, PARTED))]
            texts = {answer[:end] for answer in answers for end in range(1, 12)}
            found = chances(writing, 0, {(text, ends): () for text in texts for ends in (False, True)})
            pairs = [
                (short, long)
                for short, long in product(found, repeat=2)
                if not short[1] and long[0].startswith(short[0]) and short != long
            ]
            assert len(pairs) > 100
            for short, long in pairs:
                assert found[short].probability >= found[long].probability - 1e-9
                assert found[short].taken >= found[long].taken


def test_what_is_read_in_the_place_of_a_fact_counts(models: list[LoadedModel]) -> None:
    """Behind a swapped fact, and through one, the chances are those of what the model has read."""
    writing = write(models[1], AGREED, replace(PLAIN, swap=("7*8", "6*9")))
    assert models[1].vocabulary.chip(writing.ids[1]).text == "6*9=54"
    text = models[1].vocabulary.text(writing.ids[2])
    (behind,) = chances(writing, 2, {(text, False): ()}).values()
    assert behind.probability == pytest.approx(writing.steps[2].probability, abs=1e-5)
    (through,) = chances(writing, 1, {(b"6*9=54" + text, False): ()}).values()
    chain = writing.steps[1].probability * writing.steps[2].probability
    assert through.probability == pytest.approx(chain, abs=2e-3)
    unswapped = write(models[1], AGREED)
    (as_ever,) = chances(unswapped, 1, {(b"6*9=54" + text, False): ()}).values()
    assert abs(as_ever.probability - through.probability) > 1e-6


def test_the_first_character_of_a_fact_is_as_likely_as_the_fact(models: list[LoadedModel]) -> None:
    """All tokens that begin with it, and each way to it, are added up."""
    model = models[1]
    writing = write(model, PARTED)
    found = chances(writing, 1, {(b"7", False): (), (b"7*8=56", False): ()})
    with torch.inference_mode():
        then = model.model(torch.tensor([writing.read_ids(1)])).logits[0, -1].double().softmax(0)
    begun = [one for one in range(len(then)) if model.vocabulary.text(one).startswith(b"7")]
    assert len(begun) == 4  # the digit, and 7*7=49 to 7*9=63
    first, fact = found.values()
    assert first.probability == pytest.approx(float(then[begun].sum()), abs=1e-6)
    assert first.probability >= fact.probability > 0.9
    assert (first.num_tokens, first.taken) == (1, True)


def test_what_both_say_before_they_part_is_a_row(models: list[LoadedModel]) -> None:
    found = first_difference(*(write(model, PARTED) for model in models))
    both = row(found, "7*8=5")
    assert [one.taken for one in both.chances] == [True, True]
    assert min(one.probability for one in both.chances) > 0.9
    assert [one.num_tokens for one in both.chances] == [5, 1]


def test_a_context_without_room_for_a_text_has_no_probability_of_it(
    models: list[LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = write(models[0], PARTED)
    begin = len(writing.ids) - 1
    monkeypatch.setattr(LoadedModel, "num_positions", len(writing.read_ids(begin)) + 2)
    found = chances(writing, begin, {(b"ab", False): (), (b"abc", False): ()})
    assert [one.probability is None for one in found.values()] == [False, True]


def test_a_part_of_a_character_has_the_probability_of_its_token(
    models: list[LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other model has the same token, which no text that can be encoded shows."""
    (token, _) = models[0].tokenizer.encode("é")
    writings = [write(models[0], PARTED), Writing(models[0], PARTED, PLAIN)]
    monkeypatch.setattr(writings[1], "_choose", lambda logits: token)
    assert next(iter(writings[1])).chip.text == "\\xc3"
    found = first_difference(*writings)
    (part,) = [one for one in found.rows if one.text == "\\xc3"]
    assert [one.taken for one in part.chances] == [False, True]
    assert part.chances[0].probability == pytest.approx(writings[1].steps[0].probability, rel=1e-3)
