"""The edit language: what is read, what is refused and with which words, and the texts that an edit makes."""

import random

import pytest
from adaptable import small_settings
from hypothesis import given
from hypothesis import strategies as st

from domain_tokens.corpora.worlds.language import Fact, read_facts, taught_question
from domain_tokens.corpora.worlds.passages import Passage, as_document, passages, questions_about
from domain_tokens.seal.edits import FORMS, Edit, EditError, EditLanguage, texts_of

LANGUAGE = EditLanguage((1, 2, 4), (2, 8), (1e-5, 0.001, 0.003, 1.0), (4, 16))
GOOD = "write statements+questions; repeat 2; train lora 8; rate 0.003; steps 16"
PASSAGE, OTHER = passages("adapt", 2, 0)

edits = st.builds(Edit, **{name: st.sampled_from(list(values)) for name, values in LANGUAGE.parts.items()})
forms = pytest.mark.parametrize("form", FORMS)


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


@given(edits)
def test_every_edit_is_read_as_it_is_written(edit: Edit) -> None:
    assert LANGUAGE.parse(str(edit)) == edit


def test_the_example_is_read() -> None:
    assert LANGUAGE.parse(GOOD) == Edit(("statements", "questions"), 2, 8, 0.003, 16)
    last = LANGUAGE.parse(changed("lora 8", "last layer"))
    assert (last.rank, last.target) == (None, "last_layer")
    assert LANGUAGE.parse(GOOD).target == "lora"


def test_every_set_of_forms_is_of_the_language() -> None:
    assert len(set(LANGUAGE.parts["forms"])) == 2 ** len(FORMS) - 1


REFUSED = {
    "unknown form": (changed("questions", "riddles"), "forms: expected one of passage, .*got statements.riddles"),
    "wrong order": (
        changed("statements+questions", "questions+statements"), "forms: .*statements.questions.*got questions.statem",
    ),
    "doubled form": (changed("statements+questions", "statements+statements"), "forms: .*got statements.statements"),
    "no form": (changed("statements+questions", ""), "expected an edit like `write"),
    "empty form": (changed("statements+questions", "+questions"), r"forms: .*got \+questions"),
    "repeat": (changed("repeat 2", "repeat 3"), "repeat: expected one of 1, 2, 4, got 3"),
    "rank": (changed("lora 8", "lora 4"), "rank: expected one of last layer, 2, 8, got 4"),
    "rate": (changed("0.003", "0.004"), "learning_rate: expected one of 1e-05, 0.001, 0.003, 1.0, got 0.004"),
    "steps": (changed("steps 16", "steps 5"), "steps: expected one of 4, 16, got 5"),
    "no number": (changed("0.003", "1e"), "rate: expected a number, got '1e'"),
    "dots": (changed("0.003", "0.0.3"), "rate: expected a number, got '0.0.3'"),
    "infinite": (changed("0.003", "1e999"), "learning_rate: .*got inf"),
    "other spelling": (changed("0.003", "3e-3"), "expected `write .*rate 0.003; steps 16`, got .*3e-3"),
    "trailing zero": (changed("0.003", "0.0030"), "rate 0.003; steps 16`, got"),
    "plus": (changed("0.003", "+0.003"), "rate 0.003; steps 16`, got"),
    "leading zero": (changed("repeat 2", "repeat 02"), "repeat 2;.*got .*repeat 02"),
    "other digits": (changed("repeat 2", "repeat ٢"), "repeat 2;.*got .*repeat ٢"),
    "wide digits": (changed("steps 16", "steps １６"), "steps 16`, got .*１６"),
    "capital": (changed("write", "Write"), "expected an edit like"),
    "parts in another order": (
        "write statements; train lora 8; repeat 2; rate 0.003; steps 16", "expected an edit like"
    ),
    "missing part": (changed("; steps 16", ""), "expected an edit like"),
    "trailing text": (f"{GOOD}; and more", "expected an edit like"),
    "trailing space": (f"{GOOD} ", "expected an edit like"),
    "leading space": (f" {GOOD}", "expected an edit like"),
    "newline behind": (f"{GOOD}\n", "expected an edit like"),
    "newline inside": (changed("; repeat", ";\nrepeat"), "expected an edit like"),
    "no-break space": (changed("lora 8", "lora\N{NO-BREAK SPACE}8"), "expected an edit like"),
    "look-alike": (changed("write", "writ\N{CYRILLIC SMALL LETTER IE}"), "expected an edit like"),
    "too long": (changed("repeat 2", f"repeat {'0' * 200}2"), "expected an edit like"),
    "very long": (changed("repeat 2", f"repeat {'9' * 10_000}"), "expected an edit like"),
    "empty": ("", "expected an edit like .*got ''"),
    "last layer with a rank": (changed("lora 8", "last layer 8"), "expected an edit like"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_everything_else_is_refused_with_what_was_expected(text: str, message: str) -> None:
    assert LANGUAGE.parse(GOOD)
    with pytest.raises(EditError, match=message) as refused:
        LANGUAGE.parse(text)
    assert len(str(refused.value)) < 600


@given(edits, st.data())
def test_an_edit_with_one_character_changed_is_another_edit_or_refused(edit: Edit, data: st.DataObject) -> None:
    text = str(edit)
    place = data.draw(st.integers(0, len(text) - 1))
    other = text[:place] + data.draw(st.characters()) + text[place + data.draw(st.integers(0, 1)) :]
    read = [one for one in [_read(other)] if one is not None]
    assert [str(one) for one in read] in ([], [other])


def _read(text: str) -> Edit | None:
    try:
        return LANGUAGE.parse(text)
    except EditError:
        return None


def test_the_language_is_that_of_the_recipe() -> None:
    language = EditLanguage.of(small_settings(steps=[3], ranks=[5], learning_rates=[0.5], repeats=[7]))
    assert str(language.draw(random.Random(0))).endswith("rate 0.5; steps 3")
    assert language.parse("write passage; repeat 7; train lora 5; rate 0.5; steps 3").repeat == 7
    with pytest.raises(EditError, match="repeat: expected one of 7"):
        language.parse(GOOD)


def test_drawing_is_even_in_every_part() -> None:
    rng = random.Random(0)
    drawn = [LANGUAGE.draw(rng) for _ in range(3000)]
    for name, values in LANGUAGE.parts.items():
        for value in values:
            share = sum(getattr(edit, name) == value for edit in drawn) / len(drawn)
            assert share == pytest.approx(1 / len(values), rel=0.3), (name, value)


def facts_of(text: str) -> set[Fact]:
    """Return the facts that a text of any form states; a question with its answer is looked up among all of them."""
    if not text.startswith("User: "):
        return set(read_facts(text))
    found = [
        fact
        for passage in (PASSAGE, OTHER)
        for fact in passage.facts
        for wording in (0, 1)
        if as_document(taught_question(fact, wording)) == text
    ]
    assert len(found) == 1, text
    return set(found)


def made(*wanted: str, repeat: int = 1, passage: Passage = PASSAGE, seed: int = 0) -> list[str]:
    return texts_of(Edit(wanted, repeat, None, 0.003, 4), passage.text, seed)


@forms
@pytest.mark.parametrize("repeat", [1, 2, 4])
def test_the_texts_of_each_form_state_the_passages_facts_as_often_as_it_repeats(form: str, repeat: int) -> None:
    found = made(form, repeat=repeat)
    a_time = 1 if form in ("passage", "rewrite") else len(PASSAGE.facts)
    assert len(found) == repeat * a_time
    for number in range(repeat):
        stated = [facts_of(text) for text in found[number * a_time : (number + 1) * a_time]]
        assert set().union(*stated) == set(PASSAGE.facts)
        assert sum(map(len, stated)) == len(PASSAGE.facts)


def test_the_forms_of_an_edit_come_together() -> None:
    assert len(made(*FORMS)) == len(made(*FORMS, repeat=2)) / 2 == 2 * 1 + 2 * len(PASSAGE.facts)


def test_a_rewritten_passage_is_other_words_and_a_passage_is_its_own() -> None:
    assert made("passage", repeat=2) == [PASSAGE.text] * 2
    first, second = made("rewrite", repeat=2)
    assert len({first, second, PASSAGE.text}) == 3


@pytest.mark.parametrize(("form", "wordings"), [("statements", 4), ("questions", 2)])
def test_repeating_goes_through_all_wordings(form: str, wordings: int) -> None:
    found = made(form, repeat=wordings)
    assert len(set(found)) == wordings * len(PASSAGE.facts)


def test_nothing_but_the_passages_text_is_read() -> None:
    alone = " ".join(PASSAGE.text.split(". ")[0:1]) + "."
    stated = set(read_facts(alone))
    assert 0 < len(stated) < len(PASSAGE.facts)
    for form in FORMS:
        assert set().union(*map(facts_of, texts_of(Edit((form,), 2, None, 0.003, 4), alone, 0))) == stated


def test_a_text_that_is_no_passage_is_refused() -> None:
    with pytest.raises(ValueError, match="no sentence of an invented world: 'It rains.'"):
        texts_of(Edit(("passage",), 1, None, 0.003, 4), "It rains.", 0)


def test_no_text_asks_a_held_out_question() -> None:
    held_out = {as_document(one) for seed in range(20) for one in questions_about(PASSAGE.facts, random.Random(seed))}
    assert len(held_out) == 2 * len(PASSAGE.facts)
    written = {text for seed in range(3) for text in made(*FORMS, repeat=4, seed=seed)}
    assert len(written) > len(held_out)
    assert not held_out & written
    for question in {text.partition("\n")[0] for text in held_out}:
        assert not any(question in text for text in written)


@forms
def test_the_same_seed_gives_the_same_texts(form: str) -> None:
    assert made(form, repeat=2) == made(form, repeat=2)
    assert (made(form) == made(form, seed=1)) == (form != "rewrite")
    assert made(form) != made(form, passage=OTHER)
