"""What a product's result is, and what only seems to be, in every spelling of signs, currencies and markup."""

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples
from tokenizers import Regex, normalizers

from domain_tokens.tokenization import find, inject, rewrite
from domain_tokens.tokenization.edits import as_oniguruma_reads
from domain_tokens.tokenization.facts import END_OF_TEXT
from domain_tokens.tokenization.guards.around import PLAIN_BEFORE, PLAIN_BEHIND, PLAIN_END
from domain_tokens.tokenization.guards.currencies import CURRENCY_CODES, CURRENCY_SIGNS
from domain_tokens.tokenization.guards.notations import notations
from domain_tokens.tokenization.guards.results import PLAIN_LEFT_SIDE
from domain_tokens.tokenization.intervention import default_intervention
from domain_tokens.tokenization.patterns import decision, replacements

OWN = default_intervention()
MINUSES = [*"-−‒–－➖+＋±", "minus", "less", "plus", "MINUS", "减", "減去", "加"]
GAPS = [" ", "  ", "   ", "     ", "\t", "\n", " \n  ", "\u00a0", "\u2003", "\\,", "~"]
MONEY = ["$", "€", "₩", "₱", "US$", "NT$", "\\$", "USD ", "Rs. ", "Rs ", "\\(", "\\( ", "$ "]
WORDS = ["subtract", "take away", "decreased by", "added to", "taking away"]


def reason(text: str) -> str:
    """Return why the only site of a text is left."""
    (site,) = find(text)
    assert site.verdict == "left"
    return site.reason


@pytest.mark.parametrize("sign", MINUSES)
def test_a_product_behind_any_sign_of_a_sum_does_not_take_the_result_of_the_sum(sign: str) -> None:
    for text in [*(f"20 {sign}{gap}2*5 = 10" for gap in GAPS), *(f"20 {sign} {money}2*5 = 10" for money in MONEY)]:
        assert (inject(text), reason(text)) == (text, "the result is that of a sum")
        other = text.replace("= 10", "= 30")
        assert inject(other) == other.replace("2*5", "<MUL_2_5_10>")


@pytest.mark.parametrize("word", WORDS)
def test_a_word_for_a_sum_needs_a_number_before_it(word: str) -> None:
    for number in ("20", "twenty", "(8 + 12)", "20%"):
        text = f"{number} {word} 2*5 = 10"
        assert reason(text) == "the result is that of a sum"
    assert inject(f"Then they {word} 2*5 = 10") == f"Then they {word} <MUL_2_5_10>"


def test_a_bullet_and_a_word_before_a_long_dash_are_no_sum() -> None:
    for before in ("- ", "\n- ", "• ", "So far \n  - ", "The area — ", "**Area** - ", "it is ", "<<", "(", "20, "):
        assert inject(f"{before}2*5 = 10") == f"{before}<MUL_2_5_10>"
    assert reason("20 — 2*5 = 10") == "the result is that of a sum"


GOES_ON = [
    *(" 1/2", " 1 / 2", "½", " ½", " 3⁄4", " .5", " and a half", " and one half", " and 1/2", " & ½"),
    *(" and two thirds", " ½ cups"),
    *(" dozen", " dozens", " hundred", " thousand", " million", " bn", " lakh", " crores", " percent", " per cent"),
    *(" point 5", " point five", "\\frac{1}{2}", " \\dfrac12", " squared", " tenths"),
]  # fmt: skip


@pytest.mark.parametrize("behind", GOES_ON)
def test_a_number_that_goes_on_is_not_the_result(behind: str) -> None:
    for result in ("54", "**54**", "$54"):
        text = f"6*9 = {result}{behind}"
        assert inject(text) == text
    assert reason(f"6*9 = 54{behind}") in ("part of a longer number", "another result is stated", "part of a chain")
    assert inject(f"6*9 = 54 cups, then{behind} more").startswith("<MUL_6_9_54> cups")


@pytest.mark.parametrize(
    "behind", [" - 4", "+1", " – 3", " minus 4", " less $4", " plus <MUL_1_1_1>", " - two", " + FIVE"]
)
def test_a_result_that_is_a_sum_is_another_one(behind: str) -> None:
    assert reason(f"6*9 = 54{behind}") == "its result is written as a sum"


EQUALS = [
    *(" = ", "=", " &= ", " =& ", " := ", " != ", " == ", " ≈ ", " ≅ ", " ~ ", " \\approx "),
    *(" is ", " was ", " equals ", " equals to ", " gives us ", " is about ", " is not ", " isn't ", " would be "),
    *(", which is ", " which makes ", " = about ", " = approx. ", " = exactly ", " = a total of "),
]  # fmt: skip
FORMS = [
    *("${}", "US${}", "R${}", "₩{}", "USD {}", "Rs. {}", "kr {}", '"{}"', "'{}'", "`{}`", "“{}”"),
    *("**{}**",),
    *("_{}_", "<b>{}</b>", "\\text{{{}}}", "\\mathbf{{{}}}", "\\boxed{{{}}}", "$\\boxed{{{}}}$", "+{}", "{{{}}}"),
    *(f"{code} {{}}" for code in CURRENCY_CODES.split()[:2]),
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_result_is_seen_in_every_form(form: str) -> None:
    for equals in EQUALS:
        other, own = (f"5*3{equals}{form.format(number)}." for number in (16, 15))
        assert (inject(other), reason(other)) == (other, "another result is stated")
        assert inject(own).startswith("<MUL_3_5_15>"), own


def test_an_arrow_goes_on_to_another_step_and_states_no_result() -> None:
    for arrow in ("→", "->", "=>", "⇒"):
        assert inject(f"6 × 7 = 42 {arrow} 4225") == f"<MUL_6_7_42> {arrow} 4225"


def test_other_results_in_words() -> None:
    for word in ("sixteen", "Sixteen", "SIXTEEN", "TWENTY", "a dozen", "a hundred"):
        assert reason(f"5*3 = {word}") == reason(f"5*3 is {word}.") == "another result is stated"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5*3 = 15 = 15", "its result is stated twice"),
        ("5*3 = $15 = $15", "its result is stated twice"),
        ("5*3 = (15)", "its result is written in another form"),
        ("5*3 = **15** dozen", "part of a longer number"),
        ("5*3 = -15", "another result is stated"),
        ("5*3 = 15 = 16", "another result is stated"),
        ("5*3 = 15%", "a percentage"),
    ],
)
def test_the_reason_is_true(text: str, expected: str) -> None:
    assert reason(text) == expected


PIECES = [
    *"1234569692543", *["54", "10", "12"], *[" "] * 10, *["*", "×", "x", " * ", " x ", "*"], *["=", " = ", "6*9=54"],
    *["+", " - ", "−", "➖", "－", "minus ", "less ", "plus ", "減", "$", "US$", "Rs. ", "USD ", "\\(", "\\,", "~"],
    *["&", "<<", ">>", "<<6*9=54>>", "a ", "of ", "s ", "negative ", "=\\", "\n", "\t", ".", ",", "(", ")", "**", "_"],
    *['"'],
    *["1/2", "½", " and a half", " dozen", " about ", "&=", "!=", "SIXTEEN", "<b>", "</b>", "\\text{", "}", "%", "/"],
    *[END_OF_TEXT, "\ufdd0", "\ufdd1", "<MUL_", "<MUL_6_9_54>", "User:", "matrix"],
]  # fmt: skip
written = st.lists(st.sampled_from(PIECES), min_size=2, max_size=12).map("".join)
RULES = normalizers.Sequence([normalizers.Replace(Regex(found), new) for found, new in replacements(OWN)])


@settings(max_examples=examples(600), deadline=None)
@given(written)
def test_the_tokenizer_and_the_functions_agree_around_every_sign(text: str) -> None:
    parts = text.split(END_OF_TEXT)  # as a tokenizer does before its rules
    rewriting = rewrite(text)
    assert rewriting.text == END_OF_TEXT.join(map(RULES.normalize_str, parts))
    assert rewriting.restore() == text
    assert inject(rewriting.text) == rewriting.text == inject(text)
    assert [site.verdict for site in find(text)].count("rewritten") == sum(
        edit.source not in ("\ufdd0", "\ufdd1") for edit in rewriting.edits
    )


def test_a_character_that_a_pattern_names_is_read_as_itself_by_both_engines() -> None:
    named = {one for pattern, _ in replacements(OWN) for one in pattern if not one.isascii()}
    signs = regex.compile(f"[{CURRENCY_SIGNS}]")
    named |= {chr(code) for code in range(0x20, 0x1F000) if not 0xD800 <= code < 0xE000 and signs.match(chr(code))}
    assert len(named) > 90
    assert {one for one in named if as_oniguruma_reads(one) != one} == set()


def _decision(*without: str) -> "regex.Pattern[str]":
    (notation,) = notations(OWN.facts, OWN.rules)
    pattern = decision(notation, OWN.facts, OWN.rules)
    for plain in without:
        assert plain in pattern
        pattern = pattern.replace(plain, "(?!)")
    return regex.compile(pattern)


QUICK, SLOW = _decision(), _decision(PLAIN_BEFORE, PLAIN_BEHIND, PLAIN_END, PLAIN_LEFT_SIDE)


@settings(max_examples=examples(1000), deadline=None)
@given(written)
def test_what_is_looked_for_first_only_saves_time(text: str) -> None:
    assert [match.start() for match in QUICK.finditer(text)] == [match.start() for match in SLOW.finditer(text)]


def test_what_is_looked_for_first_occurs() -> None:
    for text in ("so <<6*9=54>>54", "a total of 6*9 = 54", "dogs 6*9 = ?", "x = 6*9=54"):
        assert any(regex.search(plain, text) for plain in (PLAIN_BEFORE, PLAIN_BEHIND, PLAIN_END, PLAIN_LEFT_SIDE))
        assert QUICK.search(text)


def test_no_text_spells_a_token_with_a_mark_and_a_marker_ends_a_text() -> None:
    assert rewrite("<MUL_\ufdd06_9_54>").text == "<MUL_\ufffd6_9_54>"
    assert rewrite("\ufdd06*95 \ufdd16*9").text == "\ufffd6*95 \ufffd<MUL_6_9_54>"
    assert (
        inject(f"2*3{END_OF_TEXT}*4 6*9=54{END_OF_TEXT}0") == f"<MUL_2_3_6>{END_OF_TEXT}*4 <MUL_6_9_54>{END_OF_TEXT}0"
    )
    sites = find(f"2*3{END_OF_TEXT}4*5")
    assert [(site.start, site.text) for site in sites] == [(0, "2*3"), (16, "4*5")]
    assert inject(f"20 - {END_OF_TEXT}2*5 = 10").endswith("<MUL_2_5_10>")
