"""The code of the side record: exact lengths by hand, a distribution that sums to one, and what training teaches."""

import json
import math
import random
from pathlib import Path

import pytest

from domain_tokens.corpora.sources import read_documents
from domain_tokens.recipe import Source
from domain_tokens.runs.records import SideCodeRecord
from domain_tokens.tokenization import inject, load_intervention
from domain_tokens.tokenization.intervention import default_intervention
from domain_tokens.tokenization.side_record.code import SideCode
from domain_tokens.tokenization.side_record.learning import learn_side_code, sample_texts
from domain_tokens.tokenization.side_record.record import Dropped, record, restore

INTERVENTIONS = Path(__file__).parents[2] / "recipes" / "interventions"
OWN = default_intervention()


def code_of(*texts: str) -> SideCode:
    code = SideCode()
    for text in texts:
        code.learn(inject(text), record(text))
    return code


def bits(code: SideCode, text: str) -> list[float]:
    return code.bits(inject(text), record(text))


def test_an_empty_code_spells_a_form_out() -> None:
    assert [one.form for one in record("so 6*9.")] == ["{a}*{b}"]
    assert bits(SideCode(), "so 6*9.") == [8 * (7 + 1)]
    assert bits(SideCode(), "nothing") == []


def test_the_lengths_by_hand() -> None:
    """One training document, `so 6*9.`: at all four levels one form was seen, once."""
    code = code_of("so 6*9.")
    spelled = 2.0 ** -(8 * 8)
    # The same context: each level halves what the one below leaves, 1/2, 3/4, 7/8, 15/16.
    same = -math.log2((1 + (1 + (1 + (1 + spelled) / 2) / 2) / 2) / 2)
    assert bits(code, "or 7*8.") == [pytest.approx(same, rel=1e-12)]
    assert same == pytest.approx(-math.log2(15 / 16), rel=1e-12)
    # Another character behind: the level of the form before is the last one that knows anything.
    assert bits(code, "or 7*8,") == [pytest.approx(-math.log2(3 / 4))]
    # Another one in front: all but the highest level.
    assert bits(code, "(7*8.") == [pytest.approx(-math.log2(7 / 8))]
    # A form never seen: an escape at each of the four levels, then its eight bits a byte and its end.
    assert bits(code, "or = 7×8.") == [pytest.approx(4 + 8 * 9)]


def test_a_document_teaches_its_own_later_places_and_no_later_document() -> None:
    code = code_of("so 6*9.")
    before = code.sha256()
    first, second = bits(code, "or = 7×8. or = 4×6.")
    assert first == pytest.approx(4 + 72)
    # Seen once among two at the level without context; at the others the form before is new.
    assert second == pytest.approx(-math.log2((1 + 2.0**-72) / 3 + (1 / 3) * (2.0**-72)), rel=1e-9)
    assert code.sha256() == before
    assert bits(code, "or = 7×8. or = 4×6.") == [first, second]


def test_the_form_before_counts() -> None:
    code = code_of(*["p 6*9. b = 7×8. c 6*9. d = 7×8."] * 50)
    told = bits(code, "x = 3×4. y 3*4. z = 2×4.")
    assert told[1] < 0.1 > told[2]
    assert told[0] > 3  # no document began with it
    assert SideCode().bits("x <MUL_3_4_12>", [Dropped("{a}x{b}", 2, 14)]) == [8 * 8]


def test_the_probabilities_of_all_forms_sum_to_one() -> None:
    code = code_of("so 6*9. so = 7 × 8. or 9*6", "so 6*9=54, 6*9.")
    context = ("{a}*{b}", ".", " ")
    known = {form for (*_, form, _) in code.record(0, 0).counts}
    assert len(known) == 4
    # What is left for the rest: all strings of the 255 bytes that are no end, but those known.
    seen = sum(2 ** -code.bits_of(context, form) for form in known)
    escape = 2 ** -(code.bits_of(context, "Z") - 8 * 2)
    assert seen < 1
    unknown = 1 - sum(256.0 ** -(len(form.encode()) + 1) for form in known)
    assert seen + escape * unknown == pytest.approx(1, abs=1e-12)


def test_a_form_too_long_for_floating_point() -> None:
    assert SideCode().bits_of(("", "", ""), "x" * 500) == 8 * 501
    assert code_of("so 6*9.").bits_of(("", ".", " "), "x" * 500) == 8 * 501 + 4


def test_a_code_on_disk_is_the_code() -> None:
    code = code_of("so 6*9. so = 7 × 8.", "so 6*9=54")
    lying = SideCodeRecord.parse(json.loads(json.dumps(code.record(2, 30).as_json())), "here")
    assert (lying.documents, lying.source_bytes) == (2, 30)
    read = SideCode.of(lying)
    assert read.sha256() == code.sha256() != code_of("so 6*9.").sha256()
    assert bits(read, "so 3*4. so = 2 × 8") == bits(code, "so 3*4. so = 2 × 8")
    assert lying.counts == (
        ("", "", " ", "{text}", 1),
        ("", ".", " ", "{a}*{b}", 1),
        ("{a}*{b}", ".", " ", "{a} × {b}", 1),
    )


@pytest.mark.parametrize("num_forms", [2, 8])
def test_a_free_choice_of_spelling_costs_what_it_tells(num_forms: int) -> None:
    spellings = ["6*9", "9*6", "6 * 9", "9 * 6", "6*9=54", "6  *  9", "9 *6", "9 × 6 = 54"][:num_forms]
    draw = random.Random(0)
    texts = [f"so {draw.choice(spellings)}." for _ in range(2000)]
    code = code_of(*texts[:1000])
    found = [sum(bits(code, text)) for text in texts[1000:]]
    assert sum(found) / len(found) == pytest.approx(math.log2(num_forms), abs=0.02)


def test_plain_text_pays_for_every_place_that_a_rule_could_have_written() -> None:
    """`canon_result` writes digits: a reader cannot see which places the rules wrote."""
    canon = load_intervention(INTERVENTIONS / "canon_result.yaml")
    text = "= 9 × 6 and 7*8=56"
    dropped = record(text, canon)
    assert [(one.form, one.start, one.end) for one in dropped] == [("{b} × {a}", 2, 8), ("{token}", 13, 19)]
    assert restore("= 6*9=54 and 7*8=56", dropped, canon) == text
    code = SideCode()
    assert code.bits(inject(text, canon), dropped) == [
        8 * 11,
        pytest.approx(1 + 8 * 8),  # one form seen, at the level without context alone
    ]


def write_documents(folder: Path, number: int, files: int = 2) -> list[str]:
    source = Source(name="math", kind="synthetic", what="text", max_items=number)
    texts = [f"{text}\n({n})" for n, (_, text, _) in enumerate(read_documents(source, 0, 0.0, 0, 1))]
    for file in range(files):
        lines = [json.dumps({"id": str(n), "text": text}) + "\n" for n, text in enumerate(texts) if n % files == file]
        (folder / f"0000{file}.jsonl").write_text("".join(lines), encoding="utf-8")
    return [text for file in range(files) for n, text in enumerate(texts) if n % files == file]


def test_all_of_a_small_corpus_teaches(tmp_path: Path) -> None:
    texts = write_documents(tmp_path, 60)
    assert list(sample_texts(tmp_path, 10**6)) == texts
    learned = learn_side_code(tmp_path, OWN)
    assert (learned.documents, learned.source_bytes) == (60, sum(len(text.encode()) for text in texts))
    assert SideCode.of(learned).sha256() == code_of(*texts).sha256()
    assert sum(count for *_, count in learned.counts) == sum(len(record(text)) for text in texts) > 20


def test_a_large_corpus_is_sampled_all_over(tmp_path: Path) -> None:
    texts = write_documents(tmp_path, 2000)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    sampled = list(sample_texts(tmp_path, size // 4))
    places = [texts.index(text) for text in sampled]
    assert set(sampled) < set(texts)
    assert len(texts) / 8 < len(sampled) < len(texts) / 2
    for quarter in range(4):
        assert any(quarter * 500 <= place < (quarter + 1) * 500 for place in places)
    assert list(sample_texts(tmp_path, size // 4)) == sampled
    assert len(set(sampled)) == len(sampled)


def test_context_saves_a_third_of_the_bits_that_frequencies_take(tmp_path: Path) -> None:
    """The generator's own mixture: frequencies alone, then with what stands before and around."""
    source = Source(name="math", kind="synthetic", what="text", max_items=1500)
    documents = list(read_documents(source, 0, 0.1, 0, 1))
    train, held_out = ([text for _, text, held in documents if held is wanted] for wanted in (False, True))
    assert (len(train), len(held_out)) == (1350, 150)
    code = code_of(*train)
    num_bytes = sum(len(text.encode()) for text in held_out)
    in_context = sum(sum(bits(code, text)) for text in held_out) / num_bytes
    alone = SideCode()
    for *_, form, count in code.record(0, 0).counts:
        for _ in range(count):
            alone.learn("", [Dropped(form, 0, 0)])
    forms = [one.form for text in held_out for one in record(text)]
    by_frequency = sum(alone.bits_of(("?", "?", "?"), form) for form in forms) / num_bytes
    assert len(forms) > 100
    assert by_frequency > 1.5 * in_context > 0
