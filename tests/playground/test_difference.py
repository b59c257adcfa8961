"""Where two answers part: aligned by what they say, with the chances of both models for what either could write."""

import math
from dataclasses import replace

import pytest
import torch
from by_heart import AGREED, PARTED

from domain_tokens.playground.difference import Difference, Part, Row, first_difference
from domain_tokens.playground.models import LoadedModel
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
    assert ending.chances[0].probability == pytest.approx(ended.steps[-1].probability, abs=1e-5)


def test_what_the_settings_forbid_is_named(models: list[LoadedModel]) -> None:
    settings = replace(PLAIN, forbid_facts=True)
    found = first_difference(*(write(model, PARTED, settings) for model in models))
    assert found.part is Part.TEXT
    assert [one.forbidden for one in row(found, "7*8=56").chances] == [False, True]


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
