"""Answers token by token: the evaluation's own tokens, with the model's own probabilities, and shared chance."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from by_heart import AGREED, NUM_POSITIONS, PARTED

from domain_tokens.evaluation.models.inference import Decoding, generate
from domain_tokens.playground.models import LoadedModel
from domain_tokens.playground.reading import read
from domain_tokens.playground.visible import visible
from domain_tokens.playground.vocabulary import Kind, check_swap
from domain_tokens.playground.writing import End, Settings, Writing
from domain_tokens.recipe import RecipeError
from domain_tokens.tokenization.prompts import render_prompt

PLAIN = Settings(max_new_tokens=20)
DRAWN = replace(PLAIN, temperature=3.0, seed=7)
SWAP = ("9 x 6", "7*8=56")


def write(model: LoadedModel, question: str, settings: Settings = PLAIN) -> Writing:
    writing = Writing(model, question, settings)
    for _ in writing:
        pass
    return writing


def shown(writing: Writing) -> str:
    return "".join(step.chip.text for step in writing.steps)


def facts(writing: Writing) -> list[str]:
    return [step.chip.name for step in writing.steps if step.chip.kind is Kind.FACT]


def test_a_fact_is_one_chip_and_says_what_digits_say(models: list[LoadedModel]) -> None:
    baseline, tokens = (write(model, AGREED) for model in models)
    assert shown(baseline) == shown(tokens) == " 6*9=54↵#### 54end of text"
    assert (facts(baseline), facts(tokens)) == ([], ["<MUL_6_9_54>"])
    assert [writing.end for writing in (baseline, tokens)] == [End.END_OF_TEXT] * 2
    assert len(tokens.ids) == len(baseline.ids) - len("6*9=54") + 1


@pytest.mark.parametrize(
    "settings", [PLAIN, DRAWN, replace(PLAIN, forbid_facts=True), replace(DRAWN, forbid_facts=True)]
)
def test_the_tokens_are_those_of_the_evaluation(models: list[LoadedModel], settings: Settings) -> None:
    lengths = []
    for model, seed in product(models, range(4) if settings.temperature else [0]):
        forbidden = tuple(model.vocabulary.added) if settings.forbid_facts else ()
        decoding = Decoding(20, temperature=settings.temperature, seed=seed, forbidden_ids=forbidden)
        ((expected,),) = generate(model.model, model.tokenizer, [render_prompt(PARTED)], decoding, batch_size=1)
        writing = write(model, PARTED, replace(settings, seed=seed))
        # Evaluation goes on behind a reserved id, and cuts the answer there.
        is_ended = writing.steps[-1].chip.kind is Kind.RESERVED
        assert writing.ids == (expected[: len(writing.ids)] if is_ended else expected)
        lengths.append(len(writing.ids))
    assert sum(lengths) > 8


def test_probabilities_are_the_models_own_whatever_is_drawn_or_forbidden(models: list[LoadedModel]) -> None:
    model = models[1]
    for settings in (DRAWN, replace(PLAIN, forbid_facts=True), replace(PLAIN, swap=SWAP)):
        writing = write(model, AGREED, settings)
        with torch.inference_mode():
            logits = model.model(torch.tensor([writing.read_ids(len(writing.ids) - 1)])).logits[0]
        rows = logits[len(writing.prompt.ids) - 1 :].softmax(dim=-1)
        assert len(rows) == len(writing.steps) > 3
        for row, step in zip(rows, writing.steps, strict=True):
            assert step.probability == pytest.approx(float(row[step.chip.id]), abs=1e-5)
            assert len(step.rivals) == 5
            best = [one for one in row.topk(7).values.tolist() if abs(one - float(row[step.chip.id])) > 1e-9][:5]
            assert [rival.probability for rival in step.rivals] == pytest.approx(best, abs=1e-5)


def test_a_forbidden_fact_stays_a_rival_and_is_not_written(models: list[LoadedModel]) -> None:
    model = models[1]
    free, forbidden = write(model, AGREED), write(model, AGREED, replace(PLAIN, forbid_facts=True))
    (place,) = [index for index, step in enumerate(free.steps) if step.chip.kind is Kind.FACT]
    assert forbidden.ids[:place] == free.ids[:place]
    likeliest = forbidden.steps[place].rivals[0]
    assert (likeliest.chip.name, likeliest.forbidden) == ("<MUL_6_9_54>", True)
    assert likeliest.probability == pytest.approx(free.steps[place].probability, abs=1e-5)
    assert facts(forbidden) == []


def test_every_added_id_is_forbidden(models: list[LoadedModel]) -> None:
    """Also the first and the last, whatever the model thinks of them."""
    added = models[1].vocabulary.added
    for settings in (replace(PLAIN, forbid_facts=True), replace(DRAWN, forbid_facts=True)):
        for token_id in (added[0], added[1], added[-1], added[0] - 1):
            logits = torch.full((len(models[1].vocabulary),), -50.0)
            logits[token_id] = 50.0
            chosen = Writing(models[1], AGREED, settings)._choose(logits)
            assert (chosen in added, chosen == token_id) == (False, token_id not in added)


def test_one_seed_is_the_same_chance_for_all(models: list[LoadedModel]) -> None:
    """The same model under two names draws the same; forbidding changes a draw only where a fact would be drawn."""
    model = models[1]
    first, again, other = (write(model, AGREED, replace(DRAWN, seed=seed)) for seed in (7, 7, 8))
    assert first.ids == again.ids != other.ids
    num_same = 0
    for seed in range(6):
        free, without = (
            write(model, AGREED, replace(DRAWN, seed=seed, forbid_facts=forbid)) for forbid in (False, True)
        )
        first_fact = next((at for at, step in enumerate(free.steps) if step.chip.kind is Kind.FACT), None)
        assert free.ids[:first_fact] == without.ids[:first_fact]
        num_same += len(free.ids[:first_fact])
    assert num_same > 6


def test_a_swapped_fact_is_read_as_the_other_and_written_as_itself(models: list[LoadedModel]) -> None:
    baseline, tokens = models
    six, seven = (tokens.vocabulary.fact_named(name) for name in SWAP)
    writing = write(tokens, AGREED, replace(PLAIN, swap=SWAP))
    assert facts(writing)[0] == "<MUL_6_9_54>"
    at = len(writing.prompt.ids) + writing.ids.index(six)
    assert writing.read_ids(len(writing.ids))[at] == seven
    assert writing.steps[2].probability != pytest.approx(write(tokens, AGREED).steps[2].probability, abs=1e-6)
    assert write(baseline, AGREED, replace(PLAIN, swap=SWAP)).ids == write(baseline, AGREED).ids


def test_facts_are_named_in_any_spelling_and_others_refused(models: list[LoadedModel]) -> None:
    vocabularies = [model.vocabulary for model in models]
    names = ("6*9", "9*6", "9 x 6", "6 × 9 = 54", "6*9=54", "<MUL_6_9_54>", " 6*9 ")
    assert {vocabularies[1].fact_named(name) for name in names} == {vocabularies[1].added[38]}
    assert vocabularies[1].chip(vocabularies[1].added[38]).text == "6*9=54"
    assert [vocabularies[1].fact_named(name) for name in ("6+9", "6*10", "", "six", "6*9=54; 1")] == [None] * 5
    assert vocabularies[0].fact_named("6*9") is None
    check_swap(vocabularies, SWAP)
    with pytest.raises(RecipeError, match=r"^6\*77: no model has a token for it; expected one such as 1\*1=1"):
        check_swap(vocabularies, ("6*9", "6*77"))
    with pytest.raises(RecipeError, match=r"^6\*9 and 9\*6: expected two different facts"):
        check_swap(vocabularies, ("6*9", "9*6"))
    with pytest.raises(RecipeError, match="no model here has facts"):
        check_swap(vocabularies[:1], SWAP)


def test_what_the_tokenizer_rewrites_in_a_question_is_said(models: list[LoadedModel]) -> None:
    baseline, tokens = (Writing(model, "Is 6 x 9 = 54?", PLAIN).prompt for model in models)
    assert baseline.rewritten == ()
    assert tokens.rewritten == (("6 x 9 = 54", "<MUL_6_9_54>"),)
    assert [chip.text for chip in tokens.chips if chip.kind is Kind.FACT] == ["6*9=54"]
    assert "".join(chip.text for chip in baseline.chips) == "User: Is 6 x 9 = 54?↵Assistant:"


def test_equations_are_marked_and_the_number_is_read(models: list[LoadedModel]) -> None:
    wrong, right = (read(write(model, PARTED)) for model in models)
    assert [(one.text, one.right, one.form) for one in wrong.equations] == [("7*8=54", False, "digits")]
    assert [(one.text, one.right, one.form) for one in right.equations] == [("7*8=56", True, "fact")]
    assert (wrong.number, right.number) == ("54", "56")
    for model, found in zip(models, (wrong, right), strict=True):
        writing, (mark,) = write(model, PARTED), found.equations
        inside = [step.chip.text for step in writing.steps if step.start < mark.end and step.end > mark.start]
        assert "".join(inside) == mark.text
        assert found.num_tokens == len(writing.ids) - 1  # without the end of text


def test_a_question_without_room_is_refused_and_a_full_context_is_said(models: list[LoadedModel]) -> None:
    frame = len(render_prompt(""))  # a byte each
    with pytest.raises(RecipeError, match=r"baseline, seed 3: the question is 128 tokens .* has 128: no room"):
        Writing(models[0], "x" * (NUM_POSITIONS - frame), PLAIN)
    writing = write(models[0], "x" * (NUM_POSITIONS - frame - 1), replace(PLAIN, temperature=50.0))
    assert len(writing.ids) == 1
    assert writing.end in (End.CONTEXT, End.END_OF_TEXT)
    assert write(models[0], AGREED, replace(PLAIN, max_new_tokens=3)).end is End.LIMIT


def test_bytes_of_one_character_are_chips_of_their_own(models: list[LoadedModel]) -> None:
    prompt = Writing(models[0], "é\x00\u202e", PLAIN).prompt
    assert [chip.text for chip in prompt.chips[6:12]] == ["\\xc3", "\\xa9", "\\x00", "\\xe2", "\\x80", "\\xae"]
    assert visible("a\u202eb\x1b[2J\n\t é\ud800") == "a\\u202eb\\x1b[2J↵⇥ é\\ud800"


def test_every_kind_of_token_is_told_apart(models: list[LoadedModel]) -> None:
    vocabulary = models[1].vocabulary
    ids = (54, 256, 257, 320, 364)
    assert [vocabulary.kind(one) for one in ids] == [Kind.TEXT, Kind.END, Kind.RESERVED, Kind.FACT, Kind.FACT]
    assert models[0].vocabulary.kind(320) is Kind.RESERVED
    assert [vocabulary.text(one) for one in ids[1:3]] == [b"", b""]


def test_the_next_question_belongs_to_no_answer(models: list[LoadedModel], monkeypatch: pytest.MonkeyPatch) -> None:
    baseline = models[0]
    ids = iter(baseline.tokenizer.encode(" 6*9=54\n#### 54\nUser: 2*2=5"))
    monkeypatch.setattr(Writing, "_choose", lambda self, logits: next(ids))
    writing = write(baseline, AGREED, replace(PLAIN, max_new_tokens=60))
    found = read(writing)
    assert (writing.end, writing.written) == (End.NEXT_QUESTION, " 6*9=54\n#### 54\nUser:")
    assert (found.num_tokens, found.number) == (len(" 6*9=54\n#### 54"), "54")
    assert [one.text for one in found.equations] == ["6*9=54"]
