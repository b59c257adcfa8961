"""Questions of an evaluation set planted in other text, and text that shares no more than phrases with them."""

import json
import random
import re
import string
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples
from real_data import SAMPLES, real_data

from domain_tokens.corpora.contamination import scanning
from domain_tokens.corpora.contamination.gate import clean
from domain_tokens.corpora.contamination.index import ContaminationIndex, Finding, Question
from domain_tokens.corpora.contamination.markup import edits, plain_text
from domain_tokens.corpora.contamination.scanning import edits_of
from domain_tokens.corpora.contamination.words import grams, words_of
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.tokenization.rewriter import rewriter_of

RNG = random.Random(0)
_QUESTIONS = """\
Wiremu keeps 14 hives behind the old chapel, and each hive gives 9 jars of honey in a good summer. He sells
two thirds of the jars at the harbour and gives 6 to his neighbours. How many jars has he left for the winter?

The night bus to Tallinn leaves with 38 passengers. At the first stop 11 get off and 4 get on, at the second
twice as many get on as at the first. How many passengers does the bus carry when it reaches the border?

A printer binds 120 booklets an hour while the small machine runs and 75 more when the big one helps. It runs
alone for 3 hours and with help for 2. How many booklets lie on the table in the evening?

Noor paints a fence of 45 boards in the colours of the club: every third board is green, every fifth is white,
and boards that would be both stay bare. How many boards does she paint at all?
"""
LONG = [" ".join(text.split()) for text in _QUESTIONS.split("\n\n")]
MIDDLE = "Each of 5 lamps burns 30 litres yearly"  # eight words
TINY = "What is 6 times 9?"
INDEX = ContaminationIndex([Question("test", str(index), text) for index, text in enumerate([*LONG, MIDDLE, TINY])])
FILLER = [" ".join(json.loads(line).values()) for line in (SAMPLES / "pages.jsonl").read_text("utf-8").splitlines()]


def other_numbers(text: str) -> str:
    return re.sub(r"\d+", lambda _: str(RNG.randint(2, 999)), text)


def as_list(text: str) -> str:
    return "## Task\n\n" + "\n".join(f"- **{part}**" for part in re.split(r"(?<=[.?:,]) ", text))


def inside(text: str) -> str:
    return f"{FILLER[0]}\n\n{text}\n\n{FILLER[1]}"


COPIES: dict[str, Callable[[str], str]] = {
    "verbatim": str,
    "in lines": lambda text: "\r\n".join(textwrap.wrap(text, 31)),
    "upper case": str.upper,
    "without punctuation": lambda text: text.translate(str.maketrans("", "", string.punctuation)),
    "as a list": as_list,
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "in a document": inside,
    "with its answer": lambda text: f"Question: {text}\nAnswer: 12",
}


@pytest.mark.parametrize("text", LONG)
@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_copy_is_found_where_it_stands(copy: Callable[[str], str], text: str) -> None:
    planted = copy(text)
    (found,) = INDEX.find(planted)
    assert INDEX.questions[found.question].text == text
    assert found.kind == "exact"
    assert not found.is_warning
    covered = words_of([planted[found.start : found.end], copy(text) if copy is not inside else text])
    first, second = np.split(covered.hashes, covered.ends[:1])
    assert set(first.tolist()) <= set(second.tolist())
    assert len(first) >= len(words_of([text]).hashes)


@pytest.mark.parametrize("text", LONG)
def test_a_copy_with_other_numbers_is_found(text: str) -> None:
    for _ in range(20):
        planted = inside(other_numbers(text))
        assert text not in planted
        (found,) = INDEX.find(planted)
        assert found.kind in ("masked", "13-gram")
        first, _, last = planted.partition(planted[found.start : found.end])
        assert FILLER[0].strip()[-20:] in first
        assert FILLER[1].strip()[:20] in last


@pytest.mark.parametrize("text", LONG)
def test_a_part_is_found_and_a_phrase_is_a_warning(text: str) -> None:
    words = text.split()
    kinds = {
        number: [found.kind for found in INDEX.find(" ".join(words[4 : 4 + number]))] for number in (7, 9, 12, 13)
    }
    assert kinds[7] == []
    assert kinds[9] == ["8-gram"]
    assert kinds[12][0] in ("8-gram", "masked in part")
    assert kinds[13] == ["13-gram"]
    assert INDEX.find(" ".join(words[:8]) + " again")[0].is_warning


def test_a_short_question_is_found_whole() -> None:
    assert [found.kind for found in INDEX.find(f"He said: {MIDDLE.lower()}, all of them.")] == ["exact"]
    assert INDEX.find(" ".join(MIDDLE.split()[1:])) == []
    assert [found.kind for found in INDEX.find("what is 6 times 9")] == ["exact"]
    assert INDEX.find("Children, what is 6 times 9? Nobody knows.") == []


def test_text_of_others_holds_none() -> None:
    assert len(FILLER) > 5
    assert all(not any(not found.is_warning for found in INDEX.find(text)) for text in FILLER)


def test_texts_are_not_read_across_their_ends() -> None:
    halves = LONG[0][: LONG[0].index("honey")], LONG[0][LONG[0].index("honey") :]
    assert [one.kind for one in INDEX.find("\n".join(halves))] == ["exact"]
    (first, second) = INDEX.find_all(halves)
    assert "exact" not in [one.kind for one in (*first, *second)]


def test_many_texts_are_found_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*FILLER, *map(inside, LONG), "", *LONG, TINY, "…"]
    alone = [INDEX.find(text) for text in texts]
    assert sum(map(len, alone)) >= 2 * len(LONG) + 1
    assert list(INDEX.find_all(texts)) == alone
    monkeypatch.setattr("domain_tokens.corpora.contamination.index._CHUNK_CHARACTERS", 300)
    assert list(INDEX.find_all(texts)) == alone


def test_an_empty_index_finds_nothing() -> None:
    assert ContaminationIndex([]).find(LONG[0]) == []


@given(st.text(max_size=200), st.text(max_size=200))
def test_words_are_found_where_they_are(before: str, after: str) -> None:
    texts = [before, f"{before}\n{after}", after]
    words = words_of(texts)
    assert len(words.ends) == 3
    assert len(words.hashes) == words.ends[-1]
    for text, start, end in zip(words.text, words.start, words.end, strict=True):
        assert 0 <= start < end <= len(texts[text])
        assert not texts[text][start:end].isspace()
    first = words.hashes[: words.ends[0]].tolist()
    last = words.hashes[words.ends[1] :].tolist()
    assert words.hashes[words.ends[0] : words.ends[1]].tolist() == first + last


@given(st.lists(st.sampled_from("abcefgh"), max_size=30), st.integers(1, 6))
def test_runs_of_words_have_one_hash_each(letters: list[str], length: int) -> None:
    words = words_of([" ".join(letters), "a b c"])
    found, position = grams(words.hashes, words.text, length)
    runs = [tuple(one[i : i + length]) for one in (letters, list("abc")) for i in range(len(one) - length + 1)]
    assert len(found) == len(position) == len(runs)
    assert len(set(found.tolist())) == len(set(runs))


def test_the_place_of_a_finding_lies_within_its_text() -> None:
    part = " ".join(LONG[1].split()[-20:])
    (found,) = INDEX.find(part)
    assert found == Finding(1, "13-gram", 0, len(part) - 1)  # the question mark is no part of a word


DOCUMENT = "\n\n".join(FILLER)


@pytest.mark.parametrize("text", LONG)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_long_document_loses_the_paragraph_of_the_question(text: str, number: int) -> None:
    assert len(DOCUMENT) > 1000
    paragraphs = DOCUMENT.split("\n\n")
    paragraphs.insert(number * len(paragraphs) // 2, text)
    (cleaned,) = clean(INDEX, ["\n\n".join(paragraphs)])
    assert cleaned.text is not None
    assert cleaned.text.strip() == DOCUMENT.strip()
    (found,) = cleaned.found
    assert found.kind == "exact"
    assert INDEX.questions[found.question].text == text


def test_a_document_in_one_paragraph_loses_the_sentences_of_the_question() -> None:
    before, after = ("It rained all day. " * 40, " Nobody came home. " * 40)
    (cleaned,) = clean(INDEX, [before + other_numbers(LONG[1]) + after])
    assert cleaned.found
    assert cleaned.text is not None
    assert cleaned.text.split() == (before + after).split()


def test_questions_in_one_document_are_all_taken_out_and_each_copy_of_them() -> None:
    planted = [
        LONG[2],
        *FILLER[:2],
        LONG[0],
        LONG[3],
        *FILLER[2:4],
        LONG[2].upper(),
        *FILLER[4:],
        other_numbers(LONG[0]),
    ]
    (cleaned,) = clean(INDEX, ["\n\n".join(planted)])
    assert sorted(found.question for found in cleaned.found) == [0, 2, 3]
    assert cleaned.text is not None
    assert cleaned.text.strip() == DOCUMENT.strip()


def test_a_short_text_goes_whole_and_clean_text_stays() -> None:
    texts = [f"{LONG[0]} He has 36.", DOCUMENT, f"{DOCUMENT}\n\n{LONG[1]}", ""]
    texts.append(" ".join(LONG[3].split()[:10]) + " again")
    cleaned = list(clean(INDEX, texts))
    assert [one.text for one in cleaned] == [None, DOCUMENT, f"{DOCUMENT}\n\n", "", texts[-1]]
    assert [one.warnings for one in cleaned] == [0, 0, 0, 0, 1]


@given(st.lists(st.sampled_from([*LONG, *FILLER, LONG[0].upper(), as_list(LONG[1]), "Nobody came."]), max_size=8))
def test_what_is_left_holds_no_question(parts: list[str]) -> None:
    (cleaned,) = clean(INDEX, ["\n\n".join(parts)])
    assert cleaned.text is None or all(found.is_warning for found in INDEX.find(cleaned.text))


MARKED: dict[str, Callable[[str], str]] = {
    "every word in bold": lambda text: " ".join(f"**{word}**" for word in text.split()),
    "half a word in bold": lambda text: re.sub(r"\b([A-Za-z]{2})(\w)", r"**\1**\2", text),
    "slanted": lambda text: re.sub(r"(\S+)", r"_\1_", text),
    "quoted": lambda text: "\n".join(f"> {line}" for line in textwrap.wrap(text, 40)),
    "numbered sentences": lambda text: "\n".join(
        f"{number}. {part}" for number, part in enumerate(re.split(r"(?<=[.?:]) ", text), 1)
    ),
    "bullets": lambda text: "\n".join(f"* {part}" for part in re.split(r"(?<=[.?:,]) ", text)),
    "comments": lambda text: text.replace(" ", " <!-- note --> ", 9),
    "a comment of Markdown": lambda text: text.replace(". ", ".\n[//]: # (a comment)\n"),
    "tags": lambda text: "<div class='q'>" + re.sub(r"(\w+) ", r"<span style='a: b'>\1</span> ", text) + "</div>",
    "a tag within a word": lambda text: re.sub(r"\b(\w\w)(\w)", r"\1<b>\2</b>", text),
    "lines in tags": lambda text: "<p>" + text.replace(" ", "</p><p>") + "</p>",
    "entities": lambda text: text.replace(" ", "&nbsp;").replace(",", "&#44;").replace(".", "&period;"),
    "entities twice": lambda text: text.replace(" ", "&amp;nbsp;"),
    "numbers as entities": lambda text: re.sub(r"\d", lambda digit: f"&#{ord(digit[0])};", text),
    "a literal line break": lambda text: text.replace(" ", "\\n"),
    "literal line ends": lambda text: text.replace(". ", ".\\r\\n"),
    "escaped": lambda text: re.sub(r"([.,!?*])", r"\\\1", text),
    "as a JSON string": lambda text: json.dumps(text.replace(" ", "\u00a0")),
    "LaTeX": lambda text: r"\textbf{" + re.sub(r"(\d+)", r"$\1$", text) + r"} \\\\",
    "a link": lambda text: re.sub(r"\b(the \w+)", r"[\1](http://example.org/a_b)", text),
    "soft hyphens": lambda text: re.sub(r"(\w\w)(\w)", "\\1\u00ad\\2", text),
    "divided at line ends": lambda text: re.sub(r"\b(har)(bour|dly)\b|\b(pas)(sen)", r"\1\3-\n\2\4", text),
    "ligatures": lambda text: text.replace("fi", "ﬁ").replace("ff", "ﬀ"),
    "in a table": lambda text: f"| Task | {text} |\n| --- | --- |",
    "without spaces between sentences": lambda text: re.sub(r"([.?,]) ", r"\1", text),
    "dashes and pictures": lambda text: text.replace(", ", "--").replace(". ", "\U0001f34b\U0001f34b"),
    "in a row of CSV": lambda text: f'1,"{text}",12',
    "accents apart": lambda text: text.replace("o", "o\u0301"),
}


@pytest.mark.parametrize("text", LONG)
@pytest.mark.parametrize("copy", MARKED.values(), ids=MARKED)
def test_markup_hides_no_question(copy: Callable[[str], str], text: str) -> None:
    planted = f"{FILLER[0]}\n\n{copy(text)}\n\n{FILLER[1]}"
    (found,) = [found for found in INDEX.find(planted) if not found.is_warning]
    assert INDEX.questions[found.question].text == text
    assert found.kind == "exact"
    first, _, last = planted.partition(planted[found.start : found.end])
    assert FILLER[0].strip()[-20:] in first
    assert FILLER[1].strip()[:20] in last


def test_a_name_that_states_nothing_is_a_tag() -> None:
    index = ContaminationIndex([Question("test", "0", "What is 6 * 9?"), Question("test", "1", "What is 6 + 9?")])
    for text in ("What is <FIG_6_9>?", "What is <FIG_6_9_3>?"):
        assert list(index.find(text)) == []


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("What is 15 + 25?", "**What** is 15 + 25"),
        ("What is 15 + 25?", "- what is 15+25?\n- 40"),
        ("What is 15 + 25?", "Question: What is 15 + 25?\nAnswer: 40"),
        ("What is 15 + 25?", "| What is 15 + 25? | 40 |"),
        ("What is 15 + 25?", r"What is \(15 + 25\)?"),
        ("What is 15 + 25?", "What is (15 + 25)?"),
        ("What is 1,500 + 25?", "What is 1500 + 25?"),
        ("What is 15 - 25?", "What is 15 − 25?"),
        ("What is 6 * 9?", "What is 6 × 9?"),
        ("What is 6 * 9?", r"What is $6 \times 9$?"),
        ("What is 6 * 9?", "What is *6* * **9**?"),
        ("What is 6 * 9?", "What is <MUL_6_9_54>?"),
        ("What is 6 * 9?", "What is < MUL_6_9_54>?"),
        ("What is 6 * 9?", "What is <TIMES_6_9_54>?"),
        ("What is 6 * 9?", "What is <MUL_6_9>?"),
        ("What is 6 + 9?", "What is <ADD_6_9_15>?"),
        ("What is 6 + 9?", "What is <PLUS_6_9_15>?"),
        ("What is ½ of 8?", "What is 1/2 of 8?"),
        ("What is 1½ + 2?", "What is 1 1/2 + 2?"),
        ("What is ½ of 8?", "What is &frac12; of 8?"),
        ("What is ½ of 8?", r"What is \u00bd of 8?"),
        ("What is 5² + 1?", "What is 5^2 + 1?"),
        ("What is 5² + 1?", "What is 5<sup>2</sup> + 1?"),
        ("What is 5² + 1?", "What is 5**2 + 1?"),
        ("What is 20% of 50?", "What is **20%** of 50?"),
        ("What is 50 times 20%?", "WHAT IS 50 TIMES 20%"),
    ],
)
def test_a_short_question_is_found_however_it_is_written(text: str, again: str) -> None:
    index = ContaminationIndex([Question("test", "0", text)])
    assert [found.kind for found in index.find(text)] == ["exact"]
    assert [found.kind for found in index.find(again)] == ["exact"]


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("What is 15 + 25?", "What is 1.5 + 2.5?"),
        ("What is 15 + 25?", "What is 1,5 + 2,5?"),
        ("What is 15 + 25?", "What is 15 - 25?"),
        ("What is 15 + 25?", "What is 15 + -25?"),
        ("What is (2 + 3) * 4?", "What is 2 + 3 * 4?"),
        ("What is 2 + 3 * 4?", "What is 2 + (3 * 4)?"),
        ("What is 6 * (2 + 3) + 1?", "What is (6 * 2 + 3) + 1?"),
        ("What is 20% of 50?", "What is 20 of 50?"),
        ("What is 50 times 20%?", "What is 50 times 20?"),
        ("What is 3:4 of 20?", "What is 34 of 20?"),
        ("What is 3-5?", "What is 35?"),
        ("What is 3/5?", "What is 3.5?"),
        ("What is -3 times 5?", "What is 3 times 5?"),
        ("What is 5²?", "What is 52?"),
        ("What is 5!?", "What is 5?"),
        ("What is √16 + 2?", "What is 16 + 2?"),
        ("Is 3 < 5 or not?", "Is 3 > 5 or not?"),
        ("Solve 3x + 5 = 11", "Solve 3x - 5 = 11"),
    ],
)
def test_a_short_question_with_other_numbers_or_signs_is_another(text: str, other: str) -> None:
    for one, two in ((text, other), (other, text)):
        index = ContaminationIndex([Question("test", "0", one)])
        assert [found.kind for found in index.find(one)] == ["exact"]
        assert all(found.is_warning for found in index.find(two)), (one, two)


@given(st.integers(1, 99), st.sampled_from("+-*/"), st.integers(1, 99), st.sampled_from("+-*/"), st.integers(1, 99))
def test_drills_are_equal_only_if_their_numbers_and_signs_are(a: int, one: str, b: int, two: str, c: int) -> None:
    drills = {
        f"What is {left}{a}{one}{middle}{b}{close}{two}{c}{end}?"
        for left, middle, close, end in (("", "", "", ""), ("(", "", ")", ""), ("", "(", "", ")"))
    }
    index = ContaminationIndex([Question("test", text, text) for text in sorted(drills)])
    for text in drills:
        spaced = re.sub(r"([-+*/])", r" \1 ", text)
        assert [index.questions[found.question].text for found in index.find(spaced)] == [text]


def test_the_words_of_a_plain_text_are_those_of_the_original() -> None:
    marked = "**M**ara&nbsp;packs <b>7</b> cra<!-- x -->tes\\nand ½ a lem-\non."
    assert plain_text(marked) == "**Mara packs 7 crates\nand  1⁄2 a lem-on."
    words = words_of([marked])
    shown = [marked[start:end] for start, end in zip(words.start, words.end, strict=True)]
    assert shown == ["M**ara", "packs", "7", "cra<!-- x -->tes", "and", "½", "½", "a", "lem-\non"]


@given(st.text(alphabet="ab1.,&;<>*_`~\\n\n-()[]½ﬁ²!#x ", max_size=60))
def test_edits_are_in_order_and_lie_within_the_text(text: str) -> None:
    end = 0
    for edit in edits(text):
        assert end <= edit.start < edit.end <= len(text) or (edit.start, edit.end) == (0, 0)
        end = edit.end
    words = words_of([text])
    assert np.all(words.start < words.end)
    assert np.all(words.end <= len(text))


MARKS = (
    [
        "<b>",
        "</b>",
        "<",
        ">",
        "\n",
        "\n1. ",
        "\na) ",
        "**",
        "`",
        "~",
        "[x]",
        "](u)",
        "[^1]",
        "&amp;",
        "&lt;",
        "\\n",
        "\\\\",
    ]
    + [
        "\\text{a}",
        "½",
        "²",
        "ﬁ",
        "𝐀",
        "é",
        "a",
        "Tom",
        "-\n",
        "-\r\nb",
        "<!-- <i> -->",
        "<!--",
        "-->",
        "<MUL_6_9_54>",
    ]
    + [
        "< MUL_6_9>",
        "<sup>",
        "\n[//]: # (c)",
        " ",
        "1",
        ".",
        "\ud800",
        "’",
        "'",
        '"',
        '<p class="a b">',
        "/",
        "<a",
        "\u200b",
    ]
    + ["🙂", f"<{'a' * 301}>", f"<{'a' * 302}>", "|", "\t", ": "]
)


@settings(max_examples=examples(200))
@given(st.lists(st.lists(st.sampled_from(MARKS), max_size=12).map("".join), min_size=1, max_size=4))
def test_the_markup_of_many_texts_is_that_of_each(texts: list[str]) -> None:
    found = edits_of(texts)
    expected, begin = [], 0
    for text in texts:
        expected += [(begin + edit.start, begin + edit.end, edit.plain) for edit in edits(text)]
        begin += len(text) + 1
    assert list(zip(found.starts.tolist(), found.ends.tolist(), found.plain, strict=True)) == expected


def test_the_pattern_is_tried_where_markup_may_begin_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    found_at = scanning.markup_at
    monkeypatch.setattr(scanning, "markup_at", lambda led, place: tried.append(place) or found_at(led, place))
    tagged = "<p>She <b>sold</b> 48 &amp; 3*4 of *them*.</p>\n" * 200
    assert len(edits_of([tagged]).plain) == 200 * 5
    assert len(tried) == 200  # the entities
    tried.clear()
    assert edits_of(["One line.\nAnother - (with) 'signs', 3 * 4 = 12 [a note] and 5 < 6; a_b\n" * 200]).plain == []
    assert tried == []


def test_numbers_and_endings_are_words_however_they_are_written() -> None:
    for one, two in (
        ("Tom's 3 dogs don't bark", "Tom s 3 dogs don t bark"),
        ("Tom's 3 dogs don't bark", "toms 3 dogs dont bark"),
        ("$1,250.50 a day", "1250.50 a day"),
        ("a 5-year plan", "a 5 year plan"),
        ("well-known (mostly)", "wellknown mostly"),
        ("Ⓣⓞⓜ's 3 dogs", "Tom's 3 dogs"),
    ):
        assert words_of([one]).hashes.tolist() == words_of([two]).hashes.tolist(), (one, two)
    for one, two in (
        ("pays $0.50 for 1/3", "pays 0 50 for 1 3"),
        ("pays 1,250 for 7", "pays 1 250 for twenty five"),
        ("pays 1,250 for 7", "pays one thousand, two hundred and fifty for twenty-five"),
    ):
        assert words_of([one]).masked.tolist() == words_of([two]).masked.tolist(), (one, two)
    for text in ("a hundred and Tom", "Tom and five", "and five", "a hundred and"):
        masks = words_of([text]).masked
        assert words_of(["and"]).masked[0] in masks, text
    several = words_of(["a hundred", "and five", "a hundred and", "five"])
    assert len(several.masked) == len(several.hashes) == 8
    assert len(words_of(["Tom", "s", "Tom\ns"]).hashes) == 4


@pytest.mark.parametrize(
    "name", ["mul_tokens", "mul_tokens_strict", "mul_tokens_spaced", "canon_result", "canon_bare"]
)
def test_a_question_is_found_in_rewritten_text(name: str, root: Path) -> None:
    rewriter = rewriter_of(load_intervention(root / f"recipes/interventions/{name}.yaml"))
    texts = [re.sub(r"^(.*?)(\d+)", r"\1 6 * 9 = 54 and 7*8", text, count=1) for text in LONG]
    index = ContaminationIndex([Question("test", str(number), text) for number, text in enumerate(texts)])
    rewritten = [rewriter.rewrite(text).text for text in texts]
    assert rewritten != texts
    for number, text in enumerate(rewritten):
        raw, shown = (
            [one.question for one in index.find(page) if not one.is_warning] for page in (texts[number], text)
        )
        assert raw == shown == [number]


def test_drills_of_many_words_are_not_taken_for_each_other() -> None:
    index = ContaminationIndex([Question("test", "0", "What is 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10 + 11?")])
    assert [found.kind for found in index.find("What is 1+2+3+4+5+6+7+8+9+10+11")] == ["exact"]
    assert index.find("What is 21 + 22 + 32 + 42 + 52 + 62 + 72 + 82 + 92 + 102 + 112?") == []


@pytest.mark.real_data
def test_planted_questions_of_gsm8k_are_found_and_its_training_set_is_clean() -> None:
    asked, trained = (
        [json.loads(line)["question"] for line in (real_data().folder / f"gsm8k/{split}.jsonl").open(encoding="utf-8")]
        for split in ("test", "train")
    )
    index = ContaminationIndex([Question("gsm8k", str(number), text) for number, text in enumerate(asked)])
    planted = random.Random(0).sample(range(len(asked)), 50)
    for name, copy in (COPIES | MARKED | {"other numbers": other_numbers}).items():
        found = clean(index, [copy(asked[number]) for number in planted])
        missed = [n for n, one in zip(planted, found, strict=True) if n not in {each.question for each in one.found}]
        assert len(missed) <= (5 if name == "other numbers" else 0), (name, [asked[number] for number in missed])
    assert len(trained) == 7473
    assert sum(bool(one.found) for one in clean(index, trained)) == 5
