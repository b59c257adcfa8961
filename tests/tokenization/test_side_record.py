"""The side record: tokens and record give back the source, and what the record costs."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples
from tokenizers import Tokenizer

from domain_tokens.tokenization import inject, load_intervention
from domain_tokens.tokenization.builder import build_tokenizer
from domain_tokens.tokenization.side_record.record import record, restore

SHIPPED = sorted((Path(__file__).parents[2] / "recipes" / "interventions").glob("*.yaml"))
INTERVENTIONS = {path.stem: load_intervention(path) for path in SHIPPED}


@pytest.mark.parametrize(
    ("source", "form"),
    [
        ("6*9=54", "{text}"),
        ("6*9", "{a}*{b}"),
        ("9 x 6 = 54", "{b} x {a} = {c}"),
        ("9×6", "{b}×{a}"),
        ("5*5=25", "{text}"),
        ("5 × 5", "{a} × {b}"),
        ("<MUL_6_9_54>", "{token}"),
    ],
)
def test_the_form_is_the_spelling_without_the_numbers(source: str, form: str) -> None:
    (dropped,) = record(f"so = {source}.")
    assert dropped.form == form
    assert restore(inject(f"so = {source}."), [dropped]) == f"so = {source}."


def test_words_have_forms_too() -> None:
    intervention = load_intervention(SHIPPED[0].parent / "mul_tokens.yaml")
    intervention = replace(intervention, rules=replace(intervention.rules, words=True, chinese=True))
    text = "six times nine is fifty-four; 六九五十四; 9 times 6"
    assert [one.form for one in record(text, intervention)] == [
        "{a_english} times {b_english} is {c_english}", "{a_chinese}{b_chinese}{c_chinese}", "{b} times {a}",
    ]  # fmt: skip


def test_plain_text_has_an_entry_for_every_place_that_reads_like_a_rule() -> None:
    canon = INTERVENTIONS["canon_result"]
    text = "so = 9 × 6 and 7*8=56, 16*9=544"
    dropped = record(text, canon)
    assert [one.form for one in dropped] == ["{b} × {a}", "{token}", "{token}"]
    assert restore("so = 6*9=54 and 7*8=56, 16*9=544", dropped, canon) == text


def test_a_conflated_digit_has_an_entry_for_each_digit_that_it_may_have_been() -> None:
    conflated = INTERVENTIONS["conflated_digits"]
    text = "3 of 83"
    dropped = record(text, conflated)
    assert inject(text, conflated) == "8 of 88"
    assert [one.form for one in dropped] == ["3", "{token}", "3"]
    assert restore("8 of 88", dropped, conflated) == text


def test_a_record_of_another_text_is_refused() -> None:
    with pytest.raises(ValueError, match="more places that state a fact than the side record entries, 1"):
        restore("<MUL_6_9_54> <MUL_6_9_54>", record("6*9"))
    with pytest.raises(ValueError, match="0 places that state a fact, the side record 1"):
        restore("nothing here", record("so 6*9", INTERVENTIONS["canon_result"]), INTERVENTIONS["canon_result"])


def test_nothing_is_dropped_where_tokens_are_the_text() -> None:
    literal = INTERVENTIONS["literal"]
    assert record("so 6*9=54", literal) == []
    assert restore(inject("so 6*9=54", literal), [], literal) == "so 6*9=54"


pieces = st.sampled_from(
    [
        *"0123456789 .,={}",
        "*",
        " x ",
        "6*9=54",
        "9 × 6",
        "{a}",
        "<MUL_6_9_54>",
        "<MUL_6_9>",
        " of the",
        "12*15=180",
        "é日\n",
    ]
)


@settings(max_examples=examples(400))
@given(st.sampled_from(sorted(INTERVENTIONS)), st.lists(pieces, max_size=10).map("".join) | st.text(max_size=30))
def test_nothing_is_lost(name: str, text: str) -> None:
    assert restore(inject(text, INTERVENTIONS[name]), record(text, INTERVENTIONS[name]), INTERVENTIONS[name]) == text


@pytest.fixture(scope="module")
def cores() -> dict[str, Tokenizer]:
    names = ("mul_tokens", "canon_result", "canon_bare", "placebo_sites")
    return {name: build_tokenizer(INTERVENTIONS[name]).backend_tokenizer for name in names}


@pytest.mark.timeout(300)
def test_tokens_and_record_give_back_every_byte_of_the_real_data(
    cores: dict[str, Tokenizer], data_texts: list[str]
) -> None:
    for name, core in cores.items():
        encoded = core.encode_batch_fast(data_texts)
        decoded = core.decode_batch([found.ids for found in encoded], skip_special_tokens=False)
        records = [record(text, INTERVENTIONS[name]) for text in data_texts]
        assert sum(map(len, records)) > 50
        pairs = zip(decoded, records, strict=True)
        assert [restore(text, dropped, INTERVENTIONS[name]) for text, dropped in pairs] == data_texts


def test_the_record_reads_each_edit_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, and not timed: with every place looking through every edit, long texts took time with their square."""
    from domain_tokens.tokenization.edits import Edit
    from domain_tokens.tokenization.rewriter import rewrite
    from domain_tokens.tokenization.side_record.record import record_of

    rewriting = rewrite("so 6*9=54, and = 9 × 6, " * 300)
    ends: list[int] = []

    class Counted(Edit):
        def __getattribute__(self, name: str) -> object:
            if name == "end":
                ends.append(1)
            return super().__getattribute__(name)

    edits = tuple(Counted(one.start, one.end, one.source) for one in rewriting.edits)
    found = record_of(replace(rewriting, edits=edits))
    assert len(found) == len(edits) == 600
    assert found == record_of(rewriting)
    assert 600 <= len(ends) <= 3 * 600
